"""Figures of a classification: ROC and precision-recall curves, calibration, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike, NDArray

from cellixir.exceptions import DataError, InvalidValues, examples
from cellixir.figures.names import shortened_apart
from cellixir.figures.style import INK, KIND_COLOURS, MUTED, SEQUENTIAL, WARM, new_axes, shortened, styled

#: Colours of curves that no kind of model gives one.
CYCLE = (*KIND_COLOURS.values(), WARM, INK)
_ROOMY = 0.7  # inches of a cell that holds two lines
_LETTER = 0.067  # inches of a letter of a name


@styled
def roc_curve(
    curves: Mapping[str, pd.DataFrame],
    *,
    areas: Mapping[str, float] | None = None,
    colours: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Square panel of ROC curves, one a model, over the diagonal of a score that says nothing.

    Parameters
    ----------
    curves
        A name and the columns ``false_positive_rate`` and ``true_positive_rate``, the first drawn on top; curves
        without a row are left out.
    areas
        AUROC of each name, for the legend.
    colours
        Colour of each name.

    Raises
    ------
    DataError
        If a column is missing or no curve has a row.
    """
    ax = new_axes(4.7, 4.5) if ax is None else ax
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, dashes=(3, 2), gid="chance")
    _curves(ax, curves, ("false_positive_rate", "true_positive_rate"), areas, colours)
    ax.set(xlabel="Resistant pairs called sensitive", ylabel="Sensitive pairs called sensitive")
    return _unit_square(ax, "lower right")


@styled
def pr_curve(
    curves: Mapping[str, pd.DataFrame],
    *,
    prevalence: float,
    areas: Mapping[str, float] | None = None,
    colours: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Square panel of precision against recall, over the line of the prevalence, which no score falls below for long.

    Parameters
    ----------
    curves
        A name and the columns ``recall`` (rising) and ``precision``; curves without a row are left out.
    prevalence
        Share of sensitive pairs: the precision of a score that says nothing.
    areas, colours
        Average precision of each name, for the legend, and its colour.

    Raises
    ------
    DataError
        If a column is missing or no curve has a row.
    """
    ax = new_axes(4.7, 4.5) if ax is None else ax
    ax.axhline(prevalence, color=MUTED, linewidth=0.9, dashes=(3, 2), gid="prevalence",
               label=f"prevalence, {prevalence:.3f}")  # fmt: skip
    _curves(ax, curves, ("recall", "precision"), areas, colours, steps=True)
    ax.set(xlabel="Recall: sensitive pairs that are found", ylabel="Precision: calls that are right")
    return _unit_square(ax, "upper right" if prevalence < 0.35 else "lower left")


@styled
def calibration_curve(
    tables: Mapping[str, pd.DataFrame],
    *,
    colours: Mapping[str, str] | None = None,
    markers: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Square panel of the share of sensitive pairs against the predicted probability, with intervals.

    Parameters
    ----------
    tables
        A name and its bins: columns ``predicted``, ``observed``, ``low`` and ``high``. Tables without a row are left
        out.
    colours, markers
        Colour and marker of each name.

    Raises
    ------
    DataError
        If a column is missing or no table has a row.
    """
    shown = _filled(tables, ("predicted", "observed", "low", "high"))
    ax = new_axes(4.7, 4.5) if ax is None else ax
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, dashes=(3, 2), gid="identity")
    for i, (name, table) in enumerate(shown.items()):
        colour = (colours or {}).get(name, CYCLE[i % len(CYCLE)])
        marker = (markers or {}).get(name, "o")
        ax.vlines(table["predicted"], table["low"], table["high"], color=colour, linewidth=1.6, zorder=3 - 0.01 * i)
        ax.plot(table["predicted"], table["observed"], color=colour, marker=marker, markersize=4.5, linewidth=1.0,
                label=shortened(name), zorder=3 - 0.01 * i, gid=f"calibration-{name}")  # fmt: skip
    top = max(float(table[["predicted", "high"]].to_numpy().max()) for table in shown.values())
    ax.set(xlabel="Predicted probability of sensitive", ylabel="Share that is sensitive")
    return _unit_square(ax, "upper left", top=min(1.0, 1.08 * top))


@styled
def confusion_matrix(
    counts: ArrayLike, *, classes: Sequence[str] = ("resistant", "sensitive"), ax: Axes | None = None
) -> Axes:
    """Square table of counts, rows observed and columns called, shaded by the percent of the row.

    Where a cell is too small for its count, as with more than five classes, its percent alone is written, and nothing
    for 0; the counts of the rows stand beside their names.

    Parameters
    ----------
    counts
        Whole numbers, shape ``(n_classes, n_classes)``. A row without any is shown as zeros without percent.

    Raises
    ------
    InvalidValues
        If the shape is not that of the classes, a count is negative or not finite, or all are 0.
    """
    table = _checked_counts(counts, len(classes))
    names = shortened_apart(classes, 28)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    ax = _square_axes(names) if ax is None else ax
    cell = ax.get_window_extent().width / cast(Figure, ax.get_figure(root=True)).dpi / len(names)
    ax.imshow(share, cmap=SEQUENTIAL, vmin=0, vmax=1, gid="cells")
    write = _write_both if cell >= _ROOMY else _write_percent
    for (row, column), value in np.ndenumerate(table):
        colour = "white" if share[row, column] > 0.45 else INK
        write(ax, row, column, value, share[row, column] if table[row].sum() > 0 else np.nan, colour)
    _class_axes(ax, names, table.sum(axis=1), cell)
    return ax


