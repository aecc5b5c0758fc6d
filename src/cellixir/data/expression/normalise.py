"""Normalisation of counts: log values, or zeros and ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from cellixir.data.expression.checks import require_counts
from cellixir.data.expression.matrix import Rows, blocks, profile
from cellixir.exceptions import ConfigurationError

#: Where the library size that all cells were scaled to is recorded.
TARGET = "library_size_target"


def log_normalise(cells: ad.AnnData, target: float | None = None) -> ad.AnnData:
    """New AnnData with ``log1p(counts / library size * target)``, sparse if the counts are, in memory.

    Cells without any count stay zero. ``uns["scale"]`` is ``log1p_cpm``, ``uns["library_size_target"]`` the target;
    layers and raw are not taken along.

    Parameters
    ----------
    target
        Library size that all cells are scaled to; default: the median of the cells that have any count.

    Raises
    ------
    InvalidValues
        If the values are not counts.
    """
    if target is not None and not (np.isfinite(target) and target > 0):
        message = f"target={target} is no library size; give a number above 0, such as 10_000"
        raise ConfigurationError(message)
    seen = profile(cells)
    require_counts(cells, seen)
    library = seen.library_size
    goal = float(np.median(library[library > 0])) if target is None and library.any() else float(target or 1)
    factor = goal / np.where(library > 0, library, 1)

    def scaled(start: int, block: Any) -> Rows:
        size = factor[start : start + block.shape[0]].astype(np.float32)
        return np.log1p(_by_row(block, size))

    return _like(cells, scaled, scale="log1p_cpm", **{TARGET: goal})


def binarise(cells: ad.AnnData) -> ad.AnnData:
    """New AnnData with 1 where a value is above zero and 0 elsewhere, in memory; ``uns["scale"]`` is ``binary``."""
    return _like(cells, lambda _, block: (block > 0).astype(np.float32), scale="binary")


def _by_row(block: Any, factor: NDArray[np.float32]) -> Any:
    if not sp.issparse(block):
        return block * factor[:, None]
    found = block.copy()
    found.data *= np.repeat(factor, np.diff(block.indptr))
    return found


def _like(cells: ad.AnnData, change: Callable[[int, Any], Rows], **uns: object) -> ad.AnnData:
    """The same cells and genes with other values."""
    parts = [change(start, block) for start, block in blocks(cells.X)]
    values = sp.vstack(parts, format="csr") if sp.issparse(parts[0]) else np.concatenate(parts)
    kept = {key: value for key, value in cells.uns.items() if key != "log1p"} | {"scale_guessed": False} | uns
    return ad.AnnData(values, obs=cells.obs.copy(), var=cells.var.copy(), uns=kept, obsm=dict(cells.obsm))
