"""Every model of the response benchmark, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from sklearn.base import clone

from cellixir.data.preprocess.grammar import parse_preprocess
from cellixir.exceptions import ConfigurationError
from cellixir.metrics.conformal import units_needed
from cellixir.response.models.baselines import DrugPlusTissue, DrugTissueMean, EffectsBaseline, GroupMean
from cellixir.response.models.model import Known
from cellixir.response.models.ridge import RidgePerDrug
from cellixir.response.models.trees import TreeModel
from cellixir.response.network.architecture import preset_of
from cellixir.response.network.encoders import DRUG_ENCODERS, SAMPLE_ENCODERS, check_encoders
from cellixir.response.network.predictor import ResponsePredictor
from cellixir.runs.own import accepted, own_class, require_methods, source_digest

if TYPE_CHECKING:
    from cellixir.response.network.encoders import GeneSets

Kind = Literal["baseline", "linear", "tree", "network", "own"]
Models = Iterable[Any] | Mapping[str, Any]  # names or models; or models by a name of one's own


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
    members
        Networks of the committee; None: as many as the split's preset has.
    """

    preprocess: str = ""
    encoder: str = "dense"
    drug_encoder: str = "fingerprint"
    gene_sets: GeneSets | None = None
    interval: float | None = None
    members: int | None = None

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
    """A model by name.

    Parameters
    ----------
    name, kind
        As they stand in the leaderboard.
    build
        Makes the model from those of ``split``, ``seed``, ``preprocess`` and ``options`` that it takes.
    splits
        Under which it can predict.
    source
        Digest of the code, of a model of one's own: what was found before an edit is not what it finds after.
    """

    name: str
    kind: Kind
    build: Callable[..., Any]
    splits: tuple[str, ...] = ("LPO", "LCO", "LDO", "LTO")
    source: str = ""

    def make(self, split: str, seed: int, options: Options | None = None) -> Any:
        """A new model."""
        options = options or Options()
        given = {"split": split, "seed": seed, "preprocess": options.preprocess, "options": options}
        return self.build(**accepted(self.build, **given))


def _network(split: str, seed: int, options: Options, *, linear: bool = True) -> ResponsePredictor:
    architecture = replace(
        preset_of(split).architecture,
        sample_encoder=options.encoder,
        drug_encoder=options.drug_encoder,
        linear=linear,
    )
    return ResponsePredictor(
        split,
        architecture=architecture,
        members=options.members,
        preprocess=options.preprocess,
        gene_sets=options.gene_sets,
        seed=seed,
    )


_ALL = (
    ModelSpec("global_mean", "baseline", partial(GroupMean, "all")),
    ModelSpec("drug_mean", "baseline", partial(GroupMean, "drug")),
    ModelSpec("cell_mean", "baseline", partial(GroupMean, "sample")),
    ModelSpec("tissue_mean", "baseline", partial(GroupMean, "tissue")),
    ModelSpec("drug_plus_tissue", "baseline", DrugPlusTissue),
    ModelSpec("drug_tissue_mean", "baseline", DrugTissueMean),
    ModelSpec("drug_tissue_shrunken", "baseline", partial(EffectsBaseline, samples=False, tissue=True)),
    ModelSpec("mean_effects", "baseline", EffectsBaseline),
    ModelSpec("ridge", "linear", RidgePerDrug, ("LPO", "LCO", "LTO")),
    ModelSpec("random_forest", "tree", partial(TreeModel, "random_forest")),
    ModelSpec("hist_gradient_boosting", "tree", partial(TreeModel, "hist_gradient_boosting")),
    ModelSpec("xgboost", "tree", partial(TreeModel, "xgboost")),
    ModelSpec("network", "network", _network),
    ModelSpec("deep", "network", partial(_network, linear=False)),
)
MODELS: dict[str, ModelSpec] = {spec.name: spec for spec in _ALL}
BASELINES: tuple[str, ...] = tuple(name for name, spec in MODELS.items() if spec.kind == "baseline")
ENCODED = ("network", "deep")  # models that take ``:ENCODER``


