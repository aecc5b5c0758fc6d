from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from cellixir import metrics


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    y = rng.normal(2, 3, 500)
    return y, 0.7 * y + rng.normal(0, 1, 500)


def test_agrees_with_scikit_learn_and_scipy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = pair
    assert metrics.mse(y, p) == pytest.approx(reference.mean_squared_error(y, p), rel=1e-12)
    assert metrics.rmse(y, p) == pytest.approx(reference.root_mean_squared_error(y, p), rel=1e-12)
    assert metrics.mae(y, p) == pytest.approx(reference.mean_absolute_error(y, p), rel=1e-12)
    assert metrics.r2(y, p) == pytest.approx(reference.r2_score(y, p), rel=1e-12)
    assert metrics.pearson(y, p) == pytest.approx(stats.pearsonr(y, p)[0], rel=1e-12)
    assert metrics.spearman(y, p) == pytest.approx(stats.spearmanr(y, p)[0], rel=1e-12)


@pytest.mark.parametrize("p", [np.full(4, 2.0), np.full(4, 0.1) + 0.2])
def test_a_constant_prediction_has_no_correlation(p: np.ndarray) -> None:
    assert np.isnan(metrics.pearson([1, 2, 3, 4], p))


def test_constant_observations_have_no_r2() -> None:
    assert np.isnan(metrics.r2([1, 1], [1, 2]))


def test_mean_effects_themselves_are_normalised_to_nothing(pair: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = pair
    values = metrics.normalised(y, p, mean_effects=p)
    assert np.isnan(values["normalised_pearson"])
    assert values["normalised_rmse"] == pytest.approx(metrics.rmse(y, p))


def test_normalising_removes_a_correlation_that_is_only_between_drugs() -> None:
    rng = np.random.default_rng(0)
    drug_mean = np.repeat(rng.normal(0, 10, 20), 50)
    y = drug_mean + rng.normal(0, 1, 1000)
    p = drug_mean + rng.normal(0, 1, 1000)
    assert metrics.pearson(y, p) > 0.98
    assert abs(metrics.normalised(y, p, drug_mean)["normalised_pearson"]) < 0.1


def test_mean_within_equals_the_mean_of_the_groups_correlations(pair: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = pair
    groups = np.random.default_rng(1).integers(0, 30, len(y))
    each = [metrics.pearson(y[groups == g], p[groups == g]) for g in np.unique(groups) if (groups == g).sum() >= 5]
    assert metrics.mean_within(y, p, groups) == pytest.approx(np.mean(each), rel=1e-10)


def test_a_prediction_that_is_constant_in_each_group_has_no_correlation_within() -> None:
    groups = np.repeat(np.arange(100), 997)
    y = np.random.default_rng(0).normal(size=len(groups))
    assert np.isnan(metrics.mean_within(y, np.sqrt(groups) + 0.1, groups))
