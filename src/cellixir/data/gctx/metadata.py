"""Metadata of rows and columns: missing values, types, one set of names, tables joined by id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cellixir.exceptions import DuplicateIds, UnknownIds, counted, examples, repeated

#: The null of CMap, and what else stands for a missing word.
NULL = -666
_MISSING = re.compile(r"|-666(\.0*)?|NA|N/A|NaN|nan|null")
#: Numbers as programs write them; 007 and 1E5 (a well) are words.
_NUMERAL = re.compile(r"-?(0|[1-9]\d*)(\.\d*)?([eE][-+]\d+)?")
#: Names of LINCS 2020 (`siginfo_beta`, `instinfo_beta`, `geneinfo_beta`) and those of 2017 that mean the same.
NAMES_OF_2020 = {
    "cmap_name": "pert_iname",
    "cell_iname": "cell_id",
    "sample_id": "inst_id",
    "distil_ids": "distil_id",
    "cc_q75": "distil_cc_q75",
    "nsample": "distil_nsample",
    "gene_id": "pr_gene_id",
    "gene_symbol": "pr_gene_symbol",
    "gene_title": "pr_gene_title",
}
#: Columns of a table that may hold the ids of a file, by side.
_KEYS = {
    "sample": ("id", "cid", "sig_id", "inst_id", "distil_id"),
    "gene": ("id", "rid", "pr_gene_id", "pr_id", "pr_gene_symbol", "ensembl_id"),
}


def words(values: Any) -> list[str]:
    r"""Ids or other words of a file as text: bytes are UTF-8, or Latin-1 as R writes them; 5720.0 is ``5720``.

    >>> words([b"A03", 5720, b"10 \xb5M"])
    ['A03', '5720', '10 µM']
    """
    return [_word(value) for value in values]


def _word(value: Any) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode().strip().replace("<b5>", "µ")  # R writes a byte that it cannot show so
        except UnicodeDecodeError:
            return value.decode("latin-1").strip()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def typed(values: Any, index: pd.Index) -> pd.Series:
    """One field: numbers where all that is there is a number, text else; -666 is missing."""
    array = np.asarray(values)
    if array.dtype.kind in "iuf":
        missing = array == NULL
        return pd.Series(np.where(missing, np.nan, array) if missing.any() else array, index=index)
    if array.dtype.kind == "b":
        return pd.Series(array, index=index)
    texts = pd.Series(words(array.tolist()), index=index, dtype=object)
    levels = pd.unique(texts)
    texts = texts.mask(texts.isin([level for level in levels if _MISSING.fullmatch(level)]), np.nan)
    if all(_NUMERAL.fullmatch(level) or _MISSING.fullmatch(level) for level in levels):
        return pd.to_numeric(texts)
    return texts


def table_of(fields: Mapping[str, Any], ids: Iterable[str]) -> pd.DataFrame:
    """Fields by id, under the names of 2017."""
    index = pd.Index(list(ids), dtype=object)
    return named_alike(pd.DataFrame({name: typed(values, index) for name, values in fields.items()}, index=index))


def named_alike(table: pd.DataFrame) -> pd.DataFrame:
    """Table whose columns have the names of CMap 2017; a name that is there already stays."""
    return table.rename(columns={new: old for new, old in NAMES_OF_2020.items() if old not in table.columns})


def join(table: pd.DataFrame, more: Path | str | pd.DataFrame, side: str, notes: list[str]) -> pd.DataFrame:
    """Metadata of a file with the columns of another table, joined by the column that holds its ids.

    Parameters
    ----------
    side
        ``sample`` or ``gene``.
    notes
        Ids that the table does not describe are counted here; their fields are missing.

    Raises
    ------
    UnknownIds
        If no column holds an id of the file.
    DuplicateIds
        If the table describes an id twice.
    """
    source, read = ("metadata", more) if isinstance(more, pd.DataFrame) else (str(more), _read(more))
    described = _by_id(named_alike(read), table.index, source, side)
    absent = table.index.difference(described.index)
    if len(absent):
        notes.append(f"{source} does not describe {counted(len(absent), side)} ({examples(absent)})")
    found = described.reindex(table.index)
    columns = {name: typed(found[name].astype(object).to_numpy(), table.index) for name in found.columns}
    return table.assign(**columns)


def _read(path: Path | str) -> pd.DataFrame:
    from cellixir.data.tables import read_table  # pyarrow, a tenth of all memory of a slice

    return read_table(path)


def _by_id(read: pd.DataFrame, ids: pd.Index, source: str, side: str) -> pd.DataFrame:
    """Rows of the ids, from the column that knows most of them; the index is one of the columns."""
    keys = {name: pd.Index(words(read[name]), dtype=object) for name in _KEYS[side] if name in read.columns}
    keys[None] = pd.Index(words(read.index), dtype=object)  # type: ignore[index]
    best = max(keys, key=lambda name: int(ids.isin(keys[name]).sum()))
    if not ids.isin(keys[best]).any():
        looked = ", ".join(name for name in keys if name) or "no such column"
        message = (
            f"{source} describes none of the {counted(len(ids), side)} of the file ({examples(ids)}); one of its "
            f"columns {', '.join(_KEYS[side])} must hold these ids (it has {looked})"
        )
        raise UnknownIds(message)
    kept = keys[best].isin(ids)
    found = read[kept].set_index(keys[best][kept])
    if not found.index.is_unique:
        twice = found.index[found.index.duplicated()].unique()
        message = f"{source}: {repeated(len(twice), side)} in column {best} ({examples(twice)}); keep one row of each"
        raise DuplicateIds(message)
    return found
