"""Page of a table's benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cellixir.data.audit.findings import Audit
from cellixir.figures.correlation import correlation_map
from cellixir.figures.missing import missing_map
from cellixir.figures.style import new_axes, shortened
from cellixir.metrics import classification as class_metrics
from cellixir.report.classes import Told, Wording, calibration_section, confusion_section, curves_section
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
from cellixir.runs import Leaderboard
from cellixir.tables.goal import Floats
from cellixir.tables.scores import CLASS_METRICS, Judging

MOST_CURVES = 6
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
    label, groups = shortened(judging.data.target), judging.data.groups
    caption = f"Every row, predicted by the {model} of the fold that left it out."
    observed_section(page, y, p, label=label, caption=caption)
    many = groups is not None and 2 <= groups.nunique() <= len(y) / 3
    residuals_section(page, y, p, label=label, model=model, groups=best["group"] if many else None)
    if "low" in best:
        page.text(_intervals(judging, best, (best["high"] - best["low"]).to_numpy(float)))


def _classes(page: Report, judging: Judging, board: Leaderboard, predictions: pd.DataFrame, best: pd.DataFrame) -> None:
    data, model = judging.data, str(best["model"].iloc[0])
    names = list(data.goal.classes)
    counts = np.zeros((len(names), len(names)))
    np.add.at(counts, (data.y.astype(int), pd.Categorical(best["predicted"], categories=names).codes), 1.0)
    caption = f"{model}: the class with the highest probability is called."
    confusion_section(page, counts, [shortened(name, 14) for name in names], caption)
    page.table(_per_class(judging, best, counts), f"Each class against all others, {model}", collapsed=len(names) == 2)
    two = len(names) == 2
    what = f"'{shortened(names[1], 20)}'" if two else "the class"
    words = Wording(what, f"rows of {what}", "other rows", "rows")
    told = _of_models(judging, board, predictions) if two else _of_classes(judging, best)
    who = "The best model of each kind" if two else f"{model}, the {len(told)} largest classes"
    text = f"{who}, over the rows of all folds at once; areas in the legends are within folds."
    curves_section(page, told, words, text=text, precision=two)
    calibration_section(page, told, words)


def _of_models(judging: Judging, board: Leaderboard, predictions: pd.DataFrame) -> dict[str, Told]:
    """Curves of the best model of each kind, for the second of two classes."""
    column = f"probability_{judging.data.goal.classes[1]}"
    told = {}
    for model, kind in board.ranked.drop_duplicates("kind")[["model", "kind"]].itertuples(index=False):
        p, row = predictions.loc[predictions["model"] == model, column].to_numpy(float), board.numbers(model)
        told[model] = Told(judging.data.y, p, row["auroc"], row["auprc"], kind)
    return told


def _of_classes(judging: Judging, best: pd.DataFrame) -> dict[str, Told]:
    """Curves of the largest classes, each against all others, for the best model."""
    data, told = judging.data, {}
    order = np.argsort(-np.bincount(data.y.astype(int), minlength=data.goal.width), kind="stable")
    for i in order[:MOST_CURVES]:
        name = data.goal.classes[i]
        y, p = (data.y == i).astype(float), best[f"probability_{name}"].to_numpy(float)
        auroc, auprc = (area(y, p, strata=judging.fold_of) for area in (class_metrics.auroc, class_metrics.auprc))
        told[name] = Told(y, p, auroc, auprc)
    return told


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


def _per_class(judging: Judging, best: pd.DataFrame, counts: Floats) -> pd.DataFrame:
    right, rows, columns = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    areas = [
        class_metrics.auroc(judging.data.y == i, best[f"probability_{name}"], strata=judging.fold_of)
        for i, name in enumerate(judging.data.goal.classes)
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        columns_of = {"Precision": right / columns, "Recall": right / rows, "F1": 2 * right / (rows + columns)}
    return pd.DataFrame({"Class": judging.data.goal.classes, "Rows": rows.astype(int), **columns_of, "AUROC": areas})


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
