"""Report page of a response benchmark: who predicts best, by how much, and where it fails."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.exceptions import DataError, examples
from cellixir.figures.curves import learning_curves
from cellixir.figures.leaderboard import forest, score_histogram
from cellixir.figures.missing import missing_map
from cellixir.figures.regression import (
    extremes,
    observed_vs_predicted,
    residuals_by_group,
    residuals_vs_predicted,
)
from cellixir.figures.style import KIND_COLOURS, new_axes
from cellixir.metrics.regression import group_sums
from cellixir.report import Estimate, Report

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
MEASURES = {"LN_IC50": "ln IC50"}
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
NEEDED = {
    "overall": ("model", "kind", "rmse"),
    "leaderboard": ("model", "fold"),
    "predictions": ("sample", "drug", "fold", "model", "observed", "predicted"),
}
KIND_WORDS = {
    "network": "blue circles are networks",
    "tree": "orange squares trees",
    "linear": "green triangles linear models",
    "baseline": "grey diamonds naive baselines",
}
#: Fewest test pairs of a drug in a fold for a correlation.
MIN_PAIRS = 5


@dataclass(frozen=True)
class BenchmarkSummary:
    """What a benchmark found, as the report page needs it.

    ``overall`` has one row a model over all folds, ``leaderboard`` one row a model and fold; ``paired`` holds
    ``rmse_difference``, the RMSE of ``model`` less that of ``reference``, so below zero is better.
    ``predictions`` holds the test pairs of every model. Tables that are empty leave their section out.

    Raises
    ------
    DataError
        If a table lacks a column that the page cannot do without, or no model was scored.
    """

    title: str
    split: str
    leaderboard: pd.DataFrame
    overall: pd.DataFrame
    paired: pd.DataFrame
    predictions: pd.DataFrame
    samples: pd.DataFrame
    drugs: pd.DataFrame
    histories: pd.DataFrame
    measure: str
    unit: str
    facts: dict[str, str]
    notes: list[str]
    fold_sizes: pd.DataFrame
    level: float = 0.95

    def __post_init__(self) -> None:
        for name, columns in NEEDED.items():
            table: pd.DataFrame = getattr(self, name)
            missing = [column for column in columns if column not in table]
            if missing and (name == "overall" or len(table)):
                message = f"table {name!r} has no column {examples(missing)}; it has {examples(table.columns, 20)}"
                raise DataError(message)
        if self.overall["rmse"].notna().sum() == 0:
            message = "no model of table 'overall' has an RMSE; run the benchmark before its report"
            raise DataError(message)

    @property
    def ranked(self) -> pd.DataFrame:
        """Table ``overall``, the lowest RMSE first."""
        return self.overall.sort_values("rmse", kind="stable", ignore_index=True)

    @property
    def best(self) -> str:
        """Model with the lowest RMSE."""
        return str(self.ranked["model"].iloc[0])

    def best_of(self, *kinds: str) -> str | None:
        """Model of one of ``kinds`` with the lowest RMSE, if there is one."""
        rows = self.ranked[self.ranked["kind"].isin(kinds) & self.ranked["rmse"].notna()]
        return str(rows["model"].iloc[0]) if len(rows) else None

    @property
    def best_other(self) -> str | None:
        """Model that is no naive baseline with the lowest RMSE, if there is one."""
        return self.best_of(*set(self.overall["kind"]) - {"baseline"})

    @property
    def label(self) -> str:
        """Measure and unit, for an axis."""
        name = MEASURES.get(self.measure, self.measure)
        return f"{name} ({self.unit})" if self.unit else name


def write_response_report(path: str | Path, summary: BenchmarkSummary) -> Path:
    """Write the page of a benchmark to ``path``, whole or not at all, and return the path."""
    best = _test_pairs(summary, summary.best)
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
        _missing(report, summary, best)
    if summary.facts:
        report.section("Data and reproducibility").facts(summary.facts)
    return report.write(path)


def headline(summary: BenchmarkSummary) -> str:
    """One sentence: the best model, its RMSE, and whether it is shown to beat the best naive baseline."""
    naive, model = summary.best_of("baseline"), summary.best_other
    lead = f"{summary.best} has the lowest RMSE, {_spoken(summary, summary.best)}"
    if naive is None:
        return f"{lead}; no naive baseline was run, so nothing can be said about a gain over one."
    if model is None:
        return f"{lead}; only naive baselines were run."
    gain = _gain(summary, model, naive)
    if summary.best == naive:
        tail = f"the best model, {model}, is {_size(-gain.value)} higher{_between(-gain.high, -gain.low)}"
        return f"No model beats the naive baseline: {lead}, and {tail}."
    if not np.isfinite(gain.low):
        return f"{lead}, {_size(gain.value)} below the strongest naive baseline, {naive} (no interval known)."
    if gain.low <= 0:
        inside = "includes zero" if gain.high >= 0 else "lies below zero"
        tail = f"is {_size(gain.value)} and its interval{_between(gain.low, gain.high)} {inside}"
        return f"{lead}, but is not shown to be better: the gain over the naive baseline {naive} {tail}."
    floor = _row(summary, naive)["rmse"]
    tail = f"{_size(gain.value)}{_between(gain.low, gain.high)}, or {gain.value / floor:.1%}, lower than"
    return f"{lead}, which is {tail} the {_size(floor)} of the strongest naive baseline, {naive}."


def drug_scores(pairs: pd.DataFrame) -> pd.DataFrame:
    """RMSE, normalised RMSE and Pearson a drug, for the test pairs of one model.

    The normalised RMSE is the RMSE over the standard deviation of the drug's responses, so that 1 is what the
    drug's own mean would reach. Pearson is taken within each fold with ``MIN_PAIRS`` test pairs or more and
    averaged over folds by size: pooled folds would mix in how the predicted mean moves between folds. It is
    NaN where the prediction is constant.
    """
    drug, names = pd.factorize(pairs["drug"], sort=True)
    y, p = pairs["observed"].to_numpy(float), pairs["predicted"].to_numpy(float)
    n = np.bincount(drug, minlength=len(names))
    mean = np.bincount(drug, y, len(names)) / np.maximum(n, 1)
    sums = group_sums(np.stack([(y - p) ** 2, (y - mean[drug]) ** 2], 1), drug, len(names))
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = {
            "n": n,
            "rmse": np.sqrt(sums[:, 0] / n),
            "normalised_rmse": np.sqrt(sums[:, 0] / sums[:, 1]),
        }
    scores = pd.DataFrame(columns, index=pd.Index(names, name="drug")).replace(np.inf, np.nan)
    return scores.assign(pearson=_pearson_within(drug, pd.factorize(pairs["fold"])[0], y, p, len(names)))


def _pearson_within(
    drug: NDArray[np.intp], fold: NDArray[np.intp], y: NDArray[np.float64], p: NDArray[np.float64], drugs: int
) -> NDArray[np.float64]:
    folds = int(fold.max(initial=0)) + 1
    group = drug * folds + fold
    n = np.bincount(group, minlength=drugs * folds)
    a, b = (v - (np.bincount(group, v, len(n)) / np.maximum(n, 1))[group] for v in (y, p))
    cross, aa, bb = group_sums(np.stack([a * b, a * a, b * b], 1), group, len(n)).T
    # a constant prediction leaves rounding noise of about 1e-16 a value behind
    noise = n * (4 * np.finfo(float).eps * max(1.0, float(np.abs(p).max(initial=0.0)))) ** 2
    defined = (n >= MIN_PAIRS) & (aa > 0) & (bb > noise)
    weight = np.where(defined, n, 0).reshape(drugs, folds)
    with np.errstate(invalid="ignore", divide="ignore"):
        within = np.where(defined, cross / np.sqrt(aa * bb), 0.0).reshape(drugs, folds)
        return np.asarray((within * weight).sum(axis=1) / weight.sum(axis=1))


def _row(summary: BenchmarkSummary, model: str) -> dict[str, float]:
    row = summary.overall[summary.overall["model"] == model].iloc[0]
    return {str(key): float(value) for key, value in row.items() if isinstance(value, (int, float, np.number))}


def _estimate(row: dict[str, float], metric: str) -> Estimate:
    nan = float("nan")
    return Estimate(row.get(metric, nan), row.get(f"{metric}_low", nan), row.get(f"{metric}_high", nan))


def _gain(summary: BenchmarkSummary, model: str, naive: str) -> Estimate:
    """How much lower the RMSE of ``model`` is than that of ``naive``; the interval is the paired one."""
    for first, second, sign in ((model, naive, -1.0), (naive, model, 1.0)):
        rows = summary.paired
        if len(rows):
            rows = rows[(rows["model"] == first) & (rows["reference"] == second)]
        if len(rows):
            value, *ends = (sign * float(rows[c].iloc[0]) for c in ("rmse_difference", "low", "high"))
            return Estimate(value, *sorted(ends))
    return Estimate(_row(summary, naive)["rmse"] - _row(summary, model)["rmse"])


def _size(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def _between(low: float, high: float) -> str:
    return f" ({_size(low)} to {_size(high)})" if np.isfinite(low) and np.isfinite(high) else ""


def _spoken(summary: BenchmarkSummary, model: str) -> str:
    value, low, high = _estimate(_row(summary, model), "rmse")
    interval = f" ({summary.level:.0%} interval {_size(low)} to {_size(high)})" if np.isfinite(low) else ""
    return f"{_size(value)}{interval}"


def _test_pairs(summary: BenchmarkSummary, model: str) -> pd.DataFrame:
    """Test pairs of one model whose observed and predicted values are finite."""
    if summary.predictions.empty:
        return summary.predictions
    pairs: pd.DataFrame = summary.predictions[summary.predictions["model"] == model]
    finite = np.isfinite(pairs["observed"]) & np.isfinite(pairs["predicted"])
    kept: pd.DataFrame = pairs.loc[finite]
    return kept


def _unusable(summary: BenchmarkSummary, model: str) -> int:
    if summary.predictions.empty:
        return 0
    return int((summary.predictions["model"] == model).sum()) - len(_test_pairs(summary, model))


def _subtitle(summary: BenchmarkSummary) -> str:
    held_out = SPLITS.get(summary.split, (summary.split, ""))[0]
    models, folds = len(summary.overall), len(summary.fold_sizes)
    return f"{models} models predict {summary.label} of {held_out} left out of training, over {folds} folds."


def _headline(report: Report, summary: BenchmarkSummary, drugs: pd.DataFrame) -> None:
    row = _row(summary, summary.best)
    numbers = {"RMSE": _size(row["rmse"])}
    for metric in ("r2", "normalised_pearson", "per_drug_pearson"):
        if np.isfinite(row.get(metric, np.nan)):
            numbers[HEADERS[metric]] = _size(row[metric])
    if len(drugs):
        numbers["Test pairs"] = f"{int(drugs['n'].sum()):,}"
    notes = list(summary.notes)
    if dropped := _unusable(summary, summary.best):
        notes.append(f"{dropped:,} predictions of {summary.best} are not finite and stand in no figure.")
    report.section("Headline").statement(headline(summary)).facts(numbers, large=True).notes(notes)


def _leaderboard(report: Report, summary: BenchmarkSummary) -> None:
    table, naive = summary.ranked, summary.best_of("baseline")
    kinds = _legend(table["kind"])
    report.section("Leaderboard")
    if naive is not None:
        report.text(f"Dashed: the strongest naive baseline, {naive}, which a model has to beat.{kinds}")
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
        shown[HEADERS.get(column, column)] = [_estimate(row, column) if banded else row[column] for row in rows]
    return pd.DataFrame(shown)


def _dots(table: pd.DataFrame) -> dict[str, str]:
    return {str(m): KIND_COLOURS.get(k, "") for m, k in zip(table["model"], table["kind"], strict=True)}


def _legend(kinds: pd.Series) -> str:
    text = ", ".join(words for kind, words in KIND_WORDS.items() if (kinds == kind).any())
    return f" {text[:1].upper()}{text[1:]}." if text else ""


def _formats(table: pd.DataFrame) -> dict[str, str]:
    known = "seconds" in table and bool(table["seconds"].notna().any())
    return {HEADERS["seconds"]: SECONDS} if known else {}


def _paired_table(report: Report, summary: BenchmarkSummary) -> None:
    if summary.paired.empty:
        return
    rows = summary.paired.sort_values("rmse_difference", kind="stable")
    difference = [Estimate(*map(float, r)) for r in rows[["rmse_difference", "low", "high"]].to_numpy()]
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
    notes = scores["pearson"].map(lambda r: f"r {_size(r)}" if np.isfinite(r) else "")
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
            own = drugs if model == summary.best else drug_scores(_test_pairs(summary, model))
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
