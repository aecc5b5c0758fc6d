"""The Gaussian: planted means, spreads and correlations come back within what chance allows."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

from cellixir.synthesis.correlation import Correlation, factors
from cellixir.synthesis.gaussian import GaussianGenerator
from cellixir.synthesis.moments import Moments


@pytest.fixture(scope="module")
def model(gaussian_data: ad.AnnData) -> GaussianGenerator:
    return GaussianGenerator(condition=["group"], rank=3).fit(gaussian_data)


def test_mean_spread_and_conditional_mean_are_recovered(model, gaussian_data):
    truth = gaussian_data.uns["truth"]
    for group, shift in (("young", 0), ("old", truth["shift"])):
        found = model.sample(4000, given={"group": group}, seed=1).X
        n = int((gaussian_data.obs["group"] == group).sum())
        # five standard errors of 40 means, and as many of 40 spreads
        assert np.abs(found.mean(axis=0) - truth["mean"] - shift).max() < (5 * truth["sd"] / np.sqrt(n)).max()
        assert np.abs(found.std(axis=0) / truth["sd"] - 1).max() < 5 / np.sqrt(2 * n)


def test_the_correlation_is_recovered(model, gaussian_data):
    truth = gaussian_data.uns["truth"]["correlation"]
    found = np.corrcoef(model.sample(4000, given={"group": "young"}, seed=1).X.T)
    upper = np.triu_indices(len(truth), 1)
    assert np.corrcoef(found[upper], truth[upper])[0, 1] > 0.97
    assert np.abs(found - truth).max() < 5 / np.sqrt(400)
    assert model.correlation_.matrix(0) == pytest.approx(truth, abs=0.2)


def test_permuted_genes_are_learned_alike(gaussian_data, model):
    order = np.random.default_rng(0).permutation(gaussian_data.n_vars)
    other = GaussianGenerator(condition=["group"], rank=3).fit(gaussian_data[:, order].copy())
    assert other.mean_ == pytest.approx(model.mean_[:, order], abs=1e-5)
    assert other.sd_ == pytest.approx(model.sd_[:, order], abs=1e-5)
    assert other.correlation_.matrix(0) == pytest.approx(model.correlation_.matrix(0)[order][:, order], abs=1e-3)


def test_library_sizes_and_fold_changes_of_counts_are_kept(count_data):
    model = GaussianGenerator(condition=["group"]).fit(count_data)
    found = model.sample(3000, seed=2)
    given, drawn = (np.log(np.asarray(x.X.sum(axis=1)).ravel()) for x in (count_data, found))
    assert drawn.mean() == pytest.approx(given.mean(), abs=0.1)
    assert drawn.std() == pytest.approx(given.std(), rel=0.15)
    folds = []
    for samples in (count_data, found):
        counts = samples.X.toarray()
        log = np.log2(counts / counts.sum(axis=1, keepdims=True) * 500 + 1)
        old = (samples.obs["group"] == "old").to_numpy()
        folds.append(log[old].mean(axis=0) - log[~old].mean(axis=0))
    assert (folds[0] @ folds[1]) / (folds[0] @ folds[0]) == pytest.approx(1, abs=0.1)


# -- moments -----------------------------------------------------------------------------------------------------------


def test_moments_by_hand():
    table = np.array([[0.0], [2.0], [10.0], [12.0], [14.0]])
    found = Moments.of(table, np.array([0, 0, 1, 1, 1]), 2)
    assert found.raw.ravel().tolist() == [1, 12]
    pooled = (2 + 8) / 3
    assert found.variance.ravel() == pytest.approx([(2 + 4 * pooled) / 5, (8 + 4 * pooled) / 6])
    # Σ n (m - centre)² = 145.2; less pooled; over 5 - 13 / 5
    between = (145.2 - pooled) / 2.4
    weight = between / (between + pooled / np.array([2, 3]))
    assert found.mean.ravel() == pytest.approx(7.6 + weight * (np.array([1, 12]) - 7.6))


def test_one_combination_keeps_its_mean():
    assert Moments.of(np.array([[1.0], [4.0]]), np.array([0, 0]), 1).mean.tolist() == [[2.5]]


def test_means_are_shrunken_where_chance_explains_them_and_kept_where_not():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(10), 5)
    table = rng.standard_normal((50, 400))
    table[:, 200:] += 10 * rng.standard_normal((10, 200))[codes]
    found = Moments.of(table, codes, 10)
    error = (found.mean[:, :200] ** 2).mean() / (found.raw[:, :200] ** 2).mean()
    assert error < 0.5
    assert found.mean[:, 200:] == pytest.approx(found.raw[:, 200:], rel=0.05, abs=0.3)


def test_a_column_that_never_varies_within_a_combination_is_drawn_as_it_was():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((40, 3)).astype(np.float32)
    values[:, 0] = np.arange(40) % 2
    obs = {"half": np.where(np.arange(40) % 2, "b", "a")}
    found = GaussianGenerator(condition=["half"]).fit(ad.AnnData(values, obs=obs, uns={"scale": "zscore"}))
    drawn = found.sample(20)
    assert drawn.X[:, 0] == pytest.approx((drawn.obs["half"] == "b").to_numpy(dtype=float), abs=1e-6)


# -- correlation -------------------------------------------------------------------------------------------------------


def test_noise_alone_has_hardly_any_factors_even_with_more_genes_than_samples():
    noise = np.random.default_rng(0).standard_normal((60, 1500)).astype(np.float32)
    shared = (factors(noise, 60, 10, seed=0) ** 2).sum() / 1500
    assert shared < 0.12  # as they come the ten leading components hold a quarter of the variance
    assert (np.linalg.svd(noise)[1][:10] ** 2).sum() / (60 * 1500) > 0.2


def test_a_factor_is_found_beside_more_genes_than_samples():
    rng = np.random.default_rng(1)
    scores = np.sqrt(0.5) * (rng.standard_normal((100, 1)) + rng.standard_normal((100, 1000)))
    found = factors(scores.astype(np.float32), 100, 5, seed=0)
    assert (found[:, 0] ** 2).mean() == pytest.approx(0.5, abs=0.08)
    assert (found[:, 1:] ** 2).sum(axis=1).mean() < 0.05


def test_a_combination_with_many_samples_has_a_correlation_of_its_own():
    rng = np.random.default_rng(2)
    common = rng.standard_normal((600, 1))
    codes = np.repeat([0, 1, 2], [280, 280, 40])
    sign = np.where(codes == 0, 1, -1)[:, None]
    scores = np.hstack([common, sign * common]) * np.sqrt(0.8) + np.sqrt(0.2) * rng.standard_normal((600, 2))
    scores = np.hstack([scores, rng.standard_normal((600, 8))]).astype(np.float32)
    found = Correlation.learn(scores, codes, rank=2, pooling=40, seed=0)
    own, pooled = 0.8 * 280 / 320, 0.8 * (280 - 320) / 600
    assert found.weight == pytest.approx([280 / 320, 280 / 320, 0.5])
    assert found.matrix(0)[0, 1] == pytest.approx(own + pooled / 8, abs=0.15)
    drawn = found.draw(np.repeat([0, 1], 4000), rng)
    assert np.corrcoef(drawn[:4000, :2].T)[0, 1] == pytest.approx(found.matrix(0)[0, 1], abs=0.05)
    assert np.corrcoef(drawn[4000:, :2].T)[0, 1] == pytest.approx(found.matrix(1)[0, 1], abs=0.05)
    assert drawn.std(axis=0) == pytest.approx(np.ones(10), abs=0.05)
