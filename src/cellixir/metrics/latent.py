"""Latent matrix that metrics, maps and classifiers take, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellixir.exceptions import InvalidValues, examples

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray


def finite_latent(
    latent: ArrayLike, cells: pd.Index[Any] | range | None = None, *, name: str = "the latent"
) -> NDArray[np.float64]:
    """A latent in double precision, shape ``(n_cells, d)``, that holds finite numbers alone.

    Parameters
    ----------
    cells
        Name of each cell; without, there may be any number of them, counted from 0.
    name
        What a message calls the latent.

    Raises
    ------
    InvalidValues
        If it has not a row for each cell and at least one column, or a value is not finite.
    """
    points = np.asarray(latent, dtype=np.float64)
    if points.ndim != 2 or not points.shape[1] or (cells is not None and len(points) != len(cells)):
        given = "" if cells is None else f" for {len(cells):,} cells"
        message = f"{name} has the shape {points.shape}{given}; give one row a cell and one column a dimension"
        raise InvalidValues(message)
    rows = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(rows):
        wrong = rows if cells is None else [cells[int(row)] for row in rows]
        column = int(np.argmin(np.isfinite(points[rows[0]])))
        message = (
            f"{name} is not finite in {len(rows):,} of {len(points):,} cells ({examples(wrong)}): dimension "
            f"{column + 1} of the first holds {points[rows[0], column]}; leave these cells out, or fit the embedding "
            "again"
        )
        raise InvalidValues(message)
    return points
