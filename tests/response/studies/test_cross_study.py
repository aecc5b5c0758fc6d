from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from cellixir import metrics
from cellixir.data.inputs import read_inputs
from cellixir.data.response_data import ResponseData
from cellixir.exceptions import ConfigurationError, DataError, GeneMismatch, UnknownIds
from cellixir.response.cross_validation.models import BASELINES, MODELS, ModelSpec, Options
from cellixir.response.models.ridge import RidgePerDrug
from cellixir.response.studies.harmonise import harmonised
from cellixir.response.studies.run import CrossStudyResult, cross_study
from cellixir.response.studies.scores import within_drugs
from cellixir.runs import Found, Piece, read_manifest
from cellixir.sources.gdsc import load_gdsc_v17

FILES = {
    "leaderboard.csv", "matches.csv", "overlap.json", "paired.csv", "per_drug.csv", "pieces",
    "predictions.parquet", "report.html", "run.json",
}  # fmt: skip
NOISE = 0.5


def chosen(
    data: ResponseData,
    lines: Iterable[str],
    drugs: Iterable[str] | None = None,
    *,
    rename: dict[str, str] | None = None,
    shift: pd.Series | None = None,
    seed: int = 0,
    **about: str,
) -> ResponseData:
    """Part of a study as another laboratory would have it: own names, own noise, its drugs shifted."""
    table = data.responses[data.responses["sample"].isin(list(lines))]
    table = table if drugs is None else table[table["drug"].isin(list(drugs))]
    responses = table.assign(
        response=table["response"] + np.random.default_rng(seed).normal(scale=0.2, size=len(table))
    )
    if shift is not None:
        responses["response"] += responses["drug"].map(shift)
    names = rename or {}
    views = {name: view.copy() for name, view in data.views.items()}
    for view in views.values():
        view.obs_names = [names.get(i, i) for i in view.obs_names]
    responses = responses.assign(
        **{side: responses[side].map(lambda i: names.get(i, i)) for side in ("sample", "drug")}
    )
    samples, drug_list = (t.rename(index=names) for t in (data.samples, data.drugs))
    known = {"measure": data.measure, "unit": data.unit, "source": "another laboratory"} | about
    return ResponseData.join(responses, views=views, samples=samples, drugs=drug_list, **known)


@pytest.fixture(scope="module")
def simulated(simulate_screen: Callable[..., Any]) -> tuple[ResponseData, pd.Series]:
    return simulate_screen(n_samples=120, n_drugs=16, n_features=40, noise_sd=NOISE, missing=0.1, seed=5)


@pytest.fixture(scope="module")
def shift(simulated: tuple[ResponseData, pd.Series]) -> pd.Series:
    drugs = simulated[0].drugs.index
    return pd.Series(np.random.default_rng(1).normal(1.0, 0.7, len(drugs)), index=drugs)


@pytest.fixture(scope="module")
def studies(simulated: tuple[ResponseData, pd.Series], shift: pd.Series) -> tuple[ResponseData, ResponseData]:
    """Lines 1-80 and drugs 1-14 against lines 61-120 and drugs 5-16: 20 lines and 10 drugs in both."""
    data = simulated[0]
    lines, drugs = data.samples.index, data.drugs.index
    return chosen(data, lines[:80], drugs[:14]), chosen(data, lines[60:], drugs[4:], shift=shift, seed=1)


@pytest.fixture(scope="module")
def result(studies: tuple[ResponseData, ResponseData], tmp_path_factory: pytest.TempPathFactory) -> CrossStudyResult:
    return cross_study(*studies, tmp_path_factory.mktemp("cross") / "run", models=["ridge"], command="cellixir ...")


def pairs(data: ResponseData) -> set[tuple[str, str]]:
    return set(zip(data.responses["sample"], data.responses["drug"], strict=True))


def scores(result: CrossStudyResult) -> pd.DataFrame:
    return result.leaderboard.set_index("model")


