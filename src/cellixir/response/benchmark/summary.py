"""What a response benchmark found, in numbers and in one sentence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cellixir.exceptions import DataError, examples
from cellixir.metrics.intervals import Interval
from cellixir.metrics.regression import group_sums, pearson_within
from cellixir.metrics.words import between, estimate, spelled

MEASURES = {"LN_IC50": "ln IC50"}
NEEDED = {
    "overall": ("model", "kind", "rmse"),
    "leaderboard": ("model", "fold"),
    "predictions": ("sample", "drug", "fold", "model", "observed", "predicted"),
}
#: Fewest test pairs of a drug in a fold for a correlation.
MIN_PAIRS = 5


@dataclass(frozen=True)
class BenchmarkSummary:
    """What a benchmark found, as the report page needs it.

    ``overall`` has one row a model over all folds, ``leaderboard`` one row a model and fold; ``paired`` holds
    ``rmse_difference``, the RMSE of ``model`` less that of ``reference``, so below zero is better.
    ``predictions`` holds the test pairs of every model. Tables that are empty leave their section out.

    Raises
    ------
    DataError
        If a table lacks a column that the page cannot do without, or no model was scored.
    """

    title: str
    split: str
    leaderboard: pd.DataFrame
    overall: pd.DataFrame
    paired: pd.DataFrame
    predictions: pd.DataFrame
    samples: pd.DataFrame
    drugs: pd.DataFrame
    histories: pd.DataFrame
    measure: str
    unit: str
    facts: dict[str, str]
    notes: list[str]
    fold_sizes: pd.DataFrame
    level: float = 0.95
    coverage: pd.DataFrame = field(default_factory=pd.DataFrame)
    interval: float = 0.0

    def __post_init__(self) -> None:
        for name, columns in NEEDED.items():
            table: pd.DataFrame = getattr(self, name)
            missing = [column for column in columns if column not in table]
            if missing and (name == "overall" or len(table)):
                message = f"table {name!r} has no column {examples(missing)}; it has {examples(table.columns, 20)}"
                raise DataError(message)
        if self.overall["rmse"].notna().sum() == 0:
            message = "no model of table 'overall' has an RMSE; run the benchmark before its report"
            raise DataError(message)

    @property
    def ranked(self) -> pd.DataFrame:
        """Table ``overall``, the lowest RMSE first."""
        return self.overall.sort_values("rmse", kind="stable", ignore_index=True)

    @property
    def best(self) -> str:
        """Model with the lowest RMSE."""
        return str(self.ranked["model"].iloc[0])

    def best_of(self, *kinds: str) -> str | None:
        """Model of one of ``kinds`` with the lowest RMSE, if there is one."""
        rows = self.ranked[self.ranked["kind"].isin(kinds) & self.ranked["rmse"].notna()]
        return str(rows["model"].iloc[0]) if len(rows) else None

    @property
    def best_other(self) -> str | None:
        """Model that is no naive baseline with the lowest RMSE, if there is one."""
        return self.best_of(*set(self.overall["kind"]) - {"baseline"})

    @property
    def label(self) -> str:
        """Measure and unit, for an axis."""
        name = MEASURES.get(self.measure, self.measure)
        return f"{name} ({self.unit})" if self.unit else name


def headline(summary: BenchmarkSummary) -> str:
    """One sentence: the best model, its RMSE, and whether it is shown to beat the best naive baseline."""
    naive, model = summary.best_of("baseline"), summary.best_other
    lead = f"{summary.best} has the lowest RMSE, {_spoken(summary, summary.best)}"
    if naive is None:
        return f"{lead}; no naive baseline was run, so nothing can be said about a gain over one."
    if model is None:
        return f"{lead}; only naive baselines were run."
    gain = _gain(summary, model, naive)
    if summary.best == naive:
        tail = f"the best model, {model}, is {spelled(-gain.value)} higher{between(-gain.high, -gain.low)}"
        return f"No model beats the naive baseline: {lead}, and {tail}."
    if not np.isfinite(gain.low):
        return f"{lead}, {spelled(gain.value)} below the strongest naive baseline, {naive} (no interval known)."
    if gain.low <= 0:
        inside = "includes zero" if gain.high >= 0 else "lies below zero"
        tail = f"is {spelled(gain.value)} and its interval{between(gain.low, gain.high)} {inside}"
        return f"{lead}, but is not shown to be better: the gain over the naive baseline {naive} {tail}."
    floor = numbers_of(summary, naive)["rmse"]
    tail = f"{spelled(gain.value)}{between(gain.low, gain.high)}, or {gain.value / floor:.1%}, lower than"
    return f"{lead}, which is {tail} the {spelled(floor)} of the strongest naive baseline, {naive}."


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


def numbers_of(summary: BenchmarkSummary, model: str) -> dict[str, float]:
    """Numbers of one model over all folds, by column of ``overall``."""
    row = summary.overall[summary.overall["model"] == model].iloc[0]
    return {str(key): float(value) for key, value in row.items() if isinstance(value, (int, float, np.number))}


def _gain(summary: BenchmarkSummary, model: str, naive: str) -> Interval:
    """How much lower the RMSE of ``model`` is than that of ``naive``; the interval is the paired one."""
    for first, second, sign in ((model, naive, -1.0), (naive, model, 1.0)):
        rows = summary.paired
        if len(rows):
            rows = rows[(rows["model"] == first) & (rows["reference"] == second)]
        if len(rows):
            value, *ends = (sign * float(rows[c].iloc[0]) for c in ("rmse_difference", "low", "high"))
            return Interval(value, *sorted(ends))
    return Interval(numbers_of(summary, naive)["rmse"] - numbers_of(summary, model)["rmse"])


def _spoken(summary: BenchmarkSummary, model: str) -> str:
    value, low, high = estimate(numbers_of(summary, model), "rmse")
    interval = f" ({summary.level:.0%} interval {spelled(low)} to {spelled(high)})" if np.isfinite(low) else ""
    return f"{spelled(value)}{interval}"


def test_pairs(summary: BenchmarkSummary, model: str) -> pd.DataFrame:
    """Test pairs of one model whose observed and predicted values are finite."""
    if summary.predictions.empty:
        return summary.predictions
    pairs: pd.DataFrame = summary.predictions[summary.predictions["model"] == model]
    finite = np.isfinite(pairs["observed"]) & np.isfinite(pairs["predicted"])
    kept: pd.DataFrame = pairs.loc[finite]
    return kept
