from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cellixir import metrics
from cellixir.data.response_data import ResponseData
from cellixir.data.splits import make_folds, read_folds
from cellixir.exceptions import ConfigurationError, DataError
from cellixir.response.cross_validation.evaluation import holding
from cellixir.response.cross_validation.models import BASELINES, MODELS, ModelSpec
from cellixir.response.cross_validation.run import benchmark
from cellixir.response.models.effects import Effects
from cellixir.response.models.ridge import RidgePerDrug
from cellixir.runs import Found, Piece, read_manifest

LEADERBOARD = [
    "split", "model", "fold", "n_train", "n_test", "rmse", "mse", "mae", "r2", "pearson", "spearman",
    "normalised_pearson", "per_drug_pearson", "seconds",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(simulate_screen: Callable[..., Any]) -> ResponseData:
    return simulate_screen(n_samples=60, n_drugs=12, n_features=30, seed=1)[0]


@pytest.fixture(scope="module")
def folder(data: ResponseData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "lco"
    benchmark(data, "LCO", out, models=["ridge"], n_folds=3)
    return out


def test_files_are_those_of_the_interface(data: ResponseData, folder: Path) -> None:
    leaderboard = pd.read_csv(folder / "leaderboard.csv")
    assert list(leaderboard.columns) == LEADERBOARD
    assert len(leaderboard) == 3 * (len(BASELINES) + 1)
    assert set(leaderboard["model"]) == {*BASELINES, "ridge"}
    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert list(predictions.columns) == ["sample", "drug", "fold", "model", "observed", "predicted"]
    assert len(predictions) == len(data) * (len(BASELINES) + 1)
    assert "<html" in (folder / "report.html").read_text()[:200].lower()


def test_leaderboard_agrees_with_the_predictions(folder: Path) -> None:
    leaderboard = pd.read_csv(folder / "leaderboard.csv").set_index(["model", "fold"])
    predictions = pd.read_parquet(folder / "predictions.parquet")
    for (model, fold), part in predictions.groupby(["model", "fold"], observed=True):
        row = leaderboard.loc[(model, fold)]
        assert row["rmse"] == pytest.approx(metrics.rmse(part["observed"], part["predicted"]), rel=1e-9)
        assert row["n_test"] == len(part)


def test_every_pair_is_tested_once_and_observed_is_what_was_measured(data: ResponseData, folder: Path) -> None:
    predictions = pd.read_parquet(folder / "predictions.parquet")
    ridge = predictions[predictions["model"] == "ridge"].astype({"sample": str, "drug": str})
    joined = data.responses.merge(ridge, on=["sample", "drug"], validate="one_to_one")
    assert len(joined) == len(data)
    np.testing.assert_array_equal(joined["response"], joined["observed"])


def test_the_written_split_reads_back(data: ResponseData, folder: Path) -> None:
    for written, made in zip(
        read_folds(folder / "split.csv.gz", data, "LCO"), make_folds(data, "LCO", n_folds=3), strict=True
    ):
        np.testing.assert_array_equal(written.test, made.test)
        np.testing.assert_array_equal(written.validation, made.validation)


def test_intervals_hold_the_value(folder: Path) -> None:
    overall = pd.read_csv(folder / "overall.csv")
    assert (overall["rmse_low"] < overall["rmse"]).all()
    assert (overall["rmse"] < overall["rmse_high"]).all()
    paired = pd.read_csv(folder / "paired.csv")
    ridge = overall.set_index("model").loc["ridge", "rmse"]
    best_baseline = overall[overall["kind"] == "baseline"]["rmse"].min()
    assert paired.loc[0, "rmse_difference"] == pytest.approx(ridge - best_baseline, rel=1e-9)


def forbidden(*arguments: object) -> None:
    pytest.fail("a finished piece was run again")


def test_a_second_run_does_nothing_twice(data: ResponseData, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / "leaderboard.csv").read_bytes()
    monkeypatch.setattr(RidgePerDrug, "fit", forbidden)
    monkeypatch.setattr(Piece, "run", forbidden)
    benchmark(data, "LCO", folder, models=["ridge"], n_folds=3)
    assert (folder / "leaderboard.csv").read_bytes() == before


def test_a_stopped_run_goes_on_and_ends_the_same(
    data: ResponseData, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Piece.run

    def stops(piece: Piece, *args: Any) -> Found:
        if piece.labels == {"model": "ridge", "fold": 1}:
            raise KeyboardInterrupt
        return run(piece, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Piece, "run", stops)
        with pytest.raises(KeyboardInterrupt):
            benchmark(data, "LCO", tmp_path / "out", models=["ridge"], n_folds=3)
    assert not (tmp_path / "out" / "leaderboard.csv").exists()
    assert read_manifest(tmp_path / "out")["state"] == "stopped"
    benchmark(data, "LCO", tmp_path / "out", models=["ridge"], n_folds=3)
    again, once = (pd.read_parquet(f / "predictions.parquet") for f in (tmp_path / "out", folder))
    pd.testing.assert_frame_equal(again, once)


def test_another_benchmark_is_refused_and_left_as_it_is(data: ResponseData, folder: Path) -> None:
    before = (folder / "run.json").read_text()
    with pytest.raises(ConfigurationError, match="other data, split, folds, labels or seed"):
        benchmark(data, "LPO", folder, models=["ridge"], n_folds=3)
    assert (folder / "run.json").read_text() == before


def test_a_folder_with_other_things_is_refused(data: ResponseData, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="holds other things"):
        benchmark(data, "LCO", tmp_path, models=["ridge"])
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


class Spy:
    """Keeps what it was given, predicts zeros."""

    seen: list[ResponseData]
    asked: list[ResponseData]

    def fit(self, data: ResponseData, validation: object = None) -> Spy:
        Spy.seen.append(data)
        return self

    def predict(self, data: ResponseData) -> np.ndarray:
        Spy.asked.append(data)
        return np.zeros(len(data))


@pytest.mark.parametrize("split", ["LPO", "LCO", "LDO", "LTO"])
def test_no_model_sees_a_test_response(
    data: ResponseData, split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spy.seen, Spy.asked = [], []
    monkeypatch.setitem(MODELS, "ridge", ModelSpec("ridge", "linear", lambda split, seed, options: Spy()))
    benchmark(data, split, tmp_path / "out", models=["ridge"], n_folds=3)
    assert len(Spy.seen) == len(Spy.asked) == 3
    for fitted, asked in zip(Spy.seen, Spy.asked, strict=True):
        assert np.isnan(asked.response).all()
        pairs = [set(zip(d.responses["sample"], d.responses["drug"], strict=True)) for d in (fitted, asked)]
        assert not pairs[0] & pairs[1]


def test_same_seed_same_predictions_of_the_network(data: ResponseData, tmp_path: Path) -> None:
    tables = []
    for name in ("a", "b"):
        benchmark(data, "LPO", tmp_path / name, models=["network"], n_folds=2, seed=3)
        tables.append(pd.read_parquet(tmp_path / name / "predictions.parquet"))
    pd.testing.assert_frame_equal(*tables)


def test_a_piece_of_other_settings_is_done_again(data: ResponseData, folder: Path) -> None:
    file = folder / "pieces" / "ridge" / "fold-0" / "piece.json"
    facts = json.loads(file.read_text())
    file.write_text(json.dumps(facts | {"key": "of another preset"}))
    benchmark(data, "LCO", folder, models=["ridge"], n_folds=3)
    assert json.loads(file.read_text())["key"] == facts["key"]


def test_a_model_that_raises_loses_no_other_and_is_listed(
    data: ResponseData, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = RidgePerDrug.fit

    def fails(model: RidgePerDrug, known: ResponseData, validation: Any = None) -> RidgePerDrug:
        if known.responses["sample"].nunique() == len(data.samples) * 2 // 3 and not done:
            done.append(1)
            message = "singular"
            raise ValueError(message)
        return fit(model, known, validation)

    done: list[int] = []
    monkeypatch.setattr(RidgePerDrug, "fit", fails)
    out = tmp_path / "out"
    result = benchmark(data, "LCO", out, models=["ridge"], n_folds=3)
    assert set(result.overall["model"]) == set(result.leaderboard["model"]) == set(BASELINES)
    once = pd.read_csv(folder / "overall.csv").set_index("model").drop(index="ridge")
    now = pd.read_csv(out / "overall.csv").set_index("model")
    pd.testing.assert_frame_equal(now.drop(columns="seconds"), once.drop(columns="seconds"), check_exact=True)
    expected = [{"model": "ridge", "fold": 0, "error": "ValueError: singular"}]
    assert result.failures.to_dict("records") == pd.read_csv(out / "failures.csv").to_dict("records") == expected
    assert (read_manifest(out)["state"], read_manifest(out)["failures"]) == ("done", 1)
    page = (out / "report.html").read_text()
    assert "ValueError: singular" in page
    assert "Failed, and in no table: ridge." in page
    mended = benchmark(data, "LCO", out, models=["ridge"], n_folds=3)  # the piece that failed is tried again
    assert "ridge" in set(mended.overall["model"])
    assert mended.failures.empty
    assert not (out / "failures.csv").exists()


def test_without_the_baseline_of_the_scores_there_is_no_table(
    data: ResponseData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Effects, "fit", lambda *args, **named: 1 / 0)
    with pytest.raises(DataError, match=r"the naive baseline mean_effects failed.*division by zero"):
        benchmark(data, "LCO", tmp_path / "out", models=["drug_mean"], n_folds=3)
    assert read_manifest(tmp_path / "out")["state"] == "failed"
    assert "mean_effects" in set(pd.read_csv(tmp_path / "out" / "failures.csv")["model"])


def test_another_version_does_every_piece_anew(
    data: ResponseData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = benchmark(data, "LCO", tmp_path / "out", models=["ridge"], n_folds=3).overall.set_index("model")
    monkeypatch.setattr("cellixir.runs.piece.__version__", "99.0")
    monkeypatch.setattr(RidgePerDrug, "predict", lambda model, question: np.zeros(len(question)))
    new = benchmark(data, "LCO", tmp_path / "out", models=["ridge"], n_folds=3).overall.set_index("model")
    zero = float(np.sqrt(np.mean(data.response**2)))
    assert new.loc["ridge", "rmse"] == pytest.approx(zero)
    assert old.loc["ridge", "rmse"] < 0.9 * zero
    versions = {json.loads(f.read_text())["version"] for f in (tmp_path / "out").rglob("piece.json")}
    assert versions == {"99.0"}


def test_two_processes_give_the_same(data: ResponseData, folder: Path, tmp_path: Path) -> None:
    benchmark(data, "LCO", tmp_path / "out", models=["ridge"], n_folds=3, jobs=2)
    again, once = (pd.read_parquet(f / "predictions.parquet") for f in (tmp_path / "out", folder))
    pd.testing.assert_frame_equal(again, once, check_exact=True)


def test_a_prediction_without_the_naive_effects_has_no_normalised_correlation() -> None:
    """The mean of few, noisy drugs stands with a minus on both sides, and a constant would seem to know something."""
    rng = np.random.default_rng(0)
    effects, y = np.repeat(rng.normal(size=200), 4), rng.normal(size=800)
    constant = np.zeros(800)
    assert metrics.pearson(y - effects, constant - effects) > 0.5
    assert np.isnan(metrics.pearson(y - effects, holding(constant, effects) - effects))
    told = effects + 0.1 * y
    assert holding(told, effects) is told
