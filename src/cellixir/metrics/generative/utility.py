"""Utility of synthetic samples to a classifier that is judged on real samples it has not seen."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student

from cellixir.exceptions import ConfigurationError, InvalidValues, UnknownIds, examples
from cellixir.metrics.generative.divergence import ROUNDING
from cellixir.metrics.generative.neighbours import as_pair
from cellixir.metrics.generative.two_sample import area
from cellixir.metrics.intervals import N_BOOTSTRAP, Interval, bootstrap_weights, interval_of_draws

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

N_REPEATS = 20
PENALTY = 1.0  # inverse strength of the L2 penalty, as scikit-learn has it


class Labelled(NamedTuple):
    """Samples, shape ``(n, d)``, and the code of the class of each."""

    values: Floats
    code: Codes


class Utility(NamedTuple):
    """Scores on real test samples of a classifier that was trained on synthetic, and on real, samples.

    Attributes
    ----------
    tstr, trtr
        Balanced accuracy, trained on synthetic and on real samples.
    ratio, interval
        tstr / trtr, and its bootstrap interval over test samples. 1 is best; chance is not taken off.
    tstr_auroc, trtr_auroc
        Mean over classes of the area under the ROC curve of one class against the others.
    auroc_ratio
        tstr_auroc / trtr_auroc.
    missing
        Classes of the real training samples that the synthetic ones do not have; they are never called.
    """

    tstr: float
    trtr: float
    ratio: float
    interval: Interval
    tstr_auroc: float
    trtr_auroc: float
    auroc_ratio: float
    missing: tuple[str, ...]


class Augmentation(NamedTuple):
    """Balanced accuracy with synthetic samples added to the real ones, without them, and the gain."""

    gain: Interval
    real: float
    augmented: float


def tstr(
    train_real: ArrayLike,
    y: ArrayLike,
    synthetic: ArrayLike,
    y_syn: ArrayLike,
    test_real: ArrayLike,
    y_test: ArrayLike,
    *,
    level: float = 0.95,
    n: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Utility:
    """Scores of train-on-synthetic, test-on-real beside train-on-real, test-on-real (Esteban et al., 2017).

    The classifier is a logistic regression that weighs classes equally, on values standardised by what it was trained
    on. Give as many synthetic samples as real ones if the two are to be compared sample for sample.

    Parameters
    ----------
    train_real, synthetic, test_real
        Samples x genes, or coordinates in a space fitted on ``train_real``.
    y, y_syn, y_test
        Class of each sample.

    Raises
    ------
    InvalidValues
        If the real data have fewer than two classes, a class is missing, widths differ, or values are not finite.
    UnknownIds
        If a synthetic or a test sample has a class that no real training sample has.
    """
    real, made, test, classes = _tables(train_real, y, synthetic, y_syn, test_real, y_test)
    on_synthetic, on_real = (_probabilities(side, test.values, len(classes)) for side in (made, real))
    of_synthetic, of_real = (_balanced_accuracies(p, test.code, n, seed) for p in (on_synthetic, on_real))
    ratios = of_synthetic / np.where(of_real > 0, of_real, np.nan)
    areas = [_macro_auroc(p, test.code) for p in (on_synthetic, on_real)]
    return Utility(
        tstr=float(of_synthetic[0]),
        trtr=float(of_real[0]),
        ratio=float(ratios[0]),
        interval=interval_of_draws(float(ratios[0]), ratios[1:], level),
        tstr_auroc=areas[0],
        trtr_auroc=areas[1],
        auroc_ratio=areas[0] / areas[1] if areas[1] else float("nan"),
        missing=tuple(str(c) for at, c in enumerate(classes) if at not in made.code),
    )


def augmentation_gain(
    train_real: ArrayLike,
    y: ArrayLike,
    synthetic: ArrayLike,
    y_syn: ArrayLike,
    test_real: ArrayLike,
    y_test: ArrayLike,
    *,
    n_repeats: int = N_REPEATS,
    level: float = 0.95,
    seed: int = 0,
) -> Augmentation:
    """Balanced accuracy of a classifier of real and synthetic samples together, less that of real samples alone.

    The value is of all samples, so that copies of the training samples gain nothing. For the interval each repeat
    draws half of the real, of the synthetic and of the test samples of each class: half of a sample, drawn without
    replacement, varies as much as another sample of full size would (Politis and Romano, Ann Stat 22:2031, 1994). The
    spread of the repeats is the standard error, and is not divided by their number. Of few samples the interval is too
    wide rather than too narrow (twice, of 30).

    Parameters
    ----------
    train_real, y, synthetic, y_syn, test_real, y_test
        As for ``tstr``.
    n_repeats
        Pairs of classifiers; the interval is that of Student's t with one degree of freedom less.

    Raises
    ------
    ConfigurationError
        If there are fewer than two repeats.
    InvalidValues
        As for ``tstr``, or if a class has fewer than two real training or test samples.
    UnknownIds
        As for ``tstr``.
    """
    if n_repeats < 2:
        message = f"n_repeats={n_repeats} gives no interval; use 2 or more"
        raise ConfigurationError(message)
    real, made, test, classes = _tables(train_real, y, synthetic, y_syn, test_real, y_test)
    _refuse_small_classes(real, classes, "real training data")
    _refuse_small_classes(test, classes, "test data")
    rng = np.random.default_rng(seed)
    without, with_made = _with_and_without(len(classes), real, made, test)
    drawn = [
        _with_and_without(len(classes), *(_half(side, rng) for side in (real, made, test))) for _ in range(n_repeats)
    ]
    reach = student.ppf((1 + level) / 2, n_repeats - 1) * np.std([b - a for a, b in drawn], ddof=1)
    gain = with_made - without
    return Augmentation(Interval(gain, float(gain - reach), float(gain + reach)), without, with_made)


def _with_and_without(n_classes: int, real: Labelled, made: Labelled, test: Labelled) -> tuple[float, float]:
    """Balanced accuracy of a classifier of real samples, and of real and synthetic ones together."""
    both = Labelled(np.concatenate([real.values, made.values]), np.concatenate([real.code, made.code]))
    found = [
        _balanced_accuracies(_probabilities(side, test.values, n_classes), test.code, 0, 0) for side in (real, both)
    ]
    return float(found[0][0]), float(found[1][0])


def _tables(
    train_real: ArrayLike, y: ArrayLike, synthetic: ArrayLike, y_syn: ArrayLike, test_real: ArrayLike, y_test: ArrayLike
) -> tuple[Labelled, Labelled, Labelled, list[str]]:
    """Real, synthetic and test samples with the code of their class, and the classes of the real ones."""
    names = ("real training data", "synthetic data", "test data")
    real, made = as_pair(train_real, synthetic, names[:2])
    _, test = as_pair(train_real, test_real, (names[0], names[2]))
    tables = [np.asarray(table, dtype=np.float64) for table in (real, made, test)]
    labels = [_labels(v, len(t), name) for v, t, name in zip((y, y_syn, y_test), tables, names, strict=True)]
    classes = sorted(set(labels[0]))
    for name, held in (names[0], labels[0]), (names[2], labels[2]):
        if len(set(held)) < 2:
            message = f"{name}: all {len(held):,} samples are of the class {held[0]!r}; at least two are told apart"
            raise InvalidValues(message)
    for name, held in zip(names, labels, strict=True):
        unknown = sorted(set(held) - set(classes))
        if unknown:
            message = f"{name}: the classes {examples(unknown)} have no real training sample; leave them out"
            raise UnknownIds(message)
    coded = [Labelled(t, np.searchsorted(classes, held)) for t, held in zip(tables, labels, strict=True)]
    return coded[0], coded[1], coded[2], classes


def _labels(values: ArrayLike, n: int, what: str) -> list[str]:
    found = np.asarray(values, dtype=object)
    if found.shape != (n,) or pd.isna(found).any():
        missing = int(pd.isna(found).sum())
        message = f"{what}: classes have the shape {found.shape}, {missing} missing; give one for each of {n:,} samples"
        raise InvalidValues(message)
    return [str(name) for name in found]


def _refuse_small_classes(side: Labelled, classes: list[str], what: str) -> None:
    sizes = np.bincount(side.code, minlength=len(classes))
    small = [name for name, size in zip(classes, sizes, strict=True) if size == 1]
    if small:
        message = f"{what}: the classes {examples(small)} have one sample; halves need at least two, or none"
        raise InvalidValues(message)


def _half(side: Labelled, rng: np.random.Generator) -> Labelled:
    """Half of each class, rounded up, without replacement."""
    members = (rng.permutation(np.flatnonzero(side.code == at)) for at in np.unique(side.code))
    rows = np.sort(np.concatenate([m[: (len(m) + 1) // 2] for m in members]))
    return Labelled(side.values[rows], side.code[rows])


def _probabilities(train: Labelled, test: Floats, n_classes: int) -> Floats:
    """Probability of each class for each test sample, shape ``(n_test, n_classes)``; 0 for a class never seen."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    seen, p = np.unique(train.code), np.zeros((len(test), n_classes))
    if len(seen) == 1:
        p[:, seen] = 1
        return p
    mean, scale = train.values.mean(axis=0), train.values.std(axis=0)
    scale[scale <= ROUNDING * np.abs(mean)] = 1  # constant columns say nothing, and must not be blown up
    model = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the order of scores is settled long before
        model.fit((train.values - mean) / scale, train.code)
    p[:, seen] = model.predict_proba((test - mean) / scale)
    return p


def _balanced_accuracies(p: Floats, code: Codes, n: int, seed: int) -> Floats:
    """Balanced accuracy of the data and of ``n`` bootstrap replicates over samples, shape ``(n + 1,)``.

    A replicate without a sample of a class is judged by the others.
    """
    members = code[:, None] == np.unique(code)
    right = members & (p.argmax(axis=1) == code)[:, None]
    weights = [np.ones((1, len(code))), *bootstrap_weights(len(code), n, seed)]
    hits, sizes = (np.concatenate([w @ m for w in weights]) for m in (right.astype(float), members.astype(float)))
    return np.asarray((hits / np.maximum(sizes, 1)).sum(axis=1) / (sizes > 0).sum(axis=1))


def _macro_auroc(p: Floats, code: Codes) -> float:
    return float(np.mean([area(code == at, p[:, at]) for at in np.unique(code)]))
