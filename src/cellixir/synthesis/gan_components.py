"""Leading principal components of a training table, and how much of each column they leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from cellixir.synthesis.axes import above_noise, principal_axes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: Components at most, and at least, where the data say how many stand above noise.
MOST, LEAST = 64, 4


@dataclass(frozen=True, eq=False)
class Components:
    """A table as a few whitened scores a row, and Gaussian noise of each column.

    Attributes
    ----------
    mean
        Of each column, shape ``(width,)``.
    axes
        Orthonormal rows, leading component first, shape ``(k, width)``.
    sd
        Standard deviation along each axis, shape ``(k,)``.
    residual
        Standard deviation of what the axes leave of each column, shape ``(width,)``.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    sd: NDArray[np.float32]
    residual: NDArray[np.float32]

    @classmethod
    def learn(cls, table: NDArray[np.float32], k: int | None = None) -> Self:
        """Components of ``table`` (n, width): ``k`` of them, or as many as stand above noise (`above_noise`)."""
        mean = table.mean(axis=0, dtype=np.float64)
        centred = np.asarray(table - mean, dtype=np.float32)
        variance, axes = principal_axes(centred)
        k = min(k or int(np.clip(above_noise(variance, *table.shape), LEAST, MOST)), len(variance))
        left = np.maximum(np.square(centred).mean(axis=0) - variance[:k] @ np.square(axes[:k]), 0)
        found = (mean, axes[:k], np.sqrt(variance[:k]), np.sqrt(left))
        return cls(*(np.asarray(array, dtype=np.float32) for array in found))

    def scores(self, table: NDArray[np.float32]) -> NDArray[np.float32]:
        """Coordinates of each row along the axes, in training's standard deviations, shape ``(n, k)``."""
        return np.asarray((table - self.mean) @ self.axes.T / self.sd, dtype=np.float32)

    def table(self, scores: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Rows with these coordinates and noise of their own in every column, shape ``(n, width)``."""
        noise = rng.standard_normal((len(scores), len(self.mean)), dtype=np.float32) * self.residual
        return np.asarray(self.mean + (scores * self.sd) @ self.axes + noise, dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """All that is learned, by name."""
        return {name: getattr(self, name) for name in ("mean", "axes", "sd", "residual")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Self:
        """Rebuild what `arrays` gave."""
        return cls(*(arrays[name] for name in ("mean", "axes", "sd", "residual")))
