"""Simulated data with known truth, one file a kind."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cellixir.data.simulate.aging import simulate_aging
    from cellixir.data.simulate.bulk import simulate_bulk
    from cellixir.data.simulate.cohort import simulate_cohort
    from cellixir.data.simulate.perturbation import simulate_perturbation
    from cellixir.data.simulate.single_cell import simulate_single_cell

__all__ = [
    "simulate_aging",
    "simulate_bulk",
    "simulate_cohort",
    "simulate_perturbation",
    "simulate_single_cell",
]

# Imported on first use: nobody who simulates samples needs what draws molecules.
_HOMES = {
    "simulate_aging": "aging",
    "simulate_bulk": "bulk",
    "simulate_cohort": "cohort",
    "simulate_perturbation": "perturbation",
    "simulate_single_cell": "single_cell",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module 'cellixir.data.simulate' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