def test_overlap_is_counted_exactly(studies: tuple[ResponseData, ResponseData], result: CrossStudyResult) -> None:
    train, external = studies
    both = pairs(train) & pairs(external)
    o = result.overlap
    assert (o["samples"]["train"], o["samples"]["external"], o["samples"]["both"]) == (80, 60, 20)
    assert (o["drugs"]["train"], o["drugs"]["external"], o["drugs"]["both"]) == (14, 12, 10)
    assert o["pairs"] == {"train": len(train), "external": len(external), "both": len(both)}
    assert o["views"] == [
        {"view": "genomic", "train": 40, "external": 40, "both": 40, "scale": "binary", "scale_checked": True}
    ]
    shared = external.samples.index[:20]
    gone = int(train.responses["sample"].isin(shared).sum())
    assert o["removed"] == {
        "what": "samples",
        "samples": 20,
        "drugs": 0,
        "measurements": gone,
        "samples_without_features": 0,
    }
    unknown = external.responses["drug"].isin(["D015", "D016"])
    assert o["excluded"] == {
        "drug not in training": {"drugs": 2, "measurements": int(unknown.sum()), "ids": ["D015", "D016"]}
    }
    assert o["training"] == {"measurements": len(train) - gone, "samples": 60, "drugs": 14}
    assert o["test"] == {
        "measurements": int((~unknown).sum()), "samples": 60, "drugs": 10, "samples_in_training": 0,
        "drugs_in_training": 10, "pairs_in_training": 0,
    }  # fmt: skip
    assert o["agreement"]["pairs"] == len(both)
    assert o["agreement"]["per_drug_pearson"] > 0.8


def test_files_are_those_of_the_interface(result: CrossStudyResult) -> None:
    assert {p.name for p in result.folder.iterdir()} == FILES
    leaderboard = pd.read_csv(result.folder / "leaderboard.csv")
    assert set(leaderboard["model"]) == {*BASELINES, "ridge"}
    assert leaderboard["rmse"].is_monotonic_increasing
    predictions = pd.read_parquet(result.folder / "predictions.parquet")
    assert list(predictions.columns) == ["sample", "drug", "model", "observed", "predicted"]
    assert len(predictions) == len(leaderboard) * result.overlap["test"]["measurements"]
    written = json.loads((result.folder / "overlap.json").read_text())
    assert written["pairs"] == result.overlap["pairs"]
    matches = pd.read_csv(result.folder / "matches.csv")
    assert matches["kind"].value_counts().to_dict() == {"sample": 20, "drug": 10}


def test_the_page_stands_alone_and_says_what_was_found(result: CrossStudyResult) -> None:
    page = (result.folder / "report.html").read_text()
    assert not re.search(r"""(src|href)=["']?https?:""", page)
    for text in ("Cross-study: another laboratory", "What the studies share", "Recalibrated", "D015", "cellixir ..."):
        assert text in page
    assert result.headline in page.replace("&#39;", "'")


def test_observed_is_what_was_measured(studies: tuple[ResponseData, ResponseData], result: CrossStudyResult) -> None:
    ridge = result.predictions[result.predictions["model"] == "ridge"].astype({"sample": str, "drug": str})
    joined = studies[1].responses.merge(ridge, on=["sample", "drug"], validate="one_to_one")
    assert len(joined) == len(ridge)
    np.testing.assert_array_equal(joined["response"], joined["observed"])


def test_scores_are_those_of_the_predictions(result: CrossStudyResult) -> None:
    for model, part in result.predictions.groupby("model", observed=True):
        y, p, drug = part["observed"].to_numpy(), part["predicted"].to_numpy(), part["drug"].cat.codes.to_numpy()
        row = scores(result).loc[model]
        assert row["rmse"] == pytest.approx(metrics.rmse(y, p), rel=1e-9)
        assert row["spearman"] == pytest.approx(metrics.spearman(y, p), rel=1e-9, nan_ok=True)
        assert row["per_drug_pearson"] == pytest.approx(metrics.mean_within(y, p, drug), rel=1e-9, nan_ok=True)
        residual = pd.Series(y - p)
        left = residual - residual.groupby(drug).transform("mean")
        assert row["rmse_recalibrated"] == pytest.approx(float(np.sqrt(np.mean(left**2))), rel=1e-9)
        for name in ("rmse", "r2", "spearman", "per_drug_pearson", "per_drug_spearman", "rmse_recalibrated"):
            if np.isfinite(row[name]):
                assert row[f"{name}_low"] < row[name] < row[f"{name}_high"], (model, name)


def test_a_model_that_learned_something_beats_the_naive_ones_within_drugs(result: CrossStudyResult) -> None:
    table = scores(result)
    naive = table.loc[list(BASELINES), "per_drug_pearson"].max()
    assert table.loc["ridge", "per_drug_pearson_low"] > naive
    assert re.match(rf"ridge has the lowest RMSE on {len(result.predictions) // len(table):,} external pairs, [\d.]+ ",
                    result.headline)  # fmt: skip
    assert "lower than the" in result.headline
    assert "of the strongest naive baseline" in result.headline
    assert table.loc["ridge", "rmse_recalibrated"] < 0.85 * table.loc["ridge", "rmse"]


