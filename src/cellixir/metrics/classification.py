"""Metrics of two classes: how well probabilities tell them apart, and how well calibrated they are.

``y`` holds labels, 1 (sensitive) or 0, and ``p`` the probability of 1, both shape ``(n,)``. A value that a table
without one of the classes does not define is NaN: never 0, never 0.5. Everything costs one sort or less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.metrics import precision_recall_curve, roc_curve

from cellixir.exceptions import InvalidValues
from cellixir.metrics.ranked import Ranked
from cellixir.metrics.regression import group_sums

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

THRESHOLD = 0.5
N_BINS = 15  # of the calibration error (Guo et al., ICML 2017)
N_POINTS = 400  # of a curve: more cannot be seen
CLASS_METRICS = (
    "auroc", "auprc", "balanced_accuracy", "accuracy", "precision", "recall", "f1", "matthews", "brier", "log_loss",
    "calibration_error",
)  # fmt: skip


def class_score(y: ArrayLike, p: ArrayLike, *, strata: ArrayLike | None = None) -> dict[str, float]:
    """Every metric of ``CLASS_METRICS``, by name; classes are called at probability 0.5.

    Raises
    ------
    InvalidValues
        If a label is not 0 or 1, or a probability is not a number between 0 and 1.
    """
    labels, probabilities = checked_probabilities(y, p)
    ranked = Ranked(labels, probabilities, strata)
    area, precision = ranked.areas(np.ones(1))
    called = {name: float(v) for name, v in class_rates(*confusion_matrix(labels, probabilities).ravel()).items()}
    values = called | {
        "auroc": area,
        "auprc": precision,
        "brier": brier(labels, probabilities),
        "log_loss": log_loss(labels, probabilities),
        "calibration_error": calibration_error(labels, probabilities),
    }
    return {name: values[name] for name in CLASS_METRICS}


def auroc(y: ArrayLike, p: ArrayLike, *, strata: ArrayLike | None = None) -> float:
    """Share of (1, 0) pairs in which the 1 has the higher score, ties count half; NaN if a class has no member.

    With ``strata`` (the folds of a cross-validation), only pairs within a stratum are compared: scores of different
    folds come from different models, and a base rate learned without a fold runs against the rate in it.

    >>> auroc([1, 1, 0, 0], [0.9, 0.4, 0.4, 0.1])
    0.875
    """
    return Ranked(*_scores(y, p), strata).areas(np.ones(1))[0]


def auprc(y: ArrayLike, p: ArrayLike, *, strata: ArrayLike | None = None) -> float:
    """Average precision: mean over the 1s of the precision at their score; NaN if a class has no member.

    A score that says nothing reaches the share of 1s. With ``strata``, the mean of their average precisions, each
    weighed by its number of 1s.
    """
    return Ranked(*_scores(y, p), strata).areas(np.ones(1))[1]


def auroc_within(y: ArrayLike, p: ArrayLike, code: ArrayLike, n_groups: int, *, min_members: int = 1) -> Floats:
    """AUROC within each group, shape ``(n_groups,)``; NaN for a group with fewer than ``min_members`` of a class."""
    labels, scores = _scores(y, p)
    groups = np.asarray(code)
    area = np.full(n_groups, np.nan)
    concordant, ones, zeros, _ = Ranked(labels, scores, groups).sums(np.ones(1))
    defined = (ones >= min_members) & (zeros >= min_members) & (ones * zeros > 0)
    area[np.unique(groups)[defined]] = concordant[defined] / (ones * zeros)[defined]
    return area


def mean_within_auroc(y: ArrayLike, p: ArrayLike, groups: ArrayLike, *, min_members: int = 1) -> float:
    """Mean AUROC over the groups (a drug, a cell line) that hold both classes; NaN if none does."""
    values, code = np.unique(np.asarray(groups), return_inverse=True)
    within = auroc_within(y, p, code, len(values), min_members=min_members)
    return float(np.nanmean(within)) if np.isfinite(within).any() else float("nan")


def f1(y: ArrayLike, p: ArrayLike, *, threshold: float = THRESHOLD) -> float:
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); NaN if there is no 1 and none is called."""
    return _rate("f1", y, p, threshold)


def brier(y: ArrayLike, p: ArrayLike) -> float:
    """Mean squared distance of probability and label; the share of 1s, pi, told to every row gives pi (1 - pi)."""
    labels, probabilities = checked_probabilities(y, p)
    return float(np.mean(np.square(labels - probabilities))) if len(labels) else float("nan")


