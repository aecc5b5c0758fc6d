"""External evaluation: what simple rules and a model say of somebody else's samples."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cellixir.cli.app import app
from cellixir.data.simulate import simulate_perturbation
from cellixir.exceptions import CellixirError, ConfigurationError, GeneMismatch, InvalidValues, ReadError
from cellixir.perturbation import Keys, evaluate, fit
from cellixir.perturbation.evaluation import PREDICTORS, _effects, _of_model, _on_genes_of
from cellixir.perturbation.evaluation_report import _changes
from cellixir.perturbation.genes import places_of
from cellixir.perturbation.model import PerturbationModel
from cellixir.perturbation.sample_sheet import described_samples, read_sheet
from cellixir.perturbation.scores import Truth
from cellixir.perturbation.singles import simple_rules

GENES = 80


def samples(effects: dict[str, np.ndarray], *, noise: float = 0.0, n: int = 2) -> tuple[ad.AnnData, pd.DataFrame]:
    """Log2 expression of ``n`` samples a treatment, and their sheet; 'control' must be among the effects."""
    rng = np.random.default_rng(0)
    base = rng.uniform(4, 12, GENES)
    rows = [(f"{name} {k}", name, effect) for name, effect in effects.items() for k in range(n)]
    x = np.array([base + effect + noise * rng.normal(size=GENES) for _, _, effect in rows], dtype=np.float32)
    index = [name for name, _, _ in rows]
    cells = ad.AnnData(x, pd.DataFrame(index=index), pd.DataFrame(index=[f"G{g}" for g in range(GENES)]))
    return cells, pd.DataFrame({"sample": index, "perturbation": [name for _, name, _ in rows]})


@pytest.fixture(scope="module")
def singles() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {"control": np.zeros(GENES)} | {name: rng.normal(size=GENES) for name in "ABC"}


def of(found: pd.DataFrame, perturbation: str, predictor: str) -> pd.Series:
    rows = found[(found["perturbation"] == perturbation) & (found["predictor"] == predictor)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_the_arithmetic_of_singles_is_exact_where_effects_add_up(
    singles: dict[str, np.ndarray], tmp_path: Path
) -> None:
    cells, sheet = samples(singles | {"A+B": singles["A"] + singles["B"]})
    found = evaluate(cells, sheet, tmp_path).table
    additive, average = of(found, "A+B", "additive"), of(found, "A+B", "average")
    assert additive["pearson_delta"] == pytest.approx(1, abs=1e-6)
    assert additive["rmse"] == pytest.approx(0, abs=1e-5)
    half = np.sqrt(np.square((singles["A"] + singles["B"]) / 2).mean())
    assert average["rmse"] == pytest.approx(half, rel=1e-4)
    larger = max(singles["A"], singles["B"], key=lambda effect: np.square(effect).sum())
    expected = np.corrcoef(larger, singles["A"] + singles["B"])[0, 1]
    assert of(found, "A+B", "stronger single")["pearson_delta"] == pytest.approx(expected, abs=1e-4)
    assert of(found, "A+B", "replicate")["rmse"] == pytest.approx(0, abs=1e-5)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "From baseline to model" in page


def test_what_was_never_alone_is_lent_by_other_combinations(singles: dict[str, np.ndarray], tmp_path: Path) -> None:
    a, b, c = (singles[name] for name in "ABC")
    known = {"control": singles["control"], "A": a, "C": c}
    cells, sheet = samples(known | {"A+B": a + b, "B+C": b + c})
    found = evaluate(cells, sheet, tmp_path).table
    told = of(found, "A+B", "additive")
    assert told["rmse"] == pytest.approx(0, abs=1e-5)
    assert "'B' was not measured alone" in told["note"]
    # without another combination there is nothing to lend: additive is not said
    cells, sheet = samples(known | {"A+B": a + b})
    found = evaluate(cells, sheet, tmp_path).table
    assert not ((found["perturbation"] == "A+B") & (found["predictor"] == "additive")).any()
    assert of(found, "A+B", "stronger single")["pearson_delta"] == pytest.approx(np.corrcoef(a, a + b)[0, 1], abs=1e-4)


def test_counts_are_made_logarithms_sample_by_sample(singles: dict[str, np.ndarray]) -> None:
    cells, sheet = samples({"control": singles["control"], "A": singles["A"]})
    counts = ad.AnnData(np.round(2**cells.X), cells.obs, cells.var)
    effects, notes = _effects(counts, sheet)
    x = np.asarray(counts.X, dtype=np.float64)
    log = np.log2(1 + x / x.sum(axis=1, keepdims=True) * 1e6)
    np.testing.assert_allclose(np.asarray(effects["A 0"].X)[0], log[2] - log[:2].mean(axis=0), atol=1e-4)
    assert any("counts per million" in note for note in notes)


def test_controls_are_those_of_the_same_time(singles: dict[str, np.ndarray]) -> None:
    cells, sheet = samples(singles)
    later = ad.AnnData(cells.X + 1, cells.obs.set_axis([f"{name} late" for name in cells.obs_names]), cells.var)
    both = ad.concat([cells, later])
    twice = pd.concat([sheet.assign(time="6 h"), sheet.assign(sample=sheet["sample"] + " late", time="24 h")])
    effects, notes = _effects(both, twice)
    np.testing.assert_allclose(np.asarray(effects["B 0 late"].X)[0], singles["B"], atol=1e-4)
    assert any("same time" in note for note in notes)
    control = twice["perturbation"] == "control"
    spelt = twice.assign(time=twice["time"].where(~control, twice["time"].str.replace(" ", "")))
    again, _ = _effects(both, spelt)
    np.testing.assert_array_equal(again.X, effects.X)
    pooled, notes = _effects(both, twice[~control | (twice["time"] == "6 h")])
    np.testing.assert_allclose(np.asarray(pooled["B 0 late"].X)[0], singles["B"] + 1, atol=1e-4)
    assert notes[1] == "24 h without controls of their own: all samples are set against the controls of all times"


@pytest.mark.parametrize(
    ("name", "samples", "expected"),
    [
        (
            "GSE110397",
            ["DMSO_1", "Trametinib_rep1", "Palbociclib_2", "Combo_1", "Trametinib+Palbociclib_2", "T_1", "P_2"],
            ["control", "trametinib", "palbociclib", *["palbociclib+trametinib"] * 2, "trametinib", "palbociclib"],
        ),
        (
            "GSE149428",
            ["DMSO_3h_1", "Tamoxifen 6h", "Mefloquine_12h", "Withaferin_24h", "TM_3h_1", "TW 6h", "MW_48h"],
            ["control", "tamoxifen", "mefloquine", "withaferin A", "mefloquine+tamoxifen", "tamoxifen+withaferin A",
             "mefloquine+withaferin A"],
        ),
    ],
)  # fmt: skip
def test_ready_sheets_know_samples_by_their_names(name: str, samples: list[str], expected: list[str]) -> None:
    told, _ = described_samples(read_sheet(name), samples)
    assert told["perturbation"].tolist() == expected
    if name == "GSE149428":
        assert told["time"].tolist() == ["3", "6", "12", "24", "3", "6", "48"]


@pytest.mark.parametrize(
    ("name", "samples"),
    [
        (
            "GSE110397",
            {"Trametinib rep 1": "trametinib", "Palbociclib treatment 1": "palbociclib", "TP53-null DMSO": "control",
             "PDAC, DMSO treatment": "control", "Tumor, vehicle, rep 1": "control", "Trametinib + DMSO": None,
             "T+P_1": "palbociclib+trametinib"},
        ),
        (
            "GSE149428",
            {"Tamoxifen+Withaferin A 24h": "tamoxifen+withaferin A", "Tamoxifen_Mefloquine_3h": "mefloquine+tamoxifen",
             "Mefloquine and Tamoxifen 3h": "mefloquine+tamoxifen", "T+M 3h": "mefloquine+tamoxifen",
             "6h_DMSO_1": "control", "Tamoxifen, Mefloquine, Withaferin 3h": None,
             "MCF7_Tamoxifen_20uM_rep1_3h": "tamoxifen"},
        ),
    ],
)  # fmt: skip
def test_a_name_is_not_read_as_what_it_is_not(name: str, samples: dict[str, str | None]) -> None:
    always = {"GSE110397": ["DMSO 1", "Trametinib 1"], "GSE149428": ["DMSO 3h", "Mefloquine 3h"]}[name]
    told, notes = described_samples(read_sheet(name), [*samples, *always])
    known = {sample: what for sample, what in samples.items() if what}
    assert told["perturbation"].drop(always).to_dict() == known
    assert notes[0].startswith("samples by their names: ")
    if name == "GSE149428":
        assert told["time"].drop(always).tolist() == ["24", "3", "3", "3", "6", "3"]


def test_what_was_measured_once_or_never_is_said(singles: dict[str, np.ndarray], tmp_path: Path) -> None:
    known = {name: singles[name] for name in ("control", "A")}
    cells, sheet = samples(known | {"A+B": singles["A"] + singles["B"]}, n=1)
    notes = evaluate(cells, sheet, tmp_path).notes
    expected = ("no treatment has a second sample", "set against a single control", "no sum or average for 'A+B'")
    for text, note in zip(expected, notes, strict=True):
        assert text in note


@pytest.fixture(scope="module")
def fitted() -> tuple[PerturbationModel, ad.AnnData]:
    wells = simulate_perturbation(n_genes=GENES, n_drugs=6, n_pairs=4, n_plates=2, n_controls=6)
    keys = Keys("perturbation", ("DMSO",), plate="plate", dose="dose")
    return fit(wells[wells.obs["perturbation"] != unseen_pair(wells)].copy(), keys, split="pair", n_folds=0), wells


def unseen_pair(wells: ad.AnnData) -> str:
    """The pair that the model has not seen."""
    return str(wells.obs["perturbation"][wells.obs["drug_2"] != "none"].iloc[0])


def test_a_model_sees_the_controls_alone(fitted: tuple[PerturbationModel, ad.AnnData], tmp_path: Path) -> None:
    model, wells = fitted
    obs = wells.obs
    pair = unseen_pair(wells)
    keep = wells[obs["is_control"] | (obs["perturbation"] == pair)].copy()
    names = keep.obs["perturbation"].astype(str)
    columns = {"sample": keep.obs_names, "perturbation": names.replace("DMSO", "control"), "dose": keep.obs["dose"]}
    sheet = pd.DataFrame(columns).astype(str)
    found = evaluate(keep, sheet, tmp_path, model=model)
    told = found.table[found.table["predictor"] == "model"]
    assert (told["pearson_delta"] > 0.5).all()
    assert {"mean effect of training", "no change"} <= set(found.table["predictor"])

    other = keep.copy()
    other.X[(names == pair).to_numpy()] += 3
    np.testing.assert_array_equal(said_of(model, keep, sheet)[0], said_of(model, other, sheet)[0])


def test_what_a_model_cannot_know_is_said(
    fitted: tuple[PerturbationModel, ad.AnnData], singles: dict[str, np.ndarray], tmp_path: Path
) -> None:
    model, wells = fitted
    cells, sheet = samples({"control": singles["control"], "A": singles["A"], "D001": singles["B"]})
    cells.var_names = wells.var_names
    found = evaluate(cells, sheet.assign(smiles=""), tmp_path, model=model)
    # its mean effect stands in, flagged: all predictors are judged on the same treatments
    told = of(found.table, "A", "model")
    assert told["pearson_delta"] == of(found.table, "A", "mean effect of training")["pearson_delta"]
    assert told["note"].startswith("'A': not in training and without structure")
    assert "not in training" not in of(found.table, "D001", "model")["note"]
    assert set(found.overall["n_conditions"]) == {2}
    with pytest.raises(InvalidValues, match="knows none of the treatments"):
        evaluate(cells[:4], sheet[:4], tmp_path, model=model)
    with pytest.raises(GeneMismatch, match="of the model are in the reference"):
        evaluate(samples(singles)[0], samples(singles)[1], tmp_path, model=model)


def said_of(model: PerturbationModel, cells: ad.AnnData, sheet: pd.DataFrame) -> tuple[np.ndarray, Truth, list[str]]:
    """What a model says of each treatment of a sheet, what was measured, and the notes."""
    effects, notes = _effects(cells, sheet, natural=model.values_ == "counts")
    treated = _on_genes_of(model, effects[~effects.obs["is_control"]].copy(), notes)
    truth = Truth.of(treated)
    return (
        _of_model(model, truth, treated, None, simple_rules(truth, list(PREDICTORS))[1], notes)["model"],
        truth,
        notes,
    )


def test_a_model_of_counts_is_asked_on_its_own_scale(singles: dict[str, np.ndarray]) -> None:
    cells, sheet = samples({name: singles[name] for name in ("control", "A")})
    counts = ad.AnnData(np.round(2**cells.X * 1000), sheet.set_index("sample"), cells.var)
    model = fit(counts, Keys("perturbation", ("control",)), model="drug_mean", n_folds=0)
    said, truth, notes = said_of(model, counts, sheet)
    np.testing.assert_allclose(said, truth.mean, atol=1e-3)
    assert any("natural logarithms" in note for note in notes)
    with pytest.raises(InvalidValues, match="give their counts"):
        said_of(model, cells, sheet)


def test_a_model_without_controls_is_asked_for_the_cells_of_the_sheet(singles: dict[str, np.ndarray]) -> None:
    cells, sheet = samples({name: singles[name] for name in ("control", "A")})
    lines = pd.DataFrame({"drug": "A", "line": ["L1", "L2"]}, index=["w1", "w2"])
    z = ad.AnnData(np.array([singles["B"], singles["C"]], dtype=np.float32), lines, cells.var)
    model = fit(z, Keys("drug", cell_line="line"), model="cell_line_mean", n_folds=0)
    said, _, notes = said_of(model, cells, sheet.assign(cell_line="L2"))
    np.testing.assert_allclose(said[0], singles["C"], rtol=1e-5)
    assert [note for note in notes if "unknown unit" in note]
    said, _, notes = said_of(model, cells, sheet.assign(cell_line="L3"))
    np.testing.assert_allclose(said[0], singles["B"], rtol=1e-5)
    assert "the model knows cells by name, and not 'L3': it answers as for L1" in notes


def test_genes_of_another_kind_are_matched_where_that_is_unambiguous(
    fitted: tuple[PerturbationModel, ad.AnnData],
) -> None:
    model, wells = fitted
    symbols = list(map(str, wells.var_names))
    entrez = pd.DataFrame({"gene_symbol": symbols}, index=[str(1000 + k) for k in range(GENES)])
    cells = ad.AnnData(np.asarray(wells.X)[:2, ::-1], var=entrez[::-1])
    notes: list[str] = []
    at = places_of(model.genes_, cells, notes)
    assert [symbols[::-1][place] for place in at] == model.genes_
    assert notes == ["genes were matched by gene_symbol"]
    few = cells[:, : GENES - 5]
    assert (places_of(model.genes_, few, notes) < 0).sum() == 5
    twice = cells.copy()
    twice.var["gene_symbol"] = symbols[0]  # no symbol tells a gene
    with pytest.raises(GeneMismatch, match="of the model are in the reference"):
        places_of(model.genes_, twice, [])


def bad(kind: str, cells: ad.AnnData, sheet: pd.DataFrame) -> tuple[ad.AnnData, pd.DataFrame]:
    x = np.array(cells.X)
    if kind == "z-scores":
        x = x - x.mean(axis=0)
    if kind == "missing":
        x[0, 0] = np.nan
    changed = ad.AnnData(x, cells.obs, cells.var)
    sheets = {
        "unknown sample": sheet.assign(sample=["nobody", *sheet["sample"][1:]]),
        "no control": sheet[sheet["perturbation"] != "control"],
        "controls only": sheet[sheet["perturbation"] == "control"],
        "twice": pd.concat([sheet, sheet[:1]]),
        "three": sheet.replace({"perturbation": {"A": "A+B+C"}}),
    }
    return changed, sheets.get(kind, sheet)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("unknown sample", "1 sample of the sheet are not in the matrix \\('nobody'\\)"),
        ("no control", "names no control"),
        ("controls only", "names controls only"),
        ("twice", "keep one row each"),
        ("three", "names 3 drugs"),
        ("z-scores", "look like z-scores or differences"),
        ("missing", "the value of gene 'G0' in cell 'control 0' is nan"),
    ],
)
def test_a_sheet_that_does_not_fit(kind: str, message: str, singles: dict[str, np.ndarray], tmp_path: Path) -> None:
    cells, sheet = bad(kind, *samples(singles))
    with pytest.raises(CellixirError, match=message):
        evaluate(cells, sheet, tmp_path / "out")
    assert not (tmp_path / "out" / "evaluation.csv").exists()


def test_the_map_holds_every_treatment_under_a_name_of_its_own(singles: dict[str, np.ndarray]) -> None:
    cells, sheet = samples(singles, n=1)
    lines = [cells[list(sheet["sample"])].copy() for _ in "XY"]
    both = ad.concat(lines, keys=["X", "Y"], index_unique=" ")
    twice = pd.concat([sheet.assign(sample=sheet["sample"] + f" {line}", cell_line=line) for line in "XY"])
    effects, _ = _effects(both, twice)
    truth = Truth.of(effects[~effects.obs["is_control"]].copy())
    columns = _changes(truth, {"no change": np.zeros(truth.mean.shape)}, "no change")
    assert {"A X", "A Y", "→ A X"} <= set(columns)
    assert columns.shape[1] == 2 * len(truth.mean)


def test_samples_of_one_name(singles: dict[str, np.ndarray]) -> None:
    cells, sheet = samples(singles)
    with pytest.raises(InvalidValues, match="1 sample stands more than once of the matrix \\('A 0'\\)"):
        described_samples(sheet, [*cells.obs_names, "A 0"])


def test_sheets_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="GSE110397"):
        read_sheet(tmp_path / "nowhere.csv")
    file = tmp_path / "sheet.csv"
    file.write_text("sample,drug\na,b\n")
    with pytest.raises(ConfigurationError, match="'drug' is none of them"):
        read_sheet(file)
    file.write_text("pattern,perturbation\n(,b\n")
    with pytest.raises(ConfigurationError, match="'\\(' of row 1 is no regular expression"):
        read_sheet(file)
    file.write_text("sample,perturbation\n")
    with pytest.raises(ReadError, match="no rows"):
        read_sheet(file)
    file.write_text("perturbation\nb\n")
    with pytest.raises(ConfigurationError, match="one of sample and pattern are needed"):
        read_sheet(file)


def test_the_command(singles: dict[str, np.ndarray], tmp_path: Path) -> None:
    cells, sheet = samples(singles | {"A+B": singles["A"] + singles["B"]}, noise=0.1)
    cells.to_df().to_csv(tmp_path / "log2.csv")
    sheet.to_csv(tmp_path / "sheet.csv", index=False)
    given = ["--data", tmp_path / "log2.csv", "--sheet", tmp_path / "sheet.csv", "--cells-are", "rows"]
    result = CliRunner().invoke(app, ["perturb", "evaluate", *map(str, given), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "'additive' says most" in result.output
    assert (tmp_path / "out" / "overall.csv").exists()
