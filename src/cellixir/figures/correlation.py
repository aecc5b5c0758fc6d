"""Map of the correlations between the columns of a table, those that go together side by side."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from cellixir.exceptions import InvalidValues
from cellixir.figures.style import INK, MUTED, new_axes, shortened, styled

Floats = NDArray[np.float64]

DIVERGING = LinearSegmentedColormap.from_list(
    "correlation", ["#12466e", "#3f83ad", "#a9cbdc", "#f6f4f0", "#e8b79b", "#cd6b41", "#8a3413"]
)
UNKNOWN = "#d9dde2"
MAX_ROWS = 20_000  # rows that are looked at: no cell would change by a visible shade
_NUMBERED = 14  # columns up to which the numbers are written


@styled
def correlation_map(
    table: pd.DataFrame, *, target: str | None = None, limit: int = 30, seed: int = 0, ax: Axes | None = None
) -> Axes:
    """Square map of Spearman's correlations between columns, ordered so that those that go together stand together.

    Parameters
    ----------
    table
        Numbers; missing values are passed over pair by pair. Columns without variance are left out.
    target
        Column that is always shown, in bold.
    limit
        Most columns: those with the strongest correlation with the target, or, without one, the most complete.
    seed
        Draws `MAX_ROWS` rows of a longer table.

    Raises
    ------
    InvalidValues
        If fewer than two columns vary.
    """
    correlation = correlations(table, target=target, limit=limit, seed=seed)
    names, values = list(correlation.columns), correlation.to_numpy()
    side = 2.0 + 0.25 * max(len(names), 5)
    ax = new_axes(side + 0.7, side) if ax is None else ax
    ax.set_facecolor(UNKNOWN)
    image = ax.imshow(values, cmap=DIVERGING, vmin=-1, vmax=1, gid="cells")
    at = np.arange(len(names))
    labels = [shortened(name, 26) for name in names]
    ax.set_xticks(at, labels, rotation=90)
    ax.set_yticks(at, labels)
    ax.tick_params(length=0, pad=4, labelcolor=INK)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    for name, ticks in zip(names, zip(ax.get_xticklabels(), ax.get_yticklabels(), strict=True), strict=True):
        for tick in ticks if name == target else ():
            tick.set_fontweight("bold")
    if len(names) <= _NUMBERED:
        _write_numbers(ax, values)
    bar = cast(Figure, ax.get_figure(root=True)).colorbar(image, ax=ax, shrink=0.6, aspect=24, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_ticks([-1, -0.5, 0, 0.5, 1], labels=["−1", "−0.5", "0", "0.5", "1"])
    bar.set_label("Spearman's correlation", fontsize=8, color=MUTED)
    return ax


def correlations(table: pd.DataFrame, *, target: str | None = None, limit: int = 30, seed: int = 0) -> pd.DataFrame:
    """Spearman's correlations of at most ``limit`` columns, in the order of the map; NaN where none is defined."""
    if len(table) > MAX_ROWS:
        table = table.iloc[np.sort(np.random.default_rng(seed).choice(len(table), MAX_ROWS, replace=False))]
    ranks = table.loc[:, [table[name].nunique() > 1 for name in table]].rank()
    if ranks.shape[1] < 2:
        message = f"{ranks.shape[1]} of {table.shape[1]} columns vary: nothing can go together; leave the figure out"
        raise InvalidValues(message)
    if target is not None and target in ranks:
        strength = ranks.corrwith(ranks[target]).abs().fillna(0.0)
        strength[target] = 2.0
    else:
        strength = ranks.notna().mean()
    chosen = strength.sort_values(ascending=False, kind="stable").index[: max(2, limit)]
    values = ranks[[name for name in ranks if name in set(chosen)]].corr(method="spearman", min_periods=3)
    order = _order(values.to_numpy())
    return values.iloc[order, order]


def _order(correlation: Floats) -> NDArray[np.int64]:
    """Leaves of average linkage on 1 - abs(correlation), neighbours as like as can be."""
    if len(correlation) < 3:
        return np.arange(len(correlation))
    distance = 1 - np.abs(np.nan_to_num(correlation))
    distance = np.clip((distance + distance.T) / 2, 0, None)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return np.asarray(leaves_list(tree), dtype=np.int64)


def _write_numbers(ax: Axes, values: Floats) -> None:
    for (row, column), value in np.ndenumerate(values):
        if row != column and np.isfinite(value):
            colour = "white" if abs(value) > 0.65 else INK
            text = f"{value:.2f}".replace("-", "−").replace("0.", ".")
            ax.text(column, row, text, ha="center", va="center", fontsize=6.5, color=colour, gid=f"r-{row}-{column}")
