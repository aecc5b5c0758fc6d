"""Whether samples can be learned from, and what their values are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cellixir.data.expression.checks import first_no_count
from cellixir.data.expression.matrix import Profile, is_backed, profile, take
from cellixir.data.expression.scale import WORDS, guessed_scale, looks_like, recorded_scale
from cellixir.exceptions import DataError, DuplicateIds, InvalidValues, examples, repeated
from cellixir.synthesis.representation import constant_values, skewed

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Examined:
    """Samples that can be learned from.

    Attributes
    ----------
    samples
        Matrix in memory (CSR or dense, float32), genes, columns about the samples, and ``uns["scale"]``.
    notes
        A sentence for each thing to know.
    fingerprint
        Of the values, the samples and the genes.
    rows
        Numbers of these samples in the data that were given.
    """

    samples: ad.AnnData
    notes: tuple[str, ...]
    fingerprint: str
    rows: NDArray[np.int64]


def examine(samples: ad.AnnData, minimum: int, *, min_genes: int = 1, any_shape: bool = True) -> Examined:
    """Samples with data, in memory, and what is to be known about them.

    Parameters
    ----------
    minimum, min_genes
        Fewest samples with data, and fewest genes that vary.
    any_shape
        Whether linear values with a long tail can be learned from as they are.

    Raises
    ------
    DuplicateIds
        If a gene stands twice.
    InvalidValues
        If a value is not finite or denies the recorded scale, too few genes vary, or the values have a tail that the
        model cannot have.
    DataError
        If fewer than ``minimum`` samples have data.
    """
    _refuse_repeated_genes(samples)
    seen = profile(samples)
    scale, notes = _scale(samples, seen)
    rows = _rows_with_data(samples, seen, scale)
    if len(rows) < minimum:
        empty = f" of {samples.n_obs} that have counts" if len(rows) < samples.n_obs else ""
        message = f"{len(rows)} samples{empty} are too few to learn from; give {minimum} or more"
        raise DataError(message)
    if len(rows) < samples.n_obs:
        notes.append(f"{samples.n_obs - len(rows):,} of {samples.n_obs:,} samples have no counts and were left out")
    found = _in_memory(samples, rows, scale)
    if is_backed(samples.X):
        notes.append(f"{found.n_obs:,} samples x {found.n_vars:,} genes were read from disk into memory")
    n_constant = int(np.isfinite(constant_values(found.X)).sum())
    if n_constant == found.n_vars:
        message = f"no gene varies over the {found.n_obs:,} samples; there is nothing to learn"
        raise InvalidValues(message)
    if found.n_vars - n_constant < min_genes:
        message = f"{found.n_vars - n_constant} gene varies over the samples; this model needs {min_genes} or more"
        raise InvalidValues(message)
    if scale == "unknown" and not any_shape and skewed(found.X):
        message = (
            "the values look linear, with a long tail, and this model would put a third of its samples at the lowest "
            "value; give log2(1 + x), or use the copula, which takes values as they are"
        )
        raise InvalidValues(message)
    if n_constant:
        notes.append(f"{n_constant:,} of {found.n_vars:,} genes are constant; new samples have the same value")
    return Examined(found, tuple(notes), seen.fingerprint, rows)


def _refuse_repeated_genes(samples: ad.AnnData) -> None:
    if not samples.var_names.is_unique:
        twice = pd.unique(samples.var_names[samples.var_names.duplicated()])
        message = f"{repeated(len(twice), 'gene')} ({examples(twice)}); keep one column each"
        raise DuplicateIds(message)


def _scale(samples: ad.AnnData, seen: Profile) -> tuple[str, list[str]]:
    """What the values are: what is recorded, if they agree, else what they look like, with a note."""
    recorded = recorded_scale(samples)
    if recorded in {None, "unknown"}:
        scale = guessed_scale(samples, seen)
        return scale, [f"uns['scale'] does not say what the values are; they were taken as {WORDS[scale]}"]
    scale = str(recorded)
    limits = {"binary": seen.binary, "fraction": seen.minimum >= 0 and seen.maximum <= 1}
    if scale == "counts" and not (seen.whole and seen.minimum >= 0):
        fault = first_no_count(samples).replace(" of cell ", " of sample ")
    elif not limits.get(scale, True):
        fault = f"the values look like {looks_like(samples, seen)}"
    else:
        return scale, []
    message = f"uns['scale'] says {scale!r}, but {fault}; give {WORDS[scale]}, or correct uns['scale']"
    raise InvalidValues(message)


def _rows_with_data(samples: ad.AnnData, seen: Profile, scale: str) -> NDArray[np.int64]:
    return np.flatnonzero(seen.library_size > 0) if scale == "counts" else np.arange(samples.n_obs)


def _in_memory(samples: ad.AnnData, rows: NDArray[np.int64], scale: str) -> ad.AnnData:
    values: Any = take(samples.X, rows)
    if sp.issparse(values):
        values.sort_indices()
    obs = samples.obs.iloc[rows]
    if not obs.index.is_unique:  # of no matter here, and AnnData would warn
        obs = obs.set_axis([f"{name} (row {row})" for name, row in zip(obs.index, rows, strict=True)])
    return ad.AnnData(values, obs=obs, var=pd.DataFrame(index=samples.var_names), uns={"scale": scale})
