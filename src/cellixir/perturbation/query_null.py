"""Permutation p-values of connectivity: random genes of the same numbers, in the same signatures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cellixir.perturbation.connectivity import Floats, Ranked, Sets, weighted_connectivity

#: Bins of standardised scores, and the largest that is told apart.
_BINS, _LARGEST = 8192, 16.0
#: Sizes of sets up to this many are permuted as they are; more are rounded down, in steps of a quarter.
_EXACT = 8


class RandomSets:
    """Scores of random genes, and the p-values that they give.

    For each pair of sizes (genes up, genes down) and each signature, ``n`` pairs of random disjoint sets are scored. A
    score, observed or random, is standardised by the mean of the random ones of its sign in the same signature (as the
    NES of gene set enrichment), and p is the share of all standardised random scores of the pair of sizes, over all
    signatures, whose size is at least its own: ``(1 + k) / (1 + n x signatures)``; 1 for a score of 0. Where queries
    have more than 8 sizes, these are rounded down to steps of a quarter: smaller sets scatter more, so p errs on the
    large side.

    Parameters
    ----------
    sizes
        Genes up and down of each query, shape ``(n_queries, 2)``.
    """

    def __init__(self, sizes: NDArray[np.intp], n_genes: int, n: int, seed: int) -> None:
        rounded = np.stack([_rounded(column) for column in sizes.T], axis=1)
        self.pairs, self.pair_of = np.unique(rounded, axis=0, return_inverse=True)
        self.pair_of = self.pair_of.ravel()
        self.n = n
        rng = np.random.default_rng(seed)
        shuffled = np.stack([rng.permutation(n_genes) for _ in range(n)])
        self.sizes = [np.unique(column[column > 0]) for column in self.pairs.T]
        up = [row[:k] for k in self.sizes[0] for row in shuffled]
        down = [row[n_genes - k :] for k in self.sizes[1] for row in shuffled]  # the other end: disjoint from up
        self.up, self.down = Sets(up, n_genes), Sets(down, n_genes)
        self.counts = np.zeros((len(self.pairs), _BINS), dtype=np.int64)

    def scales(self, signatures: Ranked) -> Floats:
        """Mean size of random scores above and below 0, shape ``(n_signatures, n_pairs, 2)``; they are counted, too."""
        n = len(signatures.packed)
        up, down = (sets.enrichment(signatures).reshape(n, -1, self.n) for sets in (self.up, self.down))
        found = np.ones((n, len(self.pairs), 2), dtype=np.float32)
        for number, (n_up, n_down) in enumerate(self.pairs):
            drawn = weighted_connectivity(
                up[:, np.searchsorted(self.sizes[0], n_up)] if n_up else None,
                down[:, np.searchsorted(self.sizes[1], n_down)] if n_down else None,
            )
            found[:, number] = _mean_sizes(drawn)
            self._count(number, standardised(drawn, found[:, number]))
        return found

    def _count(self, number: int, scores: Floats) -> None:
        self.counts[number] += np.bincount(_bin(np.abs(scores)).ravel(), minlength=_BINS)

    def p_values(self, scores: Floats, pair: int) -> NDArray[np.float64]:
        """P of standardised scores of one query, against all that was counted."""
        at_least = np.cumsum(self.counts[pair][::-1])[::-1]
        found = (1 + at_least[_bin(np.abs(scores))]) / (1 + at_least[0])
        found[scores == 0] = 1
        return np.asarray(found, dtype=np.float64)


def standardised(scores: Floats, scales: Floats) -> Floats:
    """Scores over the mean size of random ones of their sign; ``scales`` has shape ``(n_signatures, 2)``."""
    return np.asarray(np.where(scores > 0, scores / scales[:, :1], scores / scales[:, 1:]), dtype=np.float32)


def _mean_sizes(drawn: Floats) -> Floats:
    """Mean of the positive and of the negative scores of each signature; of all, where one sign is not there."""
    sizes = []
    for own in (drawn > 0, drawn < 0):
        count = own.sum(axis=1)
        sizes.append(np.where(count > 0, np.abs(drawn * own).sum(axis=1) / np.maximum(count, 1), np.nan))
    both = np.stack(sizes, axis=1)
    filled = np.where(np.isnan(both), both[:, ::-1], both)
    return np.where(np.isnan(filled) | (filled == 0), 1, filled).astype(np.float32)


def _bin(sizes: Floats) -> NDArray[np.intp]:
    return np.asarray(np.minimum(sizes * (_BINS / _LARGEST), _BINS - 1), dtype=np.intp)


def _rounded(sizes: NDArray[np.intp]) -> NDArray[np.intp]:
    if len(np.unique(sizes)) <= _EXACT:
        return sizes
    grid = np.unique(np.floor(1.25 ** np.arange(60)).astype(np.intp))
    return np.asarray(np.where(sizes > 0, grid[np.searchsorted(grid, sizes, side="right") - 1], 0), dtype=np.intp)
