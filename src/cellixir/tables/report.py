"""Page of a table's benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cellixir.data.audit.response import Audit
from cellixir.figures import classification as class_figures
from cellixir.figures.correlation import correlation_map
from cellixir.figures.missing import missing_map
from cellixir.figures.regression import observed_vs_predicted, residuals_by_group, residuals_vs_predicted
from cellixir.figures.style import KIND_COLOURS, KIND_MARKERS, new_axes, shortened
from cellixir.metrics import classification as class_metrics
from cellixir.report.page import Report
from cellixir.report.sections import (
    facts_section,
    failures_section,
    headline_section,
    key_numbers,
    leaderboard_section,
    learning_section,
)
from cellixir.runs import Leaderboard
from cellixir.tables.goal import Floats
from cellixir.tables.scores import CLASS_METRICS, Judging

MOST_CLASSES, MOST_CURVES = 12, 6
#: Metrics of the first table, and those in large type; the rest open on demand.
FIRST = {"rmse": ("rmse", "r2", "pearson"), "auroc": ("auroc", "auprc", "balanced_accuracy", "f1")}
LARGE = {"rmse": ("rmse", "r2", "spearman"), "auroc": ("auroc", "balanced_accuracy", "f1")}


def page_of(
    judging: Judging,
    board: Leaderboard,
    folds: pd.DataFrame,
    predictions: pd.DataFrame,
    histories: pd.DataFrame,
    audit: Audit,
    failures: pd.DataFrame,
    said: str,
    notes: Sequence[str],
    facts: Mapping[str, str],
    command: str,
) -> Report:
    """The page: headline, leaderboard, what the best model says of each row, learning curves, columns, audit."""
    data, classes = judging.data, bool(judging.data.goal.classes)
    unit = "groups" if data.groups is not None else "rows"
    page = Report(
        f"Predicting {data.target}",
        f"{len(board.table)} models predict this column for {unit} left out of training, over {judging.n_folds} folds.",
    )
    numbers = key_numbers(board, LARGE[board.metric]) | {"Rows": f"{len(data.y):,}"}
    headline_section(page, said, numbers=numbers, notes=notes)
    first = FIRST[board.metric]
    rest = [m for m in CLASS_METRICS if m not in first] if classes else ["mse", "mae", "spearman", "covered", "width"]
    leaderboard_section(
        page, board, forests={board.metric: "", "f1" if classes else "spearman": ""}, shown=first,
        more=(*rest, "seconds"), unit=unit, question=_meaning(data.goal.classes) if classes else "", folds=folds,
    )  # fmt: skip
    best = predictions[predictions["model"] == board.best]
    if classes:
        _classes(page, judging, board, predictions, best)
    else:
        _numbers(page, judging, best)
    learning_section(page, histories, loss="Cross entropy (nats)" if classes else "Mean squared error, standardised")
    _columns(page, judging)
    _audit(page, audit)
    failures_section(page, failures)
    facts_section(page, facts, command=command)
    return page


def _meaning(classes: tuple[str, ...]) -> str:
    if len(classes) == 2:
        return f"Precision, recall, F1 and AUPRC are those of '{classes[1]}', called at a probability of 0.5."
    return f"Precision, recall, F1 and areas are means over {len(classes)} classes, each against all others."


def _numbers(page: Report, judging: Judging, best: pd.DataFrame) -> None:
    model, y, p = str(best["model"].iloc[0]), best["observed"].astype(float), best["predicted"].astype(float)
    label = shortened(judging.data.target)
    page.section("Observed and predicted").figure(
        observed_vs_predicted(y, p, label=label),
        f"Every row, predicted by the {model} of the fold that left it out. On the dashed line both agree.",
        pair=True,
    )
    ax = residuals_vs_predicted(y, p, label=label, ax=new_axes(5.0, 4.5))
    page.figure(ax, "Observed less predicted. The bold line is the running median, thin lines the quartiles: away "
                      "from zero is bias, a widening gap is error that grows.", pair=True)  # fmt: skip
    if judging.data.groups is not None and 2 <= judging.data.groups.nunique() <= len(y) / 3:
        page.figure(residuals_by_group(y - p, best["group"]), "Residuals of the largest groups, with their rows: "
                      "median, quartiles, 5th to 95th percentile.")  # fmt: skip
    if "low" in best:
        page.text(_intervals(judging, best, (best["high"] - best["low"]).to_numpy(float)))


def _intervals(judging: Judging, best: pd.DataFrame, width: Floats) -> str:
    inside = float(((best["observed"] >= best["low"]) & (best["observed"] <= best["high"])).mean())
    known = np.isfinite(width)
    text = f"Prediction intervals of {judging.interval:.0%} ({best['model'].iloc[0]}) cover {inside:.1%} of the rows"
    text += f" and are {width[known].mean():.3g} wide on average." if known.any() else "."
    if not known.all():
        text += f" {(~known).sum():,} rows have none that ends: too few other groups to tell of such a level."
    return text + (
        " How wide is learned from the errors of the other folds; the models behind these errors had seen the rows in "
        "question, so the guarantee is that of cross-conformal prediction, not of a split."
    )


def _classes(page: Report, judging: Judging, board: Leaderboard, predictions: pd.DataFrame, best: pd.DataFrame) -> None:
    names, model = list(judging.data.goal.classes), str(best["model"].iloc[0])
    counts = np.zeros((len(names), len(names)))
    called = pd.Categorical(best["predicted"], categories=names).codes
    np.add.at(counts, (judging.data.y.astype(int), called), 1.0)
    page.section("Confusion matrix")
    if len(names) <= MOST_CLASSES:
        ax = new_axes(1.9 + 1.0 * len(names), 1.5 + 1.0 * len(names))
        class_figures.confusion_matrix(counts, classes=[shortened(n, 14) for n in names], ax=ax)
        page.figure(ax, f"{model}: the class with the highest probability is called. Percent are of the row.")
    page.table(_per_class(judging, best, counts), f"Each class against all others, {model}", collapsed=len(names) == 2)
    page.section("How well the classes are told apart", "Over the rows of all folds at once; areas in the legends "
                   "are those of the leaderboard, within folds.")  # fmt: skip
    _curves(page, judging, board, predictions, best)


def _per_class(judging: Judging, best: pd.DataFrame, counts: Floats) -> pd.DataFrame:
    right, rows, columns = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    areas = [
        class_metrics.auroc(judging.data.y == i, best[f"probability_{name}"], strata=judging.fold_of)
        for i, name in enumerate(judging.data.goal.classes)
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        columns_of = {"Precision": right / columns, "Recall": right / rows, "F1": 2 * right / (rows + columns)}
    return pd.DataFrame({"Class": judging.data.goal.classes, "Rows": rows.astype(int), **columns_of, "AUROC": areas})


def _curves(page: Report, judging: Judging, board: Leaderboard, predictions: pd.DataFrame, best: pd.DataFrame) -> None:
    """ROC, precision-recall and calibration: models of each kind for two classes, else the classes of the best."""
    positive, model, styles = judging.data.goal.classes[-1], str(best["model"].iloc[0]), {}
    y, told, areas = {}, {}, {}
    if len(judging.data.goal.classes) == 2:
        for _, row in board.table.drop_duplicates("kind").iterrows():
            name, p = str(row["model"]), predictions
            told[name] = p.loc[p["model"] == name, f"probability_{positive}"].to_numpy(float)
            y[name], areas[name], styles[name] = judging.data.y, (row["auroc"], row["auprc"]), str(row["kind"])
    else:
        order = np.argsort(-np.bincount(judging.data.y.astype(int), minlength=judging.data.goal.width), kind="stable")
        for i in order[:MOST_CURVES]:
            name = judging.data.goal.classes[i]
            told[name], y[name] = best[f"probability_{name}"].to_numpy(float), (judging.data.y == i).astype(float)
            areas[name] = (class_metrics.auroc(y[name], told[name], strata=judging.fold_of),
                           class_metrics.auprc(y[name], told[name], strata=judging.fold_of))  # fmt: skip
    colours = {name: KIND_COLOURS[kind] for name, kind in styles.items()}
    markers = {name: KIND_MARKERS[kind] for name, kind in styles.items()}
    two = bool(styles)
    what = f"'{shortened(positive, 20)}'" if two else "the class"
    who = "The best model of each kind" if two else f"{model}, the {len(told)} largest classes"
    bins = {name: class_metrics.calibration_curve(y[name], told[name]) for name in told}
    roc = {name: class_metrics.roc_points(y[name], told[name]) for name in told}
    ax = class_figures.roc_curve(roc, areas={n: float(a[0]) for n, a in areas.items()}, colours=colours)
    ax.set(xlabel=f"Other rows called {what}", ylabel=f"Rows of {what} called so")
    page.figure(ax, f"{who}: ROC curve. On the dashed line a score says nothing.", pair=True)
    if two:
        curves = {name: class_metrics.pr_points(y[name], told[name]) for name in told}
        share = float(judging.data.y.mean())
        ax = class_figures.pr_curve(curves, prevalence=share, areas={n: float(a[1]) for n, a in areas.items()},
                                    colours=colours)  # fmt: skip
        ax.set(xlabel=f"Recall: rows of {what} that are found", ylabel="Precision: calls that are right")
        page.figure(ax, f"Precision against recall. Dashed: the share of {what}, {share:.1%}.", pair=True)
    ax = class_figures.calibration_curve(bins, colours=colours, markers=markers)
    ax.set(xlabel=f"Predicted probability of {what}", ylabel=f"Share that is {what}")
    page.figure(ax, "Calibration: on the dashed line a probability means what it says. Bars are Wilson's 95% "
                      "intervals, which take rows as independent.", pair=not two)  # fmt: skip


def _columns(page: Report, judging: Judging) -> None:
    """What was left out, what is missing, what goes together."""
    page.section("Rows and columns")
    if len(judging.data.excluded):
        table = judging.data.excluded.rename(
            columns={"what": "What", "reason": "Reason", "n": "How many", "names": "Which"}
        )
        page.table(table, "Left out before anything was learned.")
    else:
        page.text("Every row and column is used.")
    missing = judging.data.table.isna()
    if missing.to_numpy().any():
        ax = missing_map(~missing, ax=new_axes(9.4, min(3.6, 1.2 + 0.14 * judging.data.table.shape[1])))
        ax.set(xlabel="Rows, fullest first", ylabel="Columns, fullest first")
        ax.set_title(
            f"{missing.to_numpy().mean():.1%} of {missing.size:,} values are missing",
            loc="left",
            size=10,
            fontweight="normal",
        )
        most = missing.mean().sort_values(ascending=False, kind="stable")
        gaps = ", ".join(f"{name} ({share:.1%})" for name, share in most[most > 0].iloc[:5].items())
        page.figure(ax, f"Dark: a value is there. The columns with the largest gaps: {gaps}.")
    else:
        page.text("No value is missing.")
    numbers = judging.data.table.select_dtypes("number")
    if len(judging.data.goal.classes) <= 2:
        numbers = numbers.assign(**{judging.data.target: judging.data.y})
    if numbers.nunique().gt(1).sum() >= 2:
        ax = correlation_map(numbers, target=judging.data.target, seed=judging.seed)
        page.figure(ax, "Spearman's correlations of the numbers, the target in bold. Grey: not defined.")


def _audit(page: Report, audit: Audit) -> None:
    page.section("Leakage audit", "Columns that give the target away and rows that stand twice, looked for before "
                   "anything was fitted.")  # fmt: skip
    found = [("allowed leak" if f.severity == "leak" else f.severity, f.kind, f.what) for f in audit.findings]
    if found:
        page.table(pd.DataFrame(found, columns=["Severity", "Kind", "What was found"]))
    else:
        looked = ", ".join(f"{name}: {count:,}" for name, count in audit.checks.items())
        page.text(f"Nothing was found ({looked}).")
