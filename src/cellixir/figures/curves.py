"""Learning curves: loss against epoch, of the runs of one model or of several experiments."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cellixir.exceptions import DataError, examples
from cellixir.figures.groups import OTHER, PALETTE
from cellixir.figures.names import shortened_apart
from cellixir.figures.style import ACCENT, MUTED, WARM, new_axes, styled

#: Most experiments with a colour of their own.
MOST_RUNS = 12
LOSSES = {"train_loss": ("training", WARM), "validation_loss": ("validation", ACCENT)}


@styled
def learning_curves(history: pd.DataFrame, *, title: str = "", loss: str = "Loss", ax: Axes | None = None) -> Axes:
    """Training and validation loss by epoch, with a dot at each run's lowest validation loss.

    Parameters
    ----------
    history
        Columns ``epoch``, ``train_loss`` and ``validation_loss``; ``fold`` and ``member``, where present,
        tell runs apart. A loss that is NaN throughout is left out.
    title, loss
        Title of the panel and name of the loss.

    Raises
    ------
    DataError
        If a column is missing or there is no row.
    """
    _check(history)
    ax = new_axes(4.7, 3.3) if ax is None else ax
    runs = _runs(history)
    for column, (name, colour) in LOSSES.items():
        for run in runs:
            ax.plot(run["epoch"], run[column], color=colour, linewidth=0.7, alpha=0.35)
        mean = mean_curve(runs, column)
        if len(mean):
            ax.plot(mean.index, mean, color=colour, linewidth=2.2, label=name, gid=f"mean-{column}")
    stops = best_epochs(runs)
    ax.scatter(stops["epoch"], stops["validation_loss"], s=16, color=ACCENT, zorder=4, linewidths=0.6,
               edgecolors="white", label="lowest validation loss", gid="stops")  # fmt: skip
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))
    ax.set(xlabel="Epoch", ylabel=loss, title=title)
    ax.legend(loc="upper right")
    return ax


@styled
def curves_by_run(
    histories: Mapping[str, pd.DataFrame],
    *,
    title: str = "",
    loss: str = "Loss",
    colours: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Losses of several experiments by epoch, one colour each, with a dot at the lowest validation loss.

    The validation loss is a solid line, the training loss a thin dashed one. Where the first tenth of the epochs lies
    so high that nothing else would be seen, the axis ends above what follows, and the panel says so.

    Parameters
    ----------
    histories
        A name and the columns ``epoch``, ``train_loss`` and ``validation_loss`` of each experiment; folds and members
        are averaged. Of more than 12 the best are coloured and the rest is grey.
    title, loss
        Title of the panel and name of the loss.
    colours
        Colour of each name.

    Raises
    ------
    DataError
        If there is no experiment, one lacks a column or a row, or no loss is finite.
    """
    tables = _mean_histories(histories)
    ax = new_axes(6.4, 3.3) if ax is None else ax
    stops = {name: best_epochs([table]) for name, table in tables.items()}
    paint = _paint(stops, colours or {})
    for i, (name, table) in enumerate(tables.items()):
        colour = paint[name]
        order = 2.0 if colour == OTHER else 3.0
        ax.plot(table["epoch"], table["train_loss"], color=colour, linewidth=0.8, alpha=0.75, dashes=(4, 2),
                zorder=order, gid=f"train-{i}")  # fmt: skip
        ax.plot(table["epoch"], table["validation_loss"], color=colour, linewidth=1.8, zorder=order + 0.5,
                gid=f"validation-{i}")  # fmt: skip
        stop = stops[name]
        ax.scatter(stop["epoch"], stop["validation_loss"], s=22, color=colour, zorder=5, linewidths=0.7,
                   edgecolors="white", gid=f"stop-{i}")  # fmt: skip
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))
    ax.set(xlabel="Epoch", ylabel=loss, title=title)
    _window(ax, list(tables.values()))
    ax.legend(handles=_run_handles(stops, paint), loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.2)
    return ax


def mean_curve(runs: list[pd.DataFrame], column: str) -> pd.Series:
    """Mean of ``column`` by epoch over the runs, as far as at least half of them went.

    A mean over the few longest runs alone would jump where the others stop.
    """
    rows = pd.concat(runs).dropna(subset=[column]).groupby("epoch")[column]
    table = rows.agg(["mean", "size"])
    return table.loc[2 * table["size"] >= len(runs), "mean"]


