"""Expression in delimited text, plain or gzipped: read once, line by line, and never held as text.

All values of some lines are parsed as one long column, since a parser that makes a column for each of 20,000 genes
spends its time on making columns.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from cellixir.data.expression.matrix import Rows
from cellixir.data.opening import GZIP, cut_off, require_file, unreadable
from cellixir.data.tables import MISSING
from cellixir.exceptions import InvalidValues, ReadError
from cellixir.limits import SMALL, require_growth, require_memory

#: A matrix with a smaller share of values that are not zero is held sparse.
SPARSE = 0.3
#: Bytes of a line: 20 million values.
LONGEST = 2**28
#: Blank lines of a file: passing over them takes time and gives nothing.
MOST_BLANK = 1_000_000
#: Values that are parsed at once.
AT_ONCE = 2**21
_BOM = b"\xef\xbb\xbf"

Line = tuple[int, bytes]


@dataclass
class TextMatrix:
    """A table of numbers with named rows and columns, opened at its first line below the header.

    Attributes
    ----------
    source
        What it is, for messages.
    corner
        First cell of the header.
    columns
        Names of the columns of values.
    separator
        Between cells.
    lines
        Number and bytes of the lines that were not read yet.
    """

    source: str
    corner: str
    columns: list[str]
    separator: str
    lines: Iterator[Line]
    _places: list[tuple[int, str]] = field(default_factory=list)

    def peek(self) -> bytes:
        """Next line, which stays to be read; empty at the end."""
        for number, line in self.lines:
            self.lines = chain([(number, line)], self.lines)
            return line
        return b""

    def words(self) -> tuple[str, list[str]]:
        """Name and cells of the next line, as text.

        Raises
        ------
        ReadError
            If there is none, or it is too short or too long.
        """
        for number, line in self.lines:
            name, *cells = _cells(self._text(number, line), self.separator)
            self._check_width(number, len(cells))
            return name, [cell.strip() for cell in cells]
        message = f"{self.source} ends where another line was expected; download it again"
        raise ReadError(message)

    def read(self) -> tuple[list[str], list[Rows]]:
        """Names of the rows, and values, float32, some rows at a time; see `stacked`.

        Raises
        ------
        ReadError
            If a line is too short or too long, or the file is cut off.
        InvalidValues
            If a cell is text, missing or infinite, or a row has no name.
        """
        names, parts, waiting = list[str](), list[Any](), list[bytes]()
        for number, line in self.lines:
            name, values = self._split(number, line)
            names.append(name)
            self._places.append((number, name))
            waiting.append(values)
            if len(waiting) * len(self.columns) >= AT_ONCE:
                parts.append(_smaller(self._parsed(waiting)))
                waiting, self._places = [], []
                held = sum(part.data.nbytes for part in parts)
                require_memory(
                    2 * held, self.source, f"has {len(names):,} rows of {len(self.columns):,} values or more"
                )
        if waiting:
            parts.append(_smaller(self._parsed(waiting)))
        if not names:
            message = f"{self.source} holds column names but no rows; check that it was written to the end"
            raise ReadError(message)
        return names, parts

    def _split(self, number: int, line: bytes) -> tuple[str, bytes]:
        """Name of the row, and its values, one a line."""
        mark = self.separator.encode()
        first, _, rest = line.partition(mark)
        if b'"' not in line or (b'"' not in rest and first[-1:] == b'"'):
            name, width = self._text(number, first).strip('"'), line.count(mark)
            values = rest.replace(mark, b"\n")
        else:
            name, *cells = _cells(self._text(number, line), self.separator)
            values, width = "\n".join(cells).encode(), len(cells)
        self._check_width(number, width)
        name = name.strip()
        if name in MISSING:
            message = f"{self.source}: line {number} has no name in its first cell; give it one or remove the line"
            raise InvalidValues(message)
        return name, values

    def _check_width(self, number: int, width: int) -> None:
        if width != len(self.columns):
            message = (
                f"{self.source}: line {number} has {width + 1} cells where the header has {len(self.columns) + 1}; the "
                "file is cut off there or a cell holds an unquoted separator"
            )
            raise ReadError(message)

    def _text(self, number: int, raw: bytes) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            message = f"{self.source}: line {number} is not UTF-8 text; save the file again as UTF-8"
            raise ReadError(message) from error

    def _parsed(self, rows: list[bytes]) -> NDArray[np.float32]:
        """Values of some rows, shape ``(n_rows, n_columns)``."""
        column = b"\n".join(rows)
        decimal = self._decimal(column)
        try:
            with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
                flat = pd.read_csv(
                    io.BytesIO(column),
                    sep="\t",
                    header=None,
                    names=["value"],
                    dtype=np.float32,
                    skip_blank_lines=False,
                    skipinitialspace=True,
                    keep_default_na=False,
                    na_values=list(MISSING),
                    decimal=decimal,
                    quoting=csv.QUOTE_NONE,
                )["value"].to_numpy()
        except (ValueError, pd.errors.ParserError):
            raise self._not_a_number(column) from None
        if not np.isfinite(flat).all():
            at = int(np.argmin(np.isfinite(flat)))
            raise self._bad_cell(at, column.split(b"\n")[at])
        return flat.reshape(len(rows), len(self.columns))

    def _decimal(self, column: bytes) -> Literal[",", "."]:
        """Comma in the semicolon tables of a continental spreadsheet."""
        return "," if self.separator == ";" and b"," in column and b"." not in column else "."

    def _not_a_number(self, column: bytes) -> InvalidValues:
        cells = pd.Series(column.decode(errors="replace").split("\n"), dtype=object).str.strip()
        cells = cells.str.replace(",", ".", regex=False) if self._decimal(column) == "," else cells
        bad = pd.to_numeric(cells, errors="coerce").isna().to_numpy() & ~cells.isin(MISSING).to_numpy()
        at = int(np.argmax(bad))
        return self._bad_cell(at, column.split(b"\n")[at])

    def _bad_cell(self, at: int, raw: bytes) -> InvalidValues:
        row, column = divmod(at, len(self.columns))
        number, name = self._places[row]
        value = raw.decode(errors="replace").strip()
        place = f"{self.source}: line {number} ({name!r}), column {self.columns[column]!r}"
        if value in MISSING:
            return InvalidValues(f"{place}: the value is missing ({value!r}); fill it, or drop the row or the column")
        return InvalidValues(
            f"{place}: {value[:60]!r} is not a finite number; correct it, or drop the row or the column (words about "
            "cells or genes belong in a table of their own, such as --labels FILE)"
        )


def open_text(path: Path) -> TextMatrix:
    """Table of a text file, opened at its first line below the header.

    Raises
    ------
    ReadError
        If the file is missing, cut off, not UTF-8 text, a web page, or has no columns.
    """
    source = str(path)
    lines = _lines(path)
    _, raw = next(lines, (0, b""))
    header = _header_text(raw, source)
    separator = max("\t,;", key=re.sub(r'"[^"]*"', "", header).count)
    corner, *columns = [cell.strip() for cell in _cells(header, separator)]
    number, first = next(lines, (0, b""))
    lines = chain([(number, first)], lines) if first else lines
    if first and len(_cells(first.decode(errors="replace"), separator)) == len(columns) + 2:
        corner, columns = "", [corner, *columns]  # R's write.table gives the column of row names no name
    _refuse_nameless(columns, source)
    return TextMatrix(source, corner, columns, separator, lines)


def _header_text(raw: bytes, source: str) -> str:
    if b"\r" in raw.rstrip(b"\r\n"):
        message = f"{source} ends its lines in a carriage return alone; save it again with the usual line ends"
        raise ReadError(message)
    if not raw:
        message = f"{source} holds only blanks; write or download it again"
        raise ReadError(message)
    try:
        text = raw.removeprefix(_BOM).decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        message = f"{source} is not UTF-8 text; save it again as UTF-8, or give it the suffix of what it is"
        raise ReadError(message)
    if text.lstrip()[:9].lower().startswith(("<!doctype", "<html")):
        message = f"{source} is a web page, not a table; the download failed, get the file again"
        raise ReadError(message)
    return text


def _refuse_nameless(columns: list[str], source: str) -> None:
    if not columns:
        message = f"{source} has one column only; give a table of genes x cells with tabs, commas or semicolons"
        raise ReadError(message)
    nameless = [position for position, name in enumerate(columns, start=2) if not name]
    if nameless:
        message = f"{source}: column {nameless[0]} has no name ({len(nameless)} such columns); name or remove it"
        raise ReadError(message)


def _lines(path: Path) -> Iterator[Line]:
    """Number and bytes of each line that is not blank, without its end."""
    size, total, blank = require_file(path), 0, 0
    try:
        with path.open("rb") as peeked:
            packed = peeked.read(2) == GZIP
        if path.suffix.lower() == ".gz" and not packed:
            message = f"{path} is named .gz but is not gzip; download it again, or drop .gz from its name"
            raise ReadError(message)
        with gzip.open(path) if packed else path.open("rb") as stream:
            for number, line in enumerate(iter(partial(stream.readline, LONGEST), b""), start=1):
                total += len(line)
                if total > SMALL:
                    require_growth(total, size, path)
                _check_line(line, number, path)
                if line.strip(b" \r\n"):
                    yield number, line.rstrip(b"\r\n")
                elif (blank := blank + 1) > MOST_BLANK:
                    message = f"{path} holds more than {MOST_BLANK:,} blank lines; it is damaged, get it again"
                    raise ReadError(message)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise cut_off(path, error) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _check_line(line: bytes, number: int, path: Path) -> None:
    if len(line) == LONGEST:
        message = f"{path}: line {number} has more than {LONGEST:,} bytes; save it again with line ends"
        raise ReadError(message)
    if number > 1 and b"\0" in line:  # the parser takes a NUL for the end of a number
        message = f"{path}: line {number} holds a NUL byte, so the file is damaged or no text; get it again"
        raise ReadError(message)


def _cells(line: str, separator: str) -> list[str]:
    if '"' not in line:
        return line.split(separator)
    return next(csv.reader([line], delimiter=separator))


def _smaller(values: NDArray[np.float32]) -> Rows:
    """The same values in the form that takes less memory."""
    return sp.csr_matrix(values) if np.count_nonzero(values) < 0.5 * values.size else values


def stacked(parts: list[Any], *, turned: bool) -> Rows:
    """All parts as one matrix, sparse when few values are not zero; the parts are let go on the way.

    Parameters
    ----------
    turned
        Whether the rows become the columns.
    """
    shape = sum(part.shape[0] for part in parts), parts[0].shape[1]
    present = sum(part.nnz if sp.issparse(part) else np.count_nonzero(part) for part in parts)
    if present < SPARSE * shape[0] * shape[1]:
        whole = sp.vstack([sp.csr_matrix(part) for part in parts], format="csr")
        parts.clear()
        return whole.T.tocsr() if turned else whole
    dense = np.empty(shape[::-1] if turned else shape, dtype=np.float32)
    start = 0
    while parts:
        part = parts.pop(0)
        rows = part.toarray() if sp.issparse(part) else part
        stop = start + len(rows)
        if turned:
            dense[:, start:stop] = rows.T
        else:
            dense[start:stop] = rows
        start = stop
    return dense
