"""Intervals of predicted changes, from errors on conditions that a model of the same kind had not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from cellixir.metrics.conformal import Conformal
from cellixir.perturbation.scores import correlation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Errors that are kept, at most; of more, conditions are drawn.
MOST = 1_000_000


@dataclass(frozen=True, eq=False)
class Calibration:
    """Errors on held-out conditions.

    Attributes
    ----------
    split
        What was new in these conditions.
    conformal
        Half widths by gene (`Conformal`), where the members of a committee agree.
    error
        Root mean square error.
    pearson_delta
        Mean Pearson correlation of predicted and measured changes of a condition.
    n_conditions, n_units
        Held-out conditions, and what was left out of them together.
    """

    split: str
    conformal: Conformal
    error: float
    pearson_delta: float
    n_conditions: int
    n_units: int

    @classmethod
    def of(
        cls, split: str, genes: Sequence[str], measured: Floats, told: Floats, spread: Floats,
        units: NDArray[np.int64], seed: int = 0,
    ) -> Self:  # fmt: skip
        """Of what was measured and told of held-out conditions, shapes ``(n, n_genes)``, and their units ``(n,)``."""
        error = float(np.sqrt(np.square(measured - told).mean())) or 1.0
        most = max(50, MOST // len(genes))
        rng = np.random.default_rng(seed)
        kept = np.arange(len(told)) if len(told) <= most else np.sort(rng.choice(len(told), most, replace=False))
        scores = (measured - told)[kept] / _widening(spread[kept], error)
        names = np.tile(np.array(genes, dtype=object), len(kept))
        conformal = Conformal.fit(scores.ravel(), names, units=np.repeat(units[kept], len(genes)))
        agreement = float(correlation(measured, told).mean())
        return cls(split, conformal, error, agreement, len(told), len(np.unique(units)))

    def half_width(self, genes: Sequence[str], spread: Floats, level: float) -> Floats:
        """Half width of each interval, shape ``(n, n_genes)``; infinite where too little was held out.

        Raises
        ------
        ConfigurationError
            If the level is not above 0 and at most .999.
        """
        return np.asarray(self.conformal.half_width(genes, level)[None, :] * _widening(spread, self.error))


def _widening(spread: Floats, error: float) -> Floats:
    """How much wider an interval is where the members of a committee disagree, 1 where they do not."""
    return np.asarray(np.sqrt(1 + np.square(spread / error)))
