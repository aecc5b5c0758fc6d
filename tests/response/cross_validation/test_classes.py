from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellixir.data.response_data import ResponseData
from cellixir.data.splits import Fold, make_folds, split_groups
from cellixir.exceptions import DataError
from cellixir.metrics import classification as metrics
from cellixir.metrics.catalogue import CLASSIFICATION
from cellixir.metrics.class_intervals import class_draws
from cellixir.report.classes import f1_note
from cellixir.response.cross_validation.classes import (
    CLASS_LEADERBOARD,
    class_bootstrap,
    class_leaderboard,
    class_overall,
    class_paired,
    class_predictions_table,
    class_scores,
    drug_auroc,
)
from cellixir.response.cross_validation.labels import fold_labels
from cellixir.response.cross_validation.report import benchmark_page
from cellixir.response.cross_validation.summary import BenchmarkSummary
from cellixir.response.models.baselines import GroupMean
from cellixir.runs import Leaderboard

PICTURES = True  # every figure is drawn

SPLIT = "LCO"


@pytest.fixture(scope="module")
def folds(screen: ResponseData) -> list[Fold]:
    return make_folds(screen, SPLIT, n_folds=3)


@pytest.fixture(scope="module")
def labels(screen: ResponseData, folds: list[Fold]) -> np.ndarray:
    return fold_labels(screen, folds, "median")[0]


@pytest.fixture(scope="module")
def predictions(screen: ResponseData, folds: list[Fold], labels: np.ndarray) -> dict[str, np.ndarray]:
    """Rates of baselines, a model that sees the label through noise (network) and one through more (ridge)."""
    rng = np.random.default_rng(0)
    learned = fold_labels(screen, folds, "median")[1]
    makers = {"global_mean": "all", "drug_mean": "drug", "tissue_mean": "tissue"}
    told = {name: np.full(len(screen), np.nan) for name in makers}
    for fold, rule in zip(folds, learned, strict=True):
        known = rule.transform(screen.take(np.concatenate([fold.train, fold.validation])))
        test = screen.take(fold.test).as_question()
        for name, group in makers.items():
            told[name][fold.test] = GroupMean(group).fit(known).predict(test)
    noise = rng.normal(size=(2, len(screen)))
    # least squares leaves 0 to 1 here and there
    return told | {"network": 0.2 + 0.6 * labels + 0.3 * noise[0], "ridge": 0.3 + 0.4 * labels + 0.6 * noise[1]}


@pytest.fixture(scope="module")
def seconds(predictions: dict[str, np.ndarray]) -> pd.DataFrame:
    return pd.DataFrame([(m, f, 2.0) for m in predictions for f in range(3)], columns=["model", "fold", "seconds"])


@pytest.fixture(scope="module")
def draws(screen, folds, predictions, labels):
    return class_bootstrap(screen, SPLIT, folds, predictions, labels, seed=0, n=100)


@pytest.fixture(scope="module")
def overall(screen, folds, predictions, labels, seconds, draws) -> pd.DataFrame:
    return class_overall(screen, SPLIT, folds, predictions, labels, seconds, seed=0, draws=draws)


def summarised(
    screen: ResponseData, board: Leaderboard, predictions: pd.DataFrame, folds: pd.DataFrame | None = None
) -> BenchmarkSummary:
    """What the page is told."""
    nothing = pd.DataFrame()
    return BenchmarkSummary(
        "a screen", SPLIT, board, nothing if folds is None else folds, predictions, screen.samples, screen.drugs,
        nothing, "", {}, ["Two lines were left out."], nothing,
        rule="sensitive is below the drug's median in training",
    )  # fmt: skip


@pytest.fixture(scope="module")
def summary(screen, folds, predictions, labels, seconds, draws, overall) -> BenchmarkSummary:
    paired = class_paired(screen, SPLIT, folds, predictions, labels, seed=0, draws=draws)
    return summarised(
        screen,
        Leaderboard(overall, paired, "auroc", CLASSIFICATION),
        class_predictions_table(screen, folds, predictions, labels),
        class_leaderboard(screen, SPLIT, folds, predictions, labels, seconds),
    )


def headline(table: pd.DataFrame) -> str:
    """What is said of models whose gain is over the baseline ``mean``."""
    gains = table[["model", "auroc_gain", "auroc_gain_low", "auroc_gain_high"]].dropna()
    gains.columns = ["model", "auroc_difference", "low", "high"]
    return Leaderboard(table, gains.assign(reference="mean"), "auroc", CLASSIFICATION).headline()


def test_scores_of_a_fold_are_those_of_the_metrics(screen, folds, labels, predictions) -> None:
    rows = folds[0].test
    y, p = labels[rows], np.clip(predictions["network"][rows], 0, 1)
    assert (p != predictions["network"][rows]).any()
    score = class_scores(y, predictions["network"][rows], screen.drug_index[rows])
    assert {k: score[k] for k in metrics.CLASS_METRICS} == metrics.class_score(y, p)
    assert score["prevalence"] == y.mean()
    assert score["per_drug_auroc"] == metrics.mean_within_auroc(y, p, screen.drug_index[rows])


