"""Sections of a page about classes: curves, calibration, the confusion matrix, and what F1 means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellixir.figures import classification as figures
from cellixir.figures.style import KIND_COLOURS, KIND_MARKERS
from cellixir.metrics import classification as metrics

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from cellixir.report.page import Report

#: Above this many classes a confusion matrix is not drawn.
MOST_CLASSES = 12


@dataclass(frozen=True)
class Wording:
    """What is told apart, in the words of one page.

    Attributes
    ----------
    what
        The class that is called, as it stands after "called" and "that is".
    those, others
        Its rows and all other rows.
    rows
        What a row is, in the plural.
    """

    what: str = "sensitive"
    those: str = "sensitive pairs"
    others: str = "resistant pairs"
    rows: str = "pairs"


@dataclass(frozen=True)
class Told:
    """Labels (0 or 1) and probabilities of one curve, of length ``n``, with its areas and its kind of model."""

    labels: ArrayLike
    p: ArrayLike
    auroc: float = float("nan")
    auprc: float = float("nan")
    kind: str = ""


def curves_section(
    page: Report, told: Mapping[str, Told], words: Wording, *, text: str, precision: bool = True
) -> None:
    """ROC and precision-recall curves; nothing where no curve has both classes.

    Parameters
    ----------
    told
        By the name of the curve, the first drawn on top.
    text
        Whose curves these are, and what the areas are over.
    precision
        Draw precision against recall, which means something where all curves are of one class.
    """
    roc = {name: metrics.roc_points(of.labels, of.p) for name, of in told.items()}
    if not any(len(curve) for curve in roc.values()):
        return
    colours = _colours(told)
    page.section("How well the classes are told apart", text)
    axes = figures.roc_curve(roc, areas={name: of.auroc for name, of in told.items()}, colours=colours)
    axes.set(xlabel=f"{_first(words.others)} called {words.what}", ylabel=f"{_first(words.those)} called {words.what}")
    page.figure(axes, "ROC curve. On the dashed line a score says nothing.", pair=True)
    if not precision:
        return
    # one line of prevalence is true of all curves, as all are of the same rows
    curves = {name: metrics.pr_points(of.labels, of.p) for name, of in told.items()}
    share = float(np.mean(np.asarray(next(iter(told.values())).labels, dtype=np.float64)))
    areas = {name: of.auprc for name, of in told.items()}
    axes = figures.pr_curve(curves, prevalence=share, areas=areas, colours=colours)
    axes.set(xlabel=f"Recall: {words.those} that are found")
    caption = f"Precision against recall. Dashed: the share that is {words.what}, {share:.1%}, which a guess reaches."
    page.figure(axes, caption, pair=True)


def calibration_section(page: Report, told: Mapping[str, Told], words: Wording) -> None:
    """Calibration curves, and the bins of the first."""
    bins = {name: metrics.calibration_curve(of.labels, of.p) for name, of in told.items()}
    markers = {name: KIND_MARKERS.get(of.kind, "o") for name, of in told.items()}
    axes = figures.calibration_curve(bins, colours=_colours(told), markers=markers)
    axes.set(xlabel=f"Predicted probability of {words.what}", ylabel=f"Share that is {words.what}")
    page.section("Calibration").figure(
        axes,
        f"Tenths of the test {words.rows} by predicted probability; on the dashed line a probability means what it "
        f"says, below it promises too much. Bars are Wilson's 95% intervals, which take {words.rows} as independent: "
        "they are too short.",
    )
    first = next(iter(bins))
    heads = {"predicted": "Predicted", "observed": f"Share {words.what}", "low": "Low", "high": "High"}
    page.table(bins[first].rename(columns=heads | {"n": _first(words.rows)}), f"The bins of {first}", collapsed=True)


def confusion_section(page: Report, counts: ArrayLike, classes: Sequence[str], caption: str) -> None:
    """The confusion matrix, drawn where there are not too many classes.

    Parameters
    ----------
    counts
        Rows observed, columns called, shape ``(n_classes, n_classes)``.
    caption
        Whose calls these are, and what a call is.
    """
    page.section("Confusion matrix")
    if len(classes) <= MOST_CLASSES:
        axes = figures.confusion_matrix(counts, classes=classes)
        page.figure(axes, f"{caption} Percent are of the row.")


def f1_note(labels: ArrayLike, p: ArrayLike, words: Wording | None = None) -> str:
    """What F1 at 0.5 means beside the largest F1 that another threshold would have given.

    >>> f1_note([0, 0], [0.1, 0.2])
    'No test pair is sensitive, so there is no F1.'
    """
    words = words or Wording()
    at_half, (largest, threshold) = metrics.f1(labels, p), metrics.best_f1(labels, p)
    row = words.rows.removesuffix("s")
    if not np.isfinite(largest):
        return f"No test {row} is {words.what}, so there is no F1."
    share = float(np.mean(np.asarray(labels, dtype=np.float64)))
    return (
        f"F1 at 0.5 is {at_half:.3f}. Calling every {row} {words.what} gives {2 * share / (1 + share):.3f}, and the "
        f"largest F1 of any threshold is {largest:.3f}, at {threshold:.3f}. That threshold was looked up on the test "
        f"{words.rows}, so its F1 is a bound and not a result. Where few {words.rows} are {words.what} an honest "
        f"probability seldom reaches 0.5, and F1 at 0.5 is low however well {words.rows} are ranked."
    )


def _colours(told: Mapping[str, Told]) -> dict[str, str]:
    """Colour by name of what is of a kind; the others take turns."""
    return {name: KIND_COLOURS[of.kind] for name, of in told.items() if of.kind in KIND_COLOURS}


def _first(words: str) -> str:
    return words[:1].upper() + words[1:]
