"""Drug responses in the published layouts: GDSC matrices, fitted curves, wide and long tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from cellixir.data.tables import id_index, numeric_block, read_table, refuse_duplicates
from cellixir.exceptions import ConfigurationError, DuplicateIds, InvalidValues, ReadError, examples

Layout = Literal["auto", "gdsc-wide", "gdsc-fitted", "wide", "long"]

_GDSC_DRUG = re.compile(r"drug_(\w+?)_ic50", re.IGNORECASE)
_GDSC_FEATURE = re.compile(r".*_(mut|hypmet)|(gain|loss)_cna.*|(msi|ms_instability|media)_factor.*", re.IGNORECASE)
_CURVE_MARKS = {"nlme_result_id", "nlme_curve_id", "dataset", "sanger_model_id"}

_SAMPLE = tuple(
    "sample sample_id cosmic_id cosmic_sample_id sanger_model_id depmap_id depmapid model_id cell_line "
    "cell_line_id cell_line_name cellosaurus_id patient patient_id".split()
)
_DRUG = tuple("drug drug_id drug_name compound compound_id compound_name pubchem_id treatment".split())
_RESPONSE = ("response", "value", "viability")
_REPLICATE = ("replicate", "rep", "replicate_id")

_SAMPLE_NOTES = {
    "cell_line_name": ("cell_line_name", "sample_name"),
    "tissue": ("tcga_desc", "tissue", "tissue_factor", "tissue_factor_value"),
    "sanger_model_id": ("sanger_model_id",),
}
_DRUG_NOTES = {
    "name": ("drug_name", "compound_name"),
    "targets": ("putative_target", "targets", "target", "drug_target"),
    "pathway": ("pathway_name", "target_pathway", "pathway"),
}


@dataclass(frozen=True)
class ResponseTable:
    """Responses of a file as one row a measurement, with what the file knew of samples and drugs.

    Attributes
    ----------
    pairs
        Columns ``sample`` and ``drug`` (text), ``response`` (float64) and, where pairs were measured more
        than once, ``replicate`` (text).
    samples
        One row a sample of the file: any of ``cell_line_name``, ``tissue``, ``sanger_model_id``.
    drugs
        One row a drug of the file: any of ``name``, ``targets``, ``pathway``.
    measure, unit
        ``LN_IC50`` in ``ln µM``, ``AUC`` or ``response`` without a unit.
    layout
        The layout that was read.
    n_missing
        Empty cells of a matrix, or rows without a response, that were dropped.
    """

    pairs: pd.DataFrame
    samples: pd.DataFrame
    drugs: pd.DataFrame
    measure: str
    unit: str
    layout: str
    n_missing: int


@dataclass(frozen=True)
class _Request:
    """A table and what the caller said about it."""

    frame: pd.DataFrame
    source: str
    measure: str | None
    sample: str | None
    drug: str | None
    response: str | None

    def find(self, role: str, given: str | None, aliases: tuple[str, ...]) -> str:
        """Column that plays a role: the one given, else the first alias that is there."""
        column = _first_match(self.frame.columns, (given,) if given else aliases)
        if column is None:
            wanted = repr(given) if given else " or ".join(aliases)
            message = (
                f"{self.source} has no {role} column (looked for {wanted}); "
                f"it has {examples(map(str, self.frame.columns), 20)}; name it with {role}_column"
            )
            raise ReadError(message)
        return column


def read_responses(
    path: str | Path,
    *,
    layout: Layout = "auto",
    measure: str | None = None,
    sample_column: str | None = None,
    drug_column: str | None = None,
    response_column: str | None = None,
) -> ResponseTable:
    """Responses of a file, whichever of the four layouts it has.

    Parameters
    ----------
    path
        Any file that `read_table` reads.
    layout
        ``gdsc-wide``: ``COSMIC_ID`` and columns ``Drug_<id>_IC50`` (ln µM). ``gdsc-fitted``: the fitted
        dose-response table of GDSC release 8. ``wide``: samples in rows, drugs in columns. ``long``: one row
        a measurement.
    measure
        Which of several measures to take (``LN_IC50`` or ``AUC`` of fitted curves), or what the only one is.
    sample_column, drug_column, response_column
        Columns of a long or fitted table, where their names are not the usual ones.

    Raises
    ------
    ReadError
        If the file cannot be read, its layout is not recognised, or a column is not there.
    InvalidValues
        If a response is text or infinite, an id is missing, or there is no response at all.
    DuplicateIds
        If a sample, or a pair without a ``replicate`` column, stands more than once.
    """
    ids = [name for name in (sample_column, drug_column) if name]
    frame = read_table(path, dtype_text=_text_columns(ids))
    ask = _Request(frame, str(path), _known_measure(measure), sample_column, drug_column, response_column)
    chosen = _recognised(ask) if layout == "auto" else layout
    if chosen not in _LAYOUTS:
        message = f"layout {layout!r} is not known; use auto, {', '.join(_LAYOUTS)}"
        raise ConfigurationError(message)
    table = _LAYOUTS[chosen](ask)
    if table.pairs.empty:
        message = f"{path} holds no response value; all {table.n_missing} cells are missing"
        raise InvalidValues(message)
    return table


def _text_columns(ids: Iterable[str]) -> set[str]:
    notes = (alias for known in (_SAMPLE_NOTES, _DRUG_NOTES) for names in known.values() for alias in names)
    plain = {*ids, *_SAMPLE, *_DRUG, *_REPLICATE, *notes, "dataset"}
    return plain | {name.replace("_", " ") for name in plain}


def _bare_name(name: object) -> str:
    return re.sub(r"[^a-z0-9]+", "_", str(name).casefold()).strip("_")


def _first_match(columns: Iterable[object], wanted: Iterable[str]) -> str | None:
    by_name = {str(column): str(column) for column in columns}
    by_plain_name = {_bare_name(column): column for column in reversed(by_name.values())}
    found = (by_name.get(name) or by_plain_name.get(_bare_name(name)) for name in wanted)
    return next((column for column in found if column is not None), None)


def _known_measure(measure: str | None) -> str | None:
    return measure.upper() if measure and measure.upper() in {"LN_IC50", "AUC"} else measure


def _unit(measure: str) -> str:
    return "ln µM" if measure == "LN_IC50" else ""


def _recognised(ask: _Request) -> str:
    names = {_bare_name(column) for column in ask.frame.columns}
    if any(_GDSC_DRUG.fullmatch(str(column)) for column in ask.frame.columns):
        return "gdsc-wide"
    if {"cosmic_id", "drug_id"} <= names and names & {"ln_ic50", "auc"} and names & _CURVE_MARKS:
        return "gdsc-fitted"
    if {"feature_name", "ic50_effect_size"} <= names:
        message = f"{ask.source} holds ANOVA associations of drugs with features, no responses of samples"
        raise ReadError(message)
    if ask.sample or ask.drug or ask.response or names & set(_DRUG):
        return "long"
    if _mostly_numbers(_drug_columns(ask.frame, str(ask.frame.columns[0]))):
        return "wide"
    message = (
        f"{ask.source}: no known layout has the columns {examples(map(str, ask.frame.columns), 8)}; "
        "supported are gdsc-wide (COSMIC_ID, Drug_<id>_IC50), gdsc-fitted, wide (samples x drugs, numbers) "
        "and long (sample, drug, response; or name the columns)"
    )
    raise ReadError(message)


def _mostly_numbers(frame: pd.DataFrame) -> bool:
    """Whether every column has numbers, and most cells are one; a slip of the pen does not hide a matrix."""
    present = frame.notna().sum()
    numbers = frame.apply(pd.to_numeric, errors="coerce").notna().sum()
    return bool(frame.shape[1] and ((numbers > 0) | (present == 0)).all() and 2 * numbers.sum() > present.sum())


def _read_gdsc_wide(ask: _Request) -> ResponseTable:
    if ask.measure not in {None, "LN_IC50"}:
        message = f"{ask.source} is a GDSC matrix of LN_IC50; it holds no {ask.measure}"
        raise ConfigurationError(message)
    sample = ask.find("sample", ask.sample, ("cosmic_id",))
    drugs = {str(c): m[1] for c in ask.frame.columns if (m := _GDSC_DRUG.fullmatch(str(c)))}
    notes = {alias for names in _SAMPLE_NOTES.values() for alias in names}
    unknown = [
        str(column)
        for column in ask.frame.columns
        if column not in drugs and column != sample and _bare_name(column) not in notes
        if not _GDSC_FEATURE.fullmatch(_bare_name(column))
    ]
    if unknown or not drugs:
        message = (
            f"{ask.source}: columns {examples(unknown)} are neither Drug_<id>_IC50 nor GDSC features; "
            "drop or rename them"
        )
        raise ReadError(message)
    return _melted(ask, sample, drugs, "LN_IC50", "gdsc-wide")


def _read_wide(ask: _Request) -> ResponseTable:
    sample = ask.find("sample", ask.sample, (str(ask.frame.columns[0]),))
    drugs = {str(column): str(column) for column in _drug_columns(ask.frame, sample).columns}
    return _melted(ask, sample, drugs, ask.measure or "response", "wide")


def _drug_columns(frame: pd.DataFrame, sample: str) -> pd.DataFrame:
    notes = {alias for names in _SAMPLE_NOTES.values() for alias in names}
    return frame[[column for column in frame.columns if column != sample and _bare_name(column) not in notes]]


def _melted(ask: _Request, sample: str, drugs: Mapping[str, str], measure: str, layout: str) -> ResponseTable:
    samples = id_index(ask.frame[sample], source=ask.source, what="sample")
    way_out = "keep one row a sample; if the table is long, name its columns sample, drug and response"
    refuse_duplicates(samples, source=ask.source, what="samples stand", way_out=way_out)
    drug_ids = pd.Index(list(drugs.values()), dtype=object, name="drug")
    refuse_duplicates(drug_ids, source=ask.source, what="drugs stand", way_out="keep one column a drug")
    values = numeric_block(ask.frame[list(drugs)].set_index(samples), source=ask.source).to_numpy()
    rows, columns = np.nonzero(~np.isnan(values))
    pairs = pd.DataFrame({"sample": samples[rows], "drug": drug_ids[columns], "response": values[rows, columns]})
    return ResponseTable(
        pairs=pairs,
        samples=_described(ask.frame, samples, _SAMPLE_NOTES),
        drugs=pd.DataFrame(index=drug_ids),
        measure=measure,
        unit=_unit(measure),
        layout=layout,
        n_missing=int(values.size - len(pairs)),
    )


def _read_fitted(ask: _Request) -> ResponseTable:
    sample = ask.find("sample", ask.sample, ("cosmic_id",))
    drug = ask.find("drug", ask.drug, ("drug_id",))
    response = ask.find("response", ask.response, (ask.measure or "LN_IC50",))
    table = _stacked(ask, sample, drug, response, "gdsc-fitted")
    dataset = _first_match(ask.frame.columns, ("dataset",))
    return _with_replicates(table, None if dataset is None else ask.frame[dataset])


def _with_replicates(table: ResponseTable, dataset: pd.Series | None) -> ResponseTable:
    """Tell apart pairs that stand twice: by screen (GDSC1, GDSC2) where that is enough, else by a number."""
    pairs = table.pairs
    if pairs.duplicated(["sample", "drug"]).any():
        number = pairs.groupby(["sample", "drug"]).cumcount().add(1).astype(str).astype(object)
        screen = number if dataset is None else dataset.loc[pairs.index]
        pairs["replicate"] = screen
        if screen.isna().any() or pairs.duplicated(["sample", "drug", "replicate"]).any():
            pairs["replicate"] = number
    pairs.index = pd.RangeIndex(len(pairs))
    return table


def _read_long(ask: _Request) -> ResponseTable:
    sample = ask.find("sample", ask.sample, _SAMPLE)
    drug = ask.find("drug", ask.drug, _DRUG)
    usual = ("ln_ic50", "ic50", "auc", *_RESPONSE)
    response = ask.find("response", ask.response, (ask.measure, *_RESPONSE) if ask.measure else usual)
    table = _stacked(ask, sample, drug, response, "long")
    replicate = _first_match(ask.frame.columns, _REPLICATE)
    if replicate is not None:
        ids = id_index(ask.frame[replicate], source=ask.source, what="replicate")
        table.pairs["replicate"] = ids[table.pairs.index]
    _refuse_repeated_pairs(table.pairs, ask.source)
    table.pairs.index = pd.RangeIndex(len(table.pairs))
    return table


def _stacked(ask: _Request, sample: str, drug: str, response: str, layout: str) -> ResponseTable:
    """Rows with a response, still with their row number as index; ids and numbers are checked."""
    samples = id_index(ask.frame[sample], source=ask.source, what="sample")
    drugs = id_index(ask.frame[drug], source=ask.source, what="drug")
    column = ask.frame[[response]].set_axis(range(1, len(ask.frame) + 1))
    values = numeric_block(column, source=ask.source)[response].to_numpy()
    pairs = pd.DataFrame({"sample": samples, "drug": drugs, "response": values}).dropna(subset="response")
    inferred = {"ln_ic50": "LN_IC50", "auc": "AUC"}.get(_bare_name(response), "response")
    measure = ask.measure or inferred
    return ResponseTable(
        pairs=pairs,
        samples=_described(ask.frame, samples, _SAMPLE_NOTES),
        drugs=_described(ask.frame, drugs, _DRUG_NOTES),
        measure=measure,
        unit=_unit(measure),
        layout=layout,
        n_missing=len(ask.frame) - len(pairs),
    )


def _refuse_repeated_pairs(pairs: pd.DataFrame, source: str) -> None:
    key = [name for name in pairs.columns if name != "response"]
    repeated = pairs[pairs.duplicated(key, keep=False)]
    if repeated.empty:
        return
    counts = repeated.groupby(key, sort=False).size()
    first = ", ".join(f"{name} {value!r}" for name, value in zip(key, counts.index[0], strict=True))
    message = (
        f"{source}: {len(counts)} pairs stand more than once ({first}: {counts.iloc[0]} times); "
        "keep one row of each, or tell them apart in a column `replicate`"
    )
    raise DuplicateIds(message)


def _described(frame: pd.DataFrame, ids: pd.Index, notes: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """One row an id: of each note the first value that is not missing."""
    matches = {note: _first_match(frame.columns, aliases) for note, aliases in notes.items()}
    found = {note: column for note, column in matches.items() if column is not None}
    if not found:
        return pd.DataFrame(index=ids.unique())
    known = pd.DataFrame({note: frame[column].to_numpy() for note, column in found.items()}, index=ids)
    return known.groupby(level=0, sort=False).first()


_LAYOUTS = {
    "gdsc-wide": _read_gdsc_wide,
    "gdsc-fitted": _read_fitted,
    "wide": _read_wide,
    "long": _read_long,
}
