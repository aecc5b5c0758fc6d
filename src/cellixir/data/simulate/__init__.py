"""Simulated data with known truth, one file a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellixir.doors import doors

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

_HOMES = {
    "simulate_aging": "cellixir.data.simulate.aging",
    "simulate_bulk": "cellixir.data.simulate.bulk",
    "simulate_cohort": "cellixir.data.simulate.cohort",
    "simulate_perturbation": "cellixir.data.simulate.perturbation",
    "simulate_single_cell": "cellixir.data.simulate.single_cell",
}
__getattr__, __dir__ = doors(__name__, _HOMES)
