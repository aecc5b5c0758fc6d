"""A drug gets its one biomarker back, and noise gets none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import linregress

from cellixir.response.models.drug_features import DrugFeatures
from cellixir.response.models.features import SampleFeatures
from cellixir.response.models.markers import LEAST_CARRIERS, LEAST_T, _slopes, binary_columns, marker_weights
from cellixir.response.models.model import Known
from cellixir.response.network.wide import Wide

N, FEATURES, RESPONSES = 120, 30, 6


def calls(rng: np.random.Generator, n: int = N, p: int = FEATURES, rate: float = 0.2) -> np.ndarray:
    return (rng.random((n, p)) < rate).astype(np.float32)


@pytest.fixture
def problem() -> tuple[np.ndarray, np.ndarray]:
    """Calls, and responses with gaps; feature 4 lowers response 2 by 2."""
    rng = np.random.default_rng(0)
    x, y = calls(rng), rng.normal(0, 0.5, (N, RESPONSES))
    y[:, 2] -= 2 * x[:, 4]
    y[rng.random(y.shape) < 0.2] = np.nan
    return x, y


def scaled(x: np.ndarray) -> np.ndarray:
    return ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)


def test_a_planted_marker_is_found_for_its_drug_alone(problem: tuple[np.ndarray, np.ndarray]) -> None:
    weights, intercept = marker_weights(*problem)
    assert np.argwhere(weights).tolist() == [[4, 2]]
    assert weights[4, 2] == pytest.approx(-2, abs=0.3)
    assert np.flatnonzero(intercept).tolist() == [2]


def test_slope_and_t_are_those_of_a_regression_of_each_pair(problem: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = problem
    slope, t = _slopes(x.astype(float), y, ~np.isnan(y))
    for feature, response in ((4, 2), (0, 0), (7, 5)):
        rows = ~np.isnan(y[:, response])
        expected = linregress(x[rows, feature], y[rows, response])
        assert slope[feature, response] == pytest.approx(expected.slope, rel=1e-9)
        assert t[feature, response] == pytest.approx(expected.slope / expected.stderr, rel=1e-9)


def test_the_slope_is_shrunk_by_one_part_in_t_squared(problem: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = problem
    rows = ~np.isnan(y[:, 2])
    plain = linregress(x[rows, 4], y[rows, 2])
    weights, intercept = marker_weights(x, y)
    shrunk = plain.slope * (1 - (plain.stderr / plain.slope) ** 2)
    assert weights[4, 2] == pytest.approx(shrunk, rel=1e-6)
    # on average over the rows that were measured a marker says nothing
    assert (x[rows, 4] * weights[4, 2] + intercept[2]).mean() == pytest.approx(0, abs=1e-6)


def test_a_scaled_feature_says_the_same(problem: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = problem
    said = [x @ w + b for x, (w, b) in ((x, marker_weights(x, y)), (scaled(x), marker_weights(scaled(x), y)))]
    np.testing.assert_allclose(said[1], said[0], atol=1e-5)


def test_samples_that_lack_the_view_do_not_hide_a_marker(problem: tuple[np.ndarray, np.ndarray]) -> None:
    """They stand at 0, between the two values of a standardised call; slope and t are those of the others."""
    x, y = scaled(problem[0]), problem[1]
    x[:20] = 0
    assert binary_columns(x).any()
    weights, intercept = marker_weights(x, y)
    others, level = marker_weights(x[20:], y[20:])
    assert np.argwhere(weights).tolist() == [[4, 2]]
    assert weights[4, 2] == pytest.approx(others[4, 2], rel=1e-5)
    assert intercept[2] == pytest.approx(level[2], abs=0.1)


def test_noise_has_no_marker_but_for_chance() -> None:
    """60,000 tests at |t| >= 5 (p = 6e-7): 0.04 expected in each draw."""
    found = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        found += np.count_nonzero(marker_weights(calls(rng, 150, 300, 0.15), rng.normal(size=(150, 200)))[0])
    assert found <= 1


def test_a_weak_marker_is_left_to_the_ridge() -> None:
    rng = np.random.default_rng(1)
    x, noise = calls(rng, p=5), rng.normal(size=(N, 1))
    for size, kept in ((0.2, False), (3.0, True)):
        y = noise + size * x[:, [1]]
        assert (np.abs(_slopes(x.astype(float), y, ~np.isnan(y))[1]).max() >= LEAST_T) == kept
        assert marker_weights(x, y)[0].any() == kept


def test_only_features_of_two_values_with_enough_carriers_count() -> None:
    x = np.zeros((20, 5), dtype=np.float32)
    x[: LEAST_CARRIERS - 1, 0] = 1  # too few carry it
    x[: 20 - LEAST_CARRIERS + 1, 1] = 1  # too few do not
    x[:LEAST_CARRIERS, 2] = 1
    x[:6, 3], x[6:9, 3] = 1, 2  # copies: three values
    assert binary_columns(x).tolist() == [False, False, True, False, False]


def test_carriers_are_counted_among_the_measured() -> None:
    x = np.zeros((30, 1), dtype=np.float32)
    x[:6] = 1
    y = np.random.default_rng(0).normal(0, 0.1, (30, 1)) + 5 * x
    assert marker_weights(x, y)[0].any()
    y[:3] = np.nan  # three carriers are left
    assert not marker_weights(x, y)[0].any()


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.zeros((20, 0)), np.ones((20, 2))),
        (np.zeros((0, 3)), np.ones((0, 2))),
        (np.eye(20)[:, :6].cumsum(axis=0), np.full((20, 2), np.nan)),
        (np.eye(20)[:, :6].cumsum(axis=0), np.ones((20, 2))),
    ],
    ids=["no features", "no samples", "nothing measured", "constant"],
)
def test_where_there_is_nothing_to_find_nothing_is_said(x: np.ndarray, y: np.ndarray) -> None:
    weights, intercept = marker_weights(x.astype(np.float32), y)
    assert weights.shape == (x.shape[1], 2)
    assert not weights.any()
    assert not intercept.any()


def test_the_wide_part_holds_the_marker_of_a_drug(simulate_screen: Callable[..., Any]) -> None:
    """One drug of twenty has a strong marker; a joint model alone shrinks it with what is noise."""
    data, _ = simulate_screen(n_samples=100, n_drugs=20, n_features=40, seed=1)
    mutated = data.feature_matrix("genomic")[:, 5] > 0  # a common feature that no response depends on
    hit = (data.drug_index == 3) & mutated[data.sample_index]
    response = data.response - 6.0 * hit
    data = type(data).join(
        data.responses.assign(response=response), views=data.views, samples=data.samples, drugs=data.drugs
    )
    samples, drugs = SampleFeatures().fit(data), DrugFeatures().fit(data)
    wide = Wide.fit(data, Known.under("LCO"), samples, drugs).wide
    x, d = samples.transform(data), drugs.transform(data.drugs)
    every = data.question(data.views, data.drugs, data.samples)
    said = wide.predict(every, x, d).reshape(len(data.samples), -1)
    difference = said[mutated].mean(axis=0) - said[~mutated].mean(axis=0)
    assert difference[3] == pytest.approx(-6, abs=1.2)
    assert np.abs(np.delete(difference, 3)).max() < 2.5
