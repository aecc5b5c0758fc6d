"""Drug responses in the published layouts: GDSC matrices, fitted curves, wide and long tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from cellixir.data.known_columns import DRUG_IDS, DRUG_NOTES, REPLICATES, SAMPLE_IDS, SAMPLE_NOTES, plain
from cellixir.data.responses.drug_columns import drug_columns
from cellixir.data.responses.long import RESPONSE, read_long, read_published
from cellixir.data.responses.measures import measure_of
from cellixir.data.responses.published import LAYOUTS, layout_of
from cellixir.data.responses.request import Request, ResponseTable
from cellixir.data.responses.wide import GDSC_DRUG, read_gdsc_wide, read_wide, the_right_way_round
from cellixir.data.tables import read_table
from cellixir.exceptions import ConfigurationError, InvalidValues, ReadError, examples


def read_responses(
    path: str | Path,
    *,
    layout: str = "auto",
    measure: str | None = None,
    unit: str | None = None,
    sample_column: str | None = None,
    drug_column: str | None = None,
    response_column: str | None = None,
    turn: bool = False,
) -> ResponseTable:
    """Responses of a file, whichever of the known layouts it has.

    Concentrations whose unit is known become ln µM, AAC becomes AUC; ``notes`` say so. An id in several spellings
    (``LINE-1`` and ``LINE1``) is one id.

    Parameters
    ----------
    path
        Any file that `read_table` reads.
    layout
        ``gdsc-wide``: ``COSMIC_ID`` and columns ``Drug_<id>_IC50`` (ln µM). ``wide``: samples in rows, drugs in
        columns. ``long``: one row a measurement. Or one of `cellixir.data.responses.published.LAYOUTS`.
    measure
        Which of several measures to take (``LN_IC50`` or ``AUC`` of fitted curves), or what the only one is.
    unit
        What a concentration is in, where the file does not say so: ``nM``, ``ln uM``, ``log10 nM``, ``-log10 M``.
    sample_column, drug_column, response_column
        Columns of a long or published table, where their names are not the usual ones.
    turn
        Read a wide table with drugs in rows and samples in columns.

    Raises
    ------
    ReadError
        If the file cannot be read, its layout is not recognised, or a column is not there.
    InvalidValues
        If a response is text, infinite or cannot be, an id is missing, or there is no response at all.
    DuplicateIds
        If a sample, or a pair without a ``replicate`` column, stands more than once.
    """
    ids = [name for name in (sample_column, drug_column) if name]
    frame = read_table(path, dtype_text=_text_columns(ids))
    ask = Request(frame, str(path), _known_measure(measure), unit, sample_column, drug_column, response_column)
    chosen = _recognised(ask) if layout == "auto" else layout
    if chosen not in (*_READERS, *LAYOUTS):
        message = f"layout {layout!r} is not known; use auto, {', '.join((*_READERS, *LAYOUTS))}"
        raise ConfigurationError(message)
    if chosen == "wide":
        ask = the_right_way_round(ask, turn)
    table = _READERS[chosen](ask) if chosen in _READERS else read_published(ask, chosen)
    if table.pairs.empty:
        message = f"{path} holds no response value; all {table.n_missing} cells are missing"
        raise InvalidValues(message)
    return table


def _text_columns(ids: Iterable[str]) -> set[str]:
    notes = (alias for known in (SAMPLE_NOTES, DRUG_NOTES) for names in known.values() for alias in names)
    names = {*ids, *SAMPLE_IDS, *DRUG_IDS, *REPLICATES, *notes, "dataset", "screen_id", "study", "source"}
    return names | {name.replace("_", " ") for name in names}


def _known_measure(measure: str | None) -> str | None:
    return measure.upper() if measure and measure.upper() in {"LN_IC50", "AUC"} else measure


def _recognised(ask: Request) -> str:
    names = {plain(column) for column in ask.frame.columns}
    if any(GDSC_DRUG.fullmatch(str(column)) for column in ask.frame.columns):
        return "gdsc-wide"
    if published := layout_of(names):
        return published
    if {"feature_name", "ic50_effect_size"} <= names:
        message = f"{ask.source} holds ANOVA associations of drugs with features, no responses of samples"
        raise ReadError(message)
    if ask.sample or ask.drug or ask.response or _is_long(names):
        return "long"
    if _mostly_numbers(drug_columns(ask.frame, str(ask.frame.columns[0]))[0]):
        return "wide"
    message = (
        f"{ask.source}: no known layout has the columns {examples(map(str, ask.frame.columns), 8)}; "
        f"supported are gdsc-wide (COSMIC_ID, Drug_<id>_IC50), {', '.join(LAYOUTS)}, wide (samples x drugs, numbers) "
        "and long (sample, drug, response; or name the columns: --sample-column, --drug-column, --response-column)"
    )
    raise ReadError(message)


def _is_long(names: set[str]) -> bool:
    """Whether a column names drugs; the column of row names of a matrix of drugs x samples does not count."""
    return bool(names & set(DRUG_IDS)) and bool(
        names & set(SAMPLE_IDS) or names & set(RESPONSE) or any(measure_of(name) for name in names)
    )


def _mostly_numbers(frame: pd.DataFrame) -> bool:
    """Whether every column has numbers, and most cells are one; a slip of the pen does not hide a matrix."""
    present = frame.notna().sum()
    are_numbers = frame.apply(pd.to_numeric, errors="coerce").notna().sum()
    return bool(frame.shape[1] and ((are_numbers > 0) | (present == 0)).all() and 2 * are_numbers.sum() > present.sum())


_READERS = {"gdsc-wide": read_gdsc_wide, "wide": read_wide, "long": read_long}
