"""Every metric on samples that it must not confuse: identical, disjoint, memorised, collapsed to one mode, fresh."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from cellixir.metrics.generative import (
    alpha_precision,
    authenticity,
    beta_recall,
    c2st,
    closest_record,
    correlation_distance,
    de_recovery,
    differential_expression,
    gene_distances,
    gene_statistics,
    library_size_distance,
    membership_inference,
    mmd2,
    nndr,
    prdc,
    tstr,
)

N = 200
COPIED = np.arange(N) // 20 * 20  # ten samples, twenty times each
CASES = ("identical", "disjoint", "memorised", "collapsed", "fresh")
LN2 = float(np.log(2))
Span = tuple[float, float]


class Samples(NamedTuple):
    values: np.ndarray
    label: np.ndarray


def drawn(seed: int, n_modes: int = 4) -> Samples:
    """As many samples of each of ``n_modes`` far clusters, which are their classes; few digits, to be moved exactly."""
    mode = np.arange(N) * n_modes // N
    values = 20 * np.eye(4)[mode] + np.random.default_rng(seed).normal(size=(N, 4))
    return Samples(np.round(values * 2**20) / 2**20, mode)


def counted(seed: int) -> Samples:
    """Counts of 60 genes, of which 20 are threefold up in the second group and 30 go together."""
    rng, gene, group = np.random.default_rng(seed), np.arange(60), np.arange(N) * 2 // N
    mean = np.random.default_rng(77).gamma(2, 20, 60) * np.exp(0.4 * rng.normal(size=(N, 1)) * (gene % 2))
    return Samples(rng.poisson(mean * np.where(np.outer(group, gene < 20), 3, 1)).astype(float), group)


@cache
def points(case: str) -> Samples:
    train, new = drawn(0), drawn(2)
    return {
        "identical": train,
        "disjoint": Samples(new.values + 1e3, new.label),
        "memorised": Samples(train.values[COPIED], train.label[COPIED]),
        "collapsed": drawn(3, n_modes=1),
        "fresh": new,
    }[case]


@cache
def genes(case: str) -> Samples:
    real, new = counted(0), counted(1)
    return {
        "identical": real,
        "disjoint": Samples(new.values + 1e4, new.label[::-1]),  # and the groups are exchanged
        "memorised": Samples(real.values[COPIED], real.label[COPIED]),
        "collapsed": Samples(np.repeat(new.values[:1], N, axis=0), new.label),
        "fresh": new,
    }[case]


REAL, HOLDOUT = drawn(0), drawn(1)
X = REAL.values


def recovered(name: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """A number of ``DERecovery``, the truth being what differs in the real counts."""

    def score(values: np.ndarray, label: np.ndarray) -> float:
        found, truth = (
            differential_expression(np.log2(table + 1), group) for table, group in ((values, label), counted(0))
        )
        return float(getattr(de_recovery(found, truth), name))

    return score


OF_POINTS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "precision": lambda made, _: prdc(X, made).precision,
    "recall": lambda made, _: prdc(X, made).recall,
    "density": lambda made, _: prdc(X, made).density,
    "coverage": lambda made, _: prdc(X, made).coverage,
    "alpha_precision": lambda made, _: alpha_precision(X, made),
    "beta_recall": lambda made, _: beta_recall(X, made),
    "authenticity": lambda made, _: authenticity(X, made),
    "mmd2": lambda made, _: mmd2(X, made),
    "c2st": lambda made, _: c2st(X, made, n_trees=15),
    "tstr": lambda made, label: tstr(X, REAL.label, made, label, HOLDOUT.values, HOLDOUT.label, n=1).tstr,
    "dcr": lambda made, _: closest_record(X, HOLDOUT.values, made, n=20).share_closer_to_train,
    "nndr": lambda made, _: nndr(X, made).median.value,
    "membership": lambda made, _: membership_inference(X, HOLDOUT.values, made),
}
OF_GENES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "gene_mean": lambda made, _: gene_distances(gene_statistics(genes("identical").values, made)).mean,
    "gene_variance": lambda made, _: gene_distances(gene_statistics(genes("identical").values, made)).variance,
    "library_size": lambda made, _: library_size_distance(genes("identical").values, made),
    "correlation": lambda made, _: correlation_distance(genes("identical").values, made).agreement,
    "de_precision": recovered("precision"),
    "de_recall": recovered("recall"),
    "de_jaccard": recovered("jaccard"),
    "lfc_slope": recovered("slope"),
}
NAN = (float("nan"), float("nan"))
ANY = (0.0, 1.0)  # depends on the one or two records that happen to lie nearest
SPANS: dict[str, tuple[Span, ...]] = {  # from - to, in the order of CASES; two equal numbers: exactly that
    "precision": ((1, 1), (0, 0), (1, 1), (0.85, 1), (0.85, 1)),
    "recall": ((1, 1), (0, 0), (0, 0), (0.2, 0.25), (0.85, 1)),
    "density": ((1, 1), (0, 0), (0.7, 1.6), (0.8, 1.3), (0.85, 1.2)),
    "coverage": ((1, 1), (0, 0), (0.05, 0.4), (0.2, 0.25), (0.9, 1)),
    "alpha_precision": ((1 - 1 / N, 1 - 1 / N), (0, 0), (0.6, 0.95), (0.8, 1), (0.8, 1)),  # distances, not directions
    "beta_recall": ((1 - 1 / N, 1 - 1 / N), (0, 0), (0.05, 0.2), (0.2, 0.42), (0.36, 0.65)),
    "authenticity": ((0, 0), (1, 1), (0, 0), (0.3, 0.65), (0.3, 0.65)),
    "mmd2": ((-0.005, 0), (1.3, 1.45), (-0.005, 0.01), (0.25, 0.35), (-0.01, 0.01)),
    "c2st": ((0, 0.1), (1, 1), (0.9, 1), (0.8, 0.95), (0.4, 0.6)),
    "tstr": ((1, 1), ANY, (1, 1), (0.25, 0.25), (1, 1)),
    "dcr": ((1, 1), ANY, (1, 1), (0.35, 0.6), (0.4, 0.6)),
    "nndr": ((0, 0), (0.999, 1), (0, 0), (0.75, 0.95), (0.75, 0.95)),
    "membership": ((1, 1), (0.4, 0.6), (0.45, 0.6), (0.4, 0.6), (0.4, 0.6)),
    "gene_mean": ((0, 0), (6, 10), (0.02, 0.3), (0.3, 1), (0, 0.12)),
    "gene_variance": ((0, 0), (0.05, 0.3), (0.4, 1.5), (5, 12), (0.05, 0.3)),
    "library_size": ((0, 0), (1, 1), (0.1, 0.4), (0.5, 1), (0, 0.15)),
    "correlation": ((1, 1), (0.9, 1), (0.4, 0.85), NAN, (0.9, 1)),  # the shift of all values leaves it alone
    "de_precision": ((1, 1), (0.8, 1), (0.2, 0.6), NAN, (0.8, 1)),
    "de_recall": ((1, 1), (0.85, 1), (0.85, 1), (0, 0), (0.85, 1)),
    "de_jaccard": ((1, 1), (0.9, 1), (0.75, 1), (0, 0), (0.9, 1)),  # no gene changed: not the first of the table
    "lfc_slope": ((1, 1), (-0.05, 0), (0.9, 1.4), (0, 0), (0.95, 1.1)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("metric", SPANS)
def test_value(metric: str, case: str) -> None:
    score, samples = (OF_POINTS[metric], points) if metric in OF_POINTS else (OF_GENES[metric], genes)
    low, high = SPANS[metric][CASES.index(case)]
    found = score(*samples(case))
    assert np.isnan(found) if np.isnan(low) else low - 1e-9 <= found <= high + 1e-9


def test_no_metric_is_left_out() -> None:
    assert set(SPANS) == set(OF_POINTS) | set(OF_GENES)


def test_where_few_records_are_nearest_the_interval_says_so() -> None:
    found = closest_record(X, HOLDOUT.values, points("disjoint").values).interval
    assert found.low < 0.4 < 0.6 < found.high


# -- all synthetic samples in one point: closed forms ------------------------------------------------------------------

POINT = np.array([[0.5, 20.5, -0.5, 0.0]])
MADE = np.repeat(POINT, 50, axis=0)


def test_alpha_precision_of_a_point() -> None:
    # P(q) is 0 below the share u of real samples nearer to the centre, then 1: 1 - u^2 - (1 - u)^2
    far = np.linalg.norm(X - X.mean(axis=0), axis=1)
    u = np.mean(far < np.linalg.norm(POINT - X.mean(axis=0)))
    assert 0.05 < u < 0.95
    assert alpha_precision(X, MADE) == pytest.approx(2 * u * (1 - u), abs=1e-12)


def test_beta_recall_of_a_point() -> None:
    # the nearest samples lie in the synthetic centre: P(q) is the share of real samples that it is near to
    spacing = np.sort(cdist(X, X), axis=1)[:, 4]
    share = np.mean(cdist(X, POINT)[:, 0] <= spacing)
    assert share > 0
    assert beta_recall(X, MADE, k=4) == pytest.approx(2 * share * (1 - share), abs=1e-12)


def test_mmd_of_a_point() -> None:
    within, across = (np.exp(-(cdist(X, t) ** 2) / (2 * 3.0**2)) for t in (X, POINT))
    expected = (within.sum() - N) / (N * (N - 1)) + 1 - 2 * across.mean()
    assert mmd2(X, MADE, bandwidth=3.0) == pytest.approx(expected, abs=1e-12)


def test_mmd_of_a_table_with_itself() -> None:
    # the pairs of a row with itself are in the mean across only: 2 (mean kernel of pairs - 1) / n
    kernel = np.exp(-(cdist(X, X) ** 2) / (2 * 3.0**2))
    expected = 2 * ((kernel.sum() - N) / (N * (N - 1)) - 1) / N
    assert mmd2(X, X, bandwidth=3.0) == pytest.approx(expected, abs=1e-12)


# -- where nothing may change ------------------------------------------------------------------------------------------

OF_DISTANCES = sorted(set(OF_POINTS) - {"c2st", "tstr"})


@pytest.mark.parametrize("metric", OF_DISTANCES)
def test_a_constant_gene_and_another_origin_change_no_distance(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(table: np.ndarray) -> np.ndarray:
        return np.hstack([table + 2**20, np.full((len(table), 1), 7.0)])

    made = points("fresh").values
    expected = OF_POINTS[metric](made, REAL.label)
    monkeypatch.setattr(sys.modules[__name__], "X", moved(X))
    monkeypatch.setattr(sys.modules[__name__], "HOLDOUT", Samples(moved(HOLDOUT.values), HOLDOUT.label))
    assert OF_POINTS[metric](moved(made), REAL.label) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_scikit_learn_is_loaded_where_it_is_used() -> None:
    code = "import sys, cellixir.metrics.generative; print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"
