"""What a drug, a dose or a pair of drugs does to the transcriptome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellixir.doors import doors

if TYPE_CHECKING:
    from cellixir.perturbation.query import query

__all__ = ["query"]
_HOMES = {"query": "cellixir.perturbation.query"}
__getattr__, __dir__ = doors(__name__, _HOMES)
