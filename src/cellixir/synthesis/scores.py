"""The numbers of an evaluation, family by family, of any samples in the place of the synthetic ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellixir.exceptions import ConfigurationError, InvalidValues
from cellixir.metrics.catalogue import GENERATIVE
from cellixir.metrics.generative.alpha_beta import alpha_precision, authenticity, beta_recall
from cellixir.metrics.generative.differential import differential_expression
from cellixir.metrics.generative.divergence import (
    correlation_distance,
    gene_distances,
    gene_statistics,
    jensen_shannon,
    library_size_distance,
)
from cellixir.metrics.generative.membership import membership_interval, reference_attack
from cellixir.metrics.generative.mmd import mmd2
from cellixir.metrics.generative.prdc import prdc
from cellixir.metrics.generative.privacy import NearCopies, closest_record, near_copies, nndr_of
from cellixir.metrics.generative.two_sample import c2st_interval
from cellixir.metrics.generative.utility import augmentation_gain, tstr
from cellixir.metrics.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from cellixir.synthesis.yardstick import Side

Scores = dict[str, Interval]
#: Halves of the samples that an interval is made of.
HALVES = 20
K = 5
MIN_CLASS = 2
#: Draws that an interval can be made of.
FEWEST = 2


def known(value: float) -> Interval:
    """A number without an interval."""
    return Interval(float(value), float("nan"), float("nan"))


def geometry(real: Side, other: Side) -> Scores:
    """Precision, recall, density, coverage, alpha-precision, beta-recall and MMD of the principal components."""
    found = prdc(real.places, other.places, k=K)
    numbers = {
        "precision": found.precision,
        "recall": found.recall,
        "density": found.density,
        "coverage": found.coverage,
        "alpha_precision": alpha_precision(real.places, other.places),
        "beta_recall": beta_recall(real.places, other.places),
        "mmd2": mmd2(real.places, other.places),
    }
    return {name: known(value) for name, value in numbers.items()}


def shares(real: Side, other: Side) -> Scores:
    """Those of `geometry` and `genes` that are judged as shares of what real data reach."""
    found = prdc(real.places, other.places, k=K)
    agreement = correlation_distance(real.log, other.log).agreement
    return {"precision": known(found.precision), "recall": known(found.recall), "correlation": known(agreement)}


def told_apart(real: Side, other: Side, seed: int, *, ends: bool = True) -> Scores:
    """The classifier two-sample test, and the divergence of the composition where there are columns.

    Without ``ends`` the interval is not to be used: it rests on as few draws as there can be.
    """
    found = {"c2st": c2st_interval(real.places, other.places, seed=seed, **_draws(ends))}
    if real.columns:
        found["composition"] = known(composition(real, other))
    return found


def composition(real: Side, other: Side) -> float:
    """Jensen-Shannon divergence, in nats, of the shares of all combinations of group, batch and label."""
    rows = [list(zip(*side.columns.values(), strict=True)) for side in (real, other)]
    names = sorted(set(rows[0]) | set(rows[1]))
    place = {name: i for i, name in enumerate(names)}
    counts = [np.bincount([place[row] for row in side], minlength=len(names)) for side in rows]
    return jensen_shannon(*counts)


def genes(real: Side, other: Side, *, counts: bool) -> Scores:
    """Distance of means, variances, zero fractions and correlations of genes, and of library sizes of counts."""
    apart = gene_distances(gene_statistics(real.log, other.log))
    numbers = {"gene_mean": apart.mean, "gene_variance": apart.variance, "zero_fraction": apart.zero_fraction}
    if counts:
        numbers["library_size"] = library_size_distance(real.raw, other.raw)
    numbers["correlation"] = correlation_distance(real.log, other.log).agreement
    return {name: known(value) for name, value in numbers.items()}


def utility(real: Side, other: Side, test: Side, seed: int, *, role: str) -> Scores:
    """Scores of classifiers of ``role`` on real test samples; empty if the real ones do not have two classes.

    ``trtr`` and ``chance`` are what real samples and guessing reach.
    """
    y, y_other, y_test = (side.columns[role] for side in (real, other, test))
    classes = _classes(y, y_test)
    if len(classes) < 2:
        return {}
    sides = [(side, np.isin(names, classes)) for side, names in ((real, y), (other, y_other), (test, y_test))]
    tables = [table for side, rows in sides for table in (side.components[rows], side.columns[role][rows])]
    if not sides[1][1].any():
        return {"tstr": known(0.0), "tstr_ratio": known(0.0)}
    found, gain = tstr(*tables, seed=seed), augmentation_gain(*tables, seed=seed).gain
    ratio = Interval(found.ratio, *found.interval[1:])
    controls = {"trtr": known(found.trtr), "chance": known(1 / len(classes))}
    return {"tstr": known(found.tstr), "tstr_ratio": ratio, "augmentation": gain} | controls


def _classes(y: NDArray[np.object_], y_test: NDArray[np.object_]) -> list[str]:
    """Classes with enough samples on both sides."""
    counted = [dict(zip(*np.unique(names.astype(str), return_counts=True), strict=True)) for names in (y, y_test)]
    return [str(name) for name, n in counted[0].items() if min(n, counted[1].get(name, 0)) >= MIN_CLASS]


def privacy(train: Side, holdout: Side, other: Side, seed: int, *, ends: bool = True) -> tuple[Scores, NearCopies]:
    """Closest record, attacks on membership, near copies and distance ratio, of distances over all genes.

    Without ``ends`` intervals are not to be used: they rest on as few draws as there can be.

    In few directions, leading or random, what means of thousands of genes give away of who was in them (Homer et al.,
    PLoS Genet 4:e1000167, 2008) drowns in noise.
    """
    members, outside, made = train.dense, holdout.dense, other.dense
    near = near_copies(members, outside, made)
    numbers = {
        "near_copies": near.share,
        "dcr_share": closest_record(members, outside, made, seed=seed, **_draws(ends)).interval,
        "membership": membership_interval(members, outside, made, seed=seed, **_draws(ends)),
        "reference_attack": reference_attack(members, outside, made, seed=seed, **_draws(ends)),
        "nndr": nndr_of(near.ratios).median,
    }
    return numbers, near


def _draws(ends: bool) -> dict[str, int]:
    return {} if ends else {"n": FEWEST}


def authentic(train: Side, other: Side) -> Scores:
    """Authenticity, of the principal components.

    Over all genes samples of too little noise are near to every real sample, and would be called copies of one.
    """
    return {"authenticity": known(authenticity(train.places, other.places))}


def copies(train: Side, other: Side) -> float:
    """Share of the samples that are a training sample value for value."""
    return float(np.isin(other.digests, train.digests).mean())


def copies_beyond(train: Side, holdout: Side, other: Side) -> Interval:
    """`copies`, and where real held-out samples are copies too, by chance, the interval of the share against theirs.

    Shallow cells and samples of few genes are alike without having been copied.
    """
    share, usual = copies(train, other), copies(train, holdout)
    if not usual:
        return known(share)
    error = np.sqrt(share * (1 - share) / len(other) + usual * (1 - usual) / len(holdout))
    return _interval("copies", share, float(error))


def effects(side: Side, group: str, reference: str, names: pd.Index, to_log2: float) -> pd.DataFrame | None:
    """Differential expression of a group against the reference group; None where it cannot be computed."""
    groups = side.columns["group"]
    rows = np.isin(groups, [group, reference])
    batch = side.columns["batch"][rows] if "batch" in side.columns else None
    try:
        return differential_expression(
            side.log[rows] * to_log2, groups[rows], batch=batch, reference=reference, genes=list(names)
        )
    except (InvalidValues, ConfigurationError):  # a group that was never drawn, or one in each batch
        return None


def with_intervals(score: Callable[..., Scores], *sides: Side, seed: int) -> Scores:
    """The scores, with an interval of 1.96 standard errors for each that brings none.

    The standard error is the spread over random halves of all sides: half of a sample, drawn without replacement,
    varies as much as another whole sample would (Politis and Romano, Ann Stat 22:2031, 1994). A bootstrap would make
    samples neighbours of themselves, and leaving out few at a time fails where nearest neighbours decide.
    """
    values = score(*sides)
    missing = [name for name, value in values.items() if not np.isfinite(value.low)]
    if not missing:
        return values
    rng = np.random.default_rng([seed, 7])
    drawn = [score(*(_half(side, rng) for side in sides)) for _ in range(HALVES)]
    error = {name: float(np.std([scores[name].value for scores in drawn], ddof=1)) for name in missing}
    return values | {name: _interval(name, values[name].value, error[name]) for name in missing}


def _half(side: Side, rng: np.random.Generator) -> Side:
    return side.take(np.sort(rng.choice(len(side), (len(side) + 1) // 2, replace=False)))


def _interval(name: str, value: float, error: float) -> Interval:
    low, high = np.clip([value - 1.96 * error, value + 1.96 * error], *GENERATIVE[name].bounds)
    return Interval(value, float(low), float(high))
