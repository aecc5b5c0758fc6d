"""Rows of a table dealt into folds, and held out of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.tables.goal import Codes, Floats, Goal


def deal(n: int, k: int, seed: int, strata: Codes | None = None, groups: Codes | None = None) -> Codes:
    """Number of the fold of each row, shape ``(n,)``: folds of equal size, and equal shares of ``strata`` in each.

    Rows of one of ``groups`` come into one fold: the largest group first, each to the fold that it fills most evenly.
    """
    rng = np.random.default_rng(seed)
    fold = np.empty(n, dtype=np.int64)
    kinds = np.zeros(n, dtype=np.int64) if strata is None else np.unique(strata, return_inverse=True)[1]
    if groups is None:
        order = rng.permutation(n)
        fold[order[np.argsort(kinds[order], kind="stable")]] = np.arange(n) % k
        return fold
    code = np.unique(groups, return_inverse=True)[1]
    counts = np.zeros((code.max() + 1, kinds.max() + 1))
    np.add.at(counts, (code, kinds), 1.0)
    order = rng.permutation(len(counts))
    filled, where, share = np.zeros((k, counts.shape[1])), np.empty(len(counts), np.int64), counts.sum(axis=0)
    for group in order[np.argsort(-counts[order].sum(axis=1), kind="stable")]:
        crowding = ((2 * filled + counts[group]) * counts[group] / share).sum(axis=1)
        where[group] = np.lexsort((filled.sum(axis=1), crowding))[0]
        filled[where[group]] += counts[group]
    return where[code]


def inner_part(
    y: Floats, goal: Goal, seed: int, groups: Codes | None, *, parts: int = 10, number: int = 0
) -> NDArray[np.bool_]:
    """Which rows are held out of training to stop or choose by: part ``number`` of about ``parts`` equal ones."""
    n_units = len(y) if groups is None else len(np.unique(groups))
    groups = groups if n_units > 1 else None
    k = min(parts, n_units if groups is not None else len(y))
    fold = deal(len(y), k, seed, y.astype(np.int64) if goal.classes else None, groups)
    return np.asarray(fold == number % k)
