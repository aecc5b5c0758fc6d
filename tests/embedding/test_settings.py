"""Settings of a VAE by name are those of its constructor, and no list beside it."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from cellixir.embedding.settings import vae_of
from cellixir.embedding.vae import VAE
from cellixir.exceptions import ConfigurationError
from cellixir.training import TrainingConfig

OF_MODEL = [name for name in inspect.signature(VAE).parameters if name != "training"]
OF_TRAINING = [field.name for field in fields(TrainingConfig) if field.name != "max_epochs"]


@pytest.mark.parametrize("name", [*OF_MODEL, *OF_TRAINING])
def test_every_parameter_is_a_setting_of_its_own_type(name: str) -> None:
    model = VAE()
    default = getattr(model.training, name) if name in OF_TRAINING else getattr(model, name)
    made = vae_of({name: default})
    assert (getattr(made.training, name) if name in OF_TRAINING else getattr(made, name)) == default
    if name != "gene_sets":
        with pytest.raises(ConfigurationError, match=f"{name} must be (text|a number|a whole number), not True"):
            vae_of({name: True})
