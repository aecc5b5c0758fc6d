"""What every generator of synthetic expression can do: fit, sample, be saved and be loaded."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Self

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cellixir.data.expression.alignment import align
from cellixir.data.expression.samples import as_anndata
from cellixir.data.expression.scale import WORDS
from cellixir.estimator import Arrays, Estimator, stopping_rows, under
from cellixir.exceptions import ConfigurationError, DataError, InvalidValues
from cellixir.metrics.generative.mmd import mmd2
from cellixir.synthesis.checks import examine
from cellixir.synthesis.conditions import Conditions, check_columns
from cellixir.synthesis.representation import Representation, written_out

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellixir.data.expression.matrix import Rows
    from cellixir.data.expression.samples import Samples
    from cellixir.estimator import OnEpoch
    from cellixir.training import Epoch

#: Values that are drawn at a time: more samples come in several parts.
PART_VALUES = 16_000_000
#: Samples that are drawn, and looked at, to calibrate values.
CALIBRATED = 4_000
#: Samples that a loaded generator must be able to draw.
TRIED = 20


@dataclass(frozen=True, eq=False)
class Fit:
    """What a network is told about its training.

    Attributes
    ----------
    validation
        Rows of the table that choose the epoch; None: the network sets some aside.
    checkpoint, signature
        File that it goes on from, and whose run that is.
    on_epoch
        Called after each epoch.
    """

    validation: NDArray[np.int64] | None
    checkpoint: Path | None
    signature: str
    on_epoch: OnEpoch | None

    def parts(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Rows to learn from, and those of ``validation``."""
        if self.validation is None:
            return None
        if not 2 <= len(self.validation) <= n - 2:
            message = (
                f"{len(self.validation)} of {n} samples with data choose the epoch; give 2 or more that do, and leave "
                "2 or more to learn from"
            )
            raise DataError(message)
        return np.setdiff1d(np.arange(n), self.validation), self.validation

    def heard(self, epochs: int) -> Callable[[Epoch], None] | None:
        """Progress of one network of ``epochs`` epochs."""
        tell = self.on_epoch
        return None if tell is None else lambda epoch: tell(0, epoch, epochs)


