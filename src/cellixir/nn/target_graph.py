"""Encoder of drugs that are joined by the genes they hit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from cellixir.exceptions import ConfigurationError, NotFitted
from cellixir.nn.dropout import Dropout

if TYPE_CHECKING:
    from torch import Tensor

SAME = 1e-6  # relative difference of the keys of two drugs below which they are one


class TargetGraphEncoder(nn.Module):
    """Drugs tell the genes they hit what they are; a drug reads what the others told its genes.

    Two steps on the graph of drugs and genes, ``h`` being a dense layer on a drug's features:

    * a gene knows itself, a learned vector, plus the mean of ``w h_d`` over the training drugs ``d`` that hit it;
    * a drug ``i`` has ``h_i`` and the mean over its genes of what they know.

    A drug never hears itself: in training the answer would be its own, and a new drug would find less than the network
    had learned to expect. Training drugs with equal inputs (one compound under two ids) count as itself. Genes that no
    training drug hits are left out; a drug without any other has a learned vector in place of its genes.

    Parameters
    ----------
    n_features, n_genes
        Columns of the input: features of the drug, then 1 for each gene it hits and 0 for the others.
    hidden, latent
        Widths.
    n_train
        Number of training drugs, those given to `connect`.
    dropout, input_dropout
        Probabilities; the latter of features, and of hits: a drug then loses a gene now and then, or all of them.
    """

    inputs: Tensor
    direction: Tensor

    def __init__(
        self,
        n_features: int,
        n_genes: int,
        hidden: int,
        latent: int,
        *,
        n_train: int,
        dropout: float = 0.2,
        input_dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.n_features = n_features
        self.features = nn.Sequential(
            Dropout(input_dropout), nn.Linear(n_features, hidden), nn.ReLU(), Dropout(dropout)
        )
        self.message = nn.Linear(hidden, hidden)
        self.genes = nn.Parameter(torch.randn(n_genes, hidden) / hidden**0.5)
        self.no_target = nn.Parameter(torch.zeros(hidden))
        self.hit_dropout = Dropout(input_dropout)
        self.out = nn.Linear(2 * hidden, latent)
        self.register_buffer("inputs", torch.full((n_train, n_features + n_genes), torch.nan))
        generator = torch.Generator().manual_seed(0)
        direction = torch.randn(n_features + n_genes, generator=generator, dtype=torch.float64)
        self.register_buffer("direction", direction, persistent=False)

    def connect(self, x: Tensor) -> None:
        """Keep the inputs of the training drugs, shape ``(n_train, n_features + n_genes)``; saved with the weights.

        Raises
        ------
        ConfigurationError
            If the shape is another.
        """
        if x.shape != self.inputs.shape:
            message = f"training drugs have shape {tuple(x.shape)}, the encoder was made for {tuple(self.inputs.shape)}"
            raise ConfigurationError(message)
        self.inputs.copy_(x)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(m, n_features + n_genes)`` to ``(m, latent)``.

        Raises
        ------
        NotFitted
            If `connect` was not called.
        """
        if self.inputs.isnan().any():
            message = "the drug-target graph has no training drugs; call connect(x_train) first"
            raise NotFitted(message)
        own = self.features(x[:, : self.n_features])  # (m, hidden)
        messages = self.message(self.features(self.inputs[:, : self.n_features]))  # (n_train, hidden)
        to_genes, to_drugs = self._weights(x)
        heard = to_genes @ self.genes + to_drugs @ messages
        has_gene = to_genes.sum(dim=1, keepdim=True) > 0
        latent: Tensor = self.out(torch.cat([own, torch.where(has_gene, heard, self.no_target)], dim=1))
        return latent

    def _weights(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What a drug takes from each gene's own vector and, through its genes, from each training drug's message.

        Shapes ``(m, n_genes)`` and ``(m, n_train)``. The mean over the other drugs that hit a gene is the sum over all
        but those that are the drug itself, divided by as many.
        """
        hit_train = self.inputs[:, self.n_features :].sign()  # (n_train, n_genes)
        hits = self.hit_dropout(x[:, self.n_features :]).sign() * hit_train.amax(dim=0)  # (m, n_genes)
        itself = self._itself(x)  # (m, n_train)
        hitting = hit_train.sum(dim=0)  # (n_genes,)
        others = hitting - itself.sum(dim=1, keepdim=True)  # (m, n_genes), of genes that the drug hits
        to_genes = hits / hits.sum(dim=1, keepdim=True).clamp(min=1)
        to_drugs = (to_genes / others.clamp(min=1)) @ hit_train.T
        return to_genes, to_drugs.masked_fill(itself, 0.0)

    def _itself(self, x: Tensor) -> Tensor:
        """Which training drugs are the drug itself, shape ``(m, n_train)``: equal rows have equal keys."""
        keys, known = (rows.double() @ self.direction.double() for rows in (x, self.inputs))
        scale = keys.abs().unsqueeze(1) + 1.0
        return (keys.unsqueeze(1) - known).abs() < SAME * scale
