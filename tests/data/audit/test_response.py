from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from cellixir.data.audit.findings import KINDS, SHOWN, Audit, Finding, check_allowed, require_clean
from cellixir.data.audit.identity import folded_line, molecule_groups
from cellixir.data.audit.response import audit_response
from cellixir.data.response_data import ResponseData
from cellixir.data.splits import Fold, make_folds, split_groups
from cellixir.exceptions import ConfigurationError, DataError, Leakage

LEAK = Finding("rebuild", "leak", "y = a + b: leave out one of 'a', 'b'", ("a", "b"), 2)
REPEATS = Finding("duplicate-rows", "leak", "4 rows have the features of another row", ("1", "2", "3", "4"), 4)
NOTE = Finding("constant", "warning", "1 column holds one value", ("c",), 1)


# ---- findings and what is done about them


def test_a_finding_is_allowed_by_kind_or_by_one_of_its_ids() -> None:
    audit = Audit((LEAK, REPEATS, NOTE), {})
    assert audit.leaks() == [LEAK, REPEATS]
    assert audit.leaks(["rebuild"]) == [REPEATS]
    assert audit.leaks(["rebuild:b"]) == [REPEATS]
    assert audit.leaks(["rebuild:c", "copy"]) == [LEAK, REPEATS]


def test_a_finding_of_many_groups_is_allowed_by_all_of_its_ids_only() -> None:
    audit = Audit((REPEATS,), {})
    assert audit.leaks(["duplicate-rows:1"]) == [REPEATS]
    assert audit.leaks([f"duplicate-rows:{i}" for i in "1234"]) == []
    cut = Finding("replicate", "leak", "...", tuple(map(str, range(SHOWN))), 500)  # there are more than it names
    assert Audit((cut,), {}).leaks([f"replicate:{i}" for i in range(SHOWN)]) == [cut]
    assert Audit((cut,), {}).leaks(["replicate"]) == []


def test_an_override_that_names_no_kind_is_refused_with_the_kinds() -> None:
    with pytest.raises(ConfigurationError, match=r"--allow rebuid names no kind.*rebuild.*same-molecule"):
        Audit((LEAK,), {}).leaks(["rebuid"])
    check_allowed([f"{kind}:x" for kind in KINDS])


def test_require_clean_names_the_columns_the_way_out_and_the_override() -> None:
    require_clean(Audit((NOTE,), {}))
    require_clean(Audit((LEAK, NOTE), {}), ["rebuild:a"])
    with pytest.raises(Leakage) as caught:
        require_clean(Audit((LEAK, Finding("rebuild", "leak", "y = c + d", ("c", "d"), 2), REPEATS, NOTE), {}))
    message = str(caught.value)
    for words in ("'a', 'b'", "leave out one", "1 more of this kind: c + d", "--allow rebuild --allow duplicate-rows"):
        assert words in message
    assert "\n" not in message
    assert "constant" not in message
    assert caught.value.exit_code == 3
    assert isinstance(caught.value, DataError)


def test_json_says_what_was_found_and_what_was_looked_at(tmp_path: Path) -> None:
    audit = Audit((LEAK, NOTE), {"rows": 200})
    audit.write(tmp_path / "new" / "audit.json")
    content = json.loads((tmp_path / "new" / "audit.json").read_text(encoding="utf-8"))
    assert content["leaks"] == 1
    assert content["checks"] == {"rows": 200}
    assert [Finding(**{**f, "ids": tuple(f["ids"])}) for f in content["findings"]] == [LEAK, NOTE]
    assert Audit((), {"rows": 1}).to_json().endswith("}\n")


# ---- molecules


