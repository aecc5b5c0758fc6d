"""The one way to touch a matrix of cells x genes that may be dense, sparse or on disk.

Nothing here holds more than a block of the matrix besides what it was given: a file of any size can be read through.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import anndata as ad
import numpy as np
import scipy.sparse as sp
from anndata.abc import CSCDataset
from numpy.typing import NDArray

from cellixir.exceptions import ConfigurationError, DataError, InvalidValues

#: Rows of a matrix in memory, float32.
Rows: TypeAlias = "sp.csr_matrix | NDArray[np.float32]"
BLOCK = 2048
#: Counts above this are no longer exact in float32.
EXACT = 2**24


def is_backed(x: Any) -> bool:
    """Whether the matrix stands on disk."""
    return not (isinstance(x, np.ndarray) or sp.issparse(x))


def blocks(x: Any, size: int = BLOCK) -> Iterator[tuple[int, Rows]]:
    """Number of the first row, and rows, of each block of ``size`` consecutive rows.

    Raises
    ------
    ConfigurationError
        If the matrix is on disk by column, so that reading a row means reading all of it.
    """
    _check_by_row(x)
    for start in range(0, x.shape[0], size):
        yield start, _in_memory(x[start : start + size])


def take(x: Any, rows: NDArray[np.integer[Any]]) -> Rows:
    """Rows in the order asked for; those on disk are read in the order of the file."""
    if not is_backed(x):
        return _in_memory(x[rows])
    _check_by_row(x)
    in_order, back = np.unique(rows, return_inverse=True)
    return _in_memory(_in_memory(x[in_order])[back])


@dataclass(frozen=True, eq=False)
class Profile:
    """What one pass over a matrix says.

    Attributes
    ----------
    library_size
        Sum of each cell, shape ``(n_cells,)``.
    mean, variance
        Of each gene over the cells, shape ``(n_genes,)``.
    detected
        Cells in which each gene is not zero, shape ``(n_genes,)``.
    minimum, maximum
        Over all values.
    whole
        Whether all values are whole numbers.
    fingerprint
        SHA-256 of the values, the cells and the genes.
    """

    library_size: NDArray[np.float64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    detected: NDArray[np.int64]
    minimum: float
    maximum: float
    whole: bool
    fingerprint: str

    @property
    def binary(self) -> bool:
        """Whether all values are 0 or 1."""
        return self.whole and self.minimum >= 0 and self.maximum <= 1

    @property
    def counts(self) -> bool:
        """Whether the values can be counts: whole, none below zero, some above one."""
        return self.whole and self.minimum >= 0 and self.maximum > 1

    @property
    def density(self) -> float:
        """Share of the values that are not zero."""
        return float(self.detected.sum() / max(len(self.library_size) * len(self.mean), 1))


def profile(cells: ad.AnnData) -> Profile:
    """Sums, moments and kind of the values, in one pass.

    Raises
    ------
    DataError
        If there is no cell or no gene.
    InvalidValues
        If a value is not a finite number, with its cell and gene.
    """
    if 0 in cells.shape:
        message = f"the matrix is empty ({cells.n_obs} cells x {cells.n_vars} genes); give at least one of each"
        raise DataError(message)
    sums, moments = np.zeros(cells.n_obs), np.zeros((2, cells.n_vars))
    detected = np.zeros(cells.n_vars, dtype=np.int64)
    low, high, whole = np.inf, -np.inf, True
    digest = hashlib.sha256("\n".join([*cells.obs_names, "", *cells.var_names]).encode())
    # moments about the first block's mean: squares of large values would cancel
    shift: NDArray[np.float64] | None = None
    for start, block in blocks(cells.X):
        values = block.data if sp.issparse(block) else block
        _refuse_not_finite(block, values, start, cells)
        sums[start : start + block.shape[0]] = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
        shift = _column_means(block) if shift is None else shift
        moments += _moments(block, shift)
        detected += np.asarray((block != 0).sum(axis=0)).ravel()
        implied = sp.issparse(block) and values.size < block.shape[0] * block.shape[1]
        low = min(low, float(values.min(initial=0 if implied else np.inf)))
        high = max(high, float(values.max(initial=0 if implied else -np.inf)))
        whole = whole and bool(np.all(values == np.rint(values)))
        for part in (block.indptr, block.indices, block.data) if sp.issparse(block) else (block,):
            digest.update(np.ascontiguousarray(part).data)
    assert shift is not None
    first, second = moments / cells.n_obs
    return Profile(
        sums, first + shift, np.maximum(second - first**2, 0), detected, low, high, whole, digest.hexdigest()
    )


def _moments(block: Rows, shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum and sum of squares of ``block - shift`` by gene; implied zeros are counted, not written out."""
    if not sp.issparse(block):
        centred = block - shift
        return np.stack([centred.sum(axis=0), np.square(centred).sum(axis=0)])
    n, n_genes = block.shape
    values = block.data.astype(np.float64)
    total = np.bincount(block.indices, values, n_genes)
    squares = np.bincount(block.indices, values**2, n_genes)
    return np.stack([total - n * shift, squares - 2 * shift * total + n * shift**2])


def _column_means(block: Rows) -> NDArray[np.float64]:
    return np.asarray(block.mean(axis=0, dtype=np.float64)).ravel()


def _refuse_not_finite(block: Rows, values: NDArray[np.float32], start: int, cells: ad.AnnData) -> None:
    if np.isfinite(values).all():
        return
    dense = block.toarray() if sp.issparse(block) else block
    row, column = np.argwhere(~np.isfinite(dense))[0]
    message = (
        f"the value of gene '{cells.var_names[column]}' in cell '{cells.obs_names[start + row]}' is "
        f"{dense[row, column]}; leave such cells or genes out, or fill the gaps"
    )
    raise InvalidValues(message)


def _in_memory(rows: Any) -> Rows:
    if sp.issparse(rows):
        found = sp.csr_matrix(rows, dtype=np.float32)
        found.sum_duplicates()
        found.eliminate_zeros()
        return found
    return np.ascontiguousarray(rows, dtype=np.float32)


def _check_by_row(x: Any) -> None:
    if isinstance(x, CSCDataset):
        message = (
            "the matrix on disk is stored by column (csc), so a block of cells cannot be read alone; store it by row "
            "(csr), or read it into memory"
        )
        raise ConfigurationError(message)


__all__ = ["BLOCK", "Profile", "Rows", "blocks", "is_backed", "profile", "take"]
