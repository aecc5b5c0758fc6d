"""Whether a query is what a model was fitted on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from cellixir.embedding.task import COUNTS
from cellixir.exceptions import InvalidValues

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad

    from cellixir.embedding.batches import Batch

#: Scales that do not say what the values are.
UNSAID = ("unknown", "")


def require_same_scale(scale: str, cells: ad.AnnData) -> None:
    """Refuse a query that is recorded to be of another scale than the data of the fit.

    Raises
    ------
    InvalidValues
        With both scales and the way out.
    """
    given = str(cells.uns.get("scale", "unknown"))
    if given != scale and given not in UNSAID and scale not in UNSAID and not cells.uns.get("scale_guessed", False):
        message = (
            f"the model was fitted on {scale}, and these cells are {given}; convert them, or give the layer that holds "
            f"{scale}"
        )
        raise InvalidValues(message)


def require_values(likelihood: str, batch: Batch, cells: ad.AnnData, genes: Sequence[str]) -> None:
    """Refuse values that the likelihood cannot be about, with the first cell and gene.

    Raises
    ------
    InvalidValues
        If a value is not finite, for counts not whole or below zero, or else not zero or one where that is meant.
    """
    row, gene, value = batch.counts
    wrong = ~torch.isfinite(value)
    if likelihood in COUNTS:
        wrong |= (value < 0) | (value != value.round())
    elif likelihood == "bernoulli":  # what stands for a gene that is missing lies between
        wrong |= (value < 0) | (value > 1)
    if not bool(wrong.any()):
        return
    first = int(wrong.nonzero()[0])
    cell, name = cells.obs_names[batch.cells[int(row[first])]], genes[int(gene[first])]
    kinds = {"gaussian": "finite values", "bernoulli": "zeros and ones"}
    what = kinds.get(likelihood, "counts, which are whole")
    message = (
        f"the value of gene '{name}' in cell '{cell}' is {np.float32(value[first].item())}, and the model knows "
        f"{what}; give the values it was fitted on"
    )
    raise InvalidValues(message)
