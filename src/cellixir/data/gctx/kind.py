"""Recognition of GCT and GCTX by their content: the suffix is often wrong."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from cellixir.data.opening import GZIP

_HDF5 = b"\x89HDF\r\n\x1a\n"
Kind = Literal["gct 1.2", "gct 1.3", "gctx"]
_VERSIONS: dict[bytes, Kind] = {b"#1.2": "gct 1.2", b"#1.3": "gct 1.3"}


class Axis(NamedTuple):
    """Ids and metadata of the rows (genes) or the columns (samples) of a file."""

    ids: NDArray[np.object_]
    fields: Mapping[str, NDArray[Any]]


class Matrix(Protocol):
    """Numbers of a file that are read by places, in the order in which these are given."""

    def read(self, columns: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.floating]:
        """Values, shape ``(n_columns, n_rows)``: samples x genes."""


class Opened(NamedTuple):
    """A file whose ids are known and whose numbers have not been read."""

    rows: Axis
    columns: Axis
    matrix: Matrix


def gct_kind(path: Path) -> Kind | None:
    """Which of the formats a file is, GCT also gzipped, told from its first bytes and groups; None: none of them."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            start = stream.read(8)
    except (OSError, ValueError):  # what cannot be opened is refused by the reader
        return None
    if start == _HDF5:
        return "gctx" if _has_matrix(path) else None
    return _VERSIONS.get((_unpacked_start(path) if start[:2] == GZIP else start)[:4])


def _unpacked_start(path: Path) -> bytes:
    try:
        with gzip.open(path) as stream:
            return stream.read(8)
    except (EOFError, OSError, zlib.error):
        return b""


def _has_matrix(path: Path) -> bool:
    """Whether the group ``0/DATA`` is there; a link to another file is not followed."""
    try:
        with h5py.File(path, "r") as file:
            group = file
            for name in ("0", "DATA"):
                if not isinstance(group, h5py.Group) or not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    return False
                group = group[name]
            return isinstance(group, h5py.Group)
    except (OSError, RuntimeError, LookupError, ValueError, TypeError):
        return False
