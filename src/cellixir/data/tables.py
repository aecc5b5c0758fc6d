"""Tables as they come from publishers: delimited text, spreadsheets, Parquet."""

from __future__ import annotations

import codecs
import csv
import datetime
import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cellixir.data.dates import spelled_date
from cellixir.data.opening import content
from cellixir.data.spreadsheets import first_sheet
from cellixir.data.workbooks import refuse_broken_cells
from cellixir.exceptions import DuplicateIds, InvalidValues, ReadError, counted, examples, reason
from cellixir.limits import require_growth, require_memory

MISSING = ("", "NA", "NaN", "nan", "N/A", "null")
_KNOWN = ".csv, .tsv, .txt, .gct (each also .gz), .xlsx or .parquet"
_WHOLE = re.compile(r"-?\d+\.0+")
_QUOTED = re.compile(r'"[^"]*"')
# What pyarrow and pandas raise on a Parquet file that is damaged.
_DAMAGED = (
    pa.ArrowException,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
)
#: Columns from which a type for each would take most of the time.
WIDE = 2000

TextColumns = Collection[str] | Literal["all"] | None


def read_table(
    path: str | Path, *, dtype_text: TextColumns = None, dates: Literal["refuse", "keep"] = "refuse"
) -> pd.DataFrame:
    """Table of a file, one column for each column of the file; the first one is text.

    Numbers are read exactly (round trip). Empty cells, ``NA``, ``NaN``, ``nan``, ``N/A`` and ``null`` are
    missing; any other text, ``None`` among it, is kept. Rows and nameless columns without any value are
    dropped.

    Parameters
    ----------
    path
        ``.csv``, ``.tsv`` or ``.txt`` (tab, comma or semicolon, found in the header line; UTF-8, or UTF-16 with its
        mark; also gzipped), ``.gct``, ``.xlsx`` (first sheet) or ``.parquet``.
    dtype_text
        Columns beside the first that are kept as text (names in any case), or ``"all"``.
    dates
        Whether a column of a workbook that is called by a date (a gene, once) is refused, or called ``2-Sep``.

    Raises
    ------
    ReadError
        If the file is missing, empty, cut off, ragged, not UTF-8, or not what its suffix says.
    DuplicateIds
        If two columns have the same name.
    """
    file = Path(path)
    suffix = _suffix(file)
    frame = _READERS[suffix](content(file), str(file), dtype_text)
    if dates == "refuse":
        _refuse_dates(frame.attrs.pop("dates", []), str(file))
    frame = _without_blanks(frame)
    if frame.empty:
        message = f"{file} holds column names but no rows; check that it was written to the end"
        raise ReadError(message)
    return _with_text(frame, _text_names(frame.columns, dtype_text)).reset_index(drop=True)


def as_text(column: pd.Series) -> pd.Series:
    """Column as stripped text; missing stays missing, and ids stored as ``683665.0`` lose the ``.0``."""
    present = column[column.notna()].astype(str).str.strip()
    present = present[~present.isin(MISSING)].astype(object)
    if len(present) and present.str.fullmatch(r"-?\d+\.0+").all():
        present = present.str.split(".").str[0]
    return present.reindex(column.index).astype(object)


def id_index(column: pd.Series, *, source: str, what: str) -> pd.Index:
    """Ids of a column as text; a row without one raises `InvalidValues`."""
    text = as_text(column)
    missing = np.flatnonzero(text.isna())
    if missing.size:
        message = (
            f"{source}: row {missing[0] + 1} has no {what} in column {str(column.name)!r} "
            f"({missing.size} such rows); give it an id or remove it"
        )
        raise InvalidValues(message)
    ids: pd.Index = pd.Index(text.to_numpy(), dtype=object, name=what)
    return ids


def refuse_duplicates(ids: pd.Index, *, source: str, what: str, way_out: str) -> None:
    """Raise `DuplicateIds` with the ids that stand more than once, if any do."""
    repeated = ids[ids.duplicated()].unique()
    if len(repeated):
        stand = "stands" if len(repeated) == 1 else "stand"
        message = f"{source}: {counted(len(repeated), what)} {stand} more than once ({examples(repeated)}); {way_out}"
        raise DuplicateIds(message)


