"""HDF5 files of strangers: only what stands in the file itself, and no more than it stores; a disk that is full."""

from __future__ import annotations

import io
import mmap
from pathlib import Path
from typing import Any

import h5py

from cellixir.data.opening import require_file
from cellixir.exceptions import ReadError
from cellixir.limits import limit, require_growth, require_memory

#: Groups within groups; anndata writes fewer than ten.
MOST_DEEP = 40
#: Start of a global heap collection, version 1.
_HEAP = b"GCOL\x01\0\0\0"
#: Bytes of a file that are looked through in a second or two.
_LOOKED_THROUGH = 2**32


def require_own(path: Path, *, in_memory: bool = True, words: bool = True) -> None:
    """Refuse an HDF5 file that reads other files, claims more than it holds, or has no end.

    Parameters
    ----------
    in_memory
        Whether all of it is about to be read; else only its size is not judged.
    words
        Whether words of any length may be read of it; else its heaps are left to `require_sound_heaps`, which passes
        over the whole file.

    Raises
    ------
    ReadError
        With the place in the file.
    OSError
        If it is no HDF5 file.
    """
    size = require_file(path)
    if words:
        require_sound_heaps(path)
    with h5py.File(path, "r") as file:
        judge = _Judge(path, size, in_memory)
        judge.group(file, "", 0)


def require_sound_heaps(path: Path) -> None:
    """Refuse a heap of words whose objects do not follow each other: the HDF5 library would read it for ever.

    The layout is that of section III.E of the file format specification. Larger files are not looked through.
    """
    size = require_file(path)
    if size > _LOOKED_THROUGH:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        start = raw.find(_HEAP)
        while start >= 0:
            place, end = start + 16, start + int.from_bytes(raw[start + 8 : start + 16], "little")
            while place + 16 <= end <= size:
                number, held = (int.from_bytes(raw[place + a : place + b], "little") for a, b in ((0, 2), (8, 16)))
                length = 16 + (held + 7) // 8 * 8 if number else held
                if length < 16 or place + length > end:
                    message = f"{path} is damaged (its heap of words at byte {place:,}); write or download it again"
                    raise ReadError(message)
                place += length
            start = raw.find(_HEAP, start + 1)


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


class Disk(io.FileIO):
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
