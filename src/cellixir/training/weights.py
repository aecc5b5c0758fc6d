"""Weights of a network as the arrays of a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import nn


def weights_of(network: nn.Module, name: str = "network") -> dict[str, NDArray[Any]]:
    """Weights and buffers by ``name/...``."""
    return {f"{name}/{part}": tensor.cpu().numpy() for part, tensor in network.state_dict().items()}


def load_weights(network: nn.Module, arrays: Mapping[str, NDArray[Any]], name: str = "network") -> None:
    """Give a network the weights that `weights_of` kept, and put it into evaluation mode."""
    start = f"{name}/"
    found = {part.removeprefix(start): array for part, array in arrays.items() if part.startswith(start)}
    network.load_state_dict({part: torch.from_numpy(array.copy()) for part, array in found.items()})
    network.eval()