def groups(**columns: list[str | None]) -> list[int]:
    return molecule_groups(
        pd.DataFrame(columns, index=[f"D{i}" for i in range(len(next(iter(columns.values()))))])
    ).tolist()


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"name": ["PLX-4720", "PLX4720", "plx 4720 (rescreen)", "PLX4032"]}, [0, 0, 0, 1]),
        ({"name": ["Bleomycin", "Bleomycin (50 uM)", "Bleomycin A5"]}, [0, 0, 1]),
        ({"name": [None, None, "unknown", "Unknown", "-", "?"]}, [0, 1, 2, 3, 4, 5]),
        ({"name": ["Pictilisib", "GDC-0941"], "synonyms": ["GDC0941, RG-7621", None]}, [0, 0]),
        ({"name": ["Rapamycin", "Temsirolimus"], "synonyms": ["Torisel", "Torisel"]}, [0, 1]),  # a mistake of the list
        ({"name": ["a1", "b2"], "pubchem": ["2375", "2375"]}, [0, 0]),
        ({"name": ["a1", "b2"], "pubchem": ["none", "none"]}, [0, 1]),
        ({"smiles": ["C1=CC=CC=C1O", "Oc1ccccc1", "Nc1ccccc1"]}, [0, 0, 1]),
        ({"smiles": ["CC(N)C(=O)O", "C[C@H](N)C(=O)O", "Cl.CC(N)C(=O)O", "CC([NH3+])C(=O)[O-]"]}, [0, 0, 0, 0]),
        ({"smiles": ["no smiles", "no smiles", None, "", "C1CC"]}, [0, 1, 2, 3, 4]),
        ({"name": ["x1", "y1", "Y-1"], "smiles": ["CCO", "OCC", None]}, [0, 0, 0]),  # x1 by structure, Y-1 by name
        ({"targets": ["MEK1", "MEK1"]}, [0, 1]),
    ],
)
def test_drugs_that_are_one_molecule(columns: dict[str, list[str | None]], expected: list[int]) -> None:
    assert groups(**columns) == expected


def test_drugs_without_annotation_are_known_by_their_ids() -> None:
    assert molecule_groups(pd.DataFrame(index=["Olaparib", "OLAPARIB", "1017"])).tolist() == [0, 0, 1]
    assert molecule_groups(pd.DataFrame(index=[])).tolist() == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("NCI-H23", "NCIH23_LUNG", True),
        ("H23", "NCI-H23", True),
        ("COLO-205", "Colo 205", True),
        ("COLO-201", "COLO-205", False),
        ("SK-MEL-2", "SK-MEL-28", False),
        ("KM-H2", "KMH-2", True),  # two lines: why names alone are a warning
        ("HS294T", "HS_294.T", True),
    ],
)
def test_names_of_lines(one: str, other: str, same: bool) -> None:
    assert (folded_line(one) == folded_line(other)) is same


# ---- responses


def crossed(
    *,
    n_samples: int = 6,
    n_drugs: int = 4,
    drugs: dict[str, Any] | None = None,
    samples: dict[str, Any] | None = None,
    views: dict[str, pd.DataFrame] | None = None,
    response: NDArray[np.float64] | None = None,
    replicates: int = 1,
) -> ResponseData:
    """Every sample with every drug, rows in that order."""
    sample_ids, drug_ids = [f"S{i}" for i in range(n_samples)], [f"D{i}" for i in range(n_drugs)]
    pairs = pd.MultiIndex.from_product([sample_ids, drug_ids, range(replicates)], names=["sample", "drug", "replicate"])
    table = pairs.to_frame(index=False)
    rng = np.random.default_rng(0)
    table["response"] = rng.normal(size=len(table)) if response is None else response
    return ResponseData.join(
        table,
        views={name: ad.AnnData(frame.astype(np.float32)) for name, frame in (views or {}).items()},
        samples=pd.DataFrame(samples, index=sample_ids) if samples else None,
        drugs=pd.DataFrame(drugs, index=drug_ids) if drugs else None,
    )


def fold(data: ResponseData, test: NDArray[np.bool_], number: int = 0) -> Fold:
    """The first row that is not tested is the validation part."""
    rest = np.flatnonzero(~test)
    return Fold(number, rest[1:], rest[:1], np.flatnonzero(test))


