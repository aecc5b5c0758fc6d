"""Intervals of predicted changes, from errors on conditions that a model of the same kind had not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from cellixir.metrics.conformal import Conformal
from cellixir.perturbation.scores import SAME, correlation, standard_rows

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
    pearson_delta, pearson_mean
        Mean Pearson correlation of predicted and measured changes of a condition, and that of the mean effect in
        training, which says one thing for all.
    alike
        Mean correlation of what is predicted for two conditions; near 1 the model says one thing for all.
    n_conditions, n_units
        Held-out conditions, and what was left out of them together.
    """

    split: str
    conformal: Conformal
    error: float
    pearson_delta: float
    pearson_mean: float
    alike: float
    n_conditions: int
    n_units: int

    @classmethod
    def of(
        cls, split: str, genes: Sequence[str], measured: Floats, told: Floats, mean: Floats, spread: Floats,
        units: NDArray[np.int64], seed: int = 0,
    ) -> Self:  # fmt: skip
        """Of what was measured and told of held-out conditions, and of units left out.

        Parameters
        ----------
        measured, told, mean, spread
            Shapes ``(n, n_genes)``; ``mean`` is the mean effect of what was trained on.
        units
            Shape ``(n,)``.
        """
        error = float(np.sqrt(np.square(measured - told).mean())) or 1.0
        most = max(50, MOST // len(genes))
        rng = np.random.default_rng(seed)
        kept = np.arange(len(told)) if len(told) <= most else np.sort(rng.choice(len(told), most, replace=False))
        scores = (measured - told)[kept] / _widening(spread[kept], error)
        names = np.tile(np.array(genes, dtype=object), len(kept))
        conformal = Conformal.fit(scores.ravel(), names, units=np.repeat(units[kept], len(genes)))
        agreement, plain = (float(correlation(measured, said).mean()) for said in (told, mean))
        rows = standard_rows(told)
        total = rows.sum(axis=0)
        alike = float((total @ total - (rows * rows).sum()) / max(len(rows) * (len(rows) - 1), 1))
        return cls(split, conformal, error, agreement, plain, alike, len(told), len(np.unique(units)))

    def said(self) -> str:
        """How well held-out conditions were predicted, beside the mean effect."""
        text = (
            f"on {self.n_conditions:,} held-out conditions ({self.n_units:,} units of the split {self.split}) "
            f"predicted and measured changes correlate by {self.pearson_delta:.3f} (Pearson); the mean effect of "
            f"training alone by {self.pearson_mean:.3f}"
        )
        one = "; the model says nearly one thing for all conditions" if self.alike > SAME else ""
        return text + one

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
