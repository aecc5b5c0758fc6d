"""Values of genes that are often at their lowest, such as zeros of log counts, from those that a Gaussian draws.

A network or a Gaussian draws a bell where real log values have a spike and a tail. Its draws are therefore mapped, gene
by gene, to the quantiles of the real ones: a map that keeps the order of samples, and with it how genes go together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Share of its lowest value from which a gene is mapped.
SPIKE = 0.05
#: Quantiles that are kept of a gene, at most, and samples behind each, at least.
MOST, BEHIND = 200, 4


@dataclass(frozen=True, eq=False)
class Calibration:
    """Quantiles of drawn and of real values.

    Attributes
    ----------
    columns
        Genes that are mapped, by their number among those that vary, shape ``(k,)``.
    drawn, real
        Quantiles, shape ``(n_quantiles, k)``; those drawn strictly rise.
    least
        Lowest value of each gene that is above the spike: nothing is between the two, shape ``(k,)``.
    """

    columns: NDArray[np.int64]
    drawn: NDArray[np.float32]
    real: NDArray[np.float32]
    least: NDArray[np.float32]

    @classmethod
    def learn(cls, real: Floats, draw: Callable[[], Floats]) -> Self | None:
        """Map of drawn values to ``real`` ones, shapes ``(m, n_genes)`` and ``(n, n_genes)``.

        None, and ``draw`` is not called, where no gene has a spike or there are too few samples.
        """
        low = real.min(axis=0)
        columns = np.flatnonzero((real == low).mean(axis=0) >= SPIKE)
        n = min(MOST, len(real) // BEHIND)
        if not len(columns) or n < 2:
            return None
        levels = (np.arange(n) + 0.5) / n
        found = [np.quantile(table[:, columns], levels, axis=0) for table in (draw(), real)]
        rising = found[0] + 1e-6 * np.arange(n)[:, None] * (np.ptp(found[0], axis=0) + 1e-6)
        above = np.where(real > low, real, np.inf).min(axis=0)[columns]
        return cls(columns, *(np.asarray(array, dtype=np.float32) for array in (rising, found[1], above)))

    def apply(self, values: Floats) -> Floats:
        """Values with these genes mapped, in place; shape ``(n, n_genes)``."""
        for i, column in enumerate(self.columns):
            mapped = np.interp(values[:, column], self.drawn[:, i], self.real[:, i])
            spike = self.real[0, i]
            between = (mapped > spike) & (mapped < self.least[i])
            mapped[between] = np.where(mapped[between] - spike < self.least[i] - mapped[between], spike, self.least[i])
            values[:, column] = mapped
        return values

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays."""
        return {name: getattr(self, name) for name in ("columns", "drawn", "real", "least")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild what `arrays` said."""
        return cls(*(arrays[name] for name in ("columns", "drawn", "real", "least")))