class Generator(Estimator):
    """A model of samples that new samples are drawn from.

    A subclass says in `_learn` how it learns from a table of numbers and in `_draw` how it draws one, and keeps its
    arrays in `_arrays`, `_facts` and `_restore`.

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

    Examples
    --------
    >>> from cellixir.synthesis import make_generator
    >>> real = np.random.default_rng(0).normal(size=(20, 4))
    >>> make_generator("gaussian").fit(real).sample(3).shape
    (3, 4)
    """

    #: Name in `cellixir.synthesis.models`, and fewest samples and varying genes of a fit.
    name: ClassVar[str]
    min_samples: ClassVar[int] = 10
    min_genes: ClassVar[int] = 1
    #: Whether genes keep whatever distribution they have.
    any_shape: ClassVar[bool] = False
    limits = (
        "This bundle is learned from the training samples and may give away what they were: it holds at least their "
        "conditions and what each gene's values were like. Nothing here is differentially private: evaluate privacy "
        "with samples that were held out before you share the bundle or what is drawn from it."
    )
    learned = "n_samples_"

    def __init__(self, *, condition: Sequence[str] = (), seed: int = 0) -> None:
        self.condition, self.seed = condition, seed

    def check_parameters(self) -> None:
        """Refuse parameters that cannot work; one condition may be named alone."""
        self.condition = check_columns(self.condition)
        if self.seed < 0:
            message = f"seed={self.seed} is not possible; use a seed from 0"
            raise ConfigurationError(message)

    # -- fit and sample ------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Samples,
        y: Any = None,
        *,
        validation: NDArray[Any] | None = None,
        checkpoint: Path | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> Self:
        """Learn from samples x genes, in memory (dense or sparse) or backed.

        Parameters
        ----------
        X
            ``uns["scale"]`` says what the values are; where it does not, they say it themselves, and a note tells. A
            table has no condition columns.
        y
            Not used.
        validation
            Samples that choose the epoch of a network, as numbers or a mask.
        checkpoint
            File that a network writes after each epoch and goes on from.
        on_epoch
            Called with 0, each epoch of a network and the number of epochs.

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
        samples = as_anndata(X)
        stop = stopping_rows(validation, samples.n_obs)
        found = examine(samples, self.min_samples, min_genes=self.min_genes, any_shape=self.any_shape)
        self.genes_ = pd.Index(found.samples.var_names)
        self.scale_, self.sparse_ = str(found.samples.uns["scale"]), sp.issparse(found.samples.X)
        self.notes_, self.fingerprint_ = list(found.notes), found.fingerprint
        self.conditions_ = Conditions.of(found.samples, self.condition)
        self.notes_ += self.conditions_.warnings()
        self.history_ = pd.DataFrame()
        codes = self.conditions_.codes(found.samples)
        rows = None if stop is None else np.flatnonzero(np.isin(found.rows, stop))
        table = self._encode(found.samples)
        self._learn(table, codes, Fit(rows, checkpoint, self._signature(codes, rows), on_epoch))
        self._calibrate(found.samples)
        self.n_samples_ = found.samples.n_obs
        return self

    def score(self, X: Samples, y: Any = None) -> float:
        """Minus the squared maximum mean discrepancy between ``X`` and as many new samples; higher is better.

        Unbiased, with a Gaussian kernel whose width is the median distance between samples of ``X``, on their values,
        of counts on log(1 + x): 0 on average for a perfect generator. Drawn with the generator's seed, so that the
        same data give the same score.
        """
        real, _ = self.features(X)
        made = self.sample(real.shape[0]).X
        tables = [written_out(values) for values in (real, made)]
        return -mmd2(*(np.log1p(values) if self.scale_ == "counts" else values for values in tables))

    def features(self, data: Samples) -> tuple[Rows, list[str]]:
        """Values of the model's genes in its order, shape ``(n_samples, n_genes)``, and the genes."""
        self.check_is_fitted()
        matrix, _ = align(as_anndata(data), list(self.genes_))
        return matrix.take(np.arange(matrix.shape[0])), list(self.genes_)

    def sample(self, n: int, *, given: Mapping[str, str] | None = None, seed: int | None = None) -> ad.AnnData:
        """``n`` new samples of the kind that was learned from: same genes, same scale, condition columns in ``obs``.

        Parameters
        ----------
        given
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
        self.check_is_fitted()
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            message = f"n={n!r} samples cannot be drawn; give a whole number from 1"
            raise ConfigurationError(message)
        seed = self.seed if seed is None else seed
        if seed < 0:
            message = f"seed={seed} is not possible; use a seed from 0"
            raise ConfigurationError(message)
        codes, values = self._sample_parts(int(n), np.random.default_rng(seed), given)
        obs = self.conditions_.frame(codes)
        obs.index = pd.Index([f"synthetic_{i}" for i in range(n)])
        uns = {"scale": self.scale_, "scale_guessed": False, "synthetic": True, "generator": self.name}
        return ad.AnnData(values, obs=obs, var=pd.DataFrame(index=self.genes_), uns=uns)

    # -- what a subclass says ------------------------------------------------------------------------------------------

    @abstractmethod
    def _learn(self, table: Any, codes: NDArray[np.int64], fit: Fit) -> None:
        """Learn from what `_encode` gave, shape ``(n_samples, width)``, and the combination of each sample.

        A network sets ``history_``.
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

    def _signature(self, codes: NDArray[np.int64], validation: NDArray[np.int64] | None) -> str:
        """Say which run a checkpoint belongs to: settings, data, conditions and validation samples."""
        stop = "" if validation is None else f" {validation.tolist()}"
        return f"{self.name} {self.parameters()} {self.fingerprint_} {sha256(codes.tobytes()).hexdigest()}{stop}"

    # -- bundle --------------------------------------------------------------------------------------------------------

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """All arrays, and all that JSON holds."""
        arrays = {f"model/{name}": array for name, array in self._arrays().items()}
        representation = getattr(self, "representation_", None)
        if representation is not None:
            arrays |= {f"representation/{name}": array for name, array in representation.arrays().items()}
        facts = {
            "name": self.name,
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

    def restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.genes_, self.scale_, self.sparse_ = pd.Index(facts["genes"]), facts["scale"], bool(facts["sparse"])
        self.conditions_ = Conditions.from_state(facts["conditions"])
        stored = facts["representation"]
        parts = under("representation", arrays)
        self.representation_ = None if stored is None else Representation.from_state(parts, stored, self.genes_)
        self.fingerprint_, self.n_samples_ = facts["fingerprint"], int(facts["n_samples"])
        self.notes_, self.history_ = list(facts["notes"]), pd.DataFrame(facts["history"])
        self._restore(under("model", arrays), facts["model"])
        drawn = self.sample(TRIED, seed=0).X
        if not np.isfinite(drawn.data if sp.issparse(drawn) else drawn).all():
            message = "what it draws is not finite"
            raise ValueError(message)

    def describe(self) -> list[str]:
        """Lines of the card."""
        conditions = self.conditions_
        levels = [f"{column} ({', '.join(values)})" for column, values in conditions.levels.items()]
        combinations = f"; {len(conditions)} combinations seen" if levels else ""
        return [
            f"fitted on {self.n_samples_:,} samples x {len(self.genes_):,} genes: {WORDS[self.scale_]}",
            f"conditions: {'; '.join(levels) or 'none'}{combinations}",
            f"data fingerprint (SHA-256): {self.fingerprint_}",
            *self._describe(),
        ]
