"""Simulated screens that several files share."""

from __future__ import annotations

import anndata as ad
import pytest

from cellixir.data.simulate import simulate_perturbation
from cellixir.perturbation import Keys, effects_of

KEYS = Keys("perturbation", ("DMSO",), plate="plate", dose="dose")


@pytest.fixture(scope="session")
def wells() -> ad.AnnData:
    """8 drugs and 20 pairs, 100 genes."""
    return simulate_perturbation(n_genes=100, n_drugs=8, n_pairs=20, n_plates=2, n_controls=8, seed=1)


@pytest.fixture(scope="session")
def effects(wells: ad.AnnData) -> ad.AnnData:
    return effects_of(wells, KEYS)
