"""The container of the response job: measured pairs, and what is known of both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.data.omics import align_features
from cellixir.exceptions import (
    ConfigurationError,
    DataError,
    DuplicateIds,
    InvalidValues,
    UnknownIds,
    examples,
)

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
        Features of the samples, one view a modality; every sample of ``responses`` is in every view.
        None: responses alone (enough for leave-pairs-out).
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
        _check_columns(self.responses)
        if self.measured:
            _check_finite(self.responses)
        for index, kind in ((self.samples.index, "sample"), (self.drugs.index, "drug")):
            _check_unique_index(index, kind)
            _check_text(index, kind)
        _check_known(self.responses["sample"], self.samples.index, "sample")
        _check_known(self.responses["drug"], self.drugs.index, "drug")
        _check_replicates(self.responses)
        for name, view in self.views.items():
            _check_known(self.responses["sample"], view.obs_names, "sample", where=f" in view '{name}'")

    def __len__(self) -> int:
        return len(self.responses)

    def __repr__(self) -> str:
        views = ", ".join(f"{n} {v.n_vars}" for n, v in self.views.items()) or "none"
        return (
            f"ResponseData({len(self):,} x {self.measure}, {len(self.samples):,} samples, "
            f"{len(self.drugs):,} drugs, views: {views})"
        )

    @property
    def views(self) -> dict[str, AnnData]:
        """Views by name, empty when there are no omics."""
        return dict(self.omics.mod) if self.omics is not None else {}

    @cached_property
    def sample_index(self) -> NDArray[np.int64]:
        """Row of each measurement's sample in ``samples``, shape ``(n_pairs,)``."""
        return np.asarray(self.samples.index.get_indexer(pd.Index(self.responses["sample"])), dtype=np.int64)

    @cached_property
    def drug_index(self) -> NDArray[np.int64]:
        """Row of each measurement's drug in ``drugs``, shape ``(n_pairs,)``."""
        return np.asarray(self.drugs.index.get_indexer(pd.Index(self.responses["drug"])), dtype=np.int64)

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

    def feature_matrix(
        self, view: str, names: Sequence[str] | None = None, *, missing: Any = "error"
    ) -> NDArray[np.float32]:
        """Features of every sample of ``samples`` in one view, shape ``(n_samples, n_features)``."""
        if view not in self.views:
            message = f"there is no view '{view}'; the data have {examples(self.views)}"
            raise ConfigurationError(message)
        table = self.views[view]
        rows = table.obs_names.get_indexer(self.samples.index)
        _check_known(pd.Series(self.samples.index), table.obs_names, "sample", where=f" in view '{view}'")
        wanted = list(table.var_names if names is None else names)
        matrix, _ = align_features(table, wanted, missing=missing, source=view)
        return np.ascontiguousarray(matrix[rows])

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
    ) -> ResponseData:
        """Return the data that all tables share; what is left out is counted in ``notes``.

        Samples without features in one of the views are left out (a drug without annotation stays).

        Raises
        ------
        UnknownIds
            If no sample, or no drug, is shared.
        """
        notes: list[str] = []
        responses = responses.astype({"sample": str, "drug": str})
        for name, view in (views or {}).items():
            _check_unique_index(view.obs_names, f"sample (view '{name}')")
            responses = _keep_known(responses, "sample", view.obs_names, f"view '{name}'", notes)
        sample_ids = _ids_in_order(responses["sample"], samples)
        drug_ids = _ids_in_order(responses["drug"], drugs)
        samples = _annotation(samples, sample_ids, "sample", notes)
        for view in (views or {}).values():
            samples = _add_columns(samples, view.obs.reindex(sample_ids))
        drugs = _annotation(drugs, drug_ids, "drug", notes)
        untyped = int(samples["tissue"].isna().sum()) if "tissue" in samples else 0
        if untyped:
            notes.append(f"{untyped:,} of {len(samples):,} samples have no tissue; they count as one, 'unknown'")
        omics = _as_mudata({name: view[sample_ids].copy() for name, view in (views or {}).items()})
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
        ids = next(iter(views.values())).obs_names if views else pd.Index([] if samples is None else samples.index)
        if ids.empty:
            message = "there are no samples to predict; give their features (--omics VIEW=FILE) or ids (--samples FILE)"
            raise DataError(message)
        pairs = pd.MultiIndex.from_product([ids, drugs.index], names=["sample", "drug"]).to_frame(index=False)
        return cls.join(pairs.assign(response=0.0), views=views, samples=samples, drugs=drugs).as_question()


