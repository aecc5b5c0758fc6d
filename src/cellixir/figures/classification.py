"""Figures of a classification: ROC and precision-recall curves, calibration, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike, NDArray

from cellixir.exceptions import DataError, InvalidValues, examples
from cellixir.figures.style import INK, KIND_COLOURS, MUTED, SEQUENTIAL, WARM, new_axes, shortened, styled

#: Colours of curves that no kind of model gives one.
CYCLE = (*KIND_COLOURS.values(), WARM, INK)


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
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    ax = new_axes(3.9, 3.5) if ax is None else ax
    ax.imshow(share, cmap=SEQUENTIAL, vmin=0, vmax=1, gid="cells")
    for (row, column), value in np.ndenumerate(table):
        known = table[row].sum() > 0
        colour = "white" if share[row, column] > 0.45 else INK
        ax.text(column, row - 0.06, f"{int(value):,}", ha="center", va="center", fontsize=12, fontweight="bold",
                color=colour, gid=f"count-{row}-{column}")  # fmt: skip
        ax.text(column, row + 0.16, f"{share[row, column]:.1%} of row" if known else "–", ha="center", va="center",
                fontsize=8, color=colour, gid=f"percent-{row}-{column}")  # fmt: skip
    _class_axes(ax, list(classes), table.sum(axis=1))
    return ax


def _class_axes(ax: Axes, classes: list[str], totals: NDArray[np.float64]) -> None:
    at = np.arange(len(classes))
    ax.set_xticks(at, classes, color=INK)
    ax.set_yticks(at, [f"{name}\n{int(n):,}" for name, n in zip(classes, totals, strict=True)], color=INK)
    ax.set(xlabel="Called", ylabel="Observed")
    ax.tick_params(length=0, pad=6)
    ax.grid(visible=False)
    for edge in at[1:] - 0.5:
        ax.axhline(edge, color="white", linewidth=2)
        ax.axvline(edge, color="white", linewidth=2)
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
