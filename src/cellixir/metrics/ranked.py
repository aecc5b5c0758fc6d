"""Rows sorted once, so that areas under curves are sums for any weights of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


class Ranked:
    """Rows sorted by stratum and falling score, so that areas under curves are sums for any weights.

    Parameters
    ----------
    y, score
        Labels and scores, shape ``(n,)``.
    strata
        Rows of different strata are not compared; None: one stratum.
    unit
        Whose weight a row has, a code from 0; None: all rows that of unit 0.
    """

    def __init__(
        self, y: Floats, score: Floats, strata: ArrayLike | None = None, unit: NDArray[np.integer[Any]] | None = None
    ) -> None:
        stratum = np.zeros(len(y), dtype=np.int64)
        if strata is not None:
            stratum = np.unique(np.asarray(strata), return_inverse=True)[1]
        order = np.lexsort((-score, stratum)) if strata is not None else np.argsort(-score, kind="stable")
        self.unit = np.zeros(len(y), dtype=np.int64) if unit is None else unit[order]
        self.ones = np.flatnonzero(y[order] == 1)
        new = np.diff(stratum[order], prepend=-1) != 0
        self.bounds = np.append(np.flatnonzero(new), len(y))
        run = new | np.append(True, np.diff(score[order]) != 0)[: len(y)]  # where a run of equal scores begins
        starts = np.append(np.flatnonzero(run), len(y))
        which = (np.cumsum(run) - 1)[self.ones]
        # of each 1: rows before its stratum, before its run, to the end of its run; then the same in 1s
        rows = (self.bounds[(np.cumsum(new) - 1)[self.ones]], starts[which], starts[which + 1])
        self.rows = rows
        self.among_ones = tuple(np.searchsorted(self.ones, at) for at in (*rows, self.bounds))
        self.tied = bool((rows[2] - rows[1] > 1).any())

    def sums(self, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Weights of concordant pairs, of 1s and of 0s, and the sum of precisions over 1s, each ``(n_strata,)``.

        ``weights`` are those of the units.
        """
        w = weights[self.unit]
        own = w[self.ones]
        seen, found = _running(w), _running(own)
        before, start, end = self.rows
        first, first_of_run, last, bounds = self.among_ones
        total, hits = seen[end], found[last]  # of all rows, and of 1s, with this score or a higher one
        if len(self.bounds) > 2:
            total, hits = total - seen[before], hits - found[first]
        above = total - hits
        if self.tied:
            above = (above + (seen[start] - seen[before]) - (found[first_of_run] - found[first])) / 2
        ones = np.diff(found[bounds])
        zeros = np.diff(seen[self.bounds]) - ones
        precisions = own * hits / np.maximum(total, 1e-300)
        discordant, precise = (_sums_between(v, bounds) for v in (own * above, precisions))
        return ones * zeros - discordant, ones, zeros, precise

    def areas(self, weights: Floats) -> tuple[float, float]:
        """AUROC and average precision under ``weights`` of the units; strata count by their pairs and 1s."""
        concordant, ones, zeros, precise = self.sums(weights)
        both = ones * zeros > 0
        if not both.any():
            return float("nan"), float("nan")
        return float(concordant.sum() / (ones * zeros).sum()), float(precise[both].sum() / ones[both].sum())

    def mean_area(self, weights: Floats) -> float:
        """Mean AUROC under ``weights`` of the units over the strata that hold both classes; NaN if none does."""
        concordant, ones, zeros, _ = self.sums(weights)
        both = ones * zeros > 0
        return float(np.mean(concordant[both] / (ones * zeros)[both])) if both.any() else float("nan")


def _running(values: Floats) -> Floats:
    """Sum of the values before each place, shape ``(n + 1,)``; exact for the whole weights of a bootstrap."""
    running = np.empty(len(values) + 1)
    running[0] = 0.0
    np.cumsum(values, out=running[1:])
    return running


def _sums_between(values: Floats, bounds: NDArray[np.int64]) -> Floats:
    sums, filled = np.zeros(len(bounds) - 1), np.diff(bounds) > 0
    if filled.any():
        sums[filled] = np.add.reduceat(values, bounds[:-1][filled])
    return sums
