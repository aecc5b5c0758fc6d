"""Goal of a model of a table: a number, or one of several classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.exceptions import ConfigurationError, InvalidValues, examples

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
TaskName = Literal["regression", "classification"]


@dataclass(frozen=True)
class Goal:
    """What is predicted: a number, or one of ``classes`` (the target is then their position)."""

    task: TaskName
    classes: tuple[str, ...] = ()

    @classmethod
    def of(cls, task: TaskName, classes: Sequence[str], y: Any) -> Self:
        """Goal of a target; classes that are not given are those of ``y``, sorted."""
        if y is None:
            message = "a model of a table learns from a target; give it as y"
            raise ConfigurationError(message)
        if task == "regression":
            return cls(task)
        return cls(task, tuple(classes) or tuple(sorted({str(value) for value in y})))

    @property
    def width(self) -> int:
        """Columns of a prediction."""
        return max(1, len(self.classes))

    def codes(self, y: Any) -> Floats:
        """Target as models learn it: numbers, or positions of classes."""
        if not self.classes:
            return np.asarray(y, dtype=np.float64)
        named = np.array([str(value) for value in y], dtype=object)
        found = pd.Index(self.classes, dtype=object).get_indexer(pd.Index(named, dtype=object))
        if (found < 0).any():
            message = f"{examples(pd.unique(named[found < 0]))} is none of the classes {examples(self.classes, 8)}"
            raise InvalidValues(message)
        return found.astype(np.float64)

    def columns(self, y: Floats) -> Floats:
        """Target as a prediction would be: numbers, or 1 for the class of the row, shape ``(n, width)``."""
        return np.eye(self.width)[y.astype(np.int64)] if self.classes else y[:, None]
