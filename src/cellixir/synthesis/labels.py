"""Labels of samples that a generator draws without being told any, and samples that have certain ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellixir.exceptions import ConfigurationError
from cellixir.training import softmax_regression

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellixir.synthesis.conditions import Conditions

#: Inverse penalties that are tried: where combinations lie apart, a strong one would still mix a few of their labels.
STRENGTHS = (1.0, 100.0, 10_000.0)
#: Draws for each sample that is asked for, before giving up.
MOST_DRAWS = 200


@dataclass(frozen=True, eq=False)
class Labels:
    """Logistic regression of combinations on latents: weight ``(d, n_codes)`` and bias ``(n_codes,)``."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    @classmethod
    def learn(cls, points: NDArray[np.float64], codes: NDArray[np.int64]) -> Labels:
        """Fit to ``points`` ``(n, d)`` of these combinations."""
        if not codes.any():
            return cls(np.zeros((points.shape[1], 1)), np.zeros(1))
        return cls(*softmax_regression(points, codes, STRENGTHS))

    def draw(self, points: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
        """One combination for each point, drawn by its probability."""
        noise = rng.gumbel(size=(len(points), len(self.bias)))
        return np.asarray((points @ self.weight + self.bias + noise).argmax(axis=1), dtype=np.int64)


def draw_until(
    n: int,
    draw: Callable[[int], tuple[NDArray[Any], NDArray[np.int64]]],
    wanted: NDArray[np.int64],
    conditions: Conditions,
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """First ``n`` rows of ``draw(size)`` whose code is among ``wanted``, and their codes.

    Raises
    ------
    ConfigurationError
        If one draw in 200 or fewer has one of these codes.
    """
    kept: list[tuple[NDArray[Any], NDArray[np.int64]]] = []
    found, drawn = 0, 0
    while found < n:
        size = min(max(2 * (n - found), 64), 2048)
        rows, codes = draw(size)
        fits = np.isin(codes, wanted)
        kept.append((rows[fits], codes[fits]))
        found, drawn = found + int(fits.sum()), drawn + size
        if drawn > MOST_DRAWS * max(found, 1) + 1000:
            raise _hardly_ever(found, drawn, wanted, conditions)
    rows = np.concatenate([part for part, _ in kept])[:n]
    return rows, np.concatenate([codes for _, codes in kept])[:n]


def _hardly_ever(found: int, drawn: int, wanted: NDArray[np.int64], conditions: Conditions) -> ConfigurationError:
    pairs = [
        ", ".join(f"{c}={v}" for c, v in row.items()) for row in conditions.combinations.iloc[wanted].to_dict("records")
    ]
    message = (
        f"this generator draws its labels itself, and {found:,} of {drawn:,} samples came out as "
        f"{' or '.join(pairs[:4])}; use one that is told the conditions (cvae, wgan-gp), or train longer"
    )
    return ConfigurationError(message)
