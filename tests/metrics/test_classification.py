from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from cellixir.exceptions import InvalidValues
from cellixir.metrics import classification as c
from cellixir.metrics.class_intervals import class_draws, class_intervals
from cellixir.metrics.intervals import bootstrap_weights

Y = np.array([1, 1, 1, 0, 0, 0, 0, 0], dtype=float)
P = np.array([0.9, 0.6, 0.2, 0.7, 0.4, 0.3, 0.1, 0.0])  # TP 2, FN 1, FP 1, TN 4


def tied(n: int, seed: int, rate: float = 0.3, steps: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities with many equal ones."""
    rng = np.random.default_rng(seed)
    p = rng.integers(0, steps + 1, n) / steps
    return (rng.random(n) < 2 * rate * p).astype(float), p


def test_closed_forms_of_a_table_by_hand() -> None:
    score = c.class_score(Y, P)
    assert tuple(score) == c.CLASS_METRICS
    assert score["accuracy"] == 6 / 8
    assert score["balanced_accuracy"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert score["precision"] == 2 / 3
    assert score["recall"] == 2 / 3
    assert score["f1"] == pytest.approx(2 / 3)
    assert score["matthews"] == pytest.approx((2 * 4 - 1) / np.sqrt(3 * 5 * 3 * 5))
    # of 15 pairs, .9 wins 5, .6 wins 4, .2 wins 2
    assert score["auroc"] == pytest.approx(11 / 15)
    assert score["auprc"] == pytest.approx((1 / 1 + 2 / 3 + 3 / 6) / 3)
    assert score["brier"] == pytest.approx((0.01 + 0.16 + 0.64 + 0.49 + 0.16 + 0.09 + 0.01) / 8)


@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_every_metric_is_that_of_scikit_learn_with_ties(seed: int, n: int, steps: int) -> None:
    y, p = tied(n, seed, rate=0.5, steps=steps)
    y[:2] = 0, 1
    called, score = p >= 0.5, c.class_score(y, p)
    assert score["auroc"] == pytest.approx(sk.roc_auc_score(y, p))
    assert score["auprc"] == pytest.approx(sk.average_precision_score(y, p))
    assert score["brier"] == pytest.approx(sk.brier_score_loss(y, p))
    assert score["log_loss"] == pytest.approx(sk.log_loss(y, p, labels=[0, 1]))
    assert score["accuracy"] == pytest.approx(sk.accuracy_score(y, called))
    assert score["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(y, called))
    assert score["f1"] == pytest.approx(sk.f1_score(y, called))
    assert score["recall"] == pytest.approx(sk.recall_score(y, called))
    if called.any():
        assert score["precision"] == pytest.approx(sk.precision_score(y, called))
    if called.any() and not called.all():
        assert score["matthews"] == pytest.approx(sk.matthews_corrcoef(y, called))
    np.testing.assert_array_equal(c.confusion_matrix(y, p), sk.confusion_matrix(y, called, labels=[0, 1]))


@given(hnp.arrays(np.float64, st.integers(2, 40), elements=st.floats(-5, 5, width=16)), st.randoms())
@settings(deadline=None)
def test_auroc_is_rank_only_and_symmetric(scores: np.ndarray, random) -> None:
    y = np.array([random.randint(0, 1) for _ in scores], dtype=float)
    area = c.auroc(y, scores)
    if len(set(y)) < 2:
        assert np.isnan(area)
        return
    assert c.auroc(y, np.exp(scores)) == pytest.approx(area)
    assert c.auroc(y, -scores) == pytest.approx(1 - area)
    assert c.auroc(1 - y, scores) == pytest.approx(1 - area)


def test_a_constant_score_says_nothing() -> None:
    assert c.auroc(Y, np.full(8, 0.3)) == 0.5
    assert c.auprc(Y, np.full(8, 0.3)) == pytest.approx(3 / 8)
    assert c.brier(Y, np.full(8, 3 / 8)) == pytest.approx(3 / 8 * 5 / 8)
    assert c.calibration_error(Y, np.full(8, 3 / 8)) == pytest.approx(0)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_has_no_area(label: float) -> None:
    score = c.class_score(np.full(5, label), np.linspace(0, 1, 5))
    undefined = {"auroc", "auprc", "balanced_accuracy", "matthews"} | ({"recall"} if label == 0 else set())
    assert {name for name, value in score.items() if np.isnan(value)} == undefined
    assert c.roc_points(np.full(5, label), np.linspace(0, 1, 5)).empty
    assert c.pr_points(np.full(5, label), np.linspace(0, 1, 5)).empty
    assert np.isnan(c.mean_within_auroc(np.full(5, label), np.linspace(0, 1, 5), np.zeros(5)))


def test_no_row_is_nothing() -> None:
    assert all(np.isnan(v) for v in c.class_score([], []).values())
    assert c.calibration_curve([], []).empty
    assert c.confusion_matrix([], []).sum() == 0
    with pytest.raises(InvalidValues, match="no row"):
        class_draws([], [], [])


def test_one_row_is_right_or_wrong() -> None:
    assert c.class_score([1], [0.8])["accuracy"] == 1
    assert np.isnan(c.class_score([1], [0.8])["auroc"])


def test_nothing_called_has_no_precision() -> None:
    score = c.class_score(Y, np.full(8, 0.1))
    assert np.isnan(score["precision"])
    assert score["recall"] == score["f1"] == c.f1(Y, np.full(8, 0.1)) == 0
    assert np.isnan(c.f1(np.zeros(3), np.zeros(3)))
    assert c.confusion_matrix(Y, P, threshold=0.2)[1, 0] == 0  # every 1 is called


def test_a_sure_mistake_costs_36_nats_and_not_infinity() -> None:
    assert c.log_loss([1, 0], [0.0, 0.0]) == pytest.approx(-np.log(np.finfo(float).eps) / 2)
    assert c.log_loss([1, 0], [0.5, 0.5]) == pytest.approx(np.log(2))


def test_calibration_error_of_two_bins() -> None:
    # bin of .1: share 1/2, gap .4; bin of .9: share 1, gap .1
    assert c.calibration_error([0, 1, 1, 1], [0.1, 0.1, 0.9, 0.9]) == pytest.approx((2 * 0.4 + 2 * 0.1) / 4)
    assert c.calibration_error([1, 0], [1.0, 0.0]) == 0  # 1 stands in the last bin


@pytest.mark.parametrize(
    ("y", "p", "said"),
    [
        ([0, 2], [0.1, 0.2], "label 2 in row 1 is neither 0 nor 1"),
        ([0, np.nan], [0.1, 0.2], "label nan in row 1"),
        ([0, 1], [0.1, np.nan], "score nan in row 1 is not a finite"),
        ([0, 1], [0.1], "give one of each"),
        ([0, 1, 1], [0.1, 1.2, -1], r"1\.2 in row 1 is not a probability \(2 such rows\)"),
    ],
)
def test_what_cannot_be_judged_is_refused(y: list[float], p: list[float], said: str) -> None:
    with pytest.raises(InvalidValues, match=said):
        c.class_score(y, p)


def test_strata_compare_only_their_own_pairs() -> None:
    y = np.array([1.0, 0, 1, 0])
    p = np.array([0.9, 0.8, 0.2, 0.1])  # right within each fold; the second model runs lower
    fold = [0, 0, 1, 1]
    assert c.auroc(y, p) == 0.75
    assert c.auroc(y, p, strata=fold) == 1
    assert c.auprc(y, p, strata=fold) == 1
    # a fold without 1s has no pair to add
    assert c.auroc([*y, 0, 0], [*p, 0.95, 0.99], strata=[*fold, 2, 2]) == 1


def test_base_rates_learned_without_the_fold_are_no_worse_than_chance() -> None:
    rng = np.random.default_rng(0)
    fold = np.repeat(np.arange(5), 200)
    y = (rng.random(1000) < np.linspace(0.1, 0.5, 5)[fold]).astype(float)
    rate = np.array([y[fold != f].mean() for f in range(5)])[fold]
    assert c.auroc(y, rate) < 0.4
    assert c.auroc(y, rate, strata=fold) == 0.5


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_within_groups_is_scikit_learn_group_by_group(seed: int) -> None:
    y, p = tied(150, seed, steps=6)
    group = np.random.default_rng(seed).integers(0, 20, 150)
    expected = [
        sk.roc_auc_score(y[group == g], p[group == g]) if len(set(y[group == g])) == 2 else np.nan for g in range(20)
    ]
    np.testing.assert_allclose(c.auroc_within(y, p, group, 20), expected, rtol=1e-12)
    if np.isfinite(expected).any():
        assert c.mean_within_auroc(y, p, group) == pytest.approx(np.nanmean(expected))


def test_small_classes_can_be_left_out() -> None:
    y, p, group = [1, 0, 1, 1, 0, 0], [0.1, 0.9, 0.8, 0.7, 0.2, 0.3], [0, 0, 1, 1, 1, 1]
    assert c.mean_within_auroc(y, p, group) == 0.5
    assert c.mean_within_auroc(y, p, group, min_members=2) == 1
    np.testing.assert_array_equal(c.auroc_within(y, p, group, 3), [0, 1, np.nan])


def test_wilson_of_a_published_example() -> None:
    # Newcombe, Stat Med 17:857 (1998), table I: 81 of 263 and 0 of 20, score interval without correction
    low, high = c.wilson([81, 0], [263, 20])
    np.testing.assert_allclose(low, [0.2553, 0.0], atol=5e-5)
    np.testing.assert_allclose(high, [0.3662, 0.1611], atol=5e-5)


def test_calibration_bins_are_of_equal_size_and_never_part_equal_values() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(10_000)
    table = c.calibration_curve((rng.random(10_000) < p).astype(float), p)
    assert table["n"].to_list() == [1000] * 10
    assert ((table["low"] < table["observed"]) & (table["observed"] < table["high"])).all()
    assert ((table["low"] < table["predicted"]) & (table["predicted"] < table["high"])).sum() >= 8
    one = c.calibration_curve(Y, np.full(8, 0.25))
    assert one[["predicted", "observed", "n"]].to_numpy().tolist() == [[0.25, 3 / 8, 8]]
    assert c.calibration_curve([0, 1, 1, 1], [0.1, 0.2, 0.2, 0.2], n_bins=4)["n"].sum() == 4


def test_best_f1_takes_equal_scores_together() -> None:
    assert c.best_f1(Y, P) == (pytest.approx(2 / 3), 0.6)
    value, threshold = c.best_f1([1, 0, 0], [0.4, 0.4, 0.4])
    assert (value, threshold) == (0.5, 0.4)
    assert np.isnan(c.best_f1([0, 0], [0.1, 0.2])[0])


def test_curve_points_end_in_the_corners_and_keep_their_area() -> None:
    y, p = tied(20_000, 3, steps=5000)
    roc, pr = c.roc_points(y, p), c.pr_points(y, p)
    assert roc.iloc[0, :2].tolist() == [0, 0]
    assert roc.iloc[-1, :2].tolist() == [1, 1]
    assert len(roc) <= c.N_POINTS + 2
    area = np.trapezoid(roc["true_positive_rate"], roc["false_positive_rate"])
    assert area == pytest.approx(c.auroc(y, p), abs=1e-3)
    assert pr["recall"].is_monotonic_increasing
    assert pr["recall"].iloc[[0, -1]].tolist() == [0, 1]
    assert pr["precision"].iloc[-1] == pytest.approx(y.mean(), abs=1e-3)
    assert (np.diff(pr["recall"]) * pr["precision"][1:]).sum() == pytest.approx(c.auprc(y, p), abs=5e-3)


def test_a_constant_score_has_the_precision_of_the_prevalence_from_the_start() -> None:
    assert c.pr_points(Y, np.full(8, 0.5))[["recall", "precision"]].to_numpy().tolist() == [[0, 3 / 8], [1, 3 / 8]]


@pytest.mark.parametrize("steps", [7, 10**6])
def test_a_replicate_is_the_metric_of_the_drawn_units(steps: int) -> None:
    y, p = tied(200, 1, steps=steps)
    rng = np.random.default_rng(5)
    groups, fold, drug = np.repeat(np.arange(20), 10), np.repeat([0, 1], 100), rng.integers(0, 4, 200)
    cell = fold * 4 + drug
    drawn = class_draws(y, p, groups, strata=fold, within=cell, n=3, seed=7)
    for i, weights in enumerate(next(bootstrap_weights(20, 3, seed=7)), start=1):
        rows = np.concatenate([np.flatnonzero(groups == g) for g in range(20) for _ in range(int(weights[g]))])
        expected = c.class_score(y[rows], p[rows], strata=fold[rows])
        for name in set(drawn) - {"within_auroc"}:
            assert drawn[name][i] == pytest.approx(expected[name], rel=1e-12)
        assert drawn["within_auroc"][i] == pytest.approx(c.mean_within_auroc(y[rows], p[rows], cell[rows]), rel=1e-12)


def test_intervals_hold_the_value_and_units_widen_them() -> None:
    rng = np.random.default_rng(2)
    unit = np.repeat(np.arange(40), 50)
    shared = rng.normal(size=40)[unit]
    y = (shared + 0.2 * rng.normal(size=2000) > 0).astype(float)
    p = 1 / (1 + np.exp(-(shared + rng.normal(size=40)[unit])))
    together, alone = class_intervals(y, p, unit), class_intervals(y, p, np.arange(2000))
    for name, value in c.class_score(y, p).items():
        if name in together:
            assert together[name].value == pytest.approx(value)
            assert together[name].low <= value <= together[name].high
    assert (together["auroc"].high - together["auroc"].low) > 3 * (alone["auroc"].high - alone["auroc"].low)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for seed in range(100):
        y = np.repeat([0.0, 1.0], 60)
        p = 1 / (1 + np.exp(-(rng.normal(size=120) + y)))  # AUROC = Phi(1 / sqrt(2)) = .7602
        drawn = class_intervals(y, p, np.arange(120), n=200, seed=seed)["auroc"]
        inside += drawn.low <= 0.7602 <= drawn.high
    assert 87 <= inside <= 99


def test_one_class_has_no_interval() -> None:
    drawn = class_intervals(np.ones(4), np.full(4, 0.6), np.arange(4), n=10)
    assert np.isnan(drawn["auroc"]).all()
    assert drawn["accuracy"] == (1, 1, 1)


def test_two_hundred_thousand_rows_are_quick() -> None:
    y, p = tied(200_000, 0, steps=10**6)
    start = time.process_time()
    c.class_score(y, p)
    assert time.process_time() - start < 1
    start = time.process_time()
    class_draws(y, p, np.arange(200_000) % 990, n=50)
    assert time.process_time() - start < 2
