"""Attention between groups of genes: pathways, or blocks of an order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from cellixir.exceptions import ConfigurationError, examples
from cellixir.nn.conv import EMPTY, laid_out
from cellixir.nn.dense import DenseEncoder
from cellixir.nn.dropout import Dropout

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

EMBEDDING_SCALE = 0.5


class TokenLinear(nn.Module):
    """A linear map for each group of features, all in one batched product.

    The same as a dense layer whose weights are zero outside the blocks, without the zeros. The first number that
    comes out starts as the sum of the group over the root of its size, which is what correlated genes share.

    Parameters
    ----------
    layout
        Feature numbers, shape ``(n_tokens, size)``, -1 where a group is smaller than the largest.
    width
        Numbers that come out of each group.
    """

    def __init__(self, layout: NDArray[np.int64], width: int) -> None:
        super().__init__()
        n_tokens, size = layout.shape
        drawn = torch.rand(n_tokens, size, width)  # on the meta device while a bundle is checked
        bound = torch.from_numpy((layout != EMPTY).sum(axis=1)).float().rsqrt().view(-1, 1, 1).to(drawn.device)
        self.weight = nn.Parameter((drawn - 0.5) * bound)
        self.bias = nn.Parameter((torch.rand(n_tokens, 1, width) - 0.5) * bound)
        with torch.no_grad():
            self.weight[:, :, :1] += bound

    def forward(self, genes: Tensor) -> Tensor:
        """Map ``(m, n_tokens, size)`` to ``(m, n_tokens, width)``."""
        return torch.baddbmm(self.bias, genes.transpose(0, 1), self.weight).transpose(0, 1)


class AttentionBlock(nn.Module):
    """Pre-norm self-attention and a two-layer network, each added to what came in.

    Xiong et al., ICML 2020 (arXiv 2002.04745). The norms have no weights of their own: a linear map follows each.
    Nothing is dropped here; the encoder drops genes before and pooled values after.

    Parameters
    ----------
    width, n_heads
        Numbers a token, and heads that divide them.
    """

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.in_projection = nn.Linear(width, 3 * width)
        self.out_projection = nn.Linear(width, width)
        self.inner = nn.Sequential(
            nn.LayerNorm(width, elementwise_affine=False),
            nn.Linear(width, 2 * width),
            nn.ReLU(),
            nn.Linear(2 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``, ``(m, n_tokens, width)``."""
        m, n_tokens, width = x.shape
        parts = self.in_projection(self.norm(x)).view(m, n_tokens, 3, self.n_heads, width // self.n_heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # (3, m, heads, n_tokens, d)
        mixed = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(m, n_tokens, width)
        x = x + self.out_projection(mixed)
        out: Tensor = x + self.inner(x)
        return out


class TransformerEncoder(nn.Module):
    """Activities of groups of genes, and attention that lets one group say how much another counts.

    Each group is summed up in a few activities, linear in its own genes. These and a learned vector that says which
    group it is make a token; a summary token takes part in the attention (as in Devlin et al., arXiv 1810.04805).
    The head sees the summary, the mean token and the activities themselves, so that what is simply linear need not
    pass through attention.

    Parameters
    ----------
    n_features, hidden, latent
        As of `DenseEncoder`, which is the head.
    layout
        Feature numbers of the groups, shape ``(n_tokens, size)``, -1 where empty. A gene may stand in several; one
        that stands in none is not seen.
    dropout, input_dropout
        Probabilities, for what the head sees and its hidden values, and for genes.
    n_activities
        Numbers a group; the first starts as the sum of its genes over the root of their number.
    width, n_heads, n_layers
        Size of the attention. Its time grows with the square of the number of tokens.

    Raises
    ------
    ConfigurationError
        If the layout is not a table of feature numbers, or ``n_heads`` does not divide ``width``.
    """

    layout: Tensor

    def __init__(
        self,
        n_features: int,
        hidden: int,
        latent: int,
        *,
        layout: NDArray[np.int64],
        dropout: float = 0.2,
        input_dropout: float = 0.2,
        n_activities: int = 8,
        width: int = 32,
        n_heads: int = 4,
        n_layers: int = 1,
    ) -> None:
        super().__init__()
        if n_heads < 1 or width % n_heads:
            message = f"n_heads={n_heads} does not divide width={width}; choose a divisor"
            raise ConfigurationError(message)
        _refuse_bad_tokens(layout, n_features)
        self.register_buffer("layout", torch.from_numpy(np.array(layout, dtype=np.int64)), persistent=False)
        self.input_dropout = Dropout(input_dropout)
        self.activities = TokenLinear(layout, n_activities)
        self.lift = nn.Linear(n_activities, width, bias=False)
        self.identity = nn.Parameter(EMBEDDING_SCALE * torch.randn(len(layout), width))
        self.summary = nn.Parameter(EMBEDDING_SCALE * torch.randn(1, 1, width))
        self.blocks = nn.Sequential(*(AttentionBlock(width, n_heads) for _ in range(n_layers)))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        flat = 2 * width + len(layout) * n_activities
        self.head = DenseEncoder(flat, hidden, latent, dropout=dropout, input_dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(m, n_features)`` to ``(m, latent)``."""
        activities = self.activities(laid_out(self.input_dropout(x), self.layout))  # (m, n_tokens, n_activities)
        tokens = self.lift(activities) + self.identity
        tokens = torch.cat([self.summary.expand(len(x), -1, -1), tokens], dim=1)  # (m, 1 + n_tokens, width)
        tokens = self.norm(self.blocks(tokens))
        pooled = [tokens[:, 0], tokens[:, 1:].mean(dim=1), activities.flatten(1)]
        latent: Tensor = self.head(torch.cat(pooled, dim=1))
        return latent


def _refuse_bad_tokens(layout: NDArray[np.int64], n_features: int) -> None:
    if layout.ndim != 2 or not layout.size:
        message = f"tokens must be a table (n_tokens, size) of feature numbers, not of shape {layout.shape}"
        raise ConfigurationError(message)
    wrong = layout[(layout < EMPTY) | (layout >= n_features)]
    if wrong.size:
        message = (
            f"{wrong.size} places of the token layout name no feature ({examples(wrong.tolist())}); "
            f"features are 0 to {n_features - 1}, empty places -1"
        )
        raise ConfigurationError(message)
    hollow = np.flatnonzero((layout == EMPTY).all(axis=1))
    if hollow.size:
        message = f"{hollow.size} tokens hold no feature (rows {examples(hollow.tolist())}); leave them out"
        raise ConfigurationError(message)
