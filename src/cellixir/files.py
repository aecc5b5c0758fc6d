"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cellixir.exceptions import WriteError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def whole(path: Path | str) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; it takes the place of ``path`` if the block ends well.

    The suffix is kept, so a writer that looks at it (pandas does, for compression) sees the right one.

    Raises
    ------
    WriteError
        If the folder cannot be made or written to, or ``path`` is a folder.
    """
    target = Path(path)
    require_writable(target)
    partial = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        yield partial
        partial.replace(target)
    except OSError as error:
        raise _cannot_write(target, error.strerror or str(error)) from error
    finally:
        partial.unlink(missing_ok=True)


def require_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before work is done for it; its folder is made."""
    if path.is_dir():
        raise _cannot_write(path, "it is a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(path, error.strerror or str(error)) from error
    if not os.access(path.parent, os.W_OK):
        raise _cannot_write(path, "its folder cannot be written to")


def digest_of(path: Path | str) -> str:
    """SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cannot_write(path: Path, reason: str) -> WriteError:
    return WriteError(f"cannot write {path} ({reason}); choose another place (--out)")
