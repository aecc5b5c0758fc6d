"""Prediction intervals that hold as often as they say, calibrated on errors of rows held out of training.

A prediction ``p`` becomes ``p ± half width`` (split conformal: Vovk, Gammerman and Shafer, Algorithmic Learning in a
Random World, 2005; Lei et al., J Am Stat Assoc 113:1094, 2018; Angelopoulos and Bates, arXiv 2107.07511). With ``n``
held-out scores ``s = abs(error)``, the half width at ``level`` is the ``ceil((n + 1) level)``-th smallest score: if the
model was not fitted on these rows, a new row like them is covered with probability ``level`` or more, whatever the
model and the distribution. It is infinite where ``n < level / (1 - level)``: 8 errors cannot tell of 90 %.

New cell lines. Errors of one line go together, and what will be new is a line, not a row. So every unit (line, pair)
weighs the same, its errors share its weight, and one unit of infinite score stands for the new one (Dunn, Wasserman and
Ramdas, J Am Stat Assoc 118:2491, 2023; Lee, Barber and Willett, arXiv 2306.06342). The half width is the smallest
``t`` with ``sum_units share(s <= t) / (n_units + 1) >= level``: the rule above where each unit has one error.

Drugs. Some are missed by three times as much as others; one width for all covers 70 % of one drug and 99 % of another.
So a group g (drug) of ``n`` units, mean score ``m_g``, where ``m`` is the mean of these means, has a half width of its
own, shrunken towards what its scale says::

    half_g = w q_g + (1 - w) scale_g Q,    w = n / (n + 100),    scale_g = (n m_g + 5 m) / (n + 5)

``q_g`` is the quantile of the group's own scores (Mondrian); ``Q`` that of all scores, each divided by the scale that
its group has without its unit. ``w = 0`` where ``q_g`` is infinite. A group without errors has the quantile of all.

The errors of a committee's members, each on rows of its own, serve for their mean too: it misses by a little less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from cellixir.exceptions import ConfigurationError, InvalidValues

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

LEVELS = np.append(np.arange(1, 100) / 100, [0.995, 0.999])
SCALE_PRIOR = 5.0  # units at which a group's own scale is half believed
QUANTILE_PRIOR = 100.0  # units at which a group's own quantile is half believed
OVERALL = "(all)"
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Conformal:
    """Half widths of prediction intervals, by group and level.

    Parameters
    ----------
    groups
        Ids that have a half width of their own, sorted.
    n_units
        Held-out units behind each, shape ``(n_groups + 1,)``; the last is the number of all.
    table
        Half widths in the unit of the response, shape ``(n_groups + 1, len(LEVELS))``, the last row for ids that are
        not in ``groups``; infinite where there are too few units for the level.
    levels
        Of the columns: what an older bundle was fitted with is served by its own.
    """

    groups: tuple[str, ...]
    n_units: Codes
    table: Floats
    levels: tuple[float, ...] = tuple(LEVELS.tolist())

    @classmethod
    def fit(cls, errors: ArrayLike, groups: ArrayLike, *, units: ArrayLike | None = None) -> Self:
        """Learn from errors (observed - predicted) of rows that the model was not fitted on.

        Parameters
        ----------
        errors
            Shape ``(n,)``. A row may stand here several times, once for each model of a committee.
        groups
            Id of each error's drug (under LDO: of its sample), shape ``(n,)``; compared as text.
        units
            What was left out to make each error, and will be new: the pair under LPO, the cell line under LCO,
            the drug under LDO. None: each error by itself.

        Raises
        ------
        InvalidValues
            If there is no error, one is not finite, a group is missing, or lengths differ.
        """
        scores = np.abs(_finite(errors, "errors"))
        ids, code = _coded(groups, len(scores), "groups")
        unit = np.arange(len(scores)) if units is None else _coded(units, len(scores), "units")[1]
        cell = np.unique(code * (int(unit.max()) + 1) + unit, return_inverse=True)[1]
        weights, n_units = _each_once(unit), len(np.unique(unit))
        within = _each_once(cell)
        n = np.rint(np.bincount(code, within)).astype(np.int64)
        scale, normalised = _scaled(scores, code, cell, within)
        shape = _quantiles(normalised, weights, n_units)
        parts = np.split(np.argsort(code, kind="stable"), np.cumsum(np.bincount(code))[:-1])
        own = np.stack([_quantiles(scores[p], within[p], k) for p, k in zip(parts, n, strict=True)])
        table = np.vstack([_shrunk(own, scale[:, None] * shape, n), _quantiles(scores, weights, n_units)])
        return cls(tuple(ids), np.append(n, n_units), table)

    def half_width(self, groups: ArrayLike, level: float) -> Floats:
        """Half width for a prediction of each group, shape ``(n,)``; infinite where errors are too few.

        A level between two of ``LEVELS`` (whole per cents, 99.5 %, 99.9 %) is served by the upper one.

        Raises
        ------
        ConfigurationError
            If the level is not above 0 and at most 0.999.
        """
        return np.asarray(self.table[self._row(groups), _column(level, self.levels)])

    def by_group(self, level: float) -> pd.DataFrame:
        """``n_units`` and ``half_width`` of each group; the row ``OVERALL`` serves ids without errors."""
        index = pd.Index([*self.groups, OVERALL], name="group")
        return pd.DataFrame(
            {"n_units": self.n_units, "half_width": self.table[:, _column(level, self.levels)]}, index=index
        )

    def _row(self, groups: ArrayLike) -> NDArray[np.intp]:
        return pd.Index(self.groups, dtype=object).get_indexer(pd.Index(_text(groups)))  # -1, unseen, is the last row


def units_needed(level: float) -> int:
    """Fewest held-out units for a finite half width, the smallest ``n`` with ``ceil((n + 1) level) <= n``.

    >>> [units_needed(level) for level in (0.5, 0.8, 0.9, 0.95, 0.99)]
    [1, 4, 9, 19, 99]
    """
    _column(level)
    return math.ceil(level / (1 - level) - _ROUNDING)


def coverage(
    y: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    groups: ArrayLike,
    units: ArrayLike | None = None,
    *,
    level: float = 0.9,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Share of ``y`` inside ``[low, high]``, over all and by group.

    The interval of the share is Wilson's (J Am Stat Assoc 22:209, 1927). Errors of one unit go together, so it counts
    the rows that would tell as much if they were independent (Korn and Graubard, Surv Methodol 24:193, 1998).

    Parameters
    ----------
    y, low, high
        Shape ``(n,)``; ``low`` and ``high`` may be infinite.
    groups, units
        Group (drug) and unit that was left out (cell line) of each row; without units each row is one.
    level
        What the intervals claim; the interval score depends on it.
    confidence
        Of ``covered_low`` and ``covered_high``.

    Returns
    -------
    DataFrame
        One row a group, ``OVERALL`` first: ``n, n_units, covered, covered_low, covered_high, width, interval_score,
        unbounded``. Width and score are means over the bounded rows, NaN without any; ``unbounded`` counts the others.
    """
    values = [np.asarray(v, dtype=np.float64) for v in (_finite(y, "y"), low, high)]
    _check_bounds(*values)
    ids, code = _coded(groups, len(values[0]), "groups")
    unit = np.arange(len(code)) if units is None else _coded(units, len(code), "units")[1]
    score = interval_score(*values, level=level)
    tables = [
        _rows(values, score, c, unit, confidence, pd.Index(names, name="group"))
        for names, c in (([OVERALL], np.zeros_like(code)), (ids, code))
    ]
    return pd.concat(tables)


