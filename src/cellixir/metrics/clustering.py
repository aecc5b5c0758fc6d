"""Agreement of an embedding, a clustering or a classifier with cell types, with bootstrap intervals.

``labels`` names the type of each cell, shape ``(n,)``; ``called`` holds the clusters or predicted types of the same
cells, ``latent`` their coordinates, shape ``(n, d)``. A value that the data do not define is NaN, never 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.special import xlogy
from sklearn import config_context
from sklearn.metrics import silhouette_samples
from sklearn.neighbors import NearestNeighbors

from cellixir.exceptions import ConfigurationError, InvalidValues
from cellixir.metrics.class_intervals import interval_of
from cellixir.metrics.intervals import N_BOOTSTRAP, Interval, bootstrap_weights
from cellixir.metrics.latent import finite_latent

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

MAX_SILHOUETTE = 10_000  # cells: all pairs of them are compared
MAX_QUERIES = 20_000  # cells whose neighbours are looked up, among all cells
MIN_GROUPS = 5  # fewer patients say nothing of how patients differ
WORKING_MEMORY = 64  # MiB of distances at a time


def accuracy(labels: ArrayLike, called: ArrayLike) -> float:
    """Share of cells whose type was called right, of any number of types.

    >>> accuracy(["B", "B", "T", "NK"], ["B", "T", "T", "T"])
    0.5
    """
    return _of_pair("accuracy", labels, called)


def macro_f1(labels: ArrayLike, called: ArrayLike) -> float:
    """Mean over types of F1 = 2 TP / (2 TP + FP + FN): a rare type counts as much as a common one.

    The types are those that stand among the labels or the calls, as in scikit-learn; one that was called and is not
    there has an F1 of 0.
    """
    return _of_pair("macro_f1", labels, called)


def ari(labels: ArrayLike, called: ArrayLike) -> float:
    """Adjusted Rand index: agreement over pairs of cells, 0 by chance, 1 when the partitions are the same.

    (S - E) / ((A + B) / 2 - E) with S pairs together in both, A and B in either, E = A B / all pairs (Hubert and
    Arabie, J Classif 2:193, 1985, eq. 5). NaN where both partitions are trivial (one cluster, or each cell alone):
    there, chance and agreement are the same.
    """
    return _of_pair("ari", labels, called)


def nmi(labels: ArrayLike, called: ArrayLike) -> float:
    """Normalised mutual information, 2 I(U; V) / (H(U) + H(V)): 0 where independent, 1 where the partitions agree.

    The arithmetic mean of the entropies, as scikit-learn and scIB have it (Vinh et al., JMLR 11:2837, 2010). It is not
    corrected for chance: many small clusters raise it. NaN where both partitions are one cluster.
    """
    return _of_pair("nmi", labels, called)


def silhouette(latent: ArrayLike, labels: ArrayLike, *, limit: int = MAX_SILHOUETTE, seed: int = 0) -> float:
    """Mean silhouette width of the cell types, -1 to 1, by Euclidean distance; see ``silhouette_values``."""
    return _mean(silhouette_values(latent, labels, limit=limit, seed=seed)[1])


def knn_purity(latent: ArrayLike, labels: ArrayLike, *, k: int = 15, limit: int = MAX_QUERIES, seed: int = 0) -> float:
    """Mean share of a cell's nearest other cells that are of its own type, 1 at best; see ``purity_values``."""
    return _mean(purity_values(latent, labels, k=k, limit=limit, seed=seed)[1])


def silhouette_values(
    latent: ArrayLike, labels: ArrayLike, *, limit: int = MAX_SILHOUETTE, seed: int = 0
) -> tuple[Codes, Floats]:
    """Rows of cells, and the silhouette width of each.

    s = (b - a) / max(a, b), with a the mean distance to the other cells of its type and b that to the cells of the
    nearest other type; 0 for the only cell of a type (Rousseeuw, J Comput Appl Math 20:53, 1987). Exact up to
    ``limit`` cells; of more, ``stratified_rows`` stand for all. Memory: 64 MiB of distances.
    """
    points, names = _latent(latent, labels)
    rows = stratified_rows(names, limit, seed)
    code = pd.factorize(names[rows])[0].astype(np.int64)
    n_types = len(np.unique(code))
    if not 1 < n_types < len(rows):
        return rows, np.full(len(rows), np.nan)
    with config_context(working_memory=WORKING_MEMORY):
        return rows, np.asarray(silhouette_samples(points[rows], code), dtype=np.float64)


