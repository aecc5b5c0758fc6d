"""Container of the response job: measured pairs, and the tables of samples and drugs that they point to."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from cellixir.data.audit.identity import molecule_groups
from cellixir.data.omics import align_features
from cellixir.data.response_checks import (
    check_columns,
    check_finite,
    check_known,
    check_replicates,
    check_text,
    check_unique_index,
)
from cellixir.exceptions import ConfigurationError, DataError, UnknownIds, counted, examples

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData
    from numpy.typing import NDArray

UNKNOWN_TISSUE = "unknown"


@dataclass(frozen=True, eq=False)
class ResponseData:
    """Responses of samples to drugs, with the omics and the drugs that they point to.

    Parameters
    ----------
    responses
        One row a measurement: ``sample``, ``drug``, ``response`` and, where a pair was measured more
        than once, ``replicate``.
    omics
        Features of the samples, one view a modality; every sample of ``responses`` is in at least one, and a
        sample that a view lacks is masked there. None: responses alone (enough for leave-pairs-out).
    samples
        Annotation, indexed by sample id; a ``tissue`` column is used by baselines, splits and figures.
    drugs
        Annotation, indexed by drug id (``name``, ``smiles``, ``targets``, ``pathway``).
    measure, unit
        What ``response`` is, for example ``LN_IC50`` in ln µM.
    source
        Where the data came from, for reports.
    notes
        What was left out when the tables were joined, in words.
    measured
        False for a question: pairs whose response is to be predicted.

    Raises
    ------
    DataError
        If ids are unknown or duplicated, or a response is not a finite number.

    Examples
    --------
    >>> pairs = pd.DataFrame({"sample": ["A", "A", "B"], "drug": ["D1", "D2", "D1"], "response": [0.5, -1.0, 2.0]})
    >>> samples, drugs = pd.DataFrame(index=["A", "B"]), pd.DataFrame(index=["D1", "D2"])
    >>> ResponseData(pairs, None, samples, drugs, measure="LN_IC50", unit="ln µM")
    ResponseData(3 x LN_IC50, 2 samples, 2 drugs, views: none)
    """

    responses: pd.DataFrame
    omics: MuData | None
    samples: pd.DataFrame
    drugs: pd.DataFrame
    measure: str = "response"
    unit: str = ""
    source: str = ""
    notes: tuple[str, ...] = field(default=())
    measured: bool = True

    def __post_init__(self) -> None:
        check_columns(self.responses)
        if self.measured:
            check_finite(self.responses)
        for index, kind in ((self.samples.index, "sample"), (self.drugs.index, "drug")):
            check_unique_index(index, kind)
            check_text(index, kind)
        check_known(self.responses["sample"], self.samples.index, "sample")
        check_known(self.responses["drug"], self.drugs.index, "drug")
        check_replicates(self.responses)
        if self.views:
            check_known(self.responses["sample"], self._described, "sample", where=f" in {_named(self.views)}")

    def __len__(self) -> int:
        return len(self.responses)

    def __repr__(self) -> str:
        views = ", ".join(f"{n} {v.n_vars}" for n, v in self.views.items()) or "none"
        return (
            f"ResponseData({len(self):,} x {self.measure}, {counted(len(self.samples), 'sample')}, "
            f"{counted(len(self.drugs), 'drug')}, views: {views})"
        )

    def __getstate__(self) -> dict[str, object]:
        # a MuData cannot be unpickled (its file manager refers to nothing), its views can; other processes need them
        return {**self.__dict__, "omics": self.views}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"omics": _as_mudata(state["omics"])})

    @property
    def views(self) -> dict[str, AnnData]:
        """Views by name, empty when there are no omics."""
        return dict(self.omics.mod) if self.omics is not None else {}

    @property
    def _described(self) -> pd.Index:
        """Ids of the samples that stand in any view."""
        return pd.Index(np.unique(np.concatenate([view.obs_names.to_numpy(str) for view in self.views.values()])))

    @cached_property
    def sample_index(self) -> NDArray[np.int64]:
        """Row of each measurement's sample in ``samples``, shape ``(n_pairs,)``."""
        return np.asarray(self.samples.index.get_indexer(pd.Index(self.responses["sample"])), dtype=np.int64)

    @cached_property
    def drug_index(self) -> NDArray[np.int64]:
        """Row of each measurement's drug in ``drugs``, shape ``(n_pairs,)``."""
        return np.asarray(self.drugs.index.get_indexer(pd.Index(self.responses["drug"])), dtype=np.int64)

    @cached_property
    def molecule_index(self) -> NDArray[np.int64]:
        """Code of each measurement's molecule, shape ``(n_pairs,)``: a drug screened twice is one molecule."""
        return molecule_groups(self.drugs)[self.drug_index]

    @cached_property
    def response(self) -> NDArray[np.float64]:
        """Responses, shape ``(n_pairs,)``."""
        return self.responses["response"].to_numpy(np.float64)

    @cached_property
    def tissue(self) -> pd.Series:
        """Tissue of each sample; ``'unknown'`` where none is given."""
        if "tissue" not in self.samples:
            return pd.Series(UNKNOWN_TISSUE, index=self.samples.index, name="tissue")
        return self.samples["tissue"].astype(object).fillna(UNKNOWN_TISSUE).astype(str)

    @property
    def has_tissue(self) -> bool:
        """Whether any sample has a known tissue."""
        return bool((self.tissue != UNKNOWN_TISSUE).any())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of pairs, features and annotation: equal data give equal fingerprints."""
        digest = hashlib.sha256()
        for column in ("sample", "drug"):
            digest.update("\x1f".join(self.responses[column].astype(str)).encode())
        digest.update(self.response.tobytes())
        for name, view in self.views.items():
            digest.update(f"\x1e{name}\x1f".encode() + "\x1f".join(view.var_names).encode())
            digest.update("\x1f".join(view.obs_names).encode())
            digest.update(align_features(view, list(view.var_names))[0].tobytes())
        for table in (self.samples, self.drugs):
            digest.update(table.to_csv().encode())
        return digest.hexdigest()

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> ResponseData:
        """Return the measurements at ``rows``, with samples, drugs and omics unchanged."""
        return replace(self, responses=self.responses.iloc[rows].reset_index(drop=True))

    def as_question(self) -> ResponseData:
        """Return the same pairs with their responses taken away: what a model that predicts may see."""
        return replace(self, responses=self.responses.assign(response=np.nan), measured=False)

    def in_view(self, view: str) -> NDArray[np.bool_]:
        """Whether each sample of ``samples`` stands in a view, shape ``(n_samples,)``."""
        return np.asarray(self.samples.index.isin(self._view(view).obs_names))

    def feature_matrix(
        self, view: str, names: Sequence[str] | None = None, *, missing: Literal["refuse", "zero"] = "refuse"
    ) -> NDArray[np.float32]:
        """Features of every sample of ``samples`` in one view, shape ``(n_samples, n_features)``.

        A sample that the view lacks is a row of NaN.
        """
        table = self._view(view)
        rows = table.obs_names.get_indexer(self.samples.index)
        wanted = list(table.var_names if names is None else names)
        matrix, _ = align_features(table, wanted, missing=missing, source=view)
        matrix = np.ascontiguousarray(matrix[rows])
        matrix[rows < 0] = np.nan
        return matrix

    def _view(self, name: str) -> AnnData:
        if name not in self.views:
            message = f"there is no view '{name}'; the data have {examples(self.views) or 'none'}"
            raise ConfigurationError(message)
        return self.views[name]

    def with_views(self, views: dict[str, AnnData], *, require: Sequence[str] = ()) -> ResponseData:
        """Return the data with more views; those that have a name of theirs replace it.

        Parameters
        ----------
        views
            Samples in rows, named as in ``samples``.
        require
            Views that every sample must stand in: the others are left out, and counted in ``notes``.

        Raises
        ------
        UnknownIds
            If a view shares no sample with the responses.
        """
        joined = ResponseData.join(
            self.responses,
            views=self.views | views,
            samples=self.samples,
            drugs=self.drugs,
            measure=self.measure,
            unit=self.unit,
            source=self.source,
            require=require,
        )
        return replace(joined, notes=self.notes + joined.notes, measured=self.measured)

    def only_views(self, names: Sequence[str]) -> ResponseData:
        """Return the data with the views ``names`` alone; samples, also those that they lack, and annotation stay."""
        if not names:
            message = f"no view is named; choose among {examples(self.views, 8) or 'none'}"
            raise ConfigurationError(message)
        views = {name: self._view(name) for name in names}
        without = self.samples.index[~self.samples.index.isin(np.concatenate([v.obs_names for v in views.values()]))]
        if self.responses["sample"].isin(without).any():
            message = (
                f"{len(without):,} samples are in none of the views {', '.join(names)}: {examples(without)}; "
                f"leave them out (--require {names[0]}), or use more views"
            )
            raise UnknownIds(message)
        return replace(self, omics=_as_mudata(views))

    @classmethod
    def join(
        cls,
        responses: pd.DataFrame,
        *,
        views: dict[str, AnnData] | None = None,
        samples: pd.DataFrame | None = None,
        drugs: pd.DataFrame | None = None,
        measure: str = "response",
        unit: str = "",
        source: str = "",
        require: Sequence[str] = (),
    ) -> ResponseData:
        """Return the data that the tables share; what is left out is counted in ``notes``.

        Samples that stand in no view, or not in one of ``require``, are left out (a drug without annotation stays).

        Raises
        ------
        UnknownIds
            If no sample, or no drug, is shared.
        ConfigurationError
            If a view of ``require`` is not there.
        """
        notes: list[str] = []
        views = views or {}
        responses = responses.astype({"sample": str, "drug": str})
        responses = _keep_described(responses, views, require, notes)
        sample_ids = _ids_in_order(responses["sample"], samples)
        drug_ids = _ids_in_order(responses["drug"], drugs)
        samples = _annotation(samples, sample_ids, "sample", notes)
        for view in views.values():
            samples = _add_columns(samples, view.obs.reindex(sample_ids))
        drugs = _annotation(drugs, drug_ids, "drug", notes)
        untyped = int(samples["tissue"].isna().sum()) if "tissue" in samples else 0
        if untyped:
            notes.append(f"{untyped:,} of {len(samples):,} samples have no tissue; they count as one, 'unknown'")
        omics = _as_mudata({n: v[sample_ids[sample_ids.isin(v.obs_names)]].copy() for n, v in views.items()})
        notes += _masked(views, sample_ids)
        return cls(responses, omics, samples, drugs, measure, unit, source, tuple(notes))

    @classmethod
    def question(
        cls, views: dict[str, AnnData], drugs: pd.DataFrame, samples: pd.DataFrame | None = None
    ) -> ResponseData:
        """Return every sample of ``views`` (of ``samples``, if there is no view) with every drug of ``drugs``.

        Raises
        ------
        DataError
            If there is neither a view nor a sample.
        """
        names = [view.obs_names.to_numpy(str) for view in views.values()]
        ids = pd.Index(pd.unique(np.concatenate(names)) if names else [] if samples is None else samples.index)
        if ids.empty:
            message = "there are no samples to predict; give their features (--omics VIEW=FILE) or ids (--samples FILE)"
            raise DataError(message)
        pairs = pd.MultiIndex.from_product([ids, drugs.index], names=["sample", "drug"]).to_frame(index=False)
        return cls.join(pairs.assign(response=0.0), views=views, samples=samples, drugs=drugs).as_question()


def _as_mudata(views: dict[str, AnnData]) -> MuData | None:
    if not views:
        return None
    import mudata

    with mudata.set_options(pull_on_update=False), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="var_names are not unique")  # a gene may stand in several views
        return mudata.MuData(views)


def _keep_described(
    responses: pd.DataFrame, views: dict[str, AnnData], require: Sequence[str], notes: list[str]
) -> pd.DataFrame:
    """Responses of the samples that stand in any view, and in each of ``require``."""
    for name, view in views.items():
        check_unique_index(view.obs_names, f"sample (view '{name}')")
        if not responses["sample"].isin(view.obs_names).any():
            _keep_known(responses, "sample", view.obs_names, f"view '{name}'", notes)
    absent = [name for name in require if name not in views]
    if absent:
        message = f"the view '{absent[0]}' that is required is not there; the data have {examples(views) or 'none'}"
        raise ConfigurationError(message)
    if views:
        described = pd.Index(pd.unique(np.concatenate([view.obs_names.to_numpy(str) for view in views.values()])))
        responses = _keep_known(responses, "sample", described, _named(views), notes)
    for name in require:
        responses = _keep_known(responses, "sample", views[name].obs_names, f"view '{name}'", notes)
    return responses


def _named(views: dict[str, AnnData]) -> str:
    return f"view '{next(iter(views))}'" if len(views) == 1 else f"any of the views {', '.join(views)}"


def _masked(views: dict[str, AnnData], ids: pd.Index) -> list[str]:
    lacking = {name: int((~ids.isin(view.obs_names)).sum()) for name, view in views.items()}
    return [f"{n:,} of {len(ids):,} samples lack view '{v}'; they are masked there" for v, n in lacking.items() if n]


def _keep_known(responses: pd.DataFrame, column: str, known: pd.Index, where: str, notes: list[str]) -> pd.DataFrame:
    inside = responses[column].isin(known)
    lost = pd.unique(responses.loc[~inside, column])
    if not inside.any():
        message = (
            f"no {column} of the responses (e.g. {examples(lost)}) is in {where} (e.g. {examples(known)}); "
            f"use the same ids in both files"
        )
        raise UnknownIds(message)
    if len(lost):
        are, were = ("is", "was") if len(lost) == 1 else ("are", "were")
        notes.append(
            f"{counted(len(lost), column)} ({counted(int((~inside).sum()), 'measurement')}) {are} not in {where} "
            f"and {were} left out: {examples(lost)}"
        )
    return responses[inside].reset_index(drop=True)


def _ids_in_order(ids: pd.Series, table: pd.DataFrame | None) -> pd.Index:
    """Distinct ids, in the order of the annotation table where there is one: splits then do not hang on row order."""
    distinct = pd.Index(pd.unique(ids))
    if table is None:
        return distinct
    listed = table.index[table.index.isin(distinct)]
    return listed.append(distinct[~distinct.isin(listed)])


def _annotation(table: pd.DataFrame | None, ids: pd.Index, kind: str, notes: list[str]) -> pd.DataFrame:
    """Rows of ``table`` for ``ids``, in that order; unknown ids get empty rows and a note."""
    if table is None:
        return pd.DataFrame(index=ids)
    check_unique_index(table.index, kind)
    unknown = ids[~ids.isin(table.index)]
    if len(unknown) == len(ids):
        message = (
            f"no {kind} of the responses (e.g. {examples(ids)}) is in the {kind} table "
            f"(e.g. {examples(table.index)}); use the same ids in both files"
        )
        raise UnknownIds(message)
    if len(unknown):
        notes.append(
            f"{counted(len(unknown), kind)} {'has' if len(unknown) == 1 else 'have'} no annotation: {examples(unknown)}"
        )
    return table.reindex(ids)


def _add_columns(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """Columns of ``right`` that ``left`` lacks, beside ``left``."""
    return left.join(right[[c for c in right.columns if c not in left.columns]])
