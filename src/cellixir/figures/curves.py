"""Learning curves: loss against epoch, one thin line a run, the mean in bold."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cellixir.exceptions import DataError, examples
from cellixir.figures.style import ACCENT, WARM, new_axes, styled

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
