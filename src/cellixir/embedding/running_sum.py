"""Running-sum statistic of gene sets along a ranking, and what genes drawn at random give.

Subramanian et al., PNAS 102:15545, 2005, with weight 1. Sets of one size share their draws, so that a thousand sets
cost no more than their sizes do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.integer[Any]]

# What is equal but for the order of a sum is equal.
_ROUNDING = 1e-12
# Numbers in one matrix of draws x genes of a set, so that the ten or so that are held at a time stay in the cache.
_CHUNK = 32_768
# Genes in one random order, from which the draws of all sizes are cut.
_WIDTH = 4096


@dataclass(frozen=True, eq=False)
class Enrichment:
    """Results of every ranking and set, each of shape ``(n_rankings, n_sets)``.

    ``leading`` holds the numbers of the genes of the leading edge, the most extreme first.
    """

    es: Floats
    nes: Floats
    p: Floats
    fdr: Floats
    leading: NDArray[np.object_]


def enrichment(
    scores: Floats,
    mask: NDArray[np.bool_],
    *,
    n_permutations: int,
    seed: int,
    correct: Callable[[Floats], Floats],
) -> Enrichment:
    """Enrichment of every set in every ranking; the false discovery rate is over all of them.

    Parameters
    ----------
    scores
        Finite, shape ``(n_genes, n_rankings)``.
    mask
        Genes of the sets, shape ``(n_genes, n_sets)``; no set is empty.
    n_permutations, seed
        Of the draws of genes.
    correct
        False discovery rate of p-values.
    """
    rankings = [Ranking.of(column) for column in scores.T]
    sizes = mask.sum(axis=0)
    members = np.split(np.nonzero(mask.T)[1], np.cumsum(sizes)[:-1])
    draws = Draws.of(len(mask), int(sizes.max()), n_permutations, seed)
    es, nes, p = np.zeros((3, len(rankings), len(sizes)))
    leading = np.empty(es.shape, dtype=object)
    pool: list[tuple[Floats, int]] = []
    for size in np.unique(sizes):
        of_size = np.flatnonzero(sizes == size)
        genes = np.stack([members[i] for i in of_size])
        for row, ranking in enumerate(rankings):
            places = np.sort(ranking.place[genes], axis=1)
            es[row, of_size], peaks = ranking.scores(places)
            nes[row, of_size], p[row, of_size], null = _against(
                es[row, of_size], ranking.scores(draws.places(int(size)))[0]
            )
            pool.append((null, len(of_size)))
            for i, at, peak in zip(of_size, places, peaks, strict=True):
                leading[row, i] = ranking.leading(at, peak, es[row, i])
    return Enrichment(es, nes, p, _pooled(nes, pool, correct), leading)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Genes from the highest score to the lowest.

    Attributes
    ----------
    order, place
        Gene at each place, and place of each gene, from 0.
    weights
        ``|score|`` at each place, the largest being 1.
    starts, ends
        First place of the tie in which each place lies, and the place after its last.
    """

    order: Places
    place: Places
    weights: Floats
    starts: Places
    ends: Places

    @cached_property
    def tied(self) -> bool:
        """Whether two genes have the same score."""
        return len(np.unique(self.starts)) < len(self.starts)

    @classmethod
    def of(cls, scores: Floats) -> Ranking:
        """Ranking by finite scores, one a gene."""
        order = np.argsort(-scores, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        ranked = scores[order]
        bounds = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1], True])
        tie = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        return cls(order, place, np.abs(ranked) / (np.abs(ranked).max() or 1.0), bounds[tie], bounds[tie + 1])

    def scores(self, places: Places) -> tuple[Floats, Places]:
        """Enrichment score of each row of ascending places, and the place at which its running sum peaks."""
        step = max(1, _CHUNK // places.shape[1])
        parts = [self._some(places[start : start + step]) for start in range(0, len(places), step)]
        return np.concatenate([es for es, _ in parts]), np.concatenate([peak for _, peak in parts])

    def leading(self, places: Places, peak: int, es: float) -> Places:
        """Genes up to the peak, or from it on where the score is negative, the most extreme first."""
        if es >= 0:
            return self.order[places[places < peak]] if es else self.order[:0]
        return self.order[places[places >= peak]][::-1]

    def _some(self, places: Places) -> tuple[Floats, Places]:
        """Farthest point from zero of each running sum, and its place.

        It lies where a tie that holds a gene of the set begins or ends: before, all other genes have let it fall,
        and after, the genes of the tie have let it rise. Within a tie, only its last gene can be the highest here and
        only its first the lowest.
        """
        n_rows, size = places.shape
        starts, ends = (self.starts[places], self.ends[places]) if self.tied else (places, places + 1)
        risen, hits, fall = self._risen(places), np.arange(size + 1), 1 / max(len(self.order) - size, 1)
        after = risen[:, 1:] - (ends - hits[1:]) * fall
        before = risen[:, :-1] - (starts - hits[:-1]) * fall
        rows, top, bottom = np.arange(n_rows), after.argmax(axis=1), before.argmin(axis=1)
        high, low = after[rows, top], before[rows, bottom]
        rises = high >= -low - _ROUNDING
        es = np.where(rises, high, low)
        es[np.abs(es) < _ROUNDING] = 0
        return es, np.where(rises, ends[rows, top], starts[rows, bottom])

    def _risen(self, places: Places) -> Floats:
        """Rise of the running sum before each gene of a set and after its last, from 0 to 1."""
        n_rows, size = places.shape
        risen = np.zeros((n_rows, size + 1))
        np.cumsum(self.weights[places], axis=1, out=risen[:, 1:])
        risen[risen[:, -1] == 0] = np.arange(size + 1)  # no gene has a score: all weigh the same
        risen /= risen[:, -1:].copy()
        return risen


@dataclass(frozen=True, eq=False)
class Draws:
    """Genes in random order, as often as there are permutations.

    A size takes as many neighbours, from a starting point of its own: all draws together tell of the far tail only as
    far as they are independent, so two sizes, or two rankings, should share few of them.
    """

    shuffled: Places
    rng: np.random.Generator

    @classmethod
    def of(cls, n_genes: int, largest: int, n_permutations: int, seed: int) -> Draws:
        """Draws from ``n_genes`` places for sets of up to ``largest`` genes."""
        rng, width = np.random.default_rng(seed), min(n_genes, max(_WIDTH, largest))
        rows = [rng.choice(n_genes, width, replace=False).astype(np.int32) for _ in range(n_permutations)]
        return cls(np.stack(rows), rng)

    def places(self, size: int) -> Places:
        """Ascending places, shape ``(n_permutations, size)``; another call gives others."""
        width = self.shuffled.shape[1]
        columns = (self.rng.integers(width) + np.arange(size)) % width
        return np.sort(self.shuffled[:, columns], axis=1)


def _against(es: Floats, null: Floats) -> tuple[Floats, Floats, Floats]:
    """Normalised scores and p-values of sets of one size, and the normalised scores of the draws."""
    nes, p, null_nes = np.zeros_like(es), np.ones_like(es), np.zeros_like(null)
    for sign in (1, -1):
        own, drawn = _of_sign(es, sign), _of_sign(null, sign)
        same = np.sort(sign * null[drawn])
        reach = len(same) - np.searchsorted(same, sign * es[own] - _ROUNDING)
        p[own] = (1 + reach) / (1 + len(same))
        mean = same.mean() if len(same) else 0.0
        if mean > 0:
            nes[own], null_nes[drawn] = es[own] / mean, null[drawn] / mean
    return nes, p, null_nes


def _pooled(nes: Floats, pool: list[tuple[Floats, int]], correct: Callable[[Floats], Floats]) -> Floats:
    """False discovery rates from the draws of all sizes, each weighted by the number of sets of its size."""
    null = np.concatenate([drawn for drawn, _ in pool])
    weights = np.repeat([count for _, count in pool], [len(drawn) for drawn, _ in pool])
    weights = weights / weights.mean()
    p = np.ones_like(nes)
    for sign in (1, -1):
        own, drawn = _of_sign(nes, sign), _of_sign(null, sign)
        order = np.argsort(sign * null[drawn], kind="stable")
        same = (sign * null[drawn])[order]
        above = np.r_[np.cumsum(weights[drawn][order][::-1])[::-1], 0]
        p[own] = (1 + above[np.searchsorted(same, sign * nes[own] - _ROUNDING)]) / (1 + above[0])
    return correct(p).reshape(p.shape)


def _of_sign(values: Floats, sign: int) -> NDArray[np.bool_]:
    """Which are of the sign; zero counts as positive."""
    return values >= 0 if sign > 0 else values < 0
