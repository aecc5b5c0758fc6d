from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from cellixir.exceptions import ConfigurationError, GeneMismatch, InvalidValues
from cellixir.metrics.generative import RealSpace
from cellixir.metrics.generative import space as module

Points = NDArray[np.float64]


def low_rank(n: int, seed: int = 0, n_genes: int = 60) -> Points:
    """Samples on a plane in gene space, away from 0."""
    loadings = np.random.default_rng(99).normal(size=(2, n_genes))
    return np.random.default_rng(seed).normal(size=(n, 2)) * [3, 1] @ loadings + 5


def test_a_plane_is_found_and_distances_are_kept() -> None:
    genes = low_rank(200)
    space = RealSpace.fit(genes, 2)
    points = space.transform(genes)
    assert points.dtype == np.float32
    np.testing.assert_allclose(space.explained.sum(), 1, atol=1e-5)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(
        np.linalg.norm(points[0] - points[1:], axis=1), np.linalg.norm(genes[0] - genes[1:], axis=1), rtol=1e-4
    )


def test_components_are_those_of_an_eigen_decomposition() -> None:
    genes = np.random.default_rng(0).normal(size=(80, 12)) * np.arange(1, 13)
    space = RealSpace.fit(genes, 3)
    values, vectors = np.linalg.eigh(np.cov(genes.T))
    np.testing.assert_allclose(np.abs(np.sum(space.components[:3] * vectors[:, ::-1][:, :3].T, axis=1)), 1, atol=1e-4)
    np.testing.assert_allclose(space.explained, values[::-1][:3] / values.sum(), rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distances_are_kept_far_from_the_origin(dtype: type) -> None:
    genes = (low_rank(1000) + 1e4).astype(dtype)  # many samples a gene: components come from a covariance in float32
    points = RealSpace.fit(genes, 2).transform(genes)
    exact = genes.astype(np.float64)
    np.testing.assert_allclose(
        np.linalg.norm(points[0] - points[1:], axis=1), np.linalg.norm(exact[0] - exact[1:], axis=1), rtol=1e-3
    )


def test_synthetic_samples_have_no_say() -> None:
    space = RealSpace.fit(low_rank(100), 2)
    before = space.components.copy()
    off_plane = low_rank(100, seed=1) + 50 * np.random.default_rng(1).normal(size=60)
    assert space.transform(off_plane).shape == (100, 2)
    assert np.array_equal(space.components, before)


@pytest.mark.parametrize("small", [module.SMALL, 0])
def test_sparse_and_dense_agree(monkeypatch: pytest.MonkeyPatch, small: int) -> None:
    monkeypatch.setattr(module, "SMALL", small)
    rng = np.random.default_rng(0)
    genes = np.where(rng.random((150, 40)) < 0.2, rng.gamma(2, size=(150, 40)), 0) * np.linspace(0.1, 3, 40)
    dense, sparse = RealSpace.fit(genes, 5), RealSpace.fit(sp.csr_matrix(genes), 5)
    np.testing.assert_allclose(dense.explained, sparse.explained, rtol=1e-3)
    np.testing.assert_allclose(
        np.abs(dense.transform(genes)), np.abs(sparse.transform(sp.csc_matrix(genes))), atol=1e-2
    )


@pytest.mark.parametrize(("n", "n_genes", "kept"), [(5, 60, 4), (200, 7, 7), (2, 3, 1), (9, 1, 1)])
def test_small_data_have_fewer_components(n: int, n_genes: int, kept: int) -> None:
    genes = np.random.default_rng(0).normal(size=(n, n_genes))
    for table in (genes, sp.csr_matrix(genes)):
        space = RealSpace.fit(table)
        assert space.transform(table).shape == (n, kept)
        assert np.isfinite(space.transform(table)).all()


def test_same_seed_same_space() -> None:
    genes = np.random.default_rng(0).normal(size=(600, 700))
    one, other = (RealSpace.fit(genes, 10, seed=3) for _ in range(2))
    assert np.array_equal(one.components, other.components)


def test_wrong_input() -> None:
    genes = low_rank(20)
    space = RealSpace.fit(genes, 2)
    with pytest.raises(GeneMismatch, match="samples have 59 genes and the real ones 60; give the same genes"):
        space.transform(genes[:, 1:])
    with pytest.raises(ConfigurationError, match="n_components=0"):
        RealSpace.fit(genes, 0)
    with pytest.raises(InvalidValues, match="1 samples x 60 genes"):
        RealSpace.fit(genes[:1])
    for constant in (np.ones((5, 3)), sp.csr_matrix(np.ones((5, 3)))):
        with pytest.raises(InvalidValues, match="none of 3 genes varies over 5 real samples"):
            RealSpace.fit(constant)
    genes[3, 4] = np.nan
    with pytest.raises(InvalidValues, match="1 values are NaN"):
        RealSpace.fit(genes)
    with pytest.raises(InvalidValues, match="1 values are NaN"):
        space.transform(genes)
