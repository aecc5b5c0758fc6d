"""Encoders of SMILES tokens: convolutional, and a transformer.

Token 0 is padding and says nothing. A row of padding alone is a drug without SMILES, for which a vector is learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from cellixir.exceptions import ConfigurationError
from cellixir.nn.dropout import Dropout

if TYPE_CHECKING:
    from torch import Tensor

LENGTH_STEP = 32
POSITION_SCALE = 0.1  # of the initial position vectors, beside tokens of scale 1


class SmilesEncoder(nn.Module):
    """What the encoders share: embedded tokens, a vector for no SMILES, and the map to the latent space.

    Rows are encoded in groups of about the same length: the longest of 223 GDSC drugs has 173 tokens, the median
    52, so that most of one table would be padding (2.5 times the work of a convolution, more of attention).

    Parameters
    ----------
    n_tokens
        Size of the vocabulary and 2 (padding, unknown).
    hidden, latent
        Widths; tokens are embedded in ``hidden`` dimensions.
    """

    def __init__(self, n_tokens: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, hidden, padding_idx=0)
        self.unknown = nn.Parameter(torch.zeros(hidden))
        self.out = nn.Linear(hidden, latent)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map ``(m, length)`` token numbers of any type to ``(m, latent)``."""
        tokens = tokens.long()
        lengths = _lengths(tokens)
        groups = (lengths + LENGTH_STEP - 1) // LENGTH_STEP  # (m,), 0 where there is no token
        rows, pooled = [groups[:0]], [self.unknown.new_zeros(0, len(self.unknown))]
        for group in torch.unique(groups).tolist():
            row = (groups == group).nonzero().squeeze(1)
            rows.append(row)
            table = tokens[row, : int(lengths[row].max())]
            pooled.append(self.pool(table, table != 0) if group else self.unknown.expand(len(row), -1))
        latent: Tensor = self.out(torch.cat(pooled).index_select(0, torch.cat(rows).argsort()))
        return latent

    def pool(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Map ``(m, length)`` tokens, at least one of each row ``present``, to ``(m, hidden)``."""
        raise NotImplementedError


class SmilesConvEncoder(SmilesEncoder):
    """Convolutions along the tokens and the maximum over positions: finds motifs wherever they stand.

    Parameters
    ----------
    n_tokens
        Size of the vocabulary and 2 (padding, unknown).
    hidden, latent
        Widths; tokens are embedded in ``hidden`` dimensions.
    layers, kernel
        How many convolutions, and how many tokens each spans (odd).
    dropout
        Probability.

    Raises
    ------
    ConfigurationError
        If ``kernel`` is even.
    """

    def __init__(
        self, n_tokens: int, hidden: int, latent: int, *, layers: int = 2, kernel: int = 5, dropout: float = 0.2
    ) -> None:
        super().__init__(n_tokens, hidden, latent)
        if kernel % 2 == 0:
            message = f"kernel is {kernel}; it has to be odd, so that a token stands in its middle"
            raise ConfigurationError(message)
        self.convolutions = nn.ModuleList(nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2) for _ in range(layers))
        self.dropout = Dropout(dropout)

    def pool(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Map ``(m, length)`` tokens to the strongest response of each filter, ``(m, hidden)``."""
        h, mask = self.embedding(tokens).transpose(1, 2), present.unsqueeze(1)  # (m, hidden, length), (m, 1, length)
        for convolution in self.convolutions:
            # Zero after the end, as the convolution pads: how wide the table is must not matter.
            h = self.dropout(convolution(h * mask).relu())
        strongest: Tensor = (h * mask).amax(dim=2)  # nothing is below the zeros of the padding
        return strongest


class SmilesTransformerEncoder(SmilesEncoder):
    """Self-attention between the tokens and the mean over them: sees how distant tokens go together.

    Parameters
    ----------
    n_tokens
        Size of the vocabulary and 2 (padding, unknown).
    hidden, latent
        Widths; ``hidden`` is a multiple of ``heads``.
    max_length
        Most tokens that a row may have.
    layers, heads
        Of the attention.
    dropout
        Probability.

    Raises
    ------
    ConfigurationError
        If ``hidden`` cannot be split among the heads, or a row has more tokens than ``max_length``.
    """

    def __init__(
        self,
        n_tokens: int,
        hidden: int,
        latent: int,
        *,
        max_length: int = 200,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(n_tokens, hidden, latent)
        self.position = nn.Parameter(torch.randn(max_length, hidden) * POSITION_SCALE)
        self.blocks = nn.ModuleList(_AttentionBlock(hidden, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)

    def pool(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Map ``(m, length)`` tokens to their mean after attention, ``(m, hidden)``."""
        if tokens.shape[1] > len(self.position):
            message = f"a row has {tokens.shape[1]} tokens, the encoder at most {len(self.position)}; cut it"
            raise ConfigurationError(message)
        h = self.embedding(tokens) + self.position[: tokens.shape[1]]  # (m, length, hidden)
        for block in self.blocks:
            h = block(h, present)
        weights = present / present.sum(dim=1, keepdim=True)  # (m, length)
        mean: Tensor = (weights.unsqueeze(1) @ self.norm(h)).squeeze(1)
        return mean


class _AttentionBlock(nn.Module):
    """Attention, then a small network on each token, both added to what was there, after a norm."""

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        if hidden % heads:
            message = f"hidden is {hidden}; it has to be a multiple of the {heads} heads"
            raise ConfigurationError(message)
        self.heads = heads
        self.norm_attention = nn.LayerNorm(hidden)
        self.query_key_value = nn.Linear(hidden, 3 * hidden)
        self.joined = nn.Linear(hidden, hidden)
        self.norm_network = nn.LayerNorm(hidden)
        self.network = nn.Sequential(nn.Linear(hidden, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, hidden))
        self.dropout = Dropout(dropout)

    def forward(self, h: Tensor, present: Tensor) -> Tensor:
        """Map ``(m, length, hidden)`` to the same shape; tokens read those ``present``, ``(m, length)``."""
        m, length, hidden = h.shape
        parts = self.query_key_value(self.norm_attention(h)).view(m, length, 3, self.heads, hidden // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (m, heads, length, d)
        read = scaled_dot_product_attention(query, key, value, attn_mask=present[:, None, None, :])
        h = h + self.dropout(self.joined(read.transpose(1, 2).reshape(m, length, hidden)))
        h = h + self.dropout(self.network(self.norm_network(h)))
        return h


def _lengths(tokens: Tensor) -> Tensor:
    """Tokens up to the last that is not padding, shape ``(m,)``."""
    places = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
    return ((tokens != 0) * places).amax(dim=1)
