"""Every error that cellixir raises on purpose.

::

    CellixirError
    ├── DataError              what came in cannot be used
    │   ├── ReadError          a file is missing, empty, cut off or not what its name says
    │   ├── InvalidValues      text, NaN or infinity where a number must stand
    │   ├── DuplicateIds       the same sample, drug, gene or pair twice
    │   ├── UnknownIds         an id that no table describes
    │   ├── GeneMismatch       features that the model knows are not there
    │   └── Leakage            the answer stands among what a model may see
    ├── SourceError            a public file cannot be had
    │   ├── DownloadFailed     the server or the connection failed
    │   └── HashMismatch       the bytes are not the pinned ones
    ├── ConfigurationError     an option or a combination of options that cannot work
    │   └── MissingExtra       an optional dependency is not installed
    ├── WriteError             a result cannot be written where it should stand
    ├── NotFitted              predict before fit
    └── BundleError            a saved model that cannot be read

The command line prints the message alone and exits with ``exit_code``.
"""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 300


class CellixirError(Exception):
    """Base of every error raised on purpose."""

    exit_code = 2


class DataError(CellixirError, ValueError):
    """What came in cannot be used."""


class ReadError(DataError):
    """A file is missing, empty, cut off, or not what its name says."""


class InvalidValues(DataError):
    """Text, NaN or infinity where a number must stand."""


class DuplicateIds(DataError):
    """The same sample, drug, gene or pair twice."""


class UnknownIds(DataError):
    """An id that no table describes."""


class GeneMismatch(DataError):
    """Features that the model knows are not in the table."""


class Leakage(DataError):
    """The answer stands among what a model may see, and nobody has allowed it by name."""

    exit_code = 3


class SourceError(CellixirError, OSError):
    """A public file cannot be had."""


class DownloadFailed(SourceError):
    """The server or the connection failed."""


class HashMismatch(SourceError):
    """The bytes are not the pinned ones."""


class ConfigurationError(CellixirError, ValueError):
    """An option, or a combination of options, that cannot work."""


class MissingExtra(ConfigurationError):
    """An optional dependency is not installed."""


class WriteError(CellixirError, OSError):
    """A result cannot be written where it should stand."""


class NotFitted(CellixirError, RuntimeError):
    """A model was asked to predict before it was fitted."""


class BundleError(CellixirError, ValueError):
    """A saved model that cannot be read."""


def reason(error: BaseException) -> str:
    r"""Message of an error of another package as part of a sentence: one line, not too long.

    >>> reason(ValueError("bad\nheader"))
    'bad header'
    """
    text = " ".join((str(error) or type(error).__name__).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def examples(ids: Iterable[object], limit: int = 3) -> str:
    """First ids, quoted, for a message.

    >>> examples(["TP53", "KRAS", "BRAF", "EGFR"])
    "'TP53', 'KRAS', 'BRAF', ..."
    """
    shown = [repr(i if len(i) < _LONGEST else f"{i[:60]}...") if isinstance(i, str) else str(i) for i in ids]
    return ", ".join(shown[:limit]) + (", ..." if len(shown) > limit else "")


def counted(n: int, noun: str) -> str:
    """Number and noun, in the plural unless there is one.

    >>> counted(1, "sample"), counted(1200, "sample")
    ('1 sample', '1,200 samples')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def repeated(n: int, noun: str) -> str:
    """Clause on things that are there twice.

    >>> repeated(1, "gene"), repeated(3, "gene")
    ('1 gene stands more than once', '3 genes stand more than once')
    """
    return f"{counted(n, noun)} stand{'s' if n == 1 else ''} more than once"
