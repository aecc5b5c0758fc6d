"""Whether synthetic samples are copies of the real ones that a generator was fitted on, or too near to them.

``train`` are the real samples of the fit, ``holdout`` real samples of the same population that it never saw; all
coordinates stand in one space. Without a holdout none of this can be said: samples of a tight population lie close to
each other without having been copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binom, hypergeom

from cellixir.exceptions import InvalidValues
from cellixir.metrics.generative.neighbours import as_pair, as_three, knn_distances, nearest_squared, within
from cellixir.metrics.intervals import N_BOOTSTRAP, Interval, bootstrap_weights, interval_of_draws
from cellixir.metrics.regression import group_sums

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cellixir.metrics.generative.tiles import Points, Rows

    Floats = NDArray[np.float64]

MIN_RECORDS = 5
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


class DCR(NamedTuple):
    """Distances of synthetic samples to the closest record.

    Attributes
    ----------
    share_closer_to_train
        Share of synthetic samples that are closer to a training than to a holdout sample, of as many of both, ties
        half. .5 is best, 1 means copies.
    interval
        Its bootstrap interval over the closest records: samples with the same record are drawn together. Of fewer
        than ``MIN_RECORDS`` records nothing is known: 0 to 1.
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


def closest_record(
    train: ArrayLike,
    holdout: ArrayLike,
    synthetic: ArrayLike,
    *,
    level: float = 0.95,
    n: int = N_BOOTSTRAP,
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
    found = (nearest_squared(made, records) for records in (members, others))
    (to_train, near), (to_holdout, far) = ((squared[:, 0], rows[:, 0]) for squared, rows in found)
    if len(members) >= len(others):
        closer = _drawn_closer(made, members, to_holdout, len(others))
    else:
        closer = 1 - _drawn_closer(made, others, to_train, len(members))
    record = np.where(to_train < to_holdout, near, len(members) + far)
    quantiles = {
        "train": np.quantile(np.sqrt(to_train), QUANTILES),
        "holdout": np.quantile(np.sqrt(to_holdout), QUANTILES),
    }
    share = float(closer.mean())
    interval = Interval(share, *_share_interval(closer, record, level, n, seed))
    return DCR(share, interval, pd.DataFrame(quantiles, index=pd.Index(QUANTILES, name="quantile")))


def nndr(train: ArrayLike, synthetic: ArrayLike, *, level: float = 0.95) -> NNDR:
    """Median ratio of the distances to the nearest and the second nearest training sample, 0 to 1.

    A synthetic sample that sits on two equal training samples has the ratio 1: it points to neither.

    Raises
    ------
    InvalidValues
        If the widths differ, there are fewer than two training samples, no synthetic one, or a value is not finite.
    """
    members, made = as_pair(train, synthetic, ("train", "synthetic"))
    if len(members) < 2:
        message = f"train has {len(members)} sample; a ratio of two neighbours needs at least 2"
        raise InvalidValues(message)
    first, second = knn_distances(made, members, k=2).T
    ratios = np.sort(np.divide(first, second, out=np.ones_like(first), where=second > 0))
    before = max(int(binom.ppf((1 - level) / 2, len(ratios), 0.5)) - 1, 0)  # ranks of the sign test
    median = Interval(float(np.median(ratios)), float(ratios[before]), float(ratios[-1 - before]))
    return NNDR(median, float(np.quantile(ratios, 0.05)))


def _drawn_closer(made: Points, records: Points, squared: Floats, size: int) -> Floats:
    """Probability that one of ``size`` records drawn at random is closer than that, a tie counting half."""
    closer = [within(made, records, bound) for bound in (squared, np.nextafter(squared, np.inf))]
    none = [hypergeom.pmf(0, len(records), n, size) for n in closer]
    return np.asarray(1 - (none[0] + none[1]) / 2)


def _share_interval(closer: Floats, record: Rows, level: float, n: int, seed: int) -> tuple[float, float]:
    records, code = np.unique(record, return_inverse=True)
    if len(records) < MIN_RECORDS:
        return 0.0, 1.0
    sums = group_sums(np.stack([closer, np.ones_like(closer)], axis=1), code, len(records))
    drawn = np.concatenate([w @ sums for w in bootstrap_weights(len(records), n, seed)])
    return interval_of_draws(0.0, drawn[:, 0] / drawn[:, 1], level)[1:]
