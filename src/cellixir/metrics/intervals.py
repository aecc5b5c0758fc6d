"""Bootstrap intervals over whole groups.

Pairs that share a cell line (or a drug) are not independent. So the unit that is drawn with replacement is the unit
that the split leaves out (cluster bootstrap; Field and Welsh, J R Stat Soc B 69:369, 2007). Every metric here
is a function of sums over pairs: they are taken once for each group, and a replicate only weighs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cellixir.metrics.regression import group_sums

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

N_BOOTSTRAP = 1000
_CHUNK = 32  # replicates at a time: bounds the weights at 32 x n_groups


class Interval(NamedTuple):
    """A value with the ends of its interval; NaN ends where there is none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def bootstrap_weights(n_groups: int, n: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Blocks of weights, each ``(<= 32, n_groups)``: how often a replicate draws each group."""
    rng = np.random.default_rng(seed)
    for start in range(0, n, _CHUNK):
        draws = rng.integers(0, n_groups, size=(min(_CHUNK, n - start), n_groups), dtype=np.int32)
        place = draws + n_groups * np.arange(len(draws))[:, None]  # all replicates are counted at once
        yield np.bincount(place.ravel(), minlength=draws.size).reshape(draws.shape).astype(np.float64)


def _moments(y: ArrayLike, p: ArrayLike) -> NDArray[np.float64]:
    """Columns 1, y, p, y^2, p^2, y p, (y - p)^2, abs(y - p); y and p are centred to keep digits."""
    centre = float(np.mean(np.asarray(y, dtype=np.float64)))
    a, b = np.asarray(y, dtype=np.float64) - centre, np.asarray(p, dtype=np.float64) - centre
    return np.stack([np.ones_like(a), a, b, a * a, b * b, a * b, (a - b) ** 2, np.abs(a - b)], axis=1)


def _from_sums(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Metrics from rows of weighted sums, shape ``(replicates, 8)``."""
    n, a, b, aa, bb, ab, error, absolute = sums.T
    variance_a, variance_b = aa / n - (a / n) ** 2, bb / n - (b / n) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = (ab / n - a * b / n**2) / np.sqrt(variance_a * variance_b)
        explained = 1 - (error / n) / variance_a
    correlation[variance_b <= 1e-12 * np.maximum(1.0, variance_a)] = np.nan
    return {
        "rmse": np.sqrt(error / n),
        "mse": error / n,
        "mae": absolute / n,
        "r2": explained,
        "pearson": correlation,
    }


def intervals(
    y: ArrayLike, p: ArrayLike, groups: ArrayLike, *, level: float = 0.95, n: int = N_BOOTSTRAP, seed: int = 0
) -> dict[str, Interval]:
    """RMSE, MSE, MAE, R2 and Pearson, each with its bootstrap interval over ``groups``.

    Memory: the moments, ``8 x len(y)``, and blocks of ``32 x n_groups``.
    """
    _, code = np.unique(np.asarray(groups), return_inverse=True)
    sums = group_sums(_moments(y, p), code, int(code.max()) + 1)
    drawn = [_from_sums(w @ sums) for w in bootstrap_weights(len(sums), n, seed)]
    value = _from_sums(sums.sum(axis=0, keepdims=True))
    return {
        name: interval_of_draws(float(value[name][0]), np.concatenate([block[name] for block in drawn]), level)
        for name in value
    }


def paired_difference(
    y: ArrayLike,
    p: ArrayLike,
    reference: ArrayLike,
    groups: ArrayLike,
    *,
    level: float = 0.95,
    n: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Interval:
    """RMSE of ``p`` less RMSE of ``reference``; both are judged on the same drawn groups. Below 0: ``p`` is better."""
    _, code = np.unique(np.asarray(groups), return_inverse=True)
    errors = np.stack([np.square(np.subtract(y, p)), np.square(np.subtract(y, reference)), np.ones(len(code))], 1)
    sums = group_sums(errors, code, int(code.max()) + 1)
    drawn = np.concatenate([_rmse_difference(w @ sums) for w in bootstrap_weights(len(sums), n, seed)])
    return interval_of_draws(float(_rmse_difference(sums.sum(axis=0, keepdims=True))[0]), drawn, level)


def _rmse_difference(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(sums[:, 0] / sums[:, 2]) - np.sqrt(sums[:, 1] / sums[:, 2]))


def interval_of_draws(value: float, drawn: NDArray[np.float64], level: float) -> Interval:
    """``value`` with the percentile interval of its replicates ``drawn``; those that are NaN do not count."""
    if np.isnan(value) or np.isnan(drawn).all():
        return Interval(value, float("nan"), float("nan"))
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))
