"""What the networks of this room share."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

import pandas as pd

from cellixir.exceptions import ConfigurationError
from cellixir.nn.vae import Activation
from cellixir.training import require_within

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cellixir.training import Epoch


def check_network(given: Mapping[str, Any], sizes: Sequence[str] = ()) -> None:
    """Refuse parameters that no network can have.

    Raises
    ------
    ConfigurationError
        With the name, the value and what is possible.
    """
    if given["activation"] not in get_args(Activation):
        message = f"activation must be one of {', '.join(get_args(Activation))}, not '{given['activation']}'"
        raise ConfigurationError(message)
    whole = dict.fromkeys(("latent", "hidden", "n_layers", "max_epochs", *sizes), (1, math.inf))
    bounds = {"batch_size": (2, math.inf), "dropout": (0, 0.99), "learning_rate": (1e-12, 10)}
    require_within(given, {**whole, **bounds, **dict.fromkeys(("beta", "seed"), (0, math.inf))})


def history_of(members: list[list[Epoch]]) -> pd.DataFrame:
    """Epochs of the networks of a model, one row each."""
    return pd.DataFrame([{"member": m, **asdict(epoch)} for m, epochs in enumerate(members) for epoch in epochs])