def interval_score(y: ArrayLike, low: ArrayLike, high: ArrayLike, *, level: float) -> Floats:
    """Interval score of each row, shape ``(n,)``; smaller is better, and the true quantiles are best.

    Width plus ``2 / (1 - level)`` times the distance by which ``y`` lies outside (Gneiting and Raftery, J Am Stat
    Assoc 102:359, 2007).

    >>> interval_score([1, 3], [0, 0], [2, 2], level=0.5)
    array([2., 6.])
    """
    _column(level)
    y, low, high = (np.asarray(v, dtype=np.float64) for v in (y, low, high))
    outside = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    return np.asarray(high - low + 2.0 / (1.0 - level) * outside)


def _column(level: float, levels: ArrayLike = LEVELS) -> int:
    served = np.asarray(levels)
    if not 0.0 < level <= served[-1]:
        message = f"the level of an interval is above 0 and at most {served[-1]}, such as 0.9; {level} is not"
        raise ConfigurationError(message)
    return int(np.searchsorted(served, level - _ROUNDING))


def _each_once(code: Codes) -> Floats:
    """Weights with which each code weighs 1 in all."""
    return np.asarray(1.0 / np.bincount(code)[code])


def _quantiles(scores: Floats, weights: Floats, n_units: float) -> Floats:
    """Smallest score that the weights reach ``level (n_units + 1)`` at, for each level; infinite if none does."""
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weights[order])
    place = np.searchsorted(reached, LEVELS * (n_units + 1) * (1 - _ROUNDING))
    return np.append(scores[order], np.inf)[place]


