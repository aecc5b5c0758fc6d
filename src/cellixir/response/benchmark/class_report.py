"""Sections of the report page on probabilities of sensitive: headline, leaderboard, curves, calibration and drugs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.exceptions import DataError, examples
from cellixir.figures import classification as figures
from cellixir.figures.leaderboard import forest, score_histogram
from cellixir.figures.style import KIND_COLOURS, KIND_MARKERS, kinds_legend
from cellixir.metrics import classification as metrics
from cellixir.metrics.intervals import Interval
from cellixir.metrics.words import between, estimate, spelled
from cellixir.report.page import Report
from cellixir.response.benchmark.classes import BANDED, PLAIN, drug_auroc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

HEADERS = {
    "model": "Model", "auroc": "AUROC", "per_drug_auroc": "Per-drug AUROC", "auprc": "AUPRC", "fold": "Fold",
    "balanced_accuracy": "Balanced accuracy", "brier": "Brier score", "accuracy": "Accuracy",
    "precision": "Precision", "recall": "Recall", "f1": "F1", "matthews": "Matthews", "log_loss": "Log loss",
    "calibration_error": "Calibration error", "seconds": "Seconds", "auroc_gain": "AUROC − best baseline",
    "prevalence": "Share sensitive", "n_train": "Training pairs", "n_test": "Test pairs", "drug": "Drug",
    "name": "Name", "pathway": "Pathway", "n": "Pairs", "sensitive": "Sensitive",
}  # fmt: skip


@dataclass(frozen=True)
class ClassSummary:
    """What a benchmark of classification found, as its sections of the page need it.

    Parameters
    ----------
    overall, leaderboard, paired
        From ``class_overall``, ``class_leaderboard`` and ``class_paired``; the last two may be empty.
    predictions
        From ``class_predictions_table``.
    drugs
        Annotation by drug id.
    rule
        What is called sensitive, as ``Labels.describe`` says it.
    notes
        What was left out, in sentences.

    Raises
    ------
    DataError
        If ``overall`` or ``predictions`` lacks a column, or no model has an AUROC.
    """

    overall: pd.DataFrame
    leaderboard: pd.DataFrame
    paired: pd.DataFrame
    predictions: pd.DataFrame
    drugs: pd.DataFrame
    rule: str = ""
    notes: list[str] = field(default_factory=list)
    level: float = 0.95

    def __post_init__(self) -> None:
        for name, columns in (
            ("overall", ("model", "kind", "auroc")),
            ("predictions", ("drug", "fold", "model", "observed", "predicted")),
        ):
            table: pd.DataFrame = getattr(self, name)
            missing = [column for column in columns if column not in table]
            if missing:
                message = f"table {name!r} has no column {examples(missing)}; it has {examples(table.columns, 20)}"
                raise DataError(message)
        if not self.overall["auroc"].notna().any():
            message = "no model of table 'overall' has an AUROC: the test rows need both classes and finite predictions"
            raise DataError(message)

    @property
    def ranked(self) -> pd.DataFrame:
        """Table ``overall``, the highest AUROC first."""
        return self.overall.sort_values("auroc", ascending=False, kind="stable", ignore_index=True)

    @property
    def chosen(self) -> dict[str, str]:
        """Best model of each kind and its kind, the best of all first."""
        known = self.ranked[self.ranked["auroc"].notna()].drop_duplicates("kind")
        return {str(model): str(kind) for model, kind in zip(known["model"], known["kind"], strict=True)}

    def pairs(self, model: str) -> pd.DataFrame:
        """Test pairs of one model whose prediction is finite."""
        rows = (self.predictions["model"] == model) & np.isfinite(self.predictions["predicted"])
        kept: pd.DataFrame = self.predictions.loc[rows]
        return kept


def class_headline(overall: pd.DataFrame, *, level: float = 0.95) -> str:
    """One sentence: the best model, its AUROC, and whether it is shown to beat the best naive baseline."""
    ranked = overall[overall["auroc"].notna()].sort_values("auroc", ascending=False, kind="stable")
    if ranked.empty:
        return "No model has an AUROC: the test rows need both classes and finite predictions."
    best, value = ranked.iloc[0], estimate(_numbers(ranked.iloc[0]), "auroc")
    spread = f" ({level:.0%} interval {spelled(value.low)} to {spelled(value.high)})" if np.isfinite(value.low) else ""
    lead = f"{best['model']} has the highest AUROC, {spelled(value.value)}{spread}"
    naive, models = ranked[ranked["kind"] == "baseline"], ranked[ranked["kind"] != "baseline"]
    if naive.empty:
        return f"{lead}; no naive baseline was run, so nothing can be said about a gain over one."
    if models.empty:
        return f"{lead}; only naive baselines were run."
    return _against(lead, str(best["model"]), models.iloc[0], naive.iloc[0])


def _against(lead: str, best: str, model: pd.Series, naive: pd.Series) -> str:
    """The headline when there is a model and a baseline."""
    exact = estimate(_numbers(model), "auroc_gain")
    gain = Interval(*(round(value, 3) + 0.0 for value in exact))  # no minus before a rounded zero
    if best == naive["model"]:
        behind = f"{spelled(0.0 - gain.value)} lower{between(0.0 - gain.high, 0.0 - gain.low)}"
        return f"No model beats the naive baseline: {lead}, and the best model, {model['model']}, is {behind}."
    floor = f"{spelled(float(naive['auroc']))} of the strongest naive baseline, {naive['model']}"
    if not np.isfinite(gain.low):
        return f"{lead}, {spelled(gain.value)} above the {floor} (no interval known)."
    if exact.low <= 0:
        tail = f"is {spelled(gain.value)} and its interval{between(gain.low, gain.high)} includes zero"
        return f"{lead}, but is not shown to be better: the gain over the {floor}, {tail}."
    return f"{lead}, which is {spelled(gain.value)}{between(gain.low, gain.high)} above the {floor}."


def _numbers(row: pd.Series) -> dict[str, float]:
    return {str(key): float(value) for key, value in row.items() if isinstance(value, (int, float, np.number))}


def write_class_sections(report: Report, summary: ClassSummary) -> Report:
    """Add headline, leaderboard, curves, calibration, confusion matrix and drugs to ``report``, and return it."""
    pairs = {model: summary.pairs(model) for model in summary.chosen}
    _headline(report, summary, pairs)
    _leaderboard(report, summary)
    _curves(report, summary, pairs)
    _calibration(report, summary, pairs)
    _confusion(report, summary, pairs)
    _drugs(report, summary, pairs)
    return report


def _headline(report: Report, summary: ClassSummary, pairs: Mapping[str, pd.DataFrame]) -> None:
    best = next(iter(pairs))
    row = _numbers(summary.ranked.iloc[0])
    shown = [name for name in BANDED if np.isfinite(row.get(name, np.nan))]
    facts = {HEADERS[name]: spelled(row[name]) for name in shown}
    y = pairs[best]["observed"]
    facts |= {"Test pairs": f"{len(y):,}", "Sensitive": f"{y.mean():.1%}"}
    lost = int((summary.predictions["model"] == best).sum()) - len(y)
    notes = [f"{lost:,} predictions of {best} are not finite and stand in no figure."] if lost else []
    report.section("Headline").statement(class_headline(summary.overall, level=summary.level))
    report.facts(facts, large=True)
    if summary.rule:
        report.text(f"Labels: {summary.rule}.")
    report.notes(notes + list(summary.notes))


def _leaderboard(report: Report, summary: ClassSummary) -> None:
    table = summary.ranked
    kinds = kinds_legend(table["kind"])
    naive = table.loc[(table["kind"] == "baseline") & table["auroc"].notna(), "model"]
    report.section("Leaderboard")
    if len(naive):
        report.text(f"Dashed: the strongest naive baseline, {naive.iloc[0]}, which a model has to beat. {kinds}")
    for metric, what in (("auroc", "Over all pairs of a fold"), ("per_drug_auroc", "Within each drug, then averaged")):
        if metric in table and table[metric].notna().any():
            reference = str(naive.iloc[0]) if len(naive) else None
            axes = forest(table, metric=metric, label=HEADERS[metric], lower_is_better=False, reference=reference)
            report.figure(axes, f"{what}: {HEADERS[metric]} with its {summary.level:.0%} interval.", pair=True)
    dots = {
        HEADERS["model"]: {str(m): KIND_COLOURS.get(k, "") for m, k in zip(table["model"], table["kind"], strict=True)}
    }
    report.table(_shown(table, (*BANDED, "auroc_gain")), f"All folds, with {summary.level:.0%} intervals.",
                 highlight=[0], colours=dots)  # fmt: skip
    report.table(_shown(table, (*PLAIN, "seconds")), "Calls at probability 0.5, and probabilities as such",
                 colours=dots, collapsed=True)  # fmt: skip
    if len(summary.paired):
        rows = summary.paired.sort_values("auroc_difference", ascending=False, kind="stable")
        gaps = [Interval(*map(float, r)) for r in rows[["auroc_difference", "low", "high"]].to_numpy()]
        frame = pd.DataFrame({"Model": rows["model"], "Reference": rows["reference"], "AUROC − reference": gaps})
        report.table(frame, "Paired differences of AUROC; above zero the model is better", collapsed=True)
    if len(summary.leaderboard):
        folds = summary.leaderboard.drop(columns="split", errors="ignore").dropna(axis=1, how="all")
        report.table(folds.rename(columns=HEADERS), "Each fold", collapsed=True)


def _shown(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Models and the columns that have a value, as estimates where there is an interval."""
    rows = [_numbers(row) for _, row in table.iterrows()]
    present = [c for c in columns if c in table and table[c].notna().any()]
    cells = {HEADERS[c]: [estimate(row, c) if f"{c}_low" in table else row[c] for row in rows] for c in present}
    return pd.DataFrame({HEADERS["model"]: table["model"], **cells})


