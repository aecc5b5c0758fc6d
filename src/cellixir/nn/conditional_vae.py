"""A variational autoencoder that draws samples of a condition (Sohn et al., NeurIPS 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from cellixir.nn.vae import LOG_VARIANCE, Posterior

if TYPE_CHECKING:
    from torch import Tensor


#: Standard deviations beyond which a value is read as this: the few counts of a rare gene would shout down all others.
SEEN = 5.0


@dataclass(frozen=True)
class ConditionalVAEShape:
    """Sizes of a network.

    Parameters
    ----------
    n_inputs, n_genes
        Width of what the encoder reads and of what the decoder writes.
    latent, hidden
        Width of the latent space and of the hidden layer of either side.
    n_given
        Width of the one-hot condition that both sides are given; 0 for none.
    """

    n_inputs: int
    n_genes: int
    latent: int = 16
    hidden: int = 128
    dropout: float = 0.1
    n_given: int = 0


class ConditionalVAE(nn.Module):
    """Encoder and decoder with a linear path beside the hidden layer, and an effect of the condition on each gene.

    The decoder's output is ``bias + condition effect + loadings @ z + hidden(z, condition)``: its linear parts are a
    low-rank Gaussian model of each condition, which training starts at and adds to.
    """

    def __init__(self, shape: ConditionalVAEShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = _hidden(shape.n_inputs + shape.n_given, shape.hidden, shape.dropout)
        self.posterior = nn.Linear(shape.hidden, 2 * shape.latent)
        self.encoder_line = nn.Linear(shape.n_inputs + shape.n_given, shape.latent)
        self.decoder = _hidden(shape.latent + shape.n_given, shape.hidden, 0.0)
        self.output = nn.Linear(shape.hidden, shape.n_genes)
        self.decoder_line = nn.Linear(shape.latent + shape.n_given, shape.n_genes, bias=False)
        self.log_scale = nn.Parameter(torch.zeros(shape.n_genes))  # log theta of counts, log sd of values

    def encode(self, x: Tensor, given: Tensor) -> Posterior:
        """Posterior of the latent space given ``x`` ``(n, n_inputs)`` and the condition ``(n, n_given)``."""
        seen = torch.cat([x.clamp(-SEEN, SEEN), given], dim=1)
        mean, log_variance = self.posterior(self.encoder(seen)).chunk(2, dim=1)
        return Posterior(mean + self.encoder_line(seen), log_variance.clamp(*LOG_VARIANCE))

    def decode(self, z: Tensor, given: Tensor) -> Tensor:
        """Output of each gene ``(n, n_genes)`` of latents ``(n, latent)`` in the condition ``(n, n_given)``."""
        seen = torch.cat([z, given], dim=1)
        found: Tensor = self.output(self.decoder(seen)) + self.decoder_line(seen)
        return found


def _hidden(n_inputs: int, width: int, dropout: float) -> nn.Sequential:
    parts = [nn.Linear(n_inputs, width), nn.BatchNorm1d(width, eps=1e-3, momentum=0.05), nn.ReLU()]
    return nn.Sequential(*parts, *([nn.Dropout(dropout)] if dropout else []))
