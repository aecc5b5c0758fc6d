from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.decomposition import PCA as SklearnPCA

from cellixir.embedding import pca as module
from cellixir.embedding.pca import PCA, log_normalised
from cellixir.exceptions import ConfigurationError, DataError, DuplicateIds, GeneMismatch, InvalidValues, NotFitted


def counts(n: int = 300, n_genes: int = 60, seed: int = 0) -> ad.AnnData:
    """Counts of three cell types with libraries of different sizes, sparse."""
    rng = np.random.default_rng(seed)
    rates = rng.gamma(0.6, 1.0, (3, n_genes))[rng.integers(0, 3, n)] * rng.gamma(4, 0.5, (n, 1))
    cells = ad.AnnData(sp.csr_matrix(rng.poisson(rates).astype(np.float32)))
    cells.obs_names, cells.var_names = [f"cell{i}" for i in range(n)], [f"gene{i}" for i in range(n_genes)]
    cells.uns["scale"] = "counts"
    return cells


def median_library(cells: ad.AnnData) -> float:
    return float(np.median(np.asarray(cells.X.sum(axis=1))))


def log_values(cells: ad.AnnData, target: float) -> NDArray[np.float64]:
    dense = cells.X.toarray().astype(np.float64)
    size = dense.sum(axis=1, keepdims=True)
    return np.log1p(dense / np.where(size > 0, size, 1) * target)


def test_log_normalisation_by_hand() -> None:
    block = np.array([[1.0, 3.0, 0.0], [0.0, 0.0, 0.0]], dtype=np.float32)
    expected = [[np.log(1 + 2.5), np.log(1 + 7.5), 0], [0, 0, 0]]
    assert log_normalised(block, 10.0) == pytest.approx(np.array(expected))
    assert log_normalised(sp.csr_matrix(block), 10.0).toarray() == pytest.approx(np.array(expected))


@pytest.mark.parametrize("limit", [4000, 10])  # the covariance, and ARPACK
@pytest.mark.parametrize("dense", [False, True])
def test_components_are_those_of_scikit_learn(limit: int, dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COVARIANCE", limit)
    cells = counts()
    values = log_values(cells, median_library(cells))
    if dense:
        cells.X = cells.X.toarray()
    ours, theirs = PCA(5).fit(cells), SklearnPCA(5, svd_solver="full").fit(values)
    assert ours.explained_variance_ == pytest.approx(theirs.explained_variance_, rel=1e-6)
    assert ours.explained_variance_ratio_ == pytest.approx(theirs.explained_variance_ratio_, rel=1e-6)
    assert np.abs(np.sum(ours.components_ * theirs.components_, axis=1)) == pytest.approx(np.ones(5), abs=1e-6)
    assert np.abs(ours.transform(cells)) == pytest.approx(np.abs(theirs.transform(values)), abs=1e-4)


def test_log_values_are_only_centred() -> None:
    rng = np.random.default_rng(0)
    cells = ad.AnnData(rng.normal(5, 1, (80, 12)).astype(np.float32))
    latent = PCA(3).fit(cells).transform(cells)
    theirs = SklearnPCA(3).fit_transform(cells.X.astype(np.float64))
    assert np.abs(latent) == pytest.approx(np.abs(theirs), abs=1e-4)
    assert latent.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-5)


def test_library_size_is_that_of_the_training_cells() -> None:
    """A query of deeper libraries is scaled down to them, so depth alone moves no cell."""
    cells = counts()
    model = PCA(4).fit(cells)
    assert model.library_size_ == median_library(cells)
    deep = cells.copy()
    deep.X = deep.X * 3
    assert model.transform(deep) == pytest.approx(model.transform(cells), abs=1e-5)


def test_the_median_is_over_cells_that_have_counts() -> None:
    cells = counts()
    empty = ad.concat([cells, ad.AnnData(sp.csr_matrix((400, 60), dtype=np.float32), var=cells.var)], uns_merge="first")
    empty.obs_names_make_unique()
    empty.uns["scale"] = "counts"
    model = PCA(3).fit(empty)
    assert model.library_size_ == median_library(cells)
    assert np.isfinite(model.transform(empty)).all()


def test_largest_weight_is_positive_and_names_are_there() -> None:
    loadings = PCA(4).fit(counts()).loadings()
    assert list(loadings.columns) == ["PC1", "PC2", "PC3", "PC4"]
    assert loadings.index[:2].tolist() == ["gene0", "gene1"]
    largest = loadings.abs().idxmax()
    assert (np.array([loadings.loc[gene, name] for name, gene in largest.items()]) > 0).all()
    assert loadings.T.to_numpy() @ loadings.to_numpy() == pytest.approx(np.eye(4), abs=1e-9)


@pytest.mark.parametrize("sparse", [True, False])
def test_permuted_genes_change_nothing(sparse: bool) -> None:
    cells = counts()
    if not sparse:
        cells.X = cells.X.toarray()
    model = PCA(5).fit(cells)
    order = np.random.default_rng(3).permutation(cells.n_vars)
    assert np.array_equal(model.transform(cells[:, order].copy()), model.transform(cells))


def test_more_genes_in_the_query_change_nothing() -> None:
    """The library size of a cell is that of the model's genes."""
    cells = counts()
    model = PCA(3).fit(cells[:, :40].copy())
    assert np.array_equal(model.transform(cells), model.transform(cells[:, :40].copy()))


