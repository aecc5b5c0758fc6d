"""Matching the ids of samples between files: COSMIC, DepMap and CCLE ids, and names of cell lines.

A crosswalk is a table in which a row is a cell line and the columns are its ids. What is claimed twice is matched to
neither: T-T and TT, or KM-H2 and KMH-2, are different cell lines whose names differ by a hyphen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cellixir.data.tables import as_text, read_table
from cellixir.exceptions import ReadError, UnknownIds, examples

_CCLE = re.compile(r"([A-Z0-9]+)_[A-Z]{3,}(_[A-Z]+)*")  # name, then tissue: NCIH23_LUNG, LS513_LARGE_INTESTINE
_PUNCTUATION = re.compile(r"[\W_]+")


def plain_name(name: str) -> str:
    """Name without case, punctuation and, in a CCLE name, tissue: what spellings of a cell line share.

    >>> [plain_name(name) for name in ("NCI-H23", "NCIH23", "NCIH23_LUNG", "HS_294.T")]
    ['ncih23', 'ncih23', 'ncih23', 'hs294t']
    """
    ccle = _CCLE.fullmatch(name)
    return _PUNCTUATION.sub("", ccle[1] if ccle else name).casefold()


@dataclass(frozen=True)
class Crosswalk:
    """Alternative ids of cell lines: one row a line, one column (of text) a kind of id."""

    table: pd.DataFrame
    source: str = "crosswalk"

    def translate(self, ids: Iterable[object], wanted: Iterable[object]) -> pd.Series:
        """Id among `wanted` of the cell line that each of `ids` names; NaN where there is none.

        The column of each kind is the one that holds most of its ids, to the letter or as `plain_name`. Within it an
        id is matched to the letter if it stands there, else by its plain name.

        Returns
        -------
        pandas.Series
            Index: the distinct ids, as text, in their order, named after their column; values: text, named after the
            column of `wanted`. ``attrs["notes"]`` counts and names the ids that were not matched because two rows
            claim one, or two claim one row.

        Raises
        ------
        UnknownIds
            If no column holds any of the ids, or any of the wanted ones.
        """
        notes: list[str] = []
        rows = self._rows(ids, "ids", notes)
        rows_of_wanted = self._rows(wanted, "wanted ids", notes).dropna()
        wanted_of_row = pd.Series(rows_of_wanted.index, index=rows_of_wanted, dtype=object)
        found: pd.Series = rows.map(wanted_of_row).astype(object)
        found.name = rows_of_wanted.name
        found.attrs["notes"] = notes
        return found

    def _rows(self, ids: Iterable[object], what: str, notes: list[str]) -> pd.Series:
        """Row of each distinct id, NaN where none; no row twice. Notes say what was ambiguous."""
        given = list(dict.fromkeys(as_text(pd.Series(list(ids), dtype=object)).dropna()))
        column = self._column(given, what)
        cells = self.table[column].dropna()
        same = pd.Series(given, index=given, dtype=object)
        exact = same.isin(cells)
        rows, torn = _looked_up(same[exact], cells)
        by_name, torn_names = _looked_up(same[~exact].map(plain_name), cells.map(plain_name))
        shared = by_name.isin(rows.dropna()) | by_name.duplicated(keep=False) & by_name.notna()
        where = f"of column '{column}' of {self.source}"
        _note(notes, torn + torn_names, f"{what} that name two rows {where}")
        _note(notes, list(by_name.index[shared]), f"{what} that share a row {where} with another")
        found: pd.Series = pd.concat([rows, by_name.mask(shared)]).reindex(given)
        return found.rename(column).rename_axis(column)

    def _column(self, given: list[str], what: str) -> str:
        exact, plain = set(given), {plain_name(i) for i in given} - {""}
        overlap = {}
        for column in map(str, self.table.columns):
            cells = self.table[column].dropna().drop_duplicates()
            overlap[column] = int(cells.isin(exact).sum() + cells.map(plain_name).isin(plain).sum())
        if not any(overlap.values()):
            message = (
                f"{self.source}: none of its columns ({examples(overlap, 8)}) holds any of the {len(given):,} {what} "
                f"({examples(given)}); use a table that has this kind of id"
            )
            raise UnknownIds(message)
        return max(overlap, key=overlap.__getitem__)


def _looked_up(keys: pd.Series, cells: pd.Series) -> tuple[pd.Series, list[str]]:
    """Row whose cell is each key, NaN where none or several; and the ids of keys that several rows have."""
    several = set(cells[cells.duplicated()])
    once = cells[~cells.isin(several | {""})]
    rows = keys.map(pd.Series(once.index, index=once, dtype=np.float64)).astype(np.float64)
    return rows, [str(i) for i, key in keys.items() if key in several]


def _note(notes: list[str], ids: list[str], fault: str) -> None:
    if ids:
        notes.append(f"{fault}, not matched: {len(ids):,} ({examples(ids)})")


def read_crosswalk(path: str | Path) -> Crosswalk:
    """Crosswalk of a table file: a row is a cell line, each column one kind of id.

    Raises
    ------
    ReadError
        If the file cannot be read as a table (see `read_table`), or has one column only.
    """
    table = read_table(path, dtype_text="all")
    if table.shape[1] < 2:
        message = f"{path} has one column, '{table.columns[0]}'; a crosswalk needs one for each kind of id"
        raise ReadError(message)
    return Crosswalk(table, str(path))
