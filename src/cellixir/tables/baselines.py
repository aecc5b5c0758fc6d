"""Naive baselines of a table: the mean of all rows, or of those with the same value of one column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.tables.features import TableFeatures, as_table
from cellixir.tables.goal import TaskName
from cellixir.tables.model import Stopping, TableModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.tables.features import Rows
    from cellixir.tables.goal import Codes, Floats, Goal

SHRINK = 1.0  # pseudo-rows with the mean of all, in the mean of a group
ROWS_A_LEVEL = 5  # a column of whole numbers with as many rows a value may be a category in disguise


class TableGroupMean(TableModel):
    """Mean of the rows with the same value of one column, shrunk towards the mean of all.

    The column is the category (or whole number with few values) with the smallest squared leave-one-out error; where
    none beats the mean of all rows, that is predicted. Of classes it is their shares, and their most frequent one.

    Parameters
    ----------
    grouped
        False: the mean of all.
    """

    def __init__(
        self,
        task: TaskName = "regression",
        *,
        grouped: bool = True,
        classes: Sequence[str] = (),
        preprocess: str = "",
        seed: int = 0,
    ) -> None:
        self.grouped = grouped
        super().__init__(task, classes=classes, preprocess=preprocess, seed=seed)

    def _learned_features(self, goal: Goal, table: pd.DataFrame, y: Floats) -> TableFeatures | None:
        return None

    def _learn(self, goal: Goal, rows: Rows, y: Floats, stopping: Stopping) -> None:
        target = goal.columns(y)
        self.mean_ = target.mean(axis=0)
        self.column_: str | None = None
        self.levels_, self.means_ = pd.Index([]), np.empty((0, goal.width))
        least = float(np.square((target - self.mean_) * len(y) / max(len(y) - 1, 1)).sum())
        for name in candidates(rows.table) if self.grouped else []:
            code, levels = pd.factorize(rows.table[name])
            sums, n = (np.zeros((len(levels) + 1, w)) for w in (goal.width, 1))  # the last is for what is missing
            np.add.at(sums, code, target)
            np.add.at(n, code, 1.0)
            without = (sums[code] - target + SHRINK * self.mean_) / (n[code] - 1 + SHRINK)
            error = float(np.square(target - without).sum())
            if error < least:
                least, self.column_, self.levels_ = error, name, pd.Index(levels)
                self.means_ = ((sums + SHRINK * self.mean_) / (n + SHRINK))[:-1]

    def _predicted(self, rows: Rows) -> Floats:
        """Mean of each row's group; the mean of all where the value is new or missing."""
        means = np.vstack([self.means_, self.mean_])  # -1, not found, is the last
        return np.asarray(means[self._groups(rows.table)])

    def _groups(self, table: pd.DataFrame) -> Codes:
        if self.column_ is None:
            return np.full(len(table), -1)
        return np.asarray(self.levels_.get_indexer(pd.Index(table[self.column_])))

    def features(self, data: Any) -> tuple[NDArray[np.float32], list[str]]:
        """Levels of the column that was chosen, one-hot; no column where none was."""
        self.check_is_fitted()
        code = self._groups(as_table(data, self.columns_))
        x = np.equal.outer(code, np.arange(len(self.levels_))).astype(np.float32)
        return x, [f"{self.column_}_{level}" for level in self.levels_]


def candidates(table: pd.DataFrame) -> list[str]:
    """Columns that may part the rows: categories, and whole numbers with several rows a value."""
    words = [str(name) for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    numbers = [str(name) for name in table if name not in words and ROWS_A_LEVEL * table[name].nunique() <= len(table)]
    return words + [name for name in numbers if not (table[name].dropna() % 1).any()]
