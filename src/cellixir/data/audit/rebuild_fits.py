"""Fits of a target to columns of numbers: R2 of columns, pairs, fewest columns and boosted trees.

Missing values are NaN. What counts is explained variance on held-out rows, and nearly as much among the middle nine
tenths of the target, lest one outlier decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.linalg import lstsq
from scipy.special import gammaln

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NEARLY = 0.999  # explained variance from which the target counts as rebuilt
MIN_ROWS = 40
AROUND = 5  # values on each side of a cut
CUT_ROWS = 250  # with fewer, what moves the target far may part the rows, or a strong predictor the classes, by itself
SEARCH_ROWS = 4_000
MAX_JOINT_COLUMNS, MAX_ROUNDS, MAX_STEPS = 800, 4, 15


def sample_rows(n: int, size: int) -> NDArray[np.int64]:
    """Rows, at most ``size`` of ``n``, drawn with a fixed seed, in their order."""
    return np.sort(np.random.default_rng(0).permutation(n)[:size])


def part_of(values: Floats, rows: NDArray[np.int64], columns: Sequence[int]) -> Floats:
    """Values of the rows and columns."""
    return values[:, columns] if len(rows) == len(values) else values[np.ix_(rows, np.asarray(columns, dtype=np.int64))]


def ranks_of(values: Floats) -> Floats:
    """Ranks down each column; missing stays missing."""
    return np.asarray(pd.DataFrame(values).rank().to_numpy().reshape(values.shape), dtype=np.float64)


def log_of(values: Floats) -> Floats:
    """Logarithms of the absolute values; of 0, missing."""
    logs = np.log(np.abs(values))
    logs[~np.isfinite(logs)] = np.nan
    return logs


def _r2(y: Floats, fit: Floats) -> float:
    """Explained variance; what is explained of the middle nine tenths, if that is much less."""
    low, high = np.quantile(y, [0.05, 0.95])
    middle = (y >= low) & (y <= high)
    whole, inner = (1 - ((y - fit)[k] ** 2).sum() / ((y[k] - y[k].mean()) ** 2).sum() for k in (slice(None), middle))
    return float(whole if inner > 0.99 or np.ptp(y[middle]) == 0 else min(whole, inner))


def column_r2(x: Floats, y: Floats) -> Floats:
    """Squared correlation of each column with y over the rows where it is known; 0 where too few are."""
    known = np.isfinite(x)
    y, n = y - y.mean(), known.sum(axis=0)
    x = np.where(known, x, 0.0)
    x = np.where(known, x - x.sum(axis=0) / n, 0.0)
    scale = np.abs(x).max(axis=0, initial=0.0)
    x = x / np.where(scale > 0, scale, 1.0)
    of_y, of_y2 = y @ known, y**2 @ known
    r2 = (y @ x) ** 2 / ((x**2).sum(axis=0) * (of_y2 - of_y**2 / n))
    return np.where((n >= MIN_ROWS // 2) & np.isfinite(r2), r2, 0.0)


def _tied(values: Floats) -> bool:
    return len(np.unique(values)) <= len(values) / 10


def most_rank_r2(x_ranks: Floats, ranks: Floats) -> Floats:
    """Largest squared rank correlation with y that the ties on one side allow, for each column."""
    if _tied(ranks):
        return np.full(x_ranks.shape[1], max(np.corrcoef(np.sort(ranks), np.arange(len(ranks)))[0, 1] ** 2, 1e-3))
    filled = np.sort(np.where(np.isnan(x_ranks), np.nanmean(x_ranks, axis=0), x_ranks), axis=0)
    return np.maximum(column_r2(filled, np.sort(ranks)), 1e-3)


def follows(x: Floats, y: Floats, n_columns: int) -> tuple[float, bool, int]:
    """How well x explains y, whether by a line, and the number of rows with both."""
    both = np.isfinite(x)
    x, y = x[both], y[both]
    if len(y) < MIN_ROWS // 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0, False, len(y)
    line = held_out_fit(x[:, None], y)[0]
    if line > NEARLY:
        return line, True, len(y)
    ranks = ranks_of(np.column_stack([x, y]))
    r2, most = _correlation(ranks) ** 2, 1.0
    if _tied(x) != _tied(y):
        few, many = (x, y) if _tied(x) else (y, x)
        counts = np.unique(few, return_counts=True)[1]
        orders = gammaln(len(y) + 1) - gammaln(counts + 1).sum()  # log number of ways to part the rows so
        cut = len(y) >= CUT_ROWS and (_tied(y) or _is_cut(few, many))
        if orders > np.log(1e6 * n_columns) and cut:
            most = _correlation(np.sort(ranks, axis=0)) ** 2
    return float(r2 / most), False, len(y)


def _is_cut(few: Floats, many: Floats) -> bool:
    """Whether ``many`` is as dense where ``few`` changes as elsewhere, so that it was cut there, not moved apart."""
    order = np.argsort(many)
    steps, changes = np.diff(many[order]), np.flatnonzero(np.diff(few[order]))
    near = [steps[max(at - AROUND, 0) : at + AROUND + 1].mean() for at in changes]
    return bool(np.max(near, initial=0.0) <= 3 * np.median(steps))


def _correlation(pair: Floats) -> float:
    return float(np.corrcoef(pair[:, 0], pair[:, 1])[0, 1])


def held_out_fit(x: Floats, y: Floats) -> tuple[float, Floats, float, int]:
    """R2 on half of the complete rows of a linear fit to the others; its slopes, constant, number of held-out rows."""
    complete = np.isfinite(x).all(axis=1)
    x, y = x[complete], y[complete]
    width = x.shape[1]
    order = np.random.default_rng(1).permutation(len(y))
    fit, held = order[: len(y) // 2], order[len(y) // 2 :]
    if len(fit) < max(MIN_ROWS // 4, 2 * width) or np.ptp(y[held]) == 0:
        return 0.0, np.zeros(width), 0.0, len(held)
    center, scale = x[fit].mean(axis=0), x[fit].std(axis=0)
    scale[scale == 0] = 1.0
    slopes = _fitted((x[fit] - center) / scale, y[fit] - y[fit].mean()) / scale
    constant = float(y[fit].mean() - center @ slopes)
    return _r2(y[held], x[held] @ slopes + constant), slopes, constant, len(held)


def pair_r2(x: Floats, y: Floats) -> Floats:
    """In-sample R2 of y on each two columns, over the rows where both are known, shape ``(p, p)``."""
    known = np.isfinite(x).astype(np.float64)
    y = (y - y.mean()) / y.std()
    x = np.where(known > 0, x - np.nanmean(x, axis=0), 0.0)
    x /= np.maximum(np.sqrt((x**2).mean(axis=0)), np.finfo(float).tiny)
    n = known.T @ known
    sx, sy = x.T @ known, (known * y[:, None]).T @ known
    xx = (x**2).T @ known - sx**2 / n
    xz = x.T @ x - sx * sx.T / n
    xy = (x * y[:, None]).T @ known - sx * sy / n
    yy = (known * y[:, None] ** 2).T @ known - sy**2 / n
    left = xx * xx.T - xz**2
    r2 = (xy**2 * xx.T + xy.T**2 * xx - 2 * xy * xy.T * xz) / (left * yy)
    return np.where((n >= MIN_ROWS // 2) & (left > 1e-9 * xx * xx.T) & np.isfinite(r2), r2, 0.0)


def complete_parts(values: Floats, columns: Sequence[int], n: int) -> Iterator[tuple[NDArray[np.int64], list[int]]]:
    """Rows and columns without gaps: for each common pattern of gaps, the columns known in most of its rows."""
    rows = sample_rows(n, max(SEARCH_ROWS, 4 * min(len(columns), MAX_JOINT_COLUMNS)))
    known = np.isfinite(values)[np.ix_(rows, np.asarray(columns, dtype=np.int64))]
    patterns = pd.Series([hash(column.tobytes()) for column in np.ascontiguousarray(known.T)])
    for pattern in patterns.value_counts().index[: MAX_ROUNDS + 1]:
        seed = known[:, np.flatnonzero(patterns == pattern)[0]]
        share = known[seed].mean(axis=0) if seed.any() else np.zeros(len(columns))
        for least in (0.9, 1.0):
            chosen = np.flatnonzero(share >= least)
            there = rows[seed & known[:, chosen].all(axis=1)]
            if len(chosen) > 1 and len(there) >= MIN_ROWS:
                yield there, [columns[int(k)] for k in chosen]
                break


def fewest_columns(values: Floats, y: Floats, rows: NDArray[np.int64], columns: Sequence[int]) -> list[int]:
    """Few of the columns of which y is a linear combination on held-out rows; none if there are not."""
    order = np.random.default_rng(2).permutation(len(y))
    fit, held = order[: len(y) // 2], order[len(y) // 2 :]
    if np.ptp(y[fit]) == 0 or np.ptp(y[held]) == 0:
        return []
    y = (y - y[fit].mean()) / y.std()
    many = len(columns) > min(MAX_JOINT_COLUMNS, 0.7 * len(fit))
    columns = _pursued(values, y[fit], rows[fit], columns) if many else columns
    x = part_of(values, rows, columns)
    scale = x[fit].std(axis=0)
    x = (x - x[fit].mean(axis=0)) / np.where(scale > 0, scale, np.inf)

    def gap(chosen: Sequence[int]) -> float:
        part = x[:, chosen]
        return 1 - _r2(y[held], part[held] @ _fitted(part[fit], y[fit]))

    ranked = list(range(len(columns)))
    if not many:
        ranked = list(np.argsort(-np.abs(_fitted(x[fit], y[fit])), kind="stable"))
    least = gap(ranked)
    if not least < 1 - NEARLY:
        return []
    enough = min(1 - NEARLY, max(10 * least, 1e-9))
    sizes = [k for k in (*range(1, 9), 12, 16, 24, 32, 64, 128, 256, 512) if k < len(ranked)]
    ranked = next((ranked[:k] for k in sizes if gap(ranked[:k]) <= enough), ranked)
    while 1 < len(ranked) <= 24:
        without = min(([c for c in ranked if c != out] for out in ranked), key=gap)
        if gap(without) > enough:
            break
        ranked = without
    return sorted(columns[column] for column in ranked)


def _fitted(x: Floats, y: Floats) -> Floats:
    return np.asarray(lstsq(x, y, lapack_driver="gelsy")[0], dtype=np.float64)


def _pursued(values: Floats, y: Floats, rows: NDArray[np.int64], columns: Sequence[int]) -> list[int]:
    """Columns by orthogonal matching pursuit (Pati et al., Asilomar 1993): each the best for what is left over."""
    x = np.empty((len(rows), len(columns)), dtype=np.float32)
    for start in range(0, len(columns), 1000):
        part = part_of(values, rows, columns[start : start + 1000])
        scale = part.std(axis=0)
        x[:, start : start + 1000] = (part - part.mean(axis=0)) / np.where(scale > 0, scale, np.inf)
    chosen: list[int] = []
    rest = y - y.mean()
    while len(chosen) < MAX_STEPS and rest.var() > 1e-10:
        chosen.append(int(np.argmax(np.abs(rest.astype(np.float32) @ x))))
        part = x[:, chosen].astype(np.float64)
        rest = y - y.mean() - part @ _fitted(part, y - y.mean())
    return [columns[k] for k in dict.fromkeys(chosen)]


def boosted_fit(x: Floats, y: Floats) -> tuple[float, Floats]:
    """Held-out R2 of trees, alone or on what a linear model leaves over; what is lost when a column is shuffled."""
    order = np.random.default_rng(3).permutation(len(y))
    fit, held = order[: len(y) // 2], order[len(y) // 2 :]
    ways = [(False, False), (True, False), *([(True, True)] if y.min() > 0 else [])]
    for linear, logarithm in ways:
        for n_trees in (50, 400):
            predict = _trees(x[fit], y[fit], n_trees, linear=linear, logarithm=logarithm)
            r2 = _r2(y[held], predict(x[held]))
            if not r2 > 0.98:
                break  # far from rebuilt: more trees are not worth their time
        if r2 > NEARLY:
            return r2, np.array([r2 - _r2(y[held], predict(_shuffled(x[held], k))) for k in range(x.shape[1])])
    return 0.0, np.zeros(x.shape[1])


def _shuffled(x: Floats, column: int) -> Floats:
    x = x.copy()
    x[:, column] = np.random.default_rng(4).permutation(x[:, column])
    return x


def _trees(x: Floats, y: Floats, n_trees: int, *, linear: bool, logarithm: bool) -> Callable[[Floats], Floats]:
    from sklearn.ensemble import HistGradientBoostingRegressor

    def terms(x: Floats) -> Floats:
        both = (np.hstack([x, log_of(x)]) - center) / scale
        return np.hstack([np.where(np.isfinite(both), both, 0.0), np.ones((len(x), 1))])

    both = pd.DataFrame(np.hstack([x, log_of(x)]))
    center, scale = both.mean().to_numpy(), both.std().to_numpy()
    y = np.log(y) if logarithm else y
    slopes = _fitted(terms(x), y) * linear
    trees = HistGradientBoostingRegressor(max_iter=n_trees, early_stopping=False, random_state=0)
    trees.fit(x, y - terms(x) @ slopes)

    def predict(x: Floats) -> Floats:
        fitted = terms(x) @ slopes + trees.predict(x)
        return np.asarray(np.exp(fitted) if logarithm else fitted, dtype=np.float64)

    return predict
