from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist

from cellixir.exceptions import ConfigurationError, InvalidValues
from cellixir.metrics.generative import median_bandwidth, mmd2, mmd2_with_error

Points = NDArray[np.float64]


def normal(n: int, d: int, seed: int) -> Points:
    return np.random.default_rng(seed).normal(size=(n, d))


def by_full_matrix(x: Points, y: Points, width: float) -> float:
    def mean(a: Points, b: Points) -> float:
        kernel = np.exp(-cdist(a, b, "sqeuclidean") / (2 * width**2))
        n = len(a)
        return float((kernel.sum() - n) / (n * (n - 1)) if a is b else kernel.mean())

    return mean(x, x) + mean(y, y) - 2 * mean(x, y)


# -- closed forms ------------------------------------------------------------------------------------------------------


def test_two_against_two_by_hand() -> None:
    # kernels: within x exp(-1/2), within y exp(-2), across exp(-(9, 25, 4, 16) / 2)
    across = np.exp(-np.array([9, 25, 4, 16]) / 2).mean()
    expected = np.exp(-1 / 2) + np.exp(-2) - 2 * across
    assert mmd2([[0.0], [1.0]], [[3.0], [5.0]], bandwidth=1.0) == pytest.approx(expected, abs=1e-14)


def test_far_apart_it_is_the_sum_of_both_means() -> None:
    x, y = [[0.0], [1.0]], [[1e6], [1e6 + 2]]
    assert mmd2(x, y, bandwidth=1) == pytest.approx(np.exp(-0.5) + np.exp(-2), abs=1e-9)


def test_of_two_normal_distributions() -> None:
    # E k(x, x') = (1 + 2 / s^2)^(-d/2); a shift of length t adds a factor exp(-t^2 / (2 (s^2 + 2)))
    d, s, shift = 3, 1.5, 0.8
    x, y = normal(2000, d, 0), normal(2000, d, 1)
    y[:, 0] += shift
    expected = 2 * (1 + 2 / s**2) ** (-d / 2) * (1 - np.exp(-(shift**2) / (2 * (s**2 + 2))))
    found = mmd2_with_error(x, y, bandwidth=s)
    assert abs(found.value - expected) < 4 * found.error
    assert found.error < 0.1 * expected


@pytest.mark.parametrize("chunk", [3, 20, 512])
def test_value_is_that_of_the_full_matrix(chunk: int) -> None:
    x, y = normal(70, 8, 0) + 5, 1.4 * normal(41, 8, 1) + 5
    assert mmd2_with_error(x, y, bandwidth=2.5, chunk=chunk).value == pytest.approx(
        by_full_matrix(x, y, 2.5), abs=1e-13
    )


def test_expectation_is_zero_and_the_value_may_be_negative() -> None:
    draws = [mmd2(normal(30, 2, seed), normal(30, 2, seed + 1000), bandwidth=1.0) for seed in range(200)]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / np.sqrt(len(draws))
    assert 0.2 < np.mean(np.array(draws) < 0) < 0.9


def test_it_is_symmetric_for_a_given_bandwidth() -> None:
    x, y = normal(40, 3, 0), normal(55, 3, 1) + 0.5
    assert mmd2(x, y, bandwidth=2.0) == pytest.approx(mmd2(y, x, bandwidth=2.0), abs=1e-14)


# -- the error ---------------------------------------------------------------------------------------------------------


def test_error_is_the_spread_over_draws() -> None:
    found = [mmd2_with_error(normal(80, 3, s), normal(120, 3, s + 1000) + 0.7, bandwidth=2.0) for s in range(150)]
    spread = np.std([f.value for f in found])
    assert np.mean([f.error for f in found]) == pytest.approx(spread, rel=0.25)


def test_error_is_on_the_safe_side_where_there_is_no_difference() -> None:
    found = [mmd2_with_error(normal(60, 3, s), normal(60, 3, s + 1000), bandwidth=2.0) for s in range(150)]
    assert 1 <= np.mean([f.error for f in found]) / np.std([f.value for f in found]) < 2.5


# -- the bandwidth -----------------------------------------------------------------------------------------------------


def test_median_is_that_of_all_distances_of_a_small_table() -> None:
    x = normal(50, 4, 0)
    assert median_bandwidth(x) == pytest.approx(np.median(pdist(x)), abs=1e-14)