def numeric_block(frame: pd.DataFrame, *, source: str) -> pd.DataFrame:
    """Table as float64; missing cells stay NaN.

    Raises
    ------
    InvalidValues
        If a cell holds text or an infinity; names the first one by column and row, and how many there are.
    """
    if frame.select_dtypes([np.number, "bool"]).shape[1] < frame.shape[1]:
        _refuse_text(frame, source)
    block = frame.astype(np.float64)
    infinite = np.isinf(block.to_numpy())
    if infinite.any():
        column, row = divmod(int(np.argmax(infinite.T)), len(block))
        raise _bad_cell(block, row, column, int(infinite.sum()), "is not finite", source)
    return block


def _refuse_text(frame: pd.DataFrame, source: str) -> None:
    first, count = None, 0
    for position in range(frame.shape[1]):
        column = frame.iloc[:, position]
        if pd.api.types.is_numeric_dtype(column):
            continue
        bad = np.flatnonzero(_not_numbers(column))
        if bad.size:
            first = first or (int(bad[0]), position)
            count += bad.size
    if first:
        raise _bad_cell(frame, *first, count, "is not a number", source)


def _not_numbers(column: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.notna()
    truth = column.map(lambda cell: isinstance(cell, bool | np.bool_)).to_numpy(bool)
    if truth.any() and (~truth & column.notna().to_numpy()).any():  # TRUE among numbers
        return pd.Series(truth, index=column.index)
    return pd.to_numeric(column, errors="coerce").isna() & column.notna()


def _bad_cell(frame: pd.DataFrame, row: int, column: int, count: int, fault: str, source: str) -> InvalidValues:
    value = frame.iat[row, column]
    shown = repr(value[:60]) if isinstance(value, str) else str(value)
    place = f"column {str(frame.columns[column])!r}, row {examples([frame.index[row]])}"
    others = f" ({count} such values in all)" if count > 1 else ""
    return InvalidValues(f"{source}: {place}: {shown} {fault}{others}; correct it, or drop the row or the column")


def _suffix(path: Path) -> str:
    if path.is_dir():
        message = f"{path} is a folder; give a file ({_KNOWN})"
        raise ReadError(message)
    name = path.name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix not in _READERS or (name.endswith(".gz") and suffix not in {".csv", ".tsv", ".txt", ".gct"}):
        message = f"{path}: the suffix {''.join(path.suffixes[-2:])!r} is not known; use {_KNOWN}"
        raise ReadError(message)
    return suffix


def _plain_text(raw: bytes, source: str) -> bytes:
    raw = _from_utf16(raw)
    if b"\0" in raw or not _is_utf8(raw):  # the parsers take a NUL for the end of a cell
        message = f"{source} is not UTF-8 text; save it again as UTF-8, or give it the suffix of what it is"
        raise ReadError(message)
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if not raw.strip():
        message = f"{source} holds only blanks; write or download it again"
        raise ReadError(message)
    if raw.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        message = f"{source} is a web page, not a table; the download failed, get the file again"
        raise ReadError(message)
    return raw if b"\n" in raw else raw.replace(b"\r", b"\n")


def _from_utf16(raw: bytes) -> bytes:
    """Text that a spreadsheet saved as "Unicode", which begins with the mark of UTF-16, as UTF-8."""
    if raw[:2] not in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        return raw
    try:
        return raw.decode("utf-16").encode()
    except UnicodeError:
        return raw  # refused as no text


def _is_utf8(raw: bytes) -> bool:
    if raw.isascii():
        return True
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _separator(header: str) -> str:
    bare = _QUOTED.sub("", header)
    return max("\t,;", key=bare.count)


def _rows(raw: bytes, separator: str) -> Iterator[list[str]]:
    lines = io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8", newline="")
    return (row for row in csv.reader(lines, delimiter=separator) if row)


def _read_delimited(raw: bytes, source: str, text: TextColumns) -> pd.DataFrame:
    raw = _plain_text(raw, source)
    separator = _separator(next(line for line in io.BytesIO(raw) if line.strip()).decode())
    try:
        names = _names(_header(raw, separator), source)
        _refuse_ragged(raw, separator, len(names), source)
        frame: pd.DataFrame = pd.read_csv(
            io.BytesIO(raw),
            sep=separator,
            header=0,
            names=names,
            index_col=False,
            **_types(_text_names(names, text), len(names)),
            keep_default_na=False,
            na_values=list(MISSING),
            skipinitialspace=True,
            low_memory=False,
            decimal=_decimal(raw, separator),
            float_precision="round_trip",
        )
        return frame
    except (pd.errors.ParserError, csv.Error) as error:
        message = f"{source} is not a table of rows of equal length ({reason(error)}); look for an open quote"
        raise ReadError(message) from error


def _types(text: list[str], width: int) -> dict[str, Any]:
    """How pandas is told which columns are text; given one dtype, it makes a Series of every column."""
    return {"converters" if width > WIDE else "dtype": dict.fromkeys(text, str)}


def _decimal(raw: bytes, separator: str) -> Literal[",", "."]:
    """Comma in the tables of a continental spreadsheet, parted by semicolons or tabs, where no number has a point.

    Groups of three digits alone (``1,234``) may as well be thousands, and are left to be refused.
    """
    if separator == ",":
        return "."
    mark = re.escape(separator.encode())
    point = re.compile(rb"[" + mark + rb"\n]-?\d+\.\d+(?=[" + mark + rb"\r\n])")
    fraction = rb"\d+,\d+" if separator == ";" else rb"(?:0,\d+|\d+,(?:\d{1,2}|\d{4,}))"
    comma = re.compile(rb"[" + mark + rb"\n]-?" + fraction + rb"(?=[" + mark + rb"\r\n])")
    return "," if comma.search(raw) and not point.search(raw) else "."


def _header(raw: bytes, separator: str) -> list[str]:
    rows = _rows(raw, separator)
    header, first = next(rows), next(rows, [])
    # R's write.table gives the column of row names no name, so the header is one cell short.
    row_names = len(first) == len(header) + 1 and first[-1] != ""
    return ["", *header] if row_names else header


def _refuse_ragged(raw: bytes, separator: str, width: int, source: str) -> None:
    """Name the first line whose length is wrong; the pandas parser fills short rows in silence."""
    if b'"' in raw:
        reader = csv.reader(io.TextIOWrapper(io.BytesIO(raw), "utf-8", newline=""), delimiter=separator)
        widths = ((reader.line_num, len(row)) for row in reader if len(row) > 1 or "".join(row).strip())
    else:
        mark = separator.encode()
        lines = enumerate(io.BytesIO(raw), start=1)
        widths = ((number, line.count(mark) + 1) for number, line in lines if line.strip(b" \r\n"))
    next(widths, None)
    for number, seen in widths:
        if seen != width:
            message = (
                f"{source}: line {number} has {seen} cells where the header has {width}; "
                "the file is cut off there or a cell holds an unquoted separator"
            )
            raise ReadError(message)


def _read_gct(raw: bytes, source: str, text: TextColumns) -> pd.DataFrame:
    """GenePattern's table: the version and the size stand in two lines above it."""
    version, _, rest = _plain_text(raw, source).partition(b"\n")
    size, _, table = rest.partition(b"\n")
    if not version.startswith(b"#1.2") or not size.strip():
        message = f"{source} does not begin with #1.2 and its size, as a .gct does; name it .txt if it is a plain table"
        raise ReadError(message)
    return _read_delimited(table, source, text)


def _read_excel(raw: bytes, source: str, text: TextColumns) -> pd.DataFrame:
    cells = first_sheet(raw, source)
    refuse_broken_cells(raw, source)
    cells = cells.mask(cells.isin(MISSING)).dropna(how="all")
    if cells.empty:
        message = f"{source}: the first sheet is empty; move the table there"
        raise ReadError(message)
    heads = list(cells.iloc[0])
    dates = {i: spelled_date(cell) for i, cell in enumerate(heads) if isinstance(cell, datetime.date)}
    names = _names([dates.get(i, cell) for i, cell in enumerate(heads)], source)
    table = cells.iloc[1:].set_axis(names, axis=1).infer_objects()
    table.attrs["dates"] = list(dates.values())
    return table


def _read_parquet(raw: bytes, source: str, text: TextColumns) -> pd.DataFrame:
    try:
        file = pq.ParquetFile(io.BytesIO(raw))
        about = file.metadata
        cells = about.num_rows * max(about.num_columns, 1)
        require_growth(8 * cells, len(raw), source)
        require_memory(16 * cells, source, f"has {about.num_rows:,} rows of {about.num_columns:,} columns")
        frame = file.read(use_pandas_metadata=True).to_pandas()
        index = [] if isinstance(frame.index, pd.RangeIndex) else list(range(frame.index.nlevels))
        levels = {frame.index.names[i] or "": frame.index.get_level_values(i) for i in index}
        names = _names([*levels, *frame.columns], source)
    except ReadError:
        raise
    except _DAMAGED as error:
        message = f"{source} is not a Parquet file, or is damaged ({reason(error)}); write it again"
        raise ReadError(message) from error
    first = pd.DataFrame(levels).set_axis(range(len(levels)), axis=1)
    return pd.concat([first, frame.reset_index(drop=True)], axis=1).set_axis(names, axis=1)


_READERS: dict[str, Callable[[bytes, str, TextColumns], pd.DataFrame]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".txt": _read_delimited,
    ".gct": _read_gct,
    ".xlsx": _read_excel,
    ".parquet": _read_parquet,
}


def _names(cells: Sequence[object], source: str) -> list[str]:
    """Column names, stripped; a column without a name (but the first) is called ``Unnamed: <position>``."""
    stripped = ["" if pd.isna(cell) else str(cell).strip() for cell in cells]  # type: ignore[call-overload]
    names = [name or (f"Unnamed: {i}" if i else "") for i, name in enumerate(stripped)]
    refuse_duplicates(pd.Index(names, dtype=object), source=source, what="column name", way_out="rename or drop one")
    return names


def _refuse_dates(names: Sequence[str], source: str) -> None:
    if names:
        message = f"{source}: column {examples(names)} is a date; a spreadsheet has changed a gene name (SEPT2, MARCH1)"
        raise ReadError(message)


def _text_names(names: Iterable[str], text: TextColumns) -> list[str]:
    names = list(names)
    wanted = {name.casefold() for name in (names if text == "all" else text or ())}
    return [name for i, name in enumerate(names) if not i or name.casefold() in wanted]


def _with_text(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Table with these columns as text."""
    if len(names) < WIDE:
        return frame.assign(**{name: as_text(frame[name]) for name in names})
    # A Series for each of 100,000 columns takes minutes.
    cells = frame[names].to_numpy(dtype=object).T.tolist()
    texts = pd.DataFrame({i: _texts(column) for i, column in enumerate(cells)}, index=frame.index)
    others = frame.drop(columns=names)
    return pd.concat([texts.set_axis(names, axis=1), others], axis=1)[list(frame.columns)]


def _texts(cells: list[object]) -> NDArray[np.object_]:
    """What `as_text` makes of a column, cell by cell."""
    texts = [None if isinstance(cell, float) and cell != cell else str(cell).strip() for cell in cells]
    present = [text for text in texts if text is not None and text not in MISSING]
    whole = bool(present) and all(_WHOLE.fullmatch(text) for text in present)
    kept = [np.nan if text is None or text in MISSING else text.split(".")[0] if whole else text for text in texts]
    return np.array(kept, dtype=object)


def _without_blanks(frame: pd.DataFrame) -> pd.DataFrame:
    nameless = [name for name in frame.columns[1:] if name.startswith("Unnamed: ") and frame[name].isna().all()]
    frame = frame.drop(columns=nameless)
    suspects = frame[frame.iloc[:, 0].isna()]
    return frame.drop(index=suspects.index[suspects.isna().all(axis=1)])
