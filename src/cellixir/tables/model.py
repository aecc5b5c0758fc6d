"""Contract of every model of a table."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, get_args

import numpy as np
import pandas as pd

from cellixir.estimator import Estimator, OnEpoch
from cellixir.exceptions import ConfigurationError
from cellixir.metrics import r2
from cellixir.tables.features import Rows, TableFeatures, as_table
from cellixir.tables.goal import Goal, TaskName

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.tables.goal import Codes, Floats


class Stopping(NamedTuple):
    """What only networks look at: rows to stop on, a folder for checkpoints, and who hears of epochs."""

    validation: NDArray[np.bool_] | None = None
    checkpoint: Path | None = None
    on_epoch: OnEpoch | None = None


class TableModel(Estimator):
    """Model of one column of a table, from the others.

    Parameters
    ----------
    task
        ``regression`` or ``classification``.
    classes
        Names of all classes, in the order of the probabilities; empty: those of ``y``, sorted.
    preprocess
        Steps for the numbers, learned from the training rows; empty: ``impute=mean,standard``.
    seed
        Same seed, same numbers on one machine.
    """

    learned = "goal_"

    def __init__(
        self, task: TaskName = "regression", *, classes: Sequence[str] = (), preprocess: str = "", seed: int = 0
    ) -> None:
        self.task = task
        self.classes = classes
        self.preprocess = preprocess
        self.seed = seed
        self.check_parameters()

    def check_parameters(self) -> None:
        """Refuse an unknown task and a seed below 0."""
        if self.task not in get_args(TaskName) or self.seed < 0:
            message = f"task={self.task!r}, seed={self.seed} cannot work; choose {' or '.join(get_args(TaskName))}, "
            raise ConfigurationError(message + "and a seed from 0")

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: NDArray[Any] | None = None,
        checkpoint: Path | None = None,
        on_epoch: OnEpoch | None = None,
        groups: Codes | None = None,
        features: TableFeatures | None = None,
    ) -> Self:
        """Learn from training rows.

        Parameters
        ----------
        X
            Table of numbers and categories (a DataFrame), or an array of numbers.
        y
            Numbers, or names of classes, shape ``(n,)``.
        validation
            Rows on which the first network of a committee stops, as numbers or a mask.
        checkpoint
            Folder for the state of a network after each epoch.
        on_epoch
            Called with the network's number, the epoch and the most epochs.
        groups
            Rows of one group are not parted where some are held out to stop or choose by, shape ``(n,)``.
        features
            Learned already, from these rows; several models then share them.
        """
        goal, table = Goal.of(self.task, self.classes, y), as_table(X)
        target = goal.codes(y)
        self.columns_ = [str(name) for name in table]
        self.features_ = self._learned_features(goal, table, target) if features is None else features
        held = None if validation is None else np.isin(np.arange(len(table)), np.arange(len(table))[validation])
        self._learn(goal, self._rows(table, groups), target, Stopping(held, checkpoint, on_epoch))
        self.n_rows_, self.goal_ = len(table), goal
        return self

    def _learned_features(self, goal: Goal, table: pd.DataFrame, y: Floats) -> TableFeatures | None:
        return TableFeatures(goal, self.preprocess, self.seed).fit(table, y)

    def _rows(self, table: pd.DataFrame, groups: Codes | None = None) -> Rows:
        x = np.empty((len(table), 0), np.float32) if self.features_ is None else self.features_.transform(table)
        return Rows(x, table, groups)

    @abstractmethod
    def _learn(self, goal: Goal, rows: Rows, y: Floats, stopping: Stopping) -> None:
        """Learn from training rows; classes are their positions in ``goal``."""

    @abstractmethod
    def _predicted(self, rows: Rows) -> Floats:
        """Prediction of each row, shape ``(n, width)``: a number, or the probability of each class."""

    def _matrix(self, data: Any) -> Floats:
        self.check_is_fitted()
        return self._predicted(self._rows(as_table(data, self.columns_)))

    def predict(self, X: Any) -> NDArray[Any]:
        """Number, or name of the likeliest class, of each row, shape ``(n,)``."""
        told = self._matrix(X)
        return np.array(self.goal_.classes, dtype=object)[told.argmax(axis=1)] if self.goal_.classes else told[:, 0]

    def predict_proba(self, X: Any) -> Floats:
        """Probability of each class, shape ``(n, n_classes)``.

        Raises
        ------
        ConfigurationError
            If numbers are predicted.
        """
        if self.task == "regression":
            message = "this model predicts numbers and has no probabilities; use task='classification'"
            raise ConfigurationError(message)
        return self._matrix(X)

    def score(self, X: Any, y: Any) -> float:
        """Share of the variance that is predicted (R2); of classes the share of rows that are named right."""
        told = self.predict(X)
        return r2(y, told) if self.task == "regression" else float(np.mean(told == np.array([str(c) for c in y])))

    def try_out(self) -> None:
        """Ask for a row of zeros and words that were never seen."""
        numbers = self.columns_ if self.features_ is None else self.features_.numbers_
        self.predict(pd.DataFrame([{name: 0.0 if name in numbers else "?" for name in self.columns_}]))

    def features(self, data: Any) -> tuple[NDArray[np.float32], list[str]]:
        """Features of each row, shape ``(n, n_features)``, and their names."""
        self.check_is_fitted()
        assert self.features_ is not None
        return self.features_.transform(as_table(data, self.columns_)), list(self.features_.names_)

    def describe(self) -> list[str]:
        """Sentences for the card."""
        classes = f" of {len(self.goal_.classes)} classes" if self.goal_.classes else ""
        return [f"{self.task}{classes}, learned from {self.n_rows_:,} rows x {len(self.columns_):,} columns"]
