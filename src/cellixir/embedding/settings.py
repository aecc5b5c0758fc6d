"""Settings of a VAE by name, as options and files of experiments have them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_type_hints

from cellixir.embedding.parameters import TRAINING
from cellixir.embedding.vae import VAE
from cellixir.estimator import parameter_types
from cellixir.estimator.settings import check_setting, whole_names
from cellixir.training import TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_MODEL = {name: kind for name, kind in parameter_types(VAE).items() if name != "training"}
_OF_TRAINING = {name: kind for name, kind in get_type_hints(TrainingConfig).items() if name != "max_epochs"}


def vae_of(settings: Mapping[str, Any]) -> VAE:
    """VAE with these settings: parameters of `VAE` and of its training, those that are None by default.

    >>> vae_of({"latent": 5, "layers": 2, "learning_rate": 0.001}).training.learning_rate
    0.001

    Raises
    ------
    ConfigurationError
        If a name is not known (with the one that is meant, if it is close) or a value cannot work.
    """
    given = whole_names(settings)
    for name, value in given.items():
        check_setting(name, value, _OF_MODEL | _OF_TRAINING)
    training = {name: given.pop(name) for name in _OF_TRAINING if name in given}
    return VAE(**given, training=replace(TRAINING, **training))
