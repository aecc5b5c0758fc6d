from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cellixir.data.simulate.counts import gamma_poisson
from cellixir.data.simulate.dropout import Dropout, dropout_of


def test_half_is_lost_at_the_midpoint_and_less_above_it() -> None:
    dropout = Dropout(midpoint=1.0, steepness=2.0)
    np.testing.assert_allclose(dropout.probability(np.exp([1.0])), 0.5)
    probability = dropout.probability(np.exp(np.linspace(-4, 6, 20)))
    assert (np.diff(probability) < 0).all()
    logit = np.log(probability / (1 - probability))
    np.testing.assert_allclose(np.diff(logit) / np.diff(np.linspace(-4, 6, 20)), -2)


def test_a_mean_of_zero_loses_everything() -> None:
    assert Dropout(midpoint=0.0, steepness=1.0).probability(np.zeros(1))[0] == pytest.approx(1)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 0.95), st.floats(0.1, 10), st.floats(-4, 4), st.integers(0, 99))
def test_the_midpoint_loses_the_share_asked_for(share: float, steepness: float, level: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mean, dispersions = np.exp(rng.normal(level, 1.5, (20, 30))), rng.uniform(0.1, 1, 30)
    dropout = dropout_of(share, mean, dispersions, steepness)
    assert dropout.steepness == steepness
    assert dropout.share(mean, dispersions) == pytest.approx(share, abs=1e-6)


def test_counts_are_lost_as_often_as_planned() -> None:
    rng = np.random.default_rng(0)
    mean, dispersions = np.tile(np.exp(np.linspace(-2, 3, 40)), (2000, 1)), np.full(40, 0.3)
    before = sp.csr_matrix(gamma_poisson(mean, dispersions, rng), dtype=np.float32)
    dropout = Dropout(midpoint=0.5, steepness=1.5)
    after, n_dropped = dropout.lose(before, mean, rng)
    there, left = (before > 0).sum(axis=0).A1, (after > 0).sum(axis=0).A1
    p = dropout.probability(mean[0])
    assert np.abs((there - left - there * p) / np.sqrt(there * p * (1 - p))).max() < 4.5
    assert abs(n_dropped.sum() / before.nnz - dropout.share(mean, dispersions)) < 0.01


def test_what_is_left_is_a_clean_part_of_what_was_there() -> None:
    rng = np.random.default_rng(1)
    before = sp.csr_matrix(rng.poisson(0.7, (50, 20)), dtype=np.float32)
    after, n_dropped = Dropout(midpoint=0.0, steepness=1.0).lose(before, np.full((50, 20), 0.7), rng)
    assert after.has_canonical_format
    assert after.dtype == np.float32
    assert (after.data > 0).all()
    kept = after.toarray() > 0
    np.testing.assert_array_equal(after.toarray()[kept], before.toarray()[kept])
    np.testing.assert_array_equal(n_dropped, np.diff(before.indptr) - np.diff(after.indptr))
    assert 0 < n_dropped.sum() < before.nnz
