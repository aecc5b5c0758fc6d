"""Means and spreads of groups of samples, steadied where samples are few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Degrees of freedom that the pooled variance counts for, beside those of a combination's own samples.
PRIOR = 4.0
#: Values that are squared at a time.
PART = 4_000_000


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and variance of each column in each combination.

    Attributes
    ----------
    raw
        Means of the samples, shape ``(n_combinations, width)``.
    mean
        The same moved towards the mean of all samples, column by column, by the share of their spread that chance
        explains: ``τ² / (τ² + σ² / n)``, with ``τ²`` the variance between combinations beyond chance (empirical Bayes;
        Efron and Morris, J. Am. Stat. Assoc. 1973).
    variance
        Of the combination, averaged with the pooled one over their degrees of freedom (Smyth, 2004).
    """

    raw: Floats
    mean: Floats
    variance: Floats

    @classmethod
    def of(cls, table: NDArray[Any], codes: NDArray[np.int64], n_combinations: int) -> Self:
        """Moments of the rows of each code; every code must have a row."""
        counts = np.bincount(codes, minlength=n_combinations)[:, None].astype(np.float64)
        rows = [np.flatnonzero(codes == code) for code in range(n_combinations)]
        raw = np.stack([table[of].mean(axis=0, dtype=np.float64) for of in rows])
        squares = np.stack([squares_about(table[of], mean) for of, mean in zip(rows, raw, strict=True)])
        free = counts - 1
        pooled = squares.sum(axis=0) / free.sum()
        return cls(raw, _shrunken(raw, counts, pooled), (squares + PRIOR * pooled) / (free + PRIOR))


def squares_about(table: NDArray[Any], mean: Floats) -> Floats:
    """Sum of the squared distances of each column from its ``mean``, a few rows at a time."""
    found = np.zeros(table.shape[1])
    step = max(PART // table.shape[1], 1)
    for start in range(0, len(table), step):
        found += np.square(table[start : start + step] - mean, dtype=np.float64).sum(axis=0)
    return found


def _shrunken(raw: Floats, counts: Floats, within: Floats) -> Floats:
    if len(raw) == 1:
        return raw
    centre = (raw * counts).sum(axis=0) / counts.sum()
    # expected variance of the means, weighted by samples, is that between combinations plus chance
    spread = (counts * (raw - centre) ** 2).sum(axis=0) - (len(raw) - 1) * within
    between = np.maximum(spread / (counts.sum() - (counts**2).sum() / counts.sum()), 0)
    chance = within / counts
    weight = np.divide(between, between + chance, out=np.ones_like(chance), where=chance > 0)
    return np.asarray(centre + weight * (raw - centre), dtype=np.float64)
