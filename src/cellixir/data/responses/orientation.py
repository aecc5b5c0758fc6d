"""Which side of a matrix of responses the samples are on, told by how samples and drugs are called."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from cellixir.data.known_columns import DRUG_IDS, plain

#: Plain numbers are not among them: a COSMIC id and a PubChem id look alike.
_SAMPLE = re.compile(
    r"ACH-\d{6}|SIDM\d{5}|CVCL_\w{4}|TCGA-\w\w-\w{4}.*|[A-Z0-9]+_[A-Z]{4,}(_[A-Z]+)*|DATA\.\d+|"
    r"(?i:NCI-?H\d+|(MDA-?MB|SK-?(MEL|OV|BR)|SNU|HCC|COLO|UACC|OVCAR|HT|LINE|PATIENT|SAMPLE)[-_ ]?\d+.*|"
    r"A-?(375|549|2780)|MCF-?7|PC-?3|K-?562)"
)
_DRUG = re.compile(
    r"(GDSC\d?|BRD|CHEMBL|NSC|AZD|GSK|PLX|PF|MK|BMS|BI|CHIR|SB|LY|GDC|TAK|ABT|AMG|BAY|CP|PD|SU|YM)[-: ]?[A-Z]?\d{2,}.*|"
    r"DB\d{5}|[a-z-]+(tinib|fenib|ciclib|limus|parib|taxel|platin|rubicin|mycin|[ae]stat|lisib|setib|degib|nostat|zomib|"
    r"tecan|citabine|trexate|uracil|vastatin|metinib|rafenib|clax|domide|mab|xifen|anib|vincristine|blastine|poside)"
    r"( .+)?",
    re.IGNORECASE,
)


def samples_are_columns(header: str, rows: Iterable[object], columns: Iterable[object]) -> str:
    """Why the samples of a matrix must be its columns; empty where nothing says so.

    >>> samples_are_columns("", ["GDSC:1000", "Imatinib"], ["905900", "905901"])
    '2 of 2 rows are called like drugs, no column is'
    """
    left, top = [str(row) for row in rows], [str(column) for column in columns]
    sample_rows, sample_columns = _count(_SAMPLE, left), _count(_SAMPLE, top)
    drug_rows, drug_columns = _count(_DRUG, left), _count(_DRUG, top)
    if plain(header) in DRUG_IDS and not drug_columns:
        return f"the column of row names is called '{header}'"
    if 2 * sample_columns > len(top) and not sample_rows and not drug_columns:
        return f"{sample_columns:,} of {len(top):,} columns are called like samples, no row is"
    if 2 * drug_rows > len(left) and not drug_columns and not sample_rows:
        return f"{drug_rows:,} of {len(left):,} rows are called like drugs, no column is"
    return ""


def turned(frame: pd.DataFrame, first: str) -> pd.DataFrame:
    """The matrix with rows and columns exchanged; the first column holds the names of the old columns."""
    return frame.set_index(first).T.rename_axis("sample").rename_axis(None, axis=1).reset_index()


def _count(pattern: re.Pattern[str], names: Iterable[str]) -> int:
    return sum(pattern.fullmatch(name) is not None for name in names)