def test_a_prediction_that_is_not_finite_has_no_score() -> None:
    score = class_scores(np.array([0.0, 1.0]), np.array([0.5, np.nan]), np.array([0, 0]))
    assert {k for k, v in score.items() if not np.isnan(v)} == {"prevalence"}


def test_one_row_a_model_and_fold(summary: BenchmarkSummary, predictions) -> None:
    table = summary.folds
    assert list(table.columns) == CLASS_LEADERBOARD
    assert len(table) == 3 * len(predictions)
    flat = table[table["model"] == "global_mean"]
    assert (flat["auroc"] == 0.5).all()
    assert (flat["per_drug_auroc"] == 0.5).all()
    np.testing.assert_allclose(flat["auprc"], flat["prevalence"])


def test_overall_values_are_within_folds_and_drugs(screen, folds, labels, predictions, overall) -> None:
    row = overall.set_index("model").loc["ridge"]
    fold_of = np.empty(len(screen), dtype=int)
    for fold in folds:
        fold_of[fold.test] = fold.number
    p = np.clip(predictions["ridge"], 0, 1)
    expected = metrics.class_score(labels, p, strata=fold_of)
    for name, value in expected.items():
        assert row[name] == pytest.approx(value), name
    cells = fold_of * 100 + screen.drug_index
    assert row["per_drug_auroc"] == pytest.approx(metrics.mean_within_auroc(labels, p, cells))
    assert row["seconds"] == 6
    for name in ("auroc", "per_drug_auroc", "auprc", "balanced_accuracy", "brier"):
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_intervals_are_over_the_unit_that_was_left_out(screen, folds, labels, predictions, draws) -> None:
    p = np.clip(predictions["network"], 0, 1)
    drawn = class_draws(labels, p, split_groups(screen, SPLIT), n=100, seed=0)
    np.testing.assert_allclose(draws["network"]["brier"], drawn["brier"])
    with_pairs = class_bootstrap(screen, "LPO", folds, {"network": p}, labels, seed=0, n=100)
    assert not np.allclose(with_pairs["network"]["brier"][1:], drawn["brier"][1:])


def test_the_gain_is_over_the_best_baseline(overall: pd.DataFrame, draws) -> None:
    table = overall.set_index("model")
    naive = overall.loc[overall["kind"] == "baseline", "model"].iloc[0]
    assert overall["auroc"].is_monotonic_decreasing
    assert overall["model"].iloc[0] == "network"
    assert np.isnan(table.loc[naive, "auroc_gain"])
    assert table.loc["network", "auroc_gain"] == pytest.approx(
        table.loc["network", "auroc"] - table.loc[naive, "auroc"]
    )
    difference = draws["network"]["auroc"] - draws[naive]["auroc"]
    assert table.loc["network", "auroc_gain_low"] == pytest.approx(np.quantile(difference[1:], 0.025))


def test_pairs_of_models_and_references(summary: BenchmarkSummary, screen, folds, predictions, labels, draws) -> None:
    assert list(summary.board.paired.columns) == ["model", "reference", "auroc_difference", "low", "high"]
    assert set(summary.board.paired["model"]) == {"network", "ridge"}
    assert summary.board.paired["reference"].nunique() == 1
    more = predictions | {"random_forest": predictions["ridge"], "mean_effects": predictions["drug_mean"]}
    also = draws | {"random_forest": draws["ridge"], "mean_effects": draws["drug_mean"]}
    table = class_paired(screen, SPLIT, folds, more, labels, seed=0, draws=also)
    assert set(table["reference"]) >= {"random_forest", "mean_effects"}
    same = table[(table["model"] == "ridge") & (table["reference"] == "random_forest")]
    assert same[["auroc_difference", "low", "high"]].to_numpy().tolist() == [[0, 0, 0]]


def test_a_model_that_failed_stands_last_with_no_value(screen, folds, predictions, labels, seconds) -> None:
    some = {"drug_mean": predictions["drug_mean"], "network": np.full(len(screen), np.nan)}
    draws = class_bootstrap(screen, SPLIT, folds, some, labels, seed=0, n=5)
    table = class_overall(screen, SPLIT, folds, some, labels, seconds, seed=0, draws=draws)
    assert table["model"].to_list() == ["drug_mean", "network"]
    assert table.loc[1, ["auroc", "brier", "f1", "log_loss"]].isna().all()
    assert headline(table).endswith("only naive baselines were run.")
    board = Leaderboard(table, pd.DataFrame(), "auroc", CLASSIFICATION)
    page = benchmark_page(summarised(screen, board, class_predictions_table(screen, folds, some, labels))).render()
    assert "Confusion matrix" in page


