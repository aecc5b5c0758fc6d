"""Cells x genes to a file that appears whole or not at all, also on a disk that is full."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
from anndata.io import write_elem

from cellixir.files import whole


def write_cells(
    cells: ad.AnnData, path: Path, *, compression: str | None = None, attributes: Mapping[str, str] | None = None
) -> None:
    """Write an .h5ad file.

    Parameters
    ----------
    compression
        Such as ``gzip``.
    attributes
        Of the file itself, beside those of anndata.

    Raises
    ------
    WriteError
        If the place cannot be written or is full.
    """
    cells.strings_to_categoricals()
    with whole(path) as partial, _Disk(partial) as disk:
        with h5py.File(disk, "w") as file:
            write_elem(file, "/", cells, dataset_kwargs={"compression": compression} if compression else {})
            file.attrs.update(attributes or {})
        if disk.error is not None:
            raise disk.error


class _Disk(io.FileIO):
    """File that keeps its first error for later and what came after it in memory: HDF5 crashes when it cannot write."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.error: OSError | None = None
        self._lost: dict[int, bytes] = {}

    def write(self, data: Any, /) -> int:
        """Write all, or remember."""
        view, start, done = memoryview(data).cast("B"), self.tell(), 0
        if self.error is None:
            try:
                while done < len(view):
                    done += super().write(view[done:])
            except OSError as error:
                self.error = error
            else:
                return done
        self._lost[start] = bytes(view)
        self.seek(start + len(view))
        return len(view)

    def readinto(self, buffer: Any, /) -> int:
        """Read what was written or remembered."""
        lost = self._lost.get(self.tell())
        if lost is None:
            return super().readinto(buffer) or 0
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(lost))
        view[:count] = lost[:count]
        self.seek(count, io.SEEK_CUR)
        return count

    def truncate(self, size: int | None = None, /) -> int:
        """Set the size, or remember that it could not be set."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0