def best_epochs(runs: list[pd.DataFrame]) -> pd.DataFrame:
    """Row of the lowest validation loss of each run that has one."""
    rows = [run.loc[[run["validation_loss"].idxmin()]] for run in runs if run["validation_loss"].notna().any()]
    return pd.concat(rows) if rows else runs[0].iloc[:0]


def later_range(losses: list[pd.Series]) -> tuple[float, float]:
    """Lowest loss of all, and the highest after the first tenth of the epochs of each curve."""
    later = pd.concat([curve.iloc[min(-(-len(curve) // 10), len(curve) - 1) :] for curve in losses])
    return float(min(curve.min() for curve in losses)), float(later.max())


def _window(ax: Axes, tables: list[pd.DataFrame]) -> None:
    """Limits of the loss, without the first epochs where these would press all others flat."""
    curves = [table[column].dropna() for table in tables for column in LOSSES]
    curves = [curve for curve in curves if len(curve)]
    low, later = later_range(curves)
    highest, span = max(float(curve.max()) for curve in curves), later - low
    if span <= 0 or highest - low <= 3 * span:
        return
    top = later + 0.12 * span
    ax.set_ylim(low - 0.06 * span, top)
    ax.text(0.99, 0.99, f"first epochs go up to {_figures(highest)}", transform=ax.transAxes, ha="right", va="top",
            fontsize=7.5, color=MUTED, gid="clipped")  # fmt: skip


def _mean_histories(histories: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Mean losses by epoch of each experiment; infinite ones, as of a run that diverged, are left out."""
    tables = {}
    for name, history in histories.items():
        try:
            _check(history)
        except DataError as error:
            error.add_note(f"in the experiment {name!r}")
            raise
        runs = [run.replace([np.inf, -np.inf], np.nan) for run in _runs(history)]
        means = {column: mean_curve(runs, column) for column in LOSSES}
        tables[name] = pd.DataFrame(means).rename_axis("epoch").reset_index()
    if not any(table[column].notna().any() for table in tables.values() for column in LOSSES):
        message = f"no experiment of {examples(histories) or 'none'} has a finite loss; leave the figure out"
        raise DataError(message)
    return tables


def _paint(stops: Mapping[str, pd.DataFrame], colours: Mapping[str, str]) -> dict[str, str]:
    """Colour of each experiment; grey for those that are not among the best of many."""
    lowest = pd.Series({name: stop["validation_loss"].min() for name, stop in stops.items()}, dtype=np.float64)
    named = set(lowest.sort_values(kind="stable").index[:MOST_RUNS])
    paint, i = {}, 0
    for name in stops:
        paint[name] = colours.get(name, PALETTE[i] if name in named else OTHER)
        i += name in named
    return paint


def _run_handles(stops: Mapping[str, pd.DataFrame], paint: Mapping[str, str]) -> list[Line2D]:
    shown = [name for name in stops if paint[name] != OTHER]
    handles = []
    for name, short in zip(shown, shortened_apart(shown, 36), strict=True):
        best = stops[name]
        text = (
            f"{short}: {_figures(best['validation_loss'].iloc[0])} at {best['epoch'].iloc[0]:g}" if len(best) else short
        )
        handles.append(Line2D([], [], color=paint[name], linewidth=1.8, label=text))
    if len(shown) < len(stops):
        handles.append(Line2D([], [], color=OTHER, linewidth=1.8, label=f"{len(stops) - len(shown)} others"))
    handles.append(Line2D([], [], color=MUTED, linewidth=1.8, marker="o", markersize=4.5, label="validation, lowest"))
    handles.append(Line2D([], [], color=MUTED, linewidth=0.8, dashes=(4, 2), label="training"))
    return handles


def _figures(value: float) -> str:
    """Number with four figures: 224 is 224.0."""
    return f"{value:#.4g}".removesuffix(".").replace("-", "−")


def _runs(history: pd.DataFrame) -> list[pd.DataFrame]:
    keys = [column for column in ("fold", "member") if column in history]
    ordered = history.sort_values("epoch", kind="stable").reset_index(drop=True)
    return [run for _, run in ordered.groupby(keys, dropna=False)] if keys else [ordered]


def _check(history: pd.DataFrame) -> None:
    missing = [column for column in ("epoch", *LOSSES) if column not in history]
    if missing:
        message = f"the history has no column {examples(missing)}; it has {examples(history.columns, 8)}"
        raise DataError(message)
    if history.empty:
        message = "the history has no epoch; leave the figure out, or train for one epoch or more"
        raise DataError(message)
