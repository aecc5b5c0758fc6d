"""Places of cells on one map, or the same cells on several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cellixir.exceptions import DataError, InvalidValues

Floats = NDArray[np.float64]
Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Map:
    """Places of the cells, names of the two axes, names of the cells, and which cells have a place."""

    points: Floats
    names: tuple[str, str]
    index: pd.Index | None
    placed: Rows


def as_map(xy: ArrayLike | pd.DataFrame, name: str) -> Map:
    """Places as numbers, with the names that a DataFrame gives the axes and the cells.

    Raises
    ------
    InvalidValues
        If the shape is not ``(n_cells, 2)``, or no cell has a finite place.
    """
    points = np.asarray(xy, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        message = f"the places of the cells have the shape {points.shape}; the map {name!r} needs (n_cells, 2)"
        raise InvalidValues(message)
    placed = np.asarray(np.isfinite(points).all(axis=1), dtype=np.bool_)
    if not placed.any():
        message = f"none of {len(points):,} cells has a finite place on the map {name!r}; leave the figure out"
        raise InvalidValues(message)
    names = (f"{name} 1", f"{name} 2")
    if not isinstance(xy, pd.DataFrame):
        return Map(points, names, None, placed)
    if not _unnamed(xy.columns):
        names = (str(xy.columns[0]), str(xy.columns[1]))
    return Map(points, names, None if _unnamed(xy.index) else xy.index, placed)


def as_maps(panels: Mapping[str, ArrayLike | pd.DataFrame], name: str) -> tuple[list[tuple[str, Map]], pd.Index | None]:
    """Title and map of each panel, and the names of the cells, which must be the same in all."""
    if not panels:
        message = "there is no map to show; leave the figure out"
        raise DataError(message)
    maps: list[tuple[str, Map]] = []
    index: pd.Index | None = None
    for title, xy in panels.items():
        cells = as_map(xy, name)
        n = len(maps[0][1].points) if maps else len(cells.points)
        if len(cells.points) != n:
            message = f"the map {title!r} has {len(cells.points):,} cells, the first {n:,}; show the same cells in all"
            raise InvalidValues(message)
        if index is not None and cells.index is not None and not index.equals(cells.index):
            message = f"the map {title!r} has other cells, or in another order, than the maps before; sort them alike"
            raise DataError(message)
        index = cells.index if index is None else index
        maps.append((title, cells))
    return maps, index


def _unnamed(index: object) -> bool:
    return isinstance(index, pd.RangeIndex)
