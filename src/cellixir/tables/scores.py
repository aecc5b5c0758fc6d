"""Scores of a table's models: by fold, over all folds with intervals, and the predictions themselves.

Intervals are over groups that were kept together, else over rows. A class stands for itself against all others; with
more than two classes, precision, recall, F1 and areas are means over the classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir import metrics
from cellixir.exceptions import DataError
from cellixir.metrics import class_intervals
from cellixir.metrics import classification as class_metrics
from cellixir.metrics.catalogue import CLASSIFICATION, REGRESSION
from cellixir.metrics.conformal import OVERALL, Conformal, coverage
from cellixir.metrics.intervals import N_BOOTSTRAP
from cellixir.metrics.ranked import Ranked
from cellixir.metrics.words import banded
from cellixir.runs import Leaderboard
from cellixir.tables.goal import Codes, Floats
from cellixir.tables.models import MODELS
from cellixir.tables.prepare import Prepared

Draws = dict[str, Floats]  # by metric: the value, then its bootstrap replicates
Predictions = dict[str, Floats]  # by model, shape (n_rows, width)
Bounds = dict[str, tuple[Floats, Floats]]  # by model, both ends of each row's interval
CLASS_METRICS = (
    "auroc", "auprc", "accuracy", "balanced_accuracy", "precision", "recall", "f1", "brier", "log_loss",
    "calibration_error",
)  # fmt: skip
MANY_ROWS = 20_000


@dataclass(frozen=True, eq=False)
class Judging:
    """What models are judged on: prepared rows, the fold of each, and how intervals are drawn.

    Attributes
    ----------
    fold_of
        Number of the fold that tests each row, shape ``(n_rows,)``.
    interval
        Level of prediction intervals of a regression; None: none.
    """

    data: Prepared
    fold_of: Codes
    seed: int
    interval: float | None

    @property
    def metric(self) -> str:
        """What models are ranked by."""
        return "auroc" if self.data.goal.classes else "rmse"

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return int(self.fold_of.max()) + 1

    @property
    def n_draws(self) -> int:
        """Bootstrap replicates: fewer where each costs more."""
        return 200 if len(self.data.y) > MANY_ROWS or len(self.data.goal.classes) > 2 else N_BOOTSTRAP

    def bounds(self, predictions: Predictions) -> Bounds:
        """Both ends of every prediction interval, where intervals were asked for."""
        return {n: interval_ends(self, p[:, 0]) for n, p in predictions.items()} if self.interval else {}


def by_fold(judging: Judging, predictions: Predictions, seconds: pd.DataFrame) -> pd.DataFrame:
    """One row a model and fold."""
    data = judging.data
    rows = []
    for model, p in predictions.items():
        for fold, n in enumerate(np.bincount(judging.fold_of)):
            test = judging.fold_of == fold
            if data.goal.classes:
                scores = {k: float(v[0]) for k, v in class_draws(data.y[test], p[test], np.zeros(n, int)).items()}
            else:
                scores = metrics.score(data.y[test], p[test, 0])
            sizes = {"n_train": len(data.y) - int(n), "n_test": int(n)}
            rows.append({"model": model, "kind": MODELS[model].kind, "fold": fold, **sizes, **scores})
    return pd.DataFrame(rows).merge(seconds, on=["model", "fold"], how="left")


def board_of(judging: Judging, predictions: Predictions, seconds: pd.DataFrame, bounds: Bounds) -> Leaderboard:
    """One row a model over all folds, the best first, every score with ``_low`` and ``_high``.

    ``difference`` is RMSE (AUROC) less that of ``reference``, the best naive baseline, on the same draws.
    """
    data, down = judging.data, not judging.data.goal.classes
    rows: dict[str, dict[str, Any]] = {}
    draws: dict[str, Draws] = {}
    for model, p in predictions.items():
        draws[model], found = _scores(judging, p)
        rows[model] = {"model": model, "kind": MODELS[model].kind}
        for name, interval in found.items():
            rows[model] |= banded(name, interval)
    naive = [m for m in rows if rows[m]["kind"] == "baseline"]
    if not naive:
        message = "no naive baseline has a score in every fold, so nothing can be compared; failures.csv says why"
        raise DataError(message)
    best = min(naive, key=lambda m: float(np.nan_to_num(rows[m][judging.metric] * (1 if down else -1), nan=np.inf)))
    paired = []
    for model, p in predictions.items():
        gap = metrics.Interval(np.nan)
        if model != best and down:
            other = predictions[best][:, 0]
            gap = metrics.paired_difference(data.y, p[:, 0], other, data.units, n=judging.n_draws, seed=judging.seed)
        elif model != best:
            gap = class_intervals.interval_of(draws[model]["auroc"] - draws[best]["auroc"])
        rows[model] |= {"reference": best} | banded("difference", gap)
        if model != best:
            paired.append((model, best, *gap))
        if model in bounds:
            rows[model] |= _coverage(judging, *bounds[model])
        rows[model]["seconds"] = float(seconds.loc[seconds["model"] == model, "seconds"].sum())
    table = pd.DataFrame(rows.values()).sort_values(judging.metric, ascending=down, kind="stable", ignore_index=True)
    gaps = pd.DataFrame(paired, columns=["model", "reference", f"{judging.metric}_difference", "low", "high"])
    return Leaderboard(table, gaps, judging.metric, REGRESSION if down else CLASSIFICATION)


def _scores(judging: Judging, p: Floats) -> tuple[Draws, dict[str, metrics.Interval]]:
    """Draws of a classification, and every score of a model with its interval."""
    data = judging.data
    if data.goal.classes:
        drawn = class_draws(data.y, p, data.units, strata=judging.fold_of, n=judging.n_draws, seed=judging.seed)
        return drawn, {name: class_intervals.interval_of(values) for name, values in drawn.items()}
    found = metrics.intervals(data.y, p[:, 0], data.units, n=judging.n_draws, seed=judging.seed)
    return {}, found | {"spearman": metrics.Interval(metrics.spearman(data.y, p[:, 0]))}


def interval_ends(judging: Judging, p: Floats) -> tuple[Floats, Floats]:
    """Ends of the prediction interval of each row: the errors of the other folds say how wide it is."""
    data = judging.data
    half = np.empty(len(p))
    for fold in np.unique(judging.fold_of):
        test = judging.fold_of == fold
        errors, units = (data.y - p)[~test], None if data.groups is None else data.units[~test]
        learned = Conformal.fit(errors, np.full(len(errors), "all"), units=units)
        half[test] = learned.half_width(np.full(int(test.sum()), "all"), float(judging.interval or 0.9))
    return p - half, p + half


def _coverage(judging: Judging, low: Floats, high: Floats) -> dict[str, float]:
    """Share of rows inside their interval, with its ends, and the mean width."""
    data = judging.data
    table = coverage(data.y, low, high, np.full(len(low), "all"), data.units, level=float(judging.interval or 0.9))
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


def long_table(judging: Judging, predictions: Predictions, bounds: Bounds) -> pd.DataFrame:
    """One row a model and row of the table (``row`` counts from 0), with the probability of each class, or the ends."""
    data = judging.data
    parts = []
    for model, p in predictions.items():
        told: NDArray[Any] = np.array(data.goal.classes, dtype=object)[p.argmax(1)] if data.goal.classes else p[:, 0]
        part = pd.DataFrame({"row": data.table.index, "fold": judging.fold_of.astype(np.int16), "model": model})
        if data.groups is not None:
            part["group"] = data.groups.to_numpy()
        part = part.assign(observed=data.observed, predicted=told)
        extra = {f"probability_{c}": p[:, i] for i, c in enumerate(data.goal.classes)}
        extra |= dict(zip(("low", "high"), bounds[model], strict=True)) if model in bounds else {}
        parts.append(part.assign(**extra))
    return pd.concat(parts, ignore_index=True)
