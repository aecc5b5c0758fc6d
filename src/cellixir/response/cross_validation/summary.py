"""What a response benchmark found, as its page needs it, and the scores of single drugs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.exceptions import DataError, examples
from cellixir.metrics.regression import group_sums, pearson_within

if TYPE_CHECKING:
    from cellixir.runs.leaderboard import Leaderboard

MEASURES = {"LN_IC50": "ln IC50"}
NEEDED = {
    "folds": ("model", "fold"),
    "predictions": ("sample", "drug", "fold", "model", "observed", "predicted"),
}
#: Fewest test pairs of a drug in a fold for a correlation.
MIN_PAIRS = 5


@dataclass(frozen=True)
class BenchmarkSummary:
    """What a benchmark found, as the report page needs it. Tables that are empty leave their section out.

    Attributes
    ----------
    source
        Where the data come from.
    board, folds
        Models over all folds, and one row a model and fold.
    predictions
        Test pairs of every model: ``sample, drug, fold, model, observed, predicted``.
    samples, drugs
        Annotation by id.
    label
        Measure and unit, for an axis.
    rule
        What is called sensitive, in words; empty for a regression.
    coverage, interval
        What prediction intervals of that level held, of each model and drug.

    Raises
    ------
    DataError
        If a table lacks a column that the page cannot do without, or no model was scored.
    """

    source: str
    split: str
    board: Leaderboard
    folds: pd.DataFrame
    predictions: pd.DataFrame
    samples: pd.DataFrame
    drugs: pd.DataFrame
    histories: pd.DataFrame
    label: str
    facts: dict[str, str]
    notes: list[str]
    fold_sizes: pd.DataFrame
    rule: str = ""
    coverage: pd.DataFrame = field(default_factory=pd.DataFrame)
    interval: float = 0.0
    failures: pd.DataFrame = field(default_factory=pd.DataFrame)
    command: str = ""

    def __post_init__(self) -> None:
        for name, columns in NEEDED.items():
            table: pd.DataFrame = getattr(self, name)
            missing = [column for column in columns if column not in table]
            if missing and len(table):
                message = f"table {name!r} has no column {examples(missing)}; it has {examples(table.columns, 20)}"
                raise DataError(message)
        if self.board.table[self.board.metric].isna().all():
            raise DataError(self.board.headline())

    def pairs(self, model: str) -> pd.DataFrame:
        """Test pairs of one model whose observed and predicted values are finite."""
        if self.predictions.empty:
            return self.predictions
        pairs: pd.DataFrame = self.predictions[self.predictions["model"] == model]
        kept: pd.DataFrame = pairs.loc[np.isfinite(pairs["observed"]) & np.isfinite(pairs["predicted"])]
        return kept


def label_of(measure: str, unit: str) -> str:
    """Measure and unit, for an axis.

    >>> label_of("LN_IC50", "ln µM")
    'ln IC50 (ln µM)'
    """
    name = MEASURES.get(measure, measure)
    return f"{name} ({unit})" if unit else name


def drug_scores(pairs: pd.DataFrame) -> pd.DataFrame:
    """RMSE, normalised RMSE and Pearson a drug, for the test pairs of one model.

    The normalised RMSE is the RMSE over the standard deviation of the drug's responses, so that 1 is what the
    drug's own mean would reach. Pearson is taken within each fold with ``MIN_PAIRS`` test pairs or more and
    averaged over folds by size: pooled folds would mix in how the predicted mean moves between folds. It is
    NaN where the prediction is constant.
    """
    drug, names = pd.factorize(pairs["drug"], sort=True)
    y, p = pairs["observed"].to_numpy(float), pairs["predicted"].to_numpy(float)
    n = np.bincount(drug, minlength=len(names))
    mean = np.bincount(drug, y, len(names)) / np.maximum(n, 1)
    sums = group_sums(np.stack([(y - p) ** 2, (y - mean[drug]) ** 2], 1), drug, len(names))
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = {
            "n": n,
            "rmse": np.sqrt(sums[:, 0] / n),
            "normalised_rmse": np.sqrt(sums[:, 0] / sums[:, 1]),
        }
    scores = pd.DataFrame(columns, index=pd.Index(names, name="drug")).replace(np.inf, np.nan)
    fold, folds = pd.factorize(pairs["fold"])
    group = drug * len(folds) + fold
    within = pearson_within(y, p, group, len(names) * len(folds), min_size=MIN_PAIRS)
    weight = np.where(np.isnan(within), 0, np.bincount(group, minlength=len(within))).reshape(len(names), -1)
    with np.errstate(invalid="ignore"):
        mean_within = (np.nan_to_num(within).reshape(weight.shape) * weight).sum(axis=1) / weight.sum(axis=1)
    return scores.assign(pearson=mean_within)
