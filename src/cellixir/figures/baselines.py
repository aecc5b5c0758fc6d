"""Scores of a model beside its baseline, each with its interval, metric by metric."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from cellixir.exceptions import InvalidValues
from cellixir.figures.groups import PALETTE
from cellixir.figures.names import shortened_apart
from cellixir.figures.score_rows import refuse_many_models, score_rows
from cellixir.figures.style import KIND_COLOURS, KIND_MARKERS, MUTED, list_axis, new_axes, styled

_MARKERS = ("o", "s", "^", "v", "P", "X", "p", "h", "d", "*")
_BASELINE = "baseline"
_ROW = 0.19  # inches a model


@styled
def bars_with_baseline(
    table: pd.DataFrame,
    *,
    baselines: tuple[str, ...] = ("pca",),
    colours: Mapping[str, str] | None = None,
    label: str = "Score",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Point and interval of each model, the models of one metric below one another, with the numbers at the side.

    The axis reaches from 0 to 1, so that a small difference looks small, unless a value lies outside. Metrics and
    models stand in the order of the table.

    Parameters
    ----------
    table
        Columns ``metric``, ``model`` and ``value``, and where known ``low`` and ``high``. Models without a value of a
        metric have a dash there.
    baselines
        Models (by name, whatever the case) that are grey diamonds.
    colours
        Colour of each model.

    Raises
    ------
    DataError
        If a column is missing, no value is finite, a model stands twice in a metric, a low end lies above its high
        end, or there are more than 10 models.
    """
    rows = _checked(table)
    metrics, models = list(dict.fromkeys(rows["metric"])), list(dict.fromkeys(rows["model"]))
    looks = _looks(models, {name.casefold() for name in baselines}, colours or {})
    height = 0.75 + len(metrics) * (_ROW * len(models) + 0.13)
    ax = new_axes(5.2, max(height, 1.5)) if ax is None else ax
    lows, highs = _draw(ax, rows, metrics, models, looks)
    list_axis(ax, shortened_apart(metrics, 30))
    for edge in range(1, len(metrics)):
        ax.axhline(edge - 0.5, color="#d5dae0", linewidth=0.7, zorder=1)
    ax.set(xlim=_window(lows, highs), xlabel=label, ylim=(len(metrics) - 0.5, -0.5), title=title)
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=5.5, linewidth=1.8, label=name)
        for name, (colour, marker) in zip(shortened_apart(models, 24), looks.values(), strict=True)
    ]
    if title:
        ax.set_title(title, pad=24)
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=min(len(models), 4),
              borderaxespad=0.3)  # fmt: skip
    return ax


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    rows = score_rows(table, ("value", "low", "high"))
    turned = rows[rows["low"] > rows["high"]]
    if len(turned):
        first = turned.iloc[0]
        message = f"{first['model']!r} has an interval of {first['metric']!r} from {first['low']} to {first['high']}"
        raise InvalidValues(message)
    refuse_many_models(rows)
    return rows


def _looks(models: list[str], baselines: set[str], colours: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each model."""
    looks, i = dict[str, tuple[str, str]](), 0
    for name in models:
        if name.casefold() in baselines:
            looks[name] = (colours.get(name, KIND_COLOURS[_BASELINE]), KIND_MARKERS[_BASELINE])
        else:
            looks[name] = (colours.get(name, PALETTE[i]), _MARKERS[i])
            i += 1
    return looks


def _draw(
    ax: Axes, rows: pd.DataFrame, metrics: list[str], models: list[str], looks: Mapping[str, tuple[str, str]]
) -> tuple[float, float]:
    """Lowest and highest number drawn."""
    numbers = rows[["value", "low", "high"]].to_numpy(np.float64)
    by_pair = dict(zip(zip(rows["metric"], rows["model"], strict=True), numbers.tolist(), strict=True))
    ends: list[float] = []
    for i, metric in enumerate(metrics):
        for j, model in enumerate(models):
            y = i + 0.8 * ((j + 0.5) / len(models) - 0.5)
            colour, marker = looks[model]
            value, low, high = by_pair.get((metric, model), (np.nan, np.nan, np.nan))
            known = np.isfinite(value)
            if known and np.isfinite(low) and np.isfinite(high):
                ax.plot([low, high], [y, y], color=colour, linewidth=1.8, zorder=2, gid=f"interval-{i}-{j}")
                ends += [low, high]
            if known:
                ax.plot([value], [y], marker=marker, color=colour, markersize=5.5, zorder=3, linestyle="none",
                        markeredgecolor="white", markeredgewidth=0.5, gid=f"score-{i}-{j}")  # fmt: skip
                ends.append(value)
            text = f"{value:.3f}".replace("-", "−") if known else "–"
            ax.text(1.02, y, text, transform=ax.get_yaxis_transform(), va="center", fontsize=7.5, color=MUTED,
                    gid=f"number-{i}-{j}")  # fmt: skip
    return min(ends), max(ends)


def _window(low: float, high: float) -> tuple[float, float]:
    """0 to 1 with a margin, or as far as the values go."""
    low, high = min(low, 0.0), max(high, 1.0)
    margin = 0.025 * (high - low)
    return low - margin, high + margin
