"""Sections of the page about sensitive and resistant pairs: curves, calibration, calls and single drugs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellixir.figures.leaderboard import score_histogram
from cellixir.figures.style import KIND_COLOURS
from cellixir.metrics import classification as metrics
from cellixir.metrics.catalogue import heading_of
from cellixir.report.classes import Told, Wording, calibration_section, confusion_section, curves_section, f1_note
from cellixir.response.cross_validation.classes import drug_auroc

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from cellixir.report.page import Report
    from cellixir.response.cross_validation.summary import BenchmarkSummary

CLASSES = ("resistant", "sensitive")


def class_sections(page: Report, summary: BenchmarkSummary) -> None:
    """Add curves, calibration, confusion matrix and drugs to a page; the best model of each kind is shown."""
    board, words = summary.board, Wording()
    pairs = {model: summary.pairs(model) for model in board.chosen}
    best = board.best
    told = {
        model: Told(
            rows["observed"], rows["predicted"],
            board.numbers(model)["auroc"], board.numbers(model).get("auprc", np.nan), board.chosen[model],
        )
        for model, rows in pairs.items()
    }  # fmt: skip
    curves_section(
        page,
        told,
        words,
        text="The best model of each kind, over the test pairs of all folds at once. Areas in the legends are those of "
        "the leaderboard, within folds: a curve that leaves the dashed line beside an area of 0.5 only shows base "
        "rates that differ between folds.",
    )
    calibration_section(page, told, words)
    counts = metrics.confusion_matrix(told[best].labels, told[best].p)
    called = f"{best}: a pair is called sensitive when its probability is at least 0.5."
    confusion_section(page, counts, CLASSES, called)
    page.text(f1_note(told[best].labels, told[best].p))
    _drugs(page, summary, pairs)


def _drugs(page: Report, summary: BenchmarkSummary, pairs: Mapping[str, pd.DataFrame]) -> None:
    scores = {model: drug_auroc(rows) for model, rows in pairs.items()}
    flat = [model for model, table in scores.items() if not table["auroc"].dropna().ne(0.5).any()]
    drawn = {model: table["auroc"].to_numpy() for model, table in scores.items() if model not in flat}
    best = summary.board.best
    page.section("Per-drug performance")
    if drawn:
        colours = {model: KIND_COLOURS.get(summary.board.chosen[model], "") for model in drawn}
        undefined = int(scores[best]["auroc"].isna().sum())
        caption = "AUROC within each drug and fold; dashed lines are medians."
        caption += f" Drugs with both classes in no fold, left out: {undefined:,}." if undefined else ""
        caption += f" {' and '.join(flat)}: one probability for every sample of a drug, so 0.5." if flat else ""
        page.figure(score_histogram(drawn, colours=colours, label="Per-drug AUROC"), caption)
    columns = [c for c in ("name", "pathway") if c in summary.drugs]
    table = summary.drugs[columns].reindex(scores[best].index).join(scores[best])
    table = table.sort_values("auroc", ascending=False, kind="stable").reset_index(names="drug")
    page.table(table.rename(columns=heading_of), f"Every drug, {best}", collapsed=True)
