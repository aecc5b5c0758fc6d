"""Sheets that say which samples of somebody else's matrix are controls, single treatments and combinations."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cellixir.data.tables import read_table
from cellixir.exceptions import ConfigurationError, InvalidValues, ReadError, counted, examples, repeated
from cellixir.perturbation.wells import Keys

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTROL = "control"
COLUMNS = ("sample", "pattern", "perturbation", "dose", "time", "cell_line", "plate", "smiles")
READY = ("GSE110397", "GSE149428")


def read_sheet(sheet: Path | str) -> pd.DataFrame:
    """Table of a sheet, or one of the ready ones by its accession.

    A row is a sample: ``sample`` (its name in the matrix) or ``pattern`` (a regular expression that is looked for in
    names; the first row that fits counts, and a group ``time`` in it gives hours), and ``perturbation``: ``control``,
    ``A``, ``B``, ``A+B``. Optional: ``dose``, ``time``, ``cell_line``, ``plate``, ``smiles``.

    Raises
    ------
    ReadError, ConfigurationError
        If the file cannot be read, or a column is missing or unknown.
    """
    place = Path(str(files("cellixir.perturbation.sheets") / f"{sheet}.csv")) if str(sheet) in READY else Path(sheet)
    if not place.is_file():
        message = f"{place}: there is no such sheet; give a file, or one of {', '.join(READY)}"
        raise ReadError(message)
    table = read_table(place, dtype_text="all")
    strange = [column for column in table if column not in COLUMNS]
    named = {"sample", "pattern"} & set(table.columns)
    if strange or len(named) != 1 or "perturbation" not in table:
        what = f"'{strange[0]}' is none of them" if strange else "perturbation and one of sample and pattern are needed"
        message = f"{place}: the columns of a sheet are {', '.join(COLUMNS)}; {what}"
        raise ConfigurationError(message)
    if "pattern" in table:
        _require_patterns(table["pattern"], place)
    return table


def _require_patterns(patterns: pd.Series, place: Path) -> None:
    for row, pattern in enumerate(patterns, start=1):
        try:
            usable = isinstance(pattern, str) and bool(pattern.strip()) and bool(re.compile(pattern))
        except re.error:
            usable = False
        if not usable:
            message = f"{place}: the pattern {pattern!r} of row {row} is no regular expression; write one a row"
            raise ConfigurationError(message)


def described_samples(sheet: pd.DataFrame, samples: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """What the sheet says of the samples that it names, in its order, and notes on the others.

    Raises
    ------
    InvalidValues
        If a sample is not in the matrix or twice in the sheet, nothing fits, or no control is among them.
    """
    names = list(map(str, samples))
    same = pd.Series(names)[pd.Series(names).duplicated()].unique()
    if len(same):
        message = f"{repeated(len(same), 'sample')} of the matrix ({examples(same)}); give each a name of its own"
        raise InvalidValues(message)
    if "pattern" in sheet:
        found = _by_pattern(sheet, names)
    else:
        listed = sheet["sample"].astype(str).str.strip()
        absent = listed[~listed.isin(names)]
        if len(absent):
            message = (
                f"{counted(len(absent), 'sample')} of the sheet are not in the matrix ({examples(absent)}); it has "
                f"{examples(names, 8)}"
            )
            raise InvalidValues(message)
        if listed.duplicated().any():
            twice = listed[listed.duplicated()].unique()
            message = f"{repeated(len(twice), 'sample')} of the sheet ({examples(twice)}); keep one row each"
            raise InvalidValues(message)
        found = sheet.drop(columns="sample").set_axis(pd.Index(listed), axis=0)
    controls = found["perturbation"].astype(str).str.strip().str.casefold() == CONTROL
    if not controls.any():
        message = f"the sheet names no control; write '{CONTROL}' as perturbation of the untreated samples"
        raise InvalidValues(message)
    if controls.all():
        message = "the sheet names controls only; add the treated samples"
        raise InvalidValues(message)
    notes = []
    if "pattern" in sheet:  # what a rule made of names is shown, so that a wrong one is seen
        read = found.groupby("perturbation", sort=False).groups.items()
        notes.append("samples by their names: " + "; ".join(f"{name}: {examples(own, 8)}" for name, own in read))
    left = [name for name in names if name not in set(found.index)]
    notes += [f"{counted(len(left), 'sample')} of the matrix are not in the sheet ({examples(left)})"] if left else []
    return found, notes


def keys_of(found: pd.DataFrame) -> Keys:
    """Columns of the sheet as `effects_of` takes them."""
    own = {name: name for name in ("plate", "dose", "time", "cell_line", "smiles") if name in found}
    return Keys("perturbation", (CONTROL,), **own)


def _by_pattern(sheet: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    rows = {}
    for name in names:
        for row in sheet.to_dict("records"):
            match = re.search(str(row["pattern"]), name, re.IGNORECASE)
            if match:
                told = {key: value for key, value in row.items() if key != "pattern"}
                if match.groupdict().get("time"):
                    told["time"] = match["time"]
                rows[name] = told
                break
    if not rows:
        message = f"no sample fits a pattern of the sheet; the matrix has {examples(names, 8)}: write a sheet for it"
        raise InvalidValues(message)
    return pd.DataFrame.from_dict(rows, orient="index")