def log_loss(y: ArrayLike, p: ArrayLike) -> float:
    """Mean of -log(probability of the label that came true), in nats.

    Probabilities are held 2.2e-16 away from 0 and 1 (as in scikit-learn), so a sure and wrong one costs 36.
    """
    labels, probabilities = checked_probabilities(y, p)
    eps = np.finfo(np.float64).eps
    right = np.clip(np.where(labels == 1, probabilities, 1 - probabilities), eps, 1 - eps)
    return float(-np.mean(np.log(right))) if len(labels) else float("nan")


def calibration_error(y: ArrayLike, p: ArrayLike, *, n_bins: int = N_BINS) -> float:
    """Expected calibration error: mean over rows of abs(share of 1s - mean probability) of their bin.

    The bins divide 0 to 1 evenly (Guo et al., ICML 2017).
    """
    labels, probabilities = checked_probabilities(y, p)
    if not len(labels):
        return float("nan")
    code = np.minimum((probabilities * n_bins).astype(np.int64), n_bins - 1)
    gap = np.bincount(code, labels - probabilities, n_bins)
    return float(np.abs(gap).sum() / len(labels))


def calibration_curve(y: ArrayLike, p: ArrayLike, *, n_bins: int = 10, level: float = 0.95) -> pd.DataFrame:
    """Mean probability and share of 1s in bins of about equal size, with Wilson's intervals of the share.

    Columns ``predicted, observed, low, high, n``, lowest bin first. Equal probabilities stay in one bin, so there
    are fewer bins where many are equal. Wilson's interval (JASA 22:209, 1927) takes rows as independent.
    """
    labels, probabilities = checked_probabilities(y, p)
    if not len(labels):
        return pd.DataFrame(columns=["predicted", "observed", "low", "high", "n"], dtype=np.float64)
    edges = np.unique(np.quantile(probabilities, np.arange(1, n_bins) / n_bins))
    _, code = np.unique(np.searchsorted(edges, probabilities, side="left"), return_inverse=True)
    sums = group_sums(np.stack([probabilities, labels, np.ones_like(labels)], 1), code, int(code.max()) + 1)
    predicted, ones, n = sums.T
    low, high = wilson(ones, n, level=level)
    return pd.DataFrame(
        {"predicted": predicted / n, "observed": ones / n, "low": low, "high": high, "n": n.astype(np.int64)}
    )