def test_predictions_table_holds_labels_and_clipped_probabilities(summary: BenchmarkSummary, screen, folds) -> None:
    table = summary.predictions
    assert set(table["observed"]) == {0.0, 1.0}
    assert table["predicted"].between(0, 1).all()
    assert len(table) == 5 * len(screen)


def test_drug_auroc_compares_within_folds() -> None:
    pairs = pd.DataFrame(
        {
            "drug": list("aaaabb"),
            "fold": [0, 0, 1, 1, 0, 1],
            "observed": [1.0, 0, 1, 0, 1, 0],
            "predicted": [0.9, 0.8, 0.2, 0.1, 0.4, 0.3],
        }
    )
    table = drug_auroc(pairs)
    assert table.loc["a"].to_list() == [4, 2, 1.0]
    assert table.loc["b", ["n", "sensitive"]].to_list() == [2, 1]
    assert np.isnan(table.loc["b", "auroc"])  # its two classes are never in one fold


def board(**models: tuple[str, float, float, float, float]) -> pd.DataFrame:
    rows = [(name, *values) for name, values in models.items()]
    return pd.DataFrame(rows, columns=["model", "kind", "auroc", "auroc_gain", "auroc_gain_low", "auroc_gain_high"])


NAN = float("nan")
NAIVE = ("baseline", 0.7, NAN, NAN, NAN)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            board(net=("network", 0.75, 0.05, 0.03, 0.07), mean=NAIVE),
            "net has the highest AUROC, 0.750, which is 0.050 (0.030 to 0.070), or 7.1%, higher than the 0.700 of the "
            "strongest naive baseline, mean.",
        ),
        (
            board(net=("network", 0.71, 0.01, -0.02, 0.04), mean=NAIVE),
            "net has the highest AUROC, 0.710, but is not shown to be better: the gain over the 0.700 of the strongest "
            "naive baseline, mean, is 0.010 and its interval (−0.020 to 0.040) includes zero.",
        ),
        (
            board(net=("network", 0.69, -0.01, -0.02, 0.0001), mean=NAIVE),
            "No model beats the naive baseline: mean has the highest AUROC, 0.700, and the best model, net, is 0.010 "
            "lower (0.000 to 0.020).",
        ),
        (board(mean=NAIVE), "mean has the highest AUROC, 0.700; only naive baselines were run."),
        (
            board(net=("network", 0.8, NAN, NAN, NAN)),
            "net has the highest AUROC, 0.800; no naive baseline was run, so nothing can be said about a gain over "
            "one.",
        ),
        (board(net=("network", NAN, NAN, NAN, NAN)), "No model has an AUROC: it is defined on no test rows."),
    ],
)  # fmt: skip
def test_headline_says_no_more_than_is_shown(table: pd.DataFrame, said: str) -> None:
    assert headline(table) == said


def test_f1_note_tells_the_bound_and_the_guess() -> None:
    text = f1_note(np.array([1.0, 0, 0, 0]), np.array([0.4, 0.3, 0.2, 0.1]))
    assert text.startswith("F1 at 0.5 is 0.000. Calling every pair sensitive gives 0.400, and the largest F1")
    assert "is 1.000, at 0.400" in text
    assert "no F1" in f1_note(np.zeros(3), np.zeros(3))


def test_sections_of_the_page(summary: BenchmarkSummary, tmp_path: Path) -> None:
    page = benchmark_page(summary).write(tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.findall(r"<h2>(.*?)</h2>", page) == [
        "Headline",
        "Leaderboard",
        "How it was split",
        "How well the classes are told apart",
        "Calibration",
        "Confusion matrix",
        "Per-drug performance",
        "Missing values",
    ]
    assert not re.search(r"https?:", page)
    assert "Two lines were left out." in page
    assert "sensitive is below" in page
    best = summary.pairs("network")
    for count in metrics.confusion_matrix(best["observed"], best["predicted"]).ravel():
        assert f">{count:,}</text>" in page
    assert f"network, {summary.board.ranked.loc[0, 'auroc']:.3f}" in page
    assert page.count("<svg") >= 7


def test_what_the_page_cannot_do_without_is_named(summary: BenchmarkSummary) -> None:
    table = summary.board.table
    with pytest.raises(DataError, match="the leaderboard has no column 'auroc'"):
        replace(summary.board, table=table.drop(columns="auroc"))
    with pytest.raises(DataError, match="No model has an AUROC"):
        replace(summary, board=replace(summary.board, table=table.assign(auroc=np.nan)))
    with pytest.raises(DataError, match="table 'predictions' has no column 'observed'"):
        replace(summary, predictions=summary.predictions.drop(columns="observed"))


def test_a_drug_without_a_class_is_left_out_and_counted(summary: BenchmarkSummary) -> None:
    first = summary.predictions["drug"] == "d00"
    one = summary.predictions.assign(observed=summary.predictions["observed"].mask(first, 0.0))
    page = benchmark_page(replace(summary, predictions=one)).render()
    assert "Drugs with both classes in no fold, left out: 1." in page
