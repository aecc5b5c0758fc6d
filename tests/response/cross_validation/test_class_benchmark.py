"""Sensitive or resistant, from the benchmark's folder to its leaderboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cellixir.data.response_data import ResponseData
from cellixir.data.splits import Fold, make_folds
from cellixir.exceptions import ConfigurationError, DataError
from cellixir.response.cross_validation import models
from cellixir.response.cross_validation.labels import MEASURE, Labels, fold_labels
from cellixir.response.cross_validation.models import BASELINES, ModelSpec, Options
from cellixir.response.cross_validation.output import BenchmarkResult
from cellixir.response.cross_validation.pieces import fold_pieces, sides_of
from cellixir.response.cross_validation.run import benchmark
from cellixir.response.network.architecture import Architecture
from cellixir.response.network.predictor import ResponsePredictor
from cellixir.runs import read_manifest
from cellixir.training import TrainingConfig

RULES = ("zscore=-1", "median", "threshold=1.5")


@pytest.fixture(scope="module")
def data(simulate_screen: Callable[..., Any]) -> ResponseData:
    """Twelve drugs against four targets, each with two strong markers."""
    return simulate_screen(n_samples=80, n_drugs=12, n_features=20, n_targets=4, noise_sd=0.3, seed=3)[0]


@pytest.fixture(scope="module")
def folds(data: ResponseData) -> list[Fold]:
    return make_folds(data, "LCO", n_folds=2)


def network(split: str, seed: int, options: Options) -> ResponsePredictor:
    shape = Architecture(latent=8, encoder=16, head=0, dropout=0.1, input_dropout=0.1)
    training = TrainingConfig(max_epochs=3, batch_size=1024)
    return ResponsePredictor(split, architecture=shape, training=training, members=2, seed=seed, device="cpu")


@pytest.fixture(scope="module", params=RULES)
def run(
    request: pytest.FixtureRequest, data: ResponseData, folds: list[Fold], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, BenchmarkResult]:
    """A benchmark by each rule; the network is small and fitted in a hurry."""
    folder = tmp_path_factory.mktemp("classes") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.MODELS, "network", ModelSpec("network", "network", network))
        result = benchmark(
            data,
            "LCO",
            folder,
            models=["ridge", "network"],
            folds=folds,
            task="classification",
            rule=request.param,
        )
    return request.param, result


def test_the_folder_holds_tables_predictions_and_the_page(run: tuple[str, BenchmarkResult], data: ResponseData) -> None:
    rule, result = run
    names = {path.name for path in result.folder.iterdir()}
    assert {"leaderboard.csv", "overall.csv", "paired.csv", "predictions.parquet", "split.csv.gz"} <= names
    assert {"audit.json", "report.html", "run.json"} <= names
    assert set(result.overall["model"]) == {*BASELINES, "ridge", "network"}
    assert "AUROC" in (result.folder / "report.html").read_text()
    manifest = read_manifest(result.folder)
    assert (manifest["settings"]["task"], manifest["settings"]["label"]) == ("classification", rule)
    assert manifest["headline"] == result.headline
    long = pd.read_parquet(result.folder / "predictions.parquet")
    assert long["predicted"].between(0, 1).all()
    assert len(long) == len(data) * (len(BASELINES) + 2)
    assert not {"low", "high"} & set(long.columns)
    assert result.coverage is None
    assert "coverage.csv" not in names


def test_labels_are_those_of_the_thresholds_of_training_rows(
    run: tuple[str, BenchmarkResult], data: ResponseData, folds: list[Fold]
) -> None:
    rule, result = run
    long = pd.read_parquet(result.folder / "predictions.parquet")
    ridge = long[long["model"] == "ridge"]
    labels = ridge.drop(columns=["model", "fold", "predicted"])
    column = next(c for c in labels if c not in ("sample", "drug"))
    expected = []
    for fold in folds:
        fit, test = np.concatenate([fold.train, fold.validation]), data.take(fold.test)
        if rule == "median":
            line = data.take(fit).responses.groupby("drug")["response"].median()
        elif rule == "zscore=-1":
            groups = data.take(fit).responses.groupby("drug")["response"]
            line = groups.mean() - groups.std(ddof=0)
        else:
            line = pd.Series(1.5, index=data.drugs.index)
        expected.append(test.response < line.loc[test.responses["drug"]].to_numpy())
    assert (labels[column].to_numpy() == np.concatenate(expected)).all()


def test_models_beat_the_base_rate_where_a_signal_was_planted(run: tuple[str, BenchmarkResult]) -> None:
    overall = run[1].overall.set_index("model")
    best_baseline = overall.loc[overall["kind"] == "baseline", "per_drug_auroc"].max()
    for model in ("ridge", "network"):
        assert overall.loc[model, "per_drug_auroc"] > max(0.63, best_baseline + 0.05)
        assert overall.loc[model, "auroc"] > overall.loc["global_mean", "auroc"] + 0.1
        assert overall.loc[model, "brier"] < overall.loc["global_mean", "brier"]


def test_models_learn_labels_and_no_test_response(data: ResponseData, folds: list[Fold]) -> None:
    fold = folds[0]
    fit = np.sort(np.concatenate([fold.train, fold.validation]))
    labels = Labels.fit(data.take(fit), "median")
    sides = sides_of(data, fold, labels)
    assert sides.known.measure == MEASURE
    assert set(sides.known.response) == {0.0, 1.0}
    assert sides.known.response.mean() == pytest.approx(0.5, abs=0.05)
    assert len(sides.question) == len(fold.test)
    assert np.isnan(sides.question.response).all()
    assert not sides.question.measured
    np.testing.assert_array_equal(sides.known.responses["sample"], data.take(fit).responses["sample"])
    np.testing.assert_array_equal(fit[sides.validation], fold.validation)


def test_pieces_of_another_rule_are_other_pieces(data: ResponseData, folds: list[Fold]) -> None:
    keys = set()
    for rule, side in (("median", "below"), ("zscore=-1", "below"), ("median", "above"), ("", "")):
        labels = fold_labels(data, folds, rule, sensitive=side)[1] if rule else None
        piece = fold_pieces(data, folds, "LCO", 0, Options(), labels)(models.MODELS["ridge"])[0]
        keys.add(piece.key(data.fingerprint))
    assert len(keys) == 4


def test_a_folder_of_another_rule_or_task_is_refused(
    run: tuple[str, BenchmarkResult], data: ResponseData, folds: list[Fold]
) -> None:
    rule, result = run
    other = "median" if rule != "median" else "zscore=-1"
    before = (result.folder / "run.json").read_text()
    for options in (
        {"task": "classification", "rule": other},
        {"task": "classification", "rule": rule, "sensitive": "above"},
        {"task": "regression"},
    ):
        with pytest.raises(ConfigurationError, match="labels"):
            benchmark(data, "LCO", result.folder, models=["ridge"], folds=folds, **options)  # type: ignore[arg-type]
    assert (result.folder / "run.json").read_text() == before


@pytest.mark.parametrize("rule", ["threshold=-1000", "threshold=1000"])
def test_data_of_one_class_are_refused_and_the_folder_stays_free(
    data: ResponseData, folds: list[Fold], rule: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=rf"by the rule {rule}.*responses run from"):
        benchmark(data, "LCO", tmp_path / "run", models=["ridge"], folds=folds, task="classification", rule=rule)
    ones = replace(data, responses=data.responses.assign(response=1.0))
    with pytest.raises(DataError, match="every response is 1"):
        benchmark(ones, "LCO", tmp_path / "run", models=["ridge"], folds=folds, task="classification")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"task": "ranking"}, "'ranking'"),
        ({"task": "classification", "rule": "tertile"}, "'tertile'"),
        ({"task": "classification", "rule": "zscore=low"}, "'low'"),
        ({"task": "classification", "sensitive": "left"}, "'left'"),
        ({"task": "classification", "options": Options(interval=0.9)}, "probability instead"),
    ],
)
def test_what_cannot_work_leaves_nothing_behind(
    data: ResponseData, folds: list[Fold], options: dict[str, object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        benchmark(data, "LCO", tmp_path / "run", models=["ridge"], folds=folds, **options)  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
