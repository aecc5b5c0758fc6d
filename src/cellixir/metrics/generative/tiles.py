"""Pairs of rows of two tables closer than a limit: exact, tile by tile, at the speed of float32.

``|x - y|^2 = |x|^2 + |y|^2 - 2 x'y`` costs one matrix product, but its rounding error grows with ``|x|^2 + |y|^2`` and
not with the distance: near copies, ties and outliers come out wrong. So rows are centred, and the norms are taken
``c = (d + 16) eps`` too short, which is more than the product can round away (Higham, Accuracy and Stability of
Numerical Algorithms, 2002, section 3.1): it is a lower bound, and with ``2 c (|x|^2 + |y|^2)`` added an upper one. They
settle nearly all pairs; the few in between are taken again, as differences in float64. So equal distances compare as
equal, and the size of a tile changes nothing. Products below the range of float32 vanish: ``_SMALL`` stands for them in
each norm.

Memory: a float32 copy of each table and a few tiles of ``chunk x chunk``; never all pairs.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]
    Points = NDArray[np.floating[Any]]
    Precision = type[np.float32] | type[np.float64]
    Span = tuple[slice, slice]

Result = TypeVar("Result")

CHUNK = 512  # rows of a tile: 1 MB of float32, the size of a core's cache
_GATHERED = 2_000_000  # values subtracted at a time: 16 MB
_SMALL = 1e-30  # c times this is more than all products of a pair that are too small for float32
_TOO_MANY = 1 / 16  # share of a tile within rounding of the limit, from which bounds of float64 pay


class Tiles:
    """Pairs of a row of ``x``, shape ``(n, d)``, and a row of ``y``, shape ``(m, d)``, which may be ``x`` itself."""

    def __init__(self, x: Points, y: Points, chunk: int = CHUNK) -> None:
        self.x, self.y = x, y
        self.spans = spans(len(x), len(y), chunk)
        self.centre = np.median(x, axis=0).astype(np.float64)  # which no outlier moves, unlike the mean
        self.left = _Factor(x, self.centre)
        self.right = self.left if y is x else _Factor(y, self.centre)

    def tile(self, span: Span) -> Tile:
        """One of them, with the bounds of its distances."""
        return Tile(self, *span)

    def lower(self, rows: slice, columns: slice, dtype: Precision) -> Points:
        """Lower bounds of the squared distances of a tile."""
        product: Points = self.left.rows(rows, dtype) @ self.right.columns(columns, dtype)
        return product

    def squared(self, i: Rows, j: Rows) -> Floats:
        """Squared distances of single pairs, shape of ``i``."""
        step = max(1, _GATHERED // self.x.shape[1])
        found = np.empty(len(i))
        for start in range(0, len(i), step):
            part = slice(start, start + step)
            difference = np.subtract(self.x[i[part]], self.y[j[part]], dtype=np.float64)
            found[part] = np.einsum("pd,pd->p", difference, difference)
        return found


class Tile:
    """The pairs of a block of rows of ``x`` with a block of rows (here columns) of ``y``."""

    def __init__(self, tiles: Tiles, rows: slice, columns: slice) -> None:
        self.tiles, self.rows, self.columns = tiles, rows, columns
        self._lower = tiles.lower(rows, columns, np.float32)

    def closer(self, limit: Floats) -> tuple[Rows, Rows]:
        """Rows of ``x`` and rows of ``y`` of the pairs whose squared distance is below ``limit``.

        ``limit`` belongs to rows of ``x``, shape ``(rows, 1)``, or to rows of ``y``, shape ``(1, columns)``.
        """
        i, j, limits, sure = self._candidates(self._lower, limit)
        if np.count_nonzero(~sure) > _TOO_MANY * self._lower.size:
            i, j, limits, sure = self._candidates(self.tiles.lower(self.rows, self.columns, np.float64), limit)
        unsure = np.flatnonzero(~sure)
        sure[unsure] = self.tiles.squared(i[unsure], j[unsure]) < limits[unsure]
        return i[sure], j[sure]

    def reach(self, k: int) -> Floats:
        """Squared distances, shape ``(rows, 1)``, below which each row of ``x`` has ``k`` rows of ``y`` or more."""
        near = np.argpartition(self._lower, k - 1, axis=1)[:, :k]
        i = np.repeat(np.arange(self.rows.start, self.rows.stop), k)
        squared = self.tiles.squared(i, near.ravel() + self.columns.start).reshape(-1, k)
        return np.asarray(np.nextafter(squared.max(axis=1, keepdims=True), np.inf))

    def _candidates(self, lower: Points, limit: Floats) -> tuple[Rows, Rows, Floats, NDArray[np.bool_]]:
        """Pairs that may be below the limit, their limits, and whether they are for sure."""
        cut = np.nextafter(limit.astype(lower.dtype), lower.dtype.type(np.inf))
        cut[limit <= 0] = -np.inf  # no distance is below 0
        near = np.flatnonzero(lower < cut)
        i, j = np.divmod(near, lower.shape[1])
        limits = np.broadcast_to(limit, lower.shape)[i, j]
        bound = lower.ravel()[near].astype(np.float64)
        i, j = i + self.rows.start, j + self.columns.start
        norms = self.tiles.left.norms[i] + self.tiles.right.norms[j]
        return i, j, limits, bound + 2 * _slack(lower.dtype.type, self.tiles.x.shape[1]) * norms < limits


class _Factor:
    """One side of the product: ``[x, s |x|^2, 1]`` on the left, ``[-2 x, 1, s |x|^2]`` on the right, ``s = 1 - c``."""

    def __init__(self, table: Points, centre: Floats) -> None:
        self.table, self.centre = table, centre
        self.norms = np.empty(len(table))
        self._single = np.empty((len(table), table.shape[1] + 2), dtype=np.float32)
        for block in _blocks(len(table), CHUNK):
            centred = table[block] - centre
            self.norms[block] = np.einsum("pd,pd->p", centred, centred) + _SMALL
            self._single[block] = self._of(block, np.float32)

    def rows(self, block: slice, dtype: Precision) -> Points:
        """Factor on the left, shape ``(block, d + 2)``."""
        return self._single[block] if dtype is np.float32 else self._of(block, dtype)

    def columns(self, block: slice, dtype: Precision) -> Points:
        """Factor on the right, shape ``(d + 2, block)``."""
        left = self.rows(block, dtype)
        return np.hstack([-2 * left[:, :-2], left[:, :-3:-1]]).T

    def _of(self, block: slice, dtype: Precision) -> Points:
        short = self.norms[block] * (1 - _slack(dtype, self.table.shape[1])) - _SMALL
        return np.column_stack([self.table[block] - self.centre, short, np.ones(len(short))]).astype(dtype)


def _slack(dtype: Precision, d: int) -> float:
    """``c``: the relative error that no sum of ``d + 2`` rounded products exceeds, with some to spare."""
    return (d + 16) * float(np.finfo(dtype).eps)


def spans(n: int, m: int, size: int = CHUNK) -> list[Span]:
    """Rows and columns of all tiles, each block of rows from left to right."""
    return [(rows, columns) for rows in _blocks(n, size) for columns in _blocks(m, size)]


def half_spans(n: int, size: int = CHUNK) -> list[Span]:
    """Rows and columns of tiles that hold each pair of a table with itself: the diagonal, then those above it."""
    whole = spans(n, n, size)
    return [(r, c) for r, c in whole if r == c] + [(r, c) for r, c in whole if r.start < c.start]


def ahead(work: Callable[[Span], Result], pieces: Sequence[Span]) -> Iterator[Result]:
    """Results of the pieces, in their order, by as many threads as the BLAS has, a few ahead of the last one taken.

    Each piece has a thread to itself. Left to the BLAS, threads share one product of a millisecond and wait for each
    other: on two cores with other work that took four times as long as one thread.
    """
    if len(pieces) == 1:
        yield work(pieces[0])
        return
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    blas = ThreadpoolController().select(user_api="blas")
    workers = max((library.num_threads for library in blas.lib_controllers), default=1)
    if workers == 1:
        yield from map(work, pieces)
        return
    with blas.limit(limits=1), ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        for piece in pieces:
            waiting.append(pool.submit(work, piece))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _blocks(n: int, size: int) -> list[slice]:
    if size < 1:
        message = f"chunk={size} is no number of rows; use 1 or more, {CHUNK} is fast"
        raise ConfigurationError(message)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
