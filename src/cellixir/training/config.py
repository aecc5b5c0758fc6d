"""Settings of the training loop: plain values, nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from cellixir.exceptions import ConfigurationError

Optimiser = Literal["adam", "adamw"]
Schedule = Literal["constant", "cosine", "one_cycle"]
Precision = Literal["auto", "full", "bfloat16"]


def require_within(given: Mapping[str, Any], bounds: Mapping[str, tuple[float, float]]) -> None:
    """Refuse settings whose number is out of its bounds."""
    for name, (low, high) in bounds.items():
        if not low <= given[name] <= high:
            bounds_said = f"from {low:g} to {high:g}" if math.isfinite(high) else f"{low:g} or more"
            message = f"{name} must be {bounds_said}, not {given[name]}"
            raise ConfigurationError(message)


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of the training loop.

    Parameters
    ----------
    max_epochs, batch_size
        Passes over the rows, and rows a step.
    learning_rate
        Peak rate; ``schedule`` says how it is approached and left.
    weight_decay
        Decoupled for ``adamw``, an L2 penalty for ``adam``.
    patience
        Epochs without a better validation loss before training stops.
    clip_norm
        Largest gradient norm; 0 for no clipping.
    precision
        ``auto`` is bfloat16 autocast on a GPU and full precision on a CPU.
    """

    max_epochs: int = 25
    batch_size: int = 4096
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    optimiser: Optimiser = "adamw"
    schedule: Schedule = "one_cycle"
    warmup: float = 0.1
    patience: int = 5
    clip_norm: float = 0.0
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        bounds = {
            **dict.fromkeys(("max_epochs", "batch_size", "patience"), (1, math.inf)),
            "learning_rate": (1e-12, math.inf),
            **dict.fromkeys(("weight_decay", "clip_norm"), (0, math.inf)),
            "warmup": (0, 0.99),
        }
        require_within(vars(self), bounds)
        for name, choices in (("optimiser", Optimiser), ("schedule", Schedule), ("precision", Precision)):
            if getattr(self, name) not in get_args(choices):
                message = f"{name} must be one of {', '.join(get_args(choices))}, not '{getattr(self, name)}'"
                raise ConfigurationError(message)

    def rate(self, step: int, n_steps: int) -> float:
        """Learning rate of ``step`` (from 0) of ``n_steps``: a function of the step alone, so a resumed run agrees.

        ``one_cycle`` rises along half a cosine for the ``warmup`` share of the steps and falls along another
        (Smith and Topin, arXiv 1708.07120); ``cosine`` only falls (Loshchilov and Hutter, arXiv 1608.03983).

        >>> config = TrainingConfig(learning_rate=1.0, warmup=0.5)
        >>> [round(config.rate(step, 5), 3) for step in range(5)]
        [0.04, 0.52, 1.0, 0.5, 0.0]
        """
        if self.schedule == "constant":
            return self.learning_rate
        done = step / max(n_steps - 1, 1)
        warmup = self.warmup if self.schedule == "one_cycle" else 0.0
        if done < warmup:
            return self.learning_rate * (0.04 + 0.96 * (1 - math.cos(math.pi * done / warmup)) / 2)
        return self.learning_rate * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup))) / 2
