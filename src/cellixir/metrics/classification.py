"""How well probabilities tell two classes apart, and how far they can be taken at their word.

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
from cellixir.metrics.intervals import N_BOOTSTRAP, Interval, bootstrap_weights
from cellixir.metrics.intervals import _interval as interval_of_draws
from cellixir.metrics.regression import group_sums

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    labels, probabilities = _probabilities(y, p)
    ranked = Ranked(labels, probabilities, strata)
    area, precision = ranked.areas(np.ones(1))
    called = {name: float(v) for name, v in _rates(*confusion_matrix(labels, probabilities).ravel()).items()}
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


def accuracy(y: ArrayLike, p: ArrayLike, *, threshold: float = THRESHOLD) -> float:
    """Share of rows called right; a row is called 1 when its probability is at least ``threshold``."""
    return _rate("accuracy", y, p, threshold)


def balanced_accuracy(y: ArrayLike, p: ArrayLike, *, threshold: float = THRESHOLD) -> float:
    """Mean of the shares of 1s and of 0s called right; NaN if a class has no member."""
    return _rate("balanced_accuracy", y, p, threshold)


def precision(y: ArrayLike, p: ArrayLike, *, threshold: float = THRESHOLD) -> float:
    """Share of 1s among the rows called 1; NaN if none is."""
    return _rate("precision", y, p, threshold)


def recall(y: ArrayLike, p: ArrayLike, *, threshold: float = THRESHOLD) -> float:
    """Share of the 1s that are called 1; NaN if there is no 1."""
    return _rate("recall", y, p, threshold)


def f1(y: ArrayLike, p: ArrayLike, *, threshold: float = THRESHOLD) -> float:
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); NaN if there is no 1 and none is called."""
    return _rate("f1", y, p, threshold)


def matthews(y: ArrayLike, p: ArrayLike, *, threshold: float = THRESHOLD) -> float:
    """Matthews' correlation of labels and calls; NaN if either is constant."""
    return _rate("matthews", y, p, threshold)


def brier(y: ArrayLike, p: ArrayLike) -> float:
    """Mean squared distance of probability and label; the share of 1s, pi, told to every row gives pi (1 - pi)."""
    labels, probabilities = _probabilities(y, p)
    return float(np.mean(np.square(labels - probabilities))) if len(labels) else float("nan")


def log_loss(y: ArrayLike, p: ArrayLike) -> float:
    """Mean of -log(probability of the label that came true), in nats.

    Probabilities are held 2.2e-16 away from 0 and 1 (as in scikit-learn), so a sure and wrong one costs 36.
    """
    labels, probabilities = _probabilities(y, p)
    eps = np.finfo(np.float64).eps
    right = np.clip(np.where(labels == 1, probabilities, 1 - probabilities), eps, 1 - eps)
    return float(-np.mean(np.log(right))) if len(labels) else float("nan")


def calibration_error(y: ArrayLike, p: ArrayLike, *, n_bins: int = N_BINS) -> float:
    """Expected calibration error: mean over rows of abs(share of 1s - mean probability) of their bin.

    The bins divide 0 to 1 evenly (Guo et al., ICML 2017).
    """
    labels, probabilities = _probabilities(y, p)
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
    labels, probabilities = _probabilities(y, p)
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


