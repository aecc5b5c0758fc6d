from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from cellixir.exceptions import ConfigurationError, InvalidValues
from cellixir.metrics.generative import PRDC, prdc

Points = NDArray[np.float64]


def by_full_matrix(x: Points, y: Points, k: int) -> PRDC:
    """The formulas, word by word, on squared distances of whole numbers, which are exact."""

    def radius(points: Points) -> Points:
        return np.sort(cdist(points, points, "sqeuclidean"), axis=1)[:, k]  # the first is the point itself

    distances = cdist(x, y, "sqeuclidean")
    in_real, in_synthetic = distances < radius(x)[:, None], distances < radius(y)[None, :]
    return PRDC(
        in_real.any(axis=0).mean(), in_synthetic.any(axis=1).mean(), in_real.sum() / (k * len(y)), in_real.any(1).mean()
    )


def modes(n_modes: int, n: int, seed: int) -> Points:
    """Samples of the first of ten far clusters, as many from each."""
    rng = np.random.default_rng(seed)
    centres = 100 * np.random.default_rng(99).normal(size=(10, 5))
    return np.repeat(centres[:n_modes], n // n_modes, axis=0) + rng.normal(size=(n, 5))


def test_counted_by_hand() -> None:
    # real radii (k = 1): 1, 1, 2; synthetic radii: 1, 1, 6
    found = prdc([[0.0], [1.0], [3.0]], [[0.5], [1.5], [7.5]], k=1)
    assert found.precision == pytest.approx(2 / 3)  # 7.5 is in no ball
    assert found.recall == pytest.approx(1)  # 3 is in the ball of 7.5, of radius 6
    assert found.density == pytest.approx(4 / 3)  # .5 in two balls; 1.5 in those of 1 and 3
    assert found.coverage == pytest.approx(1)


def test_a_sample_on_the_edge_is_outside() -> None:
    assert prdc([[0.0], [1.0]], [[-1.0], [2.0]], k=1) == PRDC(0, 1, 0, 0)


def test_identical_tables_have_it_all() -> None:
    x = np.random.default_rng(0).normal(size=(700, 20))
    assert prdc(x, x) == prdc(x, x.copy()) == PRDC(1, 1, 1, 1)


def test_disjoint_tables_have_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    assert prdc(x, x + 1e3) == PRDC(0, 0, 0, 0)


@pytest.mark.parametrize("kept", [10, 5, 2, 1])
def test_lost_modes_lower_recall_and_coverage_by_their_share(kept: int) -> None:
    real, synthetic = modes(10, 600, seed=1), modes(kept, 600, seed=2)
    found = prdc(real, synthetic)
    assert found.precision > 0.8
    assert found.recall == pytest.approx(kept / 10, abs=0.06)
    assert found.coverage == pytest.approx(kept / 10, abs=0.06)


def test_new_samples_cover_as_much_as_the_theory_says() -> None:
    rng = np.random.default_rng(3)
    found = prdc(rng.normal(size=(1500, 3)), rng.normal(size=(1500, 3)), k=2)
    # the k nearest of 2n other samples are all real with probability 2^-k: then none of the new ones is in the ball
    assert found.coverage == pytest.approx(1 - 2**-2, abs=0.05)
    assert found.density == pytest.approx(1, abs=0.1)


def test_one_outlier_inflates_recall_but_not_coverage() -> None:
    real = np.random.default_rng(0).normal(size=(100, 2))
    synthetic = np.full((100, 2), 50.0) + np.random.default_rng(1).normal(size=(100, 2))
    synthetic[0] = -50  # its ball, out to the others, holds every real sample
    found = prdc(real, synthetic, k=3)
    assert (found.recall, found.coverage) == (1, 0)


@settings(max_examples=20, deadline=None)
@given(
    x=arrays(np.float64, st.tuples(st.integers(4, 25), st.just(2)), elements=st.integers(-4, 4).map(float)),
    y=arrays(np.float64, st.tuples(st.integers(4, 25), st.just(2)), elements=st.integers(-4, 4).map(float)),
    k=st.integers(1, 3),
    chunk=st.integers(1, 30),
)
def test_formulas_hold_with_ties_at_any_chunk(x: Points, y: Points, k: int, chunk: int) -> None:
    assert prdc(x, y, k=k, chunk=chunk) == pytest.approx(by_full_matrix(x, y, k), abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_formulas_hold_in_many_dimensions(dtype: type) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 50)).astype(dtype), 0.8 * rng.normal(size=(250, 50)).astype(dtype) + 0.1
    expected = by_full_matrix(x.astype(np.float64), y.astype(np.float64), 5)
    for chunk in (64, 100, 512):
        assert prdc(x, y, chunk=chunk) == pytest.approx(expected, abs=1e-12)


def test_wrong_input() -> None:
    few, many = np.eye(3), np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(
        ConfigurationError, match=r"k=5 neighbours .* real has 2 others to choose from; use k=2 or smaller"
    ):
        prdc(few, many)
    with pytest.raises(ConfigurationError, match="a sample of synthetic has 2 others"):
        prdc(many, few)
    with pytest.raises(InvalidValues, match="real has 3 columns and synthetic 2"):
        prdc(many, many[:, :2])
    with pytest.raises(InvalidValues, match=r"synthetic has shape \(0, 3\)"):
        prdc(many, many[:0])