def by(data: ResponseData, column: str, *ids: str) -> list[Fold]:
    return [fold(data, data.responses[column].isin(ids).to_numpy())]


def kinds(audit: Audit, severity: str | None = None) -> dict[str, tuple[str, ...]]:
    return {f.kind: f.ids for f in audit.findings if severity in (None, f.severity)}


SYNONYMS = {"name": ["Afatinib", "Erlotinib", "AFATINIB", "Olaparib"]}


def test_a_molecule_with_two_ids_on_two_sides_of_ldo() -> None:
    data = crossed(drugs=SYNONYMS)
    audit = audit_response(data, "LDO", by(data, "drug", "D0", "D3"))
    (finding,) = audit.leaks()
    assert (finding.kind, finding.ids, finding.n) == ("same-molecule", ("D0", "D2"), 6)  # D0 with six samples
    for words in ("'D0', 'D2'", "Afatinib, AFATINIB", "6 test rows", "deal them out together"):
        assert words in finding.what
    assert audit_response(data, "LDO", by(data, "drug", "D0", "D2")).leaks() == []


def test_a_molecule_with_two_ids_under_lpo_is_a_replicate_of_the_pair() -> None:
    data = crossed(drugs=SYNONYMS)
    pairs = data.responses
    audit = audit_response(data, "LPO", [fold(data, ((pairs["sample"] == "S1") & (pairs["drug"] == "D0")).to_numpy())])
    (finding,) = audit.leaks()
    assert (finding.kind, finding.n) == ("same-molecule", 1)
    together = (pairs["sample"] == "S1") & pairs["drug"].isin(["D0", "D2"])
    assert audit_response(data, "LPO", [fold(data, together.to_numpy())]).leaks() == []


def test_a_molecule_with_two_ids_is_nothing_where_every_drug_is_seen() -> None:
    data = crossed(drugs=SYNONYMS)
    assert "same-molecule" not in kinds(audit_response(data, "LCO", by(data, "sample", "S0")))


def test_a_drug_with_the_rounded_responses_of_another_one() -> None:
    response = np.random.default_rng(3).normal(size=(40, 4))
    response[:, 2] = (response[:, 0] + 1).round(2)
    data = crossed(n_samples=40, response=response.ravel())
    (finding,) = audit_response(data, "LDO", by(data, "drug", "D0", "D3")).leaks()
    assert (finding.kind, finding.ids, finding.n) == ("same-responses", ("D0", "D2"), 40)
    assert "have the same responses" in finding.what
    assert audit_response(data, "LDO", by(data, "drug", "D0", "D2")).leaks() == []
    assert audit_response(data, "LCO", by(data, "sample", "S0")).leaks() == []
    response[:, 2] += 0.1 * np.random.default_rng(4).normal(size=40)  # R2 .99: two drugs alike
    alike = crossed(n_samples=40, response=response.ravel())
    assert audit_response(alike, "LDO", by(alike, "drug", "D0", "D3")).leaks() == []


def test_without_folds_what_might_part_is_a_warning() -> None:
    audit = audit_response(crossed(drugs=SYNONYMS), "LDO")
    assert kinds(audit, "warning") == {"same-molecule": ("D0", "D2")}
    assert audit.leaks() == []
    require_clean(audit)


