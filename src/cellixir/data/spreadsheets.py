"""Cells of the first sheet of an Excel workbook, whatever its far corners claim."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
import pandas as pd

from cellixir.exceptions import ReadError, reason
from cellixir.limits import require_growth, require_memory

#: Rows that Excel itself can hold: beyond them nothing is a sheet.
MOST_ROWS = 1_048_576
#: Bytes of a cell in memory while a sheet is read.
_CELL = 100
#: Cells after which memory is looked at again.
_OFTEN = 2**18


def first_sheet(raw: bytes, source: str) -> pd.DataFrame:
    """Rows of the first sheet that hold a value, as objects, numbered as in the sheet; empty cells are "".

    Raises
    ------
    ReadError
        If it is no workbook, is damaged, or claims more rows or memory than a sheet can have.
    """
    import openpyxl

    try:
        _check_size(raw, source)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")
            book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)
            if not book.worksheets:
                message = f"{source} holds no sheet of cells; save the table as one"
                raise ReadError(message)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # what the file says of them is often wrong
            rows = dict(_filled(sheet.rows, source))
    except ReadError:
        raise
    except _DAMAGED as error:
        message = f"{source} is not an Excel workbook, or is damaged ({reason(error)}); save it again as .xlsx"
        raise ReadError(message) from error
    width = max((len(row) for row in rows.values()), default=0)
    require_memory(
        _CELL * width * len(rows), source, f"has cells out to row {max(rows, default=0):,}, column {width:,}"
    )
    cells = [[*row, *[""] * (width - len(row))] for row in rows.values()]
    return pd.DataFrame(cells, index=pd.Index(list(rows), dtype=np.int64), dtype=object)


# What openpyxl and the parsers below it raise on a damaged file: nearly anything.
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, ParseError, OSError, EOFError, ArithmeticError, AttributeError,
    LookupError, TypeError, ValueError, RuntimeError, AssertionError, NotImplementedError, MemoryError,
)  # fmt: skip


def _check_size(raw: bytes, source: str) -> None:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        total = sum(member.file_size for member in archive.infolist())
    require_growth(total, len(raw), source)
    require_memory(3 * total, source, f"unpacks to {total:,} bytes")


def _filled(rows: Any, source: str) -> Iterator[tuple[int, list[Any]]]:
    """Number from 0, and values up to the last one, of each row that has any."""
    held, checked = 0, 0
    for number, row in enumerate(rows):
        if number >= MOST_ROWS:
            message = f"{source} claims more than {MOST_ROWS:,} rows, which no sheet has; it is damaged, save it again"
            raise ReadError(message)
        values = [_value(cell) for cell in row]
        while values and isinstance(values[-1], str) and values[-1] == "":
            values.pop()
        if values:
            held += len(values)
            if held - checked > _OFTEN:
                require_memory(_CELL * held, source, f"has {held:,} cells or more in {number + 1:,} rows")
                checked = held
            yield number, values


def _value(cell: Any) -> Any:
    """Value of a cell: whole numbers as such, an error of Excel as NaN, nothing as ""."""
    if cell.value is None:
        return ""
    if cell.data_type == "e":
        return np.nan
    if cell.data_type != "n":
        return cell.value
    whole = int(cell.value)
    return whole if whole == cell.value else float(cell.value)
