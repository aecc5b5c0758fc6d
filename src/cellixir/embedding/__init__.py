"""Embedding of cells and bulk samples: fit, comparison, application of a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellixir.doors import doors

if TYPE_CHECKING:
    from cellixir.embedding.application import apply
    from cellixir.embedding.comparing import compare
    from cellixir.embedding.embedding_job import embed
    from cellixir.embedding.enriching import enrich

__all__ = [
    "apply",
    "compare",
    "embed",
    "enrich",
]

_HOMES = {
    "apply": "cellixir.embedding.application",
    "compare": "cellixir.embedding.comparing",
    "embed": "cellixir.embedding.embedding_job",
    "enrich": "cellixir.embedding.enriching",
}
__getattr__, __dir__ = doors(__name__, _HOMES)
