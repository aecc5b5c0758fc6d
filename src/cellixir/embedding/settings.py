"""Settings of a VAE by name, as options and files of experiments have them."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from cellixir.embedding.parameters import TRAINING
from cellixir.embedding.vae import VAE
from cellixir.estimator import parameter_types
from cellixir.exceptions import ConfigurationError
from cellixir.training import TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Shorter names, as on the command line.
ALIASES = {"layers": "n_layers", "epochs": "max_epochs"}
_OF_MODEL = {name: kind for name, kind in parameter_types(VAE).items() if name != "training"}
_OF_TRAINING = {name: kind for name, kind in get_type_hints(TrainingConfig).items() if name != "max_epochs"}
#: What a value may be, and how that is called in a sentence.
_KINDS: dict[type, tuple[tuple[type, ...], str]] = {
    int: ((int,), "a whole number"), float: ((int, float), "a number"), str: ((str,), "text"),
}  # fmt: skip


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
    annotation = (_OF_MODEL | _OF_TRAINING)[ALIASES.get(name, name)]
    options = get_args(annotation) or (annotation,)
    kind = next((kind for kind in _KINDS if kind in options or isinstance(options[0], kind)), None)
    if kind is None:  # gene sets
        return
    possible, wanted = _KINDS[kind]
    if not isinstance(value, possible) or isinstance(value, bool):
        message = f"{name} must be {wanted}, not {value!r}"
        raise ConfigurationError(message)
