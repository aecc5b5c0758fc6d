"""Samples with planted structure that the tests of this room share."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

N, GENES, FACTORS = 400, 40, 3


def labels(n: int) -> pd.DataFrame:
    """Two batches, crossed with two groups of unlike size."""
    group = np.where(np.arange(n) % 4 == 0, "old", "young")
    batch = np.where(np.arange(n) % 3 == 0, "b1", "b2")
    return pd.DataFrame({"group": group, "batch": batch}, index=[f"s{i}" for i in range(n)])


@pytest.fixture(scope="session")
def gaussian_data() -> ad.AnnData:
    """Values from a Gaussian: means by group, three factors, spread by gene; the truth in ``uns``."""
    rng = np.random.default_rng(7)
    obs = labels(N)
    mean, sd = rng.normal(0, 2, GENES), rng.uniform(0.5, 2, GENES)
    shift = np.where(np.arange(GENES) < 10, 2.0, 0.0) * sd
    loadings = rng.normal(0, 1, (GENES, FACTORS))
    loadings *= np.sqrt(0.6 / (loadings**2).sum(axis=1, keepdims=True))
    z = rng.standard_normal((N, FACTORS)) @ loadings.T + rng.standard_normal((N, GENES)) * np.sqrt(0.4)
    old = (obs["group"] == "old").to_numpy()
    values = mean + sd * z + np.outer(old, shift)
    correlation = loadings @ loadings.T + 0.4 * np.eye(GENES)
    truth = {"mean": mean, "sd": sd, "shift": shift, "correlation": correlation}
    found = ad.AnnData(values.astype(np.float32), obs=obs, uns={"scale": "zscore", "truth": truth})
    found.var_names = [f"g{i}" for i in range(GENES)]
    return found


@pytest.fixture(scope="session")
def count_data() -> ad.AnnData:
    """Sparse counts: unequal libraries, half of the genes rare, two constant, ten four times higher in ``old``."""
    rng = np.random.default_rng(8)
    obs = labels(N)
    level = np.where(np.arange(GENES) < 20, 20.0, 0.4) * rng.uniform(0.7, 1.5, GENES)
    factor = np.exp(0.5 * rng.standard_normal((N, 1)) * np.where(np.arange(GENES) % 2, 1, -1))
    fold = np.where(np.outer(obs["group"] == "old", np.arange(GENES) < 10), 4.0, 1.0)
    counts = rng.poisson(rng.lognormal(0, 0.5, (N, 1)) * level * factor * fold)
    counts[:, 15], counts[:, 25] = 3, 0
    found = ad.AnnData(sp.csr_matrix(counts, dtype=np.float32), obs=obs, uns={"scale": "counts"})
    found.var_names = [f"g{i}" for i in range(GENES)]
    return found
