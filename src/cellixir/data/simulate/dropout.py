"""Logistic dropout: counts that a cell loses, the more of them the lower their mean.

With the steepness ``k`` and the midpoint ``x`` (Splatter: Zappia et al., Genome Biology 18:174, 2017, whose
``dropout.shape`` is ``-k`` and ``dropout.mid`` is ``x``)::

    P(lost | mean) = 1 / (1 + exp(k (ln(mean) - x)))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import expit

from cellixir.data.simulate.counts import Floats, detected


@dataclass(frozen=True)
class Dropout:
    """Loss of counts; at a mean of ``exp(midpoint)`` half of them are lost.

    >>> Dropout(midpoint=0.0, steepness=1.0).probability(np.array([1 / 3, 1, 3])).round(3).tolist()
    [0.75, 0.5, 0.25]
    """

    midpoint: float
    steepness: float

    def probability(self, mean: Floats) -> Floats:
        """Probability that a count with this expectation is lost."""
        log = np.log(np.maximum(mean, np.finfo(np.float64).tiny))
        return np.asarray(expit(-self.steepness * (log - self.midpoint)))

    def share(self, mean: Floats, dispersions: Floats) -> float:
        """Expected share of the gamma-Poisson counts above zero that is lost."""
        there = detected(mean, dispersions)
        return float(np.sum(there * self.probability(mean)) / max(np.sum(there), np.finfo(np.float64).tiny))

    def lose(self, counts: sp.csr_matrix, mean: Floats, rng: Generator) -> tuple[sp.csr_matrix, NDArray[np.int64]]:
        """Counts that are left, and the number of values that each cell has lost."""
        cell = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        kept = rng.random(counts.nnz) >= self.probability(mean[cell, counts.indices])
        n_kept = np.bincount(cell[kept], minlength=counts.shape[0])
        indptr = np.append(0, np.cumsum(n_kept)).astype(counts.indptr.dtype)
        left = sp.csr_matrix((counts.data[kept], counts.indices[kept], indptr), counts.shape)
        return left, np.diff(counts.indptr).astype(np.int64) - n_kept


def dropout_of(share: float, mean: Floats, dispersions: Floats, steepness: float) -> Dropout:
    """Dropout that loses this share of the gamma-Poisson counts above zero, above 0 and below 1."""
    log = np.log(np.maximum(mean, np.finfo(np.float64).tiny))
    span = 40 / steepness  # a logistic curve is 0 or 1 that far from its midpoint
    midpoint = _bisect(
        lambda x: Dropout(x, steepness).share(mean, dispersions),
        share,
        float(log.min()) - span,
        float(log.max()) + span,
    )
    return Dropout(float(midpoint), steepness)


def _bisect(rising: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Where a rising function takes the value that is wanted, between ``low`` and ``high``.

    >>> round(_bisect(lambda x: x**2, 2.0, 0.0, 4.0), 6)
    1.414214
    """
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return middle
