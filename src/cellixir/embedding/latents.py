"""Latents of a VAE: their names and, where they are pathways, the genes that each may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from cellixir.data.gene_sets import pathway_mask
from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor


def plain_latents(n: int, genes: Sequence[str]) -> list[str]:
    """Name of each of ``n`` latents.

    Raises
    ------
    ConfigurationError
        If there are more latents than genes.
    """
    if n > len(genes):
        message = f"latent={n} is more than the {len(genes)} genes of the data; take a smaller one"
        raise ConfigurationError(message)
    return [f"z{i + 1}" for i in range(n)]


def pathway_latents(
    gene_sets: Mapping[str, Sequence[str]], genes: Sequence[str], *, n_free: int, min_genes: int
) -> tuple[list[str], Tensor]:
    """Name of each latent, and the genes that it may use, shape ``(n_genes, n_latents)``: pathways, then free ones.

    Raises
    ------
    GeneMismatch
        If no gene set has enough genes in the data.
    """
    found, pathways, _ = pathway_mask(gene_sets, genes, min_genes=min_genes)
    free = np.ones((len(genes), n_free), dtype=np.float32)
    mask = torch.from_numpy(np.concatenate([found.astype(np.float32), free], axis=1))
    return [*pathways, *(f"free {i + 1}" for i in range(n_free))], mask