def _curves(report: Report, summary: ClassSummary, pairs: Mapping[str, pd.DataFrame]) -> None:
    roc = {model: metrics.roc_points(rows["observed"], rows["predicted"]) for model, rows in pairs.items()}
    precision = {model: metrics.pr_points(rows["observed"], rows["predicted"]) for model, rows in pairs.items()}
    if not any(len(curve) for curve in roc.values()):
        return
    scores = summary.overall.set_index("model")
    colours = {model: KIND_COLOURS.get(kind, "") for model, kind in summary.chosen.items()}
    areas = [{m: float(scores[c].get(m, np.nan)) for m in pairs} if c in scores else {} for c in ("auroc", "auprc")]
    prevalence = float(next(iter(pairs.values()))["observed"].mean())
    report.section(
        "How well the classes are told apart",
        "The best model of each kind, over the test pairs of all folds at once. Areas in the legends are those of the "
        "leaderboard, within folds: a curve that leaves the dashed line beside an area of 0.5 only shows base rates "
        "that differ between folds.",
    )
    report.figure(
        figures.roc_curve(roc, areas=areas[0], colours=colours),
        "ROC curve. On the dashed line a score says nothing.",
        pair=True,
    )
    report.figure(
        figures.pr_curve(precision, prevalence=prevalence, areas=areas[1], colours=colours),
        f"Precision against recall. Dashed: the share that is sensitive, {prevalence:.1%}, which a guess reaches.",
        pair=True,
    )


