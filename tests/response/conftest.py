"""A small drug screen whose truth is known."""

from __future__ import annotations

from collections.abc import Callable

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cellixir.data.response_data import ResponseData

BIOMARKER = -2.0  # what a mutation of GENE0 adds to the response to each drug against T0
TARGET_EFFECT = np.array([-2.0, 1.0, -0.5, 1.5])  # response to a drug against T0, T1, T2, T3
_TISSUES = ("lung", "skin", "blood", "bone", "breast", "colon")
_RINGS = ("c1ccccc1", "c1ccncc1", "C1CCNCC1", "c1ccsc1")


def simulate(
    *,
    n_samples: int = 60,
    n_drugs: int = 12,
    n_genes: int = 12,
    n_tissues: int = 3,
    noise: float = 0.3,
    hidden: float = 0.0,
    missing: float = 0.1,
    seed: int = 0,
) -> ResponseData:
    """Responses = target + biomarker x target T0 + tissue + sample + noise.

    Parameters
    ----------
    hidden
        Size of a sample x drug interaction that no feature shows.
    missing
        Share of the pairs that were not measured.
    """
    rng = np.random.default_rng(seed)
    sample_ids = [f"s{i:03d}" for i in range(n_samples)]
    drug_ids = [f"d{j:02d}" for j in range(n_drugs)]
    target, tissue = np.arange(n_drugs) % 4, np.arange(n_samples) % n_tissues
    mutations = (rng.random((n_samples, n_genes)) < 0.4).astype(np.float32)
    y = TARGET_EFFECT[target][None, :] + np.linspace(0.5, -0.5, n_tissues)[tissue][:, None]
    y = y + BIOMARKER * np.outer(mutations[:, 0], target == 0)
    y = y + 0.3 * rng.standard_normal(n_samples)[:, None]
    y = y + hidden * np.outer(rng.standard_normal(n_samples), rng.choice([-1.0, 1.0], n_drugs))
    y = y + noise * rng.standard_normal(y.shape)
    kept = rng.random(y.shape) >= missing
    i, j = np.nonzero(kept)
    responses = pd.DataFrame(
        {"sample": np.array(sample_ids)[i], "drug": np.array(drug_ids)[j], "response": y[kept].astype(np.float64)}
    )
    samples = pd.DataFrame({"tissue": np.array(_TISSUES)[tissue]}, index=sample_ids)
    samples["medium"] = np.array(["R", "D"])[rng.integers(2, size=n_samples)]
    drugs = pd.DataFrame(
        {
            "name": [f"drug {j}" for j in range(n_drugs)],
            "smiles": [_RINGS[t] + "C" * (1 + j // 4) for j, t in enumerate(target)],
            "targets": [f"T{t}, common" for t in target],
            "pathway": [f"P{t // 2}" for t in target],
        },
        index=drug_ids,
    )
    view = ad.AnnData(
        mutations, pd.DataFrame(index=sample_ids), pd.DataFrame(index=[f"GENE{g}" for g in range(n_genes)])
    )
    return ResponseData.join(
        responses, views={"mutations": view}, samples=samples, drugs=drugs, measure="LN_IC50", unit="ln µM"
    )


@pytest.fixture(scope="session")
def make_screen() -> Callable[..., ResponseData]:
    """``simulate``, for a screen of another size."""
    return simulate


@pytest.fixture(scope="session")
def screen() -> ResponseData:
    """Sixty samples, twelve drugs."""
    return simulate()


@pytest.fixture(scope="session")
def biomarker() -> float:
    """What a mutation of GENE0 adds to the response to each drug against T0."""
    return BIOMARKER
