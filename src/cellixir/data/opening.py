"""Bytes of a file, after what makes a file dangerous to open: pipes and devices, gzip that grows, empty files."""

from __future__ import annotations

import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

from cellixir.exceptions import ReadError
from cellixir.limits import require_growth, require_memory

GZIP = b"\x1f\x8b"
_CHUNK = 1 << 24
#: Bytes that a table needs beside its own: text, cells and columns at the same time.
_TIMES = 3


def require_file(path: Path) -> int:
    """Size of a file that can be read to its end: not a pipe, not a device, not empty.

    Raises
    ------
    ReadError
        If it is missing or none of these.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        raise unreadable(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        message = f"{path} is no ordinary file (a pipe, a device or a folder); write its content to a file, give that"
        raise ReadError(message)
    if not found.st_size:
        message = f"{path} is empty (0 bytes); write or download it again"
        raise ReadError(message)
    return found.st_size


def content(path: Path, *, named_right: bool = True) -> bytes:
    """All bytes of a file, unpacked if it is gzip.

    Parameters
    ----------
    named_right
        Refuse what is named ``.gz`` and is not.

    Raises
    ------
    ReadError
        If it cannot be read, is cut off, or is larger than the limits allow.
    """
    size = require_file(path)
    require_memory(_TIMES * size, path, f"has {size:,} bytes")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    if raw[:2] == GZIP:
        return b"".join(_unpacked(raw, path))
    if named_right and path.name.lower().endswith(".gz"):
        message = f"{path} is named .gz but is not gzip; download it again, or drop .gz from its name"
        raise ReadError(message)
    return raw


def unreadable(path: Path, error: Exception) -> ReadError:
    """What is said of a file that cannot be opened."""
    return ReadError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}); check the path")


def cut_off(path: Path, error: Exception) -> ReadError:
    """What is said of a gzip file that does not unpack."""
    return ReadError(f"{path} is a gzip file that is cut off or damaged ({error}); download it again")


def _unpacked(raw: bytes, path: Path) -> Iterator[bytes]:
    total = 0
    try:
        with gzip.open(io.BytesIO(raw)) as stream:
            while part := stream.read(_CHUNK):
                total += len(part)
                require_growth(total, len(raw), path)
                require_memory(_TIMES * total, path, f"unpacks to {total:,} bytes or more")
                yield part
    except (EOFError, OSError, zlib.error) as error:
        raise cut_off(path, error) from error
