"""Rows dealt into parts: folds that test every row once, and one part that is held out.

All splits of the package are drawn here; the callers know what the rows are, and refuse too few of them. Two kinds of
folds stay side by side, because recorded results rest on both: scikit-learn's give each fold as many groups, the even
ones as many rows, which matters in a table with few groups of unequal size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold

Codes = NDArray[np.int64]


def deal(
    n: int, k: int, seed: int, *, strata: ArrayLike | None = None, groups: ArrayLike | None = None, even: bool = False
) -> Codes:
    """Number of the fold of each row, 0 to ``k - 1``, shape ``(n,)``.

    Parameters
    ----------
    n, k
        Rows and folds.
    seed
        Equal seeds deal equally.
    strata
        Class of each row: every fold has about its share of each.
    groups
        Group of each row (a patient, a drug): no group is in two folds.
    even
        Whether folds are of equal size in rows, as far as groups allow. Otherwise they are scikit-learn's shuffled
        folds: of groups alone, as many groups in each.

    Examples
    --------
    >>> deal(6, 3, 0, groups=["a", "a", "b", "b", "c", "c"]).tolist()
    [2, 2, 1, 1, 0, 0]
    """
    if even:
        return _evenly(n, k, np.random.default_rng(seed), strata, groups)
    if groups is not None and strata is None:
        code = np.unique(np.asarray(groups), return_inverse=True)[1]
        return deal(int(code.max()) + 1, k, seed)[code]
    kind: Any = KFold if strata is None else StratifiedKFold if groups is None else StratifiedGroupKFold
    fold = np.empty(n, dtype=np.int64)
    parts = kind(k, shuffle=True, random_state=seed).split(np.empty(n), strata, groups)
    for number, (_, test) in enumerate(parts):
        fold[test] = number
    return fold


def hold_out(
    n: int, wanted: int, rng: Generator, *, strata: ArrayLike | None = None, groups: ArrayLike | None = None
) -> NDArray[np.bool_]:
    """Which of ``n`` rows are held out: about ``wanted``, of each of ``strata`` in proportion, or whole ``groups``.

    Groups are taken in random order while they fit in a third of the rows; of one or two, the smallest serves.

    Examples
    --------
    >>> hold_out(6, 2, np.random.default_rng(0), strata=[0, 0, 0, 1, 1, 1]).tolist()
    [True, False, False, False, False, True]
    """
    chosen = np.zeros(n, dtype=np.bool_)
    if groups is None:
        places = np.arange(wanted) if strata is None else ((np.arange(wanted) + 0.5) * n / wanted).astype(np.int64)
        chosen[_order(n, rng, strata)[places]] = True  # of strata one row of each stretch
        return chosen
    code = np.unique(np.asarray(groups), return_inverse=True)[1]
    sizes = np.bincount(code)
    for group in rng.permutation(len(sizes)):
        if chosen.sum() < wanted and chosen.sum() + sizes[group] <= n / 3:
            chosen |= code == group
    return chosen if chosen.any() else np.asarray(code == int(sizes.argmin()))


def _evenly(n: int, k: int, rng: Generator, strata: ArrayLike | None, groups: ArrayLike | None) -> Codes:
    """Rows in turn; of groups the largest first, each to the fold that it fills most evenly."""
    if groups is None:
        fold = np.empty(n, dtype=np.int64)
        fold[_order(n, rng, strata)] = np.arange(n) % k
        return fold
    given = (groups, np.zeros(n) if strata is None else strata)
    code, kinds = (np.unique(np.asarray(names), return_inverse=True)[1] for names in given)
    counts = np.zeros((code.max() + 1, kinds.max() + 1))
    np.add.at(counts, (code, kinds), 1.0)
    order = rng.permutation(len(counts))
    filled, where, share = np.zeros((k, counts.shape[1])), np.empty(len(counts), np.int64), counts.sum(axis=0)
    for group in order[np.argsort(-counts[order].sum(axis=1), kind="stable")]:
        crowding = ((2 * filled + counts[group]) * counts[group] / share).sum(axis=1)
        where[group] = np.lexsort((filled.sum(axis=1), crowding))[0]
        filled[where[group]] += counts[group]
    return where[code]


def _order(n: int, rng: Generator, strata: ArrayLike | None) -> Codes:
    """Rows in random order, stratum after stratum."""
    order = rng.permutation(n)
    return order if strata is None else order[np.argsort(np.asarray(strata)[order], kind="stable")]


def with_unit(table: pd.DataFrame, key: str | None) -> pd.DataFrame:
    """The table with the column ``key``, if that is ``A+B`` of two of its columns: both as one unit, in either order.

    A row that lacks one of them is of no unit.

    >>> with_unit(pd.DataFrame({"a": ["x", "y"], "b": ["y", "x"]}), "a+b")["a+b"].tolist()
    ['x + y', 'x + y']
    """
    names = [] if key is None or key in table else [name.strip() for name in key.split("+")]
    if len(names) < 2 or not set(names) <= set(table.columns):
        return table
    known = table[names].notna().all(axis=1)
    units = [" + ".join(sorted(map(str, row))) for row in table[names].itertuples(index=False)]
    return table.assign(**{str(key): pd.Series(units, table.index, dtype=object).where(known)})
