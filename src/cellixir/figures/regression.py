"""Figures of a regression: observed against predicted, and what is left over."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator
from numpy.typing import ArrayLike, NDArray

from cellixir.exceptions import InvalidValues
from cellixir.figures.style import (
    ACCENT,
    INK,
    MUTED,
    SEQUENTIAL,
    WARM,
    list_axis,
    new_axes,
    shortened,
    styled,
)

Floats = NDArray[np.float64]

#: Above this many points a cloud is drawn as hexagons coloured by count.
DENSE = 3000


@styled
def observed_vs_predicted(
    observed: ArrayLike, predicted: ArrayLike, *, label: str = "response", ax: Axes | None = None
) -> Axes:
    """Square panel of observed against predicted, with the identity line, R² and RMSE.

    Parameters
    ----------
    observed, predicted
        Finite numbers of equal length ``(n,)``, at least two.
    label
        What is measured and its unit, for both axes.
    ax
        Axes to draw on; new ones by default.

    Raises
    ------
    InvalidValues
        If the lengths differ, fewer than two are given, or one is not finite.
    """
    y, x = _paired(observed, predicted)
    ax = new_axes(5.0, 4.5) if ax is None else ax
    _cloud(ax, x, y, "pairs")
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.03 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    ax.plot(limits, limits, color=WARM, linewidth=1.1, dashes=(4, 2), gid="identity")
    ax.set(xlim=limits, ylim=limits, xlabel=f"Predicted {label}", ylabel=f"Observed {label}")
    ax.set_aspect("equal")
    _panel_note(ax, _fit_text(y, x))
    return ax


@styled
def residuals_vs_predicted(
    observed: ArrayLike,
    predicted: ArrayLike,
    *,
    label: str = "response",
    bins: int = 30,
    ax: Axes | None = None,
) -> Axes:
    """Residual (observed - predicted) against prediction, with the running median and quartiles.

    Raises
    ------
    InvalidValues
        If the lengths differ, fewer than two are given, or one is not finite.
    """
    y, x = _paired(observed, predicted)
    ax = new_axes(5.0, 3.9) if ax is None else ax
    _cloud(ax, x, y - x, "pairs")
    ax.axhline(0.0, color=MUTED, linewidth=0.9, gid="zero")
    bins = max(1, min(bins, len(x) // 20))  # the quartiles of fewer points are noise
    for quantile, width in ((0.25, 0.9), (0.5, 2.0), (0.75, 0.9)):
        centres, values = running_quantile(x, y - x, quantile=quantile, bins=bins)
        ax.plot(centres, values, color=WARM, linewidth=width, gid=f"quantile-{quantile}")
    ax.set(xlabel=f"Predicted {label}", ylabel="Observed - predicted".replace("-", "−"))
    return ax


def running_quantile(x: ArrayLike, y: ArrayLike, *, quantile: float = 0.5, bins: int = 30) -> tuple[Floats, Floats]:
    """Median of ``x`` and ``quantile`` of ``y`` in ``bins`` groups of equal size along ``x``.

    >>> running_quantile([0, 1, 2, 3, 4, 5], [1, 2, 9, 5, 6, 7], bins=2)
    (array([1., 4.]), array([2., 6.]))
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    order = np.argsort(x, kind="stable")
    parts = np.array_split(order, max(1, min(bins, len(x))))
    centres = [np.quantile(x[part], 0.5) for part in parts]
    return np.asarray(centres), np.asarray([np.quantile(y[part], quantile) for part in parts])


@styled
def residuals_by_group(residuals: ArrayLike, groups: ArrayLike, *, top: int = 25, ax: Axes | None = None) -> Axes:
    """Box plot of residuals a group, the lowest median on top, for the ``top`` largest groups.

    Boxes span the quartiles, whiskers the 5th to the 95th percentile. Rows without a group are left out.

    Raises
    ------
    InvalidValues
        If no row has a group.
    """
    boxes = box_statistics(residuals, groups, top=top)
    ax = new_axes(5.0, 1.0 + 0.19 * len(boxes)) if ax is None else ax
    ax.axvline(0.0, color=MUTED, linewidth=0.9)
    positions = np.arange(len(boxes))
    ax.hlines(positions, boxes["p5"], boxes["p95"], color="#9fb2c0", linewidth=1.0)
    ax.barh(positions, boxes["q3"] - boxes["q1"], left=boxes["q1"], height=0.62, color="#a9cbdc", gid="boxes")
    ax.vlines(boxes["median"], positions - 0.31, positions + 0.31, color=INK, linewidth=1.6, gid="medians")
    list_axis(ax, [f"{shortened(name)} · {n:,}" for name, n in zip(boxes.index, boxes["n"], strict=True)])
    ax.set_xlabel("Observed − predicted")
    return ax


