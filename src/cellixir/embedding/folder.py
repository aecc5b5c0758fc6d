"""The folder of an embedding: what it was begun with, so that only the same run goes on there, and what it holds."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cellixir.data.expression.matrix import profile
from cellixir.embedding.apply import MODEL, write_cells
from cellixir.embedding.columns import column_of
from cellixir.files import claim, require_writable, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import anndata as ad

    from cellixir.embedding.job import EmbeddingResult

FACTS = "embedding.json"
CHECKPOINT = ".checkpoint"
KEYS = ("batch_key", "label_key", "group_key")


def claim_folder(
    folder: Path,
    cells: ad.AnnData,
    settings: Mapping[str, Any],
    *,
    maps: bool,
    folds: int,
    enrich: Mapping[str, Sequence[str]] | None,
) -> None:
    """Take a folder that is new, or where the same embedding was stopped.

    Raises
    ------
    ConfigurationError
        If it holds other things.
    """
    columns = {key: str(settings[key]) for key in KEYS if settings.get(key) is not None}
    seen = {key: sha256("\n".join(map(str, column_of(cells, c))).encode()).hexdigest() for key, c in columns.items()}
    facts = {"settings": _comparable(settings, enrich), "maps": maps, "folds": folds}
    facts |= {"fingerprint": profile(cells).fingerprint, "columns": seen}
    begun = (folder / MODEL).exists() or (folder / CHECKPOINT).exists()
    claim(folder / FACTS, facts, "an embedding of other cells or settings", begun=begun)
    require_writable(folder / "report.html")


def _comparable(settings: Mapping[str, Any], enrich: Mapping[str, Sequence[str]] | None) -> dict[str, Any]:
    """Settings that change what is found; of gene sets a fingerprint."""
    plain = {name: v for name, v in settings.items() if name not in ("gene_sets", "device") and v is not None}
    sets = {name: v for name, v in (("gene_sets", settings.get("gene_sets")), ("enrich", enrich)) if v is not None}
    texts = {name: json.dumps(sorted((k, list(v)) for k, v in given.items())) for name, given in sets.items()}
    return plain | {name: sha256(text.encode()).hexdigest() for name, text in texts.items()}


def write_result(found: EmbeddingResult) -> None:
    """Write cells, tables, report and metrics, each whole or not at all."""
    from cellixir.embedding.report import write_embedding_report

    folder = found.folder
    write_cells(found.all_cells, folder / "cells.h5ad")
    tables = {
        "history.csv": found.model.history_,
        "loadings.csv": found.model.loadings().rename_axis("gene").reset_index(),
    }
    if len(found.enrichment):
        tables["enrichment.csv"] = found.enrichment
    if found.calls is not None:
        tables["called.csv"] = found.calls.found.predictions
    for name, table in tables.items():
        with whole(folder / name) as partial:
            table.to_csv(partial, index=False)
    write_embedding_report(folder / "report.html", found)
    with whole(folder / "metrics.json") as partial:
        partial.write_text(json.dumps(found.metrics, indent=1))
