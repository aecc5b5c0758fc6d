from __future__ import annotations

import numpy as np
import pytest

from cellixir import metrics


def test_values_are_those_of_the_plain_metrics() -> None:
    rng = np.random.default_rng(0)
    y, noise = rng.normal(5, 2, 400), rng.normal(0, 1, 400)
    drawn = metrics.intervals(y, y + noise, rng.integers(0, 40, 400))
    for name in ("rmse", "mse", "mae", "r2", "pearson"):
        assert drawn[name].value == pytest.approx(metrics.METRICS[name](y, y + noise), rel=1e-10)
        assert drawn[name].low <= drawn[name].value <= drawn[name].high


def test_a_replicate_is_the_metric_of_the_drawn_groups() -> None:
    rng = np.random.default_rng(1)
    y, p, groups = rng.normal(size=60), rng.normal(size=60), np.repeat(np.arange(6), 10)
    weights = next(metrics.bootstrap_weights(6, 1, seed=7))[0].astype(int)
    rows = np.concatenate([np.flatnonzero(groups == g) for g in range(6) for _ in range(weights[g])])
    drawn = metrics.intervals(y, p, groups, n=1, seed=7)
    assert drawn["rmse"].low == pytest.approx(metrics.rmse(y[rows], p[rows]), rel=1e-10)
    assert drawn["pearson"].low == pytest.approx(metrics.pearson(y[rows], p[rows]), rel=1e-10)


def test_groups_that_share_their_error_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(25), 40)
    shared = rng.normal(0, 1, 25)[groups]
    together = metrics.intervals(shared, np.zeros(1000), groups)["rmse"]
    alone = metrics.intervals(shared, np.zeros(1000), np.arange(1000))["rmse"]
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for seed in range(200):
        error = rng.normal(0, 1, 200)
        drawn = metrics.intervals(error, np.zeros(200), np.arange(200), n=300, seed=seed)["mse"]
        inside += drawn.low <= 1.0 <= drawn.high
    assert 180 <= inside <= 199


def test_paired_difference_is_surer_than_the_two_intervals() -> None:
    rng = np.random.default_rng(4)
    y = rng.normal(0, 3, 2000)
    hard = rng.normal(0, 1, 2000)
    worse, better = y + hard, y + 0.98 * hard
    groups = np.arange(2000)
    difference = metrics.paired_difference(y, better, worse, groups)
    assert difference.high < 0
    assert difference.value == pytest.approx(metrics.rmse(y, better) - metrics.rmse(y, worse), rel=1e-10)
    a, b = (metrics.intervals(y, p, groups)["rmse"] for p in (worse, better))
    assert a.low < b.high  # side by side they overlap


def test_a_model_against_itself_differs_by_nothing() -> None:
    y = np.arange(10.0)
    assert metrics.paired_difference(y, y + 1, y + 1, np.arange(10)) == (0, 0, 0)
