"""Blocks of feature columns: annotation as one-hot columns, and blocks that weigh the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_LEVELS = 60  # an annotation with more levels is a name, not a category
BLOCK_NORM = 4.0  # root mean square length of a row of each block: 27 tissues weigh as much as 678 mutations


@dataclass
class Blocks:
    """Named groups of columns, each scaled so that its rows have the same typical length in training."""

    gain: dict[str, float] = field(default_factory=dict)

    def fit(self, blocks: dict[str, NDArray[np.float32]]) -> Blocks:
        """Learn the gain of each block from training rows; an empty or constant block keeps 1."""
        for name, block in blocks.items():
            length = float(np.sqrt(np.square(block, dtype=np.float64).sum(axis=1).mean())) if block.size else 0.0
            self.gain[name] = BLOCK_NORM / length if length > 0 else 1.0
        return self

    def transform(self, blocks: dict[str, NDArray[np.float32]], n_rows: int) -> NDArray[np.float32]:
        """Scaled blocks side by side, float32; shape ``(n_rows, 0)`` when there are none."""
        scaled = [block * np.float32(self.gain[name]) for name, block in blocks.items()]
        return np.ascontiguousarray(np.hstack(scaled)) if scaled else np.zeros((n_rows, 0), dtype=np.float32)


@dataclass
class OneHot:
    """Levels of annotation columns seen in training; an unseen or missing level is a row of zeros."""

    levels: dict[str, list[str]] = field(default_factory=dict)

    def fit(self, table: pd.DataFrame) -> OneHot:
        """Keep text columns with 2 to ``MAX_LEVELS`` levels and at most half as many levels as rows."""
        for column in table.columns:
            if pd.api.types.is_numeric_dtype(table[column]):
                continue
            found = sorted(set(table[column].dropna().astype(str)))
            if 2 <= len(found) <= min(MAX_LEVELS, len(table) // 2):
                self.levels[str(column)] = found
        return self

    @property
    def names(self) -> list[str]:
        """Column names, ``annotation=level``."""
        return [f"{column}={level}" for column, found in self.levels.items() for level in found]

    def transform(self, table: pd.DataFrame) -> dict[str, NDArray[np.float32]]:
        """One block a column, shape ``(len(table), n_levels)``."""
        blocks = {}
        for column, found in self.levels.items():
            values = table[column].astype(object) if column in table else pd.Series(None, index=table.index)
            codes = pd.Index(found).get_indexer(pd.Index(values.where(values.isna(), values.astype(str))))
            rows = np.vstack([np.eye(len(found)), np.zeros(len(found))])  # -1, an unknown level, is the last row
            blocks[column] = rows[codes].astype(np.float32)
        return blocks
