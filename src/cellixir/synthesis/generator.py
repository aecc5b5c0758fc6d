"""What every generator of synthetic expression can do: fit, sample, be saved and be loaded."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Self

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cellixir.estimator import Arrays, Estimator, under
from cellixir.exceptions import ConfigurationError, InvalidValues, NotFitted
from cellixir.synthesis.card import write_card
from cellixir.synthesis.checks import examine
from cellixir.synthesis.conditions import Conditions, check_columns
from cellixir.synthesis.representation import Representation, written_out

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellixir.data.expression.matrix import Rows
    from cellixir.training import Epoch

    OnEpoch = Callable[[Epoch, int], None]

#: Values that are drawn at a time: more samples come in several parts.
PART_VALUES = 16_000_000
#: Samples that are drawn, and looked at, to calibrate values.
CALIBRATED = 4_000


class Generator(Estimator):
    """A model of samples that new samples are drawn from.

    A subclass says in `_learn` how it learns from a table of numbers and in `_draw` how it draws one, and keeps its
    arrays in `_arrays`, `_facts` and `_restore`. Every parameter of its constructor is a plain value that JSON holds
    and stands in an attribute of the same name.

    Parameters
    ----------
    condition
        Columns of ``obs`` that samples depend on, such as ``batch`` and ``group``.
    seed
        Same seed, same numbers on one machine.

    Attributes
    ----------
    genes_, scale_, sparse_
        Genes, what the values are, and whether they came, and go out, as a sparse matrix.
    conditions_
        Combinations seen.
    representation_
        The table's columns; None where a subclass replaces `_encode` and `_decode`.
    history_
        One row an epoch; empty where nothing is trained.
    notes_
        A sentence for each thing to know.
    n_samples_, fingerprint_
        Of the samples that were learned from.
    """

    #: Name in `cellixir.synthesis.models`, heading of the card, and fewest samples of a fit.
    name: ClassVar[str]
    title: ClassVar[str]
    min_samples: ClassVar[int] = 10

    def __init__(self, *, condition: Sequence[str] = (), seed: int = 0) -> None:
        self.condition = check_columns(condition)
        if seed < 0:
            message = f"seed={seed} is not possible; use a seed from 0"
            raise ConfigurationError(message)
        self.seed = seed

    # -- fit and sample ------------------------------------------------------------------------------------------------

    def fit(self, samples: ad.AnnData, *, checkpoint: Path | None = None, on_epoch: OnEpoch | None = None) -> Self:
        """Learn from samples x genes, in memory (dense or sparse) or backed.

        Parameters
        ----------
        samples
            ``uns["scale"]`` says what the values are; where it does not, they say it themselves, and a note tells.
        checkpoint
            File that a network writes after each epoch and goes on from.
        on_epoch
            Called with each epoch of a network and the number of epochs.

        Raises
        ------
        InvalidValues
            If a value is not a finite number or not of the scale, no gene varies, or a condition is missing.
        DuplicateIds
            If a gene stands twice.
        DataError
            If there are too few samples.
        UnknownIds
            If there is no such condition column.
        """
        found = examine(samples, self.min_samples)
        self.genes_ = pd.Index(found.samples.var_names)
        self.scale_, self.sparse_ = str(found.samples.uns["scale"]), sp.issparse(found.samples.X)
        self.notes_, self.fingerprint_ = list(found.notes), found.fingerprint
        self.conditions_ = Conditions.of(found.samples, self.condition)
        self.notes_ += self.conditions_.warnings()
        self.n_samples_ = found.samples.n_obs
        self.history_ = pd.DataFrame()
        codes = self.conditions_.codes(found.samples)
        table = self._encode(found.samples)
        self._learn(table, codes, checkpoint=checkpoint, on_epoch=on_epoch)
        self._calibrate(found.samples)
        return self

    def sample(self, n: int, *, condition: Mapping[str, str] | None = None, seed: int | None = None) -> ad.AnnData:
        """``n`` new samples of the kind that was learned from: same genes, same scale, condition columns in ``obs``.

        Parameters
        ----------
        condition
            Values of some or all condition columns; the others follow their frequencies in the fit.
        seed
            Default: that of the constructor, so that two calls without one give the same samples.

        Raises
        ------
        ConfigurationError
            If ``n`` is not a positive whole number, or a column is no condition of this generator.
        UnknownIds
            If no sample of the fit had these values.
        """
        self._require_fitted()
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            message = f"n={n!r} samples cannot be drawn; give a whole number from 1"
            raise ConfigurationError(message)
        seed = self.seed if seed is None else seed
        if seed < 0:
            message = f"seed={seed} is not possible; use a seed from 0"
            raise ConfigurationError(message)
        codes, values = self._sample_parts(int(n), np.random.default_rng(seed), condition)
        obs = self.conditions_.frame(codes)
        obs.index = pd.Index([f"synthetic_{i}" for i in range(n)])
        uns = {"scale": self.scale_, "scale_guessed": False, "synthetic": True, "generator": self.name}
        return ad.AnnData(values, obs=obs, var=pd.DataFrame(index=self.genes_), uns=uns)

    # -- what a subclass says ------------------------------------------------------------------------------------------

    @abstractmethod
    def _learn(
        self, table: Any, codes: NDArray[np.int64], *, checkpoint: Path | None, on_epoch: OnEpoch | None
    ) -> None:
        """Learn from what `_encode` gave, shape ``(n_samples, width)``, and the combination of each sample.

        A network sets ``history_``; `_signature` tells its checkpoint whose it is.
        """

    @abstractmethod
    def _draw(self, codes: NDArray[np.int64], rng: np.random.Generator) -> Any:
        """Table of new samples of these combinations, which `_decode` takes."""

    @abstractmethod
    def _arrays(self) -> Arrays:
        """Return the arrays that `_learn` found."""

    def _facts(self) -> dict[str, Any]:
        """Return what JSON holds of what `_learn` found."""
        return {}

    @abstractmethod
    def _restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        """Take back `_arrays` and `_facts`; all else is there already."""

    def _describe(self) -> list[str]:
        """Sentences for the card: what the model is, and what of the training data it holds."""
        return []

    def _encode(self, samples: ad.AnnData) -> Any:
        """Learn a representation and return the samples in it.

        A model of the values themselves, such as of counts, replaces this, `_decode` and `_draw`.
        """
        self.representation_: Representation | None = Representation.learn(samples)
        return self.representation_.encode(samples)

    def _decode(self, table: Any, rng: np.random.Generator) -> Rows:
        """Values of all genes on the fitted scale, from what `_draw` gave."""
        assert self.representation_ is not None
        return self.representation_.decode(table, rng)

    def _draw_labelled(
        self, n: int, rng: np.random.Generator, fixed: Mapping[str, str] | None
    ) -> tuple[NDArray[np.int64], Any]:
        """Combinations and table of ``n`` new samples; a model that draws its own labels replaces this."""
        codes = self.conditions_.draw(n, rng, fixed)
        return codes, self._draw(codes, rng)

    def _calibrate(self, samples: ad.AnnData) -> None:
        """Let `_decode` give genes that are often at their lowest value that value as often."""
        seen = getattr(self, "representation_", None)
        if seen is None or self.scale_ == "binary":
            return
        rng = np.random.default_rng([self.seed, 1])
        n = max(min(CALIBRATED, PART_VALUES // len(self.genes_)), 1)
        some = samples if samples.n_obs <= n else samples[np.sort(rng.choice(samples.n_obs, n, replace=False))]
        try:
            self.representation_ = seen.calibrated(some, lambda: self._draw_labelled(n, rng, None)[1])
        except ConfigurationError as error:  # a collapsed GAN draws no combination that was seen: that is for `sample`
            self.notes_.append(f"values are as they were drawn, not mapped to those that were seen: {error}")

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _sample_parts(
        self, n: int, rng: np.random.Generator, fixed: Mapping[str, str] | None
    ) -> tuple[NDArray[np.int64], Rows]:
        """Combinations and values of ``n`` new samples."""
        size = max(PART_VALUES // len(self.genes_), 1)
        codes: list[NDArray[np.int64]] = []
        parts: list[Rows] = []
        for start in range(0, n, size):
            labels, table = self._draw_labelled(min(size, n - start), rng, fixed)
            codes.append(labels)
            parts.append(self._as_stored(self._decode(table, rng)))
        return np.concatenate(codes), sp.vstack(parts, format="csr") if self.sparse_ else np.concatenate(parts)

    def _as_stored(self, values: Rows) -> Rows:
        """Values as float32, sparse if those of the fit were.

        Raises
        ------
        InvalidValues
            If some are not finite.
        """
        found: Any = sp.csr_matrix(values, dtype=np.float32) if self.sparse_ else written_out(values)
        if not np.isfinite(found.data if sp.issparse(found) else found).all():
            message = f"the {self.name} generator draws values that are not finite; fit it anew, on more or other data"
            raise InvalidValues(message)
        if sp.issparse(found):
            found.eliminate_zeros()
        rows: Rows = found
        return rows

    def _settings(self) -> dict[str, Any]:
        """Return the parameters of the constructor."""
        names = [name for name in inspect.signature(type(self).__init__).parameters if name != "self"]
        values = {name: getattr(self, name) for name in names}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def _signature(self, codes: NDArray[np.int64]) -> str:
        """Say which run a checkpoint belongs to: settings, data and conditions."""
        return f"{self.name} {self._settings()} {self.fingerprint_} {sha256(codes.tobytes()).hexdigest()}"

    def _require_fitted(self) -> None:
        if not hasattr(self, "n_samples_"):
            message = f"this {type(self).__name__} has not been fitted; call fit(samples) first"
            raise NotFitted(message)

    # -- bundle --------------------------------------------------------------------------------------------------------

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """All arrays, and all that JSON holds."""
        self._require_fitted()
        arrays = {f"model/{name}": array for name, array in self._arrays().items()}
        representation = getattr(self, "representation_", None)
        if representation is not None:
            arrays |= {f"representation/{name}": array for name, array in representation.arrays().items()}
        facts = {
            "name": self.name,
            "parameters": self._settings(),
            "genes": list(self.genes_),
            "scale": self.scale_,
            "sparse": self.sparse_,
            "conditions": self.conditions_.facts(),
            "representation": None if representation is None else representation.facts(),
            "fingerprint": self.fingerprint_,
            "n_samples": self.n_samples_,
            "notes": self.notes_,
            "history": self.history_.to_dict("list"),
            "model": self._facts(),
        }
        return arrays, facts

    @classmethod
    def from_state(cls, arrays: Arrays, facts: dict[str, Any]) -> Self:
        """Rebuild the fitted generator."""
        model = cls(**facts["parameters"])
        model.genes_, model.scale_, model.sparse_ = pd.Index(facts["genes"]), facts["scale"], bool(facts["sparse"])
        model.conditions_ = Conditions.from_state(facts["conditions"])
        stored = facts["representation"]
        parts = under("representation", arrays)
        model.representation_ = None if stored is None else Representation.from_state(parts, stored, model.genes_)
        model.fingerprint_, model.n_samples_ = facts["fingerprint"], int(facts["n_samples"])
        model.notes_, model.history_ = list(facts["notes"]), pd.DataFrame(facts["history"])
        model._restore(under("model", arrays), facts["model"])
        return model

    def card(self) -> str:
        """Return the model card, in Markdown."""
        self._require_fitted()
        return write_card(self, self._describe())
