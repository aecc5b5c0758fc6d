"""GCTX: an HDF5 file whose matrix stands as samples x genes, read by blocks that hold what is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cellixir.data.gctx.kind import Axis, Opened
from cellixir.data.gctx.metadata import words
from cellixir.data.hdf5 import require_own, require_sound_heaps
from cellixir.exceptions import ReadError, reason
from cellixir.limits import require_memory

MATRIX = "0/DATA/0/matrix"
#: Bytes of one block, and values between two genes that one read passes over: a page of a disk has as many.
_BLOCK, _PAGE = 2**24, 1024
#: What h5py raises on damaged files.
_DAMAGED = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, EOFError)


def open_stored(path: Path) -> tuple[h5py.File, Opened]:
    """File with the ids of a GCTX; no number of its matrix is read.

    Raises
    ------
    ReadError
        If it is cut off, damaged, of another layout, reads other files, or its matrix was not written to the end.
    """
    file = None
    try:
        require_own(path, in_memory=False, words=False)
        file = h5py.File(path, "r")
        matrix = _matrix(file, path)
        columns, rows = (_axis(file, name, n, path) for name, n in zip(("COL", "ROW"), matrix.shape, strict=True))
        return file, Opened(rows, columns, StoredMatrix(matrix, path))
    except ReadError:
        if file:
            file.close()
        raise
    except _DAMAGED as error:
        if file:
            file.close()
        raise _not_gctx(path, error) from error


class StoredMatrix:
    """Matrix on disk, shape ``(n_samples, n_genes)``."""

    def __init__(self, matrix: Any, path: Path) -> None:
        self.matrix, self.path = matrix, path

    def read(self, columns: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.floating]:
        """Values of samples x genes; chunks without any of them are not touched, and none is read twice."""
        matrix = self.matrix
        dtype = np.result_type(matrix.dtype, np.float32)
        asked = len(columns) * len(rows) * dtype.itemsize
        height, width = matrix.chunks or (1, _PAGE)
        inside = height * width * matrix.dtype.itemsize if matrix.chunks else 0
        require_memory(2 * asked + inside, self.path, f"gives {len(columns):,} samples x {len(rows):,} genes")
        found = np.empty((len(columns), len(rows)), dtype=dtype)
        by_column, by_row = np.argsort(columns, kind="stable"), np.argsort(rows, kind="stable")
        most = max(1, _BLOCK // (height * matrix.shape[1] * dtype.itemsize))
        try:
            for of_columns in _runs(columns[by_column], height, most):
                for of_rows in _runs(rows[by_row], width, matrix.shape[1]):
                    here, there = by_column[of_columns], by_row[of_rows]
                    at, to = columns[here], rows[there]
                    block = matrix[at[0] : at[-1] + 1, to[0] : to[-1] + 1]
                    found[np.ix_(here, there)] = block[np.ix_(at - at[0], to - to[0])]
        except _DAMAGED as error:
            raise _not_gctx(self.path, error) from error
        return found


def _runs(places: NDArray[np.intp], unit: int, most: int) -> Iterator[slice]:
    """Parts of sorted places that one read takes: places in neighbouring units, ``most`` units at a time."""
    bands = places // unit
    first = np.concatenate([[0], np.flatnonzero(np.diff(bands) > 1) + 1])
    for start, stop in zip(first, [*first[1:], len(places)], strict=True):
        pieces = (bands[start:stop] - bands[start]) // most
        edges = [0, *(np.flatnonzero(np.diff(pieces)) + 1), stop - start]
        yield from (slice(start + a, start + b) for a, b in pairwise(edges) if b > a)


def _matrix(file: h5py.File, path: Path) -> Any:
    matrix = file[MATRIX] if MATRIX in file else None
    if not isinstance(matrix, h5py.Dataset) or matrix.ndim != 2 or matrix.dtype.kind not in "iuf":
        message = f"{path} is no GCTX: it holds no matrix of numbers at {MATRIX}; write or download it again"
        raise ReadError(message)
    if 0 in matrix.shape:
        message = f"{path} holds {matrix.shape[0]} samples x {matrix.shape[1]} genes; give a file with at least one"
        raise ReadError(message)
    if matrix.chunks:
        there = matrix.id.get_num_chunks()
        wanted = math.prod(-(-n // c) for n, c in zip(matrix.shape, matrix.chunks, strict=True))
    else:
        there, wanted = matrix.id.get_storage_size(), matrix.size * matrix.dtype.itemsize
    if there < wanted:
        what = "blocks" if matrix.chunks else "bytes"
        message = f"{path}: {there:,} of {wanted:,} {what} of its matrix were written; write or download it again"
        raise ReadError(message)
    return matrix


def _axis(file: h5py.File, side: str, n: int, path: Path) -> Axis:
    fields = {}
    group = file[f"0/META/{side}"]
    for name in group:
        found = group[name]
        if not isinstance(found, h5py.Dataset) or found.shape != (n,) or found.dtype.kind not in "iufbSO":
            shape = found.shape if isinstance(found, h5py.Dataset) else "a group"
            message = f"{path}: 0/META/{side}/{name} is not one word or number for each of {n:,} ({shape}); write it so"
            raise ReadError(message)
        if found.dtype.kind == "O":
            require_sound_heaps(path)
        fields[name] = found[:]
    if "id" not in fields:
        message = f"{path} has no ids at 0/META/{side}/id; write or download it again"
        raise ReadError(message)
    return Axis(np.array(words(fields.pop("id")), dtype=object), fields)


def _not_gctx(path: Path, error: Exception) -> ReadError:
    return ReadError(f"{path} is not a GCTX file, or is cut off ({reason(error)}); write or download it again")
