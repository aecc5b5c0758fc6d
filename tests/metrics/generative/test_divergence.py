from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, spearmanr

from cellixir.exceptions import ConfigurationError, GeneMismatch, InvalidValues
from cellixir.metrics.generative import divergence, gene_tables
from cellixir.metrics.generative.divergence import (
    correlation_distance,
    gene_distances,
    gene_statistics,
    jensen_shannon,
    library_size_distance,
)

weights = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any)


def counts(n: int, d: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.poisson(rng.gamma(0.6, 4, d), (n, d)).astype(np.float32)


# -- Jensen-Shannon ----------------------------------------------------------------------------------------------------


def test_disjoint_distributions_have_log_two_and_equal_ones_nothing():
    assert jensen_shannon([1, 3, 0, 0], [0, 0, 5, 2]) == pytest.approx(np.log(2), rel=1e-15)
    assert jensen_shannon([1, 3, 0], [2, 6, 0]) == 0
    assert jensen_shannon([1e308, 1e308], [1e-300, 1e-300]) == 0


def test_divergence_by_hand():
    # p = (1, 0), q = (1/2, 1/2), m = (3/4, 1/4): KL(p, m) = ln 4/3, KL(q, m) = ln(2/3) / 2 + ln(2) / 2
    assert jensen_shannon([1, 0], [1, 1]) == pytest.approx((np.log(4 / 3) + np.log(4 / 3) / 2) / 2)


@given(weights, weights)
@settings(max_examples=50, deadline=None)
def test_divergence_is_symmetric_bounded_and_the_square_of_scipys_distance(p, q):
    value = jensen_shannon(p, q)
    assert value == jensen_shannon(q, p)
    assert 0 <= value <= np.log(2)
    assert value == pytest.approx(float(np.nan_to_num(jensenshannon(p, q))) ** 2, abs=1e-12)


@pytest.mark.parametrize("p", [[0, 0], [1, -1], [1, np.nan], [1, np.inf], [], [[1, 2]]])
def test_what_is_no_distribution_is_refused(p):
    with pytest.raises(InvalidValues, match="p is no distribution"):
        jensen_shannon(p, [1, 1])
    with pytest.raises(InvalidValues, match="q is no distribution"):
        jensen_shannon([1, 1], p)


def test_bins_must_be_the_same():
    with pytest.raises(InvalidValues, match="p has 2 bins, q 3"):
        jensen_shannon([1, 1], [1, 1, 1])


# -- genes -------------------------------------------------------------------------------------------------------------


def test_statistics_by_hand():
    real = np.array([[0, 2.0], [4, 2.0], [0, 2.0], [0, 6.0]])
    table = gene_statistics(real, real[:2] * 2, ["a", "b"])
    assert table.loc["a"].tolist() == [1, 4, 4, 32, 0.75, 0.5]
    assert table.loc["b"].tolist() == [3, 4, 4, 0, 0, 0]
    assert list(table) == [f"{n}_{s}" for n in divergence.STATISTICS for s in ("real", "synthetic")]
    assert table.index.name == "gene"


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_matrix, sp.coo_array, sp.csr_array])
def test_statistics_of_sparse_matrices_are_those_of_dense_ones(kind, monkeypatch):
    real, made = counts(60), counts(30, seed=3)
    expected = gene_statistics(real, made)
    sparse = [kind(m) for m in (real, made)]
    monkeypatch.setattr(gene_tables, "_dense", None)  # nothing is written out dense
    pd.testing.assert_frame_equal(gene_statistics(*sparse), expected, check_exact=False, rtol=1e-12)


def test_entries_that_stand_twice_are_added_and_stored_zeros_are_zeros():
    twice = sp.csr_matrix((np.array([1.0, 2.0, 0.0]), np.array([0, 0, 1]), np.array([0, 2, 3])), shape=(2, 2))
    stored = twice.data.copy()
    found = gene_statistics(twice, twice)
    assert found["mean_real"].tolist() == [1.5, 0]
    assert found["zero_fraction_real"].tolist() == [0.5, 1]
    np.testing.assert_array_equal(twice.data, stored)