def purity_values(
    latent: ArrayLike, labels: ArrayLike, *, k: int = 15, limit: int = MAX_QUERIES, seed: int = 0
) -> tuple[Codes, Floats]:
    """Rows of cells, and for each the share of its nearest other cells that are of its type.

    ``k`` of them are looked at, or as many as there are of its type beside it: of 3 mast cells each has 2 that could be
    near, and a share of 15 could not be above 2 / 15. So 1 can be reached whatever the sizes of the types, as by the
    R-precision of retrieval (Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, 8.4). The only
    cell of a type is left out. Above ``limit`` cells the neighbours of ``stratified_rows`` are looked up, still among
    all cells. Memory: ``n x k``; distances are never held for all pairs.
    """
    points, names = _latent(latent, labels)
    if k < 1:
        message = f"k={k} is not a number of neighbours; use 1 or more"
        raise ConfigurationError(message)
    code = pd.factorize(names)[0]
    most = np.minimum(k, np.bincount(code)[code] - 1)
    rows = stratified_rows(names, limit, seed)
    rows = rows[most[rows] > 0]
    if not len(rows):
        return rows, np.empty(0)
    with config_context(working_memory=WORKING_MEMORY):
        nearest = NearestNeighbors(n_neighbors=int(most.max()) + 1).fit(points)
        found = nearest.kneighbors(points[rows], return_distance=False)
    other = found != rows[:, None]
    other[other.all(axis=1), -1] = False  # among many cells at one place it may not find itself
    other &= other.cumsum(axis=1) <= most[rows, None]
    return rows, ((code[found] == code[rows][:, None]) & other).sum(axis=1) / most[rows]


def stratified_rows(labels: ArrayLike, limit: int, seed: int) -> Codes:
    """At most about ``limit`` rows, ascending, drawn so that each label keeps its share (and at least two rows)."""
    code = pd.factorize(np.asarray(labels, dtype=object), use_na_sentinel=False)[0]
    if len(code) <= limit:
        return np.arange(len(code), dtype=np.int64)
    rng = np.random.default_rng(seed)
    drawn = []
    for at in range(int(code.max()) + 1):
        members = np.flatnonzero(code == at)
        wanted = min(len(members), max(2, round(limit * len(members) / len(code))))
        drawn.append(rng.choice(members, wanted, replace=False))
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def with_interval(
    metric: str,
    labels: ArrayLike,
    seen: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    n: int = N_BOOTSTRAP,
    seed: int = 0,
    k: int = 15,
) -> Interval:
    """Value of a metric and its percentile bootstrap interval; see ``cell_draws``."""
    return interval_of(cell_draws(metric, labels, seen, groups=groups, n=n, seed=seed, k=k), level=level)


def paired_cell_difference(
    metric: str,
    labels: ArrayLike,
    seen: ArrayLike,
    reference: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    n: int = N_BOOTSTRAP,
    seed: int = 0,
    k: int = 15,
) -> Interval:
    """Metric of ``seen`` less that of ``reference``, on the same drawn units. Above 0: ``seen`` is better."""
    one, other = (cell_draws(metric, labels, v, groups=groups, n=n, seed=seed, k=k) for v in (seen, reference))
    return interval_of(one - other, level=level)


