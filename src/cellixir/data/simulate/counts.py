"""Gamma-Poisson counts, which are negative binomial: the variance is ``mean + dispersion mean²``."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def gamma_poisson(mean: Floats, dispersions: Floats, rng: Generator) -> NDArray[np.int64]:
    """Counts of rows x genes with these means; dispersions are by gene."""
    return rng.poisson(rng.standard_gamma(1 / dispersions, mean.shape) * dispersions * mean)


def detected(mean: Floats, dispersions: Floats) -> Floats:
    """Probability that a count is above zero, ``1 - (1 + dispersion mean) ** (-1 / dispersion)``."""
    return np.asarray(1 - np.exp(-np.log1p(dispersions * mean) / dispersions))


def compact(counts: NDArray[np.float32]) -> NDArray[np.float32] | sp.csr_matrix:
    """The same counts, CSR where most are zero."""
    return counts if 2 * np.count_nonzero(counts) >= counts.size else sp.csr_matrix(counts)