def _scaled(scores: Floats, code: Codes, cell: Codes, weights: Floats) -> tuple[Floats, Floats]:
    """Scale of each group, and scores in units of the scale that their group has without their unit."""
    total, n = np.bincount(code, weights * scores), np.bincount(code, weights)
    prior = SCALE_PRIOR * (float(np.mean(total / n)) or 1.0)  # all errors 0: any scale will do
    own = np.bincount(cell, weights * scores)[cell]
    without = (total[code] - own + prior) / (n[code] - 1 + SCALE_PRIOR)
    return (total + prior) / (n + SCALE_PRIOR), scores / without


def _shrunk(own: Floats, pooled: Floats, n: Codes) -> Floats:
    """Mixture of two tables ``(n_groups, n_levels)``, never narrower at a higher level."""
    known = np.isfinite(own)
    share = np.where(known, (n / (n + QUANTILE_PRIOR))[:, None], 0.0)
    mixed = share * np.where(known, own, 0.0) + (1.0 - share) * pooled
    return np.asarray(np.maximum.accumulate(mixed, axis=1))


def _rows(
    values: list[Floats], score: Floats, code: Codes, unit: Codes, confidence: float, index: pd.Index
) -> pd.DataFrame:
    y, low, high = values
    inside, bounded = ((low <= y) & (y <= high)).astype(np.float64), np.isfinite(high - low)
    cell, row = np.unique(code * (int(unit.max()) + 1) + unit, return_inverse=True)
    group = cell // (int(unit.max()) + 1)
    n, n_units = (np.bincount(c).astype(np.int64) for c in (code, group))
    share = np.bincount(code, inside) / n
    # squared sums over units of what departs from the share
    spread = np.asarray(np.bincount(group, np.square(np.bincount(row, inside - share[code]))), dtype=np.float64)
    ends = _wilson(share, _effective(share, spread, n, n_units, confidence), confidence)
    some = np.bincount(code, bounded)
    mean = [
        np.bincount(code, np.where(bounded, v, 0.0)) / np.where(some > 0, some, np.nan) for v in (high - low, score)
    ]
    names = ("n", "n_units", "covered", "covered_low", "covered_high", "width", "interval_score", "unbounded")
    columns = (n, n_units, share, *ends, *mean, n - np.rint(some).astype(np.int64))
    return pd.DataFrame(dict(zip(names, columns, strict=True)), index=index)


def _effective(share: Floats, spread: Floats, n: Codes, n_units: Codes, confidence: float) -> Floats:
    """Number of independent rows that tell as much; no spread is seen at 0 and 1, so there each unit is one row."""
    by_chance = n * share * (1 - share)
    design = np.where(by_chance > 0, spread / np.where(by_chance > 0, by_chance, 1.0), n / n_units)
    rows, units = (student.ppf((1 + confidence) / 2, np.maximum(k - 1, 1)) for k in (n, n_units))
    known = np.where(n_units == n, 1.0, np.where(n_units > 1, np.square(rows / units), 0.0))
    return np.asarray(n / np.maximum(design, 1.0) * known)


def _wilson(share: Floats, n: Floats, confidence: float) -> tuple[Floats, Floats]:
    z = float(norm.ppf((1 + confidence) / 2))
    centre = (share * n + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(share * (1 - share) * n + z * z / 4)
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def _finite(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(array)) if array.ndim == 1 else np.empty(0)
    if array.ndim != 1 or not len(array) or len(bad):
        found = f"{len(bad)} are not finite, the first in row {bad[0]}" if len(bad) else f"shape {array.shape}"
        message = f"{name}: give one or more finite numbers, one a held-out row; found {found}"
        raise InvalidValues(message)
    return array


def _text(ids: ArrayLike) -> NDArray[np.object_]:
    array = np.asarray(ids, dtype=object).ravel()
    return pd.Series(array, dtype=object).map(str).to_numpy(object)


def _coded(ids: ArrayLike, n: int, name: str) -> tuple[list[str], Codes]:
    """Sorted distinct ids as text, and the position of each row's id among them."""
    array = np.asarray(ids, dtype=object)
    missing = int(pd.isna(array).sum())
    if array.shape != (n,) or missing:
        found = f"{missing} are missing" if missing else f"shape {array.shape}"
        message = f"{name}: give one id for each of {n:,} rows; found {found}"
        raise InvalidValues(message)
    code, found_ids = pd.factorize(_text(array), sort=True)
    return [str(i) for i in found_ids], code.astype(np.int64)


def _check_bounds(y: Floats, low: Floats, high: Floats) -> None:
    if not y.shape == low.shape == high.shape:
        message = f"y, low and high have {y.shape}, {low.shape} and {high.shape} values; give the same number of each"
        raise InvalidValues(message)
    bad = np.flatnonzero(~(low <= high))  # also where one is NaN
    if len(bad):
        first = bad[0]
        message = f"{len(bad)} intervals have no inside, such as [{low[first]}, {high[first]}] in row {first}"
        raise InvalidValues(message)
