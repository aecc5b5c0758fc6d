"""Cells of a workbook that have no value of their own: formulas that were never calculated, and errors."""

from __future__ import annotations

import io
import re
import zipfile
import zlib

from cellixir.exceptions import ReadError

_SHEET = re.compile(rb'<(?:\w+:)?sheet [^>]*?r:id="([^"]+)"')
_LINK = re.compile(rb"<(?:\w+:)?Relationship ([^>]*)>")
_CELL = re.compile(rb'<c r="([A-Z]+\d+)"((?:[^>/]|/(?!>))*)>(.*?)</c>', re.DOTALL)
_VALUE = re.compile(rb"<v(?: [^>]*)?>([^<]+)</v>|<is>")


def refuse_broken_cells(raw: bytes, source: str) -> None:
    """Refuse a workbook whose first sheet has formulas without a value, or errors such as ``#DIV/0!``.

    A reader takes both for empty cells. A workbook without such cells, or one that is damaged, passes.

    Raises
    ------
    ReadError
        With the first cell, what is wrong with it, and how many there are.
    """
    sheet = _first_sheet(raw)
    if b"<f" not in sheet and b't="e"' not in sheet:
        return
    broken = [(cell[1].decode(), fault) for cell in _CELL.finditer(sheet) if (fault := _fault(cell[2], cell[3]))]
    if broken:
        place, fault = broken[0]
        others = f" ({len(broken)} such cells)" if len(broken) > 1 else ""
        message = (
            f"{source}: cell {place} {fault}{others}; calculate and save the workbook again, or leave the cell empty"
        )
        raise ReadError(message)


def _fault(attributes: bytes, content: bytes) -> str:
    value = _VALUE.search(content)
    if b't="e"' in attributes:
        return f"holds the error {value[1].decode() if value and value[1] else '#?'}"
    return "is a formula without a value" if b"<f" in content and not value else ""


def _first_sheet(raw: bytes) -> bytes:
    """XML of the first sheet; nothing where the archive has none."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            first = _SHEET.search(archive.read("xl/workbook.xml"))
            links = archive.read("xl/_rels/workbook.xml.rels")
            mine = [link[1] for link in _LINK.finditer(links) if first and b'Id="' + first[1] + b'"' in link[1]]
            target = re.search(rb'Target="/?(?:xl/)?([^"]+)"', mine[0]) if mine else None
            return archive.read(f"xl/{target[1].decode()}") if target else b""
    except (zipfile.BadZipFile, zlib.error, KeyError, OSError, ValueError, EOFError):
        return b""
