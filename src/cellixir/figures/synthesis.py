"""Figures of synthetic data beside real data: quality by model, effects of groups, numbers of genes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from cellixir.exceptions import InvalidValues
from cellixir.figures.groups import OTHER, PALETTE, legend_dot
from cellixir.figures.names import shortened_apart
from cellixir.figures.score_rows import refuse_many_models, require_columns, score_rows
from cellixir.figures.style import ACCENT, INK, MUTED, WARM, new_axes, styled

Floats = NDArray[np.float64]

REAL, SYNTHETIC = "real", "synthetic"
KIND_PAINT = {REAL: "#7c8796", SYNTHETIC: WARM}
#: Above this many points a scatter is drawn with smaller, fainter ones.
MANY = 1500
_IDENTITY: dict[str, Any] = {"color": MUTED, "linewidth": 1.0, "dashes": (4, 2), "zorder": 2, "gid": "identity"}


@styled
def quality_bars(table: pd.DataFrame, *, label: str = "Value", title: str = "", ax: Axes | None = None) -> Axes:
    """Bars of each metric by model, with their intervals and a line where real held-out data stand.

    Parameters
    ----------
    table
        Columns ``metric``, ``model`` and ``value``; where known ``low`` and ``high``, and ``ceiling`` and ``floor`` of
        the metric, of which the means over the models are drawn.
    label, title
        Name of the axis and of the panel.

    Raises
    ------
    DataError
        If a column is missing, no value is finite or there are more than 10 models.
    DuplicateIds
        If a model stands twice in a metric.
    """
    rows = _bar_rows(table)
    metrics, models = list(dict.fromkeys(rows["metric"])), list(dict.fromkeys(rows["model"]))
    ax = new_axes(1.7 + len(metrics) * (0.45 + 0.17 * len(models)), 3.3) if ax is None else ax
    for i, metric in enumerate(metrics):
        for j, model in enumerate(models):
            _bar(ax, rows[(rows["metric"] == metric) & (rows["model"] == model)], i, j, len(models))
        _reference(ax, rows[rows["metric"] == metric], i)
    ax.axhline(0.0, color=MUTED, linewidth=0.7)
    ax.set_xticks(range(len(metrics)), shortened_apart(metrics, 20))
    ax.tick_params(axis="x", length=0, labelcolor=INK)
    ax.grid(visible=False, axis="x")
    drawn = float(np.nanmax(rows[["value", "ceiling", "floor"]].to_numpy()))
    top = min(1.5 * max(1.0, drawn), max(drawn, float(rows["high"].max(skipna=True))))  # a wide interval may run out
    bottom = float(np.nanmin(rows[["value", "low"]].to_numpy()))
    ax.set(ylim=(min(0.0, 1.08 * bottom), max(1.0, top) * 1.04), xlim=(-0.6, len(metrics) - 0.4), ylabel=label)
    ax.set_title(title)
    ax.legend(handles=_bar_handles(rows, models), loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.2)
    return ax


def _bar_rows(table: pd.DataFrame) -> pd.DataFrame:
    rows = score_rows(table, ("value", "low", "high", "ceiling", "floor"))
    refuse_many_models(rows)
    return rows


def _bar(ax: Axes, row: pd.DataFrame, i: int, j: int, n: int) -> None:
    if row.empty or np.isnan(row["value"].iloc[0]):
        return
    value, low, high = (float(row[name].iloc[0]) for name in ("value", "low", "high"))
    x = i + 0.8 * ((j + 0.5) / n - 0.5)
    ax.bar(x, value, width=0.8 / n * 0.86, color=PALETTE[j], zorder=2, gid=f"bar-{i}-{j}")
    if np.isfinite(low) and np.isfinite(high):
        ax.plot([x, x], [low, high], color=INK, linewidth=1.1, zorder=4, gid=f"interval-{i}-{j}")


def _reference(ax: Axes, rows: pd.DataFrame, i: int) -> None:
    """Lines over the bars of a metric: real held-out data and shuffled genes."""
    for name, style in (("ceiling", _CEILING), ("floor", _FLOOR)):
        known = rows[name].dropna()
        if len(known):
            y = float(known.mean())
            ax.plot([i - 0.44, i + 0.44], [y, y], zorder=3, gid=f"{name}-{i}", **style)


_CEILING: dict[str, Any] = {"color": INK, "linewidth": 1.6}
_FLOOR: dict[str, Any] = {"color": MUTED, "linewidth": 1.1, "dashes": (2, 1.5)}


def _bar_handles(rows: pd.DataFrame, models: list[str]) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = [
        Patch(color=PALETTE[j], label=name) for j, name in enumerate(shortened_apart(models, 24))
    ]
    words = {"ceiling": ("real held-out", _CEILING), "floor": ("genes shuffled", _FLOOR)}
    there = [words[name] for name in words if rows[name].notna().any()]
    handles += [Line2D([], [], label=word, **style) for word, style in there]
    return handles


@styled
def fold_change_scatter(
    reference: ArrayLike,
    synthetic: ArrayLike,
    *,
    different: ArrayLike | None = None,
    name: str = "real",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Log2 fold changes of genes, in synthetic against real data, with the identity and the slope line.

    The slope is that of the least-squares line through the origin over the genes that truly differ: below 1 the
    effects are attenuated.

    Parameters
    ----------
    reference, synthetic
        Log2 fold change of each gene, shape ``(n_genes,)``; genes with a value that is not finite are left out.
    different
        Which genes truly differ; all by default.
    name
        What the reference is: ``real`` or ``planted``.

    Raises
    ------
    InvalidValues
        If lengths differ, or fewer than two genes that differ have both values.
    """
    x, y = _pair(reference, synthetic)
    marked = np.ones(len(x), dtype=bool) if different is None else np.asarray(different, dtype=bool)
    if marked.shape != x.shape:
        message = f"{marked.size:,} marks for {len(x):,} genes; give one a gene"
        raise InvalidValues(message)
    known = np.isfinite(x) & np.isfinite(y)
    x, y, marked = x[known], y[known], marked[known]
    if marked.sum() < 2 or not x[marked].any():
        message = f"{int(marked.sum())} genes that differ have both fold changes; a slope needs two or more"
        raise InvalidValues(message)
    slope = float(x[marked] @ y[marked] / (x[marked] @ x[marked]))
    ax = new_axes(4.2, 4.0) if ax is None else ax
    _dots(ax, x[~marked], y[~marked], OTHER, gid="others")
    _dots(ax, x[marked], y[marked], ACCENT, gid="different")
    limit = 1.06 * float(max(np.abs(x).max(), np.abs(y).max()))
    ends = np.array([-limit, limit])
    ax.plot(ends, ends, **_IDENTITY)
    ax.plot(ends, slope * ends, color=WARM, linewidth=1.8, zorder=5, gid="slope")
    ax.set(xlim=ends, ylim=ends, xlabel=f"Log2 fold change, {name}", ylabel="Log2 fold change, synthetic", title=title)
    ax.set_aspect("equal")
    _note(ax, f"slope {slope:.2f}\n{int(marked.sum()):,} of {len(x):,} genes differ".replace("-", "−"))
    return ax


