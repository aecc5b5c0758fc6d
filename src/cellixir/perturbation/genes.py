"""Genes of a model among those of somebody else's data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellixir.data.tables import read_table
from cellixir.exceptions import GeneMismatch, counted, examples
from cellixir.perturbation.query_genes import ReferenceGenes
from cellixir.sources.registry import at_hand, fetch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad
    import pandas as pd
    from numpy.typing import NDArray

#: Share of a model's genes that data must have; the others are as in training.
LEAST = 0.8


def landmarks() -> pd.DataFrame | None:
    """Table that translates the names of L1000's genes, if it is on this machine."""
    here = at_hand("l1000-landmarks") in {"data dir", "cache"}
    return read_table(fetch("l1000-landmarks", progress=False)) if here else None


def places_of(genes: Sequence[str], cells: ad.AnnData, notes: list[str]) -> NDArray[np.intp]:
    """Place of each gene of a model in ``cells``, -1 where it is not there, shape ``(n_genes,)``.

    By name, or by symbol, Entrez or Ensembl id where a column of ``var`` or the table of L1000's genes has them.

    Raises
    ------
    GeneMismatch
        If fewer than `LEAST` are there, names are ambiguous, or two genes have one place.
    """
    reference = ReferenceGenes(cells.var, landmarks())
    at, kind = reference.places(list(genes))
    found = int((at >= 0).sum())
    if found < LEAST * len(genes):
        mismatch = reference.mismatch("the model", list(genes), found, int(np.ceil(LEAST * len(genes))))
        raise mismatch
    if len(np.unique(at[at >= 0])) < found:
        message = f"several genes of the model are one gene of the data by {kind}; name them by one kind of id"
        raise GeneMismatch(message)
    if kind != "its names":
        notes.append(f"genes were matched by {kind}")
    if found < len(genes):
        absent = [gene for gene, place in zip(genes, at, strict=True) if place < 0]
        notes.append(f"{counted(len(absent), 'gene')} of the model are not in the data ({examples(absent)})")
    return at
