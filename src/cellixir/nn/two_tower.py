"""Two towers and a head: one number for each (sample, drug) pair.

The pair matrix is never built. A batch names its distinct samples and drugs; each is encoded once, and the
first layer of the head, being linear, is applied before the gather as well:
``W [u; v] = W_u u + W_v v``. What remains for each pair is an addition, a small layer and an inner product.

Rows are gathered by ``embedding``, not by ``u[s]``: the gradient of indexing adds up in whatever order threads come
(two runs then differ), that of an embedding does not, and it is faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn.functional import embedding

from cellixir.nn.dropout import Dropout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from cellixir.nn.molecule import GraphBatch

EMBEDDING_SCALE = 0.1


class Side(NamedTuple):
    """One side of a batch: ``m`` distinct samples (or drugs)."""

    blocks: tuple[Tensor | GraphBatch, ...]  # what each encoder reads, m rows each
    present: Tensor  # (m, n_blocks), 0 where a block is not known
    identity: Tensor  # (m,), 0 where the model does not know the id
    position: Tensor  # (n_pairs,), row of each pair's sample (or drug)


class Tower(nn.Module):
    """Encoded blocks, added up, plus, for ids seen in training, a learned embedding.

    A block that is not known is a learned vector instead, so that a sample without one of the views still has
    a place.

    Parameters
    ----------
    encoders
        One a block, from its ``m`` rows to ``(m, latent + 1)``, the last column being the bias.
    n_known
        Number of ids with an embedding; 0 for none. Identity 0 is the unknown one: its row is zero and stays so.
    latent
        Width of the output.
    block_dropout
        Probability with which a block is masked in training; 0 where there is one block only.
    """

    def __init__(self, encoders: Sequence[nn.Module], n_known: int, latent: int, *, block_dropout: float = 0.0) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.latent = latent
        self.block_dropout = block_dropout if len(self.encoders) > 1 else 0.0
        self.absent = nn.Parameter(torch.zeros(len(self.encoders), latent + 1)) if encoders else None
        self.embedding = nn.Embedding(n_known + 1, latent, padding_idx=0) if n_known else None
        self.bias = nn.Embedding(n_known + 1, 1, padding_idx=0) if n_known else None
        if self.embedding is not None and self.bias is not None:
            nn.init.normal_(self.embedding.weight[1:].detach(), std=EMBEDDING_SCALE)
            nn.init.zeros_(self.bias.weight)

    def forward(self, side: Side) -> Tensor:
        """Shape ``(m, latent + 1)``; the last column is the bias."""
        out = side.present.new_zeros(len(side.identity), self.latent + 1)
        if self.absent is not None:
            present = self._masked(side.present)
            for encoder, block, here in zip(self.encoders, side.blocks, torch.split(present, 1, dim=1), strict=True):
                out = out + here * encoder(block)
            out = out + (1 - present) @ self.absent
        if self.embedding is not None and self.bias is not None:
            out = out + torch.cat([self.embedding(side.identity), self.bias(side.identity)], dim=1)
        return out

    def _masked(self, present: Tensor) -> Tensor:
        if not self.training or not self.block_dropout:
            return present
        return present * (torch.rand_like(present) >= self.block_dropout)


class TwoTower(nn.Module):
    """Sample tower, drug tower, head: inner product, biases and (if ``hidden``) a small network on both."""

    def __init__(self, sample: Tower, drug: Tower, *, hidden: int = 256, dropout: float = 0.2) -> None:
        super().__init__()
        self.sample = sample
        self.drug = drug
        self.sample_in = nn.Linear(sample.latent, hidden) if hidden else None
        self.drug_in = nn.Linear(drug.latent, hidden, bias=False) if hidden else None
        self.head = (
            nn.Sequential(
                nn.ReLU(),
                Dropout(dropout),
                nn.Linear(hidden, hidden // 2),
                nn.ReLU(),
                Dropout(dropout),
                nn.Linear(hidden // 2, 1),
            )
            if hidden
            else None
        )

    def forward(self, sample: Side, drug: Side) -> Tensor:
        """Predictions of shape ``(n_pairs,)``."""
        u, v = self.sample(sample), self.drug(drug)
        s, d = sample.position, drug.position
        us, vd = embedding(s, u), embedding(d, v)  # (n_pairs, latent + 1)
        score: Tensor = (us[:, :-1] * vd[:, :-1]).sum(dim=1) + us[:, -1] + vd[:, -1]
        if self.head is None or self.sample_in is None or self.drug_in is None:
            return score
        joined = embedding(s, self.sample_in(u[:, :-1])) + embedding(d, self.drug_in(v[:, :-1]))  # (n_pairs, hidden)
        head: Tensor = self.head(joined)  # (n_pairs, 1)
        return score + head.squeeze(1)
