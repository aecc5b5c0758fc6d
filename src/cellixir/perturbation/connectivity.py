"""Connectivity of gene sets and signatures: the scores alone, on arrays.

Subramanian et al., Cell 171:1437, 2017 (weighted connectivity, normalisation, summary over cell lines), on the running
sum of Subramanian et al., PNAS 102:15545, 2005.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float32]
Places = NDArray[np.integer[Any]]
#: Numbers that one step holds at a time, so that they stay in the cache.
_CHUNK = 2**16
#: Padding of sets up to the next size of their bucket.
_BUCKET = 8
#: Quantiles of the summary of many scores by one.
HIGH, LOW = 0.67, 0.33


class Ranked(NamedTuple):
    """Signatures sorted once: place (from the highest) and absolute value of each gene, packed to sort by place."""

    packed: NDArray[np.int64]  # (n_signatures, n_genes + 1); the last gene is padding
    places: NDArray[np.int32]  # (n_signatures, n_genes)
    tied: NDArray[np.bool_]  # (n_signatures,)


def ranked(values: Floats) -> Ranked:
    """Ranking of each row, shape ``(n_signatures, n_genes)``, from the highest value; ties keep the order of genes."""
    n, n_genes = values.shape
    order = np.argsort(-values, axis=1, kind="stable")
    places = np.empty((n, n_genes), dtype=np.int32)
    np.put_along_axis(places, order, np.arange(n_genes, dtype=np.int32)[None], axis=1)
    along = np.take_along_axis(values, order, axis=1)
    halves = np.zeros((n, n_genes + 1, 2), dtype=np.int32)  # little-endian: weight below, place above
    halves[:, :-1, 0] = np.abs(values).astype(np.float32).view(np.int32)
    halves[:, :-1, 1] = places
    halves[:, -1, 1] = 2 * n_genes
    return Ranked(halves.view("<i8")[..., 0], places, (along[:, 1:] == along[:, :-1]).any(axis=1))


class Sets:
    """Gene sets in buckets of about one size, so that all of a bucket are scored together.

    Parameters
    ----------
    members
        Places of the genes of each set among those of the signatures; a set may be empty.
    n_genes
        Genes of a signature.
    """

    def __init__(self, members: Sequence[Places], n_genes: int) -> None:
        self.n_genes, self.n = n_genes, len(members)
        sizes = np.array([len(genes) for genes in members], dtype=np.int64)
        self.buckets: list[tuple[NDArray[np.intp], NDArray[np.intp], Floats]] = []
        widths = -(-sizes // _BUCKET) * _BUCKET
        for width in np.unique(widths[sizes > 0]):
            which = np.flatnonzero(widths == width)
            longest = int(sizes[which].max())
            genes = np.full((len(which), longest), n_genes, dtype=np.intp)
            for row, i in enumerate(which):
                genes[row, : sizes[i]] = members[int(i)]
            step = 1 / np.maximum(n_genes - sizes[which], 1)
            self.buckets.append((which, genes, step.astype(np.float32)[:, None]))

    def enrichment(self, signatures: Ranked) -> Floats:
        """Enrichment score of each set in each signature, -1 to 1, shape ``(n_signatures, n_sets)``; 0 if it is empty.

        The running sum rises by ``|z|`` of a gene of the set (over the sum of these) and falls by 1 / (genes outside)
        at all others; the score is its farthest point from zero. That point lies at a gene of the set, so only these
        are looked at.
        """
        found = np.zeros((len(signatures.packed), self.n), dtype=np.float32)
        for which, genes, step in self.buckets:
            rows = max(1, _CHUNK // genes.size)
            for start in range(0, len(found), rows):
                found[start : start + rows, which] = _scores(signatures.packed[start : start + rows], genes, step)
        return found


def _scores(packed: NDArray[np.int64], genes: NDArray[np.intp], step: Floats) -> Floats:
    keys = np.take(packed, genes, axis=1)  # (signatures, sets, genes of a set)
    keys.sort(axis=-1)
    halves = keys.view("<i4").reshape(*keys.shape, 2)
    weights = np.ascontiguousarray(halves.view("<f4")[..., 0])
    after = np.cumsum(weights, axis=-1)
    total = after[..., -1:].copy()
    np.maximum(total, np.finfo(np.float32).tiny, out=total)
    after /= total
    weights /= total
    passed = halves[..., 1] - np.arange(genes.shape[1], dtype=np.int32)  # genes outside the set before this one
    fall = passed * step
    np.minimum(fall, 1, out=fall)  # padding stands at the end of the running sum, which is 0
    after -= fall
    top = after.max(axis=-1)
    after -= weights
    low = after.min(axis=-1)
    found = np.where(top >= -low, top, low)
    found[total[..., 0] <= np.finfo(np.float32).tiny] = 0
    return np.asarray(found, dtype=np.float32)


def weighted_connectivity(up: Floats | None, down: Floats | None) -> Floats:
    """Weighted connectivity score (WTCS), -1 to 1, from the enrichment of the two sets.

    ``(up - down) / 2`` where their signs differ, else 0; of one set alone ``up`` or ``-down``.

    >>> weighted_connectivity(np.float32([0.6, 0.6, -0.5]), np.float32([-0.4, 0.2, 0.3])).round(2)
    array([ 0.5,  0. , -0.4], dtype=float32)
    """
    if up is None or down is None:
        return up if up is not None else -np.asarray(down)
    return np.asarray(np.where(np.sign(up) != np.sign(down), (up - down) / 2, 0), dtype=np.float32)


def normalised(scores: Floats, groups: NDArray[np.intp]) -> Floats:
    """Normalised connectivity score: each score over the mean of those of its sign in its group.

    Parameters
    ----------
    scores
        WTCS of one query, shape ``(n_signatures,)``.
    groups
        Number of the group of each signature, from 0: cell line and type of perturbagen.

    Examples
    --------
    >>> normalised(np.float32([0.2, 0.4, -0.5, 0.1]), np.array([0, 0, 0, 1])).round(2)
    array([ 0.67,  1.33, -1.  ,  1.  ], dtype=float32)
    """
    found = np.zeros_like(scores)
    for own in (scores > 0, scores < 0):
        n = np.bincount(groups[own], minlength=groups.max() + 1)
        mean = np.bincount(groups[own], np.abs(scores[own]), groups.max() + 1) / np.maximum(n, 1)
        found[own] = scores[own] / mean[groups[own]]
    return found


def max_quantile(scores: Floats, groups: NDArray[np.intp]) -> Floats:
    """Score of each group: its quantile .67 or its quantile .33, whichever is farther from 0.

    >>> max_quantile(np.float32([-3, -1, 0, 2]), np.array([0, 0, 0, 1])).round(2)
    array([-1.68,  2.  ], dtype=float32)
    """
    order = np.lexsort((scores, groups))
    along, sizes = scores[order].astype(np.float64), np.bincount(groups)
    starts = np.cumsum(sizes) - sizes
    ends = []
    for quantile in (HIGH, LOW):
        at = quantile * (sizes - 1)
        below = np.floor(at).astype(np.intp)
        above = np.minimum(below + 1, sizes - 1)
        low, high = along[starts + below], along[starts + above]
        ends.append(low + (at - below) * (high - low))
    return np.asarray(np.where(np.abs(ends[0]) >= np.abs(ends[1]), *ends), dtype=np.float32)


def cosine(values: Floats, queries: Floats) -> Floats:
    """Cosine of each row and each query, shape ``(n_signatures, n_queries)``; 0 where one is all zeros."""
    return _unit(values) @ _unit(queries).T


def spearman(signatures: Ranked, values: Floats, queries: Floats) -> Floats:
    """Spearman correlation of each row and each query; equal values share their mean rank."""
    ranks = -signatures.places.astype(np.float32)
    if signatures.tied.any():
        ranks[signatures.tied] = rankdata(values[signatures.tied], axis=1)
    return _unit(_centred(ranks)) @ _unit(_centred(rankdata(queries, axis=1).astype(np.float32))).T


def _centred(ranks: Floats) -> Floats:
    return np.asarray(ranks - ranks.mean(axis=1, keepdims=True), dtype=np.float32)


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1), dtype=np.float32)
