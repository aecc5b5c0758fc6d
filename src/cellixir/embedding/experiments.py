"""The file that names the experiments of a comparison of VAEs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cellixir.embedding.settings import vae_of
from cellixir.estimator.settings import whole_names
from cellixir.exceptions import CellixirError, ConfigurationError
from cellixir.runs import experiments
from cellixir.runs.experiments import Experiments

#: What all experiments share is given once, beside the file: another one would not be comparable.
SHARED = ("batch_key", "label_key", "group_key", "gene_sets", "device")

EXAMPLE = """[defaults]
latent = 10

[experiment.wide]
hidden = 256
latent = 5
learning_rate = 0.001

[experiment.narrow]
hidden = 64
"""


def read_experiments(path: str | Path) -> Experiments:
    """Settings of each experiment, as of `cellixir.runs.experiments.read_experiments`; keys are those of `vae_of`."""
    return experiments.read_experiments(path, _checked)


def _checked(table: dict[str, Any], place: str) -> dict[str, Any]:
    """Settings by their whole names, each tried on its own so that an error is about one key."""
    for name, value in table.items():
        if name in SHARED:
            message = f"{place}: {name} is the same for all experiments; give it as --{name.replace('_', '-')}"
            raise ConfigurationError(message)
        try:
            vae_of({name: value})
        except CellixirError as error:
            message = f"{place}, key '{name}': {error}"
            raise ConfigurationError(message) from error
    return whole_names(table)
