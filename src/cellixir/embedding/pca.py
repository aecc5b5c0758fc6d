"""Principal components of log expression: what an embedding has to beat at the same dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.linalg import eigh
from scipy.linalg.blas import dsyrk
from sklearn.decomposition import PCA as SklearnPCA
from sklearn.decomposition import IncrementalPCA

from cellixir.data.expression.alignment import align
from cellixir.data.expression.matrix import BLOCK, is_backed, profile
from cellixir.data.expression.samples import as_anndata
from cellixir.estimator import Arrays, Estimator
from cellixir.exceptions import ConfigurationError, InvalidValues

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import anndata as ad
    from numpy.typing import NDArray

    from cellixir.data.expression.alignment import Aligned
    from cellixir.data.expression.matrix import Profile, Rows
    from cellixir.data.expression.samples import Samples
    from cellixir.data.missing_genes import Missing
    from cellixir.estimator import OnEpoch

    Floats = NDArray[np.float64]

MAX_COVARIANCE = 4000  # genes: their covariance takes 128 MB, its eigenvectors seconds
BLOCK_VALUES = 4_000_000  # of a block that is written out densely: 32 MB


class PCA(Estimator):
    """Principal component analysis of cells or bulk samples, in one or two passes over a file of any size.

    Counts are first scaled to the median library size of the training cells and logged, log(1 + x); other values are
    only centred. Up to ``MAX_COVARIANCE`` genes the covariance is summed up block by block and its eigenvectors are
    exact. With more genes a matrix in memory goes to scikit-learn's PCA (ARPACK, sparse stays sparse), and one on disk
    to its IncrementalPCA, which is approximate and says so in ``notes_``.

    Parameters
    ----------
    latent
        Number of components.
    seed
        Start of ARPACK; nothing else is drawn.

    Attributes
    ----------
    components_
        Shape ``(latent, n_genes)``; in each the largest weight is positive.
    explained_variance_, explained_variance_ratio_
        Variance of each component, and its share of the variance of all genes.
    genes_, latent_names_, notes_
        Names, and a sentence for each thing to know.

    Examples
    --------
    >>> cells = np.random.default_rng(0).normal(size=(20, 5))
    >>> PCA(2).fit(cells).transform(cells).shape
    (20, 2)
    """

    title = "Principal components of log expression"
    limits = "Genes are matched by name."
    learned = "components_"

    def __init__(self, latent: int = 10, *, seed: int = 0) -> None:
        self.latent, self.seed = latent, seed
        self.check_parameters()

    def check_parameters(self) -> None:
        """Refuse parameters that cannot work."""
        if self.latent < 1 or self.seed < 0:
            message = f"latent={self.latent}, seed={self.seed}: use 1 component or more, and a seed from 0"
            raise ConfigurationError(message)

    def fit(
        self,
        X: Samples,
        y: Any = None,
        *,
        validation: NDArray[Any] | None = None,
        checkpoint: Path | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> Self:
        """Learn the components from all cells given; nothing stops early, so only ``X`` is used.

        Raises
        ------
        ConfigurationError
            If there are not more cells and genes than components.
        InvalidValues
            If a value is not finite, no gene varies, or the values are not what ``uns["scale"]`` says.
        """
        cells = as_anndata(X)
        seen = profile(cells)
        if self.latent >= min(cells.shape):
            message = (
                f"{self.latent} components need more than {self.latent} cells and genes; there are {cells.n_obs:,} "
                f"cells and {cells.n_vars:,} genes: use a smaller latent"
            )
            raise ConfigurationError(message)
        if not (seen.variance > 0).any():
            message = f"no gene varies over the {cells.n_obs:,} cells; there is nothing to describe"
            raise InvalidValues(message)
        self.scale_ = str(cells.uns.get("scale", "unknown"))
        self.counts_ = self.scale_ == "counts" or (self.scale_ == "unknown" and seen.counts)
        self.library_size_ = _median_library(seen) if self.counts_ else 1.0
        self.genes_, self.notes_ = list(cells.var_names), []
        self.latent_names_ = [f"PC{i + 1}" for i in range(self.latent)]
        matrix, _ = align(cells, self.genes_)
        if len(self.genes_) <= MAX_COVARIANCE:
            self._fit_covariance(matrix)
        elif is_backed(cells.X):
            self._fit_incremental(matrix)
        else:
            self._fit_in_memory(matrix)
        largest = np.abs(self.components_).argmax(axis=1)
        self.components_ *= np.sign(self.components_[np.arange(self.latent), largest])[:, None]
        flat = int((self.explained_variance_ <= 1e-10 * self.explained_variance_[0]).sum())
        if flat:
            self.notes_.append(f"{flat} of {self.latent} principal components have no variance: the cells span fewer")
        return self

    def transform(self, X: Samples, *, missing: Missing = "refuse") -> NDArray[np.float32]:
        """Components of each cell, shape ``(n_cells, latent)``; genes are matched by name.

        Raises
        ------
        GeneMismatch
            If genes of the model are missing and ``missing`` does not let them be filled in.
        InvalidValues
            If the values are of another scale than those of the fit.
        """
        self.check_is_fitted()
        cells = as_anndata(X)
        self._require_same_scale(cells)
        mean = None if self.counts_ else self.mean_.astype(np.float32)
        matrix, self.query_notes_ = align(cells, self.genes_, missing=missing, mean=mean)
        strict = str(cells.uns.get("scale", "unknown")) == "unknown"
        found = np.empty((cells.n_obs, self.latent), dtype=np.float32)
        centre = self.mean_ @ self.components_.T
        for start, block in self._prepared(matrix, strict=strict):
            found[start : start + block.shape[0]] = block @ self.components_.T - centre
        return found

    def loadings(self) -> pd.DataFrame:
        """Weight of each gene in each component, shape ``(n_genes, latent)``."""
        self.check_is_fitted()
        return pd.DataFrame(self.components_.T, index=self.genes_, columns=self.latent_names_)

    def features(self, data: Samples) -> tuple[Rows, list[str]]:
        """Values of the model's genes in its order, shape ``(n_cells, n_genes)``, and the genes."""
        self.check_is_fitted()
        matrix, _ = align(as_anndata(data), self.genes_)
        return matrix.take(np.arange(matrix.shape[0])), list(self.genes_)

    def restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        super().restore(arrays, facts)
        if not all(isinstance(name, str) for name in (*self.genes_, *self.latent_names_)) or len(self.scale_) > 99:
            message = "names of genes, components and the scale must be text"
            raise ValueError(message)
        n_genes, shape = len(self.genes_), self.components_.shape
        if (self.latent, n_genes) != shape or self.mean_.shape != (n_genes,) or self.latent != len(self.latent_names_):
            message = f"{n_genes:,} genes and {self.latent} components for components of shape {shape}"
            raise ValueError(message)

    def describe(self) -> list[str]:
        """Lines of the card."""
        share = float(self.explained_variance_ratio_.sum())
        values = "log counts" if self.counts_ else f"{self.scale_} values"
        return [f"{self.latent} components of {len(self.genes_):,} genes, {values}: {share:.1%} of the variance"]

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _fit_covariance(self, matrix: Aligned) -> None:
        n, n_genes = matrix.shape
        total, products = np.zeros(n_genes), np.zeros((n_genes, n_genes), order="F")
        for _, block in self._prepared(matrix):
            dense = _dense(block)
            total += dense.sum(axis=0)
            products = dsyrk(
                1.0, dense.T, beta=1.0, c=products, overwrite_c=1, lower=1
            )  # the lower half of block' block
        self.mean_ = total / n
        products -= n * np.outer(self.mean_, self.mean_)
        products /= n - 1
        variance = float(np.trace(products))
        last = [n_genes - self.latent, n_genes - 1]
        values, vectors = eigh(products, lower=True, overwrite_a=True, check_finite=False, subset_by_index=last)
        self.components_ = np.ascontiguousarray(vectors[:, ::-1].T)
        self.explained_variance_ = np.maximum(values[::-1], 0)
        self.explained_variance_ratio_ = self.explained_variance_ / variance

    def _fit_in_memory(self, matrix: Aligned) -> None:
        blocks = [block for _, block in self._prepared(matrix)]
        whole = sp.vstack(blocks, format="csr") if sp.issparse(blocks[0]) else np.concatenate(blocks)
        self._keep(SklearnPCA(self.latent, svd_solver="arpack", random_state=self.seed).fit(whole))

    def _fit_incremental(self, matrix: Aligned) -> None:
        model = IncrementalPCA(self.latent)
        waiting: list[Floats] = []
        for start, block in self._prepared(matrix):
            waiting.append(_dense(block))
            left = matrix.shape[0] - start - block.shape[0]
            # a part must hold as many cells as components: a short end goes with the part before it
            if sum(map(len, waiting)) >= self.latent and (left == 0 or left >= self.latent):
                model.partial_fit(np.concatenate(waiting))
                waiting = []
        self.notes_.append(
            f"principal components of {matrix.shape[1]:,} genes from disk are approximate (incremental PCA); choose "
            f"up to {MAX_COVARIANCE:,} genes, or read the data into memory, for exact ones"
        )
        self._keep(model)

    def _keep(self, model: Any) -> None:
        self.mean_ = np.asarray(model.mean_, dtype=np.float64)
        self.components_ = np.array(model.components_, dtype=np.float64)
        self.explained_variance_ = np.asarray(model.explained_variance_, dtype=np.float64)
        self.explained_variance_ratio_ = np.asarray(model.explained_variance_ratio_, dtype=np.float64)

    def _prepared(self, matrix: Aligned, *, strict: bool = False) -> Iterator[tuple[int, Any]]:
        """Blocks of what the components are of: float64, counts normalised and logged."""
        size = int(np.clip(BLOCK_VALUES // matrix.shape[1], 64, BLOCK))
        for start, block in matrix.blocks(size):
            if self.counts_:
                _refuse_no_counts(block, start, strict)
                yield start, log_normalised(block, self.library_size_)
            else:
                yield start, _in_order(block)

    def _require_same_scale(self, cells: ad.AnnData) -> None:
        scale = str(cells.uns.get("scale", "unknown"))
        model = "counts" if self.counts_ else self.scale_
        if ("unknown" not in (scale, model) and scale != model) or (scale == "counts" and not self.counts_):
            message = (
                f"the components are of {model} values, these cells are recorded as {scale}; convert them, set "
                f"uns['scale'] if the record is wrong, or fit on cells of this scale"
            )
            raise InvalidValues(message)


def log_normalised(block: Rows, library_size: float) -> Any:
    """log(1 + counts scaled to ``library_size``), float64, sparse if the block is; a cell without counts stays zero."""
    if sp.issparse(block):
        values = _in_order(block)
        sums = np.asarray(values.sum(axis=1)).ravel()
        values.data *= np.repeat(_factor(sums, library_size), np.diff(values.indptr))
        return values.log1p()
    dense = block.astype(np.float64)
    return np.log1p(dense * _factor(dense.sum(axis=1), library_size)[:, None])


def _in_order(block: Rows) -> Any:
    """Copy in float64; of a sparse one the values of a cell stand in the order of the genes.

    So sums are taken in one order, and permuted genes give the same bits.
    """
    values: Any = block.astype(np.float64)
    if sp.issparse(values):
        values.sort_indices()
    return values


def _factor(sums: Floats, library_size: float) -> Floats:
    return np.divide(library_size, sums, out=np.zeros_like(sums), where=sums > 0)


def _median_library(seen: Profile) -> float:
    """Median sum of the cells that have counts."""
    if seen.minimum < 0:
        message = f"uns['scale'] says counts, but the lowest value is {seen.minimum:g}; correct it, or give counts"
        raise InvalidValues(message)
    return float(np.median(seen.library_size[seen.library_size > 0]))


def _refuse_no_counts(block: Rows, start: int, strict: bool) -> None:
    """Refuse negative values, and where nothing is recorded about the cells also fractions."""
    values: NDArray[np.float32] = np.asarray(block.data if sp.issparse(block) else block)
    wrong = (values < 0) | (values != np.rint(values)) if strict else values < 0
    if wrong.any():
        message = (
            f"the components are of counts, but cells {start:,} to {start + block.shape[0] - 1:,} hold values such as "
            f"{values[wrong][0]:g}; give counts, or record the scale in uns['scale']"
        )
        raise InvalidValues(message)


def _dense(block: Any) -> Floats:
    return np.asarray(block.toarray() if sp.issparse(block) else block, dtype=np.float64)