def cell_draws(
    metric: str,
    labels: ArrayLike,
    seen: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    n: int = N_BOOTSTRAP,
    seed: int = 0,
    k: int = 15,
) -> Floats:
    """A metric of ``n`` bootstrap replicates, shape ``(n + 1,)``; the first is that of the data.

    Drawn with replacement are whole groups (patients) if there are at least ``MIN_GROUPS`` of them, else cells. Equal
    ``seed``, labels and groups draw the same units: draws of two models can be subtracted.

    A replicate weighs what was computed once. The clustering is not run again, and neighbours and distances stay those
    of the data: a cell drawn twice would be its own neighbour. For the same reason the ARI does not count a pair of a
    cell with itself. Drawing cells again raises the NMI by chance, so its replicates are moved to have the mean of
    the data.

    Parameters
    ----------
    metric
        One of ``PAIR_METRICS`` (``seen`` are clusters or predicted types) or ``LATENT_METRICS`` (``seen`` is a latent).
    groups
        Patient of each cell, shape ``(n_cells,)``.

    Raises
    ------
    InvalidValues
        If shapes differ, a label or group is missing, a latent is not finite, or there is no cell.
    """
    if metric in LATENT_METRICS:
        rows, values = _cell_values(metric, labels, seen, k, seed)
        if not len(rows):
            return np.full(n + 1, np.nan)
        code = _units(groups, len(np.asarray(labels)))[rows]
        sums = np.stack([np.bincount(code, values), np.bincount(code)], axis=1)
        sums = sums[sums[:, 1] > 0]
        drawn = np.concatenate([w @ sums for w in bootstrap_weights(len(sums), n, seed)])
        return np.concatenate([[values.mean()], drawn[:, 0] / drawn[:, 1]])
    if metric not in PAIR_METRICS:
        message = f"metric '{metric}' is not known; use one of {', '.join([*PAIR_METRICS, *LATENT_METRICS])}"
        raise ConfigurationError(message)
    found = _pair_draws(metric, labels, seen, groups, n, seed)
    if metric == "nmi" and np.isfinite(found[1:]).any():
        found[1:] += found[0] - np.nanmean(found[1:])
    return found


def _pair_draws(metric: str, labels: ArrayLike, seen: ArrayLike, groups: ArrayLike | None, n: int, seed: int) -> Floats:
    """Replicates by one product each block: weights of units x cells of each unit in each place of the table."""
    table, shape = _table_code(metric, labels, seen)
    code = _units(groups, len(table))
    there, place = np.unique(table, return_inverse=True)  # most pairs of a label and a call have no cell
    n_units = int(code.max()) + 1
    counts = sp.csr_matrix((np.ones(len(table)), (code, place)), shape=(n_units, len(there)))
    of_tables = PAIR_METRICS[metric]
    draws = []
    for weights in (np.ones((1, n_units)), *bootstrap_weights(n_units, n, seed)):
        tables = np.zeros((2, len(weights), shape[0] * shape[1]))
        tables[0, :, there] = (weights @ counts).T
        if metric == "ari":
            tables[1, :, there] = (np.square(weights) @ counts).T
        draws.append(of_tables(*tables.reshape(2, -1, *shape)))
    return np.concatenate(draws)


def enough_groups(groups: ArrayLike | None) -> bool:
    """Whether intervals are drawn over these groups rather than over cells."""
    return groups is not None and len(pd.unique(np.asarray(groups, dtype=object))) >= MIN_GROUPS


def _accuracy_of(tables: Floats, _: Floats) -> Floats:
    return np.asarray(np.trace(tables, axis1=1, axis2=2) / tables.sum(axis=(1, 2)))


def _macro_f1_of(tables: Floats, _: Floats) -> Floats:
    both = tables.sum(axis=1) + tables.sum(axis=2)  # 2 TP + FP + FN
    there = both > 0
    f1 = 2 * np.diagonal(tables, axis1=1, axis2=2) / np.where(there, both, 1)
    return np.asarray(np.where(there, f1, 0).sum(axis=1) / there.sum(axis=1))


