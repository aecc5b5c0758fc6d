"""Cells with planted types, and a small VAE of them, that the tests of this room share."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

from cellixir.data.simulate import simulate_single_cell
from cellixir.embedding.vae import VAE


@pytest.fixture(scope="session")
def cells() -> ad.AnnData:
    """800 cells x 200 genes, sparse counts: strong types, weak batches of three patients each."""
    found = simulate_single_cell(
        800, 200, n_types=4, n_groups=1, library_size=(140, 0.4), type_strength=1.5, n_modules=2, dropout=0
    )
    found.obs["patient"] = [f"{batch} patient{i % 3}" for i, batch in enumerate(found.obs["batch"])]
    return found


@pytest.fixture
def dense_cells(cells: ad.AnnData) -> ad.AnnData:
    """The same written out; a test may change them."""
    found = cells.copy()
    found.X = found.X.toarray()
    return found


@pytest.fixture
def log_cells(dense_cells: ad.AnnData) -> ad.AnnData:
    """log(1 + counts per 10,000)."""
    found = dense_cells.copy()
    found.X = np.log1p(found.X / found.X.sum(axis=1, keepdims=True) * 1e4)
    found.uns["scale"] = "log1p_cpm"
    return found


@pytest.fixture(scope="session")
def model(cells: ad.AnnData) -> VAE:
    return VAE(latent=4, hidden=16, max_epochs=3, device="cpu").fit(cells)
