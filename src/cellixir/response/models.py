"""Every model of the response benchmark, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from cellixir.exceptions import ConfigurationError
from cellixir.response import baselines, trees
from cellixir.response.model import Known
from cellixir.response.predictor import ResponsePredictor
from cellixir.response.ridge import RidgePerDrug

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellixir.response.model import ResponseModel

Kind = Literal["baseline", "linear", "tree", "network"]


@dataclass(frozen=True)
class ModelSpec:
    """A name, what it is, how it is made for a split and a seed, and under which splits it can predict."""

    name: str
    kind: Kind
    make: Callable[[str, int], ResponseModel]
    splits: tuple[str, ...] = ("LPO", "LCO", "LDO", "LTO")


def _baseline(name: str, make: Callable[[], ResponseModel]) -> ModelSpec:
    return ModelSpec(name, "baseline", lambda split, seed: make())


def _tree(name: str, make: Callable[[int], trees.Regressor]) -> ModelSpec:
    return ModelSpec(name, "tree", lambda split, seed: trees.TreeModel(make, split, seed=seed))


_ALL = (
    _baseline("global_mean", partial(baselines.GroupMean, baselines.everything)),
    _baseline("drug_mean", partial(baselines.GroupMean, baselines.drug)),
    _baseline("cell_mean", partial(baselines.GroupMean, baselines.sample)),
    _baseline("tissue_mean", partial(baselines.GroupMean, baselines.tissue)),
    _baseline("drug_plus_tissue", baselines.DrugPlusTissue),
    _baseline("drug_tissue_mean", baselines.DrugTissueMean),
    _baseline("drug_tissue_shrunken", partial(baselines.EffectsBaseline, samples=False, tissue=True)),
    _baseline("mean_effects", partial(baselines.EffectsBaseline, samples=True)),
    ModelSpec("ridge", "linear", lambda split, seed: RidgePerDrug(), ("LPO", "LCO", "LTO")),
    _tree("random_forest", trees.random_forest),
    _tree("hist_gradient_boosting", trees.hist_gradient_boosting),
    _tree("xgboost", trees.xgboost),
    ModelSpec("network", "network", lambda split, seed: ResponsePredictor(split, seed=seed)),
)
MODELS: dict[str, ModelSpec] = {spec.name: spec for spec in _ALL}
BASELINES: tuple[str, ...] = tuple(name for name, spec in MODELS.items() if spec.kind == "baseline")


def chosen_models(names: Sequence[str] | None, split: str) -> list[ModelSpec]:
    """Models to run under ``split``: the baselines always, then ``names`` (None: all that can run here).

    Raises
    ------
    ConfigurationError
        If a name is unknown, or its model cannot predict under the split.
    """
    Known.under(split)
    wanted = set(names or _default(split))
    unknown = sorted(wanted - set(MODELS))
    if unknown:
        message = f"there is no model '{unknown[0]}'; choose among {', '.join(MODELS)}"
        raise ConfigurationError(message)
    impossible = [name for name in sorted(wanted) if split not in MODELS[name].splits]
    if impossible:
        message = f"the model '{impossible[0]}' cannot predict under {split}; leave it out of --models"
        raise ConfigurationError(message)
    return [spec for name, spec in MODELS.items() if name in wanted or spec.kind == "baseline"]


def _default(split: str) -> list[str]:
    names = [name for name, spec in MODELS.items() if split in spec.splits]
    return [n for n in names if n != "xgboost" or find_spec("xgboost")]