@styled
def gene_agreement(
    real: ArrayLike, synthetic: ArrayLike, *, name: str, log: bool = False, title: str = "", ax: Axes | None = None
) -> Axes:
    """A number of each gene in synthetic against real data, with the identity line.

    Parameters
    ----------
    real, synthetic
        Shape ``(n_genes,)``; genes that are not finite in both, or not above zero on log axes, are left out.
    name
        What the number is.
    log
        Logarithmic axes.

    Raises
    ------
    InvalidValues
        If lengths differ, or no gene is left.
    """
    x, y = _pair(real, synthetic)
    known = np.isfinite(x) & np.isfinite(y) & ((x > 0) & (y > 0) if log else True)
    if not known.any():
        message = f"none of {len(x):,} genes has a {name} that can be drawn; leave the figure out"
        raise InvalidValues(message)
    left, x, y = int((~known).sum()), x[known], y[known]
    ax = new_axes(3.5, 3.3) if ax is None else ax
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    margin = (high / low) ** 0.04 if log else 0.04 * (high - low) or 0.5
    ends = (low / margin, high * margin) if log else (low - margin, high + margin)
    if log:
        ax.set(xscale="log", yscale="log")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(LogLocator(numticks=5))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
    ends = ends if ends[0] < ends[1] else (ends[0] / 2, ends[1] * 2)
    _dots(ax, x, y, ACCENT, gid="genes")
    ax.plot(ends, ends, **_IDENTITY)
    ax.set(xlim=ends, ylim=ends, xlabel=f"{name}, real", ylabel=f"{name}, synthetic", title=title)
    ax.set_aspect("equal")
    if left:
        _note(ax, f"{left:,} genes not shown")
    return ax


@styled
def mean_variance(genes: pd.DataFrame, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Variance against mean of each gene, real below and synthetic above.

    Parameters
    ----------
    genes
        Columns ``mean_real``, ``mean_synthetic``, ``variance_real`` and ``variance_synthetic``.

    Raises
    ------
    DataError
        If a column is missing.
    """
    require_columns(
        genes, [f"{what}_{kind}" for what in ("mean", "variance") for kind in (REAL, SYNTHETIC)], "table of genes"
    )
    ax = new_axes(4.1, 3.3) if ax is None else ax
    for order, kind in enumerate((REAL, SYNTHETIC)):
        x, y = genes[f"mean_{kind}"].to_numpy(np.float64), genes[f"variance_{kind}"].to_numpy(np.float64)
        _dots(ax, x, y, KIND_PAINT[kind], gid=kind, order=3 + order)
    ax.set(xlabel="Mean of a gene", ylabel="Variance of a gene", title=title)
    ax.legend(handles=_kind_handles(), loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.2)
    return ax


def _kind_handles() -> list[Line2D]:
    return [legend_dot(kind, paint) for kind, paint in KIND_PAINT.items()]


def _dots(ax: Axes, x: Floats, y: Floats, colour: str, *, gid: str, order: float = 3) -> None:
    if len(x):
        size, alpha = (5.0, 0.35) if len(x) > MANY else (11.0, 0.6)
        ax.scatter(x, y, s=size, color=colour, alpha=alpha, linewidths=0, rasterized=True, zorder=order, gid=gid)


def _note(ax: Axes, text: str) -> None:
    ax.text(0.03, 0.97, text, transform=ax.transAxes, va="top", fontsize=8, color=MUTED, gid="note", zorder=6)


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    one, other = np.asarray(x, dtype=np.float64).ravel(), np.asarray(y, dtype=np.float64).ravel()
    if one.shape != other.shape:
        message = f"{one.size:,} numbers of real and {other.size:,} of synthetic data; give one each a gene"
        raise InvalidValues(message)
    return one, other