def test_the_planted_shift_is_found(result: CrossStudyResult, shift: pd.Series) -> None:
    table = result.per_drug.set_index("drug")
    assert (table["shift"] - shift.reindex(table.index)).abs().max() < 0.8  # other lines, so not exactly
    assert table["shift"].mean() == pytest.approx(shift.reindex(table.index).mean(), abs=0.3)


class Oracle:
    """Knows the expected response of every pair."""

    truth: pd.Series

    def fit(self, data: ResponseData, validation: object = None) -> Oracle:
        return self

    def predict(self, data: ResponseData) -> Any:
        return Oracle.truth.loc[pd.MultiIndex.from_frame(data.responses[["sample", "drug"]])].to_numpy()


def with_model(monkeypatch: pytest.MonkeyPatch, make: type) -> None:
    monkeypatch.setitem(MODELS, "ridge", ModelSpec("ridge", "linear", lambda split, seed, options: make()))


def test_recalibration_takes_away_the_planted_shift_and_nothing_else(
    simulated: tuple[ResponseData, pd.Series],
    studies: tuple[ResponseData, ResponseData],
    shift: pd.Series,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Oracle.truth = simulated[1]
    with_model(monkeypatch, Oracle)
    row = scores(cross_study(*studies, tmp_path / "run", models=["ridge"])).loc["ridge"]
    noise = np.hypot(NOISE, 0.2)
    assert row["rmse_recalibrated"] == pytest.approx(noise, rel=0.07)
    moved = shift.reindex([f"D{i:03d}" for i in range(5, 15)])
    assert row["rmse"] == pytest.approx(np.sqrt(noise**2 + np.mean(moved**2)), rel=0.07)


class Memory:
    """Says of a pair or a sample that it has seen what it saw; else the mean of the drug."""

    def fit(self, data: ResponseData, validation: object = None) -> Memory:
        self.pairs = data.responses.groupby(["sample", "drug"])["response"].mean().to_dict()
        self.drugs = data.responses.groupby("drug")["response"].mean().to_dict()
        return self

    def predict(self, data: ResponseData) -> Any:
        ids = zip(data.responses["sample"], data.responses["drug"], strict=True)
        return np.array([self.pairs.get(pair, self.drugs[pair[1]]) for pair in ids])


def test_overlap_left_in_flatters_what_remembers_ids_and_nothing_else(
    studies: tuple[ResponseData, ResponseData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_model(monkeypatch, Memory)
    found = {
        remove: scores(cross_study(*studies, tmp_path / remove, models=["ridge"], remove=remove))
        for remove in ("samples", "pairs", "none")
    }
    kept, clean = found["none"], found["samples"]
    assert np.isnan(clean.loc["ridge", "per_drug_pearson"])
    assert kept.loc["ridge", "per_drug_pearson"] > 0.4
    assert np.isnan(found["pairs"].loc["ridge", "per_drug_pearson"])
    for name in ("cell_mean", "mean_effects"):
        assert np.isnan(clean.loc[name, "per_drug_pearson"])
        assert kept.loc[name, "per_drug_pearson"] > 0.05
    for name in ("drug_mean", "drug_plus_tissue", "drug_tissue_shrunken"):
        assert kept.loc[name, "rmse"] == pytest.approx(clean.loc[name, "rmse"], rel=0.02)


def test_what_is_left_in_is_said(studies: tuple[ResponseData, ResponseData], tmp_path: Path) -> None:
    found = cross_study(*studies, tmp_path / "run", models=["drug_mean"], remove="none")
    assert "20 of 60 test samples are also in training (remove='none')" in found.notes[0]
    assert found.overlap["test"]["samples_in_training"] == 20
    assert found.headline.endswith("only naive baselines were run.")


@pytest.mark.parametrize("remove", ["samples", "drugs", "pairs", "none"])
def test_what_is_removed_is_exactly_the_overlap(studies: tuple[ResponseData, ResponseData], remove: str) -> None:
    train, external = studies
    split = "LDO" if remove == "drugs" else "LCO"
    left = pairs(harmonised(train, external, split=split, remove=remove).train)  # type: ignore[arg-type]
    samples, drugs = set(external.samples.index), set(external.drugs.index)
    stays = {
        "samples": lambda s, d: s not in samples,
        "drugs": lambda s, d: d not in drugs,
        "pairs": lambda s, d: (s, d) not in pairs(external),
        "none": lambda s, d: True,
    }[remove]
    assert left == {(s, d) for s, d in pairs(train) if stays(s, d)}


def shuffled(data: ResponseData, seed: int) -> ResponseData:
    rng = np.random.default_rng(seed)
    views = {}
    for name, view in data.views.items():
        views[name] = view[rng.permutation(view.n_obs)][:, rng.permutation(view.n_vars)].copy()
    samples, drugs = (t.iloc[rng.permutation(len(t))] for t in (data.samples, data.drugs))
    rows = data.responses.iloc[rng.permutation(len(data))]
    return ResponseData.join(
        rows, views=views, samples=samples, drugs=drugs, measure=data.measure, unit=data.unit, source=data.source
    )


def test_order_of_rows_ids_and_genes_changes_nothing(
    studies: tuple[ResponseData, ResponseData], result: CrossStudyResult, tmp_path: Path
) -> None:
    again = cross_study(*(shuffled(d, i) for i, d in enumerate(studies)), tmp_path / "run", models=["ridge"])
    pd.testing.assert_frame_equal(again.predictions, result.predictions, check_exact=True)
    pd.testing.assert_frame_equal(
        again.leaderboard.drop(columns="seconds"), result.leaderboard.drop(columns="seconds"), check_exact=True
    )
    assert again.overlap == result.overlap


def test_other_names_of_lines_and_drugs_change_nothing(
    simulated: tuple[ResponseData, pd.Series], studies: tuple[ResponseData, ResponseData], tmp_path: Path
) -> None:
    """Ids of its own, names beside them: the same result as with the ids of the training study."""
    train, external = studies
    train = replace(
        train, samples=train.samples.assign(cell_line_name=[f"NCI-H{i}" for i in range(len(train.samples))])
    )
    drug = {i: f"other-{i}" for i in external.drugs.index}
    at = {i: n for n, i in enumerate(train.samples.index)}
    line = {i: f"NCIH{at[i]}_LUNG" if i in at else f"NEW{n}" for n, i in enumerate(external.samples.index)}
    own = chosen(external, external.samples.index, rename=line | drug, seed=3)
    same = chosen(external, external.samples.index, seed=3)
    found, plain = (harmonised(train, d) for d in (own, same))
    assert found.overlap["samples"]["by"] == {"cell-line name": 20}
    assert found.overlap["drugs"]["by"] == {"name": 10}
    back = {new: old for old, new in line.items()}
    renamed = found.external.responses.assign(sample=found.external.responses["sample"].map(lambda i: back.get(i, i)))
    expected = plain.external.responses.sort_values(["sample", "drug"], ignore_index=True)
    pd.testing.assert_frame_equal(renamed.sort_values(["sample", "drug"], ignore_index=True), expected)
    assert found.overlap["agreement"] == plain.overlap["agreement"]
    assert pairs(found.train) == pairs(plain.train)


def test_an_id_that_is_another_line_in_training_is_marked(studies: tuple[ResponseData, ResponseData]) -> None:
    train, external = studies
    named = [
        replace(d, samples=d.samples.assign(cell_line_name=[f"{word}{i}" for i in range(len(d.samples))]))
        for d, word in zip((train, external), ("A", "B"), strict=True)
    ]
    found = harmonised(*named)
    assert found.overlap["samples"]["both"] == 0
    assert "S061 (external)" in found.external.samples.index
    assert any("two systems" in note for note in found.notes)
    assert found.overlap["training"]["samples"] == 80


class Spy:
    """Keeps what it was given, predicts zeros."""

    seen: list[ResponseData]
    asked: list[ResponseData]

    def fit(self, data: ResponseData, validation: object = None) -> Spy:
        Spy.seen.append(data)
        return self

    def predict(self, data: ResponseData) -> Any:
        Spy.asked.append(data)
        return np.zeros(len(data))


def test_no_model_sees_an_external_response(
    studies: tuple[ResponseData, ResponseData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spy.seen, Spy.asked = [], []
    with_model(monkeypatch, Spy)
    cross_study(*studies, tmp_path / "run", models=["ridge"])
    assert len(Spy.seen) == len(Spy.asked) == 1
    assert not set(Spy.seen[0].samples.index) & set(studies[1].samples.index)
    assert np.isnan(Spy.asked[0].response).all()


def test_a_stopped_run_goes_on_and_ends_the_same(
    studies: tuple[ResponseData, ResponseData],
    result: CrossStudyResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, done = Piece.run, []

    def stops(piece: Piece, *args: Any) -> Found:
        if piece.labels["model"] == "ridge":
            raise KeyboardInterrupt
        done.append(piece.labels["model"])
        return run(piece, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Piece, "run", stops)
        with pytest.raises(KeyboardInterrupt):
            cross_study(*studies, tmp_path / "run", models=["ridge"])
    assert done == list(BASELINES)
    assert not (tmp_path / "run" / "leaderboard.csv").exists()
    again = cross_study(*studies, tmp_path / "run", models=["ridge"])
    pd.testing.assert_frame_equal(again.predictions, result.predictions, check_exact=True)


def test_a_second_run_does_nothing_twice(
    studies: tuple[ResponseData, ResponseData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cross_study(*studies, tmp_path / "run", models=["drug_mean"])
    before = (tmp_path / "run" / "leaderboard.csv").read_bytes()
    monkeypatch.setattr(Piece, "run", lambda *a: pytest.fail("a finished piece was run again"))
    cross_study(*studies, tmp_path / "run", models=["drug_mean"])
    assert (tmp_path / "run" / "leaderboard.csv").read_bytes() == before


def test_a_model_that_raises_loses_no_other_and_is_listed(
    studies: tuple[ResponseData, ResponseData],
    result: CrossStudyResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(RidgePerDrug, "fit", lambda *args: 1 / 0)
    found = cross_study(*studies, tmp_path / "run", models=["ridge"])
    plain = [
        table.drop(index="ridge", errors="ignore").drop(columns="seconds") for table in map(scores, (found, result))
    ]
    pd.testing.assert_frame_equal(*plain, check_exact=True)
    assert set(found.leaderboard["model"]) == set(BASELINES)
    expected = [{"model": "ridge", "error": "ZeroDivisionError: division by zero"}]
    assert found.failures.to_dict("records") == expected
    assert pd.read_csv(tmp_path / "run" / "failures.csv").to_dict("records") == expected
    assert "ZeroDivisionError" in (tmp_path / "run" / "report.html").read_text()
    assert found.notes[0] == "Failed, and in no table: ridge"


def test_another_version_fits_every_model_anew(
    studies: tuple[ResponseData, ResponseData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = scores(cross_study(*studies, tmp_path / "run", models=["ridge"]))
    monkeypatch.setattr("cellixir.runs.piece.__version__", "99.0")
    monkeypatch.setattr(RidgePerDrug, "predict", lambda model, question: np.zeros(len(question)))
    found = cross_study(*studies, tmp_path / "run", models=["ridge"])
    zero = float(np.sqrt(np.mean(harmonised(*studies).external.response ** 2)))
    assert scores(found).loc["ridge", "rmse"] == pytest.approx(zero)
    assert old.loc["ridge", "rmse"] != pytest.approx(zero)


def test_the_manifest_says_what_was_found(result: CrossStudyResult) -> None:
    manifest = read_manifest(result.folder)
    assert (manifest["job"], manifest["state"], manifest["command"]) == ("response cross-study", "done", "cellixir ...")
    assert manifest["headline"] == result.headline
    assert manifest["metrics"]["best"]["value"] == result.leaderboard["rmse"].iloc[0]
    assert set(manifest["data"]) == {"training", "external"}


def test_another_process_can_be_given_the_studies(studies: tuple[ResponseData, ResponseData]) -> None:
    found = harmonised(*studies)
    again = pickle.loads(cloudpickle.dumps(lambda: found))()
    assert again.train.fingerprint == found.train.fingerprint
    assert again.external.fingerprint == found.external.fingerprint


def test_a_model_can_be_added_and_earlier_ones_stay(studies: tuple[ResponseData, ResponseData], tmp_path: Path) -> None:
    cross_study(*studies, tmp_path / "run", models=["ridge"])
    again = cross_study(*studies, tmp_path / "run", models=["drug_mean"])
    assert "ridge" in set(again.leaderboard["model"])


def test_folders_of_others_are_refused(studies: tuple[ResponseData, ResponseData], tmp_path: Path) -> None:
    cross_study(*studies, tmp_path / "run", models=["drug_mean"])
    with pytest.raises(ConfigurationError, match="other data or options"):
        cross_study(*studies, tmp_path / "run", models=["drug_mean"], remove="none")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="holds other things"):
        cross_study(*studies, tmp_path / "mine", models=["drug_mean"])


def test_another_measure_leaves_correlations_alone(
    studies: tuple[ResponseData, ResponseData], result: CrossStudyResult, tmp_path: Path
) -> None:
    train, external = studies
    auc = external.responses.assign(response=1 / (1 + np.exp(-external.response)))
    found = cross_study(
        train, replace(external, responses=auc, measure="AUC", unit=""), tmp_path / "run", models=["ridge"]
    )
    assert not found.one_measure
    assert found.paired.empty
    columns = [c for c in found.leaderboard if not c.endswith(("_low", "_high"))]
    assert columns == ["model", "kind", "spearman", "per_drug_pearson", "per_drug_spearman", "seconds"]
    assert "LN_IC50 in ln µM, the external one AUC: no error can be taken" in found.notes[0]
    ranks = ["spearman", "per_drug_spearman"]  # of a monotone change of the response
    for name in ranks:
        assert scores(found).loc["ridge", name] == pytest.approx(scores(result).loc["ridge", name])
    assert "external pairs of another measure" in found.headline
    assert "Recalibrated" not in (found.folder / "report.html").read_text()


def test_models_are_ranked_and_undefined_ones_stand_last(
    studies: tuple[ResponseData, ResponseData], tmp_path: Path
) -> None:
    other = replace(studies[1], unit="ln nM")
    table = cross_study(studies[0], other, tmp_path / "run", models=["ridge"]).leaderboard
    assert table["model"].iloc[0] == "ridge"
    assert table["per_drug_pearson"].isna().to_list() == sorted(table["per_drug_pearson"].isna())


@pytest.mark.parametrize(
    ("split", "remove", "known"),
    [("LDO", "drugs", {"samples": 20, "drugs": 0}), ("LPO", "pairs", {"samples": 20, "drugs": 10})],
)
def test_other_splits_predict_their_new_side(
    studies: tuple[ResponseData, ResponseData], tmp_path: Path, split: str, remove: str, known: dict[str, int]
) -> None:
    found = cross_study(*studies, tmp_path / "run", models=["drug_mean"], split=split, remove=remove)  # type: ignore[arg-type]
    test = found.overlap["test"]
    assert test["samples"] == 20
    assert {side: test[f"{side}_in_training"] for side in known} == known
    assert test["pairs_in_training"] == 0
    assert found.overlap["excluded"]["sample not in training"]["samples"] == 40
    assert np.isfinite(scores(found).loc["cell_mean", "rmse"])


def test_tissues_that_training_knows_are_left_out_under_lto(
    studies: tuple[ResponseData, ResponseData], tmp_path: Path
) -> None:
    train, external = studies
    samples = train.samples[train.samples["tissue"] != "tissue1"]
    train = chosen(train, samples.index)
    found = cross_study(train, external, tmp_path / "run", models=["drug_mean"], split="LTO")
    here = external.samples.index[external.samples["tissue"] == "tissue1"]
    assert set(found.predictions["sample"].unique()) == set(here)
    assert found.overlap["excluded"]["tissue in training"]["samples"] == 60 - len(here)


@pytest.mark.parametrize(
    ("split", "remove"), [("LDO", "samples"), ("LPO", "samples"), ("LPO", "drugs"), ("LCO", "drugs")]
)
def test_options_that_contradict_each_other(
    studies: tuple[ResponseData, ResponseData], split: str, remove: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"{split} predicts {remove} that training has seen.*use remove='"):
        harmonised(*studies, split=split, remove=remove)  # type: ignore[arg-type]


def test_options_that_do_not_exist(studies: tuple[ResponseData, ResponseData], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="remove='lines' is not known; use one of none, samples, drugs, pairs"):
        harmonised(*studies, remove="lines")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="genes='all' is not known"):
        harmonised(*studies, genes="all")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no split 'XYZ'"):
        harmonised(*studies, split="XYZ")
    with pytest.raises(ConfigurationError, match="no model 'rigde'"):
        cross_study(*studies, tmp_path / "run", models=["rigde"])
    assert not (tmp_path / "run").exists()


def test_studies_without_a_common_drug_are_refused_with_examples_of_both(
    simulated: tuple[ResponseData, pd.Series],
) -> None:
    data = simulated[0]
    lines, drugs = data.samples.index, data.drugs.index
    with pytest.raises(UnknownIds, match=r"no drug is in both.*'D001 \(sulfanilamide\)'.*'D009 \(paracetamol\)'"):
        harmonised(chosen(data, lines[:60], drugs[:8]), chosen(data, lines[60:], drugs[8:]))
    with pytest.raises(UnknownIds, match=r"no sample is in both.*'S001'.*'S061'.*LPO predicts samples"):
        harmonised(chosen(data, lines[:60]), chosen(data, lines[60:]), split="LPO", remove="pairs")


def renamed_genes(data: ResponseData, name: Any, view: str = "genomic") -> ResponseData:
    made = data.views["genomic"].copy()
    made.var_names = [name(i, gene) for i, gene in enumerate(made.var_names)]
    samples, drugs = data.samples, data.drugs
    about = {"measure": data.measure, "unit": data.unit}
    return ResponseData.join(data.responses, views={view: made}, samples=samples, drugs=drugs, **about)


def test_genes_that_only_one_study_has_are_dropped_and_counted(
    studies: tuple[ResponseData, ResponseData], tmp_path: Path
) -> None:
    train, external = studies
    other = renamed_genes(external, lambda i, gene: gene if i < 30 else f"x{i}")
    found = cross_study(train, other, tmp_path / "run", models=["ridge"])
    assert any(n.startswith("View genomic: 30 of 40 training features are in the external study") for n in found.notes)
    assert any("(10 were dropped)" in note for note in found.notes)
    with pytest.raises(GeneMismatch, match=r"30 of the 40 features.*75%, fewer than 80%"):
        harmonised(train, other, genes="filled")
    nearly = renamed_genes(external, lambda i, gene: gene if i < 36 else f"x{i}")
    filled = harmonised(train, nearly, genes="filled")
    assert filled.external.views["genomic"].n_vars == 40
    assert any("4 of 40 training features are not in the external study" in note for note in filled.notes)


def test_no_common_gene_view_or_scale(studies: tuple[ResponseData, ResponseData]) -> None:
    train, external = studies
    with pytest.raises(GeneMismatch, match="no feature of the view 'genomic' is in both"):
        harmonised(train, renamed_genes(external, lambda i, gene: f"x{i}"))
    with pytest.raises(ConfigurationError, match="no view in common"):
        harmonised(train, renamed_genes(external, lambda i, gene: gene, view="other"))
    counts = renamed_genes(external, lambda i, gene: gene)
    counts.views["genomic"].uns["scale"] = "counts"
    with pytest.raises(ConfigurationError, match="is binary in the training study and counts in the external study"):
        harmonised(train, counts)


def test_samples_that_no_shared_view_describes_are_counted(simulated: tuple[ResponseData, pd.Series]) -> None:
    data, lines = simulated[0], simulated[0].samples.index
    genomic, own = data.views["genomic"], data.views["genomic"][:, :3]
    train = ResponseData.join(
        chosen(data, lines[:80]).responses,
        views={"genomic": genomic[lines[:70]].copy(), "mine": own[lines[60:80]].copy()},
        samples=data.samples,
        drugs=data.drugs,
    )
    external = ResponseData.join(
        chosen(data, lines[80:]).responses,
        views={"genomic": genomic[lines[85:]].copy(), "theirs": own[lines[80:90]].copy()},
        samples=data.samples,
        drugs=data.drugs,
    )
    found = harmonised(train, external)
    assert list(found.train.views) == ["genomic"]
    assert found.overlap["training"]["samples"] == 70
    assert found.overlap["removed"]["samples_without_features"] == 10
    lost = found.overlap["excluded"]["no features that training has"]
    assert lost["ids"] == list(lines[80:85])
    assert lost["measurements"] == int(external.responses["sample"].isin(lines[80:85]).sum())
    assert any("Training lost 10 samples" in note for note in found.notes)
    assert any("The external study has no view 'mine'" in note for note in found.notes)


def test_a_question_is_no_study(studies: tuple[ResponseData, ResponseData]) -> None:
    with pytest.raises(DataError, match="the external study is a question"):
        harmonised(studies[0], studies[1].as_question())


def test_nothing_left_to_learn_from(simulated: tuple[ResponseData, pd.Series]) -> None:
    data = simulated[0]
    lines = data.samples.index
    with pytest.raises(DataError, match=r"remove='samples' leaves 1 of 61 training samples.*remove='none'"):
        harmonised(chosen(data, lines[:61]), chosen(data, lines[:60], seed=1))
    few = harmonised(chosen(data, lines[:70]), chosen(data, lines[:60], seed=1))
    assert any("Only 10 samples are left to learn from" in note for note in few.notes)


def test_drugs_that_went_with_the_removed_samples(simulated: tuple[ResponseData, pd.Series]) -> None:
    data = simulated[0]
    lines, drugs = data.samples.index, data.drugs.index
    first, second = chosen(data, lines[:60], drugs[:4]), chosen(data, lines[60:], drugs[4:])
    train = replace(data, responses=pd.concat([first.responses, second.responses], ignore_index=True))
    with pytest.raises(UnknownIds, match=r"drug in training only with what was removed \(remove='samples'\)"):
        harmonised(train, first)


def test_a_copy_of_a_study_is_not_taken_for_another_one(simulated: tuple[ResponseData, pd.Series]) -> None:
    data = simulated[0]
    lines = data.samples.index
    part = data.take(data.responses["sample"].isin(lines[60:]).to_numpy())
    found = harmonised(data, part)
    assert found.overlap["agreement"]["rmse"] == 0.0
    assert "one that stands in both studies" in found.notes[0]


def test_one_external_sample_has_no_interval(simulated: tuple[ResponseData, pd.Series], tmp_path: Path) -> None:
    data = simulated[0]
    lines = data.samples.index
    found = cross_study(chosen(data, lines[:80]), chosen(data, lines[80:81]), tmp_path / "run", models=["ridge"])
    ends = found.leaderboard.filter(regex="_(low|high)$")
    assert ends.isna().all(axis=None)
    assert found.leaderboard["rmse"].notna().all()
    assert (found.folder / "report.html").is_file()


def test_intervals_of_the_network_and_how_often_they_held(
    studies: tuple[ResponseData, ResponseData], tmp_path: Path
) -> None:
    found = cross_study(*studies, tmp_path / "run", models=["network"], options=Options(interval=0.9))
    part = found.predictions[found.predictions["model"] == "network"]
    held = part["observed"].between(part["low"], part["high"])
    assert scores(found).loc["network", "coverage"] == pytest.approx(held.mean())
    assert 0.2 < held.mean() < 0.9  # drugs have moved by about 1: intervals of the training study hold too rarely
    assert scores(found).drop(index="network")["coverage"].isna().all()
    auc = replace(studies[1], measure="AUC", unit="")
    other = cross_study(studies[0], auc, tmp_path / "auc", models=["network"], options=Options(interval=0.9))
    assert "low" not in other.predictions


def test_replicates_are_kept(studies: tuple[ResponseData, ResponseData], tmp_path: Path) -> None:
    train, external = studies
    twice = pd.concat([external.responses.assign(replicate=r) for r in ("a", "b")], ignore_index=True)
    found = cross_study(train, replace(external, responses=twice), tmp_path / "run", models=["drug_mean"])
    once = harmonised(train, external).overlap
    assert found.overlap["pairs"] == once["pairs"]
    assert found.overlap["test"]["measurements"] == 2 * once["test"]["measurements"]


def test_annotation_that_training_alone_has_is_not_used(studies: tuple[ResponseData, ResponseData]) -> None:
    train, external = studies
    train = replace(train, samples=train.samples.assign(medium="R"))
    found = harmonised(train, external)
    assert list(found.train.samples.columns) == list(found.external.samples.columns) == ["tissue"]
    assert any("external study lacks was not used: medium" in note for note in found.notes)


def test_strange_tissues_are_said(studies: tuple[ResponseData, ResponseData]) -> None:
    train, external = studies
    other = replace(external, samples=external.samples.assign(tissue=external.samples["tissue"].str.upper()))
    notes = harmonised(train, other).notes
    assert any("60 of 60 test samples have a tissue that training does not know ('TISSUE1'" in note for note in notes)


def test_interval_of_the_per_drug_mean_is_that_of_a_plain_bootstrap() -> None:
    rng = np.random.default_rng(0)
    sample, drug = (a.ravel() for a in np.meshgrid(np.arange(30), np.arange(4), indexing="ij"))
    y = rng.normal(size=120) + 100 * drug
    p = y + rng.normal(size=120)
    p[drug == 3] = 1.0  # a constant prediction has no correlation and is left out
    found = within_drugs(y, p, drug, sample, seed=7)
    drawn = []
    for block in metrics.bootstrap_weights(30, 1000, 7):
        for weights in block.astype(int):
            rows = np.repeat(np.arange(120), weights[sample])
            drawn.append(np.mean([np.corrcoef(y[r], p[r])[0, 1] for d in range(3) if len(r := rows[drug[rows] == d])]))
    np.testing.assert_allclose(found[1:], np.quantile(drawn, [0.025, 0.975]), rtol=1e-9)
    assert found.value == pytest.approx(metrics.mean_within(y, p, drug))


@pytest.mark.real_data
def test_an_older_release_of_the_same_screen(data_dir: Path) -> None:
    older = read_inputs(data_dir / "IC50_10drugs.tsv", omics={"genomic": data_dir / "genomic_features_10drugs.tsv.gz"})
    v17 = load_gdsc_v17(progress=False)
    with pytest.raises(UnknownIds, match=r"drug not in training: 375; drug in training only with .*: 8,248"):
        harmonised(v17, older)
    found = harmonised(v17, older, remove="none")
    assert found.overlap["samples"]["both"] == 883
    assert found.overlap["drugs"]["both"] == 10
    assert found.overlap["agreement"]["rmse"] < 1e-6
    assert found.overlap["views"][0]["both"] == 48
    assert any("one that stands in both studies" in note for note in found.notes)