def class_draws(
    y: ArrayLike,
    p: ArrayLike,
    groups: ArrayLike,
    *,
    strata: ArrayLike | None = None,
    within: ArrayLike | None = None,
    n: int = N_BOOTSTRAP,
    seed: int = 0,
) -> dict[str, Floats]:
    """Metrics of ``n`` bootstrap replicates over ``groups``, shape ``(n + 1,)``; the first is that of the data.

    A replicate weighs each row by how often its group was drawn, so rows are sorted once: about 2.5 ms a replicate
    for 200,000 rows. Equal ``seed`` and ``groups`` draw the same groups: draws of two models can be subtracted.

    Parameters
    ----------
    strata
        Pairs are compared within a stratum only, as in ``auroc``.
    within
        If given, ``within_auroc`` is there too: the mean AUROC over the values of ``within`` (a drug in a fold) that
        hold both classes.

    Raises
    ------
    InvalidValues
        If there is no row, a label is not 0 or 1, or a probability is not a number between 0 and 1.
    """
    labels, probabilities = _probabilities(y, p)
    if not len(labels):
        message = "there is no row to draw from; leave the interval out"
        raise InvalidValues(message)
    _, code = np.unique(np.asarray(groups), return_inverse=True)
    sums = group_sums(_called(labels, probabilities), code, int(code.max()) + 1)
    ranked = Ranked(labels, probabilities, strata, code)
    inner = None if within is None else Ranked(labels, probabilities, within, code)
    blocks = []
    for weights in _with_data(len(sums), n, seed):
        total = weights @ sums
        block = _rates(*total[:, :4].T) | {"brier": total[:, 4] / total[:, :4].sum(axis=1)}
        areas = np.array([ranked.areas(w) for w in weights])
        block |= {"auroc": areas[:, 0], "auprc": areas[:, 1]}
        if inner is not None:
            block["within_auroc"] = np.array([inner.mean_area(w) for w in weights])
        blocks.append(block)
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def class_intervals(
    y: ArrayLike,
    p: ArrayLike,
    groups: ArrayLike,
    *,
    strata: ArrayLike | None = None,
    level: float = 0.95,
    n: int = N_BOOTSTRAP,
    seed: int = 0,
) -> dict[str, Interval]:
    """AUROC, AUPRC, balanced accuracy and the other rates, each with its bootstrap interval over ``groups``."""
    draws = class_draws(y, p, groups, strata=strata, n=n, seed=seed)
    return {name: interval_of(values, level=level) for name, values in draws.items()}


