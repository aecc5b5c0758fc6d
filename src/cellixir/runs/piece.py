"""A piece of a run: one independent unit of work, and its result on disk."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir import __version__
from cellixir.files import read_json, whole

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellixir.training import Epoch

    #: Called with the member of a committee (0 for a single network), its epoch, and the number of epochs at most.
    OnEpoch = Callable[[int, Epoch, int], None]

#: Folder for a network's checkpoints within the folder of a piece; it goes when the piece is done.
CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class Found:
    """What a piece found.

    Attributes
    ----------
    arrays, tables
        Arrays and tables by name, kept to the last bit.
    facts
        Anything that JSON holds.
    """

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Piece:
    """One unit of work: a model on a fold, a generator on a data set, an experiment.

    Parameters
    ----------
    labels
        What it is, such as ``{"model": "ridge", "fold": 0}``: its place in the folder, its columns in ``failures.csv``.
    settings
        All that the result depends on besides the labels, the data and the version; anything JSON holds.
    work
        Does it, given the folder of the piece (for checkpoints and files of its own) and who wants to hear of epochs.
    called
        Name for the progress line; by default the labels.
    """

    labels: Mapping[str, str | int]
    settings: Mapping[str, Any]
    work: Callable[[Path, OnEpoch], Found]
    called: str = ""

    @property
    def name(self) -> str:
        """What the progress line says."""
        return self.called or ", ".join(str(v) if isinstance(v, str) else f"{k} {v}" for k, v in self.labels.items())

    def place(self, folder: Path) -> Path:
        """Where in the folder of the run the result stands."""
        parts = [v if isinstance(v, str) else f"{k}-{v}" for k, v in self.labels.items()]
        return (folder / "pieces").joinpath(*(re.sub(r"[:/\\]", "+", part) for part in parts))

    def key(self, data: str) -> str:
        """Digest of version, data, labels and settings: a result with another key is done again.

        The version is in it, so that numbers of two versions never stand in one table.
        """
        facts = {"version": __version__, "data": data, "labels": dict(self.labels), "settings": dict(self.settings)}
        return sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()

    def read(self, folder: Path, data: str) -> Found | None:
        """What was found with the same key; None if the piece is still to be done, or its files are damaged."""
        place = self.place(folder)
        try:
            stored = read_json(place / "piece.json")
            if stored["key"] != self.key(data):
                return None
            arrays = {n: np.load(place / f"{n}.npy", allow_pickle=False) for n in stored["arrays"]}
            tables = {n: pd.read_parquet(place / f"{n}.parquet") for n in stored["tables"]}
            return Found(arrays, tables, stored["facts"])
        except (OSError, ValueError, KeyError, TypeError, EOFError):
            return None

    def run(self, folder: Path, data: str, on_epoch: OnEpoch) -> Found:
        """Do the work and write the result; ``piece.json`` is last, so a killed piece is one that is to be done."""
        place = self.place(folder)
        (place / "piece.json").unlink(missing_ok=True)
        found = self.work(place, on_epoch)
        for name, array in found.arrays.items():
            with whole(place / f"{name}.npy") as file:
                np.save(file, array, allow_pickle=False)
        for name, table in found.tables.items():
            with whole(place / f"{name}.parquet") as file:
                table.to_parquet(file, index=False)
        stored = {
            "key": self.key(data), "version": __version__, "labels": dict(self.labels), "arrays": list(found.arrays),
            "tables": list(found.tables), "facts": found.facts,
        }  # fmt: skip
        with whole(place / "piece.json") as file:
            file.write_text(json.dumps(stored, default=_as_json), encoding="utf-8")
        shutil.rmtree(place / CHECKPOINT, ignore_errors=True)
        return found


def _as_json(value: Any) -> Any:
    """Numbers of NumPy as those of Python."""
    return value.item()
