"""The network that parameters and cells ask for: its latents, the genes that each of them may use, its sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from cellixir.data.gene_sets import pathway_mask
from cellixir.embedding.task import COUNTS
from cellixir.exceptions import ConfigurationError
from cellixir.nn.vae import VAEShape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from cellixir.embedding.preparation import Prepared
    from cellixir.embedding.vae import VAE


def latents_of(model: VAE, genes: Sequence[str]) -> tuple[list[str], Tensor | None]:
    """Name of each latent; and where they are pathways, the genes of each, shape ``(n_genes, n_latents)``.

    Raises
    ------
    ConfigurationError
        If there are more latents than genes.
    GeneMismatch
        If no gene set has enough genes in the data.
    """
    if model.gene_sets is None:
        if model.latent > len(genes):
            message = f"latent={model.latent} is more than the {len(genes)} genes of the data; take a smaller one"
            raise ConfigurationError(message)
        return [f"z{i + 1}" for i in range(model.latent)], None
    found, pathways, _ = pathway_mask(model.gene_sets, genes, min_genes=model.min_genes)
    free = np.ones((len(genes), model.n_free), dtype=np.float32)
    mask = torch.from_numpy(np.concatenate([found.astype(np.float32), free], axis=1))
    return [*pathways, *(f"free {i + 1}" for i in range(model.n_free))], mask


def shape_of(model: VAE, data: Prepared, n_latents: int, *, masked: bool) -> VAEShape:
    """Sizes of the network of these cells."""
    return VAEShape(
        data.matrix.shape[1],
        latent=n_latents,
        hidden=model.hidden,
        n_layers=model.n_layers,
        dropout=model.dropout,
        activation=model.activation,  # type: ignore[arg-type]
        n_batches=max(len(data.batches), 1),
        n_classes=len(data.classes),
        zero_inflated=data.likelihood == "zinb",
        learned_library=model.library == "learned" and data.likelihood in COUNTS,
        masked=masked,
    )