def test_median_of_a_large_table_is_close_and_repeatable() -> None:
    x = normal(3000, 4, 0)
    assert median_bandwidth(x, limit=500) == median_bandwidth(x, limit=500)
    assert median_bandwidth(x, limit=500) == pytest.approx(np.median(pdist(x)), rel=0.05)


def test_bandwidth_is_of_the_real_samples_alone() -> None:
    x = normal(60, 4, 0)
    widths = {mmd2_with_error(x, y).bandwidth for y in (normal(60, 4, 1), 1e3 * normal(60, 4, 1))}
    assert widths == {median_bandwidth(x)}


def test_a_thousand_genes_good_and_terrible_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    loadings, means = rng.normal(size=(5, 1000)), rng.normal(0, 2, size=1000)
    real, good = (means + rng.normal(size=(150, 5)) @ loadings + rng.normal(size=(150, 1000)) for _ in range(2))
    terrible = good[:, rng.permutation(1000)]
    ceiling, bad = mmd2_with_error(real, good), mmd2_with_error(real, terrible)
    assert abs(ceiling.value) < 3 * ceiling.error
    assert bad.value > 20 * bad.error
    assert bad.value > 20 * ceiling.error
    # a kernel of width 1 sees no two samples near each other, and no difference: the median is there for a reason
    assert mmd2(real, terrible, bandwidth=1) == pytest.approx(0, abs=1e-12)


# -- precision ---------------------------------------------------------------------------------------------------------


def test_float32_serves_for_many_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(1200, 30, 0) + 100, normal(1100, 30, 1) + 100.05
    exact = mmd2(x, y)
    monkeypatch.setattr(import_module("cellixir.metrics.generative.mmd"), "FLOAT64_PAIRS", 0)
    single = mmd2(x, y)
    assert single != exact  # it was in float32
    assert single == pytest.approx(exact, abs=2e-7)


def test_far_rows_are_summed_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.concatenate([normal(50, 3, 0), normal(50, 3, 1) + 1e5])
    y = np.concatenate([normal(50, 3, 2), normal(50, 3, 3) + 1e5])
    exact = mmd2(x, y, bandwidth=1.0)
    monkeypatch.setattr(import_module("cellixir.metrics.generative.mmd"), "FLOAT64_PAIRS", 0)
    assert mmd2(x, y, bandwidth=1.0) == exact


@pytest.mark.parametrize("far", [1e6, 1e9, 1e12])
def test_samples_far_away_but_near_each_other(far: float) -> None:
    x, y = normal(50, 3, 0), normal(40, 3, 1) + far * np.array([1, 0.3, 0.77])
    for chunk in (7, 512):
        found = mmd2_with_error(x, y, bandwidth=2.0, chunk=chunk).value
        assert found == pytest.approx(by_full_matrix(x, y, 2.0), abs=1e-12)


def test_a_width_of_any_precision() -> None:
    x, y = normal(20, 3, 0), normal(20, 3, 1)
    assert mmd2(x, y, bandwidth=np.float32(2)) == mmd2(x, y, bandwidth=np.int64(2)) == mmd2(x, y, bandwidth=2)


# -- wrong input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: mmd2([[0.0]], np.eye(1)), ConfigurationError, "a sample of real has 0 others .* give more samples"),
        (lambda: mmd2([[0.0], [1.0]], [[0.0]]), ConfigurationError, "a sample of synthetic has 0 others"),
        (lambda: mmd2(np.eye(3), np.eye(3), bandwidth=0), ConfigurationError, "bandwidth=0 is no width"),
        (lambda: mmd2(np.eye(3), np.eye(3), bandwidth=float("nan")), ConfigurationError, "bandwidth=nan is no width"),
        (lambda: mmd2(np.eye(3), np.eye(3), bandwidth="mean"), ConfigurationError, "bandwidth='mean' .* or 'median'"),
        (lambda: mmd2(np.zeros((9, 2)), np.eye(2)), ConfigurationError, "median distance of 9 real samples is 0"),
        (lambda: mmd2(np.eye(3), np.eye(4)), InvalidValues, "real has 3 columns and synthetic 4"),
        (lambda: mmd2([[0.0], [np.nan]], [[0.0]]), InvalidValues, "real holds 1 values"),
        (lambda: mmd2(np.eye(3), np.zeros((0, 3))), InvalidValues, r"synthetic has shape \(0, 3\)"),
    ],
)
def test_wrong_input(call: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()
