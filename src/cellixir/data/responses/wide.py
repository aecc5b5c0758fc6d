"""Matrices of responses: samples x drugs, or drugs x samples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from cellixir.data.dates import without_dates
from cellixir.data.known_columns import SAMPLE_NOTES, plain
from cellixir.data.responses.drug_columns import drug_columns, refuse_strangers
from cellixir.data.responses.measures import Measure, measure_of
from cellixir.data.responses.orientation import samples_are_columns, turned
from cellixir.data.responses.request import Request, ResponseTable, as_table
from cellixir.data.responses.values import numbers
from cellixir.data.spellings import drug_spelling, joined_spellings
from cellixir.data.tables import refuse_duplicates
from cellixir.exceptions import ConfigurationError, ReadError, examples

GDSC_DRUG = re.compile(r"drug_(\w+?)_ic50", re.IGNORECASE)
_GDSC_FEATURE = re.compile(r".*_(mut|hypmet)|(gain|loss)_cna.*|(msi|ms_instability|media)_factor.*", re.IGNORECASE)
#: Annotation that is taken along, and needs no note.
_NOTES = {alias for names in SAMPLE_NOTES.values() for alias in names}


def read_gdsc_wide(ask: Request) -> ResponseTable:
    """GDSC's matrix of ln IC50, perhaps with its features beside it."""
    if ask.measure not in {None, "LN_IC50"}:
        message = f"{ask.source} is a GDSC matrix of LN_IC50; it holds no {ask.measure}"
        raise ConfigurationError(message)
    sample = ask.find("sample", ask.sample, ("cosmic_id",))
    drugs = {str(c): m[1] for c in ask.frame.columns if (m := GDSC_DRUG.fullmatch(str(c)))}
    unknown = [
        str(column)
        for column in ask.frame.columns
        if column not in drugs and column != sample and plain(column) not in _NOTES
        if not _GDSC_FEATURE.fullmatch(plain(column))
    ]
    if unknown or not drugs:
        message = (
            f"{ask.source}: columns {examples(unknown)} are neither Drug_<id>_IC50 nor GDSC features; "
            "drop or rename them"
        )
        raise ReadError(message)
    return _melted(ask, sample, drugs, Measure("IC50", "ln", "µM"), "gdsc-wide")


def the_right_way_round(ask: Request, turn: bool) -> Request:
    """The request with samples in rows; ``turn``: they are known to be columns."""
    first = str(ask.frame.columns[0])
    rows, columns = ask.frame[first].dropna(), drug_columns(ask.frame, first)[0].columns
    why = "no sample of its rows is known elsewhere" if turn else samples_are_columns(first, rows, columns)
    if ask.sample or not why:
        return ask
    note = f"{ask.source}: samples were taken to be the columns, and the table was turned: {why}"
    return replace(ask, frame=turned(ask.frame, first), notes=[*ask.notes, note])


def read_wide(ask: Request) -> ResponseTable:
    """Matrix of samples x drugs; known columns of ids and annotation are no drugs."""
    sample = ask.find("sample", ask.sample, (str(ask.frame.columns[0]),))
    columns, known = drug_columns(ask.frame, sample)
    if strange := [column for column in known if plain(column) not in _NOTES]:
        ask.notes.append(f"{ask.source}: columns of ids and annotation are no drugs: {examples(strange, 8)}")
    measure = (measure_of(ask.measure) or Measure(ask.measure)) if ask.measure else Measure("response")
    return _melted(ask, sample, {str(c): str(c) for c in columns.columns}, measure, "wide")


def _melted(ask: Request, sample: str, drugs: Mapping[str, str], measure: Measure, layout: str) -> ResponseTable:
    samples = ask.ids(sample, "sample")
    way_out = "keep one row a sample; if the table is long, name its columns sample, drug and response"
    refuse_duplicates(samples, source=ask.source, what="sample", way_out=way_out)
    without_dates(list(drugs.values()), source=ask.source, what="drugs", restore=False)
    drug_ids = pd.Index(list(drugs.values()), dtype=object, name="drug")
    refuse_duplicates(drug_ids, source=ask.source, what="drug", way_out="keep one column a drug")
    joined, _ = joined_spellings(drug_ids, drug_spelling, source=ask.source, what="drug")
    refuse_duplicates(joined, source=ask.source, what="spelling of drug", way_out="keep one column a drug")
    block, signs = numbers(ask.frame[list(drugs)].set_index(samples), source=ask.source)
    if layout == "wide":
        ask.notes.extend(refuse_strangers(block, source=ask.source))
    known = ~np.isnan(block.to_numpy())
    rows, columns = np.nonzero(known)
    values, done = ask.scaled(block.to_numpy()[known], measure, measure.what if ask.measure else "response")
    pairs = pd.DataFrame({"sample": samples[rows], "drug": drug_ids[columns], "response": values})
    return as_table(
        ask, pairs, signs[known], (measure, done), samples, pd.DataFrame(index=drug_ids), layout, known.size
    )