def _calibration(report: Report, summary: ClassSummary, pairs: Mapping[str, pd.DataFrame]) -> None:
    tables = {model: metrics.calibration_curve(rows["observed"], rows["predicted"]) for model, rows in pairs.items()}
    colours = {model: KIND_COLOURS.get(kind, "") for model, kind in summary.chosen.items()}
    markers = {model: KIND_MARKERS.get(kind, "o") for model, kind in summary.chosen.items()}
    best = next(iter(pairs))
    report.section("Calibration").figure(
        figures.calibration_curve(tables, colours=colours, markers=markers),
        "Tenths of the test pairs by predicted probability; on the dashed line a probability means what it says, below "
        "it promises too much. Bars are Wilson's 95% intervals, which take pairs as independent: they are too short.",
    )
    report.table(
        tables[best].rename(columns={"predicted": "Predicted", "observed": "Share sensitive", "low": "Low",
                                     "high": "High", "n": "Pairs"}),
        f"The bins of {best}", collapsed=True,
    )  # fmt: skip


def _confusion(report: Report, summary: ClassSummary, pairs: Mapping[str, pd.DataFrame]) -> None:
    best, rows = next(iter(pairs.items()))
    counts = metrics.confusion_matrix(rows["observed"], rows["predicted"])
    report.section("Confusion matrix").figure(
        figures.confusion_matrix(counts),
        f"{best}: a pair is called sensitive when its probability is at least 0.5. Percent are of the row.",
    )
    report.text(f1_note(rows["observed"].to_numpy(np.float64), rows["predicted"].to_numpy(np.float64)))


def f1_note(labels: Floats, p: Floats) -> str:
    """What F1 at 0.5 means beside the largest F1 that another threshold would have given."""
    at_half, (largest, threshold) = metrics.f1(labels, p), metrics.best_f1(labels, p)
    if not np.isfinite(largest):
        return "No test pair is sensitive, so there is no F1."
    prevalence = float(np.mean(labels))
    return (
        f"F1 at 0.5 is {at_half:.3f}. Calling every pair sensitive gives {2 * prevalence / (1 + prevalence):.3f}, and "
        f"the largest F1 of any threshold is {largest:.3f}, at {threshold:.3f}. That threshold was looked up on the "
        f"test pairs, so its F1 is a bound and not a result. Where few pairs are sensitive an honest probability "
        f"seldom reaches 0.5, and F1 at 0.5 is low however well pairs are ranked."
    )


def _drugs(report: Report, summary: ClassSummary, pairs: Mapping[str, pd.DataFrame]) -> None:
    scores = {model: drug_auroc(rows) for model, rows in pairs.items()}
    flat = [model for model, table in scores.items() if not table["auroc"].dropna().ne(0.5).any()]
    drawn = {model: table["auroc"].to_numpy() for model, table in scores.items() if model not in flat}
    best = next(iter(pairs))
    report.section("Per-drug performance")
    if drawn:
        colours = {model: KIND_COLOURS.get(summary.chosen[model], "") for model in drawn}
        undefined = int(scores[best]["auroc"].isna().sum())
        caption = "AUROC within each drug and fold; dashed lines are medians."
        caption += f" Drugs with both classes in no fold, left out: {undefined:,}." if undefined else ""
        caption += f" {' and '.join(flat)}: one probability for every sample of a drug, so 0.5." if flat else ""
        report.figure(score_histogram(drawn, colours=colours, label="Per-drug AUROC"), caption)
    columns = [c for c in ("name", "pathway") if c in summary.drugs]
    table = summary.drugs[columns].reindex(scores[best].index).join(scores[best])
    table = table.sort_values("auroc", ascending=False, kind="stable").reset_index(names="drug")
    report.table(table.rename(columns=HEADERS), f"Every drug, {best}", collapsed=True)
