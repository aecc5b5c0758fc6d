"""Sections of a page about predicted numbers: observed against predicted, and what is left over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellixir.figures.regression import observed_vs_predicted, residuals_by_group, residuals_vs_predicted
from cellixir.figures.style import new_axes

if TYPE_CHECKING:
    import pandas as pd

    from cellixir.report.page import Report

#: Groups from which the figure is as tall as a list of 30 names beside it.
MANY_GROUPS = 12


def observed_section(
    page: Report, observed: pd.Series, predicted: pd.Series, *, label: str, caption: str, pair: bool = False
) -> None:
    """Observed against predicted.

    Parameters
    ----------
    observed, predicted
        Finite numbers, shape ``(n,)``.
    label
        What is measured and its unit.
    caption
        Whose predictions these are.
    pair
        Another figure stands beside.
    """
    axes = observed_vs_predicted(observed, predicted, label=label)
    text = f"{caption} On the dashed line both agree."
    page.section("Observed versus predicted").figure(axes, text, "Observed against predicted values", pair=pair)


def residuals_section(
    page: Report,
    observed: pd.Series,
    predicted: pd.Series,
    *,
    label: str,
    model: str,
    groups: pd.Series | None = None,
    what: str = "groups",
    rows: str = "rows",
    pair: bool = False,
) -> None:
    """Residuals against the prediction, and by group where there are groups.

    Parameters
    ----------
    observed, predicted
        As in `observed_section`, with one index.
    groups
        Group of each row, missing where it has none; None draws no groups.
    what, rows
        What groups and rows are, in the plural.
    pair
        A figure follows that stands beside that of the groups.
    """
    page.section("Residuals").figure(
        residuals_vs_predicted(observed, predicted, label=label),
        f"Observed less predicted, {model}. The bold line is the running median, thin lines the quartiles: a bold "
        "line away from zero is bias, a widening gap is error that grows.",
        "Residuals against the prediction",
    )
    if groups is None or not groups.notna().any():
        return
    # as tall as a list beside it, unless the bars would become blocks
    ax = new_axes(5.0, 6.7) if pair and groups.nunique() >= MANY_GROUPS else None
    page.figure(
        residuals_by_group(observed - predicted, groups, ax=ax),
        f"Residuals of the largest {what}, with the number of {rows}: median, quartiles, 5th to 95th percentile. "
        "Below zero, what was observed is lower than predicted.",
        pair=pair,
    )
