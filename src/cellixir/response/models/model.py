"""What every model of the response job can do, and what is known when it predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData


@dataclass(frozen=True)
class Known:
    """Which ids a pair that is to be predicted shares with the training pairs."""

    samples: bool
    drugs: bool
    tissues: bool

    @classmethod
    def under(cls, split: str) -> Known:
        """What is known under a split.

        >>> Known.under("LCO")
        Known(samples=False, drugs=True, tissues=True)
        """
        known = {
            "LPO": cls(samples=True, drugs=True, tissues=True),
            "LCO": cls(samples=False, drugs=True, tissues=True),
            "LDO": cls(samples=True, drugs=False, tissues=True),
            "LTO": cls(samples=False, drugs=True, tissues=False),
        }
        if split not in known:
            message = f"there is no split '{split}'; choose one of {', '.join(known)}"
            raise ConfigurationError(message)
        return known[split]


class ResponseModel(Protocol):
    """Learns from the rows that are not test rows, predicts pairs; never sees a test response."""

    def fit(self, data: ResponseData, validation: NDArray[np.int64] | None = None) -> Self:
        """Learn from ``data``; a model that stops early does so on its rows ``validation``."""
        ...

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Response of each row of ``data``, shape ``(n_pairs,)``; ``data.response`` is not read."""
        ...