def _square_axes(names: list[str]) -> Axes:
    """Axes with room for the names of the classes and, for up to five of them, for two lines of text in a cell."""
    if len(names) <= 2:
        return new_axes(3.9, 3.5)
    side = (1.0 if len(names) <= 5 else 0.36) * len(names)
    margin = 0.9 + 0.07 * max(len(name) for name in names)
    return new_axes(side + margin + 0.4, side + 0.7 * margin + 0.2)


def _write_both(ax: Axes, row: int, column: int, count: float, share: float, colour: str) -> None:
    ax.text(column, row - 0.06, f"{int(count):,}", ha="center", va="center", fontsize=12, fontweight="bold",
            color=colour, gid=f"count-{row}-{column}")  # fmt: skip
    ax.text(column, row + 0.16, f"{share:.1%} of row" if np.isfinite(share) else "–", ha="center", va="center",
            fontsize=8, color=colour, gid=f"percent-{row}-{column}")  # fmt: skip


def _write_percent(ax: Axes, row: int, column: int, count: float, share: float, colour: str) -> None:
    """Percent without decimals and nothing for 0, where cells are small."""
    if count > 0:
        text = f"{100 * share:.0f}" if share >= 0.005 else "<1"
        ax.text(column, row, text, ha="center", va="center", fontsize=7, color=colour,
                gid=f"percent-{row}-{column}")  # fmt: skip


def _class_axes(ax: Axes, classes: list[str], totals: NDArray[np.float64], cell: float) -> None:
    at, roomy = np.arange(len(classes)), cell >= _ROOMY
    ax.set_xticks(at, classes, color=INK)
    if max(len(name) for name in classes) * _LETTER > cell:
        for tick in ax.get_xticklabels():
            tick.set(rotation=45, ha="right", va="top", rotation_mode="anchor")
    rows = [f"{name}\n{int(n):,}" if roomy else f"{name} ({int(n):,})" for name, n in zip(classes, totals, strict=True)]
    ax.set_yticks(at, rows, color=INK)
    ax.set(xlabel="Called" if roomy else "Called (percent of the row)", ylabel="Observed")
    ax.tick_params(length=0, pad=6 if roomy else 4)
    ax.grid(visible=False)
    for edge in at[1:] - 0.5:
        ax.axhline(edge, color="white", linewidth=2 if roomy else 1)
        ax.axvline(edge, color="white", linewidth=2 if roomy else 1)
    ax.spines[:].set_visible(False)


def _checked_counts(counts: ArrayLike, n_classes: int) -> NDArray[np.float64]:
    table = np.asarray(counts, dtype=np.float64)
    if table.shape != (n_classes, n_classes):
        message = f"counts have the shape {table.shape}; {n_classes} classes need {(n_classes, n_classes)}"
        raise InvalidValues(message)
    if not np.isfinite(table).all() or (table < 0).any() or table.sum() == 0:
        message = f"counts must be finite, not negative and not all 0, not {table.tolist()}; leave the figure out"
        raise InvalidValues(message)
    return table


def _curves(
    ax: Axes,
    curves: Mapping[str, pd.DataFrame],
    columns: tuple[str, str],
    areas: Mapping[str, float] | None,
    colours: Mapping[str, str] | None,
    *,
    steps: bool = False,
) -> None:
    for i, (name, curve) in enumerate(_filled(curves, columns).items()):
        area = float("nan") if areas is None else areas.get(name, float("nan"))
        label = shortened(name) + (f", {area:.3f}" if np.isfinite(area) else "")
        ax.plot(curve[columns[0]], curve[columns[1]], color=(colours or {}).get(name, CYCLE[i % len(CYCLE)]),
                drawstyle="steps-pre" if steps else "default", label=label, gid=f"curve-{name}",
                zorder=3 - 0.01 * i)  # fmt: skip


def _filled(tables: Mapping[str, pd.DataFrame], columns: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Tables that have a row; each must have the columns."""
    for name, table in tables.items():
        missing = [column for column in columns if column not in table]
        if missing:
            message = f"the curve of {name!r} has no column {examples(missing)}; it has {examples(table.columns, 8)}"
            raise DataError(message)
    filled = {name: table for name, table in tables.items() if len(table)}
    if not filled:
        message = f"no curve of {examples(tables) or 'none'} has a point; leave the figure out"
        raise DataError(message)
    return filled


def _unit_square(ax: Axes, legend: str, *, top: float = 1.0) -> Axes:
    ax.set(xlim=(-0.015 * top, 1.015 * top), ylim=(-0.015 * top, 1.015 * top))
    ax.set_aspect("equal")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.legend(loc=legend)
    return ax
