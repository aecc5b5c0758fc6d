"""A table of responses while it is read, and when it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.data.dates import without_dates
from cellixir.data.known_columns import SAMPLE_IDS, SAMPLE_NOTES, first_match, plain
from cellixir.data.responses.measures import Measure, converted, named, with_unit
from cellixir.data.responses.values import notes_on
from cellixir.data.spellings import drug_spelling, joined_spellings, sample_spelling
from cellixir.data.tables import as_text, id_index
from cellixir.exceptions import ReadError, examples


@dataclass(frozen=True)
class ResponseTable:
    """Responses of a file as one row a measurement, with what the file knew of samples and drugs.

    Attributes
    ----------
    pairs
        Columns ``sample`` and ``drug`` (text), ``response`` (float64); ``replicate`` (text) where pairs were measured
        more than once, and ``censored`` (``>``, ``<`` or nothing) where responses are limits.
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
    ids
        Other ids of the samples that the file holds, one column a kind, by sample.
    notes
        What was converted, joined, left out or assumed, in words.
    """

    pairs: pd.DataFrame
    samples: pd.DataFrame
    drugs: pd.DataFrame
    measure: str
    unit: str
    layout: str
    n_missing: int
    ids: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """A table and what the caller said about it; readers add what they notice to ``notes``."""

    frame: pd.DataFrame
    source: str
    measure: str | None = None
    unit: str | None = None
    sample: str | None = None
    drug: str | None = None
    response: str | None = None
    notes: list[str] = field(default_factory=list)

    def find(self, role: str, given: str | None, aliases: Iterable[str]) -> str:
        """Column that plays a role: the one given, else the first alias that is there."""
        column = first_match(self.frame.columns, (given,) if given else aliases)
        if column is None:
            usual = list(aliases)
            wanted = repr(given) if given else f"{', '.join(usual[:8])}{', ...' if len(usual) > 8 else ''}"
            message = (
                f"{self.source} has no {role} column (looked for {wanted}); "
                f"it has {examples(map(str, self.frame.columns), 20)}; name it with --{role}-column ({role}_column)"
            )
            raise ReadError(message)
        return column

    def ids(self, column: str, what: str) -> pd.Index:
        """Ids of a column, in one spelling each."""
        ids = id_index(self.frame[column], source=self.source, what=what)
        without_dates(list(ids.unique()), source=self.source, what=f"{what}s", restore=False)
        joined, notes = joined_spellings(ids, _SPELLING[what], source=self.source, what=what)
        self.notes.extend(notes)
        return joined.rename(what)

    def scaled(self, values: NDArray[np.float64], measure: Measure, column: str) -> tuple[NDArray[np.float64], Measure]:
        """Values on the scale that is worked in, and what they are then."""
        told = with_unit(measure, self.unit) if self.unit else measure
        scaled, done, notes = converted(values, told, column=column, source=self.source)
        self.notes.extend(notes)
        return scaled, done


_SPELLING = {"sample": sample_spelling, "drug": drug_spelling}


def as_table(
    ask: Request,
    pairs: pd.DataFrame,
    signs: NDArray[np.str_],
    measures: tuple[Measure, Measure],
    samples: pd.Index,
    drugs: pd.DataFrame,
    layout: str,
    n_cells: int,
) -> ResponseTable:
    """The table that was read, with its notes; ``measures`` before and after conversion tell which way limits point."""
    before, after = measures
    measure, unit = named(after)
    if before.log == "-log10" or (before.what, after.what) == ("AAC", "AUC"):  # more became less
        signs = np.select([signs == ">", signs == "<"], ["<", ">"], "")
    ask.notes.extend(notes_on(pairs["response"].to_numpy(), signs, unit))
    if (signs != "").any():
        pairs["censored"] = signs.astype(object)
    return ResponseTable(
        pairs=pairs,
        samples=described(ask.frame, samples, SAMPLE_NOTES),
        drugs=drugs,
        measure=measure,
        unit=unit,
        layout=layout,
        n_missing=n_cells - len(pairs),
        ids=_other_ids(ask.frame, samples),
        notes=tuple(ask.notes),
    )


def described(frame: pd.DataFrame, ids: pd.Index, notes: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """One row an id: of each note the first value that is not missing."""
    matches = {note: first_match(frame.columns, aliases) for note, aliases in notes.items()}
    found = {note: column for note, column in matches.items() if column is not None}
    if not found:
        return pd.DataFrame(index=ids.unique())
    known = pd.DataFrame({note: frame[column].to_numpy() for note, column in found.items()}, index=ids)
    return known.groupby(level=0, sort=False).first()


def _other_ids(frame: pd.DataFrame, samples: pd.Index) -> pd.DataFrame:
    """Columns of ids of the samples, as text, one row a sample."""
    columns = [c for c in frame.columns if plain(c) in SAMPLE_IDS]
    known = pd.DataFrame({str(c): as_text(frame[c]).to_numpy() for c in columns}, index=samples)
    return known.groupby(level=0, sort=False).first() if columns else pd.DataFrame(index=samples.unique())