def _ari_of(tables: Floats, squares: Floats) -> Floats:
    """From sums of weights and of their squares: pairs of a cell with itself are taken out."""
    once = squares.sum(axis=(1, 2))
    together, rows, columns, pairs = (
        np.square(sums).reshape(len(tables), -1).sum(axis=1) - once
        for sums in (tables, tables.sum(axis=2), tables.sum(axis=1), tables.sum(axis=(1, 2)))
    )
    chance = rows * columns / np.where(pairs, pairs, 1)
    most = (rows + columns) / 2
    clear = np.abs(most - chance) > 1e-12 * np.maximum(pairs, 1)
    return np.where(clear, (together - chance) / np.where(clear, most - chance, 1), np.nan)


def _nmi_of(tables: Floats, _: Floats) -> Floats:
    share = tables / tables.sum(axis=(1, 2), keepdims=True)
    rows, columns, joint = (
        -xlogy(p, p).reshape(len(share), -1).sum(axis=1) for p in (share.sum(axis=2), share.sum(axis=1), share)
    )
    total = rows + columns
    clear = total > 1e-12
    return np.where(clear, np.maximum(0, 2 * (total - joint) / np.where(clear, total, 1)), np.nan)


#: Metrics of labels beside called types or clusters: functions of tables of counts, shape ``(n, n_labels, n_calls)``,
#: and of the sums of squares, which the ARI needs.
PAIR_METRICS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "accuracy": _accuracy_of,
    "macro_f1": _macro_f1_of,
    "ari": _ari_of,
    "nmi": _nmi_of,
}
#: Metrics of labels beside a latent: means over cells.
LATENT_METRICS = ("silhouette", "knn_purity")


def _of_pair(metric: str, labels: ArrayLike, called: ArrayLike) -> float:
    return float(_pair_draws(metric, labels, called, None, 0, 0)[0])


def _table_code(metric: str, labels: ArrayLike, called: ArrayLike) -> tuple[Codes, tuple[int, int]]:
    """Place of each cell in the flat table of labels x calls, and the shape of the table."""
    one, other = _names(labels, "label"), _names(called, "call")
    if one.shape != other.shape:
        message = f"there are {len(one):,} labels and {len(other):,} calls; give one of each a cell"
        raise InvalidValues(message)
    if metric in ("ari", "nmi"):  # clusters are not types, even if both are named 0
        a, b = pd.factorize(one)[0], pd.factorize(other)[0]
        shape = int(a.max()) + 1, int(b.max()) + 1
    else:
        code = pd.factorize(np.concatenate([one, other]))[0]
        a, b = code[: len(one)], code[len(one) :]
        shape = int(code.max()) + 1, int(code.max()) + 1
    return (a * shape[1] + b).astype(np.int64), shape


def _cell_values(metric: str, labels: ArrayLike, latent: ArrayLike, k: int, seed: int) -> tuple[Codes, Floats]:
    if metric == "silhouette":
        return silhouette_values(latent, labels, seed=seed)
    return purity_values(latent, labels, k=k, seed=seed)


def _units(groups: ArrayLike | None, n: int) -> Codes:
    """Code of the unit that is drawn, for each cell."""
    if groups is None or not enough_groups(groups):
        return np.arange(n, dtype=np.int64)
    names = _names(groups, "group")
    if len(names) != n:
        message = f"there are {len(names):,} groups for {n:,} cells; give one a cell"
        raise InvalidValues(message)
    return pd.factorize(names)[0].astype(np.int64)


def _names(values: ArrayLike, what: str) -> NDArray[np.object_]:
    """One name a cell; none missing."""
    names = np.asarray(values, dtype=object)
    if names.ndim != 1 or not len(names):
        message = f"{what}s have the shape {names.shape}; give one a cell, of at least one cell"
        raise InvalidValues(message)
    missing = np.flatnonzero(pd.isna(names))
    if len(missing):
        message = f"the {what} of cell {missing[0]} is missing ({len(missing):,} such cells); leave these cells out"
        raise InvalidValues(message)
    return names


def _latent(latent: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.object_]]:
    names = _names(labels, "label")
    return finite_latent(latent, range(len(names))), names


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")
