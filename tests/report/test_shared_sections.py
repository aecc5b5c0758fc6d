"""Sections about classes and residuals that several jobs share."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from cellixir.metrics import classification as metrics
from cellixir.report.classes import Told, Wording, calibration_section, confusion_section, curves_section, f1_note
from cellixir.report.page import Report
from cellixir.report.residuals import observed_section, residuals_section

ROWS = Wording("'high'", "rows of 'high'", "other rows", "rows")


def titles(page: Report) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page.render())


@pytest.fixture
def told() -> dict[str, Told]:
    rng = np.random.default_rng(0)
    labels = (rng.random(200) < 0.3).astype(float)
    p = np.clip(0.3 + 0.2 * labels + 0.1 * rng.normal(size=200), 0, 1)
    return {
        "forest": Told(labels, p, 0.876, 0.543, "tree"),
        "mean": Told(labels, np.full(200, 0.3), 0.5, kind="baseline"),
    }


def test_curves_and_calibration_in_the_words_of_the_page(told: dict[str, Told]) -> None:
    page = Report("Classes")
    curves_section(page, told, ROWS, text="Two models.")
    calibration_section(page, told, ROWS)
    html = page.render().replace("&#39;", "'")
    assert titles(page) == ["How well the classes are told apart", "Calibration"]
    for words in ("Other rows called 'high'", "Rows of 'high' called 'high'", "Recall: rows of 'high' that are found",
                  "Predicted probability of 'high'", "Share that is 'high'", "The bins of forest"):  # fmt: skip
        assert words in html, words
    assert "forest, 0.876" in html
    assert "forest, 0.543" in html


def test_no_curve_where_a_class_has_no_row(told: dict[str, Told]) -> None:
    page = Report("Classes")
    curves_section(page, {"forest": Told(np.zeros(200), told["forest"].p)}, ROWS, text="")
    assert titles(page) == []
    curves_section(page, told, Wording(), text="", precision=False)
    assert "sensitive pairs that are found" not in page.render()


def test_a_confusion_matrix_of_many_classes_is_not_drawn(told: dict[str, Told]) -> None:
    counts = metrics.confusion_matrix(told["forest"].labels, told["forest"].p)
    page = Report("Classes")
    confusion_section(page, counts, ["resistant", "sensitive"], "forest.")
    for count in counts.ravel():
        assert f">{count:,}</text>" in page.render()
    many = Report("Classes")
    confusion_section(many, np.eye(13), [f"class {i}" for i in range(13)], "forest.")
    assert "<svg" not in many.render()


def test_what_f1_means_is_said_of_pairs_and_of_rows() -> None:
    text = f1_note(np.array([1.0, 0, 0, 0]), np.array([0.4, 0.3, 0.2, 0.1]), ROWS)
    assert text.startswith("F1 at 0.5 is 0.000. Calling every row 'high' gives 0.400, and the largest F1")
    assert "is 1.000, at 0.400" in text


@pytest.mark.parametrize("n_groups", [0, 3, 14])
def test_observed_and_residuals(n_groups: int) -> None:
    y = pd.Series(np.arange(60.0), index=np.arange(60) + 7)
    groups = pd.Series([f"group {i % n_groups}" for i in range(60)], index=y.index) if n_groups else None
    page = Report("Numbers")
    observed_section(page, y, y + 1, label="response (ln µM)", caption="Every pair.")
    residuals_section(page, y, y + 1, label="response (ln µM)", model="ridge", groups=groups, what="tissues", pair=True)
    assert titles(page) == ["Observed versus predicted", "Residuals"]
    html = page.render()
    assert "Predicted response (ln µM)" in html
    assert ("Residuals of the largest tissues" in html) is bool(n_groups)
    if n_groups == 3:
        assert "group 2 · 20" in html
