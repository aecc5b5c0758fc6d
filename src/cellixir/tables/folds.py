"""Rows of a table that are held out of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellixir.data.dealing import deal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.tables.goal import Codes, Floats, Goal


def inner_part(
    y: Floats, goal: Goal, seed: int, groups: Codes | None, *, parts: int = 10, number: int = 0
) -> NDArray[np.bool_]:
    """Which rows are held out of training to stop or choose by: part ``number`` of about ``parts`` equal ones."""
    n_units = len(y) if groups is None else len(np.unique(groups))
    groups = groups if n_units > 1 else None
    k = min(parts, n_units if groups is not None else len(y))
    fold = deal(len(y), k, seed, strata=y if goal.classes else None, groups=groups, even=True)
    return np.asarray(fold == number % k)
