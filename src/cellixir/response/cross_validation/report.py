"""Page of a response benchmark: which model predicts best, by how much, and where it fails."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cellixir.figures.leaderboard import score_histogram
from cellixir.figures.missing import missing_map
from cellixir.figures.regression import extremes
from cellixir.figures.style import KIND_COLOURS
from cellixir.metrics.catalogue import heading_of
from cellixir.metrics.words import spelled
from cellixir.report.page import Report
from cellixir.report.residuals import observed_section, residuals_section
from cellixir.report.sections import (
    facts_section,
    failures_section,
    headline_section,
    key_numbers,
    leaderboard_section,
    learning_section,
)
from cellixir.response.cross_validation.class_report import class_sections
from cellixir.response.cross_validation.classes import BANDED, PLAIN
from cellixir.response.cross_validation.coverage_report import write_coverage
from cellixir.response.cross_validation.summary import BenchmarkSummary, drug_scores

#: What each split holds out, and the question that it answers.
SPLITS = {
    "LPO": (
        "pairs",
        "How would a gap in this screen be filled? The cell line and the drug of a test pair were both seen "
        "in training, with other partners.",
    ),
    "LCO": (
        "cell lines",
        "How will a new tumour respond to known drugs? Test cell lines were not seen in training.",
    ),
    "LDO": (
        "drugs",
        "What will a new drug do to known cell lines? Test drugs were not seen in training.",
    ),
    "LTO": (
        "tissues",
        "Does what was learned carry over to a new tissue? No line of a test tissue was seen in training.",
    ),
}
#: Metrics that are drawn, with what the caption adds.
FORESTS = {
    "rmse": "",
    "normalised_pearson": "The naive mean-effects prediction, which a model must hold, is taken off both sides.",
}
CLASS_FORESTS = {"auroc": "Over all pairs of a fold.", "per_drug_auroc": "Within each drug, then averaged."}


def benchmark_page(summary: BenchmarkSummary) -> Report:
    """The page of a benchmark of numbers or of classes."""
    held_out, best = SPLITS.get(summary.split, (summary.split, ""))[0], summary.pairs(summary.board.best)
    models, folds = len(summary.board.table), len(summary.fold_sizes)
    title, told = "Drug response", f"predict {summary.label} of {held_out} left out of training"
    if summary.rule:
        title, told = "Sensitive or resistant", f"tell sensitive from resistant under {summary.split}"
    page = Report(f"{title}: {summary.source}", f"{models} models {told}, over {folds} folds.")
    _headline(page, summary, best)
    _leaderboard(page, summary, held_out)
    failures_section(page, summary.failures)
    _split(page, summary)
    learning_section(page, summary.histories, order=list(summary.board.ranked["model"]))
    if summary.rule:
        class_sections(page, summary)
    elif len(best) >= 2:
        _regression(page, summary, best)
    if len(summary.coverage):
        write_coverage(page, summary)
    if len(best) >= 2:
        _missing(page, summary, best)
    if summary.facts:
        facts_section(page, summary.facts, command=summary.command)
    return page


def _headline(page: Report, summary: BenchmarkSummary, best: pd.DataFrame) -> None:
    board, notes = summary.board, list(summary.notes)
    metrics = BANDED if summary.rule else ("rmse", "r2", "normalised_pearson", "per_drug_pearson")
    numbers = key_numbers(board, metrics) | ({"Test pairs": f"{len(best):,}"} if len(best) else {})
    if summary.rule:
        numbers["Sensitive"] = f"{best['observed'].mean():.1%}"
    if not summary.predictions.empty:
        lost = int((summary.predictions["model"] == board.best).sum()) - len(best)
        notes += [f"{lost:,} predictions of {board.best} are not finite and stand in no figure."] if lost else []
    labels = f"Labels: {summary.rule}." if summary.rule else ""
    headline_section(page, board.headline(), numbers=numbers, text=labels, notes=notes)


def _leaderboard(page: Report, summary: BenchmarkSummary, held_out: str) -> None:
    if summary.rule:
        leaderboard_section(
            page, summary.board, forests=CLASS_FORESTS, shown=(*BANDED, "auroc_gain"), more=(*PLAIN, "seconds"),
            unit=held_out, folds=summary.folds,
        )  # fmt: skip
    else:
        leaderboard_section(page, summary.board, forests=FORESTS, unit=held_out, folds=summary.folds)


def _split(page: Report, summary: BenchmarkSummary) -> None:
    page.section("How it was split")
    table = pd.DataFrame(
        [(name, held_out, question) for name, (held_out, question) in SPLITS.items()],
        columns=["Split", "Held out", "The question it answers"],
        index=list(SPLITS),
    )
    page.table(table, f"The four splits; this page shows {summary.split}.", highlight=[summary.split])
    if len(summary.fold_sizes):
        page.table(summary.fold_sizes.rename(columns=heading_of), "Pairs of each fold.")


def _regression(page: Report, summary: BenchmarkSummary, best: pd.DataFrame) -> None:
    model, drugs = summary.board.best, drug_scores(best)
    observed_section(
        page, best["observed"], best["predicted"], label=summary.label,
        caption=f"Every test pair of {model}, each from the fold that left it out. Most of the spread is between "
        "drugs, so a high R² here says little about one drug.",
    )  # fmt: skip
    tissue = None
    if "tissue" in summary.samples and summary.samples["tissue"].notna().any():
        names = summary.samples["tissue"].map(lambda name: str(name).replace("_", " "), na_action="ignore")
        tissue = best["sample"].map(names)
    residuals_section(
        page, best["observed"], best["predicted"], label=summary.label, model=model,
        groups=tissue, what="tissues", rows="pairs", pair=True,
    )  # fmt: skip
    if drugs["normalised_rmse"].notna().any():
        _drug_extremes(page, summary, drugs)
    _per_drug(page, summary, drugs)


def _drug_extremes(page: Report, summary: BenchmarkSummary, drugs: pd.DataFrame) -> None:
    scores = drugs.set_axis(_drug_labels(drugs.index, summary.drugs), axis=0)
    notes = scores["pearson"].map(lambda r: f"r {spelled(r)}" if np.isfinite(r) else "")
    shown = "The 15 drugs predicted best and, below the line, the 15 predicted worst."
    shown = shown if scores["normalised_rmse"].notna().sum() > 30 else "Every drug, predicted best first."
    page.figure(
        extremes(scores["normalised_rmse"], notes=notes, label="RMSE / standard deviation of the drug"),
        f"{shown} At 1 a prediction is as good as the drug's own mean; r is Pearson within folds.",
        pair=True,
    )


def _drug_labels(ids: pd.Index, drugs: pd.DataFrame) -> list[str]:
    """Names of drugs, with the id where two share a name or one has none."""
    if "name" not in drugs:
        return [str(drug) for drug in ids]
    names = drugs["name"].reindex(ids)
    twice = names.duplicated(keep=False).to_numpy()
    pairs = zip(ids, names, twice, strict=True)
    return [str(i) if pd.isna(name) else f"{name} ({i})" if both else str(name) for i, name, both in pairs]


def _per_drug(page: Report, summary: BenchmarkSummary, drugs: pd.DataFrame) -> None:
    page.section("Per-drug performance")
    scores, colours = {}, {}
    for model, kind in summary.board.chosen.items():
        own = drugs if model == summary.board.best else drug_scores(summary.pairs(model))
        scores[model], colours[model] = own["pearson"].to_numpy(), KIND_COLOURS.get(kind, "")
    if any(np.isfinite(values).any() for values in scores.values()):
        constant = [model for model, values in scores.items() if not np.isfinite(values).any()]
        caption = "Pearson's correlation within each drug and fold, averaged over folds; dashed lines are medians."
        if constant:
            caption += f" {' and '.join(constant)}: the same value for every sample, so no correlation."
        page.figure(score_histogram(scores, colours=colours, label="Per-drug Pearson"), caption)
    columns = [c for c in ("name", "pathway") if c in summary.drugs]
    table = summary.drugs[columns].reindex(drugs.index).join(drugs).sort_values("normalised_rmse").reset_index()
    page.table(table.rename(columns=heading_of), f"Every drug, {summary.board.best}", collapsed=True)


def _missing(page: Report, summary: BenchmarkSummary, pairs: pd.DataFrame) -> None:
    samples, drugs = summary.samples.index, summary.drugs.index
    grid = np.zeros((len(samples), len(drugs)), dtype=bool)
    rows, columns = (index.get_indexer(pd.Index(pairs[key])) for index, key in ((samples, "sample"), (drugs, "drug")))
    known = (rows >= 0) & (columns >= 0)
    grid[rows[known], columns[known]] = True
    if grid.any():
        page.section("Missing values").figure(
            missing_map(grid),
            "Dark: the pair was measured and tested. Light: no measurement.",
            "Map of measured pairs",
        )