def test_replicates_of_a_pair_on_two_sides() -> None:
    data = crossed(replicates=2)
    rows = np.arange(len(data))
    audit = audit_response(data, "LPO", [fold(data, rows == 3), fold(data, rows == 10, 1)])
    (finding,) = audit.leaks()
    assert (finding.kind, finding.ids, finding.n) == ("replicate", ("S0 x D1", "S1 x D1"), 2)
    assert audit.checks["pairs"] == 24
    assert audit_response(data, "LPO", [fold(data, rows // 2 == 5)]).leaks() == []


@pytest.mark.parametrize(("split", "ids"), [("LCO", ("S1",)), ("LDO", ("D2",)), ("LTO", ("skin",))])
def test_folds_of_another_split_are_found(split: str, ids: tuple[str, ...]) -> None:
    data = crossed(samples={"tissue": ["lung", "skin", "skin", "lung", "lung", "skin"]})
    tested = ((data.responses["sample"] == "S1") & (data.responses["drug"] == "D2")).to_numpy()
    audit = audit_response(data, split, [fold(data, tested)])
    assert kinds(audit, "leak")["unit-on-two-sides"] == ids


def test_validation_rows_count_as_training() -> None:
    data = crossed(replicates=2)
    rows = np.arange(len(data))
    folds = [Fold(0, rows[2:], rows[:1], rows[1:2])]  # the twin of the tested row is the validation part
    assert kinds(audit_response(data, "LPO", folds), "leak") == {"replicate": ("S0 x D0",)}


@pytest.mark.parametrize("column", ["donor", "Patient_ID", "donor_id"])
def test_lines_of_one_donor(column: str) -> None:
    data = crossed(samples={column: ["p1", "p2", "p1", None, None, "p3"], "tissue": list("aabbcc")})
    for split, folds in (("LCO", by(data, "sample", "S0")), ("LTO", by(data, "sample", "S0", "S1"))):
        (finding,) = audit_response(data, split, folds).leaks()
        assert (finding.kind, finding.ids, finding.n) == ("same-donor", ("S0", "S2"), 4)
    assert audit_response(data, "LCO", by(data, "sample", "S0", "S2")).leaks() == []
    assert audit_response(data, "LCO", by(data, "sample", "S3")).leaks() == []  # no donor is not one donor
    assert audit_response(data, "LDO", by(data, "drug", "D0")).leaks() == []


def test_names_alone_are_said_not_refused() -> None:
    data = crossed(samples={"cell_line_name": ["KM-H2", "KMH-2", "TT", "A549", None, None], "tissue": list("ababab")})
    audit = audit_response(data, "LCO", by(data, "sample", "S0"))
    assert kinds(audit) == {"line-name": ("S0", "S1")}
    assert audit.leaks() == []
    assert "KM-H2, KMH-2; a, b" in audit.findings[0].what


def expression(n: int = 20, p: int = 80, seed: int = 0, prefix: str = "G") -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(n, p))
    return pd.DataFrame(values, index=[f"S{i}" for i in range(n)], columns=[f"{prefix}{i}" for i in range(p)])


def profiles(*views: pd.DataFrame, split: str = "LCO") -> Audit:
    data = crossed(n_samples=20, views={f"view{i}": view for i, view in enumerate(views)})
    return audit_response(data, split, by(data, "sample", "S1"))


def test_the_same_profile_under_two_ids() -> None:
    view = expression()
    view.loc["S7"] = view.loc["S1"]
    (finding,) = profiles(view).leaks()
    assert (finding.kind, finding.ids, finding.n) == ("duplicate-features", ("S1", "S7"), 4)
    view.loc["S7"] += 0.03 * expression(seed=1).loc["S7"]
    assert kinds(profiles(view), "leak") == {"same-profile": ("S1", "S7")}
    view.loc["S7"] += 0.2 * expression(seed=2).loc["S7"]
    assert kinds(profiles(view), "warning") == {"same-profile": ("S1", "S7")}
    view.loc["S7"] += 0.7 * expression(seed=3).loc["S7"]
    assert kinds(profiles(view)) == {}


def test_a_gene_program_that_all_share_is_no_evidence() -> None:
    common = expression(seed=5).iloc[0] * 10  # raw profiles correlate above .99
    view = expression() + common
    assert np.corrcoef(view.to_numpy())[0, 1] > 0.98
    assert kinds(profiles(view)) == {}


def test_a_second_view_that_differs_speaks_against_one_sample() -> None:
    view = expression()
    view.loc["S7"] = view.loc["S1"]
    assert kinds(profiles(view, expression(seed=3, prefix="M"))) == {}
    missing = expression(seed=3, prefix="M").drop(index="S7")  # S7 was not measured there
    assert kinds(profiles(view, missing), "leak") == {"duplicate-features": ("S1", "S7")}


def test_missing_values_do_not_hide_a_profile() -> None:
    view = expression(p=300)
    view.loc["S7"] = view.loc["S1"]
    view.iloc[3:9, 5] = np.nan
    view["G9"] = np.nan
    assert kinds(profiles(view), "leak") == {"duplicate-features": ("S1", "S7")}


def test_few_mutations_in_common_are_no_evidence() -> None:
    rng = np.random.default_rng(0)
    view = pd.DataFrame((rng.random((20, 300)) < 0.1) * 1.0, index=expression().index)
    view.columns = [f"M{i}" for i in range(300)]
    view.loc["S7"] = view.loc["S1"]
    assert kinds(profiles(view), "leak") == {"duplicate-features": ("S1", "S7")}
    view.loc[["S1", "S7"]] = 0.0
    view.loc[["S1", "S7"], "M4"] = 1.0  # nothing but one mutation
    audit = profiles(view)
    assert kinds(audit, "warning") == {"duplicate-features": ("S1", "S7")}
    assert "says little" in audit.findings[0].what


def test_a_view_in_which_all_are_the_same_is_passed_over() -> None:
    view = pd.DataFrame(np.zeros((60, 3)), index=[f"S{i}" for i in range(60)], columns=list("abc"))
    view.loc["S5", "a"] = 1
    data = crossed(n_samples=60, views={"v": view})
    audit = audit_response(data, "LCO", by(data, "sample", "S1"))
    assert kinds(audit) == {}
    assert audit.checks["samples not told apart in view 'v'"] == 60


@pytest.mark.parametrize("n_features", [1, 2, 5])
def test_views_of_few_features_raise_no_alarm(n_features: int) -> None:
    assert profiles(expression(p=n_features)).findings == ()


def response_of(data: ResponseData, drug: str) -> pd.Series:
    rows = data.responses[data.responses["drug"] == drug]
    return rows.set_index("sample")["response"]


@pytest.mark.parametrize(
    "made",
    [
        lambda y: y,
        lambda y: 3.0 - 2.0 * y,
        np.exp,
        lambda y: y + np.random.default_rng(1).normal(scale=0.01, size=len(y)),
    ],
)
def test_a_feature_that_is_a_response(made: Any) -> None:
    view = expression(n=60, p=30)
    data = crossed(n_samples=60, views={"v": view})
    view["LEAK"] = made(response_of(data, "D2"))
    data = crossed(n_samples=60, views={"v": view})
    for folds in (None, by(data, "sample", "S0")):  # whoever stands where
        (finding,) = audit_response(data, "LCO", folds).leaks()
        assert (finding.kind, finding.ids, finding.n) == ("response-in-features", ("LEAK",), 60)
        assert "drug 'D2'" in finding.what


def test_a_feature_that_is_the_mean_response_of_the_sample() -> None:
    view = expression(n=60, p=30)
    data = crossed(n_samples=60, views={"v": view})
    view["GENERAL"] = data.responses.groupby("sample")["response"].mean()
    audit = audit_response(crossed(n_samples=60, views={"v": view}), "LCO")
    assert kinds(audit, "leak") == {"response-in-features": ("GENERAL",)}
    assert "all drugs" in audit.leaks()[0].what


def test_responses_among_the_annotation_and_with_gaps() -> None:
    data = crossed(n_samples=60)
    y = response_of(data, "D1").reindex([f"S{i}" for i in range(60)])
    y.iloc[:20] = np.nan
    data = crossed(n_samples=60, samples={"sensitivity": y.to_numpy()})
    (finding,) = audit_response(data, "LCO").leaks()
    assert (finding.ids, finding.n) == (("sensitivity",), 40)


def test_a_strong_biomarker_is_no_leak() -> None:
    rng = np.random.default_rng(0)
    data = crossed(n_samples=60)
    view = expression(n=60, p=30)
    y = response_of(data, "D1").reindex(view.index)
    view["MARKER"] = y + rng.normal(scale=0.1, size=60)  # r about .995
    view["FLAT"] = 1.0
    assert audit_response(crossed(n_samples=60, views={"v": view}), "LCO").findings == ()


def test_drugs_that_a_fold_of_lpo_never_trains_on() -> None:
    data = crossed()
    audit = audit_response(data, "LPO", by(data, "drug", "D1"))
    assert kinds(audit) == {"unseen": ("D1",)}
    assert audit.leaks() == []
    assert "unseen" not in kinds(audit_response(data, "LDO", by(data, "drug", "D1")))
    assert kinds(audit_response(data, "LCO", by(data, "drug", "D1")), "warning") == {"unseen": ("D1",)}


def test_scaffolds_are_counted_without_drugs_that_are_one_molecule() -> None:
    smiles = ["Cc1ccccc1", "Nc1ccccc1", "CC(=O)O", "C1CCNCC1"]
    data = crossed(drugs={"smiles": smiles})
    (finding,) = audit_response(data, "LDO", by(data, "drug", "D0")).findings
    assert (finding.kind, finding.severity, finding.ids, finding.n) == ("scaffold", "warning", ("D0",), 1)
    assert "1 of 3 drugs with rings" in finding.what
    data = crossed(drugs={"smiles": [smiles[0], smiles[0], smiles[2], smiles[3]]})
    assert kinds(audit_response(data, "LDO", by(data, "drug", "D0"))) == {"same-molecule": ("D0", "D1")}


def test_smiles_that_do_not_parse_are_counted() -> None:
    data = crossed(drugs={"smiles": ["CCO", "not a smiles", None, "CCN"]})
    audit = audit_response(data, "LDO", by(data, "drug", "D0"))
    assert audit.checks["drugs compared by structure"] == 2
    assert audit.checks["drugs compared by name alone"] == 2


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no split 'LXO'.*LPO, LCO, LDO, LTO"):
        audit_response(crossed(), "LXO")


@pytest.mark.parametrize("split", ["LPO", "LCO", "LDO", "LTO"])
@pytest.mark.parametrize("seed", range(4))
def test_honest_data_and_folds_do_not_leak(split: str, seed: int, simulate_screen: Callable[..., Any]) -> None:
    data, _ = simulate_screen(n_samples=80, n_drugs=20, n_features=60, noise_sd=0.1, seed=seed)
    audit = audit_response(data, split, make_folds(data, split, n_folds=3, seed=seed))
    assert audit.leaks() == []
    assert audit.checks["measurements"] == len(data)
    assert audit.checks["folds"] == 3


# ---- real data


def dealt(units: NDArray[np.int64], n_folds: int = 5) -> list[Fold]:
    """Folds along ``units``, without looking at what they are."""
    folds = []
    for number, (outer, test) in enumerate(KFold(n_folds, shuffle=True, random_state=0).split(np.unique(units))):
        rest = np.flatnonzero(np.isin(units, outer))
        folds.append(Fold(number, rest[10:], rest[:10], np.flatnonzero(np.isin(units, test))))
    return folds


@pytest.fixture(scope="module")
def v17(data_dir: Path) -> ResponseData:
    from cellixir.sources.gdsc import load_gdsc_v17

    return load_gdsc_v17(progress=False)


@pytest.mark.real_data
def test_sixteen_molecules_of_v17_were_screened_twice(v17: ResponseData) -> None:
    codes = molecule_groups(v17.drugs)
    twice = np.bincount(codes)[codes] > 1
    assert np.bincount(codes).max() == 2
    assert twice.sum() == 32
    names = set(v17.drugs.loc[twice, "name"])
    assert len(names) == 16  # no two names for one molecule, no two molecules of one name
    assert {"Afatinib", "PLX-4720", "Bleomycin", "Olaparib", "JQ1"} < names
    assert set(v17.drugs.index[codes == codes[v17.drugs.index.get_loc("1032")]]) == {"1032", "1377"}


@pytest.mark.real_data
def test_v17_leaks_when_drugs_are_dealt_by_id_and_not_by_molecule(v17: ResponseData) -> None:
    by_id = audit_response(v17, "LDO", dealt(v17.drug_index))
    assert {f.kind for f in by_id.leaks()} == {"same-molecule"}
    assert len(by_id.leaks()) >= 8
    molecules = molecule_groups(v17.drugs)
    assert audit_response(v17, "LDO", dealt(molecules[v17.drug_index])).leaks() == []
    pairs = v17.sample_index * len(v17.drugs)
    by_pair = audit_response(v17, "LPO", dealt(pairs + v17.drug_index))
    assert len(by_pair.leaks()) == 16
    assert sum(f.n for f in by_pair.leaks()) > 15_000
    assert audit_response(v17, "LPO", dealt(pairs + molecules[v17.drug_index])).leaks() == []


@pytest.mark.real_data
def test_v17_by_cell_lines_is_clean_and_says_what_is_alike(v17: ResponseData) -> None:
    audit = audit_response(v17, "LCO", dealt(split_groups(v17, "LCO")))
    assert audit.leaks() == []
    assert audit.checks["features compared with responses, 'genomic'"] == 678
    together = audit_response(v17, "LCO")
    named = {f.ids for f in together.findings if f.kind == "line-name"}
    assert named == {("909976", "1298167"), ("930299", "1299064")}  # KM-H2 and KMH-2, TT and T-T: different tissues
    (same,) = (f for f in together.findings if f.kind == "duplicate-features")
    assert same.severity == "warning"
    assert "G-401, RPMI-2650" in same.what


@pytest.mark.real_data
def test_v17_is_audited_in_seconds(v17: ResponseData) -> None:
    folds = dealt(v17.drug_index)
    before = time.process_time()
    audit_response(v17, "LDO", folds)
    assert time.process_time() - before < 5  # measured: 1


@pytest.mark.real_data
def test_a_drug_among_the_features_of_v17_is_found(v17: ResponseData) -> None:
    view = v17.views["genomic"].to_df()
    view["smuggled"] = response_of(v17, "1047").reindex(view.index).fillna(0.0).rank()
    data = ResponseData.join(
        v17.responses, views={"genomic": ad.AnnData(view.astype(np.float32))}, samples=v17.samples, drugs=v17.drugs
    )
    (finding,) = audit_response(data, "LCO").leaks()
    assert (finding.kind, finding.ids) == ("response-in-features", ("smuggled",))
    assert "drug '1047'" in finding.what


def test_summaries_of_a_lines_responses_and_classes_cut_from_them_are_found(simulate_screen) -> None:
    data, _ = simulate_screen(n_samples=60, n_drugs=9, n_features=20, missing=0.2, seed=2)
    table = data.responses.pivot(index="sample", columns="drug", values="response").reindex(data.samples.index)
    first = table.iloc[:, 0]
    noise = np.random.default_rng(0).normal(size=len(first)) * first.std() * 0.04
    leaks = {
        "plain mean": table.mean(axis=1),
        "plain median": table.median(axis=1),
        "copy": first + noise,  # R2 .998
        "class": np.where(table.mean(axis=1) > table.mean(axis=1).median(), "resistant", "sensitive"),
    }
    for name, values in leaks.items():
        asked = replace(data, samples=data.samples.assign(**{name: values}))
        found = [f for f in audit_response(asked, "LCO").leaks() if f.kind == "response-in-features"]
        assert [f.ids for f in found] == [(name,)], name
    honest = data.samples.assign(
        growth=first.fillna(0) + np.random.default_rng(1).normal(size=len(first)) * first.std(),
        kind=np.random.default_rng(2).choice(["a", "b"], len(first)),
    )
    assert not [f for f in audit_response(replace(data, samples=honest), "LCO").leaks() if "response" in f.kind]
