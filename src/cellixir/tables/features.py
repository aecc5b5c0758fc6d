"""Features of a table: numbers through a chain, categories one-hot, learned from training rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd
from sklearn.preprocessing import OneHotEncoder

from cellixir.data.preprocess.chain import Preprocess
from cellixir.data.preprocess.grammar import chains_of_views, parse_preprocess
from cellixir.exceptions import GeneMismatch, InvalidValues, examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.tables.goal import Codes, Floats, Goal

MAX_LEVELS = 30  # one-hot columns of a category; its rarest levels share the last one
REACH = 0.5  # of the training range: how far beyond it a feature may lie


class Rows(NamedTuple):
    """Rows as the models read them: features, the columns they came from, and what must stay together."""

    x: NDArray[np.float32]
    table: pd.DataFrame
    groups: Codes | None = None


def as_table(x: Any, columns: list[str] | None = None) -> pd.DataFrame:
    """Rows as a table; an array has the columns ``x0, x1, ...``.

    Raises
    ------
    GeneMismatch
        If one of ``columns`` is not there.
    """
    if isinstance(x, pd.DataFrame):
        table = x if all(isinstance(name, str) for name in x) else x.set_axis(x.columns.map(str), axis=1)
    else:
        values = np.asarray(x)
        table = pd.DataFrame(values, columns=[f"x{i}" for i in range(values.shape[1])])
    absent = [name for name in columns or () if name not in table]
    if absent:
        message = f"{len(absent)} columns of the model are not in the table ({examples(absent)}); add or rename them"
        raise GeneMismatch(message)
    return table


class TableFeatures:
    """Numbers through a chain of `Preprocess`, categories one-hot; both learned from training rows.

    A level that was not seen in training is all zeros; a missing category is a level of its own. A number is held to
    the training range and half of it more on each side: a line through an id or a date must not run on for ever.
    """

    def __init__(self, goal: Goal, preprocess: str = "", seed: int = 0) -> None:
        self.goal = goal
        self.preprocess = preprocess
        self.seed = seed

    def fit(self, table: pd.DataFrame, y: Floats) -> Self:
        """Learn from training rows; a number that does not vary among them is left out."""
        numbers = table.select_dtypes("number")
        self.numbers_ = [str(name) for name in numbers if numbers[name].nunique() > 1]
        categories = [name for name in table if name not in numbers]
        if not self.numbers_ and not categories:
            message = f"no column varies among {len(table):,} training rows; take fewer folds, or more rows"
            raise InvalidValues(message)
        steps = chain_of(self.preprocess)
        self.chain_ = Preprocess(steps, task=self.goal.task, seed=self.seed) if self.numbers_ else None
        self.names_: list[str] = []
        if self.chain_ is not None:
            self.names_ += self.chain_.fit(table[self.numbers_].to_numpy(np.float64), self.numbers_, y).names_
        self.levels_ = {str(name): self._levels(_words(table[name]), str(name)) for name in categories}
        x = self._matrix(table)
        room = REACH * (x.max(axis=0) - x.min(axis=0))
        self.low_, self.high_ = x.min(axis=0) - room, x.max(axis=0) + room
        return self

    def _levels(self, words: NDArray[np.object_], name: str) -> dict[str, int]:
        """Column of each level of a category."""
        encoder = OneHotEncoder(
            handle_unknown="ignore", max_categories=MAX_LEVELS, min_frequency=2, sparse_output=False, dtype=np.float32
        ).fit(words[:, None])
        self.names_ += list(encoder.get_feature_names_out([name]))
        levels = encoder.categories_[0]
        return dict(zip(levels.tolist(), encoder.transform(levels[:, None]).argmax(axis=1).tolist(), strict=True))

    def transform(self, table: pd.DataFrame) -> NDArray[np.float32]:
        """Features of rows, shape ``(n, len(names_))``."""
        return np.clip(self._matrix(table), self.low_, self.high_)

    def _matrix(self, table: pd.DataFrame) -> NDArray[np.float32]:
        parts = [] if self.chain_ is None else [self.chain_.transform(table[self.numbers_].to_numpy(np.float64))]
        for name, levels in self.levels_.items():
            code = np.array([levels.get(word, -1) for word in _words(table[name])])
            parts.append(np.equal.outer(code, np.arange(max(levels.values()) + 1)))
        return np.hstack(parts).astype(np.float32)


def _words(column: pd.Series) -> NDArray[np.object_]:
    words = column.astype(object).fillna("(missing)").map(str)
    return words.to_numpy(object)


def chain_of(preprocess: str) -> Any:
    """Steps for the numbers of a table, as ``--preprocess`` says them.

    Raises
    ------
    ConfigurationError
        If a step is unknown, or the chain is for a view.
    """
    return chains_of_views(parse_preprocess(preprocess) if preprocess.strip() else {}, ["numbers"])["numbers"]
