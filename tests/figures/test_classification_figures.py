from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from cellixir.exceptions import DataError, InvalidValues
from cellixir.figures.classification import calibration_curve, confusion_matrix, pr_curve, roc_curve
from cellixir.figures.style import new_axes

ROC = pd.DataFrame({"false_positive_rate": [0, 0, 0.5, 1], "true_positive_rate": [0, 0.5, 1, 1]})
PR = pd.DataFrame({"recall": [0, 0.5, 1.0], "precision": [1.0, 1.0, 0.5]})
BINS = pd.DataFrame({"predicted": [0.1, 0.4], "observed": [0.2, 0.3], "low": [0.1, 0.2], "high": [0.3, 0.5]})


def drawn(ax: Axes, gid: str):
    found = [artist for artist in ax.get_children() if artist.get_gid() == gid]
    assert len(found) == 1, f"{len(found)} artists with gid {gid!r}"
    return found[0]


def words(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_roc_stands_over_the_diagonal_with_its_area() -> None:
    ax = roc_curve({"ridge": ROC, "flat": ROC.iloc[:0]}, areas={"ridge": 0.875}, colours={"ridge": "#ff0000"})
    np.testing.assert_array_equal(drawn(ax, "curve-ridge").get_xydata(), ROC.to_numpy())
    np.testing.assert_array_equal(drawn(ax, "chance").get_xydata(), [[0, 0], [1, 1]])
    assert drawn(ax, "curve-ridge").get_color() == "#ff0000"
    assert words(ax) == ["ridge, 0.875"]  # the curve without a point is not named
    assert ax.get_xlim() == ax.get_ylim()


def test_precision_is_a_staircase_over_the_prevalence() -> None:
    ax = pr_curve({"a": PR, "b": PR}, prevalence=0.25, areas={"a": 0.75, "b": float("nan")})
    line = drawn(ax, "curve-a")
    np.testing.assert_array_equal(line.get_xydata(), PR.to_numpy())
    assert line.get_drawstyle() == "steps-pre"
    assert drawn(ax, "prevalence").get_ydata() == [0.25, 0.25]
    assert words(ax) == ["prevalence, 0.250", "a, 0.750", "b"]


def test_the_first_curve_lies_on_top() -> None:
    ax = roc_curve({"a": ROC, "b": ROC})
    assert drawn(ax, "curve-a").get_zorder() > drawn(ax, "curve-b").get_zorder()
    assert drawn(ax, "curve-a").get_color() != drawn(ax, "curve-b").get_color()


def test_calibration_shows_bins_and_intervals_and_zooms_on_them() -> None:
    ax = calibration_curve({"ridge": BINS, "none": BINS.iloc[:0]}, markers={"ridge": "^"})
    np.testing.assert_array_equal(drawn(ax, "calibration-ridge").get_xydata(), BINS[["predicted", "observed"]])
    assert drawn(ax, "calibration-ridge").get_marker() == "^"
    bars = [path for lines in ax.collections for path in lines.get_segments()]
    np.testing.assert_allclose(bars, [[[0.1, 0.1], [0.1, 0.3]], [[0.4, 0.2], [0.4, 0.5]]])
    assert 0.5 < ax.get_xlim()[1] == ax.get_ylim()[1] < 0.6


def test_confusion_tells_counts_and_percent_of_the_row() -> None:
    ax = confusion_matrix([[1500, 500], [0, 0]])
    texts = {t.get_gid(): t.get_text() for t in ax.texts}
    assert [texts[f"count-{i}-{j}"] for i in (0, 1) for j in (0, 1)] == ["1,500", "500", "0", "0"]
    assert [texts[f"percent-0-{j}"] for j in (0, 1)] == ["75.0% of row", "25.0% of row"]
    assert texts["percent-1-0"] == "–"
    assert [t.get_text() for t in ax.get_yticklabels()] == ["resistant\n2,000", "sensitive\n0"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Called", "Observed")
    np.testing.assert_array_equal(drawn(ax, "cells").get_array(), [[0.75, 0.25], [0, 0]])


def test_many_classes_have_small_cells_and_names_that_do_not_collide() -> None:
    names = [f"CD4+/CD45RA+ T cell of type {'long ' * 3}{i}" for i in range(15)]
    counts = 99 * np.eye(15) + np.eye(15, k=1)
    counts[3] = 0
    counts[5, 0] = 1000
    ax = confusion_matrix(counts, classes=names)
    texts = {t.get_gid(): t.get_text() for t in ax.texts}
    assert texts["percent-0-0"] == "99"
    assert texts["percent-5-5"] == "9"
    assert texts["percent-5-6"] == "<1"
    assert "percent-0-2" not in texts  # nothing is written for 0
    assert not [gid for gid in texts if gid.startswith("percent-3-")]
    assert not [gid for gid in texts if gid.startswith("count-")]
    rows = [t.get_text() for t in ax.get_yticklabels()]
    assert rows[0].endswith("(100)")
    assert len(set(rows)) == 15
    ax.get_figure(root=True).draw_without_rendering()
    boxes = [t.get_window_extent() for t in ax.get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))
    assert {t.get_rotation() for t in ax.get_xticklabels()} == {45.0}
    assert ax.get_xlabel() == "Called (percent of the row)"


def test_few_classes_keep_their_counts() -> None:
    ax = confusion_matrix(np.diag([5, 6, 7]), classes=["B", "T", "$NK_x$"])
    texts = {t.get_gid(): t.get_text() for t in ax.texts}
    assert texts["count-2-2"] == "7"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["B", "T", "$NK_x$"]
    assert {t.get_rotation() for t in ax.get_xticklabels()} == {0.0}


def test_figures_draw_on_given_axes() -> None:
    for draw in (
        lambda ax: roc_curve({"a": ROC}, ax=ax),
        lambda ax: pr_curve({"a": PR}, prevalence=0.5, ax=ax),
        lambda ax: calibration_curve({"a": BINS}, ax=ax),
        lambda ax: confusion_matrix(np.eye(2), ax=ax),
    ):
        ax = new_axes()
        assert draw(ax) is ax


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda: roc_curve({}), "no curve of none"),
        (lambda: roc_curve({"a": ROC.iloc[:0]}), "no curve of 'a' has a point"),
        (lambda: pr_curve({"a": ROC}, prevalence=0.5), "'a' has no column 'recall', 'precision'"),
        (lambda: calibration_curve({"a": BINS.drop(columns="low")}), "no column 'low'"),
    ],
)
def test_curves_that_cannot_be_drawn_are_refused(draw, said: str) -> None:
    with pytest.raises(DataError, match=said):
        draw()


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([[1, 2, 3]], "2 classes need"),
        ([[0, 0], [0, 0]], "not all 0"),
        ([[1, -1], [0, 0]], "not negative"),
        ([[1, np.nan], [0, 0]], "finite"),
    ],
)
def test_counts_that_are_none_are_refused(counts: list[list[float]], said: str) -> None:
    with pytest.raises(InvalidValues, match=said):
        confusion_matrix(counts)
