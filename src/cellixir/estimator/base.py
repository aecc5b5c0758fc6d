"""What every model of cellixir can do, in the manners of scikit-learn."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, get_type_hints

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from cellixir.estimator.bundle import FORMAT, Arrays, check_target, read_arrays, read_facts, write_bundle
from cellixir.estimator.card import written_card
from cellixir.estimator.values import packed, plain, restored, unpacked
from cellixir.exceptions import BundleError, ConfigurationError, NotFitted, reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.training import Epoch

#: Where the class of a bundle is defined; imported when it is asked for, since networks bring torch along.
HOMES = {
    "VAE": "cellixir.embedding.vae",
    "PCA": "cellixir.embedding.pca",
    "GaussianGenerator": "cellixir.synthesis.gaussian",
    "CopulaGenerator": "cellixir.synthesis.copula",
    "VAEGenerator": "cellixir.synthesis.vae",
    "ConditionalVAEGenerator": "cellixir.synthesis.vae",
    "GANGenerator": "cellixir.synthesis.gan",
    "WGANGPGenerator": "cellixir.synthesis.wgan",
    "ResponsePredictor": "cellixir.response.network.predictor",
    "RidgePerDrug": "cellixir.response.models.ridge",
    "TreeModel": "cellixir.response.models.trees",
    "GroupMean": "cellixir.response.models.baselines",
    "EffectsBaseline": "cellixir.response.models.baselines",
    "DrugTissueMean": "cellixir.response.models.baselines",
    "DrugPlusTissue": "cellixir.response.models.baselines",
    "TableGroupMean": "cellixir.tables.baselines",
    "TableRidge": "cellixir.tables.models",
    "TableLogistic": "cellixir.tables.models",
    "TableTrees": "cellixir.tables.models",
    "TableNetwork": "cellixir.tables.network",
    "NoChange": "cellixir.perturbation.baselines",
    "MeanEffect": "cellixir.perturbation.baselines",
    "CellLineMean": "cellixir.perturbation.baselines",
    "DrugMean": "cellixir.perturbation.baselines",
    "NearestDrug": "cellixir.perturbation.baselines",
    "Additive": "cellixir.perturbation.baselines",
    "StudyAverage": "cellixir.perturbation.baselines",
    "EffectRidge": "cellixir.perturbation.kernels",
    "BoostedEffects": "cellixir.perturbation.trees",
    "LatentArithmetic": "cellixir.perturbation.arithmetic",
    "CompositionalPredictor": "cellixir.perturbation.compositional",
}


# What a constructor or `restore` raises over values that do not belong together.
_DAMAGED = (
    LookupError, TypeError, RuntimeError, ValueError, AttributeError, ArithmeticError, MemoryError, ImportError,
    AssertionError, pd.errors.InvalidIndexError,
)  # fmt: skip


class OnEpoch(Protocol):
    """Progress of a fit."""

    def __call__(self, member: int, epoch: Epoch, of: int, /) -> None:
        """Take an epoch of a network, the first of which is 0, and the number of epochs at most."""
        ...


class Estimator(BaseEstimator, ABC):  # type: ignore[misc]
    """A model: parameters, fit, features, bundle and card.

    The constructor lists the parameters, once: it stores each under its own name, as it was given, and then calls
    `check_parameters`. So `get_params`, `set_params`, ``clone`` and ``repr`` work as in scikit-learn; fields of a
    parameter that is a dataclass are parameters too, such as ``training__learning_rate``. Whatever `fit` learns stands
    in attributes that end in ``_``.

    Attributes
    ----------
    title, limits
        Heading of the card, and what is to be known before use; by default the class's name, and nothing.
    learned
        Attribute that `fit` sets last; by default any that ends in ``_``.
    """

    title: ClassVar[str] = ""
    limits: ClassVar[str] = ""
    learned: ClassVar[str] = ""

    # -- parameters ----------------------------------------------------------------------------------------------------

    def check_parameters(self) -> None:
        """Refuse parameters that cannot work: called by the constructor and by `set_params`.

        Raises
        ------
        ConfigurationError
            With the name, the value and what is possible.
        """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name; with ``deep`` also fields of those that are dataclasses, as ``training__patience``."""
        found: dict[str, Any] = super().get_params(deep=deep)
        for name, value in list(found.items()) if deep else ():
            if is_dataclass(value):
                found |= {f"{name}__{field.name}": getattr(value, field.name) for field in fields(value)}
        return found

    def set_params(self, **params: Any) -> Self:
        """Change parameters, those of dataclasses by ``NAME__FIELD``, and return the model."""
        for name in [name for name in params if "__" in name]:
            outer, _, field = name.partition("__")
            whole = params.get(outer, getattr(self, outer, None))
            if is_dataclass(whole) and not isinstance(whole, type) and hasattr(whole, field):
                params[outer] = replace(whole, **{field: params.pop(name)})
        super().set_params(**params)
        self.check_parameters()
        return self

    def parameters(self) -> dict[str, Any]:
        """Parameters as JSON holds them: dataclasses as objects, tuples as lists."""
        names = inspect.signature(type(self)).parameters
        return {name: plain(getattr(self, name)) for name in names}

    @classmethod
    def from_parameters(cls, stored: dict[str, Any]) -> Self:
        """Unfitted model from what `parameters` gave."""
        types = parameter_types(cls) if any(isinstance(value, dict) for value in stored.values()) else {}
        return cls(**{name: restored(value, types.get(name)) for name, value in stored.items()})

    # -- fit and use ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: NDArray[Any] | None = None,
        checkpoint: Path | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> Self:
        """Learn from ``X`` and return the model.

        Parameters
        ----------
        X
            What the model is of: an AnnData, a table of samples x genes, a `ResponseData`.
        y
            Not used by most models; there for scikit-learn.
        validation
            Rows of ``X`` on which a network stops and that it does not learn from, as numbers or a mask; None: a part
            that it sets aside itself.
        checkpoint
            Where a network keeps its state after each epoch, and goes on from.
        on_epoch
            Called after each epoch of a network with the network's number (from 0), the epoch and the most epochs.
        """

    @abstractmethod
    def features(self, data: Any) -> tuple[NDArray[Any], list[str]]:
        """What the model reads of ``data``, for whoever explains or searches: a matrix, and a name for each column."""

    def __sklearn_is_fitted__(self) -> bool:
        if self.learned:
            return hasattr(self, self.learned)
        return any(name.endswith("_") and not name.startswith("_") for name in vars(self))

    def check_is_fitted(self) -> None:
        """Refuse what needs a fitted model.

        Raises
        ------
        NotFitted
            If `fit` has not been called, or did not come to its end.
        """
        if not self.__sklearn_is_fitted__():
            message = f"this {type(self).__name__} has not been fitted; call fit() first, or load a bundle"
            raise NotFitted(message)

    def finite(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values as they are; for models whose weights may come from a stranger.

        Raises
        ------
        BundleError
            If one is not finite.
        """
        if not np.isfinite(values).all():
            message = (
                f"this {type(self).__name__} gives numbers that are not finite: its weights are damaged, or the data "
                "are far from those of the fit"
            )
            raise BundleError(message)
        return values

    # -- bundle --------------------------------------------------------------------------------------------------------

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """All arrays, and all that JSON holds, of what `fit` learned.

        By default whatever stands in attributes that end in ``_``; a network says how it is kept.
        """
        arrays: Arrays = {}
        names = [name for name in vars(self) if name.endswith("_") and not name.startswith("_") and name != "history_"]
        facts = {"learned": {name: packed(getattr(self, name), name, arrays) for name in names}}
        # seconds stand in a history: among the arrays they would make the weights of equal fits differ
        return arrays, facts | ({"history": self.history_.to_dict("list")} if hasattr(self, "history_") else {})

    def restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        """Take back what `state` gave; parameters are there already."""
        for name, stored in facts["learned"].items():
            setattr(self, name, unpacked(stored, arrays))
        if "history" in facts:
            self.history_ = pd.DataFrame(facts["history"])

    def try_out(self) -> None:
        """Use what was restored once, so that weights that do not fit show at load; by default not at all."""

    def save(self, path: Path | str) -> Path:
        """Write the bundle and return its directory; an older bundle there is replaced.

        Raises
        ------
        NotFitted
            If there is nothing to save yet.
        BundleError
            If something else than a bundle stands at ``path``.
        """
        self.check_is_fitted()
        arrays, facts = self.state()
        facts = {"parameters": self.parameters()} | facts
        write_bundle(Path(path), type(self).__name__, arrays, facts, self.card)
        return Path(path)

    @staticmethod
    def check_target(path: Path) -> None:
        """Refuse a place where something else than a bundle stands: worth asking before a long fit."""
        check_target(path)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a bundle of this class; of a class that is a kind of models, such as `Generator`, any of these.

        Raises
        ------
        BundleError
            If a file of it is missing or cut off, or the bundle is of another class or a later format.
        """
        folder = Path(path)
        facts = read_facts(folder)
        name = facts.get("class")
        home = class_named(name) if inspect.isabstract(cls) else cls
        if home is not None and not issubclass(home, cls):
            message = f"{folder} holds a '{name}', which is no {cls.__name__.lower()}; give a bundle of one"
            raise BundleError(message)
        if home is None or home.__name__ != name or facts.get("format") != FORMAT:
            wanted = "models of this package" if home is None else f"a '{home.__name__}'"
            message = (
                f"{folder} holds a '{name}' in format {facts.get('format')}; this version reads {wanted} in format "
                f"{FORMAT}"
            )
            raise BundleError(message)
        arrays = read_arrays(folder, facts)
        try:
            model = home.from_parameters(facts["parameters"])
            model.restore(arrays, facts)
            model.card()
            model.try_out()
        except _DAMAGED as error:
            message = f"{folder}: weights and model.json do not belong together ({reason(error)}); save the model again"
            raise BundleError(message) from error
        return model

    # -- card ----------------------------------------------------------------------------------------------------------

    def describe(self) -> list[str]:
        """Sentences on what was learned, from what data: the lines of the card."""
        return []

    def card(self) -> str:
        """Return the model card, in Markdown.

        Raises
        ------
        NotFitted
            If there is nothing to say yet.
        """
        self.check_is_fitted()
        purpose = (inspect.getdoc(type(self)) or "").split("\n\n")[0].replace("\n", " ")
        facts = [*self.describe(), *getattr(self, "notes_", [])]
        return written_card(self.title or type(self).__name__, purpose, facts, self.limits)


def load(path: Path | str) -> Estimator:
    """Fitted model of a bundle, of whatever class.

    Parameters
    ----------
    path
        Folder that `Estimator.save` wrote.

    Returns
    -------
    Estimator
        Of the class that the bundle names, ready to predict or transform.

    Raises
    ------
    BundleError
        If there is no whole bundle of a known class.

    Examples
    --------
    >>> import tempfile
    >>> import cellixir, numpy as np
    >>> from cellixir.embedding.pca import PCA
    >>> folder = PCA(2).fit(np.random.default_rng(0).normal(size=(9, 5))).save(tempfile.mkdtemp())
    >>> cellixir.load(folder)
    PCA(latent=2)
    """
    return Estimator.load(path)


def parameter_types(model: type[Estimator]) -> dict[str, Any]:
    """Types of the constructor's parameters, by name; its annotations must be importable when the model is used."""
    return {name: kind for name, kind in get_type_hints(model.__init__).items() if name != "return"}


def stopping_rows(validation: NDArray[Any] | None, n: int) -> NDArray[np.int64] | None:
    """Row numbers that a network stops on, ascending, from numbers or a mask over ``n`` rows; None stays None.

    Raises
    ------
    ConfigurationError
        If there is none, or no such row.
    """
    if validation is None:
        return None
    given = np.asarray(validation)
    rows: NDArray[np.int64] = np.flatnonzero(given) if given.dtype == bool else np.unique(given).astype(np.int64)
    if not len(rows) or rows[0] < 0 or rows[-1] >= n or (given.dtype == bool and given.shape != (n,)):
        message = f"validation names rows {given.ravel()[:3].tolist()} ... of {n:,}; give numbers from 0 or a mask"
        raise ConfigurationError(message)
    return rows


def class_named(name: Any) -> type[Estimator] | None:
    """Class of a bundle: one of this package, or one of the user's own that is imported already; None if unknown."""
    if isinstance(name, str) and name in HOMES:
        found: type[Estimator] = getattr(import_module(HOMES[name]), name)
        return found
    waiting = [Estimator]
    while waiting:
        kind = waiting.pop()
        if kind.__name__ == name:
            return kind
        waiting += kind.__subclasses__()
    return None