def paired_auroc_difference(
    y: ArrayLike,
    p: ArrayLike,
    reference: ArrayLike,
    groups: ArrayLike,
    *,
    strata: ArrayLike | None = None,
    level: float = 0.95,
    n: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Interval:
    """AUROC of ``p`` less AUROC of ``reference``, both judged on the same drawn groups. Above 0: ``p`` is better."""
    one, other = (class_draws(y, v, groups, strata=strata, n=n, seed=seed)["auroc"] for v in (p, reference))
    return interval_of(one - other, level=level)


def interval_of(draws: Floats, *, level: float = 0.95) -> Interval:
    """The value and the percentile interval of what ``class_draws`` gives for a metric."""
    return interval_of_draws(float(draws[0]), draws[1:], level)


class Ranked:
    """Rows sorted by stratum and falling score, so that areas under curves are sums for any weights.

    Parameters
    ----------
    y, score
        Labels and scores, shape ``(n,)``.
    strata
        Rows of different strata are not compared; None: one stratum.
    unit
        Whose weight a row has, a code from 0; None: all rows that of unit 0.
    """

    def __init__(
        self, y: Floats, score: Floats, strata: ArrayLike | None = None, unit: NDArray[np.integer[Any]] | None = None
    ) -> None:
        stratum = np.zeros(len(y), dtype=np.int64)
        if strata is not None:
            stratum = np.unique(np.asarray(strata), return_inverse=True)[1]
        order = np.lexsort((-score, stratum)) if strata is not None else np.argsort(-score, kind="stable")
        self.unit = np.zeros(len(y), dtype=np.int64) if unit is None else unit[order]
        self.ones = np.flatnonzero(y[order] == 1)
        new = np.diff(stratum[order], prepend=-1) != 0
        self.bounds = np.append(np.flatnonzero(new), len(y))
        run = new | np.append(True, np.diff(score[order]) != 0)[: len(y)]  # where a run of equal scores begins
        starts = np.append(np.flatnonzero(run), len(y))
        which = (np.cumsum(run) - 1)[self.ones]
        # of each 1: rows before its stratum, before its run, to the end of its run; then the same in 1s
        rows = (self.bounds[(np.cumsum(new) - 1)[self.ones]], starts[which], starts[which + 1])
        self.rows = rows
        self.among_ones = tuple(np.searchsorted(self.ones, at) for at in (*rows, self.bounds))
        self.tied = bool((rows[2] - rows[1] > 1).any())

    def sums(self, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Weights of concordant pairs, of 1s and of 0s, and the sum of precisions over 1s, each ``(n_strata,)``.

        ``weights`` are those of the units.
        """
        w = weights[self.unit]
        own = w[self.ones]
        seen, found = _running(w), _running(own)
        before, start, end = self.rows
        first, first_of_run, last, bounds = self.among_ones
        total, hits = seen[end], found[last]  # of all rows, and of 1s, with this score or a higher one
        if len(self.bounds) > 2:
            total, hits = total - seen[before], hits - found[first]
        above = total - hits
        if self.tied:
            above = (above + (seen[start] - seen[before]) - (found[first_of_run] - found[first])) / 2
        ones = np.diff(found[bounds])
        zeros = np.diff(seen[self.bounds]) - ones
        precisions = own * hits / np.maximum(total, 1e-300)
        discordant, precise = (_sums_between(v, bounds) for v in (own * above, precisions))
        return ones * zeros - discordant, ones, zeros, precise

    def areas(self, weights: Floats) -> tuple[float, float]:
        """AUROC and average precision under ``weights`` of the units; strata count by their pairs and 1s."""
        concordant, ones, zeros, precise = self.sums(weights)
        both = ones * zeros > 0
        if not both.any():
            return float("nan"), float("nan")
        return float(concordant.sum() / (ones * zeros).sum()), float(precise[both].sum() / ones[both].sum())

    def mean_area(self, weights: Floats) -> float:
        """Mean AUROC under ``weights`` of the units over the strata that hold both classes; NaN if none does."""
        concordant, ones, zeros, _ = self.sums(weights)
        both = ones * zeros > 0
        return float(np.mean(concordant[both] / (ones * zeros)[both])) if both.any() else float("nan")


def _running(values: Floats) -> Floats:
    """Sum of the values before each place, shape ``(n + 1,)``; exact for the whole weights of a bootstrap."""
    running = np.empty(len(values) + 1)
    running[0] = 0.0
    np.cumsum(values, out=running[1:])
    return running


def _sums_between(values: Floats, bounds: NDArray[np.int64]) -> Floats:
    sums, filled = np.zeros(len(bounds) - 1), np.diff(bounds) > 0
    if filled.any():
        sums[filled] = np.add.reduceat(values, bounds[:-1][filled])
    return sums


def _with_data(n_groups: int, n: int, seed: int) -> Iterator[Floats]:
    yield np.ones((1, n_groups))
    yield from bootstrap_weights(n_groups, n, seed)


def _called(y: Floats, p: Floats) -> Floats:
    """Columns TN, FP, FN, TP and squared error of each row."""
    called = (p >= THRESHOLD).astype(np.float64)
    return np.stack([(1 - y) * (1 - called), (1 - y) * called, y * (1 - called), y * called, np.square(y - p)], axis=1)


def _rates(tn: NDArray[Any], fp: NDArray[Any], fn: NDArray[Any], tp: NDArray[Any]) -> dict[str, Floats]:
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
    return float(_rates(*confusion_matrix(y, p, threshold=threshold).ravel())[name])


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


def _probabilities(y: ArrayLike, p: ArrayLike) -> tuple[Floats, Floats]:
    labels, scores = _scores(y, p)
    wrong = np.flatnonzero((scores < 0) | (scores > 1))
    if len(wrong):
        message = (
            f"{scores[wrong[0]]:g} in row {wrong[0]} is not a probability ({len(wrong):,} such rows); "
            f"clip predictions to 0 and 1 first"
        )
        raise InvalidValues(message)
    return labels, scores
