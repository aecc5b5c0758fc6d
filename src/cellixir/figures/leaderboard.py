"""Models side by side: a forest plot of scores with intervals, and histograms of one score a drug."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from cellixir.exceptions import DataError, examples
from cellixir.figures.style import (
    ACCENT,
    INK,
    KIND_COLOURS,
    KIND_MARKERS,
    MUTED,
    list_axis,
    new_axes,
    shortened,
    styled,
)


@styled
def forest(
    scores: pd.DataFrame,
    *,
    metric: str = "rmse",
    label: str = "RMSE",
    lower_is_better: bool = True,
    reference: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Forest plot of one score a model with its interval, the best on top.

    Parameters
    ----------
    scores
        One row a model: ``model``, ``metric`` and, where known, ``<metric>_low``, ``<metric>_high`` and
        ``kind``, a key of ``KIND_COLOURS``. Models without a score stand last, with a dash.
    reference
        Model whose score is drawn as a line through all rows.

    Notes
    -----
    A model far from all others (beyond Tukey's outer fence, 3 interquartile ranges) is drawn as an arrow at
    the edge, so that it does not press the rest together.

    Raises
    ------
    DataError
        If a column is missing or no model has a score.
    """
    table = _ranked(scores, metric, lower_is_better=lower_is_better)
    ax = new_axes(4.9, 1.05 + 0.26 * len(scores)) if ax is None else ax
    low, high = _window(table, metric, lower_is_better=lower_is_better)
    for row, entry in enumerate(table.to_dict("records")):
        _draw_entry(ax, row, {str(key): value for key, value in entry.items()}, metric, (low, high))
    if reference is not None and (table["model"] == reference).any():
        value = float(table.loc[table["model"] == reference, metric].iloc[0])
        ax.axvline(value, color=MUTED, linewidth=0.9, dashes=(3, 2), zorder=1, gid="reference")
    list_axis(ax, [shortened(name) for name in table["model"]])
    ax.set(xlim=(low, high), xlabel=label)
    return ax


@styled
def score_histogram(
    scores: Mapping[str, ArrayLike],
    *,
    colours: Mapping[str, str] | None = None,
    label: str = "score",
    bins: int = 40,
    ax: Axes | None = None,
) -> Axes:
    """Outlined histograms over common bins, one a model, with a tick at each median.

    NaN are left out; a model with no finite score is not drawn.
    """
    ax = new_axes(5.0, 3.4) if ax is None else ax
    finite = {name: np.asarray(s, float)[np.isfinite(np.asarray(s, float))] for name, s in scores.items()}
    finite = {name: values for name, values in finite.items() if len(values)}
    if not finite:
        message = f"no model of {examples(scores)} has a finite score; leave the figure out"
        raise DataError(message)
    edges = _edges(np.concatenate(list(finite.values())), bins)
    for name, values in finite.items():
        colour = (colours or {}).get(name, ACCENT)
        median = float(np.median(values))
        ax.hist(values, bins=edges, histtype="stepfilled", facecolor=colour, alpha=0.16)
        ax.hist(values, bins=edges, histtype="step", edgecolor=colour, linewidth=1.4,
                label=f"{shortened(name)}, median {median:.2f}".replace("-", "−"))  # fmt: skip
        ax.axvline(median, color=colour, linewidth=1.2, dashes=(3, 2), gid=f"median-{name}")
    ax.set(xlabel=label, ylabel="Drugs")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=1, borderaxespad=0.3)
    return ax


def _edges(values: NDArray[np.float64], bins: int) -> list[float]:
    """Edges of equal bins over the values, 0.1 wide in all at least."""
    low, high = float(values.min()), float(values.max())
    margin = max(0.0, 0.1 - (high - low)) / 2
    return [float(edge) for edge in np.linspace(low - margin, high + margin, bins + 1)]


def _ranked(scores: pd.DataFrame, metric: str, *, lower_is_better: bool) -> pd.DataFrame:
    missing = [column for column in ("model", metric) if column not in scores]
    if missing:
        message = f"the table of scores has no column {examples(missing)}; it has {examples(scores.columns, 8)}"
        raise DataError(message)
    table = scores.sort_values(metric, ascending=lower_is_better, kind="stable")
    if table[metric].notna().sum() == 0:
        message = f"no model has a value of {metric!r}; leave the figure out"
        raise DataError(message)
    return table


def _window(table: pd.DataFrame, metric: str, *, lower_is_better: bool) -> tuple[float, float]:
    """Limits of the axis: every interval but those of models that are worse than Tukey's outer fence."""
    values = table[metric].to_numpy(float)
    q1, q3 = np.nanquantile(values, [0.25, 0.75])
    fence = 3.0 * (q3 - q1)
    near = table[values <= q3 + fence] if lower_is_better else table[values >= q1 - fence]
    columns = [c for c in (metric, f"{metric}_low", f"{metric}_high") if c in table]
    shown = near[columns].to_numpy(float)
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
    return low - margin, high + margin


def _draw_entry(ax: Axes, row: int, entry: Mapping[str, object], metric: str, window: tuple[float, float]) -> None:
    value = float(str(entry[metric]))
    kind = str(entry.get("kind", "network"))
    colour, marker = KIND_COLOURS.get(kind, INK), KIND_MARKERS.get(kind, "o")
    low, high = float(str(entry.get(f"{metric}_low", "nan"))), float(str(entry.get(f"{metric}_high", "nan")))
    known = bool(np.isfinite(low) and np.isfinite(high))
    text = f"{value:.3f}" if np.isfinite(value) else "–"
    ax.text(1.05, row, text.replace("-", "−"), transform=ax.get_yaxis_transform(), va="center", fontsize=8,
            color=MUTED)  # fmt: skip
    if not np.isfinite(value):
        return
    if value > window[1] or value < window[0]:
        edge, arrow = (window[1], ">") if value > window[1] else (window[0], "<")
        ax.plot([edge], [row], marker=arrow, color=colour, markersize=6, clip_on=False, gid=f"beyond-{row}")
        return
    if known:
        ax.hlines(row, low, high, color=colour, linewidth=1.8, zorder=2)
    ax.plot(
        [value],
        [row],
        marker=marker,
        color=colour,
        markersize=5.5,
        zorder=3,
        linestyle="none",
        gid=f"score-{row}",
    )
