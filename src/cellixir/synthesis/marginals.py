"""What values a gene has, as quantiles of the samples themselves, and the way from values to normal scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from cellixir.synthesis.moments import Moments
from cellixir.synthesis.representation import BOUNDED, round_at_random, skewed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Genes at a time: keeps what is sorted and ranked in the cache, and small.
GENES = 256
POOLED = -1
#: Scales of whole numbers: a value is drawn as it is, not between two neighbours.
WHOLE = ("counts", "binary")
LOGARITHMIC = ("log2_tpm", "log1p_cpm")
#: How far a value that was shifted, or multiplied, may leave the range of its gene in training, as a share of that
#: range: twice the highest count is one more on a log2 scale that spans ten.
SHIFTED, MULTIPLIED = 0.1, 1.0


@dataclass(frozen=True, eq=False)
class Marginals:
    """Empirical distribution of each gene in each combination.

    A combination with enough samples has its own. Of the others each gene has the pooled one, moved to the
    combination's mean: linear values are multiplied, logarithms shifted; what is at the lowest value, such as zero,
    stays there. Nothing leaves the range of its gene in training by more than ``SHIFTED`` or ``MULTIPLIED`` of it.

    Attributes
    ----------
    quantiles
        Sorted values by code, shape ``(n_quantiles, n_genes)``; the pooled one is -1. Where samples are more than
        quantiles, means of neighbours, so that the mean of the gene is kept.
    sizes
        Samples behind each.
    ratio, shift
        How the pooled one is moved, shape ``(n_combinations, n_genes)``.
    scale, bounds
        What the values are, and the lowest and highest.
    lowest, highest
        What a value of each gene may be, shape ``(n_genes,)``.
    """

    quantiles: dict[int, NDArray[np.float32]]
    sizes: dict[int, int]
    ratio: NDArray[np.float32]
    shift: NDArray[np.float32]
    scale: str
    bounds: tuple[float, float]
    lowest: NDArray[np.float32]
    highest: NDArray[np.float32]

    @classmethod
    def learn(
        cls, values: NDArray[np.float32], codes: NDArray[np.int64], scale: str, *, own: int, n_quantiles: int
    ) -> Self:
        """Distributions of ``values``, shape ``(n_samples, n_genes)``.

        Parameters
        ----------
        own
            Samples from which on a combination has distributions of its own.
        n_quantiles
            Most values that are kept of a gene.
        """
        counts = np.bincount(codes)
        moments = Moments.of(values, codes, len(counts))
        bounds = float(values.min()), float(values.max())
        ratio, shift, residual = np.ones_like(moments.mean), np.zeros_like(moments.mean), values
        pooled, margin = values.mean(axis=0, dtype=np.float64), SHIFTED
        if bounds[0] >= 0 and (scale in LOGARITHMIC or (scale == "unknown" and not skewed(values))):
            above = (values > bounds[0]).mean(axis=0)
            np.divide(moments.mean - pooled, above, out=shift, where=above > 0)
        elif bounds[0] >= 0:
            np.divide(moments.mean, pooled, out=ratio, where=pooled > 0)
            margin = MULTIPLIED
        else:
            shift, residual = moments.mean, values - moments.raw.astype(np.float32)[codes]
        quantiles = {int(c): _quantiles(values[codes == c], n_quantiles) for c in np.flatnonzero(counts >= own)}
        sizes = {code: int(counts[code]) for code in quantiles}
        if len(quantiles) < len(counts):
            quantiles[POOLED], sizes[POOLED] = _quantiles(residual, n_quantiles), len(values)
        ranges = _ranges(values, scale, bounds[0], margin)
        return cls(quantiles, sizes, ratio.astype(np.float32), shift.astype(np.float32), scale, bounds, *ranges)

    def values(
        self, scores: NDArray[np.float32], codes: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Values of genes whose normal scores are given, shape ``(n, n_genes)``."""
        found = np.empty(scores.shape, dtype=np.float32)
        for code in np.unique(codes):
            rows = np.flatnonzero(codes == code)
            key = int(code) if int(code) in self.quantiles else POOLED
            drawn = self._at(ndtr(scores[rows].astype(np.float64)), key)
            if key == POOLED:
                stays = self.bounds[0] if self.bounds[0] >= 0 else -np.inf
                drawn = drawn * self.ratio[code] + self.shift[code] * (drawn > stays)
            found[rows] = round_at_random(drawn, rng) if self.scale in WHOLE else drawn
        return np.clip(found, self.lowest, self.highest)

    def _at(self, probability: Floats, key: int) -> Floats:
        """Quantiles: of whole numbers those of a sample drawn, of others between two neighbours."""
        table, size, columns = self.quantiles[key], self.sizes[key], np.arange(probability.shape[1])
        last = len(table) - 1
        if self.scale in WHOLE:
            sample = np.minimum((probability * size).astype(np.int64), size - 1)
            return np.asarray(table[sample * len(table) // size, columns], dtype=np.float64)
        place = np.clip(probability * len(table) - 0.5, 0, last)
        below = np.minimum(place.astype(np.int64), max(last - 1, 0))
        part = place - below
        found: Floats = (1 - part) * table[below, columns] + part * table[np.minimum(below + 1, last), columns]
        return found

    # -- bundle --------------------------------------------------------------------------------------------------------

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays."""
        found: dict[str, NDArray[Any]] = {f"quantiles/{code}": table for code, table in self.quantiles.items()}
        return found | {"ratio": self.ratio, "shift": self.shift, "lowest": self.lowest, "highest": self.highest}

    def facts(self) -> dict[str, Any]:
        """What JSON holds."""
        return {"sizes": {str(c): n for c, n in self.sizes.items()}, "scale": self.scale, "bounds": list(self.bounds)}

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Self:
        """Rebuild what `arrays` and `facts` said."""
        sizes = {int(code): int(size) for code, size in facts["sizes"].items()}
        quantiles = {code: arrays[f"quantiles/{code}"] for code in sizes}
        bounds = facts["bounds"][0], facts["bounds"][1]
        ratio, shift, lowest, highest = (arrays[name] for name in ("ratio", "shift", "lowest", "highest"))
        return cls(quantiles, sizes, ratio, shift, facts["scale"], bounds, lowest, highest)


def normal_scores(
    values: NDArray[np.float32], codes: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Normal score of each value among those of its combination, and the variance of each gene's scores.

    Tied values get the mean of the scores that a random order would give them, which is what is known of them. Their
    variance, 1 where no values are tied, says how much is not; `cellixir.synthesis.correlation.factors` corrects
    correlations for it. Scores drawn at random within ties would only add noise to them.
    """
    found = np.zeros(values.shape, dtype=np.float32)
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        n = len(rows)
        scores = ndtri((np.arange(n) + 0.5) / n)
        scores /= np.sqrt((scores**2).mean()) if n > 1 else 1
        cumulated = np.concatenate([[0], np.cumsum(scores)])
        for genes in _parts(values.shape[1]):
            last = rankdata(values[rows, genes], method="max", axis=0).astype(np.int64)
            before = n - rankdata(-values[rows, genes], method="max", axis=0).astype(np.int64)
            found[rows, genes] = (cumulated[last] - cumulated[before]) / (last - before)
    return found, (found.astype(np.float64) ** 2).mean(axis=0)


def _ranges(
    values: NDArray[np.float32], scale: str, least: float, margin: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lowest and highest value of each gene that may be drawn."""
    low, high = values.min(axis=0), values.max(axis=0)
    reach = margin * (high - low)
    low, high = low - reach, high + reach
    if scale in WHOLE:
        low, high = np.ceil(low), np.floor(high)
    if least >= 0:
        low = np.maximum(low, least)
    return low, np.minimum(high, 1) if scale in BOUNDED else high


def _quantiles(values: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """Sorted values of each gene, in ``most`` bins of about as many samples, by their means."""
    n = len(values)
    kept = min(n, most)
    starts = -(-np.arange(kept) * n // kept)  # sample r is in bin r * kept // n
    sizes = np.diff(np.append(starts, n))[:, None]
    found = np.empty((kept, values.shape[1]), dtype=np.float32)
    for genes in _parts(values.shape[1]):
        found[:, genes] = np.add.reduceat(np.sort(values[:, genes], axis=0), starts, axis=0, dtype=np.float64) / sizes
    return found


def _parts(n_genes: int) -> Iterator[slice]:
    return (slice(start, start + GENES) for start in range(0, n_genes, GENES))
