"""Distances of synthetic samples from those that the generator was fitted on: copies, or too near.

``train`` are the real samples of the fit, ``holdout`` real samples of the same population that it never saw; all
coordinates stand in one space. Without a holdout none of this can be said: samples of a tight population lie close to
each other without having been copied.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import binom, hypergeom

from cellixir.exceptions import InvalidValues
from cellixir.metrics.generative.neighbours import as_pair, as_three, nearest_squared, within
from cellixir.metrics.intervals import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cellixir.metrics.generative.tiles import Points, Rows

    Floats = NDArray[np.float64]

NEAR = 12  # records of a half that the nearest one is looked for among: one in 4,000 has none of them
N_HALVES = 200
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


class DCR(NamedTuple):
    """Distances of synthetic samples to the closest record.

    Attributes
    ----------
    share_closer_to_train
        Share of synthetic samples that are closer to a training than to a holdout sample, of as many of both, ties
        half. .5 is best, 1 means copies.
    interval
        From the spread over random halves of the records of both, which vary as much as other records would (Politis
        and Romano, Ann Stat 22:2031, 1994). In many dimensions a few records are the nearest of most samples, whichever
        table they happen to stand in: then it is wide.
    quantiles
        Of the distances to the closest of all, a row a quantile, columns ``train`` and ``holdout``.
    """

    share_closer_to_train: float
    interval: Interval
    quantiles: pd.DataFrame


class NNDR(NamedTuple):
    """Nearest-neighbour distance ratios d1 / d2 of synthetic samples to training samples.

    Near 0: samples sit on one training sample and on no other. Compare with the ratios to holdout samples.

    Attributes
    ----------
    median
        With its interval, which assumes no distribution.
    fifth_percentile
        Of the ratios: the samples that give away most.
    """

    median: Interval
    fifth_percentile: float


class NearCopies(NamedTuple):
    """Synthetic samples that lie nearer to one training sample than any held-out sample does.

    Attributes
    ----------
    share
        Of the synthetic samples. Its interval is less those that fresh samples reach by chance, of which the lowest of
        as many ratios is not that of a held-out sample (negative hypergeometric; 0 to their 97.5 % quantile).
    rows, records
        The samples, and the training sample that each is near to.
    ratios
        d1 / d2 of every synthetic sample, as of ``nndr``.
    """

    share: Interval
    rows: Rows
    records: Rows
    ratios: Floats


def closest_record(
    train: ArrayLike,
    holdout: ArrayLike,
    synthetic: ArrayLike,
    *,
    level: float = 0.95,
    n: int = N_HALVES,
    seed: int = 0,
) -> DCR:
    """Share of synthetic samples that are closer to the training than to the holdout samples, and the distances.

    The nearest of many is nearer: of the larger of ``train`` and ``holdout`` only as many samples count as the smaller
    one has, and the share is the mean over all ways to draw them (hypergeometric, so nothing is drawn). The quantiles
    are of the distances to all. Memory: that of ``knn_distances``.

    Raises
    ------
    InvalidValues
        If the widths differ, a table is empty, or a value is not finite.
    """
    members, others, made = as_three(train, holdout, synthetic)
    swapped = len(members) < len(others)
    larger, smaller = (others, members) if swapped else (members, others)
    share = len(smaller) / len(larger)
    near = [nearest_squared(made, t, k=min(len(t), ceil(NEAR / q))) for t, q in ((larger, share), (smaller, 1.0))]
    counts = within(made, larger, near[1][0][:, 0])
    none = np.mean([hypergeom.pmf(0, len(larger), count, len(smaller)) for count in counts])
    drawn = _shares_of_halves(near, (len(larger), len(smaller)), n, seed)
    value = float(none if swapped else 1 - none)
    reach = float(ndtri((1 + level) / 2) * drawn.std(ddof=1))
    interval = Interval(value, max(value - reach, 0.0), min(value + reach, 1.0))
    of_train, of_holdout = (np.sqrt(squared[:, 0]) for squared, _ in (near[::-1] if swapped else near))
    quantiles = {"train": np.quantile(of_train, QUANTILES), "holdout": np.quantile(of_holdout, QUANTILES)}
    return DCR(value, interval, pd.DataFrame(quantiles, index=pd.Index(QUANTILES, name="quantile")))


def nndr(train: ArrayLike, synthetic: ArrayLike, *, level: float = 0.95) -> NNDR:
    """Median ratio of the distances to the nearest and the second nearest training sample, 0 to 1.

    A synthetic sample that sits on two equal training samples has the ratio 1: it points to neither.

    Raises
    ------
    InvalidValues
        If the widths differ, there are fewer than two training samples, no synthetic one, or a value is not finite.
    """
    return nndr_of(_ratios(*as_pair(train, synthetic, ("train", "synthetic")))[0], level=level)


def nndr_of(ratios: Floats, *, level: float = 0.95) -> NNDR:
    """Median and fifth percentile of ratios that are known."""
    ratios = np.sort(ratios)
    before = max(int(binom.ppf((1 - level) / 2, len(ratios), 0.5)) - 1, 0)  # ranks of the sign test
    median = Interval(float(np.median(ratios)), float(ratios[before]), float(ratios[-1 - before]))
    return NNDR(median, float(np.quantile(ratios, 0.05)))


def near_copies(train: ArrayLike, holdout: ArrayLike, synthetic: ArrayLike, *, level: float = 0.95) -> NearCopies:
    """Share of synthetic samples that point to one training sample more than any held-out sample ever does.

    A sample points to the nearest training sample by d1 / d2, the ratio of the distances to the two nearest: a copy
    with a value changed has a ratio near 0, wherever it lies and however many others are honest. Averages over all
    samples, such as the share closer to training, do not see one in twenty.

    Raises
    ------
    InvalidValues
        If the widths differ, a table is empty, there are fewer than two training samples, or a value is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> train, holdout, fresh = rng.normal(size=(3, 100, 50))
    >>> near_copies(train, holdout, np.concatenate([fresh[:90], train[:10] + 0.01])).share.low > 0.04
    True
    """
    members, others, made = as_three(train, holdout, synthetic)
    ratios, nearest = _ratios(members, made)
    rows = np.flatnonzero(ratios < _ratios(members, others)[0].min())
    n, usual = len(made), _usual(len(made), len(others), (1 - level) / 2)
    share = Interval(len(rows) / n, max(len(rows) - usual, 0) / n, len(rows) / n)
    return NearCopies(share, rows, nearest[rows], ratios)


def _ratios(members: Points, made: Points) -> tuple[Floats, Rows]:
    """d1 / d2 of each sample, 1 where both are 0, and its nearest member."""
    if len(members) < 2:
        message = f"train has {len(members)} sample; a ratio of two neighbours needs at least 2"
        raise InvalidValues(message)
    squared, rows = nearest_squared(made, members, k=2)
    first, second = np.sqrt(squared).T
    return np.divide(first, second, out=np.ones_like(first), where=second > 0), rows[:, 0]


def _usual(n: int, n_holdout: int, risk: float) -> int:
    """Most of ``n`` fresh samples that have a lower ratio than all held-out ones, but for a small risk."""
    at = np.arange(n)
    above = np.exp(np.cumsum(np.log(n - at) - np.log(n + n_holdout - at)))  # P(at least 1, 2, ... of them)
    return int((above > risk).sum())


def _shares_of_halves(near: list[tuple[Floats, Rows]], sizes: tuple[int, int], n: int, seed: int) -> Floats:
    """Share of synthetic samples closer to random halves of the larger than to random halves of the smaller table.

    ``near`` are squared distances to, and rows of, the nearest records of both, ``sizes`` their numbers. Each record of
    a half of the larger table counts by the probability of being drawn.
    """
    rng = np.random.default_rng([seed, 1])
    (far, of_larger), (limits, of_smaller) = near
    places, drawn = np.arange(len(far)), np.empty(n)
    missed = 1 - sizes[1] / sizes[0]
    for i in range(n):
        larger, smaller = (rng.random(size) < 0.5 for size in sizes)
        kept = smaller[of_smaller]
        kept[:, -1] = True
        limit = limits[places, kept.argmax(axis=1)][:, None]
        closer = (larger[of_larger] * (1 + np.sign(limit - far)) / 2).sum(axis=1)
        drawn[i] = 1 - (missed**closer).mean()
    return drawn
