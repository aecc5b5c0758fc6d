"""Convolutions over genes that stand in an order or on a map.

A convolution is written as windows times a matrix: two runs give one gradient, to the bit; that of torch's own
convolution is added up in whatever order its threads come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn.functional import pad

from cellixir.exceptions import ConfigurationError, examples
from cellixir.nn.dense import DenseEncoder
from cellixir.nn.dropout import Dropout

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

EMPTY = -1


def laid_out(x: Tensor, layout: Tensor) -> Tensor:
    """Features at their places, shape ``(m, *layout.shape)``, and 0 where the layout says -1."""
    places = torch.where(layout == EMPTY, x.shape[1], layout)  # a column of zeros stands behind the features
    return pad(x, (0, 1)).index_select(1, places.flatten()).view(len(x), *layout.shape)


class Convolution(nn.Module):
    """Convolution with zeros around, over one or two axes, channels last.

    Parameters
    ----------
    n_axes
        1 or 2.
    n_in, n_out
        Channels.
    kernel
        Width of the window along each axis, an odd number.
    stride
        Step along each axis.
    """

    def __init__(self, n_axes: int, n_in: int, n_out: int, *, kernel: int, stride: int) -> None:
        super().__init__()
        if kernel < 1 or kernel % 2 == 0 or stride < 1:
            message = f"kernel={kernel} must be odd and stride={stride} at least 1"
            raise ConfigurationError(message)
        self.n_axes, self.kernel, self.stride = n_axes, kernel, stride
        self.linear = nn.Linear(n_in * kernel**n_axes, n_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(m, *places, n_in)`` to ``(m, *fewer_places, n_out)``, places divided by the stride."""
        x = pad(x, (0, 0) + (self.kernel // 2, self.kernel // 2) * self.n_axes)
        for axis in range(1, self.n_axes + 1):
            x = x.unfold(axis, self.kernel, self.stride)  # (m, *windows, n_in, *kernel)
        out: Tensor = self.linear(x.flatten(self.n_axes + 1))
        return out

    def n_places(self, n: int) -> int:
        """Places along an axis after the convolution, of ``n`` before."""
        return (n - 1) // self.stride + 1


class _ConvEncoder(nn.Module):
    """Two convolutions over genes laid out in one or two axes, then a `DenseEncoder`."""

    layout: Tensor

    def __init__(
        self,
        layout: NDArray[np.int64],
        convolutions: tuple[Convolution, Convolution],
        widths: tuple[int, int],
        *,
        dropout: float,
        input_dropout: float,
    ) -> None:
        super().__init__()
        self.register_buffer("layout", torch.from_numpy(np.array(layout, dtype=np.int64)), persistent=False)
        self.input_dropout = Dropout(input_dropout)
        first, second = convolutions
        self.convolutions = nn.Sequential(first, nn.ReLU(), second, nn.ReLU())
        n_places = [second.n_places(first.n_places(n)) for n in layout.shape]
        flat = int(np.prod(n_places)) * second.linear.out_features
        self.head = DenseEncoder(flat, *widths, dropout=dropout, input_dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(m, n_features)`` to ``(m, latent)``."""
        genes = laid_out(self.input_dropout(x), self.layout)
        maps = self.convolutions(genes.unsqueeze(-1))  # (m, *places, channels)
        latent: Tensor = self.head(maps.flatten(1))
        return latent


class Conv1dEncoder(_ConvEncoder):
    """Two strided convolutions along an order of the genes, then a dense layer and a linear map.

    For what neighbours do together wherever it happens: a segment that is gained, a run of promoters that is
    methylated.

    Parameters
    ----------
    n_features, hidden, latent
        As of `DenseEncoder`, which maps the convolved values to the latent space.
    layout
        Order of the features, a permutation of ``0 .. n_features - 1``.
    dropout, input_dropout
        Probabilities, for convolved and hidden values and for genes.
    channels
        Of the first and second convolution.

    Raises
    ------
    ConfigurationError
        If the layout is not a permutation.
    """

    def __init__(
        self,
        n_features: int,
        hidden: int,
        latent: int,
        *,
        layout: NDArray[np.int64],
        dropout: float = 0.2,
        input_dropout: float = 0.2,
        channels: tuple[int, int] = (16, 16),
    ) -> None:
        refuse_no_permutation(layout, n_features)
        first = Convolution(1, 1, channels[0], kernel=9, stride=3)
        second = Convolution(1, *channels, kernel=5, stride=3)
        super().__init__(layout, (first, second), (hidden, latent), dropout=dropout, input_dropout=input_dropout)


class Conv2dEncoder(_ConvEncoder):
    """Two strided convolutions over a map of the genes, then a dense layer and a linear map.

    Parameters
    ----------
    n_features, hidden, latent
        As of `DenseEncoder`, which maps the convolved values to the latent space.
    layout
        Feature number at each place of the map, shape ``(rows, columns)``, -1 where empty; each at most once.
    dropout, input_dropout
        Probabilities, for convolved and hidden values and for genes.
    channels
        Of the first and second convolution.

    Raises
    ------
    ConfigurationError
        If the layout is not such a map.
    """

    def __init__(
        self,
        n_features: int,
        hidden: int,
        latent: int,
        *,
        layout: NDArray[np.int64],
        dropout: float = 0.2,
        input_dropout: float = 0.2,
        channels: tuple[int, int] = (16, 16),
    ) -> None:
        _refuse_bad_map(layout, n_features)
        first = Convolution(2, 1, channels[0], kernel=5, stride=2)
        second = Convolution(2, *channels, kernel=3, stride=2)
        super().__init__(layout, (first, second), (hidden, latent), dropout=dropout, input_dropout=input_dropout)


def refuse_no_permutation(layout: NDArray[np.int64], n_features: int) -> None:
    """Raise `ConfigurationError` unless the layout names every feature once."""
    if layout.shape != (n_features,) or not np.array_equal(np.sort(layout), np.arange(n_features)):
        message = (
            f"the layout, of shape {layout.shape}, is not an order of {n_features} features; "
            f"give each number from 0 to {n_features - 1} once"
        )
        raise ConfigurationError(message)


def _refuse_bad_map(layout: NDArray[np.int64], n_features: int) -> None:
    placed = layout[layout != EMPTY]
    if layout.ndim != 2 or not placed.size:
        message = f"a gene map must be a table of feature numbers, not of shape {layout.shape} with {placed.size} genes"
        raise ConfigurationError(message)
    numbers, counts = np.unique(placed, return_counts=True)
    wrong = numbers[(numbers < 0) | (numbers >= n_features) | (counts > 1)]
    if wrong.size:
        message = (
            f"{wrong.size} numbers on the gene map are not a feature or stand twice ({examples(wrong.tolist())}); "
            f"place each of 0 to {n_features - 1} at most once, -1 where empty"
        )
        raise ConfigurationError(message)
