"""Alignment of a query's genes with those of a model, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from cellixir.data.expression.matrix import blocks, take
from cellixir.data.missing_genes import Missing, check_missing
from cellixir.exceptions import ConfigurationError, DuplicateIds, GeneMismatch, examples, repeated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import anndata as ad
    from numpy.typing import NDArray

    from cellixir.data.expression.matrix import Rows

#: More genes than this share are never filled in: the latents would be about what is not there.
MAX_FILLED = 0.2


class Aligned:
    """The matrix of some cells with a model's genes in a model's order.

    Parameters
    ----------
    x
        Cells x genes, dense, sparse or on disk.
    columns
        Column of ``x`` for each gene of the model; -1 where there is none.
    fill
        What stands for genes that are not there, shape ``(n_genes,)``.
    """

    def __init__(self, x: Any, columns: NDArray[np.int64], fill: NDArray[np.float32] | None = None) -> None:
        self._x, self._columns, self._fill = x, columns, fill
        self._as_is = x.shape[1] == len(columns) and bool(np.all(columns == np.arange(len(columns))))

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and genes."""
        return self._x.shape[0], len(self._columns)

    @property
    def sparse(self) -> bool:
        """Whether rows come as a sparse matrix."""
        return not isinstance(self._x, np.ndarray) and hasattr(self._x, "format")

    def blocks(self, size: int) -> Iterator[tuple[int, Rows]]:
        """Consecutive rows, by block."""
        for start, block in blocks(self._x, size):
            yield start, self._ordered(block)

    def take(self, rows: NDArray[np.integer[Any]]) -> Rows:
        """Rows in the order asked for."""
        return self._ordered(take(self._x, rows))

    def _ordered(self, block: Rows) -> Rows:
        if self._as_is:
            return block
        lacking = np.flatnonzero(self._columns < 0)
        if not len(lacking):
            part = block[:, self._columns]
            return sp.csr_matrix(part) if sp.issparse(part) else part
        there = np.flatnonzero(self._columns >= 0)
        found = np.zeros((block.shape[0], len(self._columns)), dtype=np.float32)
        found[:, there] = dense(block[:, self._columns[there]])
        if self._fill is not None:
            found[:, lacking] = self._fill[lacking]
        return sp.csr_matrix(found) if sp.issparse(block) else found


def dense(rows: Any) -> NDArray[np.float32]:
    """Rows written out; those that are dense as they are."""
    found: NDArray[np.float32] = rows.toarray() if sp.issparse(rows) else rows
    return found


def align(
    cells: ad.AnnData, genes: Sequence[str], *, missing: Missing = "refuse", mean: NDArray[np.float32] | None = None
) -> tuple[Aligned, list[str]]:
    """Matrix of the cells with ``genes`` in their order, and a sentence for each thing that was done.

    Parameters
    ----------
    missing
        ``refuse`` a query that lacks genes, or let ``zero`` or their ``mean`` stand for up to a fifth of them.
    mean
        Of each gene in training; None for a model of counts, of which a mean is none.

    Raises
    ------
    GeneMismatch
        If genes are missing and may not be filled.
    DuplicateIds
        If the query names a gene twice.
    ConfigurationError
        If ``missing`` is not known, or the model has no means.
    """
    if check_missing(missing) == "mean" and mean is None:
        message = "missing='mean' is not possible for a model of counts, of which a mean is none; use 'zero'"
        raise ConfigurationError(message)
    refuse_repeated_genes(cells)
    columns = cells.var_names.get_indexer(pd.Index(genes)).astype(np.int64)
    lost = [gene for gene, column in zip(genes, columns, strict=True) if column < 0]
    if not lost:
        return Aligned(cells.X, columns), []
    share = len(lost) / len(genes)
    what = f"{len(lost):,} of the model's {len(genes):,} genes ({share:.0%}) are not in the data ({examples(lost)})"
    if missing == "refuse" or share > MAX_FILLED:
        way_out = f'pass missing="{"zero" if mean is None else "mean"}" (up to {MAX_FILLED:.0%})'
        message = (
            f"{what}; {way_out if share <= MAX_FILLED else 'too many to fill in'}, or name genes as the model does: "
            f"{examples(genes)}, not {examples(cells.var_names)}"
        )
        raise GeneMismatch(message)
    return Aligned(cells.X, columns, mean if missing == "mean" else None), [f"{what}; they were filled in"]


def refuse_repeated_genes(cells: ad.AnnData) -> None:
    """Refuse data in which a gene stands twice."""
    if not cells.var_names.is_unique:
        twice = pd.unique(cells.var_names[cells.var_names.duplicated()])
        message = (
            f"{repeated(len(twice), 'gene')} ({examples(twice)}); keep one column each, or read the "
            "file with cellixir.read_expression, which merges them"
        )
        raise DuplicateIds(message)
