"""Errors and correlations of predictions.

``y`` is observed, ``p`` predicted, both shape ``(n,)``; every function is one pass and holds a few
temporaries of that size. Undefined values (no variance, fewer than two points) are NaN, never 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray


def mse(y: ArrayLike, p: ArrayLike) -> float:
    """Mean squared error, mean((y - p)^2).

    >>> mse([1, 2, 3], [1, 2, 5])
    1.3333333333333333
    """
    return float(np.mean(np.square(np.subtract(y, p))))


def rmse(y: ArrayLike, p: ArrayLike) -> float:
    """Root of the mean squared error, in the unit of the response."""
    return float(np.sqrt(mse(y, p)))


def mae(y: ArrayLike, p: ArrayLike) -> float:
    """Mean absolute error, mean(abs(y - p))."""
    return float(np.mean(np.abs(np.subtract(y, p))))


def r2(y: ArrayLike, p: ArrayLike) -> float:
    """Coefficient of determination, 1 - sum((y - p)^2) / sum((y - mean(y))^2); below 0 is worse than the mean.

    >>> r2([1, 2, 3], [2, 2, 2])
    0.0
    """
    variance = float(np.var(np.asarray(y, dtype=np.float64)))
    return 1.0 - mse(y, p) / variance if variance > 0 else float("nan")


def pearson(y: ArrayLike, p: ArrayLike) -> float:
    """Pearson's correlation; NaN if either side is constant."""
    a = np.asarray(y, dtype=np.float64)
    b = np.asarray(p, dtype=np.float64)
    if len(a) < 2:
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt(a @ a) * np.sqrt(b @ b)
    # a constant prediction leaves rounding noise of about 1e-16 per entry behind
    tiny = len(a) * (np.finfo(np.float64).eps * max(1.0, float(np.abs(p).max()))) ** 2
    return float(a @ b / norm) if norm > 0 and b @ b > tiny else float("nan")


def spearman(y: ArrayLike, p: ArrayLike) -> float:
    """Spearman's rank correlation: Pearson's of average ranks.

    >>> round(spearman([1, 2, 3, 4], [1, 10, 100, 1000]), 12)
    1.0
    """
    return pearson(rankdata(y), rankdata(p))


METRICS: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "rmse": rmse,
    "mse": mse,
    "mae": mae,
    "r2": r2,
    "pearson": pearson,
    "spearman": spearman,
}


def score(y: ArrayLike, p: ArrayLike) -> dict[str, float]:
    """All metrics of this file, by name."""
    return {name: metric(y, p) for name, metric in METRICS.items()}


def normalised(y: ArrayLike, p: ArrayLike, mean_effects: ArrayLike) -> dict[str, float]:
    """Metrics after the mean-effects prediction is subtracted from both sides, names ``normalised_*``.

    Most of the variance of drug response is between drugs; what is left after the naive mean-effects
    prediction is what a model has learned about a sample (DrEval, Nat Commun 2026 17:4238).
    """
    expected = np.asarray(mean_effects, dtype=np.float64)
    values = score(np.subtract(y, expected), np.subtract(p, expected))
    return {f"normalised_{name}": value for name, value in values.items()}


def mean_within(y: ArrayLike, p: ArrayLike, groups: ArrayLike, *, min_size: int = 5) -> float:
    """Mean over groups of Pearson's correlation within the group; NaN where no group has one."""
    values, code = np.unique(np.asarray(groups), return_inverse=True)
    within = pearson_within(y, p, code, len(values), min_size=min_size)
    return float(np.nanmean(within)) if np.isfinite(within).any() else float("nan")


def pearson_within(
    y: ArrayLike, p: ArrayLike, code: NDArray[np.integer[Any]], n_groups: int, *, min_size: int = 5
) -> NDArray[np.float64]:
    """Pearson's correlation within each group, shape ``(n_groups,)``.

    NaN for a group with fewer than ``min_size`` values or without variance on a side. Sums are taken for all groups
    at once: O(n) time, a few arrays of the number of groups.
    """
    a, b = (np.asarray(v, dtype=np.float64) for v in (y, p))
    n = np.bincount(code, minlength=n_groups)
    # the mean of a constant prediction is off by up to n roundings, which must not pass for variance
    noise = (np.finfo(np.float64).eps * max(1.0, float(np.abs(b).max(initial=0.0))) * n) ** 2
    a, b = (v - (np.bincount(code, v, n_groups) / np.maximum(n, 1))[code] for v in (a, b))
    cross, aa, bb = group_sums(np.stack([a * b, a * a, b * b], axis=1), code, n_groups).T
    defined = (n >= min_size) & (aa > 0) & (bb > n * noise)
    return np.where(defined, cross / np.sqrt(np.where(defined, aa * bb, 1.0)), np.nan)


def group_sums(values: NDArray[np.float64], code: NDArray[np.integer[Any]], n_groups: int) -> NDArray[np.float64]:
    """Sums of ``values`` (n, k) within each group, shape ``(n_groups, k)``."""
    return np.stack([np.bincount(code, column, minlength=n_groups) for column in values.T], axis=1)
