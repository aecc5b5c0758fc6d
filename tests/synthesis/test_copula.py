"""The copula: every gene keeps its values, and genes go together as they did."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from scipy import stats

from cellixir.synthesis.copula import CopulaGenerator
from cellixir.synthesis.correlation import Correlation
from cellixir.synthesis.marginals import Marginals, normal_scores

RNG = np.random.default_rng


@pytest.fixture(scope="module")
def model(count_data: ad.AnnData) -> CopulaGenerator:
    return CopulaGenerator(condition=["group"]).fit(count_data)


@pytest.fixture(scope="module")
def drawn(model: CopulaGenerator) -> ad.AnnData:
    return model.sample(4000, seed=1)


def group(samples: ad.AnnData, name: str) -> np.ndarray:
    values = samples.X[(samples.obs["group"] == name).to_numpy()]
    return np.asarray(values.toarray())


@pytest.mark.parametrize("name", ["old", "young"])
def test_every_gene_keeps_its_distribution_in_every_combination(name, drawn, count_data):
    given, found = group(count_data, name), group(drawn, name)
    worst = max(stats.ks_2samp(g, f).statistic for g, f in zip(given.T, found.T, strict=True))
    assert worst < 2 / np.sqrt(len(found))  # the given values are the population that is drawn from
    zeros = np.abs((given == 0).mean(axis=0) - (found == 0).mean(axis=0)).max()
    assert zeros < 2.5 / np.sqrt(len(found))


def test_counts_are_counts_that_were_seen(drawn, count_data):
    given, found = count_data.X.toarray(), drawn.X.toarray()
    assert all(set(np.unique(f)) <= set(np.unique(g)) for g, f in zip(given.T, found.T, strict=True))


def test_rank_correlations_are_kept_among_frequent_and_rare_genes(drawn, count_data):
    varying = np.setdiff1d(np.arange(40), [15, 25])
    given, found = (stats.spearmanr(group(x, "young")[:, varying]).statistic for x in (count_data, drawn))
    for genes in (varying < 20, varying >= 20):
        upper = np.triu_indices(int(genes.sum()), 1)
        a, b = given[np.ix_(genes, genes)][upper], found[np.ix_(genes, genes)][upper]
        assert np.corrcoef(a, b)[0, 1] > 0.9
        assert a @ b / (a @ a) == pytest.approx(1, abs=0.12)


def test_library_sizes_are_kept(drawn, count_data):
    given, found = (np.log(np.asarray(x.X.sum(axis=1)).ravel()) for x in (count_data, drawn))
    assert found.mean() == pytest.approx(given.mean(), abs=0.06)
    assert found.std() == pytest.approx(given.std(), rel=0.15)


def test_values_of_a_gaussian_come_back(gaussian_data):
    found = CopulaGenerator(condition=["group"], rank=3).fit(gaussian_data).sample(4000, given={"group": "young"})
    truth = gaussian_data.uns["truth"]
    assert np.abs(found.X.mean(axis=0) - truth["mean"]).max() < (5 * truth["sd"] / np.sqrt(300)).max()
    assert np.abs(np.corrcoef(found.X.T) - truth["correlation"]).max() < 5 / np.sqrt(300)


# -- few samples -------------------------------------------------------------------------------------------------------


def test_a_small_combination_has_the_pooled_shape_at_its_own_mean():
    rng = RNG(0)
    codes = np.repeat([0, 1], [600, 12])
    counts = rng.negative_binomial(2, 0.1, (612, 200)).astype(np.float32)
    counts[codes == 1] *= 5
    learned = Marginals.learn(counts, codes, "counts", own=20, n_quantiles=1000)
    assert sorted(learned.quantiles) == [-1, 0]
    scores = rng.standard_normal((3000, 200), dtype=np.float32)
    found = learned.values(scores, np.ones(3000, dtype=np.int64), rng)
    assert np.array_equal(found, np.rint(found))
    assert found.mean() == pytest.approx(counts[codes == 1].mean(), rel=0.06)
    assert (found == 0).mean() == pytest.approx((counts == 0).mean(), abs=0.02)


def test_values_below_zero_are_shifted():
    rng = RNG(0)
    codes = np.repeat([0, 1], [300, 10])
    values = rng.standard_normal((310, 50)).astype(np.float32)
    values[codes == 1] += 6
    learned = Marginals.learn(values, codes, "zscore", own=20, n_quantiles=1000)
    found = learned.values(rng.standard_normal((2000, 50), dtype=np.float32), np.ones(2000, dtype=np.int64), rng)
    assert found.mean() == pytest.approx(6, abs=0.2)
    assert found.std() == pytest.approx(1, abs=0.1)


def test_fewer_quantiles_than_samples_keep_mean_and_zeros():
    rng = RNG(1)
    counts = rng.poisson(np.repeat([[0.004, 0.3, 40.0]], 5000, axis=0)).astype(np.float32)
    codes = np.zeros(5000, dtype=np.int64)
    learned = Marginals.learn(counts, codes, "counts", own=20, n_quantiles=100)
    assert learned.quantiles[0].shape == (100, 3)
    scores = rng.standard_normal((40_000, 3), dtype=np.float32)
    found = learned.values(scores, np.zeros(40_000, dtype=np.int64), rng)
    assert np.array_equal(found, np.rint(found))
    assert found.mean(axis=0) == pytest.approx(counts.mean(axis=0), rel=0.35)
    assert found.mean(axis=0)[1:] == pytest.approx(counts.mean(axis=0)[1:], rel=0.03)
    assert (found == 0).mean(axis=0) == pytest.approx((counts == 0).mean(axis=0), abs=0.01)


def test_quantiles_by_hand():
    values = np.array([[3.0], [0.0], [1.0], [0.0]], dtype=np.float32)
    learned = Marginals.learn(values, np.zeros(4, dtype=np.int64), "counts", own=2, n_quantiles=10)
    scores = stats.norm.ppf([[0.1], [0.49], [0.51], [0.74], [0.76], [0.99]]).astype(np.float32)
    assert learned.values(scores, np.zeros(6, dtype=np.int64), RNG(0)).ravel().tolist() == [0, 0, 1, 1, 3, 3]
    smooth = Marginals.learn(values, np.zeros(4, dtype=np.int64), "log2_tpm", own=2, n_quantiles=10)
    scores = stats.norm.ppf([[0.01], [0.5], [0.625], [0.75], [0.999]]).astype(np.float32)
    found = smooth.values(scores, np.zeros(5, dtype=np.int64), RNG(0))
    assert found.ravel() == pytest.approx([0, 0.5, 1, 2, 3], abs=1e-5)


# -- normal scores -----------------------------------------------------------------------------------------------------


def test_scores_of_distinct_values_are_standard_normal():
    values = RNG(0).standard_normal((200, 3)).astype(np.float32)
    scores, variance = normal_scores(values, np.zeros(200, dtype=np.int64))
    assert variance == pytest.approx(np.ones(3))
    assert np.array_equal(np.argsort(scores, axis=0), np.argsort(values, axis=0))
    assert stats.kstest(scores[:, 0], "norm").statistic < 0.02


def test_tied_values_share_the_mean_of_their_scores():
    values = np.array([[0], [0], [5], [9]], dtype=np.float32)
    scores, variance = normal_scores(values, np.zeros(4, dtype=np.int64))
    plain = stats.norm.ppf([0.125, 0.375, 0.625, 0.875])
    plain /= np.sqrt((plain**2).mean())
    assert scores.ravel() == pytest.approx([plain[:2].mean(), plain[:2].mean(), plain[2], plain[3]], abs=1e-6)
    assert variance[0] == pytest.approx((scores**2).mean())
    flat, none = normal_scores(np.ones((4, 1), dtype=np.float32), np.zeros(4, dtype=np.int64))
    assert flat == pytest.approx(np.zeros((4, 1)), abs=1e-6)
    assert none == pytest.approx([0], abs=1e-12)


def test_scores_are_those_within_a_combination():
    values = np.array([[1], [2], [101], [102], [7]], dtype=np.float32)
    scores, _ = normal_scores(values, np.array([0, 0, 1, 1, 2]))
    assert scores.ravel() == pytest.approx([-1, 1, -1, 1, 0])


def test_correlations_of_what_lies_behind_ties_are_found():
    rng = RNG(3)
    loadings = np.sqrt(0.5) * np.where(np.arange(60) % 2, 1, -1)
    latent = rng.standard_normal((2000, 1)) * loadings + np.sqrt(0.5) * rng.standard_normal((2000, 60))
    values = np.maximum(latent - 0.8, 0).astype(np.float32)  # four fifths are zero
    scores, variance = normal_scores(values, np.zeros(2000, dtype=np.int64))
    found = Correlation.learn(scores, np.zeros(2000, dtype=np.int64), rank=3, pooling=50, seed=0, variance=variance)
    upper = np.triu_indices(60, 1)
    truth = np.outer(loadings, loadings)[upper]
    assert found.matrix(0)[upper] @ truth / (truth @ truth) == pytest.approx(1, abs=0.15)
    plain = Correlation.learn(scores, np.zeros(2000, dtype=np.int64), rank=3, pooling=50, seed=0)
    assert plain.matrix(0)[upper] @ truth / (truth @ truth) < 0.75


def test_logarithms_of_small_groups_are_shifted_and_stay_near_their_range():
    rng = RNG(1)
    codes = np.repeat([0, 1], [300, 8])
    logs = np.maximum(rng.normal(2, 1.5, (308, 50)), 0).astype(np.float32)
    logs[codes == 1] += (logs[codes == 1] > 0) * 1.0
    rare = np.arange(50) < 10
    logs[np.ix_(codes == 0, rare)] *= rng.random((300, 10)) < 0.02  # multiplied, a mean 50 times as high would explode
    logs[np.ix_(codes == 1, rare)] = 4
    learned = Marginals.learn(logs, codes, "log2_tpm", own=20, n_quantiles=1000)
    found = learned.values(rng.standard_normal((2000, 50), dtype=np.float32), np.ones(2000, dtype=np.int64), rng)
    low, high = logs.min(axis=0), logs.max(axis=0)
    assert (found <= high + 0.1 * (high - low) + 1e-5).all()
    assert found.min() == 0
    usual = ~rare
    found_mean, own, pooled = (v.mean(axis=0)[usual] for v in (found, logs[codes == 1], logs))
    np.testing.assert_allclose(found_mean, own, atol=0.8)  # eight samples: the mean is moved towards that of all
    assert 0.5 < np.mean((found_mean - pooled) / (own - pooled)) < 1
    assert (found[:, usual] == 0).mean() == pytest.approx((logs[:, usual] == 0).mean(), abs=0.02)


def test_nothing_that_is_multiplied_is_beyond_twice_the_highest():
    rng = RNG(2)
    codes = np.repeat([0, 1], [300, 8])
    counts = rng.poisson(1, (308, 20)).astype(np.float32)
    counts[codes == 1] = 40
    learned = Marginals.learn(counts, codes, "counts", own=20, n_quantiles=1000)
    found = learned.values(rng.standard_normal((500, 20), dtype=np.float32), np.ones(500, dtype=np.int64), rng)
    assert 40 < found.max() <= 80
    assert np.array_equal(found, np.rint(found))