def wilson(ones: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """Ends of Wilson's score interval of a share, ``ones`` out of ``n``."""
    k, size = np.asarray(ones, dtype=np.float64), np.asarray(n, dtype=np.float64)
    z = float(norm.ppf((1 + level) / 2))
    centre = (k + z**2 / 2) / (size + z**2)
    half = z / (size + z**2) * np.sqrt(k * (size - k) / size + z**2 / 4)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def confusion_matrix(y: ArrayLike, p: ArrayLike, *, threshold: float = THRESHOLD) -> NDArray[np.int64]:
    """Counts ``[[TN, FP], [FN, TP]]``: a row is the label, a column what was called at ``threshold``."""
    labels, scores = _scores(y, p)
    cell = 2 * labels.astype(np.int64) + (scores >= threshold)
    return np.bincount(cell, minlength=4).reshape(2, 2).astype(np.int64)


def best_f1(y: ArrayLike, p: ArrayLike) -> tuple[float, float]:
    """Largest F1 over all thresholds, and the threshold; NaN without a 1. Looked up on the rows it is judged by."""
    labels, scores = _scores(y, p)
    ones = float(labels.sum())
    if ones == 0:
        return float("nan"), float("nan")
    order = np.argsort(-scores, kind="stable")
    hits, called = np.cumsum(labels[order]), np.arange(1, len(order) + 1)
    last = np.append(np.diff(scores[order]) != 0, True)  # a threshold takes all rows of equal score
    value = np.where(last, 2 * hits / (called + ones), -1.0)
    at = int(np.argmax(value))
    return float(value[at]), float(scores[order][at])


def roc_points(y: ArrayLike, p: ArrayLike, *, n_points: int = N_POINTS) -> pd.DataFrame:
    """ROC curve, columns ``false_positive_rate, true_positive_rate, threshold``; no row if a class has no member.

    Corners nearer to each other than about ``2 / n_points`` are left out; both ends stay.
    """
    labels, scores = _scores(y, p)
    if len(np.unique(labels)) < 2:
        return pd.DataFrame(columns=["false_positive_rate", "true_positive_rate", "threshold"], dtype=np.float64)
    fpr, tpr, threshold = roc_curve(labels, scores)
    kept = _spread(fpr + tpr, n_points)
    return pd.DataFrame(
        {"false_positive_rate": fpr[kept], "true_positive_rate": tpr[kept], "threshold": threshold[kept]}
    )


def pr_points(y: ArrayLike, p: ArrayLike, *, n_points: int = N_POINTS) -> pd.DataFrame:
    """Precision at rising recall, columns ``recall, precision, threshold``; no row if a class has no member.

    The curve is a staircase: a precision holds from the recall before up to its own. It starts at recall 0 with the
    precision of the highest scores, not at the precision of 1 that no score reached.
    """
    labels, scores = _scores(y, p)
    if len(np.unique(labels)) < 2:
        return pd.DataFrame(columns=["recall", "precision", "threshold"], dtype=np.float64)
    share, found, threshold = precision_recall_curve(labels, scores, drop_intermediate=True)
    share, found, threshold = share[::-1].copy(), found[::-1], np.append(threshold, np.inf)[::-1]
    share[0] = share[1]
    kept = _spread(found, n_points)
    return pd.DataFrame({"recall": found[kept], "precision": share[kept], "threshold": threshold[kept]})


def class_rates(tn: NDArray[Any], fp: NDArray[Any], fn: NDArray[Any], tp: NDArray[Any]) -> dict[str, Floats]:
    """Metrics of counts (or weights), NaN where a denominator is 0."""
    tn, fp, fn, tp = (np.asarray(v, dtype=np.float64) for v in (tn, fp, fn, tp))
    ones, zeros, called, passed = tp + fn, tn + fp, tp + fp, tn + fn
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "accuracy": (tp + tn) / (ones + zeros),
            "balanced_accuracy": (tp / ones + tn / zeros) / 2,
            "precision": tp / called,
            "recall": tp / ones,
            "f1": 2 * tp / (2 * tp + fp + fn),
            "matthews": (tp * tn - fp * fn) / np.sqrt(ones * zeros * called * passed),
        }


def _rate(name: str, y: ArrayLike, p: ArrayLike, threshold: float) -> float:
    return float(class_rates(*confusion_matrix(y, p, threshold=threshold).ravel())[name])


def _spread(position: Floats, n: int) -> NDArray[np.int64]:
    """About ``n`` indices that rise evenly along ``position``, the first and the last among them."""
    if len(position) <= n:
        return np.arange(len(position))
    at = np.searchsorted(position, np.linspace(position[0], position[-1], n))
    return np.unique(np.concatenate([[0], at, [len(position) - 1]]))


def _scores(y: ArrayLike, p: ArrayLike) -> tuple[Floats, Floats]:
    """Labels and scores as arrays, checked."""
    labels, scores = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    if labels.shape != scores.shape or labels.ndim != 1:
        message = f"labels have the shape {labels.shape}, scores {scores.shape}; give one of each a row"
        raise InvalidValues(message)
    wrong = np.flatnonzero((labels != 0) & (labels != 1))
    if len(wrong):
        message = f"label {labels[wrong[0]]:g} in row {wrong[0]} is neither 0 nor 1 ({len(wrong):,} such rows)"
        raise InvalidValues(message)
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        message = f"score {scores[wrong[0]]} in row {wrong[0]} is not a finite number ({len(wrong):,} such rows)"
        raise InvalidValues(message)
    return labels, scores


def checked_probabilities(y: ArrayLike, p: ArrayLike) -> tuple[Floats, Floats]:
    """Labels and probabilities as arrays, checked.

    Raises
    ------
    InvalidValues
        If a label is not 0 or 1, or a probability is not a number between 0 and 1.
    """
    labels, scores = _scores(y, p)
    wrong = np.flatnonzero((scores < 0) | (scores > 1))
    if len(wrong):
        message = (
            f"{scores[wrong[0]]:g} in row {wrong[0]} is not a probability ({len(wrong):,} such rows); "
            f"clip predictions to 0 and 1 first"
        )
        raise InvalidValues(message)
    return labels, scores
