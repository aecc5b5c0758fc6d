"""What a VAE may be told, and what is refused before anything is read."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, get_args

from cellixir.exceptions import ConfigurationError
from cellixir.nn.vae import Activation
from cellixir.training import TrainingConfig, require_within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cellixir.embedding.vae import VAE

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
#: Parameters that JSON holds as they are, in the order in which checkpoints are signed with them.
PLAIN = (
    "likelihood", "latent", "hidden", "n_layers", "dropout", "activation", "beta", "kl_warmup", "batch_key",
    "label_key", "group_key", "library", "n_free", "min_genes", "head_weight", "max_epochs", "seed", "device",
)  # fmt: skip


def check_parameters(given: Mapping[str, Any]) -> None:
    """Refuse parameters that cannot work."""
    for name, choices in (("likelihood", Likelihood), ("library", Library), ("activation", Activation)):
        if given[name] not in get_args(choices):
            message = f"{name} must be one of {', '.join(get_args(choices))}, not '{given[name]}'"
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


def parameters_of(model: VAE) -> dict[str, Any]:
    """All parameters of a model, as JSON holds them."""
    sets = None if model.gene_sets is None else {name: list(genes) for name, genes in model.gene_sets.items()}
    return {name: getattr(model, name) for name in PLAIN} | {"gene_sets": sets, "training": asdict(model.training)}
