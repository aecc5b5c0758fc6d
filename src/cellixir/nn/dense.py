"""Dense blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from cellixir.nn.dropout import Dropout

if TYPE_CHECKING:
    from torch import Tensor


class DenseEncoder(nn.Module):
    """Input dropout, a hidden layer, a linear map to the latent space.

    Parameters
    ----------
    n_features, hidden, latent
        Widths; ``hidden`` 0 leaves the linear map alone.
    dropout, input_dropout
        Probabilities; dropping inputs makes a wide binary table hard to memorise.
    """

    def __init__(
        self, n_features: int, hidden: int, latent: int, *, dropout: float = 0.2, input_dropout: float = 0.2
    ) -> None:
        super().__init__()
        middle = [nn.Linear(n_features, hidden), nn.ReLU(), Dropout(dropout)] if hidden else []
        self.layers = nn.Sequential(Dropout(input_dropout), *middle, nn.Linear(hidden or n_features, latent))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, n_features)`` to ``(n, latent)``."""
        latent: Tensor = self.layers(x)
        return latent
