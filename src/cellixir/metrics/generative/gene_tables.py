"""Matrices of samples x genes, dense or sparse: checked, and read in blocks that bound what is written out dense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import scipy.sparse as sp

from cellixir.exceptions import GeneMismatch, InvalidValues

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

#: A dense array, or a sparse matrix in rows without duplicate entries.
GeneTable: TypeAlias = Any
BLOCK_VALUES = 2**22  # of a dense block in double precision: 32 MiB


def gene_table(values: ArrayLike | GeneTable, what: str = "the data", *, at_least: int = 2) -> GeneTable:
    """The matrix itself, sparse as CSR, once it is known to hold finite numbers of samples x genes.

    Raises
    ------
    InvalidValues
        If it is no such matrix, holds NaN or infinity, no gene or fewer than ``at_least`` samples.
    """
    table = _canonical(values) if sp.issparse(values) else np.asarray(values)
    if table.ndim != 2 or table.dtype.kind not in "fiub":
        message = f"{what}: shape {table.shape} of {table.dtype}; give numbers, samples x genes"
        raise InvalidValues(message)
    if table.shape[0] < at_least or not table.shape[1]:
        message = f"{what}: {table.shape[0]} samples x {table.shape[1]} genes; give at least {at_least} samples, 1 gene"
        raise InvalidValues(message)
    entries = np.asarray(table.data if sp.issparse(table) else table)
    wrong = entries.size - int(np.isfinite(entries).sum())
    if wrong:
        message = f"{what}: {wrong:,} values are NaN or infinite; leave these samples or genes out"
        raise InvalidValues(message)
    return table


def gene_tables(real: ArrayLike | GeneTable, synthetic: ArrayLike | GeneTable) -> tuple[GeneTable, GeneTable]:
    """Both matrices, checked by ``gene_table``, of the same genes.

    Raises
    ------
    GeneMismatch
        If they differ in width.
    """
    one, other = gene_table(real, "real data"), gene_table(synthetic, "synthetic data")
    if one.shape[1] != other.shape[1]:
        message = (
            f"real data have {one.shape[1]:,} genes, synthetic data {other.shape[1]:,}; "
            "give the same genes in the same order"
        )
        raise GeneMismatch(message)
    return one, other


def not_negative(table: GeneTable, what: str, wanted: str = "counts") -> None:
    """Refuses a matrix that holds a value below 0.

    Raises
    ------
    InvalidValues
        If there is one.
    """
    entries = table.data if sp.issparse(table) else table
    negative = int((entries < 0).sum())
    if negative:
        message = f"{what}: {negative:,} values are below 0 (least {entries.min():g}); give {wanted}"
        raise InvalidValues(message)


def gene_blocks(*tables: GeneTable) -> Iterator[tuple[Floats, ...]]:
    """Values of the same consecutive genes in each table, dense, shapes ``(n_samples, block)``; at most 32 MiB each."""
    by_column = [table.tocsc() if sp.issparse(table) else table for table in tables]
    size = max(1, BLOCK_VALUES // max(table.shape[0] for table in tables))
    for start in range(0, tables[0].shape[1], size):
        yield tuple(_dense(table[:, start : start + size]) for table in by_column)


def sample_blocks(table: GeneTable) -> Iterator[Floats]:
    """Blocks of samples, dense, shape ``(block, n_genes)``; at most about 32 MiB."""
    size = max(1, BLOCK_VALUES // table.shape[1])
    for start in range(0, table.shape[0], size):
        yield _dense(table[start : start + size])


def library_sizes(table: GeneTable) -> Floats:
    """Sum of each sample over its genes, shape ``(n_samples,)``."""
    if sp.issparse(table):  # whose own sum of float32 is float32: odd above 2^24
        return np.asarray(table @ np.ones(table.shape[1]))
    return np.asarray(table.sum(axis=1, dtype=np.float64))


def _canonical(values: GeneTable) -> GeneTable:
    table = values.tocsr()
    if not table.has_canonical_format:
        table = table.copy()
        table.sum_duplicates()
    return table


def _dense(values: GeneTable) -> Floats:
    return np.asarray(values.toarray() if sp.issparse(values) else values, dtype=np.float64)
