"""Contract of every model of the response job, and what is known when it predicts."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cellixir.estimator import Estimator, OnEpoch
from cellixir.exceptions import ConfigurationError
from cellixir.metrics import r2

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


class ResponseModel(Estimator):
    """Learns from the rows that are not test rows, predicts pairs; never sees a test response."""

    limits = "Cell lines are not patients; the training data keep their own terms."

    def fit(
        self,
        X: ResponseData,
        y: Any = None,
        *,
        validation: NDArray[Any] | None = None,
        checkpoint: Path | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> Self:
        """Learn from all rows of ``X``; only networks stop on ``validation``, and have epochs.

        Parameters
        ----------
        X
            Measured pairs.
        y, validation, checkpoint, on_epoch
            Not used here.
        """
        self._learn(X)  # rows to stop on are learned from as well: nothing here stops early
        self.n_pairs_, self.measure_, self.unit_, self.fingerprint_ = len(X), X.measure, X.unit, X.fingerprint
        return self

    def _learn(self, data: ResponseData) -> None:
        """Set what stands in attributes that end in ``_``."""

    @abstractmethod
    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Response of each row of ``data``, shape ``(n_pairs,)``; ``data.response`` is not read."""

    def score(self, X: ResponseData, y: Any = None) -> float:
        """Share of the variance of the responses of ``X`` that is predicted (R2)."""
        return r2(X.response, self.predict(X))

    def describe(self) -> list[str]:
        """Sentences for the card."""
        return [
            f"predicts {self.measure_}{f' ({self.unit_})' if self.unit_ else ''}",
            f"learned from {self.n_pairs_:,} measurements; data fingerprint: `{self.fingerprint_}`",
        ]