def _as_mudata(views: dict[str, AnnData]) -> MuData | None:
    if not views:
        return None
    import mudata

    with mudata.set_options(pull_on_update=False):
        return mudata.MuData(views)


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
        notes.append(
            f"{len(lost):,} {column}s ({(~inside).sum():,} measurements) are not in {where} "
            f"and were left out: {examples(lost)}"
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
    if table is None or table.shape[1] == 0:
        return pd.DataFrame(index=ids)
    _check_unique_index(table.index, kind)
    unknown = ids[~ids.isin(table.index)]
    if len(unknown) == len(ids):
        message = (
            f"no {kind} of the responses (e.g. {examples(ids)}) is in the {kind} table "
            f"(e.g. {examples(table.index)}); use the same ids in both files"
        )
        raise UnknownIds(message)
    if len(unknown):
        notes.append(f"{len(unknown):,} {kind}s have no annotation: {examples(unknown)}")
    return table.reindex(ids)


def _add_columns(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """Columns of ``right`` that ``left`` lacks, beside ``left``."""
    return left.join(right[[c for c in right.columns if c not in left.columns]])


def _check_columns(responses: pd.DataFrame) -> None:
    missing = [c for c in ("sample", "drug", "response") if c not in responses]
    if missing:
        message = f"responses lack the column {examples(missing)}; they have {examples(responses.columns, 10)}"
        raise DataError(message)
    if responses.empty:
        message = "there is no measured response; every value was missing or every row was left out"
        raise DataError(message)


def _check_finite(responses: pd.DataFrame) -> None:
    values = pd.to_numeric(responses["response"], errors="coerce").to_numpy(np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        row = responses.iloc[bad[0]]
        message = (
            f"{len(bad):,} responses are not finite numbers, the first for sample {row['sample']!r} and drug "
            f"{row['drug']!r}: {row['response']!r}; leave such rows out"
        )
        raise InvalidValues(message)


def _check_unique_index(index: pd.Index, kind: str) -> None:
    if not index.is_unique:
        repeated = pd.unique(index[index.duplicated()])
        message = f"{len(repeated):,} {kind} ids stand more than once: {examples(repeated)}; keep one row each"
        raise DuplicateIds(message)


def _check_text(index: pd.Index, kind: str) -> None:
    wrong = [i for i in index if not isinstance(i, str)]
    if wrong:
        message = (
            f"{kind} ids must be text, not {type(wrong[0]).__name__} ({examples(wrong)}); "
            f"cast them in all tables, for example with .astype(str)"
        )
        raise InvalidValues(message)


def _check_known(ids: pd.Series, known: pd.Index, kind: str, where: str = "") -> None:
    unknown = pd.unique(ids[~ids.isin(known)])
    if len(unknown):
        message = (
            f"{len(unknown):,} {kind} ids are unknown{where or f' in the {kind} table'}: {examples(unknown)}; "
            f"add them there or leave their responses out (ResponseData.join does)"
        )
        raise UnknownIds(message)


def _check_replicates(responses: pd.DataFrame) -> None:
    key = [c for c in ("sample", "drug", "replicate") if c in responses]
    repeated = responses.duplicated(key)
    if repeated.any():
        row = responses[repeated].iloc[0]
        message = (
            f"{int(repeated.sum()):,} measurements repeat another one, the first for sample {row['sample']!r} and "
            f"drug {row['drug']!r}; number them in a 'replicate' column or average them"
        )
        raise DuplicateIds(message)
