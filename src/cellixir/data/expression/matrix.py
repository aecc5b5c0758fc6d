"""Matrices of cells x genes that may be dense, sparse or on disk, read block by block.

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
#: Values of a block that is written out dense in double precision.
DENSE_VALUES = 2**24


def is_backed(x: Any) -> bool:
    """Whether the matrix stands on disk."""
    return not (isinstance(x, np.ndarray) or sp.issparse(x))


def blocks(x: Any, size: int = BLOCK) -> Iterator[tuple[int, Rows]]:
    """Number of the first row, and rows, of each block of ``size`` consecutive rows.

    Raises
    ------
    ConfigurationError
        If the matrix is on disk by column, so that reading a row means reading all of it.
    DataError
        If a sparse matrix on disk names places that it does not have.
    """
    _check_by_row(x)
    if sp.issparse(x) and x.format != "csr":  # cutting rows out of columns would pass the matrix for each block
        x = x.tocsr()
    for start in range(0, x.shape[0], size):
        rows = x[start : start + size]
        if is_backed(x) and sp.issparse(rows):
            _refuse_damaged(rows)
        yield start, _in_memory(rows)


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
        SHA-256 of the values, the cells and the genes; the same for a matrix that is dense, sparse or on disk.
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
        If there is no cell, no gene or no matrix.
    InvalidValues
        If a value is not a finite number, with its cell and gene.
    """
    if 0 in cells.shape or cells.X is None:
        message = f"the matrix is empty ({cells.n_obs} cells x {cells.n_vars} genes); give at least one of each, and X"
        raise DataError(message)
    sums, moments = np.zeros(cells.n_obs), np.zeros((2, cells.n_vars))
    detected = np.zeros(cells.n_vars, dtype=np.int64)
    low, high, whole = np.inf, -np.inf, True
    digest = hashlib.sha256("\n".join([*cells.obs_names, "", *cells.var_names]).encode())
    # moments about the first block's mean: squares of large values would cancel
    shift: NDArray[np.float64] | None = None
    for start, block in blocks(cells.X, min(BLOCK, max(DENSE_VALUES // cells.n_vars, 1))):
        values = stored_values(block)
        _refuse_not_finite(block, values, start, cells)
        sums[start : start + block.shape[0]] = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
        shift = _column_means(block) if shift is None else shift
        moments += _moments(block, shift)
        present = _present(block)
        detected += np.count_nonzero(present, axis=0)
        implied = sp.issparse(block) and values.size < present.size
        low = min(low, float(values.min(initial=0 if implied else np.inf)))
        high = max(high, float(values.max(initial=0 if implied else -np.inf)))
        whole = whole and bool(np.all(values == np.rint(values)))
        digest.update(np.packbits(present).data)
        digest.update(values[present].data if values.ndim == 2 else values.data)
    first, second = moments / cells.n_obs
    mean = first if shift is None else first + shift
    return Profile(sums, mean, np.maximum(second - first**2, 0), detected, low, high, whole, digest.hexdigest())


def stored_values(block: Any) -> NDArray[np.float32]:
    """All values of a dense block, those above and below zero of a sparse one."""
    values: NDArray[np.float32] = block.data if sp.issparse(block) else block
    return values


def place_of(block: Any, at: int) -> tuple[int, int]:
    """Row and column in the block of number ``at`` of its `stored_values`."""
    if not sp.issparse(block):
        return divmod(at, int(block.shape[1]))
    return int(np.searchsorted(np.asarray(block.indptr), at, side="right")) - 1, int(block.indices[at])


def _present(block: Any) -> NDArray[np.bool_]:
    """Which values are not zero, written out."""
    if not sp.issparse(block):
        return np.asarray(block != 0)
    present = np.zeros(block.shape, dtype=bool)
    present[np.repeat(np.arange(block.shape[0]), np.diff(block.indptr)), block.indices] = True
    return present


def _moments(block: Any, shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum and sum of squares of ``block - shift`` by gene; implied zeros are counted, not written out."""
    if not sp.issparse(block):
        centred = block - shift
        return np.stack([centred.sum(axis=0), np.einsum("ij,ij->j", centred, centred)])
    n, n_genes = block.shape
    centred = block.data - shift[block.indices]
    zeros = n - np.bincount(block.indices, minlength=n_genes)
    total = np.bincount(block.indices, centred, n_genes)
    squares = np.bincount(block.indices, centred**2, n_genes)
    return np.stack([total - zeros * shift, squares + zeros * shift**2])


def _column_means(block: Rows) -> NDArray[np.float64]:
    return np.asarray(block.mean(axis=0, dtype=np.float64)).ravel()


def _refuse_not_finite(block: Any, values: NDArray[np.float32], start: int, cells: ad.AnnData) -> None:
    if np.isfinite(values).all():
        return
    at = int(np.argmin(np.isfinite(values)))
    row, column = place_of(block, at)
    message = (
        f"the value of gene '{cells.var_names[column]}' in cell '{cells.obs_names[start + row]}' is "
        f"{values.flat[at]}; leave such cells or genes out, or fill the gaps"
    )
    raise InvalidValues(message)


def _in_memory(rows: Any) -> Rows:
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused as that
        return _as_float32(rows)


def _as_float32(rows: Any) -> Rows:
    if sp.issparse(rows):
        found = sp.csr_matrix(rows, dtype=np.float32)
        found.sum_duplicates()
        found.eliminate_zeros()
        return found
    return np.ascontiguousarray(rows, dtype=np.float32)


def _refuse_damaged(rows: Any) -> None:
    """Refuse places that do not exist: SciPy would read and write beyond its arrays."""
    try:
        rows.check_format(full_check=True)
    except ValueError as error:
        message = f"the sparse matrix is damaged ({error}); write or download it again"
        raise DataError(message) from error


def _check_by_row(x: Any) -> None:
    if isinstance(x, CSCDataset):
        message = (
            "the matrix on disk is stored by column (csc), so a block of cells cannot be read alone; store it by row "
            "(csr), or read it into memory"
        )
        raise ConfigurationError(message)


__all__ = ["BLOCK", "Profile", "Rows", "blocks", "is_backed", "place_of", "profile", "stored_values", "take"]
