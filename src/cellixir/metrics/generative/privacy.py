"""Whether synthetic samples give away the real ones that a generator was fitted on.

``train`` are the real samples of the fit, ``holdout`` real samples of the same population that it never saw; all
coordinates stand in one space. Without a holdout none of this can be said: samples of a tight population lie close to
each other without having been copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binom

from cellixir.exceptions import InvalidValues
from cellixir.metrics.classification import auroc
from cellixir.metrics.generative.neighbours import as_pair, knn_distances, nearest
from cellixir.metrics.generative.two_sample import auroc_interval, some_rows
from cellixir.metrics.intervals import N_BOOTSTRAP, Interval, bootstrap_weights, interval_of_draws
from cellixir.metrics.regression import group_sums

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cellixir.metrics.generative.tiles import Points, Rows

    Floats = NDArray[np.float64]

MIN_RECORDS = 5
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
N_DIMENSIONS = 5  # of the densities of DOMIAS: kernels in more need more samples than there are


class DCR(NamedTuple):
    """Distances of synthetic samples to the closest record.

    Attributes
    ----------
    share_closer_to_train
        Share of synthetic samples that are closer to a training than to a holdout sample, ties half. .5 is best, 1
        means copies.
    interval
        Its bootstrap interval over the closest records: samples with the same record are drawn together. Of fewer
        than ``MIN_RECORDS`` records nothing is known: 0 to 1.
    quantiles
        Of the distances, a row a quantile, columns ``train`` and ``holdout``.
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

    Of the larger of ``train`` and ``holdout``, as many samples are drawn as the smaller one has: the nearest of many
    is nearer. Memory: that of ``knn_distances``.

    Raises
    ------
    InvalidValues
        If the widths differ, a table is empty, or a value is not finite.
    """
    members, others, made = _three(train, holdout, synthetic)
    rng = np.random.default_rng(seed)
    size = min(len(members), len(others))
    (to_train, near), (to_holdout, far) = (nearest(made, some_rows(real, size, rng)) for real in (members, others))
    closer = ((1 - np.sign(to_train - to_holdout)) / 2)[:, 0]
    record = np.where(closer > 0, near[:, 0], size + far[:, 0])
    quantiles = {"train": np.quantile(to_train, QUANTILES), "holdout": np.quantile(to_holdout, QUANTILES)}
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


def membership_inference(train: ArrayLike, holdout: ArrayLike, synthetic: ArrayLike) -> float:
    """Area under the ROC curve of calling a real sample a training sample the nearer a synthetic one is.

    .5 is best: the synthetic samples do not say who was in the fit. 1: every member is known by its copy.

    Raises
    ------
    InvalidValues
        If the widths differ, a table is empty, or a value is not finite.
    """
    return auroc(*_attack(train, holdout, synthetic))


def membership_interval(
    train: ArrayLike,
    holdout: ArrayLike,
    synthetic: ArrayLike,
    *,
    level: float = 0.95,
    n: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Interval:
    """``membership_inference`` with its percentile bootstrap interval over real samples."""
    return auroc_interval(*_attack(train, holdout, synthetic), level=level, n=n, seed=seed)


def domias(
    train: ArrayLike, holdout: ArrayLike, synthetic: ArrayLike, *, n_dimensions: int = N_DIMENSIONS, seed: int = 0
) -> float:
    """Area under the ROC curve of the attack that calls members where p_synthetic / p_real is high; .5 is best.

    It sees overfitting where the real data are thin, which the plain distance takes for safe (van Breugel et al.,
    AISTATS 2023). Densities are Gaussian kernels with Scott's bandwidth in the first ``n_dimensions`` coordinates;
    p_real is learned from a half of the holdout samples, which takes no part in the attack.

    Raises
    ------
    InvalidValues
        If the widths differ, a value is not finite, or there are too few samples, or too alike, for a density.
    """
    members, others, made = (table[:, :n_dimensions] for table in _three(train, holdout, synthetic))
    order = np.random.default_rng(seed).permutation(len(others))
    reference, outside = np.split(others[order], [(len(others) + 1) // 2])
    candidates = np.concatenate([members, outside])
    ratio = _log_density(made, candidates, "synthetic data") - _log_density(reference, candidates, "half the holdout")
    return auroc(np.repeat([1, 0], [len(members), len(outside)]), ratio)


def _three(train: ArrayLike, holdout: ArrayLike, synthetic: ArrayLike) -> tuple[Points, Points, Points]:
    members, made = as_pair(train, synthetic, ("train", "synthetic"))
    return members, as_pair(holdout, synthetic, ("holdout", "synthetic"))[0], made


def _share_interval(closer: Floats, record: Rows, level: float, n: int, seed: int) -> tuple[float, float]:
    records, code = np.unique(record, return_inverse=True)
    if len(records) < MIN_RECORDS:
        return 0.0, 1.0
    sums = group_sums(np.stack([closer, np.ones_like(closer)], axis=1), code, len(records))
    drawn = np.concatenate([w @ sums for w in bootstrap_weights(len(records), n, seed)])
    return interval_of_draws(0.0, drawn[:, 0] / drawn[:, 1], level)[1:]


def _attack(train: ArrayLike, holdout: ArrayLike, synthetic: ArrayLike) -> tuple[Floats, Floats]:
    """Label (1 is a member) of each real sample, and its distance to the nearest synthetic one, negated."""
    members, others, made = _three(train, holdout, synthetic)
    distance = knn_distances(np.concatenate([members, others]), made, k=1)[:, 0]
    return np.repeat([1.0, 0.0], [len(members), len(others)]), -distance


def _log_density(samples: Points, at: Points, what: str) -> Floats:
    from scipy.stats import gaussian_kde

    try:
        return np.asarray(gaussian_kde(samples.T).logpdf(at.T), dtype=np.float64)
    except (np.linalg.LinAlgError, ValueError):
        message = (
            f"{what}: {len(samples):,} samples in {samples.shape[1]} dimensions have no density; "
            "give more samples that differ, or fewer dimensions"
        )
        raise InvalidValues(message) from None
