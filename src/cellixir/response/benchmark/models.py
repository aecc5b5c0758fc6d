"""Every model of the response benchmark, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from cellixir.data.preprocess.grammar import parse_preprocess
from cellixir.exceptions import ConfigurationError
from cellixir.metrics.conformal import units_needed
from cellixir.response.models import baselines, trees
from cellixir.response.models.model import Known
from cellixir.response.models.ridge import RidgePerDrug
from cellixir.response.network.architecture import preset_of
from cellixir.response.network.encoders import DRUG_ENCODERS, SAMPLE_ENCODERS, check_encoders
from cellixir.response.network.predictor import ResponsePredictor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellixir.response.models.model import ResponseModel
    from cellixir.response.network.encoders import GeneSets

Kind = Literal["baseline", "linear", "tree", "network"]


@dataclass(frozen=True)
class Options:
    """What a user may ask of all models, or of the network.

    Parameters
    ----------
    preprocess
        Steps for the views, learned within the fold; for every model that reads features.
    encoder, drug_encoder
        Of the network.
    gene_sets
        Genes by pathway, for transformer encoders.
    interval
        Probability with which an interval holds the response, 0.9 for example; None: no intervals.
    """

    preprocess: str = ""
    encoder: str = "dense"
    drug_encoder: str = "fingerprint"
    gene_sets: GeneSets | None = None
    interval: float | None = None

    def __post_init__(self) -> None:
        if self.interval is not None and not 0 < self.interval < 1:
            message = f"--interval {self.interval} is no probability; write 0.9 for 90 %"
            raise ConfigurationError(message)
        if self.interval is not None:
            units_needed(self.interval)  # refuses what no number of errors can tell
        check_encoders(self.encoder, self.drug_encoder)
        if self.preprocess.strip():
            parse_preprocess(self.preprocess)


@dataclass(frozen=True)
class ModelSpec:
    """A name, what it is, how it is made for a split, a seed and options, and under which splits it can predict."""

    name: str
    kind: Kind
    build: Callable[[str, int, Options], ResponseModel]
    splits: tuple[str, ...] = ("LPO", "LCO", "LDO", "LTO")

    def make(self, split: str, seed: int, options: Options | None = None) -> ResponseModel:
        """A new model."""
        return self.build(split, seed, options or Options())


def _baseline(name: str, make: Callable[[], ResponseModel]) -> ModelSpec:
    return ModelSpec(name, "baseline", lambda split, seed, options: make())


def _tree(name: str, make: Callable[[int], trees.Regressor]) -> ModelSpec:
    def model(split: str, seed: int, options: Options) -> trees.TreeModel:
        return trees.TreeModel(make, split, preprocess=options.preprocess, seed=seed)

    return ModelSpec(name, "tree", model)


def _ridge(split: str, seed: int, options: Options) -> RidgePerDrug:
    return RidgePerDrug(options.preprocess)


def _network(split: str, seed: int, options: Options, *, linear: bool = True) -> ResponsePredictor:
    architecture = replace(
        preset_of(split).architecture,
        sample_encoder=options.encoder,
        drug_encoder=options.drug_encoder,
        linear=linear,
    )
    return ResponsePredictor(
        split, architecture=architecture, preprocess=options.preprocess, gene_sets=options.gene_sets, seed=seed
    )


_ALL = (
    _baseline("global_mean", partial(baselines.GroupMean, baselines.everything)),
    _baseline("drug_mean", partial(baselines.GroupMean, baselines.drug)),
    _baseline("cell_mean", partial(baselines.GroupMean, baselines.sample)),
    _baseline("tissue_mean", partial(baselines.GroupMean, baselines.tissue)),
    _baseline("drug_plus_tissue", baselines.DrugPlusTissue),
    _baseline("drug_tissue_mean", baselines.DrugTissueMean),
    _baseline("drug_tissue_shrunken", partial(baselines.EffectsBaseline, samples=False, tissue=True)),
    _baseline("mean_effects", partial(baselines.EffectsBaseline, samples=True)),
    ModelSpec("ridge", "linear", _ridge, ("LPO", "LCO", "LTO")),
    _tree("random_forest", trees.random_forest),
    _tree("hist_gradient_boosting", trees.hist_gradient_boosting),
    _tree("xgboost", trees.xgboost),
    ModelSpec("network", "network", _network),
    ModelSpec("deep", "network", partial(_network, linear=False)),
)
MODELS: dict[str, ModelSpec] = {spec.name: spec for spec in _ALL}
BASELINES: tuple[str, ...] = tuple(name for name, spec in MODELS.items() if spec.kind == "baseline")
ENCODED = ("network", "deep")  # models that take ``:ENCODER``


def spec_of(name: str) -> ModelSpec:
    """Model of a name; ``network:conv1d`` or ``deep:gin`` is the network with that encoder of samples or drugs.

    Raises
    ------
    ConfigurationError
        If there is no such model or encoder.
    """
    base, colon, encoder = name.partition(":")
    if base not in MODELS or (colon and base not in ENCODED):
        message = f"there is no model '{name}'; choose among {', '.join(MODELS)}, or {ENCODED[0]}:ENCODER"
        raise ConfigurationError(message)
    if not colon:
        return MODELS[base]
    if encoder not in SAMPLE_ENCODERS + DRUG_ENCODERS:
        message = (
            f"there is no encoder '{encoder}' (in '{name}'); choose one of {', '.join(SAMPLE_ENCODERS)} (samples) "
        )
        raise ConfigurationError(message + f"or {', '.join(DRUG_ENCODERS)} (drugs)")
    plain = MODELS[base]

    def build(split: str, seed: int, options: Options) -> ResponseModel:
        if encoder in SAMPLE_ENCODERS:
            return plain.build(split, seed, replace(options, encoder=encoder))
        return plain.build(split, seed, replace(options, drug_encoder=encoder))

    return replace(plain, name=name, build=build)


def known_names() -> set[str]:
    """Every name that ``spec_of`` knows."""
    return set(MODELS) | {f"{base}:{encoder}" for base in ENCODED for encoder in SAMPLE_ENCODERS + DRUG_ENCODERS}


def chosen_models(names: Sequence[str] | None, split: str) -> list[ModelSpec]:
    """Models to run under ``split``: the baselines always, then ``names`` (None: all that can run here).

    Raises
    ------
    ConfigurationError
        If a name is unknown, or its model cannot predict under the split.
    """
    Known.under(split)
    wanted = [spec_of(name) for name in dict.fromkeys(names or _default(split))]
    impossible = [spec.name for spec in wanted if split not in spec.splits]
    if impossible:
        message = f"the model '{impossible[0]}' cannot predict under {split}; leave it out of --models"
        raise ConfigurationError(message)
    ours = {spec.name for spec in wanted}
    plain = [spec for name, spec in MODELS.items() if name in ours or spec.kind == "baseline"]
    return plain + [spec for spec in wanted if spec.name not in MODELS]


def _default(split: str) -> list[str]:
    names = [name for name, spec in MODELS.items() if split in spec.splits and name != "deep"]
    return [n for n in names if n != "xgboost" or find_spec("xgboost")]
