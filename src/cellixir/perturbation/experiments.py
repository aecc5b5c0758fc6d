"""The file that names the experiments of a comparison of predictors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellixir.exceptions import ConfigurationError
from cellixir.perturbation.models import BASELINES, MODELS, SHARED, ModelSpec, model_named
from cellixir.runs import experiments

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = """[defaults]
model = "vae_arithmetic"

[experiment.published]
hidden = 800
layers = 2
latent = 100
learning_rate = 0.0001

[experiment.small]
hidden = 64

[experiment.kernel]
model = "kernel_ridge"
"""


def read_experiments(path: str | Path) -> dict[str, ModelSpec]:
    """Predictors of a file by the name of their experiment.

    The key ``model`` names one of ``cellixir.perturbation.models.MODELS``; the others are its parameters.

    Raises
    ------
    ReadError, ConfigurationError
        As of `cellixir.runs.experiments.read_experiments`, or if an experiment has the name of a baseline.
    """
    tables = experiments.read_experiments(path, _known)
    taken = [name for name in tables if name in BASELINES]
    if taken:
        message = f"{path}: '{taken[0]}' is the name of a baseline, which runs beside; choose another"
        raise ConfigurationError(message)
    return {name: _spec(dict(table), f"{path}, experiment '{name}': ") for name, table in tables.items()}


def _known(table: dict[str, Any], place: str) -> dict[str, Any]:
    for name in table:
        if name in SHARED:
            message = f"{place}: {name} is the same for all experiments; give it as --{name}"
            raise ConfigurationError(message)
    return table


def _spec(table: dict[str, Any], place: str) -> ModelSpec:
    name = table.pop("model", None)
    if not isinstance(name, str):
        message = f"{place}give its model, one of {', '.join(name for name in MODELS if name not in BASELINES)}"
        raise ConfigurationError(message)
    return model_named(name).given(table, place)
