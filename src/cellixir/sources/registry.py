"""Public files that cellixir knows: where they are, what they are, and how to have them verified on disk.

A file is looked for in this order: the folder named by ``CELLIXIR_DATA_DIR`` (only read, never written), the
cache (``CELLIXIR_CACHE_DIR``, else the system's cache folder), the pinned URL. Whatever is handed out has the
pinned SHA-256. ``CELLIXIR_OFFLINE=1`` forbids the third step.
"""

from __future__ import annotations

import difflib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urlsplit

import pooch
import requests
import urllib3
from filelock import FileLock
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from cellixir.exceptions import ConfigurationError, DownloadFailed, HashMismatch, SourceError, UnknownIds
from cellixir.files import digest_of
from cellixir.limits import limit

Place = Literal["data dir", "cache", "to download", "wrong bytes in data dir"]
_CHUNK = 1 << 14


@dataclass(frozen=True)
class Source:
    """One public file, pinned by URL and SHA-256.

    Attributes
    ----------
    key, file
        Name in the registry and name on disk.
    url, sha256, bytes
        Where the file is, and the hash and size it must have.
    licence
        Licence of the repository that publishes the file.
    terms
        Terms of the data themselves where they are narrower, else empty.
    what, citation
        What stands in the file and whom to cite.
    """

    key: str
    file: str
    url: str
    sha256: str
    bytes: int
    licence: str
    terms: str
    what: str
    citation: str


