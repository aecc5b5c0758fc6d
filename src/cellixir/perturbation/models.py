"""Every predictor by name, and what kind it is."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cellixir.estimator import parameter_types
from cellixir.estimator.settings import check_setting, whole_names
from cellixir.exceptions import CellixirError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellixir.perturbation.model import PerturbationModel

#: What `ModelSpec.make` decides: the same for all models of a benchmark.
SHARED = ("split", "seed", "device")
#: The study's network and training: 800-800, latent 100, LeakyReLU .2, dropout .06; Adam 1e-4, batch 80, 60 epochs.
PUBLISHED: dict[str, Any] = {
    "latent": 100, "hidden": 800, "n_layers": 2, "dropout": 0.06, "activation": "leaky_relu", "rule": "mean",
    "max_epochs": 60, "batch_size": 80, "learning_rate": 1e-4,
}  # fmt: skip


@dataclass(frozen=True)
class ModelSpec:
    """A predictor of the list.

    Attributes
    ----------
    kind
        ``baseline`` for the naive ones, which always run.
    home
        Module of this package and class.
    parameters
        Of the constructor, where they are not its defaults.
    """

    kind: str
    home: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def _class(self) -> type[PerturbationModel]:
        module, name = self.home.split(":")
        found: type[PerturbationModel] = getattr(import_module(f"cellixir.perturbation.{module}"), name)
        return found

    def make(self, split: str = "drug", seed: int = 0, device: str = "auto") -> PerturbationModel:
        """New predictor, for what will be new."""
        shared = {"split": split, "seed": seed, "device": device}
        own = {name: value for name, value in shared.items() if name in inspect.signature(self._class).parameters}
        return self._class(**own, **self.parameters)

    def given(self, parameters: Mapping[str, Any], place: str = "") -> ModelSpec:
        """The same predictor with other parameters.

        Raises
        ------
        ConfigurationError
            If there is no such parameter, or a value cannot work; names it, after ``place``.
        """
        types = {name: kind for name, kind in parameter_types(self._class).items() if name not in SHARED}
        parameters = whole_names(parameters)
        for name, value in parameters.items():
            try:
                check_setting(name, value, types)
                replace(self, parameters={**self.parameters, name: value}).make()
            except CellixirError as error:
                message = f"{place}{error}"
                raise ConfigurationError(message) from error
        return replace(self, parameters={**self.parameters, **parameters})


MODELS: dict[str, ModelSpec] = {
    "no_change": ModelSpec("baseline", "baselines:NoChange"),
    "mean_effect": ModelSpec("baseline", "baselines:MeanEffect"),
    "cell_line_mean": ModelSpec("baseline", "baselines:CellLineMean"),
    "drug_mean": ModelSpec("baseline", "baselines:DrugMean"),
    "nearest_drug": ModelSpec("baseline", "baselines:NearestDrug"),
    "additive": ModelSpec("baseline", "baselines:Additive"),
    "study_average": ModelSpec("baseline", "baselines:StudyAverage"),
    "ridge": ModelSpec("linear", "kernels:EffectRidge", {"kernel": "linear"}),
    "kernel_ridge": ModelSpec("kernel", "kernels:EffectRidge"),
    "boosting": ModelSpec("tree", "trees:BoostedEffects"),
    "vae_arithmetic": ModelSpec("network", "arithmetic:LatentArithmetic"),
    "vae_published": ModelSpec("network", "arithmetic:LatentArithmetic", PUBLISHED),
    "compositional": ModelSpec("network", "compositional:CompositionalPredictor"),
}
BASELINES = {name: spec for name, spec in MODELS.items() if spec.kind == "baseline"}
#: What runs where nothing is named: the published network takes minutes a fold.
DEFAULT = [name for name in MODELS if name != "vae_published"]


def model_named(name: str) -> ModelSpec:
    """Predictor of the list.

    Raises
    ------
    ConfigurationError
        If there is none of this name.
    """
    if name not in MODELS:
        message = f"there is no model '{name}'; choose among {', '.join(MODELS)}"
        raise ConfigurationError(message)
    return MODELS[name]


def chosen_models(names: Sequence[str] | None) -> dict[str, ModelSpec]:
    """Models to run, in the order of the list: those named, and the baselines always.

    Raises
    ------
    ConfigurationError
        If one is not known.
    """
    wanted = set(DEFAULT if names is None else names)
    known = {name: model_named(name) for name in wanted}
    return {name: spec for name, spec in MODELS.items() if name in known or spec.kind == "baseline"}