def spec_of(name: str) -> ModelSpec:
    """Model of a name.

    ``network:conv1d`` or ``deep:gin`` is the network with that encoder of samples or drugs; ``module:Class`` a model of
    one's own.

    Raises
    ------
    ConfigurationError
        If there is no such model, encoder or class, or the class cannot fit and predict.
    """
    base, colon, encoder = name.partition(":")
    if base not in MODELS and colon:
        return own_spec(name, own_class(name))
    if base not in MODELS or (colon and base not in ENCODED):
        message = f"there is no model '{name}'; choose among {', '.join(MODELS)}, {ENCODED[0]}:ENCODER or module:Class"
        raise ConfigurationError(message)
    if not colon:
        return MODELS[base]
    if encoder not in SAMPLE_ENCODERS + DRUG_ENCODERS:
        message = (
            f"there is no encoder '{encoder}' (in '{name}'); choose one of {', '.join(SAMPLE_ENCODERS)} (samples) "
        )
        raise ConfigurationError(message + f"or {', '.join(DRUG_ENCODERS)} (drugs)")
    plain = MODELS[base]

    def build(split: str, seed: int, options: Options) -> Any:
        of_samples = encoder in SAMPLE_ENCODERS
        return plain.build(
            split, seed, replace(options, encoder=encoder) if of_samples else replace(options, drug_encoder=encoder)
        )

    return replace(plain, name=name, build=build)


def own_spec(name: str, model: Any) -> ModelSpec:
    """Model of one's own: a class, whose constructor is given what it takes, or an instance, copied for each fit."""
    require_methods(model, name)
    if isinstance(model, type):
        return ModelSpec(name, "own", model, source=source_digest(model))
    copied = clone if hasattr(model, "get_params") else deepcopy
    return ModelSpec(name, "own", lambda: copied(model), source=f"{source_digest(type(model))} {model!r}")


def kind_of(name: str) -> Kind:
    """What a model of this name is: ``own`` for all that are not in the list."""
    base = name.partition(":")[0]
    return MODELS[base].kind if base in MODELS else "own"


def known_names() -> set[str]:
    """Every name of the list, those with an encoder included."""
    return set(MODELS) | {f"{base}:{encoder}" for base in ENCODED for encoder in SAMPLE_ENCODERS + DRUG_ENCODERS}


def chosen_models(models: Models | None, split: str) -> list[ModelSpec]:
    """Models to run under ``split``: the baselines always, then ``models``.

    Parameters
    ----------
    models
        Names, ``module:Class`` among them, or models, each a class or an instance with ``fit`` and ``predict``; a
        mapping names models, and has None for one of the list. None: all of the list that can run here.

    Raises
    ------
    ConfigurationError
        If a name is unknown or taken, or its model cannot predict under the split.
    """
    Known.under(split)
    wanted = _specs(_default(split) if models is None else models)
    impossible = [spec.name for spec in wanted if split not in spec.splits]
    if impossible:
        message = f"the model '{impossible[0]}' cannot predict under {split}; leave it out of --models"
        raise ConfigurationError(message)
    ours = {spec.name for spec in wanted}
    plain = [spec for name, spec in MODELS.items() if name in ours or spec.kind == "baseline"]
    return plain + [spec for spec in wanted if spec.name not in MODELS]


def _specs(models: Models) -> list[ModelSpec]:
    if not isinstance(models, Mapping):
        models = {m if isinstance(m, str) else getattr(m, "__name__", type(m).__name__): m for m in models}
    taken = [name for name, model in models.items() if not (model is None or isinstance(model, str)) and name in MODELS]
    if taken:
        message = f"'{taken[0]}' is a model of the list; give yours another name"
        raise ConfigurationError(message)
    return [
        spec_of(name) if model is None or isinstance(model, str) else own_spec(name, model)
        for name, model in models.items()
    ]


def _default(split: str) -> list[str]:
    names = [name for name, spec in MODELS.items() if split in spec.splits and name != "deep"]
    return [n for n in names if n != "xgboost" or find_spec("xgboost")]
