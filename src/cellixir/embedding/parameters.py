"""Choices and bounds of a VAE's parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from cellixir.exceptions import ConfigurationError
from cellixir.nn.vae import Activation
from cellixir.training import TrainingConfig, require_within

Likelihood = Literal["auto", "nb", "zinb", "gaussian", "bernoulli"]
Library = Literal["observed", "learned"]
TRAINING = TrainingConfig(
    max_epochs=100,
    batch_size=128,
    learning_rate=2e-3,
    weight_decay=1e-6,
    patience=1000,
    clip_norm=0.0,
    precision="full",
)


def check_parameters(given: Mapping[str, Any]) -> None:
    """Refuse parameters that cannot work."""
    for name, choices in (("likelihood", Likelihood), ("library", Library), ("activation", Activation)):
        if given[name] not in get_args(choices):
            message = f"{name} must be one of {', '.join(get_args(choices))}, not '{given[name]}'"
            raise ConfigurationError(message)
    for name in ("batch_key", "label_key", "group_key"):
        if not isinstance(given[name], str | None):
            message = f"{name} must be the name of a column, not {given[name]!r}"
            raise ConfigurationError(message)
    bounds = {
        **dict.fromkeys(("latent", "hidden", "n_layers", "min_genes"), (1, math.inf)),
        **dict.fromkeys(("beta", "head_weight", "n_free", "seed"), (0, math.inf)),
        "kl_warmup": (0, 1),
        "dropout": (0, 0.99),
    }
    if given["max_epochs"] is not None:
        bounds["max_epochs"] = (1, math.inf)
    require_within(given, bounds)
    if given["training"].batch_size < 2:
        message = "batch_size must be 2 or more: the layers are normalised over the cells of a batch"
        raise ConfigurationError(message)
