"""Figures of prediction intervals: whether they hold for each drug, how wide they are, and where they may not hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom, norm

from cellixir.exceptions import DataError, InvalidValues, examples
from cellixir.figures.regression import running_quantile
from cellixir.figures.style import ACCENT, INK, MUTED, WARM, new_axes, styled

Floats = NDArray[np.float64]

_BAND = "#dfe7ec"
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


@styled
def width_vs_error(
    widths: ArrayLike,
    errors: ArrayLike,
    *,
    level: float = 0.9,
    unit: str = "",
    label: str = "drug",
    ax: Axes | None = None,
) -> Axes:
    """Width of the interval against the root mean square error, one dot a group.

    The dashed line is the width that normally distributed errors would need. Groups without a finite width or error are
    left out and counted in the title.

    Raises
    ------
    InvalidValues
        If the lengths differ or no group has both.
    """
    x, y, left_out = _finite_pairs(errors, widths, "errors and widths")
    ax = new_axes(4.7, 3.9) if ax is None else ax
    ax.scatter(x, y, s=14, color=ACCENT, alpha=0.55, linewidths=0, zorder=3, gid="groups")
    end = 1.05 * float(x.max()) or 1.0
    slope = 2 * float(norm.ppf((1 + level) / 2))
    ax.plot([0, end], [0, slope * end], color=WARM, linewidth=1.1, dashes=(4, 2), gid="normal", label="normal errors")
    of = f", {unit}" if unit else ""
    ax.set(xlabel=f"Root mean square error of the {label}{of}", ylabel=f"Width of the {100 * level:.3g} % interval{of}")
    ax.set(xlim=(0, end), ylim=(0, 1.06 * max(float(y.max()), slope * end)))
    ax.legend(loc="upper left")
    if left_out:
        ax.set_title(f"{left_out} without a finite width: not drawn", fontweight="normal")
    return ax


@styled
def error_vs_domain(
    scores: ArrayLike,
    errors: ArrayLike,
    *,
    limit: float,
    farther: str = "right",
    xlabel: str = "Distance from the training samples",
    ylabel: str = "Root mean square error",
    ax: Axes | None = None,
) -> Axes:
    """Error against how far a sample (or drug) is from training, one dot each, with the running median.

    What lies beyond ``limit`` stands on a shaded ground; the title says how many do and the mean error on both sides.

    Parameters
    ----------
    scores
        One number a sample; NaN where unknown, which is left out and counted in the title.
    errors
        Of the same samples, 0 or more.
    limit
        Score at which the domain ends; infinite where nothing is outside.
    farther
        ``'right'`` where higher scores are farther from training, ``'left'`` for similarities.

    Raises
    ------
    InvalidValues
        If the lengths differ or no sample has both.
    """
    x, y, left_out = _finite_pairs(scores, errors, "scores and errors")
    ax = new_axes(5.0, 3.7) if ax is None else ax
    outside = x > limit if farther == "right" else x < limit
    ax.scatter(x[~outside], y[~outside], s=11, color=ACCENT, alpha=0.4, linewidths=0, rasterized=len(x) > 800,
               gid="inside")  # fmt: skip
    ax.scatter(x[outside], y[outside], s=20, color=WARM, linewidths=0, zorder=3, gid="outside")
    ax.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, 1.08 * float(y.max()) or 1.0))
    low, high = _span(x, limit)
    ax.set_xlim(low, high)
    if np.isfinite(limit):
        ax.axvline(limit, color=WARM, linewidth=1.1, dashes=(4, 2), gid="limit")
        ax.axvspan(limit, high if farther == "right" else low, color=_BAND, alpha=0.6, linewidth=0, zorder=0)
    if len(x) >= 40:
        _running_median(ax, x, y)
    notes = [_side("inside", y[~outside]), _side("outside", y[outside])] + [f"{left_out} unknown"] * (left_out > 0)
    ax.set_title(" · ".join(notes), fontweight="normal")
    return ax


def _running_median(ax: Axes, x: Floats, y: Floats) -> None:
    centres, medians = running_quantile(x, y, bins=min(15, len(x) // 20))
    ax.plot(centres, medians, color=INK, linewidth=1.6, gid="median")
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.5}
    ax.annotate("running median", (centres[-1], medians[-1]), (0, 7), textcoords="offset points", ha="right",
                fontsize=8, color=INK, bbox=box)  # fmt: skip


def _side(name: str, errors: Floats) -> str:
    return f"{len(errors)} {name}" + (f", mean {errors.mean():.2f}" if len(errors) else "")


def _span(x: Floats, limit: float) -> tuple[float, float]:
    ends = np.append(x, limit if np.isfinite(limit) else x[0])
    margin = 0.04 * float(ends.max() - ends.min()) or 1.0
    return float(ends.min()) - margin, float(ends.max()) + margin


def _with_columns(groups: pd.DataFrame) -> pd.DataFrame:
    missing = [column for column in _COLUMNS if column not in groups]
    if missing:
        message = f"the table of coverage lacks {examples(missing, 4)}; give {', '.join(_COLUMNS)}"
        raise DataError(message)
    return groups


def _finite_pairs(x: ArrayLike, y: ArrayLike, what: str) -> tuple[Floats, Floats, int]:
    a, b = np.asarray(x, float).ravel(), np.asarray(y, float).ravel()
    if len(a) != len(b):
        message = f"{what}: {len(a)} and {len(b)} values; give the same number, in the same order"
        raise InvalidValues(message)
    finite = np.isfinite(a) & np.isfinite(b)
    if not finite.any():
        message = f"{what}: none of {len(a)} has two finite values; leave the figure out"
        raise InvalidValues(message)
    return a[finite], b[finite], int((~finite).sum())
