"""The variational autoencoder of cells (Kingma and Welling, arXiv 1312.6114; for counts: Lopez et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import torch
from torch import nn

from cellixir.nn.dropout import Dropout
from cellixir.nn.sparse import InputLayer, SparseRows

if TYPE_CHECKING:
    from torch import Tensor

Activation = Literal["relu", "gelu", "elu", "silu", "tanh", "leaky_relu"]
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = dict(
    zip(
        get_args(Activation),
        (nn.ReLU, nn.GELU, nn.ELU, nn.SiLU, nn.Tanh, partial(nn.LeakyReLU, 0.2)),
        strict=True,
    )
)
#: Log variances outside are steps that went wrong, not beliefs.
LOG_VARIANCE = (-12.0, 8.0)


@dataclass(frozen=True)
class VAEShape:
    """Sizes of a network.

    Parameters
    ----------
    n_genes, latent
        Width of the data and of the latent space.
    hidden, n_layers
        Width and number of the hidden layers, the same in encoder and decoder.
    n_batches
        Batches that the decoder tells apart; 1 for none.
    n_classes
        Classes of the head; 0 for no head.
    zero_inflated
        Whether a second output says where counts were lost.
    learned_library
        Whether an encoder of its own says how large a cell's library is.
    """

    n_genes: int
    latent: int = 10
    hidden: int = 128
    n_layers: int = 1
    dropout: float = 0.1
    activation: Activation = "relu"
    n_batches: int = 1
    n_classes: int = 0
    zero_inflated: bool = False
    learned_library: bool = False
    masked: bool = False


class Posterior(NamedTuple):
    """Mean and log variance of the latent space, each ``(n, latent)``."""

    mean: Tensor
    log_variance: Tensor

    def draw(self) -> Tensor:
        """One draw a cell, from torch's generator (the reparametrisation trick)."""
        return self.mean + torch.randn_like(self.mean) * (0.5 * self.log_variance).exp()


class VAENetwork(nn.Module):
    """Encoder, decoder, dispersion of each gene, and where asked for a library encoder and a head of classes.

    Beside the hidden layers, encoder and decoder have a linear path of their own, which shares a product with them: the
    last ``latent`` outputs of ``input`` and the last ``latent`` inputs of ``output``. A masked decoder has none.

    Parameters
    ----------
    shape
        Sizes.
    mask
        For a masked decoder: which gene may follow which latent, shape ``(n_genes, latent)``, of zeros and ones.
    """

    mask: Tensor

    def __init__(self, shape: VAEShape, mask: Tensor | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.input = InputLayer(shape.n_genes, shape.hidden + shape.latent)
        self.encoder = _layers(shape, shape.dropout)
        self.posterior = nn.Linear(shape.hidden, 2 * shape.latent)
        if shape.learned_library:
            self.library_input = InputLayer(shape.n_genes, shape.hidden)
            self.library = nn.Sequential(_layers(shape, shape.dropout), nn.Linear(shape.hidden, 2))
        if shape.masked:
            given = torch.ones(shape.n_genes, shape.latent) if mask is None else mask
            self.register_buffer("mask", given)
            self.weight = nn.Parameter(0.1 * torch.randn(shape.n_genes, shape.latent) * given)
            self.batch_effect = nn.Parameter(torch.zeros(shape.n_batches, shape.n_genes))
            self.bias = nn.Parameter(torch.zeros(shape.n_genes))
        else:
            width = shape.latent + (shape.n_batches if shape.n_batches > 1 else 0)
            self.decoder = nn.Sequential(nn.Linear(width, shape.hidden), _layers(shape, 0.0))
            self.output = nn.Linear(shape.hidden + shape.latent, shape.n_genes)
        if shape.zero_inflated:
            width = shape.latent if shape.masked else shape.hidden
            self.lost = nn.Linear(width, shape.n_genes)
        self.log_scale = nn.Parameter(torch.zeros(shape.n_genes))  # log theta of counts, log sd of values
        if shape.n_classes:
            self.head = nn.Linear(shape.latent, shape.n_classes)

    def encode(self, x: Tensor | SparseRows) -> Posterior:
        """Posterior of the latent space given the encoder's input ``(n, n_genes)``."""
        first, linear = self.input(x).split([self.shape.hidden, self.shape.latent], dim=1)
        hidden = self.encoder(first.contiguous())  # normalising a view takes twice as long
        mean, log_variance = self.posterior(hidden).chunk(2, dim=1)
        return Posterior(mean + linear, log_variance.clamp(*LOG_VARIANCE))

    def encode_library(self, x: Tensor | SparseRows) -> Posterior:
        """Posterior of the log library size, each ``(n, 1)``."""
        mean, log_variance = self.library(self.library_input(x)).chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(*LOG_VARIANCE))

    def decode(self, z: Tensor, batch: Tensor) -> tuple[Tensor, Tensor | None]:
        """Output of each gene ``(n, n_genes)``, and the logits of lost counts where they are modelled.

        Parameters
        ----------
        z
            Shape ``(n, latent)``.
        batch
            Shares of the batches, shape ``(n, n_batches)``: one-hot, or equal shares for no batch in particular.
        """
        if self.shape.masked:
            out = nn.functional.linear(z, self.weight * self.mask, self.bias)
            out = out + batch @ self.batch_effect if self.shape.n_batches > 1 else out
            return out, self.lost(z) if self.shape.zero_inflated else None
        hidden = self.decoder(torch.cat([z, batch], dim=1) if self.shape.n_batches > 1 else z)
        return self.output(torch.cat([hidden, z], dim=1)), self.lost(hidden) if self.shape.zero_inflated else None

    def loadings(self) -> Tensor:
        """Change of each gene's output with each latent, shape ``(n_genes, latent)``; only of a masked decoder."""
        return self.weight * self.mask


def _layers(shape: VAEShape, dropout: float) -> nn.Sequential:
    """All hidden layers after the first linear map: normalisation, activation, dropout, and the next map."""
    parts: list[nn.Module] = []
    for layer in range(shape.n_layers):
        parts += [nn.Linear(shape.hidden, shape.hidden)] if layer else []
        parts += [nn.BatchNorm1d(shape.hidden, eps=1e-3, momentum=0.01), _ACTIVATIONS[shape.activation]()]
        parts += [Dropout(dropout)] if dropout else []
    return nn.Sequential(*parts)
