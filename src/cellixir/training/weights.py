"""Weights of a network as the arrays of a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

Network = TypeVar("Network", bound=nn.Module)


def weights_of(network: nn.Module, name: str = "network") -> dict[str, NDArray[Any]]:
    """Weights and buffers by ``name/...``."""
    return {f"{name}/{part}": tensor.cpu().numpy() for part, tensor in network.state_dict().items()}


def network_of(make: Callable[[], Network], arrays: Mapping[str, NDArray[Any]], name: str = "network") -> Network:
    """Network with the weights that `weights_of` kept, in evaluation mode.

    It is first made without memory and compared with the arrays: a bundle that claims a layer of 10^12 units is refused
    before anything of that size is asked for.

    Raises
    ------
    ValueError
        If shapes differ, or a weight is not finite.
    """
    with torch.device("meta"):
        plan = make()
    for part, tensor in plan.state_dict().items():
        array = arrays.get(f"{name}/{part}")
        if array is None or array.shape != tuple(tensor.shape):
            held = "nothing" if array is None else f"an array of {tuple(array.shape)}"
            message = f"{name}/{part} must be of shape {tuple(tensor.shape)}, and there is {held}"
            raise ValueError(message)
    network = make()
    load_weights(network, arrays, name)
    return network


def load_weights(network: nn.Module, arrays: Mapping[str, NDArray[Any]], name: str = "network") -> None:
    """Give a network the weights that `weights_of` kept, and put it into evaluation mode.

    Raises
    ------
    ValueError
        If a weight is not finite.
    """
    start = f"{name}/"
    found = {part.removeprefix(start): array for part, array in arrays.items() if part.startswith(start)}
    bad = [part for part, array in found.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    if bad:
        message = f"{name}/{bad[0]} holds a weight that is not finite"
        raise ValueError(message)
    network.load_state_dict({part: torch.from_numpy(array.copy()) for part, array in found.items()})
    network.eval()
