"""Classifier two-sample test: a forest that tells synthetic samples from real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellixir.exceptions import ConfigurationError, InvalidValues
from cellixir.metrics.generative.neighbours import as_pair
from cellixir.metrics.intervals import N_BOOTSTRAP, Interval, bootstrap_weights, interval_of_draws
from cellixir.metrics.ranked import Ranked

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cellixir.metrics.generative.tiles import Points

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

N_FOLDS = 5
N_TREES = 100
MAX_SAMPLES = 2_000  # of each side: the area is then known to about .01


def c2st(
    real: ArrayLike,
    synthetic: ArrayLike,
    *,
    n_folds: int = N_FOLDS,
    n_trees: int = N_TREES,
    limit: int = MAX_SAMPLES,
    seed: int = 0,
) -> float:
    """Area under the ROC curve of a forest that tells synthetic from real samples it has not seen; .5 is best.

    1 means that every sample is recognised. Well below .5 means that samples have near copies on the other side,
    from which the forest learns the wrong answer: look at the privacy metrics. See ``c2st_scores`` for parameters.
    """
    return area(*c2st_scores(real, synthetic, n_folds=n_folds, n_trees=n_trees, limit=limit, seed=seed))


def c2st_interval(
    real: ArrayLike,
    synthetic: ArrayLike,
    *,
    n_folds: int = N_FOLDS,
    n_trees: int = N_TREES,
    limit: int = MAX_SAMPLES,
    seed: int = 0,
    level: float = 0.95,
    n: int = N_BOOTSTRAP,
) -> Interval:
    """``c2st`` and its interval.

    A bootstrap over held-out samples, widened by sqrt(1 + k / (k - 1)) for ``k`` folds: forests share most of what they
    were grown on, and two near samples of different sides mislead each other's forest, so folds are not independent
    (Nadeau and Bengio, Mach Learn 52:239, 2003). Without it, 28 % of 95 % intervals of fresh draws miss .5.
    """
    labels, scores, folds = c2st_scores(real, synthetic, n_folds=n_folds, n_trees=n_trees, limit=limit, seed=seed)
    value, low, high = auroc_interval(labels, scores, strata=folds, level=level, n=n, seed=seed)
    wider = np.sqrt(1 + n_folds / (n_folds - 1))
    return Interval(value, max(0.0, value - wider * (value - low)), min(1.0, value + wider * (high - value)))


def c2st_scores(
    real: ArrayLike,
    synthetic: ArrayLike,
    *,
    n_folds: int = N_FOLDS,
    n_trees: int = N_TREES,
    limit: int = MAX_SAMPLES,
    seed: int = 0,
) -> tuple[Floats, Floats, Codes]:
    """Label (1 is synthetic), held-out score and fold of each sample that was compared.

    Lopez-Paz and Oquab, ICLR 2017, with a random forest in stratified folds. Scores of different folds come from
    different forests and are compared within a fold only.

    Parameters
    ----------
    real, synthetic
        Coordinates in one space, shapes ``(n, d)`` and ``(m, d)``. Of the larger side, as many samples are drawn as
        the smaller one has, so that both classes are equally likely.
    n_folds
        Folds; each side needs as many samples.
    limit
        At most this many samples of each side, drawn by ``seed``.

    Raises
    ------
    ConfigurationError
        If there are fewer than two folds or no tree.
    InvalidValues
        If the widths differ, a side has fewer samples than folds, or a value is not finite.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import StratifiedKFold

    if n_folds < 2 or n_trees < 1:
        message = f"n_folds={n_folds}, n_trees={n_trees}; use at least 2 folds and 1 tree"
        raise ConfigurationError(message)
    samples, size = _equal_parts(*as_pair(real, synthetic), limit, n_folds, seed)
    samples = samples - samples.mean(axis=0, dtype=np.float64)  # forests read float32, too coarse far from 0
    labels = np.repeat([0.0, 1.0], size)
    scores, folds = np.empty(2 * size), np.empty(2 * size, dtype=np.int64)
    dealt = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(samples, labels)
    for fold, (train, held_out) in enumerate(dealt):
        forest = RandomForestClassifier(n_trees, random_state=seed).fit(samples[train], labels[train])
        scores[held_out] = forest.predict_proba(samples[held_out])[:, 1]
        folds[held_out] = fold
    return labels, scores, folds


def area(labels: Floats, scores: Floats, strata: Codes | None = None) -> float:
    """Area under the ROC curve of labels 0 and 1; rows of different strata are not compared."""
    return Ranked(labels, scores, strata).areas(np.ones(1))[0]


def auroc_interval(
    labels: Floats,
    scores: Floats,
    *,
    strata: Codes | None = None,
    level: float = 0.95,
    n: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Interval:
    """Area under the ROC curve with its percentile bootstrap interval over samples, of labels 0 and 1."""
    rows = np.arange(len(labels))
    ranked = Ranked(labels, scores, strata, rows)
    drawn = [ranked.areas(w)[0] for block in bootstrap_weights(len(rows), n, seed) for w in block]
    return interval_of_draws(ranked.areas(np.ones(len(rows)))[0], np.array(drawn), level)


def _equal_parts(real: Points, synthetic: Points, limit: int, n_folds: int, seed: int) -> tuple[Points, int]:
    """As many real as, after them, synthetic samples, and how many."""
    size = min(len(real), len(synthetic), limit)
    if size < n_folds:
        message = (
            f"{len(real):,} real and {len(synthetic):,} synthetic samples, limit={limit:,}: too few for "
            f"{n_folds} folds; give more samples, or use fewer folds"
        )
        raise InvalidValues(message)
    rng = np.random.default_rng(seed)
    return np.concatenate([some_rows(real, size, rng), some_rows(synthetic, size, rng)]), size


def some_rows(table: Points, size: int, rng: np.random.Generator) -> Points:
    """``size`` rows drawn without replacement, in their order; all of them if there are no more."""
    return table if len(table) <= size else table[np.sort(rng.choice(len(table), size, replace=False))]
