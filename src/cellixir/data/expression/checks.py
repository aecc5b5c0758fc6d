"""Checks that values are what a likelihood is about, with the way out where they are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
from anndata.abc import CSCDataset
from numpy.typing import NDArray

from cellixir.data.expression.matrix import Profile, blocks, place_of, profile, stored_values
from cellixir.data.expression.scale import looks_like, recorded_scale
from cellixir.exceptions import ConfigurationError, InvalidValues

LIKELIHOODS = ("auto", "nb", "zinb", "gaussian", "bernoulli")


def require_scale(cells: ad.AnnData, likelihood: str, seen: Profile | None = None) -> str:
    """Likelihood to use: the one that is wanted if the values allow it, and for ``auto`` the one that they ask for.

    Parameters
    ----------
    cells
        Cells x genes. What ``uns["scale"]`` says is believed, unless the values deny it.
    likelihood
        ``nb`` or ``zinb`` for counts, ``bernoulli`` for zeros and ones, ``gaussian`` for all else, or ``auto``.
    seen
        Profile of ``cells``, so that the matrix is not passed again.

    Raises
    ------
    InvalidValues
        If the values are of another kind; names the first wrong one and the ways out.
    ConfigurationError
        If there is no such likelihood.
    """
    if likelihood not in LIKELIHOODS:
        message = f"likelihood must be one of {', '.join(LIKELIHOODS)}, not {likelihood!r}"
        raise ConfigurationError(message)
    seen = profile(cells) if seen is None else seen
    kind = _kind(cells, seen)
    if likelihood == "auto":
        return {"counts": "nb", "binary": "bernoulli"}.get(kind, "gaussian")
    if likelihood in {"nb", "zinb"} and kind != "counts":
        raise _not_counts(cells, seen, f"likelihood {likelihood!r} needs counts", kind)
    if likelihood == "bernoulli" and kind != "binary":
        wrong = _first(cells, lambda v: (v != 0) & (v != 1))
        message = (
            f"likelihood 'bernoulli' needs zeros and ones, but {wrong}; the values look like "
            f"{looks_like(cells, seen)}. Use cellixir.data.expression.binarise(adata), which keeps whether a value is "
            f"above zero, or likelihood='{'nb' if kind == 'counts' else 'gaussian'}'"
        )
        raise InvalidValues(message)
    if likelihood == "gaussian" and kind == "counts":
        message = (
            f"likelihood 'gaussian' is for log values, and these are counts (whole numbers from {seen.minimum:.0f} to "
            f"{seen.maximum:,.0f}). Use likelihood='nb', or cellixir.data.expression.log_normalise(adata); if they are "
            "no counts, say what they are, as in adata.uns['scale'] = 'log2_tpm'"
        )
        raise InvalidValues(message)
    return likelihood


def require_counts(cells: ad.AnnData, seen: Profile | None = None) -> None:
    """Refuse values that are not counts: not whole, below zero, or zeros and ones that nobody calls counts.

    Raises
    ------
    InvalidValues
        With the first wrong value, what the values look like, and the ways out.
    """
    seen = profile(cells) if seen is None else seen
    kind = _kind(cells, seen)
    if kind != "counts":
        raise _not_counts(cells, seen, "counts are needed", kind)


def first_no_count(cells: ad.AnnData) -> str:
    """First value that is not whole or below zero, with its cell and gene, as part of a sentence; else empty."""
    return _first(cells, lambda v: (v < 0) | (v != np.rint(v)))


def _kind(cells: ad.AnnData, seen: Profile) -> str:
    """``counts``, ``binary`` or ``other``: what is recorded, where the values agree, else what they are."""
    recorded = recorded_scale(cells)
    if recorded == "counts" and seen.whole and seen.minimum >= 0:
        return "counts"
    if recorded in {None, "unknown", "counts", "binary"}:
        return "counts" if seen.counts else "binary" if seen.binary else "other"
    return "other"


def _not_counts(cells: ad.AnnData, seen: Profile, need: str, kind: str) -> InvalidValues:
    wrong = first_no_count(cells)
    use = "bernoulli" if kind == "binary" else "gaussian"
    if wrong:
        fault = f"but {wrong}"
    elif kind == "binary":
        fault = "but no value is above 1"
    else:
        fault = f"but adata.uns['scale'] says {recorded_scale(cells)!r} (if they are counts, set it to 'counts')"
    there = _where_counts_are(cells)
    way_out = (
        f"or the counts: {there} holds whole numbers"
        if there
        else "or give the counts; no layer and no raw of these data holds whole numbers"
    )
    return InvalidValues(
        f"{need}, {fault}; the values look like {looks_like(cells, seen)}. Use likelihood={use!r}, {way_out}"
    )


def _where_counts_are(cells: ad.AnnData) -> str:
    """Layer, or raw, whose first cells hold counts."""
    places: dict[str, Any] = dict(cells.layers)
    for name, matrix in places.items():
        if _begins_with_counts(matrix):
            return f"layer {name!r} (read with layer={name!r}, or adata.X = adata.layers[{name!r}])"
    if cells.raw is not None and _begins_with_counts(cells.raw.X):
        return "raw (read with layer='raw', or adata.raw.to_adata())"
    return ""


def _begins_with_counts(matrix: Any) -> bool:
    if isinstance(matrix, CSCDataset):  # by column on disk: to look at some cells is to read it all
        return False
    for _, block in blocks(matrix, 256):
        values = stored_values(block)
        return bool(values.size and values.min() >= 0 and values.max() > 1 and np.all(values == np.rint(values)))
    return False


def _first(cells: ad.AnnData, wrong: Callable[[NDArray[np.float32]], NDArray[np.bool_]]) -> str:
    for start, block in blocks(cells.X):
        values = stored_values(block)
        bad = wrong(values)
        if bad.any():
            at = int(np.argmax(bad))
            row, column = place_of(block, at)
            return f"gene {cells.var_names[column]!r} of cell {cells.obs_names[start + row]!r} is {values.flat[at]:.6g}"
    return ""