@lru_cache(maxsize=1)
def _registry() -> dict[str, Any]:
    text = files("cellixir.sources").joinpath("registry.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


@lru_cache(maxsize=1)
def sources() -> Mapping[str, Source]:
    """Every public file by its key, in registry order.

    >>> sources()["gdsc-v17-ic50"].file
    'IC50_v17.csv.gz'
    """
    terms = {"": "", **_registry()["terms"]}
    entries = _registry()["files"].items()
    return MappingProxyType({key: Source(**{"key": key, **e, "terms": terms[e["terms"]]}) for key, e in entries})


def collections() -> dict[str, tuple[str, ...]]:
    """Keys of the files that make up each data set, by the name of the data set.

    >>> collections()["gdsc-v17"][0]
    'gdsc-v17-ic50'
    """
    return {name: tuple(entry["files"]) for name, entry in _registry()["collections"].items()}


def expand(names: list[str]) -> list[str]:
    """Keys of all files asked for, collections spelt out, each key once.

    Raises
    ------
    UnknownIds
        If a name is neither a key nor a collection; the message lists close matches.
    """
    known = {**{key: (key,) for key in sources()}, **collections()}
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"did you mean {', '.join(close)}?" if close else "'cellixir data list' lists all keys"
            message = f"no data set is called {name!r}: {hint}"
            raise UnknownIds(message)
    return list(dict.fromkeys(key for name in names for key in known[name]))


def cache_folder() -> Path:
    """Folder where downloads are kept: ``CELLIXIR_CACHE_DIR``, else the system's cache folder."""
    chosen = os.environ.get("CELLIXIR_CACHE_DIR") or pooch.os_cache("cellixir")
    return Path(chosen).expanduser().absolute()


def at_hand(key: str, *, folder: Path | None = None) -> Place:
    """Where :func:`fetch` would take the file from; the bytes are hashed, nothing is downloaded."""
    source = _source(key)
    given = _in_data_dir(source)
    if given is not None:
        return "data dir" if sha256(given) == source.sha256 else "wrong bytes in data dir"
    cached = (folder or cache_folder()) / source.file
    return "cache" if _matches(cached, source) else "to download"


def fetch(key: str, *, folder: Path | None = None, progress: bool = True) -> Path:
    """Path of the verified file: from ``CELLIXIR_DATA_DIR``, else from the cache, else downloaded.

    Parameters
    ----------
    key
        A key of :func:`sources`.
    folder
        Cache folder; by default :func:`cache_folder`.
    progress
        Draw a progress bar on standard error while downloading (only on a terminal).

    Raises
    ------
    UnknownIds
        If there is no such key.
    HashMismatch
        If the file in ``CELLIXIR_DATA_DIR``, or what the server sent, is not the pinned one.
    DownloadFailed
        If the server cannot be reached, refuses, or cuts the connection; what came is kept for the next try.
    ConfigurationError
        If ``CELLIXIR_DATA_DIR`` is no folder, or the cache folder cannot be written.
    """
    source = _source(key)
    given = _in_data_dir(source)
    if given is not None:
        return _checked(given, source)
    folder = (folder or cache_folder()).expanduser().absolute()
    if not _matches(folder / source.file, source):
        _download(source, folder, progress=progress)
    return folder / source.file


def sha256(path: Path) -> str:
    """SHA-256 of the file in hex; hashed again in this process only if size or time of change differ."""
    state = path.stat()
    return _remembered(path.resolve(), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1024)
def _remembered(path: Path, size: int, mtime_ns: int) -> str:
    return digest_of(path)


def _source(key: str) -> Source:
    if key not in sources():
        expand([key])  # raises, unless the name is a collection
        message = f"{key!r} is a collection of {len(collections()[key])} files: fetch them one by one"
        raise UnknownIds(message)
    return sources()[key]


def _in_data_dir(source: Source) -> Path | None:
    chosen = os.environ.get("CELLIXIR_DATA_DIR")
    if not chosen:
        return None
    folder = Path(chosen).expanduser().absolute()
    if not folder.is_dir():
        message = f"CELLIXIR_DATA_DIR is {chosen!r}, which is not a folder: correct it or unset it"
        raise ConfigurationError(message)
    path = folder / source.file
    return path if path.is_file() else None


def _matches(path: Path, source: Source) -> bool:
    return path.is_file() and path.stat().st_size == source.bytes and sha256(path) == source.sha256


def _checked(path: Path, source: Source) -> Path:
    found = sha256(path)
    if found != source.sha256:
        message = (
            f"{path} has SHA-256 {found}, but {source.key} must have {source.sha256}: "
            f"delete or replace the file ({source.bytes:,} bytes, {source.url})"
        )
        raise HashMismatch(message)
    return path


def _download(source: Source, folder: Path, *, progress: bool) -> None:
    """Put the verified file into the folder; of several processes one downloads and the others wait."""
    if os.environ.get("CELLIXIR_OFFLINE", "").lower() not in {"", "0", "false", "no"}:
        raise _failed(source, "CELLIXIR_OFFLINE forbids downloads")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{source.file}.lock"), _quiet_pooch():
            downloader = ResumableDownload(source, progress=progress)
            pooch.retrieve(source.url, f"sha256:{source.sha256}", source.file, folder, downloader=downloader)
    except SourceError:
        raise
    except OSError as error:
        message = f"cannot write to {folder} ({error.strerror or error}): set CELLIXIR_CACHE_DIR to another folder"
        raise ConfigurationError(message) from error


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Silence pooch's own line "Downloading data from ...": the progress bar says it."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _failed(source: Source, reason: str) -> DownloadFailed:
    return DownloadFailed(
        f"could not download {source.url}: {reason}; try again, or set CELLIXIR_DATA_DIR "
        f"to a folder that holds {source.file}"
    )


class ResumableDownload:
    """Downloader for :func:`pooch.retrieve` that goes on where the last try was cut off.

    Bytes are collected in ``FILE.part`` beside the target, which outlives a failure. If a continued file
    turns out to have the wrong hash (the part was damaged, or the server's file has changed) it is fetched
    once more from the start; this also covers servers without an ETag, so no ``If-Range`` is sent.

    Parameters
    ----------
    source
        The file wanted.
    progress
        Draw bytes, speed and time left on standard error, if that is a terminal.
    timeout
        Seconds to wait for the server to connect or to send anything.
    patience
        Seconds over which it must bring ``CELLIXIR_MIN_SPEED`` bytes a second.
    """

    def __init__(self, source: Source, *, progress: bool = True, timeout: float = 30.0, patience: float = 60.0) -> None:
        self.source = source
        self.progress = progress
        self.timeout, self.patience = timeout, patience

    def __call__(self, url: str, output_file: str, _pooch: object = None) -> None:
        """Write the file at ``url`` to ``output_file``; pooch gives a temporary name in the target folder."""
        part = Path(output_file).with_name(f"{self.source.file}.part")
        if self._collect(url, part) and digest_of(part) != self.source.sha256:
            part.unlink()
            self._collect(url, part)
        self._refuse_wrong_bytes(url, part)
        part.replace(output_file)

    def _collect(self, url: str, part: Path) -> bool:
        """Whether bytes of an earlier try were used; afterwards ``part`` is complete."""
        have = part.stat().st_size if part.exists() else 0
        if have > self.source.bytes:
            part.unlink()
            have = 0
        if have == self.source.bytes:
            return True
        with self._answer(url, have) as response:
            resumed = response.status_code == requests.codes.partial_content
            try:
                self._write(response, part, have if resumed else 0)
            except requests.RequestException as error:
                raise self._cut_off(part) from error
        return resumed

    def _answer(self, url: str, have: int) -> requests.Response:
        """Answer from byte ``have`` on, or from the start where the server cannot do that."""
        # A range counts the bytes sent, which must therefore be those of the file, not of its compression.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            response = requests.get(url, headers=headers, stream=True, timeout=self.timeout)
        except requests.RequestException as error:
            reason = f"no answer from {urlsplit(url).hostname} ({type(error).__name__})"
            raise _failed(self.source, reason) from error
        if have and not _continues(response, have):
            response.close()
            return self._answer(url, 0)
        if not response.ok:
            response.close()
            raise _failed(self.source, f"the server answered {response.status_code} {response.reason}")
        return response

    def _write(self, response: requests.Response, part: Path, have: int) -> None:
        with self._bar(have) as advance, part.open("ab" if have else "wb") as target:
            for chunk in self._arriving(response):
                have += len(chunk)
                if have > self.source.bytes:
                    target.close()
                    part.unlink()
                    raise self._too_long(response.url)
                target.write(chunk)
                advance(len(chunk))
        announced = {"Content-Length", "Transfer-Encoding"} & set(response.headers)
        if not announced and have < self.source.bytes:  # else urllib3 has noticed
            raise self._cut_off(part)

    def _too_long(self, url: str) -> HashMismatch:
        return HashMismatch(
            f"{url} sends more than the {self.source.bytes:,} bytes of {self.source.key} with SHA-256 "
            f"{self.source.sha256}; nothing was kept: try again, or set CELLIXIR_DATA_DIR to a folder that holds "
            f"{self.source.file}"
        )

    def _arriving(self, response: requests.Response) -> Iterator[bytes]:
        """Bytes as they arrive; a server that sends next to nothing for a minute is given up.

        Raises
        ------
        DownloadFailed
            If it is too slow.
        requests.RequestException
            If the connection breaks.
        """
        slowest, began, arrived = limit("CELLIXIR_MIN_SPEED"), time.monotonic(), 0
        while True:
            try:
                chunk = response.raw.read1(_CHUNK)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise requests.ConnectionError(error) from error
            if not chunk:
                return
            arrived += len(chunk)
            yield chunk
            seconds = time.monotonic() - began
            if seconds >= self.patience:
                if arrived < slowest * seconds:
                    reason = f"{arrived:,} bytes came in {seconds:.0f} seconds (CELLIXIR_MIN_SPEED is {slowest:,})"
                    raise _failed(self.source, f"{reason}; they are kept for the next try")
                began, arrived = time.monotonic(), 0

    def _cut_off(self, part: Path) -> DownloadFailed:
        have = part.stat().st_size
        reason = f"cut off after {have:,} of {self.source.bytes:,} bytes, which are kept for the next try"
        return _failed(self.source, reason)

    @contextmanager
    def _bar(self, have: int) -> Iterator[Callable[[int], None]]:
        console = Console(stderr=True)
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        text = TextColumn("{task.description}")
        silent = not (self.progress and console.is_terminal)
        with Progress(text, *columns, console=console, disable=silent) as bar:
            task = bar.add_task(self.source.file, total=self.source.bytes, completed=have)
            yield lambda n: bar.advance(task, n)

    def _refuse_wrong_bytes(self, url: str, part: Path) -> None:
        found, size = digest_of(part), part.stat().st_size
        if found == self.source.sha256:
            return
        part.unlink()
        message = (
            f"{url} sent {size:,} bytes with SHA-256 {found}, but {self.source.key} must have "
            f"{self.source.bytes:,} bytes with {self.source.sha256}; nothing was kept: try again, or set "
            f"CELLIXIR_DATA_DIR to a folder that holds {self.source.file}"
        )
        raise HashMismatch(message)


def _continues(response: requests.Response, have: int) -> bool:
    """Whether the answer can follow the first ``have`` bytes; the whole file and an error page pass, too."""
    if response.status_code == requests.codes.partial_content:
        return response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    return response.status_code != requests.codes.requested_range_not_satisfiable
