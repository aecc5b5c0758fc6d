"""Map of what was measured: samples x drugs, the fullest rows and columns first."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import ArrayLike, NDArray

from cellixir.exceptions import InvalidValues
from cellixir.figures.style import new_axes, styled

FILLED = LinearSegmentedColormap.from_list("filled", ["#f1ece4", "#7fa9c2", "#1f5f8b"])


@styled
def missing_map(
    observed: ArrayLike | pd.DataFrame, *, pixels: tuple[int, int] = (1200, 420), ax: Axes | None = None
) -> Axes:
    """Image of which (sample, drug) pairs were measured; samples run along x, drugs down y.

    Parameters
    ----------
    observed
        Shape ``(n_samples, n_drugs)``, true where a value stands.
    pixels
        Most columns and rows of the image; a larger table is averaged in blocks, so that a pixel shows the
        fraction measured.

    Raises
    ------
    InvalidValues
        If the table is empty or not two-dimensional.
    """
    table = _boolean(observed)
    image = block_means(ordered(table).T, pixels[1], pixels[0])
    ax = new_axes(9.4, 3.6) if ax is None else ax
    extent = (0.0, float(table.shape[0]), float(table.shape[1]), 0.0)
    ax.imshow(image, cmap=FILLED, vmin=0.0, vmax=1.0, aspect="auto", interpolation="nearest", extent=extent)
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set(xlabel="Samples, fullest first", ylabel="Drugs, fullest first")
    ax.set_title(f"{table.mean():.1%} of {table.size:,} pairs measured", fontweight="normal")
    return ax


def ordered(observed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows and columns of a boolean table by how full they are, the fullest first; ties keep their order."""
    rows = np.argsort(-observed.sum(axis=1), kind="stable")
    columns = np.argsort(-observed.sum(axis=0), kind="stable")
    return observed[rows][:, columns]


def block_means(table: NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.float64]:
    """Means over blocks, at most ``rows`` x ``columns`` of them; a smaller table comes back as it is.

    >>> block_means(np.array([[True, False], [True, True]]), 1, 2)
    array([[1. , 0.5]])
    """
    sizes = (min(rows, table.shape[0]), min(columns, table.shape[1]))
    starts = [np.arange(n) * full // n for n, full in zip(sizes, table.shape, strict=True)]
    sums = np.add.reduceat(np.add.reduceat(table, starts[0], axis=0, dtype=np.int64), starts[1], axis=1)
    counts = [np.diff(np.append(s, full)) for s, full in zip(starts, table.shape, strict=True)]
    return np.asarray(sums / np.outer(*counts), dtype=np.float64)


def _boolean(observed: ArrayLike | pd.DataFrame) -> NDArray[np.bool_]:
    table = np.asarray(observed, dtype=bool)
    if table.ndim != 2 or table.size == 0:
        message = f"the table of observed pairs has shape {table.shape}; give samples x drugs, one or more of each"
        raise InvalidValues(message)
    return table
