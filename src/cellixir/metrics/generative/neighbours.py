"""Nearest neighbours by Euclidean distance, exact, in blocks: all pairs are compared and never held.

Brute force on purpose: among 10,000 points in 50 dimensions a KD-tree or a ball tree takes ten times as long
(``benchmarks/generative_metrics.py --trees``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellixir.exceptions import ConfigurationError, InvalidValues
from cellixir.metrics.generative.tiles import CHUNK, Tiles, ahead, half_spans

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from cellixir.metrics.generative.tiles import Floats, Points, Rows, Span, Tile

LARGEST = 1e15  # its square, summed over genes, still fits into float32


def knn_distances(x: ArrayLike, y: ArrayLike | None = None, *, k: int = 5, chunk: int = CHUNK) -> Floats:
    """Distances from each row of ``x`` to its ``k`` nearest rows of ``y``, ascending, shape ``(n, k)``.

    Parameters
    ----------
    x, y
        Points, shapes ``(n, d)`` and ``(m, d)``. Without ``y``: neighbours among the other rows of ``x``. A row is not
        its own neighbour, but a copy of it is, at distance 0.
    k
        Number of neighbours.
    chunk
        Rows compared at a time; it bounds the memory and changes no result.

    Raises
    ------
    ConfigurationError
        If there are fewer rows to be neighbours than ``k``.
    InvalidValues
        If a table is empty, holds values that are not finite, or the widths differ.

    Examples
    --------
    >>> knn_distances([[0.0], [1.0], [3.0]], k=2).tolist()
    [[1.0, 3.0], [1.0, 2.0], [2.0, 3.0]]
    """
    if y is not None:
        return nearest(x, y, k=k, chunk=chunk)[0]
    return np.sqrt(squared_in_itself(as_points(x, "x"), k, "x", chunk))


def nearest(x: ArrayLike, y: ArrayLike, *, k: int = 1, chunk: int = CHUNK) -> tuple[Floats, Rows]:
    """Distances from each row of ``x`` to its ``k`` nearest rows of ``y``, and which rows; both ``(n, k)``.

    Of rows equally near the first are taken. See ``knn_distances`` for the errors.
    """
    squared, rows = nearest_squared(x, y, k=k, chunk=chunk)
    return np.sqrt(squared), rows


def nearest_squared(x: ArrayLike, y: ArrayLike, *, k: int = 1, chunk: int = CHUNK) -> tuple[Floats, Rows]:
    """``nearest`` with squared distances: those of equal pairs are equal to the last bit."""
    points, others = as_pair(x, y, ("x", "y"))
    check_neighbours(k, len(others), "y")
    tiles, best = Tiles(points, others, chunk), _Best(len(points), k)
    for tile in ahead(tiles.tile, tiles.spans):
        best.look_at_rows(tile)
    return best.squared, best.rows


def within(x: ArrayLike, y: ArrayLike, squared: Floats, *, chunk: int = CHUNK) -> tuple[Rows, Rows]:
    """How many rows of ``y`` are closer to each row of ``x`` than a squared distance, and how many closer or as close.

    All of shape ``(n,)``.
    """
    points, others = as_pair(x, y, ("x", "y"))
    tiles, counts = Tiles(points, others, chunk), np.zeros((2, len(points)), dtype=np.int64)
    limits = squared, np.nextafter(squared, np.inf)

    def rows(span: Span) -> list[Rows]:
        tile = tiles.tile(span)
        return [tile.closer(limit[span[0], None])[0] for limit in limits]

    for found in ahead(rows, tiles.spans):
        counts += [np.bincount(i, minlength=len(points)) for i in found]
    return counts[0], counts[1]


def squared_in_itself(points: Points, k: int, name: str, chunk: int = CHUNK) -> Floats:
    """Squared distances from each row to its ``k`` nearest other rows, ascending, shape ``(n, k)``."""
    check_neighbours(k, len(points) - 1, name, "others")
    tiles, best = Tiles(points, points, chunk), _Best(len(points), k)
    for tile in ahead(tiles.tile, half_spans(len(points), chunk)):
        best.look_at_rows(tile)
        if tile.rows != tile.columns:
            best.look_at_columns(tile)
    return best.squared


class _Best:
    """The ``k`` nearest seen so far of each row: a pair counts only if it is nearer than the last of them."""

    def __init__(self, n: int, k: int) -> None:
        self.k = k
        self.squared = np.full((n, k), np.inf)
        self.rows = np.full((n, k), -1, dtype=np.int64)

    def look_at_rows(self, tile: Tile) -> None:
        """Take what a tile offers to the rows of ``x``."""
        limit = self.squared[tile.rows, -1:]
        itself = tile.tiles.x is tile.tiles.y
        wanted = self.k + (itself and tile.rows == tile.columns)
        if np.isinf(limit).any() and tile.columns.stop - tile.columns.start >= wanted:
            limit = np.minimum(limit, tile.reach(wanted))
        i, j = tile.closer(limit)
        other = i != j if itself else slice(None)
        self._take(i[other], j[other], tile)

    def look_at_columns(self, tile: Tile) -> None:
        """Take what a tile offers to its columns, the rows of the same table."""
        i, j = tile.closer(self.squared[tile.columns, -1:].T)
        self._take(j, i, tile)

    def _take(self, i: Rows, j: Rows, tile: Tile) -> None:
        if not len(i):
            return
        touched = np.unique(i)
        squared = np.concatenate([tile.tiles.squared(i, j), self.squared[touched].ravel()])
        j = np.concatenate([j, self.rows[touched].ravel()])
        i = np.concatenate([i, np.repeat(touched, self.k)])
        order = np.lexsort((j, squared, i))
        first = np.searchsorted(i[order], touched)
        kept = order[first[:, None] + np.arange(self.k)]
        self.squared[touched], self.rows[touched] = squared[kept], j[kept]


def check_neighbours(k: int, available: int, name: str, kind: str = "rows") -> None:
    """Refuse a number of neighbours that is not there.

    Raises
    ------
    ConfigurationError
        If ``k`` is below 1 or above the number of points that can be neighbours.
    """
    if k < 1:
        message = f"k={k} is not a number of neighbours; use 1 or more"
        raise ConfigurationError(message)
    if k > available:
        way = f"use k={available} or smaller" if available > 0 else "give more samples"
        message = (
            f"k={k} neighbours are asked for and a sample of {name} has {available:,} {kind} to choose from; {way}"
        )
        raise ConfigurationError(message)


def as_pair(
    real: ArrayLike, synthetic: ArrayLike, names: tuple[str, str] = ("real", "synthetic")
) -> tuple[Points, Points]:
    """Both tables as points of the same width; see ``as_points``.

    Raises
    ------
    InvalidValues
        If the widths differ, or one table is not a table of finite numbers.
    """
    one, other = as_points(real, names[0]), as_points(synthetic, names[1])
    if one.shape[1] != other.shape[1]:
        message = (
            f"{names[0]} has {one.shape[1]:,} columns and {names[1]} {other.shape[1]:,}; give both in the same "
            "coordinates, such as principal components of the real samples"
        )
        raise InvalidValues(message)
    return one, other


def as_three(train: ArrayLike, holdout: ArrayLike, synthetic: ArrayLike) -> tuple[Points, Points, Points]:
    """Training, held-out and synthetic samples as points of the same width; see ``as_pair``."""
    members, made = as_pair(train, synthetic, ("train", "synthetic"))
    return members, as_pair(holdout, synthetic, ("holdout", "synthetic"))[0], made


def as_points(values: ArrayLike, name: str) -> Points:
    """A table of finite numbers, shape ``(n, d)``, float32 if it was and float64 otherwise.

    Raises
    ------
    InvalidValues
        If it is empty, sparse, of another shape, or a value is missing, infinite or beyond ``LARGEST``.
    """
    if hasattr(values, "toarray"):
        message = f"{name} is sparse; distances need dense coordinates: give principal components, or .toarray()"
        raise InvalidValues(message)
    table = np.asarray(values)
    if table.dtype != np.float32:
        table = _as_float64(table, name)
    if table.ndim != 2 or not table.size:
        message = f"{name} has shape {table.shape}; a table of at least one sample and one column is needed"
        raise InvalidValues(message)
    bad = np.argwhere(~(np.abs(table) <= LARGEST))
    if len(bad):
        row, column = bad[0]
        message = (
            f"{name} holds {len(bad):,} values that are missing, infinite or above {LARGEST:g}, the first, "
            f"{table[row, column]}, in row {row}, column {column}; remove or impute them"
        )
        raise InvalidValues(message)
    return table


def _as_float64(table: np.ndarray, name: str) -> Floats:
    try:
        return table.astype(np.float64)
    except (TypeError, ValueError) as error:
        message = f"{name} holds values that are not numbers ({error}); give coordinates or expression values"
        raise InvalidValues(message) from error
