"""The folder of a run: claimed in one way, with one manifest, whatever the job."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import pandas as pd

from cellixir import __version__
from cellixir.exceptions import ConfigurationError, ReadError
from cellixir.files import read_json, require_writable, whole, write_csv
from cellixir.runs.work import Outcomes, run_pieces, spoken

if TYPE_CHECKING:
    from types import TracebackType

    from filelock import FileLock

    from cellixir.runs.piece import Piece

State = Literal["running", "done", "stopped", "failed"]
MANIFEST = "run.json"
LOCK = ".run.lock"
#: What a run may leave that is not worth keeping: where nothing else stands, other work may begin.
OF_NO_WORTH = {MANIFEST, LOCK, "audit.json"}
FORMAT = 1


class Page(Protocol):
    """What writes itself, as the report does."""

    def write(self, path: Path) -> Path:
        """Write the page whole or not at all."""
        ...


class RunFolder:
    """The folder of a run while the run is under way; a context manager that keeps ``run.json`` true.

    The manifest says ``job``, ``version``, ``command``, ``data`` (fingerprints), ``settings``, ``headline``,
    ``metrics``, ``notes``, ``tables``, ``figures``, ``pages``, ``failures`` (how many), and ``state``: ``running``,
    ``done``, ``stopped`` (Ctrl-C, SIGTERM) or ``failed`` (with ``error``). A killed process leaves ``running``;
    `read_manifest` tells that it is not.

    Parameters
    ----------
    out
        Folder. New, empty, or that of the same run, which then goes on.
    job
        Such as ``response benchmark``.
    identity
        What makes two runs the same, so that one may go on where the other was stopped; anything JSON holds. Not the
        version: after an upgrade the run goes on, and every piece is done anew.
    data
        Fingerprint by name of what came in.
    settings
        What was asked for, for the manifest.
    what
        What the folder holds if the identity is another one, for the message.
    command
        Command line that was given.
    replaces
        For work of one step, with nothing to go on from: an earlier run of the job is replaced, whatever its identity.
    force
        Take the folder whatever it holds.

    Raises
    ------
    ConfigurationError
        If the folder holds other work or other files, or another process is at work in it.
    WriteError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> with tempfile.TemporaryDirectory() as out:
    ...     with RunFolder(out, "toy", {"seed": 0}) as run:
    ...         file = run.table("scores", pd.DataFrame({"model": ["a"], "rmse": [1.0]}))
    ...         run.says(headline="a has the lowest RMSE, 1.000.")
    ...     read_manifest(out)["state"], read_manifest(out)["tables"]
    ('done', ['scores.csv'])
    """

    def __init__(
        self,
        out: Path | str,
        job: str,
        identity: Mapping[str, Any],
        *,
        data: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        what: str = "other work",
        command: str = "",
        replaces: bool = False,
        force: bool = False,
    ) -> None:
        self.path, self.job, self._replaces, self._force = Path(out), job, replaces, force
        digest = sha256(json.dumps(dict(identity), sort_keys=True, default=str).encode()).hexdigest()
        self._what, self._began = what, time.monotonic()
        self._lock: FileLock | None = None
        self._failed: list[pd.DataFrame] = []
        self.manifest: dict[str, Any] = {
            "format": FORMAT, "job": job, "state": "running", "version": __version__, "command": command,
            "identity": digest, "started": _now(), "ended": None, "seconds": None, "host": socket.gethostname(),
            "pid": os.getpid(), "data": dict(data or {}), "settings": dict(settings or {}), "headline": "",
            "metrics": {}, "notes": [], "failures": 0, "tables": [], "figures": [], "pages": [], "error": "",
        }  # fmt: skip

    # -- state ---------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.refuse_other_work()
        require_writable(self.path / MANIFEST)
        self._take_lock()
        if self._replaces and (self.path / MANIFEST).is_file():
            self._remove_earlier()
        self._keep()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        state: State = "done" if error is None else "failed" if isinstance(error, Exception) else "stopped"
        self.manifest |= {"state": state, "ended": _now(), "seconds": round(time.monotonic() - self._began, 3)}
        if isinstance(error, Exception):
            self.manifest["error"] = spoken(error)
        try:
            self._keep()
        finally:
            if self._lock is not None:
                (self.path / LOCK).unlink(missing_ok=True)
                self._lock.release()

    def refuse_other_work(self) -> None:
        """Refuse a folder that is not this run's: worth asking before data are read; entering the run asks too.

        Raises
        ------
        ConfigurationError
            If the folder holds other work or other files.
        """
        if (
            self._force or not self.path.is_dir()
        ):  # where a file stands, the manifest cannot be written, and that is said
            return
        there = {file.name for file in self.path.iterdir()}
        if not there - OF_NO_WORTH:
            return
        if MANIFEST not in there:
            message = f"{self.path} exists and holds other things; choose another --out"
            raise ConfigurationError(message)
        earlier = _read(self.path)
        same = self._replaces or earlier.get("identity") == self.manifest["identity"]
        if earlier.get("job") != self.job or not same:
            message = f"{self.path} holds {self._what} ({earlier.get('job')}); choose another --out"
            raise ConfigurationError(message)

    def _remove_earlier(self) -> None:
        earlier = _read(self.path)
        for name in [*earlier.get("tables", []), *earlier.get("figures", []), *earlier.get("pages", [])]:
            (self.path / str(name)).unlink(missing_ok=True)

    def _take_lock(self) -> None:
        from filelock import FileLock, Timeout

        self._lock = FileLock(self.path / LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            self._lock = None
            message = f"another process is at work in {self.path}; wait for it, or choose another --out"
            raise ConfigurationError(message) from None

    def _keep(self) -> None:
        with whole(self.path / MANIFEST) as file:
            file.write_text(json.dumps(self.manifest, indent=1, ensure_ascii=False, default=_plain), encoding="utf-8")

    # -- work and results ----------------------------------------------------------------------------------------------

    def pieces(self, pieces: Sequence[Piece], *, jobs: int = 1, quiet: bool = True) -> Outcomes:
        """Results of the pieces; failures are listed in ``failures.csv`` and counted in the manifest.

        Pieces that need what others found are given in a later call, whose failures are listed below the earlier ones.
        """
        found = run_pieces(pieces, self.path, data=self._data, title=self.job, jobs=jobs, quiet=quiet)
        self._failed.append(found.failures)
        self.manifest["failures"] = len(self.failures)
        if len(self.failures):
            self.table("failures", self.failures)
        else:
            (self.path / "failures.csv").unlink(missing_ok=True)  # of an earlier try
        return found

    @property
    def failures(self) -> pd.DataFrame:
        """Pieces that failed in this run: their labels, and ``error``."""
        table = pd.concat(self._failed, ignore_index=True) if self._failed else pd.DataFrame({"error": []})
        return table[[*table.columns.drop("error"), "error"]]

    def complete(self, pieces: Sequence[Piece]) -> bool:
        """Whether all these pieces are done, with this version, their settings and these data."""
        return all(piece.read(self.path, self._data) is not None for piece in pieces)

    @property
    def command(self) -> str:
        """Command line that was given."""
        return str(self.manifest["command"])

    @property
    def _data(self) -> str:
        return json.dumps(self.manifest["data"], sort_keys=True)

    def table(self, name: str, frame: pd.DataFrame) -> Path:
        """Write a table: ``name`` with its ending (.csv, .csv.gz, .parquet); without one it is a csv."""
        file = self.path / (name if "." in name else f"{name}.csv")
        if file.suffix == ".parquet":
            with whole(file) as partial:
                frame.to_parquet(partial, index=False)
        else:
            write_csv(frame, file)
        self._wrote("tables", file)
        return file

    def json(self, name: str, content: Any) -> Path:
        """Write what JSON holds, readable by people; missing numbers are null."""
        with whole(self.path / name) as partial:
            text = json.dumps(_finite(content), indent=1, ensure_ascii=False, default=_plain)
            partial.write_text(text, encoding="utf-8")
        return self.path / name

    def page(self, page: Page, name: str = "report.html") -> Path:
        """Write a page."""
        page.write(self.path / name)
        self._wrote("pages", self.path / name)
        return self.path / name

    def wrote(self, kind: Literal["tables", "figures", "pages"], *files: Path) -> None:
        """Count files that a job has written itself among what the run holds."""
        for file in files:
            self._wrote(kind, file)

    def says(
        self,
        *,
        headline: str = "",
        metrics: Mapping[str, Any] | None = None,
        notes: Sequence[str] = (),
        data: Mapping[str, str] | None = None,
    ) -> None:
        """What the run found, for whoever reads the manifest: one sentence, key numbers, and what is to be known.

        ``data`` are fingerprints of data that pieces read themselves, with their own in the key of each.
        """
        known = {"headline": headline, "metrics": _finite(dict(metrics or {})), "notes": list(notes)}
        known |= {"data": dict(data or {})}
        self.manifest |= {name: value for name, value in known.items() if value}

    def _wrote(self, kind: str, file: Path) -> None:
        name = file.relative_to(self.path).as_posix()
        if name not in self.manifest[kind]:
            self.manifest[kind].append(name)


def read_manifest(folder: Path | str) -> dict[str, Any]:
    """Manifest of a run; one whose process has died is ``stopped``, whatever the file says.

    Parameters
    ----------
    folder
        Folder of a run.

    Returns
    -------
    dict
        What ``run.json`` holds: ``state``, ``job``, ``settings``, ``tables``, ``pages`` and more.

    Raises
    ------
    ReadError
        If there is none, or it is damaged.

    Examples
    --------
    >>> read_manifest("my-benchmark")["state"]  # doctest: +SKIP
    'done'
    """
    found = _read(Path(folder))
    if found.get("state") == "running" and not _alive(found):
        return found | {"state": "stopped"}
    return found


def _read(folder: Path) -> dict[str, Any]:
    try:
        found = read_json(folder / MANIFEST)
    except (OSError, ValueError) as error:
        message = f"{folder / MANIFEST} cannot be read ({getattr(error, 'strerror', None) or error}); "
        raise ReadError(message + "give the folder of a run, or choose another --out") from error
    if not isinstance(found, dict):
        message = f"{folder / MANIFEST} is not the manifest of a run; choose another --out"
        raise ReadError(message)
    return found


def _alive(manifest: Mapping[str, Any]) -> bool:
    """Whether the process of a run still works; on another machine there is no telling, so it is believed."""
    if manifest.get("host") != socket.gethostname():
        return True
    try:
        os.kill(int(manifest["pid"]), 0)
    except (OSError, KeyError, TypeError, ValueError):
        return False
    return True


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _plain(value: Any) -> Any:
    """Numbers of NumPy as those of Python, anything else as text."""
    return value.item() if hasattr(value, "item") else str(value)


def _finite(content: Any) -> Any:
    """Content without numbers that JSON does not know: NaN and infinity are null."""
    if isinstance(content, Mapping):
        return {str(name): _finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if hasattr(content, "item"):
        content = content.item()
    return None if isinstance(content, float) and not abs(content) < float("inf") else content
