"""From predictions to the tables that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir import metrics
from cellixir.data.splits import split_groups
from cellixir.metrics.words import banded
from cellixir.response.cross_validation.models import kind_of
from cellixir.runs.leaderboard import paired_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData
    from cellixir.data.splits import Fold

Predictions = dict[str, "NDArray[np.float64]"]  # by model, one value a row, each from the fold that left the row out
LEADERBOARD = [
    "split", "model", "fold", "n_train", "n_test", "rmse", "mse", "mae", "r2", "pearson", "spearman",
    "normalised_pearson", "per_drug_pearson", "seconds",
]  # fmt: skip
TREES = ("random_forest", "hist_gradient_boosting", "xgboost")


def fold_scores(
    data: ResponseData,
    rows: NDArray[np.int64],
    predicted: NDArray[np.float64],
    mean_effects: NDArray[np.float64],
) -> dict[str, float]:
    """Metrics of one model on the test rows of one fold."""
    y, p, expected = data.response[rows], predicted[rows], mean_effects[rows]
    return {
        **metrics.score(y, p),
        "normalised_pearson": metrics.pearson(y - expected, holding(p, expected) - expected),
        "per_drug_pearson": metrics.mean_within(y, p, data.drug_index[rows]),
    }


def holding(p: NDArray[np.float64], effects: NDArray[np.float64]) -> NDArray[np.float64]:
    """``p``, or the naive ``effects`` themselves where ``p`` does not hold them (it rises by less than half of theirs).

    Less the effects, a prediction without them is mostly these effects with a minus. So are the observed values as far
    as the effects are noise, and both would go together: a constant had a normalised Pearson of .46 among few drugs.
    """
    spread = effects - effects.mean()
    return p if spread @ p >= 0.5 * (spread @ spread) else effects


def leaderboard(
    data: ResponseData, split: str, folds: list[Fold], predictions: Predictions, seconds: pd.DataFrame
) -> pd.DataFrame:
    """One row a model and fold; ``seconds`` has ``model, fold, seconds``."""
    rows = [
        {
            "split": split,
            "model": model,
            "fold": fold.number,
            "n_train": len(fold.train) + len(fold.validation),
            "n_test": len(fold.test),
            **fold_scores(data, fold.test, predicted, predictions["mean_effects"]),
        }
        for model, predicted in predictions.items()
        for fold in folds
    ]
    return pd.DataFrame(rows).merge(seconds, on=["model", "fold"], how="left")[LEADERBOARD]


def overall(
    data: ResponseData, split: str, folds: list[Fold], predictions: Predictions, seconds: pd.DataFrame, *, seed: int
) -> pd.DataFrame:
    """One row a model over all folds, best RMSE first, with intervals over the unit that the split leaves out.

    Errors and correlations are over all test rows at once. Correlations within a drug or a sample are means over folds:
    across folds even a drug mean would seem to vary, against what was left out.
    """
    y, units = data.response, split_groups(data, split)
    expected = predictions["mean_effects"]
    rows = []
    for model, p in predictions.items():
        plain = metrics.intervals(y, p, units, seed=seed)
        beyond = holding(p, expected) - expected
        normalised = metrics.intervals(y - expected, beyond, units, seed=seed)["pearson"]
        row: dict[str, Any] = {"model": model, "kind": kind_of(model)}
        for name, interval in (
            ("rmse", plain["rmse"]),
            ("r2", plain["r2"]),
            ("normalised_pearson", normalised),
        ):
            row |= banded(name, interval)
        row |= {
            "mae": plain["mae"].value,
            "pearson": plain["pearson"].value,
            "spearman": metrics.spearman(y, p),
            "per_drug_pearson": _mean_over_folds(y, p, data.drug_index, folds),
            "per_sample_pearson": _mean_over_folds(y, p, data.sample_index, folds),
            "seconds": float(seconds.loc[seconds["model"] == model, "seconds"].sum()),
        }
        rows.append(row)
    return pd.DataFrame(rows).sort_values("rmse", kind="stable").reset_index(drop=True)


def _mean_over_folds(
    y: NDArray[np.float64], p: NDArray[np.float64], groups: NDArray[np.int64], folds: list[Fold]
) -> float:
    values = [metrics.mean_within(y[f.test], p[f.test], groups[f.test]) for f in folds]
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def paired(data: ResponseData, split: str, predictions: Predictions, table: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """RMSE of each model less that of the strongest baseline, of mean effects and of trees; below 0: it is better."""
    references = [
        table.loc[table["kind"] == kind, "model"].iloc[0] for kind in ("baseline", "tree") if kind in set(table["kind"])
    ]
    references += [r for r in ("mean_effects", *TREES) if r in predictions and r not in references]
    units = split_groups(data, split)

    def difference(model: str, reference: str) -> metrics.Interval:
        return metrics.paired_difference(data.response, predictions[model], predictions[reference], units, seed=seed)

    kinds = dict(zip(table["model"], table["kind"], strict=True))
    return paired_table(kinds, references, difference, "rmse")


def predictions_table(
    data: ResponseData, folds: list[Fold], predictions: Predictions, half_widths: Predictions | None = None
) -> pd.DataFrame:
    """Long table ``sample, drug, fold, model, observed, predicted``; ids are categories, so that it stays small.

    Where models have intervals, ``low`` and ``high`` stand beside.
    """
    rows = np.concatenate([fold.test for fold in folds])
    fold = np.concatenate([np.full(len(fold.test), fold.number, dtype=np.int16) for fold in folds])
    sample = pd.Categorical.from_codes(data.sample_index[rows].tolist(), categories=data.samples.index)
    drug = pd.Categorical.from_codes(data.drug_index[rows].tolist(), categories=data.drugs.index)
    none = np.full(len(data), np.nan)
    parts = [
        pd.DataFrame(
            {
                "sample": sample,
                "drug": drug,
                "fold": fold,
                "model": pd.Categorical([model] * len(rows), categories=list(predictions)),
                "observed": data.response[rows],
                "predicted": predicted[rows],
            }
            | _ends(predicted[rows], half_widths.get(model, none)[rows] if half_widths else None)
        )
        for model, predicted in predictions.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _ends(predicted: NDArray[np.float64], half: NDArray[np.float64] | None) -> dict[str, NDArray[np.float64]]:
    return {} if half is None else {"low": predicted - half, "high": predicted + half}
