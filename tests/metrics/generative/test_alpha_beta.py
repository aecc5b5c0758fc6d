from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from cellixir.exceptions import ConfigurationError, InvalidValues
from cellixir.metrics.generative import alpha_precision, authenticity, beta_recall

Points = NDArray[np.float64]


def normal(n: int, d: int, seed: int) -> Points:
    return np.random.default_rng(seed).normal(size=(n, d))


def on_a_grid(counted: Points, reference: Points) -> float:
    """``1 - 2 integral |P(q) - q| dq`` by the midpoint rule; P: share of ``counted`` within the q-quantile."""
    q = (np.arange(2000) + 0.5) / 2000
    radius = np.quantile(reference, q, method="inverted_cdf")
    return float(1 - 2 * np.mean(np.abs((counted <= radius[:, None]).mean(axis=1) - q)))


# -- closed forms ------------------------------------------------------------------------------------------------------


def test_alpha_precision_by_hand() -> None:
    # real distances from 0: 1, 1, 2, 2; two of four synthetic samples at 0, two at 1.5:
    # P = 1/2 up to alpha = 1/2, then 1; integral of |1/2 - a| to 1/2 is 1/8, of 1 - a from there 1/8
    real, synthetic = [[-1.0], [1.0], [-2.0], [2.0]], [[0.0], [0.0], [1.5], [-1.5]]
    assert alpha_precision(real, synthetic) == pytest.approx(1 - 2 * (1 / 8 + 1 / 8), abs=1e-12)


def test_alpha_precision_of_the_real_samples_themselves() -> None:
    x = normal(200, 3, 0)
    assert alpha_precision(x, x) == pytest.approx(1 - 1 / 200, abs=1e-12)


def test_alpha_precision_is_zero_at_both_ends() -> None:
    x = normal(200, 3, 0)
    centre = x.mean(axis=0, keepdims=True)
    assert alpha_precision(x, np.repeat(centre, 50, axis=0)) == pytest.approx(0, abs=1e-12)
    assert alpha_precision(x, x + 1e3) == pytest.approx(0, abs=1e-12)


def test_beta_recall_by_hand() -> None:
    # nearest synthetic samples 0, 0, 9, at distances 0, 1, 1: within the real spacings 1, 1, 9, so all count.
    # They are 13, 13, 4 from the synthetic centre, 13: the last counts from q = 0, the others from 1/3 on,
    # so P = 1/3, then 1, and the integrals are 1/18 and 2/9
    real, synthetic = [[0.0], [1.0], [10.0]], [[0.0], [9.0], [30.0]]
    assert beta_recall(real, synthetic) == pytest.approx(1 - 2 * (1 / 18 + 2 / 9), abs=1e-12)


def test_beta_recall_of_the_real_samples_themselves_and_of_far_ones() -> None:
    x = normal(200, 3, 0)
    assert beta_recall(x, x) == pytest.approx(1 - 1 / 200, abs=1e-12)
    assert beta_recall(x, x + 1e3) == pytest.approx(0, abs=1e-12)


def test_authenticity_by_hand() -> None:
    # nearest real and its spacing: (0, 1), (1, 1), (5, 4), (5, 4); distances 0, .1, 1.9, 15
    assert authenticity([[0.0], [1.0], [5.0]], [[0.0], [0.9], [3.1], [20.0]]) == 0.25
    # as far from the nearest as that is from the next: not authentic
    assert authenticity([[0.0], [1.0]], [[-1.0], [2.0]]) == 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(4, 30), m=st.integers(3, 30), k=st.integers(1, 3))
def test_scores_are_the_integrals_of_the_definition(seed: int, n: int, m: int, k: int) -> None:
    x, y = normal(n, 2, seed), 1.3 * normal(m, 2, seed + 1)
    of_real, of_synthetic = (np.linalg.norm(t - x.mean(axis=0), axis=1) for t in (x, y))
    assert alpha_precision(x, y) == pytest.approx(on_a_grid(of_synthetic, of_real), abs=2e-3)
    distances, among = cdist(x, y), np.sort(cdist(x, x), axis=1)[:, k]
    nearest = distances.argmin(axis=1)
    away = np.linalg.norm(y - y.mean(axis=0), axis=1)[nearest]
    reached = distances.min(axis=1) <= among
    expected = on_a_grid(np.where(reached, away, np.inf), away)
    assert beta_recall(x, y, k=k) == pytest.approx(expected, abs=2e-3)


# -- what they are for -------------------------------------------------------------------------------------------------


def test_alpha_precision_tells_shrunken_and_exploded_from_true() -> None:
    x, y = normal(800, 10, 0), normal(800, 10, 1)
    assert alpha_precision(x, y) > 0.9
    assert alpha_precision(x, 0.5 * y) < 0.1
    assert alpha_precision(x, 2 * y) < 0.1


def test_alpha_precision_is_linear_in_the_share_of_outliers() -> None:
    x = normal(1000, 5, 0)
    y = x.copy()
    y[:300] += 1e3
    assert alpha_precision(x, y) == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_beta_recall_of_new_samples(k: int) -> None:
    assert beta_recall(normal(1500, 3, 0), normal(1500, 3, 1), k=k) == pytest.approx(1 - 2.0**-k, abs=0.06)


def test_beta_recall_falls_with_the_modes_lost() -> None:
    centres = 50 * normal(8, 4, 5)
    real = np.repeat(centres, 60, axis=0) + normal(480, 4, 0)
    scores = [
        beta_recall(real, np.tile(centres[:kept], (480 // kept, 1)) + normal(480, 4, 1), k=4) for kept in (8, 4, 1)
    ]
    assert scores[0] > 0.85
    assert scores[1] == pytest.approx(0.5, abs=0.15)
    assert scores[2] < 0.25


def test_memorised_samples_are_not_authentic_however_often_they_are_repeated() -> None:
    x = normal(400, 20, 0)
    assert authenticity(x, x) == authenticity(x, x[::-1]) == 0
    ten_modes = x[np.random.default_rng(1).integers(0, 10, 1000)]
    assert authenticity(x, ten_modes) == 0
    assert authenticity(x, ten_modes + 1e-3 * normal(1000, 20, 2)) == 0
    assert authenticity(x, normal(400, 20, 3)) > 0.3
    assert authenticity(x, x + 1e3) == 1


def test_half_copies_halve_authenticity() -> None:
    x, new = normal(600, 10, 0), normal(600, 10, 1)
    mixed = np.concatenate([x[:300], new[:300]])
    assert authenticity(x, mixed) == pytest.approx(authenticity(x, new[:300]) / 2, abs=1e-12)


def test_chunk_changes_nothing() -> None:
    x, y = normal(130, 6, 0), normal(90, 6, 1)
    for chunk in (17, 100):
        assert beta_recall(x, y, chunk=chunk) == beta_recall(x, y)
        assert authenticity(x, y, chunk=chunk) == authenticity(x, y)


def test_wrong_input() -> None:
    x = normal(3, 2, 0)
    with pytest.raises(ConfigurationError, match=r"k=3 .* real has 2 others .* k=2 or smaller"):
        beta_recall(x, x, k=3)
    with pytest.raises(ConfigurationError, match="give more samples"):
        authenticity(x[:1], x)
    for metric in (alpha_precision, beta_recall, authenticity):
        with pytest.raises(InvalidValues, match="real has 2 columns and synthetic 1"):
            metric(x, x[:, :1])
        with pytest.raises(InvalidValues, match="synthetic holds 1 values"):
            metric(x, [[0.0, np.nan]])
