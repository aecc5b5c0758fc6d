"""Coverage of prediction intervals, drug by drug."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray
from scipy.stats import binom

from cellixir.exceptions import DataError, examples
from cellixir.figures.style import ACCENT, INK, MUTED, WARM, new_axes, styled

Floats = NDArray[np.float64]

_COLUMNS = ("n", "covered", "covered_low", "covered_high")


@styled
def coverage_by_group(
    groups: pd.DataFrame, *, level: float = 0.9, label: str = "Drugs", ax: Axes | None = None
) -> Axes:
    """Share of rows inside their interval, one dot a group, lowest first, beside what chance alone would give.

    A dot is warm where its interval does not hold the level. The grey curve is sorted as the dots are: it is where they
    would stand if every group were covered at the level exactly and only its number of rows made it differ.

    Parameters
    ----------
    groups
        One row a group: ``n, covered, covered_low, covered_high``, shares from 0 to 1.
    level
        What the intervals claim.
    label
        What the groups are, in the plural.

    Raises
    ------
    DataError
        If a column is missing or no group has a share.
    """
    table = _with_columns(groups).dropna(subset=["covered"]).sort_values("covered", kind="stable")
    if table.empty:
        message = "no group has a coverage; leave the figure out"
        raise DataError(message)
    ax = new_axes(5.6, 3.6) if ax is None else ax
    rank, y = np.arange(1, len(table) + 1), table["covered"].to_numpy(float)
    missed = ((table["covered_low"] > level) | (table["covered_high"] < level)).to_numpy(bool)
    colours = np.where(missed, WARM, ACCENT)
    ax.vlines(rank, table["covered_low"], table["covered_high"], color=colours, linewidth=0.9, alpha=0.28)
    expected = by_chance(table["n"].to_numpy(int), level)
    ax.plot(rank, expected, color=MUTED, linewidth=1.3, gid="chance", label="chance alone")
    ax.axhline(level, color=INK, linewidth=0.9, dashes=(4, 2), gid="level", label=f"claimed: {100 * level:.3g} %")
    ax.scatter(rank, y, c=colours, s=9, zorder=3, linewidths=0, gid="groups")
    ax.set(xlabel=f"{label}, least covered first", ylabel="Share inside the interval", xlim=(0, len(table) + 1))
    ax.set_ylim(max(-0.02, min(float(y.min()), level) - 0.1), 1.02)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_title(f"{missed.sum()} of {len(table)} {label.lower()} differ from {100 * level:.3g} %", fontweight="normal")
    ax.legend(loc="lower right")
    return ax


def by_chance(n: NDArray[np.int64], level: float) -> Floats:
    """Sorted shares expected of groups of ``n`` rows that are each covered with probability ``level``.

    Quantiles, at the middle of each rank, of the mixture of the groups' binomial distributions.

    >>> by_chance(np.array([1, 1, 1, 1]), 0.75)
    array([0., 1., 1., 1.])
    """
    counts, weights = np.unique(n, return_counts=True)
    shares = np.concatenate([np.arange(k + 1) / k for k in counts])
    chances = np.concatenate([w * binom.pmf(np.arange(k + 1), k, level) for k, w in zip(counts, weights, strict=True)])
    order = np.argsort(shares, kind="stable")
    reached = np.cumsum(chances[order]) / len(n)
    place = np.searchsorted(reached, (np.arange(len(n)) + 0.5) / len(n))
    return np.asarray(shares[order][np.minimum(place, len(shares) - 1)])


def _with_columns(groups: pd.DataFrame) -> pd.DataFrame:
    missing = [column for column in _COLUMNS if column not in groups]
    if missing:
        message = f"the table of coverage lacks {examples(missing, 4)}; give {', '.join(_COLUMNS)}"
        raise DataError(message)
    return groups
