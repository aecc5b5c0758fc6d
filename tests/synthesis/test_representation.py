"""The table: there and back, on every scale."""

from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cellixir.exceptions import GeneMismatch
from cellixir.synthesis.representation import Representation, constant_values, round_at_random

RNG = np.random.default_rng


def data(values: object, scale: str) -> ad.AnnData:
    return ad.AnnData(np.asarray(values, dtype=np.float32), uns={"scale": scale})


def test_counts_by_hand():
    found = Representation.learn(data([[1, 3, 5], [10, 5, 5], [0, 35, 5]], "counts"))
    assert found.library == (9, 20, 40)
    assert found.constant[2] == 5
    table = found.encode(data([[1, 3, 5]], "counts")) * found.sd + found.mean
    assert table[0] == pytest.approx([np.log1p(20 / 9), np.log1p(60 / 9), np.log(9)], abs=1e-6)


def test_the_table_is_standardised(count_data):
    found = Representation.learn(count_data)
    table = found.encode(count_data)
    assert table.shape == (count_data.n_obs, found.width) == (400, 38 + 1)
    assert table.dtype == np.float32
    assert table.mean(axis=0) == pytest.approx(np.zeros(39), abs=1e-5)
    assert table.std(axis=0) == pytest.approx(np.ones(39), abs=1e-5)


def test_counts_come_back_as_they_were(count_data):
    found = Representation.learn(count_data)
    counts = count_data.X.toarray()
    # float32 leaves an error of parts in a million: nearly all are exact, none off by more than one
    back = found.decode(found.encode(count_data), RNG(0))
    assert np.abs(back - counts).max() <= 1
    assert (back == counts).mean() > 0.99


@pytest.mark.parametrize("scale", ["log2_tpm", "log1p_cpm", "zscore", "unknown", "fraction"])
def test_other_values_come_back(scale):
    values = RNG(1).uniform(0, 1, (30, 5)) - (0.5 if scale in {"zscore", "unknown"} else 0)
    values[:, 3] = 0.25
    found = Representation.learn(data(values, scale))
    assert found.width == 4
    assert found.decode(found.encode(data(values, scale)), RNG(0)) == pytest.approx(values, abs=1e-6)


def test_random_rounding_keeps_the_mean():
    drawn = round_at_random(np.full((20_000, 1), 0.3), RNG(0))
    assert set(np.unique(drawn)) == {0, 1}
    assert drawn.mean() == pytest.approx(0.3, abs=0.015)
    assert round_at_random(np.array([[0.0, 1.0, 7.0]]), RNG(0)).tolist() == [[0, 1, 7]]


def test_decoded_counts_add_up_to_the_library_that_the_table_says(count_data):
    found = Representation.learn(count_data)
    table = RNG(0).normal(0, 1, (2000, found.width)).astype(np.float32)
    sums = found.decode(table, RNG(1)).sum(axis=1)
    low, _, high = found.library
    wanted = np.clip(np.exp(table[:, -1].astype(np.float64) * found.sd[-1] + found.mean[-1]), low, high)
    assert np.abs(sums - wanted).max() < 20  # rounding of 38 genes: sd at most 3
    assert (sums - wanted).mean() == pytest.approx(0, abs=0.3)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 1e6), st.integers(0, 1000))
def test_whatever_a_network_says_counts_are_counts(size, seed):
    counts = RNG(0).poisson(3, (20, 6))
    counts[:, 0] = 2
    found = Representation.learn(data(counts, "counts"))
    back = found.decode(RNG(seed).normal(0, size, (10, found.width)), RNG(seed))
    assert np.isfinite(back).all()
    assert np.array_equal(back, np.rint(back))
    assert back.min() >= 0
    assert (back[:, 0] == 2).all()
    assert back.sum(axis=1).max() <= counts.sum(axis=1).max() + 6


def test_values_that_cannot_be_negative_are_not_and_others_may_be():
    values = np.abs(RNG(0).normal(1, 1, (50, 3)))
    wild = RNG(1).normal(0, 10, (40, 3))
    assert Representation.learn(data(values, "log2_tpm")).decode(wild, RNG(0)).min() >= values.min() - 1e-6
    assert Representation.learn(data(values - 1, "zscore")).decode(wild, RNG(0)).min() < -1
    fractions = Representation.learn(data(values / values.max(), "fraction")).decode(wild, RNG(0))
    assert fractions.max() <= 1


def test_binary_values_stay_binary_and_as_frequent():
    values = RNG(0).random((500, 3)) < [0.1, 0.5, 0.9]
    found = Representation.learn(data(values, "binary"))
    assert np.array_equal(found.decode(found.encode(data(values, "binary")), RNG(0)), values)
    drawn = found.decode(RNG(1).standard_normal((20_000, 3)), RNG(0))
    assert set(np.unique(drawn)) == {0, 1}
    assert drawn.mean(axis=0) == pytest.approx(values.mean(axis=0), abs=0.015)


def test_genes_are_matched_by_name(count_data):
    found = Representation.learn(count_data)
    mixed = count_data[:, RNG(0).permutation(count_data.n_vars)].copy()
    assert np.array_equal(found.encode(mixed), found.encode(count_data))
    with pytest.raises(GeneMismatch, match=r"1 of the generator's 40 genes are not in the data \('g3'\)"):
        found.encode(count_data[:, count_data.var_names != "g3"].copy())


def test_dense_and_sparse_are_the_same(count_data):
    dense = count_data.copy()
    dense.X = dense.X.toarray()
    sparse, full = Representation.learn(count_data), Representation.learn(dense)
    assert np.array_equal(sparse.constant, full.constant, equal_nan=True)
    assert np.array_equal(sparse.encode(count_data), full.encode(dense))


def test_a_bundle_holds_it_all(count_data):
    found = Representation.learn(count_data)
    facts = json.loads(json.dumps(found.facts()))
    back = Representation.from_state(found.arrays(), facts, found.genes)
    table = RNG(0).standard_normal((5, found.width))
    assert np.array_equal(back.decode(table, RNG(1)), found.decode(table, RNG(1)))
    assert np.array_equal(back.encode(count_data), found.encode(count_data))


def test_constant_genes_are_told_exactly():
    values = np.array([[0.1, 1, 0, 0], [0.1, 1.0000001, 0, 2], [0.1, 1, 0, 0]], dtype=np.float32)
    expected = np.array([0.1, np.nan, 0, np.nan], dtype=np.float32)
    assert np.array_equal(constant_values(values), expected, equal_nan=True)
    assert np.array_equal(constant_values(sp.csr_matrix(values)), expected, equal_nan=True)
