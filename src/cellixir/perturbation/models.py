"""Every predictor by name, and what kind it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cellixir.perturbation.model import PerturbationModel


@dataclass(frozen=True)
class ModelSpec:
    """A predictor of the list.

    Attributes
    ----------
    kind
        ``baseline`` for the naive ones, which always run.
    make
        New predictor for a split and a seed.
    """

    kind: str
    make: Callable[[str, int], PerturbationModel]


def _baseline(name: str) -> Callable[[str, int], PerturbationModel]:
    def make(split: str, seed: int) -> PerturbationModel:
        from cellixir.perturbation import baselines

        model: PerturbationModel = getattr(baselines, name)()
        return model

    return make


def _ridge(kernel: str) -> Callable[[str, int], PerturbationModel]:
    def make(split: str, seed: int) -> PerturbationModel:
        from cellixir.perturbation.kernels import EffectRidge

        return EffectRidge(kernel, split=split)  # type: ignore[arg-type]

    return make


def _boosting(split: str, seed: int) -> PerturbationModel:
    from cellixir.perturbation.trees import BoostedEffects

    return BoostedEffects(seed=seed)


def _arithmetic(*, published: bool) -> Callable[[str, int], PerturbationModel]:
    def make(split: str, seed: int) -> PerturbationModel:
        from cellixir.perturbation.arithmetic import PUBLISHED, LatentArithmetic

        return LatentArithmetic(split=split, seed=seed, **(PUBLISHED if published else {}))

    return make


def _compositional(split: str, seed: int) -> PerturbationModel:
    from cellixir.perturbation.compositional import CompositionalPredictor

    return CompositionalPredictor(split=split, seed=seed)


MODELS: dict[str, ModelSpec] = {
    "no_change": ModelSpec("baseline", _baseline("NoChange")),
    "mean_effect": ModelSpec("baseline", _baseline("MeanEffect")),
    "cell_line_mean": ModelSpec("baseline", _baseline("CellLineMean")),
    "drug_mean": ModelSpec("baseline", _baseline("DrugMean")),
    "nearest_drug": ModelSpec("baseline", _baseline("NearestDrug")),
    "additive": ModelSpec("baseline", _baseline("Additive")),
    "study_average": ModelSpec("baseline", _baseline("StudyAverage")),
    "ridge": ModelSpec("linear", _ridge("linear")),
    "kernel_ridge": ModelSpec("kernel", _ridge("tanimoto")),
    "boosting": ModelSpec("tree", _boosting),
    "vae_arithmetic": ModelSpec("network", _arithmetic(published=False)),
    "vae_published": ModelSpec("network", _arithmetic(published=True)),
    "compositional": ModelSpec("network", _compositional),
}
#: What runs where nothing is named: the published network takes minutes a fold.
DEFAULT = [name for name in MODELS if name != "vae_published"]


def chosen_models(names: Sequence[str] | None) -> list[str]:
    """Models to run, in the order of the list: those named, and the baselines always.

    Raises
    ------
    ConfigurationError
        If one is not known.
    """
    for name in names or ():
        if name not in MODELS:
            message = f"there is no model '{name}'; choose among {', '.join(MODELS)}"
            raise ConfigurationError(message)
    wanted = DEFAULT if names is None else names
    return [name for name, spec in MODELS.items() if name in wanted or spec.kind == "baseline"]
