"""What one embedding found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from pathlib import Path

    import anndata as ad
    from numpy.typing import NDArray

    from cellixir.embedding.cell_types import Calls
    from cellixir.embedding.vae import VAE


@dataclass
class EmbeddingResult:
    """What one embedding found, as the page and the terminal show it.

    Attributes
    ----------
    folder
        Where everything was written.
    model
        The fitted model; with a label key it has a head.
    cells
        The cells that are judged and mapped: all, or a sample. ``obsm`` holds X_vae, X_pca and the maps.
    all_cells
        Every cell, as ``cells.h5ad`` holds them.
    clusters
        Leiden clusters of the judged cells, where there are maps.
    latents
        Of every cell: X_vae and X_pca, shape ``(n_cells, d)``.
    scores
        One row a metric: ``metric``, and ``vae``, ``pca``, ``difference`` each with ``_low`` and ``_high``.
    calls
        Types called in cross-validation, and the scores of each classifier.
    metrics
        What ``metrics.json`` holds.
    """

    folder: Path
    model: VAE
    cells: ad.AnnData
    all_cells: ad.AnnData
    clusters: pd.Categorical | None = None
    latents: dict[str, NDArray[Any]] = field(default_factory=dict)
    scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    calls: Calls | None = None
    enrichment: pd.DataFrame = field(default_factory=pd.DataFrame)
    coverage: pd.DataFrame = field(default_factory=pd.DataFrame)
    metrics: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    headline: str = ""