def box_statistics(residuals: ArrayLike, groups: ArrayLike, *, top: int = 25) -> pd.DataFrame:
    """Count, quartiles, 5th and 95th percentile of the ``top`` largest groups, sorted by median."""
    values = pd.Series(np.asarray(residuals, float)).groupby(np.asarray(groups, dtype=object), dropna=True)
    if not len(values):
        message = "no residual has a group; leave the figure out, or fill the column of groups"
        raise InvalidValues(message)
    largest = values.size().sort_values(ascending=False, kind="stable").index[:top]
    quantiles = values.quantile(np.array([0.05, 0.25, 0.5, 0.75, 0.95])).unstack().loc[largest]
    quantiles.columns = pd.Index(["p5", "q1", "median", "q3", "p95"])
    return quantiles.assign(n=values.size()).sort_values("median", kind="stable")


@styled
def extremes(
    scores: pd.Series,
    *,
    notes: pd.Series | None = None,
    count: int = 15,
    reference: float = 1.0,
    label: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Dot plot of the ``count`` lowest and the ``count`` highest scores, lowest on top, each with its note.

    Parameters
    ----------
    scores
        One number a name; names are the index. NaN are left out.
    notes
        Short text a name, written at the right edge.
    reference
        Where a line is drawn and the stems start.
    """
    ranked = scores.dropna().sort_values(kind="stable")
    shown = ranked if len(ranked) <= 2 * count else pd.concat([ranked[:count], ranked[-count:]])
    split = count if len(ranked) > 2 * count else None
    ax = new_axes(5.0, 1.0 + 0.19 * len(shown)) if ax is None else ax
    rows = np.arange(len(shown), dtype=float)
    colours = np.where(shown < reference, ACCENT, WARM)
    ax.axvline(reference, color=MUTED, linewidth=0.9)
    ax.hlines(rows, reference, shown, color=colours, linewidth=1.3, alpha=0.55)
    ax.scatter(shown, rows, c=colours, s=20, zorder=3, gid="scores")
    list_axis(ax, [shortened(name, 24) for name in shown.index])
    if split is not None:
        ax.axhline(split - 0.5, color=INK, linewidth=0.7, dashes=(2, 2))
    if notes is not None:
        _right_notes(ax, rows, [str(notes.get(name, "")) for name in shown.index])
    ax.set_xlabel(label)
    return ax


def _right_notes(ax: Axes, rows: Floats, notes: list[str]) -> None:
    for row, note in zip(rows, notes, strict=True):
        ax.text(1.02, row, note, transform=ax.get_yaxis_transform(), va="center", fontsize=8, color=MUTED)


def _paired(observed: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    y, x = np.asarray(observed, float).ravel(), np.asarray(predicted, float).ravel()
    if len(y) != len(x) or len(y) < 2:
        message = f"{len(y)} observed and {len(x)} predicted values; give two or more of each, in the same order"
        raise InvalidValues(message)
    bad = int((~np.isfinite(y) | ~np.isfinite(x)).sum())
    if bad:
        message = f"{bad} of {len(y)} pairs are not finite; leave them out before drawing"
        raise InvalidValues(message)
    return y, x


def _cloud(ax: Axes, x: Floats, y: Floats, what: str) -> None:
    if len(x) <= DENSE:
        ax.scatter(x, y, s=9, color=ACCENT, alpha=0.45, linewidths=0, rasterized=len(x) > 800, gid="cloud")
        return
    hexes = ax.hexbin(x, y, gridsize=58, bins="log", mincnt=1, cmap=SEQUENTIAL, linewidths=0.15, rasterized=True)
    hexes.set_gid("cloud")
    bar = ax.figure.colorbar(hexes, ax=ax, shrink=0.55, aspect=22, pad=0.02, anchor=(0.0, 0.0))
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_locator(LogLocator(numticks=6))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    bar.ax.yaxis.set_minor_locator(LogLocator(subs=()))
    bar.ax.set_title(what, fontsize=8, fontweight="normal", color=MUTED, pad=5)


def _fit_text(observed: Floats, predicted: Floats) -> str:
    error = float(np.sum((observed - predicted) ** 2))
    spread = float(np.sum((observed - observed.mean()) ** 2))
    r2 = f"{1.0 - error / spread:.3f}" if spread > 0 else "undefined"
    return f"R² = {r2}\nRMSE = {np.sqrt(error / len(observed)):.3f}\nn = {len(observed):,}"


def _panel_note(ax: Axes, text: str) -> None:
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 3.0}
    ax.text(0.03, 0.97, text, transform=ax.transAxes, va="top", linespacing=1.5, bbox=box, gid="fit")