def test_missing_genes_are_refused_or_filled_on_request() -> None:
    cells = counts()
    model = PCA(3).fit(cells)
    with pytest.raises(GeneMismatch, match="18 of the model's 60 genes"):
        model.transform(cells[:, 18:].copy())
    with pytest.raises(GeneMismatch, match="3 of the model's 60 genes"):
        model.transform(cells[:, 3:].copy())
    assert model.transform(cells[:, 3:].copy(), missing="zero").shape == (300, 3)
    assert "filled in" in model.query_notes_[0]


def test_same_numbers_again_and_by_any_block(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = counts()
    one = PCA(5, seed=3).fit(cells).transform(cells)
    assert np.array_equal(one, PCA(5, seed=3).fit(cells).transform(cells))
    monkeypatch.setattr(module, "BLOCK_VALUES", 64 * 60)
    assert PCA(5, seed=3).fit(cells).transform(cells) == pytest.approx(one, abs=1e-5)


def test_from_disk_as_from_memory(tmp_path: Path) -> None:
    cells = counts()
    cells.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    one, other = PCA(5).fit(cells), PCA(5).fit(backed)
    assert np.array_equal(one.transform(cells), other.transform(backed))
    backed.file.close()


def test_many_genes_from_disk_are_approximate_and_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = counts(n=130, n_genes=60)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    exact = PCA(5).fit(cells)
    monkeypatch.setattr(module, "MAX_COVARIANCE", 10)
    monkeypatch.setattr(module, "BLOCK_VALUES", 64 * 60)  # blocks of 64, 64 and 2: the last is less than a latent
    model = PCA(5).fit(backed)
    assert "approximate" in model.notes_[0]
    assert model.explained_variance_[:2] == pytest.approx(exact.explained_variance_[:2], rel=0.1)
    assert np.abs(np.sum(model.components_[:2] * exact.components_[:2], axis=1)).min() > 0.9
    backed.file.close()


def test_planted_axis_is_found() -> None:
    rng = np.random.default_rng(1)
    score = rng.normal(0, 3, 400)
    values = rng.normal(0, 0.5, (400, 30))
    values[:, :5] += score[:, None]
    cells = ad.AnnData(values.astype(np.float32))
    model = PCA(2).fit(cells)
    assert abs(np.corrcoef(model.transform(cells)[:, 0], score)[0, 1]) > 0.99
    assert set(model.loadings()["PC1"].nlargest(5).index) == {"0", "1", "2", "3", "4"}


def test_cells_that_span_fewer_components_are_noted() -> None:
    rng = np.random.default_rng(1)
    cells = ad.AnnData((rng.normal(size=(50, 2)) @ rng.normal(size=(2, 20))).astype(np.float32))
    model = PCA(4).fit(cells)
    assert "2 of 4 principal components have no variance" in model.notes_[0]


def test_unrecorded_counts_are_seen_to_be_counts() -> None:
    cells = counts()
    recorded = PCA(3).fit(cells).transform(cells)
    del cells.uns["scale"]
    assert np.array_equal(PCA(3).fit(cells).transform(cells), recorded)


def test_another_scale_is_refused() -> None:
    cells = counts()
    model = PCA(3).fit(cells)
    logged = cells.copy()
    logged.X = logged.X.log1p()
    logged.uns["scale"] = "log1p_cpm"
    with pytest.raises(InvalidValues, match="of counts values, these cells are recorded as log1p_cpm"):
        model.transform(logged)
    of_logs = PCA(3).fit(logged)
    with pytest.raises(InvalidValues, match="of log1p_cpm values, these cells are recorded as counts"):
        of_logs.transform(cells)
    del logged.uns["scale"]
    with pytest.raises(InvalidValues, match=r"hold values such as \d\.\d+; give counts"):
        model.transform(logged)
    cells.X = -1 * cells.X
    with pytest.raises(InvalidValues, match="the lowest value is"):
        PCA(3).fit(cells)


def test_what_cannot_work_is_refused() -> None:
    cells = counts()
    with pytest.raises(ConfigurationError, match="60 components need more than 60 cells and genes"):
        PCA(60).fit(cells)
    with pytest.raises(ConfigurationError, match="latent=0"):
        PCA(0)
    with pytest.raises(NotFitted):
        PCA().transform(cells)
    with pytest.raises(NotFitted):
        PCA().loadings()
    with pytest.raises(InvalidValues, match="no gene varies"):
        PCA(2).fit(ad.AnnData(np.ones((20, 5), dtype=np.float32)))
    with pytest.raises(DataError, match="empty"):
        PCA(2).fit(ad.AnnData(np.ones((0, 5), dtype=np.float32)))
    wrong = cells.copy()
    wrong.X = cells.X.toarray()
    wrong.X[3, 4] = np.nan
    with pytest.raises(InvalidValues, match="gene 'gene4' in cell 'cell3'"):
        PCA(2).fit(wrong)
    wrong = cells.copy()
    wrong.var_names = ["A", *wrong.var_names[1:-1], "A"]
    with pytest.raises(DuplicateIds, match="1 gene stands more than once"):
        PCA(2).fit(wrong)


@pytest.mark.real_data
def test_real_log_values_with_many_genes(data_dir: Path) -> None:
    cells = ad.read_h5ad(data_dir / "derived" / "puram_GSE103322_180cells.h5ad")
    model = PCA(10).fit(cells)
    theirs = SklearnPCA(10, svd_solver="full").fit(cells.X.toarray().astype(np.float64))
    assert model.explained_variance_ == pytest.approx(theirs.explained_variance_, rel=1e-6)
    assert model.transform(cells).shape == (180, 10)
