"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import stat
import time
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellixir.exceptions import CellixirError, ConfigurationError, WriteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pandas import DataFrame

#: Seconds after which what a process of another machine has left is taken for left.
_OLD = 7 * 24 * 3600
#: What makes a spreadsheet take text for a formula (OWASP, CSV injection).
_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@contextmanager
def whole(path: Path | str) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; it takes the place of ``path`` if the block ends well.

    The suffix is kept, so a writer that looks at it (pandas does, for compression) sees the right one. What a killed
    process has left half-written of the same file is removed.

    Raises
    ------
    WriteError
        If the folder cannot be made or written to, ``path`` is a folder, or the disk is full.
    """
    target = Path(path)
    require_writable(target)
    partial = beside(target)
    try:
        yield partial
        partial.replace(target)
    except OSError as error:
        if isinstance(error, CellixirError):
            raise
        raise cannot_write(target, error.strerror or str(error)) from error
    finally:
        partial.unlink(missing_ok=True)


def beside(target: Path, what: str = "") -> Path:
    """Hidden path by ``target`` for what this process makes on the way to it; those of dead processes are removed.

    The names say process and machine: on a disk that machines share, others are at work.
    """
    for left in target.parent.glob(f".*@*.{escape(target.name)}"):
        pid, _, machine = left.name[1:].removesuffix(f".{target.name}").partition("@")
        here = machine.partition("+")[0] == _machine() and pid.isdecimal()
        if here and not alive(int(pid)) and machine.endswith("+old") and not target.exists():
            left.replace(target)  # killed between moving the old away and the new in
        elif (here and not alive(int(pid))) or (pid.isdecimal() and time.time() - left.lstat().st_mtime > _OLD):
            remove(left)
    return target.with_name(f".{os.getpid()}@{_machine()}{what and f'+{what}'}.{target.name}")


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it, if it can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink(missing_ok=True)


def alive(pid: int) -> bool:
    """Whether a process of this machine still works."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def _machine() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold ``path`` for this process: a second one that wants to write there is refused.

    A file of a lock stands beside ``path`` meanwhile; that of a killed process holds nobody up.

    Raises
    ------
    ConfigurationError
        If another process is at work there.
    """
    from filelock import FileLock, Timeout

    require_writable(path.with_name(f".{path.name}.lock"))
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        message = f"another process is at work on {path}; wait for it, or choose another --out"
        raise ConfigurationError(message) from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def write_csv(table: DataFrame, path: Path, **options: Any) -> None:
    """Write a table for people, whole or not at all; see `harmless`.

    A file that is packed (``.csv.gz``) is for programs, and keeps its text as it is.

    Parameters
    ----------
    options
        Of ``DataFrame.to_csv``; the index is not written unless asked for.
    """
    shown = table if path.suffix == ".gz" else harmless(table)
    with whole(path) as partial:
        shown.to_csv(partial, **({"index": False} | options))


def harmless(table: DataFrame) -> DataFrame:
    """Table whose text no spreadsheet takes for a formula: an apostrophe stands before ``=``, ``+``, ``-`` and ``@``.

    As OWASP advises against "CSV injection": names come from files of strangers, and ``=HYPERLINK(...)`` as the name of
    a drug would be run by whoever opens the table. Numbers, also as text, stay as they are.
    """
    found = table.rename(columns=_no_formula)
    if found.index.dtype == object and found.index.nlevels == 1:
        found.index = found.index.map(_no_formula)
    for place, kind in enumerate(found.dtypes):
        column = found.iloc[:, place]
        if str(kind) in {"object", "category", "string"}:
            texts = column.astype(object)
            if any(isinstance(text, str) and text[:1] in _STARTS for text in texts.unique()):
                found = found.copy() if found is table else found
                found.isetitem(place, texts.map(_no_formula).to_numpy())
    return found


def _no_formula(text: Any) -> Any:
    if isinstance(text, str) and text[:1] in _STARTS and text and _NUMBER.fullmatch(text) is None:
        return f"'{text}"
    return text


def require_ordinary(path: Path) -> None:
    """Refuse a pipe or a device: reading it may have no end.

    Raises
    ------
    OSError
        Also if nothing is there.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        message = f"{path} is no ordinary file"
        raise OSError(message)


def read_json(path: Path, *, odd: Callable[[str], object] | None = None) -> Any:
    """Content of a JSON file.

    Parameters
    ----------
    odd
        Called with ``NaN``, ``Infinity`` or ``-Infinity`` for its value; None: they are the numbers.

    Raises
    ------
    ValueError
        If it is not JSON, too deep, or not UTF-8.
    OSError
        If it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=odd)
    except RecursionError as error:
        message = "it is nested too deep"
        raise ValueError(message) from error


def require_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before work is done for it; its folder is made."""
    if path.is_dir():
        raise cannot_write(path, "it is a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error.strerror or str(error)) from error
    if not os.access(path.parent, os.W_OK):
        raise cannot_write(path, "its folder cannot be written to")


def digest_of(path: Path | str) -> str:
    """SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cannot_write(path: Path, reason: str) -> WriteError:
    """What is said of a place that cannot be written."""
    return WriteError(f"cannot write {path} ({reason}); choose another place (--out)")
