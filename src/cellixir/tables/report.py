"""From predictions of a table's target to scores with intervals, and the page that shows them.

Intervals are over groups that were kept together, else over rows. A class stands for itself against all others; with
more than two classes, precision, recall, F1 and areas are means over the classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir import metrics
from cellixir.data.audit.response import Audit
from cellixir.figures import classification as class_figures
from cellixir.figures.correlation import correlation_map
from cellixir.figures.curves import learning_curves
from cellixir.figures.leaderboard import forest
from cellixir.figures.missing import missing_map
from cellixir.figures.regression import observed_vs_predicted, residuals_by_group, residuals_vs_predicted
from cellixir.figures.style import KIND_COLOURS, KIND_MARKERS, kinds_legend, new_axes, shortened
from cellixir.metrics import class_intervals
from cellixir.metrics import classification as class_metrics
from cellixir.metrics.conformal import OVERALL, Conformal, coverage
from cellixir.metrics.intervals import N_BOOTSTRAP, Interval
from cellixir.metrics.ranked import Ranked
from cellixir.metrics.words import between, estimate, spelled
from cellixir.report.page import Report
from cellixir.tables.models import MODELS, Codes, Floats, Goal

Draws = dict[str, Floats]  # by metric: the value, then its bootstrap replicates
CLASS_METRICS = (
    "auroc", "auprc", "accuracy", "balanced_accuracy", "precision", "recall", "f1", "brier", "log_loss",
    "calibration_error",
)  # fmt: skip
HEADERS = {
    "model": "Model", "fold": "Fold", "n_train": "Training rows", "n_test": "Test rows", "seconds": "Seconds",
    "rmse": "RMSE", "mse": "MSE", "mae": "MAE", "r2": "R²", "pearson": "Pearson", "spearman": "Spearman",
    "auroc": "AUROC", "auprc": "AUPRC", "accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy",
    "precision": "Precision", "recall": "Recall", "f1": "F1", "brier": "Brier score", "log_loss": "Log loss",
    "calibration_error": "Calibration error", "covered": "Covered", "width": "Width",
}  # fmt: skip
MANY_ROWS, MOST_CLASSES, MOST_CURVES = 20_000, 12, 6


@dataclass(frozen=True)
class Run:
    """What was asked and what went in; ``y`` is the number or the position of the class, ``observed`` as written."""

    goal: Goal
    target: str
    table: pd.DataFrame
    y: Floats
    observed: NDArray[Any]
    groups: pd.Series | None
    units: Codes
    fold_of: Codes
    audit: Audit
    excluded: pd.DataFrame
    notes: list[str]
    seed: int
    interval: float | None
    facts: dict[str, str]

    @property
    def metric(self) -> str:
        """What models are ranked by."""
        return "auroc" if self.goal.classes else "rmse"

    @property
    def n_draws(self) -> int:
        """Bootstrap replicates: fewer where each costs more."""
        return 200 if len(self.y) > MANY_ROWS or len(self.goal.classes) > 2 else N_BOOTSTRAP


@dataclass(frozen=True)
class Tables:
    """Scores by fold and over all folds (the best first), predictions, and histories of networks."""

    leaderboard: pd.DataFrame
    overall: pd.DataFrame
    predictions: pd.DataFrame
    histories: pd.DataFrame


def tables_of(run: Run, predictions: dict[str, Floats], seconds: pd.DataFrame, histories: pd.DataFrame) -> Tables:
    """Tables of what the models predicted, each row by the model that had not seen it."""
    bounds = {n: interval_ends(run, p[:, 0]) for n, p in predictions.items()} if run.interval else {}
    return Tables(
        leaderboard(run, predictions, seconds),
        overall(run, predictions, seconds, bounds),
        _long(run, predictions, bounds),
        histories,
    )


def leaderboard(run: Run, predictions: dict[str, Floats], seconds: pd.DataFrame) -> pd.DataFrame:
    """One row a model and fold."""
    rows = []
    for model, p in predictions.items():
        for fold, n in enumerate(np.bincount(run.fold_of)):
            test = run.fold_of == fold
            if run.goal.classes:
                scores = {k: float(v[0]) for k, v in class_draws(run.y[test], p[test], np.zeros(n, int)).items()}
            else:
                scores = metrics.score(run.y[test], p[test, 0])
            sizes = {"n_train": len(run.y) - int(n), "n_test": int(n)}
            rows.append({"model": model, "kind": MODELS[model].kind, "fold": fold, **sizes, **scores})
    return pd.DataFrame(rows).merge(seconds, on=["model", "fold"], how="left")


def overall(
    run: Run, predictions: dict[str, Floats], seconds: pd.DataFrame, bounds: dict[str, tuple[Floats, Floats]]
) -> pd.DataFrame:
    """One row a model over all folds, the best first, every score with ``_low`` and ``_high``.

    ``difference`` is RMSE (AUROC) less that of ``reference``, the best naive baseline, on the same draws.
    """
    rows: dict[str, dict[str, Any]] = {}
    draws: dict[str, Draws] = {}
    for model, p in predictions.items():
        rows[model] = {"model": model, "kind": MODELS[model].kind}
        if run.goal.classes:
            draws[model] = class_draws(run.y, p, run.units, strata=run.fold_of, n=run.n_draws, seed=run.seed)
            found = {name: class_intervals.interval_of(drawn) for name, drawn in draws[model].items()}
        else:
            found = metrics.intervals(run.y, p[:, 0], run.units, n=run.n_draws, seed=run.seed)
            found["spearman"] = metrics.Interval(metrics.spearman(run.y, p[:, 0]), np.nan, np.nan)
        for name, interval in found.items():
            rows[model] |= _banded(name, interval)
    down = not run.goal.classes
    naive = [m for m in rows if rows[m]["kind"] == "baseline"]
    reference = min(naive, key=lambda m: float(np.nan_to_num(rows[m][run.metric] * (1 if down else -1), nan=np.inf)))
    for model, p in predictions.items():
        if model == reference:
            gap = metrics.Interval(np.nan, np.nan, np.nan)
        elif down:
            against = predictions[reference][:, 0]
            gap = metrics.paired_difference(run.y, p[:, 0], against, run.units, n=run.n_draws, seed=run.seed)
        else:
            gap = class_intervals.interval_of(draws[model]["auroc"] - draws[reference]["auroc"])
        rows[model] |= {"reference": reference} | _banded("difference", gap)
        if model in bounds:
            rows[model] |= _coverage(run, *bounds[model])
        rows[model]["seconds"] = float(seconds.loc[seconds["model"] == model, "seconds"].sum())
    table = pd.DataFrame(rows.values())
    return table.sort_values(run.metric, ascending=down, kind="stable", ignore_index=True)


def _banded(name: str, interval: metrics.Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def interval_ends(run: Run, p: Floats) -> tuple[Floats, Floats]:
    """Ends of the prediction interval of each row: the errors of the other folds say how wide it is."""
    half = np.empty(len(p))
    for fold in np.unique(run.fold_of):
        test = run.fold_of == fold
        errors, units = (run.y - p)[~test], None if run.groups is None else run.units[~test]
        learned = Conformal.fit(errors, np.full(len(errors), "all"), units=units)
        half[test] = learned.half_width(np.full(int(test.sum()), "all"), float(run.interval or 0.9))
    return p - half, p + half


def _coverage(run: Run, low: Floats, high: Floats) -> dict[str, float]:
    table = coverage(run.y, low, high, np.full(len(low), "all"), run.units, level=float(run.interval or 0.9))
    row = table.loc[OVERALL]
    return {name: float(row[name]) for name in ("covered", "covered_low", "covered_high", "width")}


def class_draws(y: Floats, p: Floats, units: Codes, *, strata: Codes | None = None, n: int = 0, seed: int = 0) -> Draws:
    """Every metric of ``CLASS_METRICS``: its value, then ``n`` bootstrap replicates over ``units``.

    Log loss and calibration error have no replicates. NaN where a metric is not defined. Areas compare rows within a
    stratum (a fold). The Brier score of several classes is the sum over them, its calibration error that of the called
    class.
    """
    true = p[np.arange(len(y)), y.astype(int)]
    called = p.argmax(axis=1)
    losses = {"log_loss": np.array([-np.log(np.maximum(true, np.finfo(float).eps)).mean()])}
    if p.shape[1] == 2:
        drawn = class_intervals.class_draws(y, p[:, 1], units, strata=strata, n=n, seed=seed)
        losses["calibration_error"] = np.array([class_metrics.calibration_error(y, p[:, 1])])
    else:
        drawn = _many_draws(y.astype(np.int64), p, units, strata, n, seed)
        error = class_metrics.calibration_error(called == y, np.minimum(p.max(axis=1), 1.0))
        losses["calibration_error"] = np.array([error])
    return {name: (drawn | losses)[name] for name in CLASS_METRICS}


def _many_draws(y: Codes, p: Floats, units: Codes, strata: Codes | None, n: int, seed: int) -> Draws:
    """Metrics of three classes or more, means over the classes that have a row."""
    k = p.shape[1]
    unit = np.unique(units, return_inverse=True)[1]
    cell = y * k + p.argmax(axis=1)
    wrong = np.square(p - np.eye(k)[y]).sum(axis=1)
    ranked = [Ranked((y == c).astype(float), p[:, c], strata, unit) for c in np.unique(y)]
    found = []
    for weights in (np.ones((1, unit.max() + 1)), *metrics.bootstrap_weights(int(unit.max()) + 1, n, seed)):
        for w in weights:
            counts = np.bincount(cell, w[unit], k * k).reshape(k, k).astype(np.float64)
            areas = np.array([r.areas(w) for r in ranked])
            areas = areas[np.isfinite(areas).all(axis=1)]
            area = areas.mean(axis=0) if len(areas) else np.full(2, np.nan)
            found.append([*area, *macro(counts), w[unit] @ wrong / w[unit].sum()])
    names = ("auroc", "auprc", "accuracy", "balanced_accuracy", "precision", "recall", "f1", "brier")
    return dict(zip(names, np.array(found).T, strict=True))


def macro(counts: Floats) -> tuple[float, float, float, float, float]:
    """Accuracy, balanced accuracy, and mean precision, recall and F1 of a confusion matrix, rows observed.

    Classes without a row do not count; the precision of a class that is never called is 0.

    >>> [round(value, 3) for value in macro(np.array([[8.0, 2.0], [0.0, 10.0]]))]
    [0.9, 0.9, 0.917, 0.9, 0.899]
    """
    rows, columns, right = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    here = rows > 0
    recall = float((right[here] / rows[here]).mean())
    precision = float((right[here] / np.maximum(columns[here], 1e-300)).mean())
    f1 = float((2 * right[here] / (rows + columns)[here]).mean())
    return float(right.sum() / rows.sum()), recall, precision, recall, f1


def _long(run: Run, predictions: dict[str, Floats], bounds: dict[str, tuple[Floats, Floats]]) -> pd.DataFrame:
    """One row a model and row of the table (``row`` counts from 0), with the probability of each class, or the ends."""
    parts = []
    for model, p in predictions.items():
        told: NDArray[Any] = np.array(run.goal.classes, dtype=object)[p.argmax(1)] if run.goal.classes else p[:, 0]
        part = pd.DataFrame({"row": run.table.index, "fold": run.fold_of.astype(np.int16), "model": model})
        if run.groups is not None:
            part["group"] = run.groups.to_numpy()
        part = part.assign(observed=run.observed, predicted=told)
        extra = {f"probability_{c}": p[:, i] for i, c in enumerate(run.goal.classes)}
        extra |= dict(zip(("low", "high"), bounds[model], strict=True)) if model in bounds else {}
        parts.append(part.assign(**extra))
    return pd.concat(parts, ignore_index=True)


def headline(run: Run, table: pd.DataFrame) -> str:
    """One sentence: the best model, its score, and whether it is shown to beat the best naive baseline."""
    best, naive = str(table["model"].iloc[0]), str(table["reference"].iloc[0])
    name, extreme, side = ("AUROC", "highest", "above") if run.goal.classes else ("RMSE", "lowest", "below")
    value = estimate(_row(table, best), run.metric)
    lead = f"{best} has the {extreme} {name} for {run.target}, {spelled(value.value)}{between(value.low, value.high)}"
    if not np.isfinite(value.value):
        return (
            f"No model has an {name} for {run.target}: no fold tests rows of two classes; deal other groups or folds."
        )
    models = table[table["kind"] != "baseline"]
    if models.empty:
        return f"{lead}; only naive baselines were run."
    model, sign = str(models["model"].iloc[0]), 1.0 if run.goal.classes else -1.0
    gap = estimate(_row(table, model), "difference")
    ends = sorted((sign * gap.low, sign * gap.high))
    gain = Interval(sign * gap.value, *ends)
    if model != best:
        other = "lower" if run.goal.classes else "higher"
        tail = f"is {spelled(-gain.value)} {other}{between(-gain.high, -gain.low)}"
        return f"No model beats the naive baseline: {lead}, and the best model, {model}, {tail}."
    floor = f"{spelled(_row(table, naive)[run.metric])} of the best naive baseline, {naive}"
    if not gain.low > 0:
        known = f" and its interval{between(gain.low, gain.high)} includes zero" if np.isfinite(gain.low) else ""
        return f"{lead}, but is not shown to beat the {floor}: the gain is {spelled(gain.value)}{known}."
    return f"{lead}, which is {spelled(gain.value)}{between(gain.low, gain.high)} {side} the {floor}."


def _row(table: pd.DataFrame, model: str) -> dict[str, float]:
    """Numbers of one model over all folds."""
    row = table[table["model"] == model].iloc[0]
    return {str(key): float(value) for key, value in row.items() if isinstance(value, (int, float, np.number))}


def write_table_report(path: Path, run: Run, tables: Tables) -> str:
    """Write the page, whole or not at all, and return its headline."""
    said = headline(run, tables.overall)
    held_out = "groups" if run.groups is not None else "rows"
    folds = f"{held_out} left out of training, over {int(run.fold_of.max()) + 1} folds."
    report = Report(f"Predicting {run.target}", f"{len(tables.overall)} models predict this column for {folds}")
    row = _row(tables.overall, str(tables.overall["model"].iloc[0]))
    shown = ("auroc", "balanced_accuracy", "f1") if run.goal.classes else ("rmse", "r2", "spearman")
    numbers = {HEADERS[name]: spelled(row[name]) for name in shown if np.isfinite(row[name])}
    numbers |= {"Rows": f"{len(run.y):,}"}
    report.section("Headline").statement(said).facts(numbers, large=True).notes(run.notes)
    _leaderboard(report, run, tables)
    best = tables.predictions[tables.predictions["model"] == tables.overall["model"].iloc[0]]
    if run.goal.classes:
        _classes(report, run, tables, best)
    else:
        _numbers(report, run, best)
    _learning_curves(report, run, tables)
    _columns(report, run)
    _audit(report, run)
    report.section("Data and reproducibility").facts(run.facts)
    report.write(path)
    return said


def _leaderboard(report: Report, run: Run, tables: Tables) -> None:
    table, lower = tables.overall, not run.goal.classes
    reference, kinds = str(table["reference"].iloc[0]), kinds_legend(table["kind"])
    report.section("Leaderboard", f"Dashed: the best naive baseline, {reference}, which a model has to beat. {kinds}")
    if run.goal.classes:
        report.text(_meaning(run.goal.classes))
    for metric, down in ((run.metric, lower), ("spearman" if lower else "f1", False)):
        if table[metric].notna().any():
            axes = forest(table, metric=metric, label=HEADERS[metric], lower_is_better=down, reference=reference)
            better = "lower" if down else "higher"
            spread = " with its 95% interval" if table[f"{metric}_low"].notna().any() else ""
            report.figure(axes, f"{HEADERS[metric]}{spread}; {better} is better.", pair=True)
    dots = {str(m): KIND_COLOURS[k] for m, k in zip(table["model"], table["kind"], strict=True)}
    name = "AUROC" if run.goal.classes else "RMSE"
    first = ["rmse", "r2", "pearson"] if lower else ["auroc", "auprc", "balanced_accuracy", "f1"]
    shown = _shown(table, [*first, "difference"]).rename(columns={"difference": f"{name} − {reference}"})
    unit = "groups" if run.groups is not None else "rows"
    caption = f"All folds together, with 95% intervals over {unit}; the difference is paired."
    report.table(shown, caption, highlight=[0], colours={"Model": dots})
    rest = ["mse", "mae", "spearman", "covered", "width"] if lower else [m for m in CLASS_METRICS if m not in first]
    more = _shown(table, [*rest, "seconds"])
    report.table(more, "More scores", colours={"Model": dots}, collapsed=True, formats={"Seconds": "{:,.1f}"})
    folds = tables.leaderboard.drop(columns="kind").rename(columns=HEADERS)
    report.table(folds, "Each fold", collapsed=True, formats={"Seconds": "{:,.2f}"})


def _meaning(classes: tuple[str, ...]) -> str:
    if len(classes) == 2:
        return f"Precision, recall, F1 and AUPRC are those of '{classes[1]}', called at a probability of 0.5."
    return f"Precision, recall, F1 and areas are means over {len(classes)} classes, each against all others."


def _shown(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    cells: dict[str, list[object]] = {"Model": list(table["model"])}
    rows = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
    for name in columns:
        if name in table and table[name].notna().any():
            values = [estimate(r, name) if f"{name}_low" in table else r[name] for r in rows]
            cells[HEADERS.get(name, name)] = list(values)
    return pd.DataFrame(cells)


def _numbers(report: Report, run: Run, best: pd.DataFrame) -> None:
    model, y, p = str(best["model"].iloc[0]), best["observed"].astype(float), best["predicted"].astype(float)
    label = shortened(run.target)
    report.section("Observed and predicted").figure(
        observed_vs_predicted(y, p, label=label),
        f"Every row, predicted by the {model} of the fold that left it out. On the dashed line both agree.",
        pair=True,
    )
    ax = residuals_vs_predicted(y, p, label=label, ax=new_axes(5.0, 4.5))
    report.figure(ax, "Observed less predicted. The bold line is the running median, thin lines the quartiles: away "
                      "from zero is bias, a widening gap is error that grows.", pair=True)  # fmt: skip
    if run.groups is not None and 2 <= run.groups.nunique() <= len(y) / 3:
        report.figure(residuals_by_group(y - p, best["group"]), "Residuals of the largest groups, with their rows: "
                      "median, quartiles, 5th to 95th percentile.")  # fmt: skip
    if "low" in best:
        report.text(_intervals(run, best, (best["high"] - best["low"]).to_numpy(float)))


def _intervals(run: Run, best: pd.DataFrame, width: Floats) -> str:
    inside = float(((best["observed"] >= best["low"]) & (best["observed"] <= best["high"])).mean())
    known = np.isfinite(width)
    text = f"Prediction intervals of {run.interval:.0%} ({best['model'].iloc[0]}) cover {inside:.1%} of the rows"
    text += f" and are {width[known].mean():.3g} wide on average." if known.any() else "."
    if not known.all():
        text += f" {(~known).sum():,} rows have none that ends: too few other groups to tell of such a level."
    return text + (
        " How wide is learned from the errors of the other folds; the models behind these errors had seen the rows in "
        "question, so the guarantee is that of cross-conformal prediction, not of a split."
    )


def _classes(report: Report, run: Run, tables: Tables, best: pd.DataFrame) -> None:
    names, model = list(run.goal.classes), str(best["model"].iloc[0])
    counts = np.zeros((len(names), len(names)))
    called = pd.Categorical(best["predicted"], categories=names).codes
    np.add.at(counts, (run.y.astype(int), called), 1.0)
    report.section("Confusion matrix")
    if len(names) <= MOST_CLASSES:
        ax = new_axes(1.9 + 1.0 * len(names), 1.5 + 1.0 * len(names))
        class_figures.confusion_matrix(counts, classes=[shortened(n, 14) for n in names], ax=ax)
        report.figure(ax, f"{model}: the class with the highest probability is called. Percent are of the row.")
    report.table(_per_class(run, best, counts), f"Each class against all others, {model}", collapsed=len(names) == 2)
    report.section("How well the classes are told apart", "Over the rows of all folds at once; areas in the legends "
                   "are those of the leaderboard, within folds.")  # fmt: skip
    _curves(report, run, tables, best)


def _per_class(run: Run, best: pd.DataFrame, counts: Floats) -> pd.DataFrame:
    right, rows, columns = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    areas = [
        class_metrics.auroc(run.y == i, best[f"probability_{name}"], strata=run.fold_of)
        for i, name in enumerate(run.goal.classes)
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        columns_of = {"Precision": right / columns, "Recall": right / rows, "F1": 2 * right / (rows + columns)}
    return pd.DataFrame({"Class": run.goal.classes, "Rows": rows.astype(int), **columns_of, "AUROC": areas})


def _curves(report: Report, run: Run, tables: Tables, best: pd.DataFrame) -> None:
    """ROC, precision-recall and calibration: models of each kind for two classes, else the classes of the best."""
    positive, model, styles = run.goal.classes[-1], str(best["model"].iloc[0]), {}
    y, told, areas = {}, {}, {}
    if len(run.goal.classes) == 2:
        for _, row in tables.overall.drop_duplicates("kind").iterrows():
            name, p = str(row["model"]), tables.predictions
            told[name] = p.loc[p["model"] == name, f"probability_{positive}"].to_numpy(float)
            y[name], areas[name], styles[name] = run.y, (row["auroc"], row["auprc"]), str(row["kind"])
    else:
        order = np.argsort(-np.bincount(run.y.astype(int), minlength=run.goal.width), kind="stable")
        for i in order[:MOST_CURVES]:
            name = run.goal.classes[i]
            told[name], y[name] = best[f"probability_{name}"].to_numpy(float), (run.y == i).astype(float)
            areas[name] = (class_metrics.auroc(y[name], told[name], strata=run.fold_of),
                           class_metrics.auprc(y[name], told[name], strata=run.fold_of))  # fmt: skip
    colours = {name: KIND_COLOURS[kind] for name, kind in styles.items()}
    markers = {name: KIND_MARKERS[kind] for name, kind in styles.items()}
    two = bool(styles)
    what = f"'{shortened(positive, 20)}'" if two else "the class"
    who = "The best model of each kind" if two else f"{model}, the {len(told)} largest classes"
    bins = {name: class_metrics.calibration_curve(y[name], told[name]) for name in told}
    roc = {name: class_metrics.roc_points(y[name], told[name]) for name in told}
    ax = class_figures.roc_curve(roc, areas={n: float(a[0]) for n, a in areas.items()}, colours=colours)
    ax.set(xlabel=f"Other rows called {what}", ylabel=f"Rows of {what} called so")
    report.figure(ax, f"{who}: ROC curve. On the dashed line a score says nothing.", pair=True)
    if two:
        curves = {name: class_metrics.pr_points(y[name], told[name]) for name in told}
        share = float(run.y.mean())
        ax = class_figures.pr_curve(curves, prevalence=share, areas={n: float(a[1]) for n, a in areas.items()},
                                    colours=colours)  # fmt: skip
        ax.set(xlabel=f"Recall: rows of {what} that are found", ylabel="Precision: calls that are right")
        report.figure(ax, f"Precision against recall. Dashed: the share of {what}, {share:.1%}.", pair=True)
    ax = class_figures.calibration_curve(bins, colours=colours, markers=markers)
    ax.set(xlabel=f"Predicted probability of {what}", ylabel=f"Share that is {what}")
    report.figure(ax, "Calibration: on the dashed line a probability means what it says. Bars are Wilson's 95% "
                      "intervals, which take rows as independent.", pair=not two)  # fmt: skip


def _learning_curves(report: Report, run: Run, tables: Tables) -> None:
    if tables.histories.empty:
        return
    loss = "Cross entropy (nats)" if run.goal.classes else "Mean squared error, standardised"
    report.section("Learning curves", "A thin line is one member in one fold, the bold line the mean as far as half of "
                   "the runs went. Dots mark the lowest validation loss, whose weights are kept.")  # fmt: skip
    for model, rows in tables.histories.groupby("model"):
        report.figure(
            learning_curves(rows, title=str(model), loss=loss), alt=f"Training and validation loss of {model} by epoch"
        )


def _columns(report: Report, run: Run) -> None:
    """What was left out, what is missing, what goes together."""
    report.section("Rows and columns")
    if len(run.excluded):
        table = run.excluded.rename(columns={"what": "What", "reason": "Reason", "n": "How many", "names": "Which"})
        report.table(table, "Left out before anything was learned.")
    else:
        report.text("Every row and column is used.")
    missing = run.table.isna()
    if missing.to_numpy().any():
        ax = missing_map(~missing, ax=new_axes(9.4, min(3.6, 1.2 + 0.14 * run.table.shape[1])))
        ax.set(xlabel="Rows, fullest first", ylabel="Columns, fullest first")
        ax.set_title(
            f"{missing.to_numpy().mean():.1%} of {missing.size:,} values are missing",
            loc="left",
            size=10,
            fontweight="normal",
        )
        most = missing.mean().sort_values(ascending=False, kind="stable")
        gaps = ", ".join(f"{name} ({share:.1%})" for name, share in most[most > 0].iloc[:5].items())
        report.figure(ax, f"Dark: a value is there. The columns with the largest gaps: {gaps}.")
    else:
        report.text("No value is missing.")
    numbers = run.table.select_dtypes("number")
    if len(run.goal.classes) <= 2:
        numbers = numbers.assign(**{run.target: run.y})
    if numbers.nunique().gt(1).sum() >= 2:
        ax = correlation_map(numbers, target=run.target, seed=run.seed)
        report.figure(ax, "Spearman's correlations of the numbers, the target in bold. Grey: not defined.")


def _audit(report: Report, run: Run) -> None:
    report.section("Leakage audit", "Columns that give the target away and rows that stand twice, looked for before "
                   "anything was fitted.")  # fmt: skip
    found = [("allowed leak" if f.severity == "leak" else f.severity, f.kind, f.what) for f in run.audit.findings]
    if found:
        report.table(pd.DataFrame(found, columns=["Severity", "Kind", "What was found"]))
    else:
        looked = ", ".join(f"{name}: {count:,}" for name, count in run.audit.checks.items())
        report.text(f"Nothing was found ({looked}).")
