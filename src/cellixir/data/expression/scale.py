"""Scale of an expression matrix, told from its values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from cellixir.data.expression.matrix import Profile, take
from cellixir.data.omics import SCALES, guess_scale

#: How a scale is called in a sentence.
WORDS = {
    "binary": "zeros and ones",
    "counts": "counts",
    "log2_tpm": "log2 TPM",
    "log1p_cpm": "log1p of counts scaled to one library size",
    "zscore": "z-scores",
    "fraction": "fractions",
    "unknown": "values of an unknown scale",
}
#: Cells that are looked at beyond their profile.
SAMPLE = 256


def guessed_scale(cells: ad.AnnData, seen: Profile) -> str:
    """Most likely scale, one of `cellixir.data.omics.SCALES`.

    ``log1p_cpm`` is any ``log1p`` of counts that were scaled to one library size, be it a million, 10,000 or the
    median: undone, the values of a cell are whole multiples of the smallest, or add up to the same in all cells.
    All else is as in `cellixir.data.omics.guess_scale`.
    """
    if seen.binary or seen.counts:
        return "binary" if seen.binary else "counts"
    if seen.minimum < 0:
        return "zscore" if _is_standardised(seen) else "unknown"
    if seen.maximum <= 1:
        return "fraction"
    if seen.maximum > 20:
        return "unknown"
    rows = np.unique(np.linspace(0, cells.n_obs - 1, min(SAMPLE, cells.n_obs)).astype(np.int64))
    sample = take(cells.X, rows)
    dense = np.asarray(sample.toarray() if hasattr(sample, "toarray") else sample, dtype=np.float64)
    if _says_log1p(cells.uns) or _adds_up(np.expm1(dense)) or _is_multiples(np.expm1(dense)):
        return "log1p_cpm"
    guess = guess_scale(dense)
    return guess if guess in {"log2_tpm", "log1p_cpm"} else "unknown"


def recorded_scale(cells: ad.AnnData) -> str | None:
    """Scale that the data bring along, if it is a known one."""
    recorded = str(cells.uns.get("scale", ""))
    return recorded if recorded in SCALES else None


def looks_like(cells: ad.AnnData, seen: Profile) -> str:
    """What the values look like, as part of a sentence.

    Examples are ``log2 TPM (from 0 to 15.6)``.
    """
    scale = recorded_scale(cells)
    if scale in {None, "unknown", "counts", "binary"}:  # what the values deny is not repeated
        scale = guessed_scale(cells, seen)
    return f"{WORDS[str(scale)]} (from {seen.minimum:.3g} to {seen.maximum:.3g})"


def _says_log1p(uns: Mapping[str, Any]) -> bool:
    """Whether scanpy has left its mark of a natural logarithm."""
    mark = uns.get("log1p")
    return isinstance(mark, Mapping) and mark.get("base") is None


def _adds_up(undone: NDArray[np.float64]) -> bool:
    sums = undone.sum(axis=1)
    sums = sums[sums > 0]
    return len(sums) > 2 and bool(np.allclose(sums, np.median(sums), rtol=0.02))


def _is_multiples(undone: NDArray[np.float64]) -> bool:
    """Whether in most cells all values are whole multiples of the smallest, which is one count."""
    shares = []
    for cell in undone:
        present = cell[cell > 0]
        ratio = present / present.min() if len(present) else present
        ratio = ratio[(ratio > 1.5) & (ratio < 1e4)]
        if len(ratio) >= 5:
            shares.append(np.mean(np.abs(ratio - np.rint(ratio)) < 0.02))
    return len(shares) > 2 and bool(np.median(shares) > 0.95)


def _is_standardised(seen: Profile) -> bool:
    deviation = np.sqrt(seen.variance)
    usual = (np.abs(seen.mean) < 0.1) & (np.abs(deviation - 1) < 0.25)
    return len(seen.library_size) > 2 and bool(usual[deviation > 0].mean() > 0.9)
