"""What was left out or assumed of cells, in ``uns["notes"]``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

import numpy as np


def notes_of(uns: Mapping[str, Any]) -> list[str]:
    """Notes that are there; a file gives a single one as text, and several as an array."""
    return [str(note) for note in np.atleast_1d(uns.get("notes", []))]


def add_notes(uns: MutableMapping[str, Any], notes: Iterable[str]) -> None:
    """Write notes behind those that are there."""
    uns["notes"] = [*notes_of(uns), *notes]
