"""Membership attacks on synthetic samples, each as the area under its ROC curve.

``train`` are the real samples of the fit, ``holdout`` real samples of the same population that it never saw. An
attacker has a sample's profile, the synthetic samples and perhaps real samples of the population, and says "in" or
"out".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellixir.exceptions import InvalidValues
from cellixir.metrics.generative.neighbours import as_three, knn_distances, nearest
from cellixir.metrics.generative.two_sample import area, auroc_interval
from cellixir.metrics.intervals import N_BOOTSTRAP, Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cellixir.metrics.generative.tiles import Points

    Floats = NDArray[np.float64]

GATHERED = 8_000_000  # values whose means are taken at a time: 64 MB


def membership_inference(train: ArrayLike, holdout: ArrayLike, synthetic: ArrayLike) -> float:
    """Area under the ROC curve of calling a real sample a training sample the nearer a synthetic one is.

    .5 is best: the synthetic samples do not say who was in the fit. 1: every member is known by its copy.

    Raises
    ------
    InvalidValues
        If the widths differ, a table is empty, or a value is not finite.
    """
    return area(*_attack(train, holdout, synthetic))


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


def reference_attack(
    train: ArrayLike,
    holdout: ArrayLike,
    synthetic: ArrayLike,
    *,
    level: float = 0.95,
    n: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Interval:
    """Area under the ROC curve of the attack that compares means of neighbours with those of a reference; .5 is best.

    A real sample is called a member the nearer the mean of the synthetic samples around it (the square root of their
    number, the nearest) is than the mean of as large a share of real samples that were not in the fit. Means of many
    genes say who went into them though no sample is near another one (Homer et al., PLoS Genet 4:e1000167, 2008), and
    the reference takes out how far the sample is from everything (van Breugel et al., AISTATS 2023). One half of the
    holdout samples is the reference and the other takes part in the attack, then the other way round; the area and the
    ends of its interval are means of both.

    Raises
    ------
    InvalidValues
        If the widths differ, a table is empty, a value is not finite, or there are fewer than two holdout samples.
    """
    members, others, made = as_three(train, holdout, synthetic)
    if len(others) < 2:
        message = "holdout has 1 sample; one half is the reference and the other is attacked, so it needs at least 2"
        raise InvalidValues(message)
    order = np.random.default_rng(seed).permutation(len(others))
    halves = order[: len(others) // 2], order[len(others) // 2 :]
    near = _to_means(np.concatenate([members, others]), made, round(len(made) ** 0.5))
    found = []
    for reference, outside in (halves, halves[::-1]):
        k = max(round(len(reference) / len(made) ** 0.5), 1)
        candidates = np.concatenate([np.arange(len(members)), len(members) + outside])
        far = _to_means(np.concatenate([members, others[outside]]), others[reference], min(k, len(reference)))
        labels = np.repeat([1.0, 0.0], [len(members), len(outside)])
        found.append(auroc_interval(labels, far - near[candidates], level=level, n=n, seed=seed))
    return Interval(*np.mean(found, axis=0).tolist())


def _to_means(x: Points, y: Points, k: int) -> Floats:
    """Squared distance of each row of ``x`` to the mean of its ``k`` nearest rows of ``y``, shape ``(n,)``."""
    rows = nearest(x, y, k=k)[1]
    step = max(GATHERED // (k * x.shape[1]), 1)
    found = np.empty(len(x))
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        found[part] = np.square(x[part] - y[rows[part]].mean(axis=1, dtype=np.float64)).sum(axis=1)
    return found


def _attack(train: ArrayLike, holdout: ArrayLike, synthetic: ArrayLike) -> tuple[Floats, Floats]:
    """Label (1 is a member) of each real sample, and its distance to the nearest synthetic one, negated."""
    members, others, made = as_three(train, holdout, synthetic)
    distance = knn_distances(np.concatenate([members, others]), made, k=1)[:, 0]
    return np.repeat([1.0, 0.0], [len(members), len(others)]), -distance
