"""Report page of a response benchmark: who predicts best, by how much, and where it fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cellixir.figures.curves import learning_curves
from cellixir.figures.leaderboard import forest, score_histogram
from cellixir.figures.missing import missing_map
from cellixir.figures.regression import (
    extremes,
    observed_vs_predicted,
    residuals_by_group,
    residuals_vs_predicted,
)
from cellixir.figures.style import KIND_COLOURS, kinds_legend, new_axes
from cellixir.metrics.intervals import Interval
from cellixir.metrics.words import estimate, spelled
from cellixir.report.page import Report
from cellixir.response.benchmark.coverage_report import write_coverage
from cellixir.response.benchmark.summary import BenchmarkSummary, drug_scores, headline, numbers_of, test_pairs

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
HEADERS = {
    "model": "Model", "kind": "Kind", "rmse": "RMSE", "mse": "MSE", "mae": "MAE", "r2": "R²",
    "pearson": "Pearson", "spearman": "Spearman", "normalised_pearson": "Normalised Pearson",
    "per_drug_pearson": "Per-drug Pearson", "per_sample_pearson": "Per-sample Pearson",
    "seconds": "Seconds", "split": "Split", "fold": "Fold",
    "n_train": "Training pairs", "n_validation": "Validation pairs", "n_test": "Test pairs",
    "groups_test": "Groups held out", "drug": "Drug", "name": "Name", "pathway": "Pathway", "n": "Pairs",
    "normalised_rmse": "Normalised RMSE",
}  # fmt: skip
SECONDS = "{:,.1f}"


def write_response_report(path: str | Path, summary: BenchmarkSummary) -> Path:
    """Write the page of a benchmark to ``path``, whole or not at all, and return the path."""
    best = test_pairs(summary, summary.best)
    drugs = drug_scores(best) if len(best) else pd.DataFrame()
    report = Report(summary.title, _subtitle(summary))
    _headline(report, summary, drugs)
    _leaderboard(report, summary)
    _split(report, summary)
    _learning_curves(report, summary)
    if len(best) >= 2:
        _observed(report, summary, best)
        _residuals(report, summary, best, drugs)
        _per_drug(report, summary, drugs)
    if len(summary.coverage):
        write_coverage(report, summary)
    if len(best) >= 2:
        _missing(report, summary, best)
    if summary.facts:
        report.section("Data and reproducibility").facts(summary.facts)
    return report.write(path)


def _unusable(summary: BenchmarkSummary, model: str) -> int:
    if summary.predictions.empty:
        return 0
    return int((summary.predictions["model"] == model).sum()) - len(test_pairs(summary, model))


def _subtitle(summary: BenchmarkSummary) -> str:
    held_out = SPLITS.get(summary.split, (summary.split, ""))[0]
    models, folds = len(summary.overall), len(summary.fold_sizes)
    return f"{models} models predict {summary.label} of {held_out} left out of training, over {folds} folds."


def _headline(report: Report, summary: BenchmarkSummary, drugs: pd.DataFrame) -> None:
    row = numbers_of(summary, summary.best)
    numbers = {"RMSE": spelled(row["rmse"])}
    for metric in ("r2", "normalised_pearson", "per_drug_pearson"):
        if np.isfinite(row.get(metric, np.nan)):
            numbers[HEADERS[metric]] = spelled(row[metric])
    if len(drugs):
        numbers["Test pairs"] = f"{int(drugs['n'].sum()):,}"
    notes = list(summary.notes)
    if dropped := _unusable(summary, summary.best):
        notes.append(f"{dropped:,} predictions of {summary.best} are not finite and stand in no figure.")
    report.section("Headline").statement(headline(summary)).facts(numbers, large=True).notes(notes)


def _leaderboard(report: Report, summary: BenchmarkSummary) -> None:
    table, naive = summary.ranked, summary.best_of("baseline")
    kinds = kinds_legend(table["kind"])
    report.section("Leaderboard")
    if naive is not None:
        report.text(f"Dashed: the strongest naive baseline, {naive}, which a model has to beat. {kinds}")
    for metric, lower in (("rmse", True), ("normalised_pearson", False)):
        if metric in table and table[metric].notna().any():
            axes = forest(table, metric=metric, label=HEADERS[metric], lower_is_better=lower, reference=naive)
            better = "lower" if lower else "higher"
            caption = f"{HEADERS[metric]} with its {summary.level:.0%} interval; {better} is better."
            if not lower:
                caption += " The naive mean-effects prediction is subtracted from both sides first."
            report.figure(axes, caption, pair=True)
    report.table(
        _leaderboard_table(table),
        f"All folds together, with {summary.level:.0%} intervals.",
        formats=_formats(table),
        highlight=[0],
        colours={HEADERS["model"]: _dots(table)},
    )
    _paired_table(report, summary)
    if len(summary.leaderboard):
        folds = summary.leaderboard.drop(columns="split", errors="ignore").dropna(axis=1, how="all")
        report.table(folds.rename(columns=HEADERS), "Each fold", formats=_formats(folds), collapsed=True)


def _leaderboard_table(table: pd.DataFrame) -> pd.DataFrame:
    shown: dict[str, list[object]] = {}
    rows = [{str(k): v for k, v in row.items()} for row in table.dropna(axis=1, how="all").to_dict("records")]
    for column in rows[0]:
        if column == "kind":  # the dot beside the model says it
            continue
        metric = column.removesuffix("_low").removesuffix("_high")
        if metric != column and metric in rows[0]:
            continue
        banded = f"{column}_low" in rows[0]
        shown[HEADERS.get(column, column)] = [estimate(row, column) if banded else row[column] for row in rows]
    return pd.DataFrame(shown)


def _dots(table: pd.DataFrame) -> dict[str, str]:
    return {str(m): KIND_COLOURS.get(k, "") for m, k in zip(table["model"], table["kind"], strict=True)}


def _formats(table: pd.DataFrame) -> dict[str, str]:
    known = "seconds" in table and bool(table["seconds"].notna().any())
    return {HEADERS["seconds"]: SECONDS} if known else {}


def _paired_table(report: Report, summary: BenchmarkSummary) -> None:
    if summary.paired.empty:
        return
    rows = summary.paired.sort_values("rmse_difference", kind="stable")
    difference = [Interval(*map(float, r)) for r in rows[["rmse_difference", "low", "high"]].to_numpy()]
    table = pd.DataFrame({"Model": rows["model"], "Reference": rows["reference"], "RMSE − reference": difference})
    report.table(table, "Paired differences of RMSE on the same test pairs; below zero the model is better",
                 collapsed=True)  # fmt: skip


def _split(report: Report, summary: BenchmarkSummary) -> None:
    report.section("How it was split")
    table = pd.DataFrame(
        [(name, held_out, question) for name, (held_out, question) in SPLITS.items()],
        columns=["Split", "Held out", "The question it answers"],
        index=list(SPLITS),
    )
    report.table(table, f"The four splits; this page shows {summary.split}.", highlight=[summary.split])
    if len(summary.fold_sizes):
        report.table(summary.fold_sizes.rename(columns=HEADERS), "Pairs of each fold.")


def _learning_curves(report: Report, summary: BenchmarkSummary) -> None:
    histories = summary.histories
    if histories.empty:
        return
    report.section(
        "Learning curves",
        "A thin line is one run, the bold line their mean as far as half of the runs went. Dots mark the "
        "lowest validation loss of each run; a line ends where its training stopped.",
    )
    present = set(histories["model"])
    for model in [name for name in summary.ranked["model"] if name in present]:
        axes = learning_curves(histories[histories["model"] == model], title=str(model))
        report.figure(axes, alt=f"Training and validation loss of {model} by epoch", pair=True)


def _observed(report: Report, summary: BenchmarkSummary, pairs: pd.DataFrame) -> None:
    axes = observed_vs_predicted(pairs["observed"], pairs["predicted"], label=summary.label)
    report.section("Observed versus predicted").figure(
        axes,
        f"Every test pair of {summary.best}, each from the fold that left it out. On the dashed line "
        "both agree. Most of the spread is between drugs, so a high R² here says little about one drug.",
        "Observed against predicted response",
    )


def _residuals(report: Report, summary: BenchmarkSummary, pairs: pd.DataFrame, drugs: pd.DataFrame) -> None:
    axes = residuals_vs_predicted(pairs["observed"], pairs["predicted"], label=summary.label)
    report.section("Residuals").figure(
        axes,
        f"Observed less predicted, {summary.best}. The bold line is the running median, thin lines the "
        "quartiles: a bold line away from zero is bias, a widening gap is error that grows.",
        "Residuals against predicted response",
    )
    if "tissue" in summary.samples and summary.samples["tissue"].notna().any():
        names = summary.samples["tissue"].map(lambda name: str(name).replace("_", " "), na_action="ignore")
        tissue = pairs["sample"].map(names)
        if tissue.notna().any():
            # as tall as the figure of drugs beside it, unless the bars would become blocks
            ax = new_axes(5.0, 6.7) if tissue.nunique() >= 12 else None
            report.figure(
                residuals_by_group(pairs["observed"] - pairs["predicted"], tissue, ax=ax),
                "Residuals of the largest tissues, with the number of pairs: median, quartiles, 5th to 95th "
                "percentile. Below zero, the response is lower than predicted.",
                pair=True,
            )
    if drugs["normalised_rmse"].notna().any():
        _drug_extremes(report, summary, drugs)


def _drug_extremes(report: Report, summary: BenchmarkSummary, drugs: pd.DataFrame) -> None:
    scores = drugs.set_axis(_drug_labels(drugs.index, summary.drugs), axis=0)
    notes = scores["pearson"].map(lambda r: f"r {spelled(r)}" if np.isfinite(r) else "")
    shown = "The 15 drugs predicted best and, below the line, the 15 predicted worst."
    shown = shown if scores["normalised_rmse"].notna().sum() > 30 else "Every drug, predicted best first."
    report.figure(
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


def _per_drug(report: Report, summary: BenchmarkSummary, drugs: pd.DataFrame) -> None:
    report.section("Per-drug performance")
    chosen = {kind: summary.best_of(kind) for kind in KIND_COLOURS}
    scores, colours = {}, {}
    for kind, model in chosen.items():
        if model is not None:
            own = drugs if model == summary.best else drug_scores(test_pairs(summary, model))
            scores[model], colours[model] = own["pearson"].to_numpy(), KIND_COLOURS[kind]
    if any(np.isfinite(values).any() for values in scores.values()):
        constant = [model for model, values in scores.items() if not np.isfinite(values).any()]
        caption = "Pearson's correlation within each drug and fold, averaged over folds; dashed lines are medians."
        if constant:
            caption += f" {' and '.join(constant)}: the same value for every sample, so no correlation."
        report.figure(score_histogram(scores, colours=colours, label="Per-drug Pearson"), caption)
    columns = [c for c in ("name", "pathway") if c in summary.drugs]
    table = summary.drugs[columns].reindex(drugs.index).join(drugs).sort_values("normalised_rmse").reset_index()
    report.table(table.rename(columns=HEADERS), f"Every drug, {summary.best}", collapsed=True)


def _missing(report: Report, summary: BenchmarkSummary, pairs: pd.DataFrame) -> None:
    samples, drugs = summary.samples.index, summary.drugs.index
    grid = np.zeros((len(samples), len(drugs)), dtype=bool)
    rows, columns = (index.get_indexer(pd.Index(pairs[key])) for index, key in ((samples, "sample"), (drugs, "drug")))
    known = (rows >= 0) & (columns >= 0)
    grid[rows[known], columns[known]] = True
    if grid.any():
        report.section("Missing values").figure(
            missing_map(grid),
            "Dark: the pair was measured and tested. Light: no measurement.",
            "Map of measured pairs",
        )