def test_variance_keeps_its_digits_far_from_zero():
    values = 1e6 + np.random.default_rng(0).normal(size=(50, 1))
    for table in (values, sp.csr_matrix(values)):
        assert gene_statistics(table, table)["variance_real"][0] == pytest.approx(values.var(ddof=1), rel=1e-9)
    constant = np.full((7, 1), 0.1)
    for table in (constant, sp.csr_matrix(constant)):
        assert gene_statistics(table, table)["variance_real"][0] == 0


@pytest.mark.parametrize("kind", [np.asarray, sp.csc_matrix])
def test_a_constant_gene_of_many_samples_has_no_variance(kind):
    table = kind(np.full((10**6, 2), 0.1))  # whose mean is off by 1e-12
    assert (gene_statistics(table, table[:9])["variance_real"] == 0).all()


def test_distances_by_hand():
    statistics = pd.DataFrame({
        "mean_real": [1.0, 4, 8], "mean_synthetic": [2.0, 4, 0],
        "variance_real": [1.0, 1, 4], "variance_synthetic": [4.0, 1, 1],
        "zero_fraction_real": [0.5, 0, 0], "zero_fraction_synthetic": [0.2, 0, 0.3],
    })  # fmt: skip
    found = gene_distances(statistics)
    assert found.mean == pytest.approx((1 + 0 + 4) / 3)  # 0 counts as half of the least real mean, 1
    assert found.variance == pytest.approx((2 + 0 + 2) / 3)
    assert found.zero_fraction == pytest.approx(0.2)
    assert found.mean_spearman == pytest.approx(spearmanr([1, 4, 8], [2, 4, 0]).statistic)
    assert found.zero_fraction_spearman == pytest.approx(spearmanr([0.5, 0, 0], [0.2, 0, 0.3]).statistic)


def test_logarithms_of_negative_means_are_not_defined():
    values = np.random.default_rng(0).normal(size=(30, 40))
    found = gene_distances(gene_statistics(values, values))
    assert np.isnan(found.mean)
    assert found.variance == 0
    assert found.mean_spearman == pytest.approx(1)


def test_of_constant_genes_the_mean_alone_is_known():
    found = gene_distances(gene_statistics(np.ones((6, 3)), np.full((6, 3), 2.0)))
    assert (found.mean, found.zero_fraction) == (1, 0)
    assert np.isnan([found.variance, *found[3:]]).all()


def test_doubled_counts_are_one_too_high():
    real = counts(80) + 1
    found = gene_distances(gene_statistics(real, 2 * real))
    assert found.mean == pytest.approx(1)
    assert found.variance == pytest.approx(2)


# -- library sizes -----------------------------------------------------------------------------------------------------


def test_library_sizes_by_hand():
    real, made = np.array([[1.0, 0], [1, 1], [2, 1], [4, 0]]), np.array([[1.0, 1], [3, 0]])
    assert library_size_distance(real, made) == pytest.approx(0.25)  # sizes 1, 2, 3, 4 beside 2, 3
    assert library_size_distance(real, real + 100) == 1
    assert library_size_distance(real, real[::-1]) == 0


def test_library_sizes_agree_with_scipy_and_logarithms_change_nothing():
    real, made = counts(200), counts(150, seed=5) * 1.2
    expected = ks_2samp(np.log(real.sum(axis=1, dtype=float)), np.log(made.sum(axis=1, dtype=float))).statistic
    assert library_size_distance(sp.csr_matrix(real), made) == pytest.approx(expected)


def test_library_sizes_of_single_precision_are_exact():
    real = np.random.default_rng(0).poisson(2e5, (50, 200)).astype(np.float32)  # sums above 2^24
    assert library_size_distance(sp.csr_matrix(real), real) == 0


def test_negative_counts_are_refused():
    with pytest.raises(InvalidValues, match="synthetic data: 2 values are below 0"):
        library_size_distance(np.ones((3, 2)), np.array([[1, -1], [-2, 1]]))


# -- correlation -------------------------------------------------------------------------------------------------------


def test_turned_correlation_is_as_wrong_as_can_be():
    x = np.array([[0.0], [1], [2], [5]])
    same, turned = np.hstack([x, 3 * x]), np.hstack([x, -x])
    assert correlation_distance(same, same).similarity == pytest.approx(1)
    assert correlation_distance(same, turned).similarity == pytest.approx(0, abs=1e-12)


