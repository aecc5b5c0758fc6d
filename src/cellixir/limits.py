"""Limits on what a file of a stranger may ask of this machine; each can be set by an environment variable.

======================  ==============================  ===============================================================
variable                default                         what it limits
======================  ==============================  ===============================================================
CELLIXIR_MAX_MEMORY     half of what there is           memory that one table or matrix needs when it is read
CELLIXIR_MAX_RATIO      200                             times its size on disk that a file grows to, above 256 MB
CELLIXIR_MAX_SMILES     2000                            characters of a SMILES; canonical order takes their square
CELLIXIR_MAX_OBJECTS    200000                          groups and arrays in an HDF5 file, by whatever path
CELLIXIR_MIN_SPEED      1000                            bytes a second that a download brings, over one minute
======================  ==============================  ===============================================================

Sizes may carry kB, MB, GB or TB. What there is, is the least of the memory of the machine, of the container and of
the process (``ulimit -v``).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from cellixir.exceptions import ConfigurationError, ReadError

#: Below this many bytes a file may grow as it likes: that is a matter of seconds.
SMALL = 256 * 2**20
_DEFAULTS = {
    "CELLIXIR_MAX_RATIO": 200,
    "CELLIXIR_MAX_SMILES": 2000,
    "CELLIXIR_MAX_OBJECTS": 200_000,
    "CELLIXIR_MIN_SPEED": 1000,
}
_SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_CONTAINER = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def limit(name: str) -> int:
    """Value of a limit, from the environment or by default.

    Raises
    ------
    ConfigurationError
        If the variable holds no number.
    """
    text = os.environ.get(name, "").strip()
    if not text:
        return _DEFAULTS[name] if name in _DEFAULTS else memory_of_process() // 2
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.upper())
    if found is None:
        message = f"{name} is {text!r}; give it a number, or a size such as 8GB"
        raise ConfigurationError(message)
    return int(float(found[1]) * _SIZES[found[2]])


def memory_of_process() -> int:
    """Bytes that this process may have: the least of machine, container and ``ulimit -v``."""
    known = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else [16 * 10**9]
    for file in _CONTAINER:
        try:
            known.append(int(Path(file).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no container, or "max"
            continue
    try:
        import resource
    except ImportError:  # Windows
        return min(known)
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return min(known if soft == resource.RLIM_INFINITY else [*known, soft])


def require_memory(needed: float, source: object, what: str) -> None:
    """Refuse what needs more memory than the limit.

    Parameters
    ----------
    needed
        Bytes.
    source, what
        The file, and what it holds or claims, for the message.

    Raises
    ------
    ReadError
        With both numbers and the variable to set.
    """
    most = limit("CELLIXIR_MAX_MEMORY")
    if needed > most:
        message = (
            f"{source} {what}, which needs about {spoken(needed)} of memory, and the limit is {spoken(most)}; give a "
            "part of it, or set CELLIXIR_MAX_MEMORY (such as 64GB) if there is more"
        )
        raise ReadError(message)


def require_growth(unpacked: int, stored: int, source: object) -> None:
    """Refuse a file that grows to many times its size: few bytes that claim to be much.

    Raises
    ------
    ReadError
        With both sizes and the variable to set.
    """
    if unpacked <= SMALL:
        return
    most = limit("CELLIXIR_MAX_RATIO")
    if unpacked > most * max(stored, 1):
        message = (
            f"{source} has {spoken(stored)} and grows to {spoken(unpacked)} or more, above {most} times its size; data "
            "do not, so it is damaged or made to fill memory: get it again, or set CELLIXIR_MAX_RATIO"
        )
        raise ReadError(message)


def spoken(size: float) -> str:
    """Bytes as one says them.

    >>> spoken(4.8e9), spoken(24_456)
    ('4.8 GB', '24 kB')
    """
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}" if unit > 10**6 else f"{size / unit:,.0f} {name}"
    return f"{size:,.0f} bytes"
