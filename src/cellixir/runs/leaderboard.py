"""The leaderboard of a run: models over all folds, their paired differences, and one sentence about both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cellixir.exceptions import DataError, examples
from cellixir.metrics.catalogue import Catalogue
from cellixir.metrics.intervals import Interval
from cellixir.metrics.words import between, estimate, numbers_of, spelled

BASELINE = "baseline"
NONE = Interval(float("nan"))


#: R² below which a gain over a baseline is nothing to praise.
OF_NO_USE = -0.1


@dataclass(frozen=True)
class Leaderboard:
    """Models over all folds, the best first.

    Parameters
    ----------
    table
        One row a model: ``model``, ``kind`` (``baseline`` for the naive ones), metrics with ``_low`` and ``_high``
        where they have an interval, ``seconds``.
    paired
        ``model, reference, <metric>_difference, low, high``: ``metric`` of the model less that of the reference, on the
        same test rows; may be empty.
    metric
        What models are ranked by.
    catalogue
        Metrics of the table.
    level
        Of the intervals.

    Raises
    ------
    DataError
        If a column is not there.

    Examples
    --------
    >>> from cellixir.metrics.catalogue import REGRESSION
    >>> table = pd.DataFrame({"model": ["ridge", "mean"], "kind": ["linear", "baseline"], "rmse": [1.0, 1.5]})
    >>> Leaderboard(table, pd.DataFrame(), "rmse", REGRESSION).headline()
    'ridge has the lowest RMSE, 1.000, 0.500 below the 1.500 of the strongest naive baseline, mean (no interval known).'
    """

    table: pd.DataFrame
    paired: pd.DataFrame
    metric: str
    catalogue: Catalogue
    level: float = 0.95
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        missing = [column for column in ("model", "kind", self.metric) if column not in self.table]
        if missing:
            there = examples(self.table.columns, 20)
            message = f"the leaderboard has no column {examples(missing)}; it has {there}"
            raise DataError(message)

    @property
    def lower_is_better(self) -> bool:
        """Whether of two values of the metric the lower one is better."""
        return self.catalogue[self.metric].lower_is_better

    @property
    def ranked(self) -> pd.DataFrame:
        """The table, best model first, models without a score last."""
        return self.table.sort_values(
            self.metric, ascending=self.lower_is_better, kind="stable", ignore_index=True, na_position="last"
        )

    @property
    def best(self) -> str:
        """The best model."""
        return str(self.ranked["model"].iloc[0])

    def best_of(self, *kinds: str) -> str | None:
        """Best model of some kinds that has a score, if there is one."""
        rows = self.ranked[self.ranked["kind"].isin(kinds) & self.ranked[self.metric].notna()]
        return str(rows["model"].iloc[0]) if len(rows) else None

    @property
    def naive(self) -> str | None:
        """The strongest naive baseline."""
        return self.best_of(BASELINE)

    @property
    def best_model(self) -> str | None:
        """The best model that is no naive baseline."""
        return self.best_of(*set(self.table["kind"]) - {BASELINE})

    @property
    def chosen(self) -> dict[str, str]:
        """The best model of each kind, and its kind; the best of all first."""
        known = self.ranked[self.ranked[self.metric].notna()].drop_duplicates("kind")
        return {str(model): str(kind) for model, kind in zip(known["model"], known["kind"], strict=True)}

    def numbers(self, model: str) -> dict[str, float]:
        """Numbers of one model, by column."""
        return numbers_of(self.table[self.table["model"] == model].iloc[0].to_dict())

    def score(self, model: str) -> Interval:
        """The metric of a model with its interval."""
        return estimate(self.numbers(model), self.metric)

    def gain(self, model: str, reference: str) -> Interval:
        """How much better a model is than another, above zero: better; the interval is the paired one."""
        sign = -1.0 if self.lower_is_better else 1.0
        for first, second, turn in ((model, reference, sign), (reference, model, -sign)):
            rows = self.paired
            if len(rows):
                rows = rows[(rows["model"] == first) & (rows["reference"] == second)]
            if len(rows):
                row = rows.iloc[0]
                value, *ends = (turn * float(row[c]) for c in (f"{self.metric}_difference", "low", "high"))
                return Interval(value, *sorted(ends))
        return Interval(sign * (self.score(model).value - self.score(reference).value))

    def headline(self, about: str = "") -> str:
        """One sentence: the best model, its score, and whether it is shown to beat the best naive baseline.

        ``about`` comes after the name of the metric, such as ``" for target"``.
        """
        words = self.catalogue[self.metric].words
        if self.table[self.metric].isna().all():
            article = "an" if words[:1] in "AERF" else "a"
            return f"No model has {article} {words}{about}: it is defined on no test rows."
        value = self.score(self.best)
        interval = f" ({self.level:.0%} interval {spelled(value.low)} to {spelled(value.high)})"
        extreme = "lowest" if self.lower_is_better else "highest"
        lead = f"{self.best} has the {extreme} {words}{about}, {spelled(value.value)}"
        lead += interval if np.isfinite(value.low) else ""
        if self.naive is None:
            were = "has a score" if BASELINE in set(self.table["kind"]) else "was run"
            return f"{lead}; no naive baseline {were}, so nothing can be said about a gain over one."
        if self.best_model is None:
            return f"{lead}; only naive baselines were run."
        return self._against(lead, self.best_model, self.naive)

    def _against(self, lead: str, model: str, naive: str) -> str:
        """The headline where there is a model and a baseline."""
        gain, (better, worse, side) = self.gain(model, naive), self._directions
        floor = f"{spelled(self.score(naive).value)} of the strongest naive baseline, {naive}"
        if self.best == naive:
            behind = f"{spelled(-gain.value)} {worse}{between(-gain.high, -gain.low)}"
            return f"No model beats the naive baseline: {lead}, and the best model, {model}, is {behind}."
        if not np.isfinite(gain.low):
            return f"{lead}, {spelled(gain.value)} {side} the {floor} (no interval known)."
        if gain.low <= 0:
            inside = "includes zero" if gain.high >= 0 else "lies below zero"
            tail = f"is {spelled(gain.value)} and its interval{between(gain.low, gain.high)} {inside}"
            return f"{lead}, but is not shown to be better: the gain over the {floor}, {tail}."
        r2 = self.numbers(self.best).get("r2", 0.0)
        if r2 < OF_NO_USE:
            tail = f"is {spelled(gain.value)}{between(gain.low, gain.high)} {better} than the {floor}"
            return f"No model is of use: {lead}, at an R² of {spelled(r2)} (a constant would be nearer), and {tail}."
        share = gain.value / abs(self.score(naive).value)
        size = f"{spelled(gain.value)}{between(gain.low, gain.high)}, or {share:.1%},"
        return f"{lead}, which is {size} {better} than the {floor}."

    @property
    def _directions(self) -> tuple[str, str, str]:
        return ("lower", "higher", "below") if self.lower_is_better else ("higher", "lower", "above")

    def metrics(self) -> dict[str, Any]:
        """Key numbers for the manifest: of the best model and of the strongest naive baseline."""
        found: dict[str, Any] = {"metric": self.metric}
        for role, model in (("best", self.best), ("naive", self.naive)):
            if model is not None:
                found[role] = {"model": model} | self.score(model)._asdict()
        return found


def paired_table(
    models: Mapping[str, str],
    references: list[str],
    difference: Callable[[str, str], Interval],
    metric: str,
) -> pd.DataFrame:
    """Every model that is no baseline against every reference: ``model, reference, <metric>_difference, low, high``.

    Parameters
    ----------
    models
        Kind of each model, in the order of the rows.
    references
        Models that are compared with.
    difference
        Metric of the first model less that of the second, on the same rows, with its interval.
    """
    rows = [
        (model, reference, *difference(model, reference))
        for reference in references
        for model, kind in models.items()
        if model != reference and kind != BASELINE
    ]
    return pd.DataFrame(rows, columns=["model", "reference", f"{metric}_difference", "low", "high"])
