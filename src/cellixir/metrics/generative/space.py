"""The coordinates in which real and synthetic samples are compared: principal components of the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp

from cellixir.exceptions import ConfigurationError, GeneMismatch, InvalidValues
from cellixir.metrics.generative.gene_tables import gene_table

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cellixir.metrics.generative.gene_tables import GeneTable

    Singles = NDArray[np.float32]

SMALL = 4_000_000  # values of a sparse table that is written out densely: 16 MB


class RealSpace:
    """Principal components learned from real samples, for real and synthetic ones alike.

    Synthetic samples have no say in the axes: what they add or lack shows as distance, not as another space.

    Attributes
    ----------
    components
        Shape ``(n_components, n_genes)``, orthonormal rows.
    mean
        Of each gene over the real samples.
    explained
        Share of the variance of all genes that each component has.
    """

    def __init__(self, components: Singles, mean: Singles, explained: Singles) -> None:
        self.components, self.mean, self.explained = components, mean, explained

    @classmethod
    def fit(cls, real_genes: ArrayLike | GeneTable, n_components: int = 50, *, seed: int = 0) -> Self:
        """Learn the components.

        Parameters
        ----------
        real_genes
            Samples x genes, dense or sparse, on the scale that distances should be in: log-normalised counts, log2 TPM.
        n_components
            At most. There are no more than samples less one, or genes; then fewer are kept.
        seed
            Start of the randomised SVD (dense) or of ARPACK (sparse).

        Raises
        ------
        ConfigurationError
            If ``n_components`` is below 1.
        InvalidValues
            If there are not two samples, a value is not finite, or no gene varies.
        """
        from sklearn.decomposition import PCA

        if n_components < 1:
            message = f"n_components={n_components} is no number of components; use 1 or more"
            raise ConfigurationError(message)
        table = gene_table(real_genes, "real samples")
        if sp.issparse(table) and (table.shape[0] * table.shape[1] <= SMALL or n_components >= min(table.shape) - 1):
            table = table.toarray()
        _check_variance(table)
        n_components = min(n_components, table.shape[0] - 1, table.shape[1])
        mean = _single(table.mean(axis=0, dtype=np.float64)).ravel()
        model = PCA(n_components, svd_solver="auto", random_state=seed).fit(_from(mean, table))
        return cls(_single(model.components_), mean, _single(model.explained_variance_ratio_))

    def transform(self, genes: ArrayLike | GeneTable) -> Singles:
        """Coordinates of samples, shape ``(n, n_components)``, float32.

        Raises
        ------
        GeneMismatch
            If the number of genes is not that of the real samples.
        InvalidValues
            If a value is not finite or there is no sample.
        """
        table = gene_table(genes, "samples", at_least=1)
        if table.shape[1] != len(self.mean):
            message = (
                f"the samples have {table.shape[1]:,} genes and the real ones {len(self.mean):,}; "
                "give the same genes in the same order"
            )
            raise GeneMismatch(message)
        points = _from(self.mean, table) @ self.components.T
        return _single(points - self.mean @ self.components.T) if sp.issparse(table) else points


def _from(mean: Singles, table: GeneTable) -> Any:
    """Values less the mean before they are rounded to float32, which is coarse far from 0; sparse ones stay there."""
    return table.astype(np.float32) if sp.issparse(table) else _single(table - mean)


def _check_variance(table: GeneTable) -> None:
    spread: Any = table.max(axis=0) - table.min(axis=0)
    if not spread.max():
        message = f"none of {table.shape[1]:,} genes varies over {table.shape[0]:,} real samples; give genes that do"
        raise InvalidValues(message)


def _single(values: Any) -> Singles:
    return np.ascontiguousarray(values, dtype=np.float32)
