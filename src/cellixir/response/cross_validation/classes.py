"""Judge probabilities of sensitive: tables that people read.

``labels`` are 0 and 1, one a row of the data, by the thresholds of the fold that tests the row (``fold_labels``).
A model that learns labels by least squares predicts a probability that may leave 0 to 1 a little: it is clipped.

Columns: ``auroc`` compares pairs within a fold, ``per_drug_auroc`` within a drug and fold; ``auprc`` is average
precision; calls are made at 0.5; ``_low`` and ``_high`` are the interval over the unit that the split leaves out.
``auroc_gain`` is the AUROC less that of the best naive baseline, on the same drawn units: above 0, it is better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.data.splits import split_groups
from cellixir.metrics import classification as metrics
from cellixir.metrics.class_intervals import class_draws, interval_of
from cellixir.metrics.intervals import N_BOOTSTRAP
from cellixir.metrics.ranked import Ranked
from cellixir.metrics.words import banded
from cellixir.response.cross_validation import evaluation
from cellixir.response.cross_validation.labels import with_labels
from cellixir.response.cross_validation.models import kind_of
from cellixir.runs.leaderboard import paired_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData
    from cellixir.data.splits import Fold

    Floats = NDArray[np.float64]
    Draws = dict[str, dict[str, Floats]]  # by model and metric, the value and then the replicates

CLASS_LEADERBOARD = [
    "split", "model", "fold", "n_train", "n_test", "prevalence", *metrics.CLASS_METRICS, "per_drug_auroc", "seconds",
]  # fmt: skip
BANDED = ("auroc", "per_drug_auroc", "auprc", "balanced_accuracy", "brier")
PLAIN = ("accuracy", "precision", "recall", "f1", "matthews", "log_loss", "calibration_error")


def class_scores(labels: Floats, p: Floats, drug_index: NDArray[np.int64]) -> dict[str, float]:
    """Metrics of one model on the test rows of one fold, ``prevalence`` and ``per_drug_auroc`` among them.

    All but the prevalence are NaN if a prediction is not finite.
    """
    known = {"prevalence": float(np.mean(labels)) if len(labels) else float("nan")}
    if not np.isfinite(p).all():
        return known | dict.fromkeys((*metrics.CLASS_METRICS, "per_drug_auroc"), float("nan"))
    clipped = np.clip(p, 0, 1)
    within = metrics.mean_within_auroc(labels, clipped, drug_index)
    return known | metrics.class_score(labels, clipped) | {"per_drug_auroc": within}


def class_leaderboard(
    data: ResponseData,
    split: str,
    folds: Sequence[Fold],
    predictions: evaluation.Predictions,
    labels: Floats,
    seconds: pd.DataFrame,
) -> pd.DataFrame:
    """One row a model and fold, columns ``CLASS_LEADERBOARD``; ``seconds`` has ``model, fold, seconds``."""
    rows = [
        {
            "split": split,
            "model": model,
            "fold": fold.number,
            "n_train": len(fold.train) + len(fold.validation),
            "n_test": len(fold.test),
            **class_scores(labels[fold.test], p[fold.test], data.drug_index[fold.test]),
        }
        for model, p in predictions.items()
        for fold in folds
    ]
    return pd.DataFrame(rows).merge(seconds, on=["model", "fold"], how="left")[CLASS_LEADERBOARD]


def class_bootstrap(
    data: ResponseData,
    split: str,
    folds: Sequence[Fold],
    predictions: evaluation.Predictions,
    labels: Floats,
    *,
    seed: int,
    n: int = N_BOOTSTRAP,
) -> Draws:
    """Replicates of every metric of every model over the unit that the split leaves out, all on the same draws.

    Give them to ``class_overall`` and ``class_paired``, which else draw themselves. About 5 s a model for 200,000
    rows. A model with a prediction that is not finite has NaN.
    """
    rows = np.concatenate([fold.test for fold in folds])
    fold_of = np.concatenate([np.full(len(fold.test), i) for i, fold in enumerate(folds)])
    cell = fold_of * len(data.drugs) + data.drug_index[rows]
    units = split_groups(data, split)[rows]
    draws: Draws = {}
    for model, p in predictions.items():
        if np.isfinite(p[rows]).all():
            clipped = np.clip(p[rows], 0, 1)
            drawn = class_draws(labels[rows], clipped, units, strata=fold_of, within=cell, n=n, seed=seed)
            drawn["per_drug_auroc"] = drawn.pop("within_auroc")
            draws[model] = drawn
        else:
            draws[model] = dict.fromkeys((*BANDED, *PLAIN), np.full(n + 1, np.nan))
    return draws


def class_overall(
    data: ResponseData,
    split: str,
    folds: Sequence[Fold],
    predictions: evaluation.Predictions,
    labels: Floats,
    seconds: pd.DataFrame,
    *,
    seed: int,
    draws: Draws | None = None,
) -> pd.DataFrame:
    """One row a model over all folds, the highest AUROC first: ``model, kind``, metrics, ``auroc_gain``, ``seconds``.

    ``auroc``, ``per_drug_auroc``, ``auprc``, ``balanced_accuracy``, ``brier`` and ``auroc_gain`` have intervals.
    """
    draws = draws or class_bootstrap(data, split, folds, predictions, labels, seed=seed)
    tested = np.concatenate([fold.test for fold in folds])
    naive = _best([model for model in predictions if kind_of(model) == "baseline"], draws)
    rows = []
    for model, p in predictions.items():
        row: dict[str, Any] = {"model": model, "kind": kind_of(model)}
        for name in BANDED:
            row |= banded(name, interval_of(draws[model][name]))
        row |= {name: float(draws[model][name][0]) for name in PLAIN if name in draws[model]}
        row |= _told(labels[tested], p[tested])
        gain = draws[model]["auroc"] - draws[naive]["auroc"] if naive not in (None, model) else np.full(2, np.nan)
        row |= banded("auroc_gain", interval_of(gain))
        row["seconds"] = float(seconds.loc[seconds["model"] == model, "seconds"].sum())
        rows.append(row)
    return pd.DataFrame(rows).sort_values("auroc", ascending=False, kind="stable").reset_index(drop=True)


def _told(labels: Floats, p: Floats) -> dict[str, float]:
    """What is said of probabilities as such, over all rows at once."""
    if not np.isfinite(p).all():
        return {"log_loss": float("nan"), "calibration_error": float("nan")}
    clipped = np.clip(p, 0, 1)
    return {
        "log_loss": metrics.log_loss(labels, clipped),
        "calibration_error": metrics.calibration_error(labels, clipped),
    }


def _best(models: Sequence[str], draws: Draws) -> str | None:
    known = [model for model in models if np.isfinite(draws[model]["auroc"][0])]
    return max(known, key=lambda model: float(draws[model]["auroc"][0])) if known else None


def class_paired(
    data: ResponseData,
    split: str,
    folds: Sequence[Fold],
    predictions: evaluation.Predictions,
    labels: Floats,
    *,
    seed: int,
    draws: Draws | None = None,
) -> pd.DataFrame:
    """AUROC of each model less that of the best baseline, of the best tree, and of mean effects; above 0: better."""
    draws = draws or class_bootstrap(data, split, folds, predictions, labels, seed=seed)
    best = (_best([m for m in predictions if kind_of(m) == kind], draws) for kind in ("baseline", "tree"))
    references = dict.fromkeys([*(m for m in best if m), *(m for m in ("mean_effects",) if m in predictions)])
    kinds = {model: kind_of(model) for model in predictions}
    return paired_table(
        kinds, list(references), lambda a, b: interval_of(draws[a]["auroc"] - draws[b]["auroc"]), "auroc"
    )


def class_predictions_table(
    data: ResponseData, folds: list[Fold], predictions: evaluation.Predictions, labels: Floats
) -> pd.DataFrame:
    """Long table ``sample, drug, fold, model, observed, predicted``: observed labels and clipped probabilities."""
    clipped = {model: np.clip(p, 0, 1) for model, p in predictions.items()}
    judged = with_labels(data, np.nan_to_num(labels, nan=0.0))  # a row that no fold tests stands in no table
    return evaluation.predictions_table(judged, folds, clipped)


def drug_auroc(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs, sensitive pairs and AUROC of each drug, for the test pairs of one model.

    Pairs are compared within a fold. NaN for a drug that has both classes in no fold.
    """
    drug, names = pd.factorize(pairs["drug"], sort=True)
    fold, folds = pd.factorize(pairs["fold"])
    y, p = (pairs[column].to_numpy(np.float64) for column in ("observed", "predicted"))
    cells, cell = np.unique(drug * len(folds) + fold, return_inverse=True)
    concordant, ones, zeros, _ = Ranked(y, p, cell).sums(np.ones(1))
    right, compared = (np.bincount(cells // len(folds), v, len(names)) for v in (concordant, ones * zeros))
    area = np.where(compared > 0, right / np.maximum(compared, 1), np.nan)
    counts = {"n": np.bincount(drug, minlength=len(names)), "sensitive": np.bincount(drug, y, len(names)).astype(int)}
    return pd.DataFrame(counts | {"auroc": area}, index=pd.Index(names, name="drug"))
