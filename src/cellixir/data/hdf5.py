"""HDF5 files of strangers: only what stands in the file itself, and no more than it stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from cellixir.data.opening import require_file
from cellixir.exceptions import ReadError
from cellixir.limits import limit, require_growth, require_memory

#: Groups within groups; anndata writes fewer than ten.
MOST_DEEP = 40


def require_own(path: Path, *, in_memory: bool = True) -> None:
    """Refuse an HDF5 file that reads other files, claims more than it holds, or has no end.

    Parameters
    ----------
    in_memory
        Whether all of it is about to be read; else only its size is not judged.

    Raises
    ------
    ReadError
        With the place in the file.
    OSError
        If it is no HDF5 file.
    """
    size = require_file(path)
    with h5py.File(path, "r") as file:
        judge = _Judge(path, size, in_memory)
        judge.group(file, "", 0)


class _Judge:
    """Sums over all arrays of a file."""

    def __init__(self, path: Path, size: int, in_memory: bool) -> None:
        self.path, self.size, self.in_memory = path, size, in_memory
        self.objects, self.declared, self.most = 0, 0, limit("CELLIXIR_MAX_OBJECTS")

    def group(self, group: Any, place: str, depth: int) -> None:
        """All that a group holds; what is reached by two paths counts twice, as readers read it twice."""
        if depth > MOST_DEEP:
            raise self._refused(place, f"stands {depth} groups deep")
        for name in group:
            where = f"{place}/{name}"
            if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
                raise self._refused(where, "is a link to another file")
            self.objects += 1
            if self.objects > self.most:
                raise self._refused(where, f"is one of more than {self.most:,} objects (CELLIXIR_MAX_OBJECTS)")
            found = group.get(name)
            if isinstance(found, h5py.Group):
                self.group(found, where, depth + 1)
            elif isinstance(found, h5py.Dataset):
                self._array(found, where)

    def _array(self, array: Any, where: str) -> None:
        if array.external:
            raise self._refused(where, "keeps its values in another file")
        if array.is_virtual:
            raise self._refused(where, "is put together from other files")
        self.declared += array.size * array.dtype.itemsize if array.shape else 0
        require_growth(self.declared, self.size, f"{self.path}: {where.lstrip('/')}")
        if self.in_memory:
            require_memory(2 * self.declared, self.path, f"holds arrays of {self.declared:,} bytes")

    def _refused(self, where: str, why: str) -> ReadError:
        return ReadError(
            f"{self.path}: {where.lstrip('/')} {why}, which is not read from a file of a stranger; write the data into "
            "one file: adata.write_h5ad(new_path)"
        )
