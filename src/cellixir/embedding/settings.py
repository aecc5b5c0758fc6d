"""Settings of a VAE by name, as options and files of experiments have them."""

from __future__ import annotations

from dataclasses import fields, replace
from difflib import get_close_matches
from inspect import signature
from typing import TYPE_CHECKING, Any

from cellixir.embedding.parameters import TRAINING
from cellixir.embedding.vae import VAE
from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Shorter names, as on the command line.
ALIASES = {"layers": "n_layers", "epochs": "max_epochs"}
_OF_MODEL = [name for name in signature(VAE).parameters if name != "training"]
_OF_TRAINING = [field.name for field in fields(TRAINING) if field.name != "max_epochs"]
_WHOLE = ("latent", "hidden", "n_layers", "n_free", "min_genes", "max_epochs", "seed", "batch_size", "patience")
_TEXT = (
    "likelihood", "activation", "library", "device", "batch_key", "label_key", "group_key", "optimiser", "schedule",
    "precision",
)  # fmt: skip


def vae_of(settings: Mapping[str, Any]) -> VAE:
    """VAE with these settings: parameters of `VAE` and of its training, those that are None by default.

    >>> vae_of({"latent": 5, "layers": 2, "learning_rate": 0.001}).training.learning_rate
    0.001

    Raises
    ------
    ConfigurationError
        If a name is not known (with the one that is meant, if it is close) or a value cannot work.
    """
    given = {ALIASES.get(name, name): value for name, value in settings.items() if value is not None}
    for name, value in given.items():
        _check(name, value)
    training = {name: given.pop(name) for name in _OF_TRAINING if name in given}
    return VAE(**given, training=replace(TRAINING, **training))


def _check(name: str, value: Any) -> None:
    known = [*_OF_MODEL, *_OF_TRAINING, *ALIASES]
    if name not in known:
        close = get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}"
        message = f"there is no setting '{name}'; {hint}"
        raise ConfigurationError(message)
    if name == "gene_sets":
        return
    kind: type | tuple[type, ...] = str if name in _TEXT else int if name in _WHOLE else (int, float)
    if not isinstance(value, kind) or isinstance(value, bool):
        wanted = "text" if name in _TEXT else "a whole number" if name in _WHOLE else "a number"
        message = f"{name} must be {wanted}, not {value!r}"
        raise ConfigurationError(message)
