"""Preprocessing of a view: a chain of steps, learned from training rows, with the names of features kept throughout.

``impute=median,variance=500,standard,pca=50`` is a chain; `preprocess_grammar` reads it. What the steps do stands in
`preprocess_steps`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cellixir.data.preprocess.grammar import DEFAULT, GAPS_PASS, SUPERVISED, Step, check_order, describe, parse_steps
from cellixir.data.preprocess.steps import FILLING, LEARN, Fitting, Matrix, Stage, selections_first
from cellixir.data.tables import refuse_duplicates
from cellixir.exceptions import ConfigurationError, DataError, InvalidValues, NotFitted, counted, examples

LEAST_ROWS = 5  # the mutual information looks at three neighbours
LIMIT = float(np.finfo(np.float32).max)
Task = Literal["regression", "classification"]


class Preprocess:
    """A chain of steps over a matrix with named columns.

    Parameters
    ----------
    steps
        The chain, as `parse_steps` gives it.
    task
        What the target is for steps that choose by it. None: classification if the target is text, true/false or
        has two values, else regression.
    seed
        For ``mutual_info`` and the randomised ``pca``.

    Attributes
    ----------
    input_names_, names_
        Columns that came in and that come out.
    notes_
        What was left out or done, counted and named.
    """

    def __init__(self, steps: Sequence[Step] = DEFAULT, *, task: Task | None = None, seed: int = 0) -> None:
        self.steps = tuple(steps)
        self.task = task
        self.seed = seed

    def fit(self, x: ArrayLike, names: Sequence[str], y: ArrayLike | None = None) -> Self:
        """Learn from training rows.

        Parameters
        ----------
        x
            Training rows, shape ``(n, p)``; NaN is a missing value.
        names
            Names of the ``p`` columns.
        y
            Target of the training rows, shape ``(n,)``, for ``anova``, ``mutual_info`` and ``rfe``.

        Raises
        ------
        InvalidValues
            If a number is infinite, one is missing where no step imputes it, or no feature is left.
        ConfigurationError
            If a step asks for what the rows cannot give, or for a target that is not there.
        """
        check_order(self.steps)
        self.input_names_ = [str(name) for name in names]
        matrix = _numbers(_table(x, len(self.input_names_), "as there are names"), self.input_names_)
        _refuse_no_data(matrix, self.input_names_)
        work = Fitting(matrix, list(self.input_names_), *self._target(y, len(matrix)), seed=self.seed)
        work.leave_out(np.isnan(np.fmax.reduce(matrix, axis=0)), "entirely missing")
        for step in self.steps:
            if step.name not in GAPS_PASS:
                _refuse_missing(work.x, work.names, f"'{step}' needs complete numbers; put impute=mean before it")
            LEARN[step.name](work, step.value)
        _refuse_missing(work.x, work.names, "the chain has no step for them; put impute=mean first")
        self.names_, self.notes_, self.stages_ = work.names, work.notes, selections_first(work.stages)
        return self

    def _target(self, y: ArrayLike | None, n_rows: int) -> tuple[NDArray[Any] | None, bool]:
        chosen = next((step for step in self.steps if step.name in SUPERVISED), None)
        if chosen is None:
            return None, False
        if y is None or n_rows < LEAST_ROWS:
            have = "no target was given" if y is None else f"it needs {LEAST_ROWS} training rows, not {n_rows}"
            message = f"'{chosen}' chooses features by the target, and {have}; use variance={chosen.value} instead"
            raise ConfigurationError(message)
        return _checked_target(np.asarray(y), n_rows, self.task)

    def transform(self, x: ArrayLike) -> NDArray[np.float32]:
        """Rows after the chain, shape ``(n, len(names_))``, finite; no row depends on another.

        Raises
        ------
        DataError
            If the number of columns is not that of training.
        InvalidValues
            If a value is infinite, missing where nothing imputes it, or so far out that float32 cannot hold it.
        NotFitted
            If `fit` was not called.
        """
        self._require_fitted()
        matrix, names = _table(x, len(self.input_names_), "as in training"), self.input_names_
        stages = list(self.stages_)
        if stages and stages[0].kind == "select":  # before the change of type: most genes may go here
            columns = stages.pop(0).arrays["columns"]
            matrix, names = matrix[:, columns], [names[j] for j in columns]
        values = _numbers(matrix, names)
        if not len(values):
            return np.zeros((0, len(self.names_)), dtype=np.float32)
        if not any(stage.kind in FILLING for stage in stages):
            _refuse_missing(values, names, "training had all of them; put impute=mean first in the chain, or fill them")
        for stage in stages:
            values = stage.apply(values)
        _refuse_huge(values, self.names_)
        return np.ascontiguousarray(values, dtype=np.float32)

    @property
    def loadings_(self) -> pd.DataFrame:
        """Weight of each gene (row) in each principal component (column ``pca_1`` ...)."""
        self._require_fitted()
        names = np.array(self.input_names_, dtype=object)
        for stage in self.stages_:
            if stage.kind == "project":
                weights = stage.arrays["components"]
                return pd.DataFrame(weights.T, index=names, columns=[f"pca_{i + 1}" for i in range(len(weights))])
            names = names[stage.arrays["columns"]] if stage.kind == "select" else names
        message = f"the chain '{describe(self.steps)}' has no pca, so there are no loadings; add pca=K"
        raise ConfigurationError(message)

    def _require_fitted(self) -> None:
        if not hasattr(self, "stages_"):
            message = "this Preprocess has not learned anything yet; call fit first"
            raise NotFitted(message)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays (``<stage>/<name>``) and facts that JSON holds, for a bundle."""
        self._require_fitted()
        arrays = {f"{i}/{name}": a for i, stage in enumerate(self.stages_) for name, a in stage.arrays.items()}
        facts: dict[str, Any] = {"steps": describe(self.steps), "task": self.task, "seed": self.seed}
        facts |= {"input_names": self.input_names_, "names": self.names_, "notes": self.notes_}
        return arrays, facts | {"stages": [stage.kind for stage in self.stages_]}

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Self:
        """Rebuild what ``state`` described; it transforms to the same bits."""
        chain = cls(parse_steps(facts["steps"]), task=facts["task"], seed=facts["seed"])
        chain.input_names_, chain.names_ = list(facts["input_names"]), list(facts["names"])
        chain.notes_ = list(facts["notes"])
        chain.stages_ = [
            Stage(kind, {key.split("/")[1]: a for key, a in arrays.items() if key.split("/")[0] == str(i)})
            for i, kind in enumerate(facts["stages"])
        ]
        return chain


