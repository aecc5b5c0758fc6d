"""Scores of models on the study that they have not seen, with intervals over its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from cellixir import metrics
from cellixir.metrics.catalogue import REGRESSION
from cellixir.metrics.intervals import N_BOOTSTRAP
from cellixir.metrics.words import banded
from cellixir.response.cross_validation import evaluation
from cellixir.response.cross_validation.models import kind_of
from cellixir.response.models.effects import group_means
from cellixir.response.studies.studies import MIN_PAIRS
from cellixir.runs.leaderboard import Leaderboard

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.splits import Fold
    from cellixir.response.cross_validation.pieces import Gathered
    from cellixir.response.studies.studies import Studies


def board_of(studies: Studies, fold: Fold, found: Gathered, seed: int) -> Leaderboard:
    """Models ranked by their RMSE, or by the per-drug Pearson where the studies measured different things."""
    table = _table(studies, fold, found, seed)
    if not studies.one_measure:
        return Leaderboard(table, pd.DataFrame(), "per_drug_pearson", REGRESSION)
    paired = evaluation.paired(studies.external, "LCO", found.predictions, table, seed=seed)
    return Leaderboard(table, paired, "rmse", REGRESSION)


def _table(studies: Studies, fold: Fold, found: Gathered, seed: int) -> pd.DataFrame:
    """One row a model with intervals over samples, the lowest RMSE (or the highest per-drug Pearson) first."""
    data = studies.external
    scores = pd.DataFrame([{"model": name} | _scores(studies, p, seed) for name, p in found.predictions.items()])
    if found.half_widths:
        held = {m: np.abs(data.response - found.predictions[m]) <= half for m, half in found.half_widths.items()}
        scores["coverage"] = scores["model"].map({model: float(inside.mean()) for model, inside in held.items()})
    if studies.one_measure:
        errors = evaluation.overall(data, "LCO", [fold], found.predictions, found.seconds, seed=seed)
        errors = errors[[c for c in errors if c not in scores or c == "model"]].drop(columns="per_sample_pearson")
        table = errors.merge(scores, on="model")
    else:
        kinds = scores["model"].map(kind_of)
        table = scores.assign(kind=kinds).merge(found.seconds[["model", "seconds"]], on="model")
        table = table.sort_values("per_drug_pearson", ascending=False, kind="stable", ignore_index=True)
    if data.responses["sample"].nunique() < 2:  # nothing to draw from
        table.loc[:, table.columns.str.endswith(("_low", "_high"))] = np.nan
    return table[["model", "kind", *[c for c in table if c not in ("model", "kind", "seconds")], "seconds"]]


def _scores(studies: Studies, predicted: NDArray[np.float64], seed: int) -> dict[str, float]:
    """Correlations of one model with their intervals, and its error once each drug's mean shift is taken away."""
    data = studies.external
    y, sample, drug = data.response, data.sample_index, data.drug_index
    ranks, within = _ranks(y), _ranks(y, drug)
    found = {
        "spearman": metrics.intervals(ranks, _ranks(predicted), sample, seed=seed)["pearson"],
        "per_drug_pearson": within_drugs(y, predicted, drug, sample, seed),
        "per_drug_spearman": within_drugs(within, _ranks(predicted, drug), drug, sample, seed),
    }
    # the shift of a drug with few pairs would be fitted to their noise
    often = np.bincount(drug)[drug] >= MIN_PAIRS
    if studies.one_measure and often.any():
        shift = group_means(y - predicted, drug, len(data.drugs))[drug]
        found["rmse_recalibrated"] = metrics.intervals(
            (y - shift)[often], predicted[often], sample[often], seed=seed
        )["rmse"]  # fmt: skip
    return {key: value for name, interval in found.items() for key, value in banded(name, interval).items()}


def _ranks(values: NDArray[np.float64], groups: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Average ranks, within groups where they are given."""
    series = pd.Series(values)
    ranks = series.rank() if groups is None else series.groupby(groups).rank()
    return np.asarray(ranks, dtype=np.float64)


def within_drugs(
    y: NDArray[np.float64], p: NDArray[np.float64], drug: NDArray[np.int64], sample: NDArray[np.int64], seed: int
) -> metrics.Interval:
    """Mean over drugs of Pearson within the drug, with its bootstrap interval over samples.

    The sums of each sample and drug are taken once; a replicate weighs samples. Memory: 6 numbers a pair, and
    blocks of 32 replicates x 6 x n_drugs.
    """
    n_drugs = int(drug.max()) + 1
    value = metrics.mean_within(y, p, drug, min_size=MIN_PAIRS)
    if not np.isfinite(value):
        return metrics.Interval(value, np.nan, np.nan)
    defined = np.isfinite(metrics.pearson_within(y, p, drug, n_drugs, min_size=MIN_PAIRS))
    a, b = (v - group_means(v, drug, n_drugs)[drug] for v in (y, p))
    moments = np.concatenate([np.ones_like(a), a, b, a * a, b * b, a * b])
    column = np.concatenate([drug + k * n_drugs for k in range(6)])
    sums = csr_array((moments, (np.tile(sample, 6), column)), shape=(int(sample.max()) + 1, 6 * n_drugs))
    drawn = [
        _mean_correlation((weights @ sums).reshape(len(weights), 6, n_drugs)[:, :, defined])
        for weights in metrics.bootstrap_weights(sums.shape[0], N_BOOTSTRAP, seed)
    ]
    low, high = np.nanquantile(np.concatenate(drawn), [0.025, 0.975])
    return metrics.Interval(value, float(low), float(high))


def _mean_correlation(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over drugs of the correlation, from sums of shape ``(replicates, 6, drugs)``."""
    n, a, b, aa, bb, ab = np.moveaxis(sums, 1, 0)
    count = np.maximum(n, 1.0)
    va, vb = aa - a * a / count, bb - b * b / count
    known = (n >= MIN_PAIRS) & (va > 1e-12 * np.maximum(aa, 1e-300)) & (vb > 1e-12 * np.maximum(bb, 1e-300))
    r = np.where(known, (ab - a * b / count) / np.sqrt(np.where(known, va * vb, 1.0)), 0.0)
    with np.errstate(invalid="ignore"):
        return np.asarray(r.sum(axis=1) / known.sum(axis=1))
