"""GCT text, versions 1.2 and 1.3."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellixir.data.gctx.kind import Axis, Opened
from cellixir.data.gctx.metadata import words
from cellixir.data.opening import content
from cellixir.exceptions import InvalidValues, ReadError, examples
from cellixir.limits import require_memory

_MISSING = {b"", b"NA", b"NaN", b"nan", b"N/A", b"na", b"null"}
_OF_NUMBERS = b"0123456789+-.eE"


def open_text(path: Path) -> Opened:
    """Ids and metadata of a GCT file, and its numbers as they stand in the text.

    Raises
    ------
    ReadError
        If the file is cut off, ragged, or its second line counts other things than it holds.
    """
    lines = _lines(path)
    version = next(lines)[:1]
    of_rows, of_columns, n_rows, n_columns = _sizes(next(lines, []), version == [b"#1.3"], path)
    header = next(lines, [])
    _check_width(header, 1 + of_rows + n_columns, 3, path)
    about = [_cells_of(lines, len(header), 4 + i, path) for i in range(of_columns)]
    body = [_cells_of(lines, len(header), 4 + of_columns + i, path) for i in range(n_rows)]
    if next(lines, None) is not None:
        message = f"{path} holds more than the {n_rows:,} rows that its second line counts; write it again"
        raise ReadError(message)
    start = 1 + of_rows
    columns = Axis(_names(header[start:], path), {_word(line[0]): _texts(line[start:]) for line in about})
    fields = {_word(header[1 + i]): _texts([line[1 + i] for line in body]) for i in range(of_rows)}
    rows = Axis(_names([line[0] for line in body], path), fields)
    return Opened(rows, columns, TextMatrix(body, start, rows, columns, path))


class TextMatrix:
    """Numbers in the cells of lines, one line a gene."""

    def __init__(self, body: list[list[bytes]], start: int, rows: Axis, columns: Axis, path: Path) -> None:
        self.body, self.start, self.rows, self.columns, self.path = body, start, rows, columns, path

    def read(self, columns: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.floating]:
        """Values of samples x genes, float64."""
        require_memory(8 * len(columns) * len(rows), self.path, f"gives {len(columns):,} samples x {len(rows):,} genes")
        found = np.empty((len(columns), len(rows)))
        for at, row in enumerate(rows):
            cells = self.body[row]
            found[:, at] = self._numbers([cells[self.start + column] for column in columns], row, columns)
        return found

    def _numbers(self, cells: list[bytes], row: int, columns: NDArray[np.intp]) -> NDArray[np.float64]:
        if not b"".join(cells).translate(None, _OF_NUMBERS):
            try:
                return np.array(cells, dtype=bytes).astype(np.float64)
            except ValueError:
                pass
        return np.array([self._number(cell.strip(), row, at) for cell, at in zip(cells, columns, strict=True)])

    def _number(self, cell: bytes, row: int, column: np.intp) -> float:
        if cell in _MISSING:
            return np.nan
        try:
            return float(cell if not cell.translate(None, _OF_NUMBERS) else b"no")
        except ValueError:
            place = f"{self.path}: gene {self.rows.ids[row]!r} of sample {self.columns.ids[column]!r}"
            message = f"{place} is {_word(cell)[:60]!r}, not a number; correct it, or leave the cell empty"
            raise InvalidValues(message) from None


def _lines(path: Path) -> Iterator[list[bytes]]:
    raw = content(path, named_right=False)
    require_memory(6 * len(raw), path, f"holds {len(raw):,} bytes of text")
    for number, line in enumerate(io.BytesIO(raw), start=1):
        if b"\0" in line:
            message = f"{path}: line {number} holds a NUL byte, so the file is damaged or no text; get it again"
            raise ReadError(message)
        if line.strip(b"\r\n"):
            yield line.rstrip(b"\r\n").split(b"\t")


def _sizes(cells: list[bytes], has_metadata: bool, path: Path) -> tuple[int, int, int, int]:
    """Fields of rows and of columns, rows, columns."""
    wanted = 4 if has_metadata else 2
    try:
        sizes = [int(cell) for cell in cells if cell.strip()]
    except ValueError:
        sizes = []
    if len(sizes) != wanted or min(sizes) < 0 or 0 in sizes[:2]:
        counts = "rows, columns, fields of rows and of columns" if has_metadata else "rows and columns"
        message = (
            f"{path}: the second line must count {counts}, and is {_word(b' '.join(cells))[:60]!r}; write it again"
        )
        raise ReadError(message)
    n_rows, n_columns, of_rows, of_columns = sizes if has_metadata else (*sizes, 1, 0)
    return of_rows, of_columns, n_rows, n_columns


def _cells_of(lines: Iterator[list[bytes]], width: int, number: int, path: Path) -> list[bytes]:
    cells = next(lines, [])
    _check_width(cells, width, number, path)
    return cells


def _check_width(cells: list[bytes], width: int, number: int, path: Path) -> None:
    if len(cells) != width:
        found = f"has {len(cells):,} cells" if cells else "is not there"
        message = (
            f"{path}: line {number} {found}, and by the second line it has {width:,}; the file is cut off there or "
            "damaged, write or download it again"
        )
        raise ReadError(message)


def _names(cells: list[bytes], path: Path) -> NDArray[np.object_]:
    found = words(cells)
    if "" in found:
        message = f"{path}: {found.count('')} ids are empty (beside {examples([w for w in found if w])}); give them ids"
        raise ReadError(message)
    return np.array(found, dtype=object)


def _texts(cells: list[bytes]) -> NDArray[np.object_]:
    return np.array(words(cells), dtype=object)


def _word(cell: bytes) -> str:
    return words([cell])[0]