def _table(x: ArrayLike, n_columns: int, known: str) -> NDArray[Any]:
    matrix: NDArray[Any] = np.asarray(x)
    if matrix.ndim != 2:
        message = f"preprocessing needs a dense matrix (rows x features), not an array of shape {matrix.shape}"
        raise DataError(message)
    if matrix.shape[1] != n_columns:
        message = f"the matrix has {counted(matrix.shape[1], 'column')}, not {n_columns:,} {known}; match them by name"
        raise DataError(message)
    return matrix


def _refuse_no_data(matrix: Matrix, names: list[str]) -> None:
    if 0 in matrix.shape:
        message = f"preprocessing has nothing to learn from: {matrix.shape[0]} rows, {matrix.shape[1]} features"
        raise DataError(message)
    refuse_duplicates(pd.Index(names), source="preprocessing", what="feature", way_out="rename or drop one")


def _numbers(matrix: NDArray[Any], names: list[str]) -> Matrix:
    try:
        values = matrix.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        message = f"preprocessing needs numbers ({error}); text annotation becomes one-hot columns elsewhere"
        raise InvalidValues(message) from error
    _refuse_huge(values, names)
    return values


def _refuse_huge(values: Matrix, names: list[str]) -> None:
    """Refuse what is infinite in float32; also keeps every square and sum of squares finite in float64."""
    if not values.size or not max(np.fmax.reduce(values, axis=None), -np.fmin.reduce(values, axis=None)) > LIMIT:
        return
    huge = np.abs(values) > LIMIT
    row, column = np.argwhere(huge)[0]
    message = (
        f"feature {names[column]!r} is {values[row, column]:g} in row {row + 1} ({counted(huge.sum(), 'such value')}); "
        f"numbers must be finite and within {LIMIT:.2g} of 0: correct them or leave the feature out"
    )
    raise InvalidValues(message)


def _refuse_missing(values: Matrix, names: list[str], way_out: str) -> None:
    missing = np.isnan(values)
    if missing.any():
        where = np.flatnonzero(missing.any(axis=0))
        message = (
            f"{counted(missing.sum(), 'missing value')} in {len(where):,} of {counted(len(names), 'feature')} "
            f"({examples(names[j] for j in where)}): {way_out}"
        )
        raise InvalidValues(message)


def _checked_target(y: NDArray[Any], n_rows: int, task: Task | None) -> tuple[NDArray[Any], bool]:
    """Target as numbers, or as codes of classes (and then True)."""
    if y.shape != (n_rows,):
        message = f"the target has shape {y.shape}, but there are {n_rows:,} training rows; give one value a row"
        raise DataError(message)
    missing = int(pd.isna(y).sum())
    distinct, codes = np.unique(y if y.dtype.kind in "biuf" else y.astype(str), return_inverse=True)
    numeric = distinct.dtype.kind in "iuf"
    infinite = numeric and not missing and not np.isfinite(distinct).all()
    if missing or infinite or len(distinct) < 2:
        fault = counted(missing, "missing value") if missing else "infinite values" if infinite else "one value only"
        message = f"the target of {n_rows:,} training rows has {fault}; give two or more different, finite values"
        raise InvalidValues(message)
    if task == "regression" and not numeric and distinct.dtype.kind != "b":
        message = f"the target of a regression holds text ({examples(distinct.tolist())}); use classification"
        raise InvalidValues(message)
    classes = task == "classification" or (task is None and (not numeric or len(distinct) == 2))
    return (codes, True) if classes else (y.astype(np.float64), False)
