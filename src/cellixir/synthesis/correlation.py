"""Correlation of many columns as a few factors and a remainder of each column's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.extmath import randomized_svd

from cellixir.synthesis.moments import squares_about

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Floats32 = NDArray[np.float32]

#: Largest share of a column's variance that the factors may explain.
MOST_SHARED = 0.999
#: Least share that is taken to be a column's own while factors are looked for; less would draw a factor to one column.
LEAST_ALONE = 0.1
ROUNDS = 4
#: Scores that spread less are rounding.
FLAT = 1e-6
POOLED = -1


@dataclass(frozen=True, eq=False)
class Correlation:
    """Correlation within combinations: ``R = W W' + diag(1 - |w|²)``.

    There is one ``W`` for all combinations, and one more for each that has enough samples. Its correlation is
    ``a R_own + (1 - a) R_pooled`` with ``a = n / (n + pooling)``.

    Attributes
    ----------
    loadings
        ``W`` by code, shape ``(width, rank)``; the pooled one is -1.
    weight
        ``a`` of each combination.
    """

    loadings: dict[int, Floats32]
    weight: Floats

    @classmethod
    def learn(
        cls,
        scores: Floats32,
        codes: NDArray[np.int64],
        *,
        rank: int,
        pooling: int,
        seed: int,
        variance: NDArray[np.floating] | None = None,
    ) -> Self:
        """Learn from scores with mean 0 within each combination.

        Parameters
        ----------
        scores
            Shape ``(n_samples, width)``.
        rank
            Most factors.
        pooling
            Samples that the pooled correlation counts for; combinations with fewer have none of their own.
        variance
            Of each column's score, where scores are what is left of normal ones of variance 1 when values are tied:
            correlations are then those of the normal scores. See `factors`.
        """
        counts = np.bincount(codes)
        own = [] if len(counts) == 1 else [int(code) for code in np.flatnonzero(counts >= pooling)]
        free = len(scores) - len(counts)
        loadings = {POOLED: factors(scores, free, rank, seed, variance)}
        for code in own:
            loadings[code] = factors(scores[codes == code], int(counts[code]) - 1, rank, seed, variance)
        weight = np.zeros(len(counts))
        weight[own] = counts[own] / (counts[own] + pooling)
        return cls(loadings, weight)

    def draw(self, codes: NDArray[np.int64], rng: np.random.Generator) -> Floats32:
        """Normal scores of new samples, each of variance 1, shape ``(n, width)``."""
        found = _draw(self.loadings[POOLED], len(codes), rng)
        found *= np.sqrt(1 - self.weight[codes]).astype(np.float32)[:, None]
        for code in sorted(set(self.loadings) & set(codes.tolist())):
            rows = np.flatnonzero(codes == code)
            found[rows] += np.float32(np.sqrt(self.weight[code])) * _draw(self.loadings[code], len(rows), rng)
        return found

    def matrix(self, code: int) -> Floats32:
        """Correlation within a combination, written out, shape ``(width, width)``."""
        share = self.weight[code]
        found = (1 - share) * _written_out(self.loadings[POOLED])
        return np.asarray(found + share * _written_out(self.loadings[code]) if share else found, dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays."""
        return {"weight": self.weight} | {f"loadings/{code}": array for code, array in self.loadings.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild what `arrays` said."""
        loadings = {int(name.split("/")[1]): array for name, array in arrays.items() if name.startswith("loadings/")}
        return cls(loadings, arrays["weight"])


def factors(
    scores: Floats32, free: int, rank: int, seed: int, variance: NDArray[np.floating] | None = None
) -> Floats32:
    """Loadings ``W`` of standardised scores, shape ``(width, rank)``; fewer columns where there are fewer samples.

    Maximum-likelihood factor analysis, but for the noise: principal components of the scores, each column divided by
    the root of what is its own, that stand out from noise, less the mean of the other eigenvalues that are not zero by
    force. With more samples than columns the first round is probabilistic PCA (Tipping and Bishop, J. R. Stat. Soc. B
    1999); with fewer it also takes away what the leading components gain from chance.

    Parameters
    ----------
    free
        Degrees of freedom of the scores.
    variance
        Where scores are the means of normal scores over ties, that of each column, ``v``. To first order their
        covariance is ``ρ v_i v_j``, so that ``w`` is divided by ``√v`` once the scores have variance 1.
    """
    nothing = np.zeros(scores.shape[1])
    spread = np.sqrt(squares_about(scores, nothing) / free) if free > 0 else nothing
    varies = spread > FLAT
    weighted = np.empty_like(scores)
    rank = min(rank, free - 1, scores.shape[1] - 1)
    if rank < 1:
        return np.zeros((scores.shape[1], 1), dtype=np.float32)
    found, alone, strength = np.zeros((scores.shape[1], rank)), np.ones(scores.shape[1]), np.zeros(rank)
    for _ in range(ROUNDS):
        unit = np.where(varies, spread * np.sqrt(alone), np.inf).astype(np.float32)
        np.divide(scores, unit, out=weighted)
        _, singular, components = randomized_svd(weighted, rank, random_state=seed)
        eigenvalues = singular.astype(np.float64) ** 2 / free
        strength = _less_noise(eigenvalues, strength > 0, float((1 / alone[varies]).sum()), free, scores.shape[1])
        found = components.T * np.sqrt(strength) * np.sqrt(alone)[:, None]
        alone = np.clip(1 - (found**2).sum(axis=1), LEAST_ALONE, 1)
    found = found[:, : max(int((strength > 0).sum()), 1)]
    if variance is not None:
        found /= np.sqrt(np.maximum(variance, np.finfo(np.float32).tiny))[:, None]
    shared = (found**2).sum(axis=1, keepdims=True)
    found *= np.sqrt(np.minimum(1, MOST_SHARED / np.maximum(shared, MOST_SHARED)))
    return np.asarray(found, dtype=np.float32)


def _less_noise(eigenvalues: Floats, kept: NDArray[np.bool_], total: float, free: int, width: int) -> Floats:
    """Leading eigenvalues less the mean of the others; zero for those that noise alone may reach.

    Noise reaches ``(1 + √(q / Q))²`` times its mean, ``q`` and ``Q`` being the smaller and the larger of the degrees
    of freedom and the columns (Marchenko and Pastur, 1967), if columns are alike: so its mean is taken beside the
    factors ``kept`` in the round before, after which columns were made alike.
    """
    places = min(free, width)
    edge = (1 + np.sqrt(places / max(free, width))) ** 2

    def noise(without: NDArray[np.bool_]) -> float:
        return max(total - float(eigenvalues[without].sum()), 0) / (places - int(without.sum()))

    factor = eigenvalues > edge * noise(kept)
    return np.where(factor, eigenvalues - noise(factor), 0)


def _draw(loadings: Floats32, n: int, rng: np.random.Generator) -> Floats32:
    width, rank = loadings.shape
    common = rng.standard_normal((n, rank), dtype=np.float32) @ loadings.T
    common += rng.standard_normal((n, width), dtype=np.float32) * np.sqrt(1 - (loadings**2).sum(axis=1))
    return common


def _written_out(loadings: Floats32) -> Floats32:
    found = loadings @ loadings.T
    np.fill_diagonal(found, 1)
    return found
