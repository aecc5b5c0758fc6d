"""Batches of cells for the network, from memory or from disk, without ever writing out the whole matrix.

The order is shuffled as follows. In memory: all cells. On disk: runs of ``RUN`` consecutive cells in random order are
read into a pool of about ``POOL`` cells, and the pool is shuffled; so cells that stand together in the file meet in a
batch more often than by chance: about a sixteenth of a batch is of one run, more of it in the last, smaller pool.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import scipy.sparse as sp
import torch

from cellixir.data.expression.alignment import Aligned
from cellixir.nn.likelihoods import Counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from cellixir.data.expression.matrix import Rows

T = TypeVar("T")
_Part = tuple[int, torch.Tensor, Counts, tuple[torch.Tensor, ...] | None]
RUN = 1024
POOL = 16 * RUN


@dataclass(frozen=True, eq=False)
class Batch:
    """Some cells: their values dense, and for counts those above zero on their own.

    Attributes
    ----------
    x
        Shape ``(n, n_genes)``; empty where ``by_gene`` serves.
    counts
        Values above zero.
    library
        Sum of each cell, 1 where it is zero, shape ``(n,)``.
    by_gene
        The last four parts of `SparseRows`, where the network takes the cells as they are stored.
    cells
        Number of each cell in the data.
    """

    x: Tensor
    counts: Counts
    library: Tensor
    by_gene: tuple[Tensor, ...] | None
    cells: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of one matrix that a network may see.

    Attributes
    ----------
    matrix
        All cells, in the model's order of genes.
    rows
        Numbers of the cells that are meant, ascending.
    on_disk
        Whether reading in any order is dear.
    sparse
        Whether the network takes the cells as they are stored, without writing out zeros.
    numbers
        Number in the data of each row of the matrix, where that holds some of the data only.
    """

    matrix: Aligned
    rows: NDArray[np.int64]
    on_disk: bool
    sparse: bool = False
    numbers: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def kept(self) -> Cells:
        """The same cells in memory."""
        matrix = Aligned(self.matrix.take(self.rows), np.arange(self.matrix.shape[1]))
        return Cells(matrix, np.arange(len(self)), on_disk=False, sparse=self.sparse, numbers=self.rows)

    def n_batches(self, size: int) -> int:
        """Batches of one pass; a last one that is less than a quarter full is left out."""
        full, rest = divmod(len(self), size)
        return full + (rest >= max(size // 4, 2) or not full)

    def shuffled(self, size: int, rng: np.random.Generator, device: torch.device) -> Iterator[Batch]:
        """Batches of one pass in random order; from disk they are read while the network is at work on those before.

        In memory a second thread would cost more than it saves: both wait for the interpreter.
        """
        batches = self._shuffled(size, rng, device)
        return ahead(batches) if self.on_disk else batches

    def _shuffled(self, size: int, rng: np.random.Generator, device: torch.device) -> Iterator[Batch]:
        left = self.n_batches(size)
        for pool in self._pools(size, rng):
            for batch in _cut(self.matrix.take(pool), self._numbers(pool), size, device, self.sparse):
                if left:
                    left -= 1
                    yield batch

    def in_order(self, size: int, device: torch.device) -> Iterator[Batch]:
        """All cells in their order."""
        for start in range(0, len(self), POOL):
            pool = self.rows[start : start + POOL]
            yield from _cut(self.matrix.take(pool), self._numbers(pool), size, device, self.sparse)

    def _numbers(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return rows if self.numbers is None else self.numbers[rows]

    def _pools(self, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """Numbers of cells by pool, each but the last a whole number of batches."""
        room = max(POOL // size, 1) * size
        if not self.on_disk:
            order = rng.permutation(self.rows)
            yield from (order[start : start + room] for start in range(0, len(order), room))
            return
        bounds = np.searchsorted(self.rows, np.arange(0, self.matrix.shape[0] + RUN, RUN))
        waiting = np.empty(0, dtype=np.int64)
        for run in rng.permutation(len(bounds) - 1):
            waiting = np.concatenate([waiting, self.rows[bounds[run] : bounds[run + 1]]])
            if len(waiting) >= room:
                waiting = rng.permutation(waiting)
                yield waiting[:room]
                waiting = waiting[room:]
        yield rng.permutation(waiting)


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, each fetched in a thread of its own while the one before is in use."""
    nothing = object()
    with ThreadPoolExecutor(1) as fetcher:
        waiting = fetcher.submit(next, items, nothing)
        while (item := waiting.result()) is not nothing:
            waiting = fetcher.submit(next, items, nothing)
            yield item  # type: ignore[misc]


def _cut(rows: Rows, cells: NDArray[np.int64], size: int, device: torch.device, sparse: bool) -> Iterator[Batch]:
    cut = _cut_sparse if sp.issparse(rows) else _cut_dense
    for start, x, counts, by_gene in cut(rows, size, sparse):
        n = min(size, len(cells) - start)
        library = torch.zeros(n).index_add_(0, counts.row, counts.value)
        library[library <= 0] = 1
        counts = Counts(*(c.to(device) for c in counts))
        yield Batch(x.to(device), counts, library.to(device), by_gene, cells[start : start + n])


def _cut_sparse(rows: sp.csr_matrix, size: int, sparse: bool) -> Iterator[_Part]:
    """Batches of sparse rows; what can be done for all of them at once is."""
    n_genes = rows.shape[1]
    of_row = np.repeat(np.arange(rows.shape[0], dtype=np.int32), np.diff(rows.indptr))
    row, gene, value = (torch.from_numpy(part) for part in (of_row, rows.indices, rows.data))
    for start in range(0, rows.shape[0], size):
        begins = rows.indptr[start : start + size + 1]
        here = slice(begins[0], begins[-1])
        counts = Counts(row[here] - start, gene[here], value[here])
        if sparse:
            yield start, torch.empty(0), counts, _by_gene(begins - begins[0], rows.indices[here], n_genes)
        else:
            x = torch.zeros(len(begins) - 1, n_genes)
            x.view(-1)[counts.row.long() * n_genes + counts.gene] = counts.value
            yield start, x, counts, None


def _by_gene(begins: NDArray[np.int32], genes: NDArray[np.int32], n_genes: int) -> tuple[Tensor, ...]:
    """Where each row begins, and the values gene after gene: their numbers, their rows, where each gene begins."""
    numbers = np.arange(len(genes), dtype=np.int32)
    turned = sp.csr_matrix((numbers, genes, begins), shape=(len(begins) - 1, n_genes)).tocsc()
    return tuple(torch.from_numpy(part) for part in (begins[:-1], turned.data, turned.indices, turned.indptr))


def _cut_dense(rows: NDArray[np.float32], size: int, _: bool) -> Iterator[_Part]:
    for start in range(0, rows.shape[0], size):
        x = torch.from_numpy(rows[start : start + size])
        row, gene = x.nonzero(as_tuple=True)
        yield start, x, Counts(row, gene, x[row, gene]), None