def test_correlation_of_hand_computed_pairs():
    real, made = counts(60, 6), counts(50, 6, seed=2)
    upper = np.triu_indices(6, 1)
    one, other = (np.corrcoef(m.T.astype(float))[upper] for m in (real, made))
    for tables in ((real, made), (sp.csr_matrix(real), sp.csr_matrix(made))):
        found = correlation_distance(*tables)
        assert found.similarity == pytest.approx(1 - np.abs(one - other).mean() / 2)
        assert found.agreement == pytest.approx(np.corrcoef(one, other)[0, 1])
        assert (found.n_genes, found.n_constant) == (6, 0)


def test_genes_are_chosen_by_the_real_data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 1))
    real = np.hstack([9 * x, 9 * x, rng.normal(size=(100, 3))])
    made = np.hstack([9 * x, -9 * x, 1000 * rng.normal(size=(100, 3))])
    found = correlation_distance(real, made, n_genes=2)
    assert found.n_genes == 2
    assert found.similarity == pytest.approx(0, abs=1e-12)
    assert correlation_distance(made, real, n_genes=2).similarity > 0.5


def test_independent_genes_lose_the_correlation():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(400, 1)) + 0.5 * rng.normal(size=(400, 8))
    shuffled = np.stack([rng.permutation(column) for column in real.T], axis=1)
    assert correlation_distance(real, shuffled).similarity == pytest.approx(1 - 0.8 / 2, abs=0.05)
    assert correlation_distance(real[:200], real[200:]).similarity > 0.97


def test_a_gene_that_is_constant_in_the_synthetic_data_correlates_with_nothing():
    x = np.arange(5.0)[:, None]
    real, made = np.hstack([x, x]), np.hstack([x, np.full_like(x, 0.1)])
    found = correlation_distance(real, made)
    assert found.n_constant == 1
    assert found.similarity == pytest.approx(0.5)


def test_synthetic_data_that_do_not_vary_correlate_with_nothing():
    real = counts(60, 6)
    rho = np.corrcoef(real.T.astype(float))[np.triu_indices(6, 1)]
    found = correlation_distance(real, np.ones((5, 6)))
    assert found.similarity == pytest.approx(1 - np.abs(rho).mean() / 2)
    assert np.isnan(found.agreement)
    assert found.n_constant == 6


def test_blocks_of_samples_do_not_change_the_correlation(monkeypatch):
    real, made = counts(60), counts(50, seed=2)
    expected = correlation_distance(real, made)
    monkeypatch.setattr(gene_tables, "BLOCK_VALUES", 40)
    np.testing.assert_allclose(correlation_distance(real, made), expected, rtol=1e-12)


def test_constant_genes_have_no_correlation():
    real = np.ones((5, 3))
    real[:, 0] = np.arange(5)
    with pytest.raises(InvalidValues, match="1 of 3 genes vary in the real data"):
        correlation_distance(real, real)


# -- wrong input -------------------------------------------------------------------------------------------------------

METRICS = [gene_statistics, library_size_distance, correlation_distance]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("values", "error", "said"),
    [
        (np.ones((5, 3)), GeneMismatch, "real data have 4 genes, synthetic data 3"),
        (np.full((5, 4), np.nan), InvalidValues, "synthetic data: 20 values are NaN"),
        (sp.csr_matrix(np.full((5, 4), np.inf)), InvalidValues, "synthetic data: 20 values are NaN or infinite"),
        (np.ones((0, 4)), InvalidValues, "0 samples x 4 genes"),
        (np.ones((1, 4)), InvalidValues, "1 samples x 4 genes"),
        (np.ones(4), InvalidValues, "give numbers, samples x genes"),
        (np.full((5, 4), "a"), InvalidValues, "give numbers, samples x genes"),
    ],
)
def test_wrong_matrices_are_refused(metric, values, error, said):
    with pytest.raises(error, match=said):
        metric(counts(9, 4), values)


def test_wrong_settings_are_refused():
    real = counts(9)
    with pytest.raises(ConfigurationError, match="n_genes=1"):
        correlation_distance(real, real, n_genes=1)
    with pytest.raises(InvalidValues, match="1 names for 12 genes"):
        gene_statistics(real, real, ["a"])
