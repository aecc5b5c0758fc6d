"""A recurrent network that reads genes in an order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from cellixir.exceptions import ConfigurationError
from cellixir.nn.conv import EMPTY, laid_out, refuse_no_permutation
from cellixir.nn.dense import DenseEncoder
from cellixir.nn.dropout import Dropout
from cellixir.nn.transformer import TokenLinear

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


class RecurrentEncoder(nn.Module):
    """A gated recurrent unit that reads patches of the gene order in both directions.

    Cho et al., EMNLP 2014 (arXiv 1406.1078). A patch is read through weights that all patches share plus weights of
    its own: what is learned at one place helps at the others, and yet a gene can matter for what it is. What is
    passed on is the mean state and the last state of each direction.

    Parameters
    ----------
    n_features, hidden, latent
        As of `DenseEncoder`, which maps the states to the latent space.
    layout
        Order of the features, a permutation of ``0 .. n_features - 1``.
    dropout, input_dropout
        Probabilities, for states and hidden values and for genes.
    n_steps
        Patches the order is cut into, at most; time grows with it.
    width
        Of a patch as it is read, and of the state of each direction.

    Raises
    ------
    ConfigurationError
        If the layout is not a permutation, or ``n_steps`` is below 1.
    """

    layout: Tensor
    patches: Tensor

    def __init__(
        self,
        n_features: int,
        hidden: int,
        latent: int,
        *,
        layout: NDArray[np.int64],
        dropout: float = 0.2,
        input_dropout: float = 0.2,
        n_steps: int = 16,
        width: int = 48,
    ) -> None:
        super().__init__()
        refuse_no_permutation(layout, n_features)
        if n_steps < 1:
            message = f"n_steps must be at least 1, not {n_steps}"
            raise ConfigurationError(message)
        self.register_buffer("layout", torch.from_numpy(np.array(layout, dtype=np.int64)), persistent=False)
        patches = _patches(layout, n_steps)
        self.register_buffer("patches", torch.from_numpy(patches), persistent=False)
        self.input_dropout = Dropout(input_dropout)
        self.own = TokenLinear(patches, width)
        self.shared = nn.Linear(patches.shape[1], width, bias=False)
        self.unit = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.head = DenseEncoder(4 * width, hidden, latent, dropout=dropout, input_dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(m, n_features)`` to ``(m, latent)``."""
        patches = laid_out(self.input_dropout(x), self.patches)  # (m, n_steps, size)
        read = torch.tanh(self.own(patches) + self.shared(patches))  # (m, n_steps, width)
        states, last = self.unit(read)  # (m, n_steps, 2 width), (2, m, width)
        latent: Tensor = self.head(torch.cat([states.mean(dim=1), last[0], last[1]], dim=1))
        return latent


def _patches(order: NDArray[np.int64], n_steps: int) -> NDArray[np.int64]:
    """Consecutive runs of equal length, shape ``(n_patches, size)``; the last one is filled up with -1."""
    size = -(-len(order) // n_steps)
    n_patches = -(-len(order) // size)
    padded = np.full(n_patches * size, EMPTY)
    padded[: len(order)] = order
    return padded.reshape(n_patches, size)
