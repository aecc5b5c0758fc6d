"""Pieces done one after the other or in several processes; a piece that fails is listed and loses no other."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cellixir.compute import compute
from cellixir.exceptions import CellixirError, DataError
from cellixir.runs.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellixir.runs.piece import Found, Piece
    from cellixir.training import Epoch


@dataclass(frozen=True)
class Outcomes:
    """What pieces found, in the order in which they were given, and what became of the others.

    Attributes
    ----------
    found
        Pieces with their results.
    failures
        One row a piece that failed: its labels, and ``error``.
    """

    found: list[tuple[Piece, Found]]
    failures: pd.DataFrame
    errors: list[Exception] = field(default_factory=list)

    def whole(self, label: str) -> list[tuple[Piece, Found]]:
        """Pieces of those values of a label (such as ``model``) none of whose pieces failed: they can be judged.

        Raises
        ------
        DataError
            If every value has a failure.
        """
        broken = set(self.failures[label]) if len(self.failures) else set()
        kept = [(piece, found) for piece, found in self.found if piece.labels[label] not in broken]
        if not kept:
            message = f"every {label} failed somewhere; the first: {self.failures['error'].iloc[0]}"
            raise DataError(message)
        return kept

    @property
    def notes(self) -> list[str]:
        """A sentence for each failure, for the page and the terminal."""
        return [
            f"failed: {', '.join(f'{k} {v}' for k, v in row.items() if k != 'error')}: {row['error']}"
            for row in self.failures.to_dict("records")
        ]


def run_pieces(
    pieces: Sequence[Piece], folder: Path, *, data: str, title: str, jobs: int = 1, quiet: bool = True
) -> Outcomes:
    """Results of all pieces: those that were done with the same version, settings and data are read.

    Parameters
    ----------
    folder
        Folder of the run; results stand in ``pieces/``.
    data
        Fingerprint of the data: part of the key of every piece.
    title
        What the progress line calls the work.
    jobs
        Processes at a time.

    Raises
    ------
    DataError
        If every piece failed; its message is that of the first.
    """
    found: dict[int, Found] = {}
    errors: dict[int, Exception] = {}
    with Progress(title, len(pieces), quiet=quiet) as progress:
        to_do = []
        for index, piece in enumerate(pieces):
            stored = piece.read(folder, data)
            if stored is None:
                to_do.append(index)
            else:
                found[index] = stored
                progress.done(worked=False)
        said = progress.epoch if jobs == 1 else _nobody  # epochs of another process are not heard of
        calls = [partial(_done, pieces[index], folder, data, said, progress if jobs == 1 else None) for index in to_do]
        for outcome in compute(calls, jobs=jobs):
            index = to_do[outcome.index]
            if outcome.error is None and outcome.value is not None:
                found[index] = outcome.value
            else:
                errors[index] = outcome.error or DataError("the piece gave nothing back")
            progress.done()
    _refuse_total_failure(pieces, found, errors)
    rows = [{**pieces[i].labels, "error": spoken(errors[i])} for i in sorted(errors)]
    columns = [*(dict.fromkeys(name for piece in pieces for name in piece.labels)), "error"]
    return Outcomes(
        [(pieces[i], found[i]) for i in sorted(found)],
        pd.DataFrame(rows, columns=columns),
        [errors[i] for i in sorted(errors)],
    )


def earlier(folder: Path, label: str) -> list[str]:
    """Values of a label, such as ``model``, of all pieces that an earlier run has finished in the folder."""
    names = []
    for file in sorted((folder / "pieces").rglob("piece.json")):
        try:
            names.append(str(json.loads(file.read_text(encoding="utf-8"))["labels"][label]))
        except (OSError, ValueError, KeyError, TypeError):  # damaged: it will be done again if it is wanted
            continue
    return list(dict.fromkeys(names))


def spoken(error: Exception) -> str:
    r"""An error as one line, with its notes; one that is not ours is named.

    >>> spoken(ValueError("two\nlines"))
    'ValueError: two lines'
    """
    kind = "" if isinstance(error, CellixirError) else f"{type(error).__name__}: "
    return " ".join(f"{kind}{error} {' '.join(getattr(error, '__notes__', []))}".split())


def _done(piece: Piece, folder: Path, data: str, on_epoch: Any, progress: Progress | None) -> Found:
    if progress is not None:
        progress.starts(piece.name)
    return piece.run(folder, data, on_epoch)


def _nobody(member: int, epoch: Epoch, of: int) -> None:
    """Hear of an epoch and say nothing."""


def _refuse_total_failure(pieces: Sequence[Piece], found: dict[int, Found], errors: dict[int, Exception]) -> None:
    if errors and not found:
        first = min(errors)
        if len(pieces) == 1:
            raise errors[first]
        message = f"all {len(pieces)} pieces failed; the first, {pieces[first].name}: {spoken(errors[first])}"
        raise DataError(message) from errors[first]
