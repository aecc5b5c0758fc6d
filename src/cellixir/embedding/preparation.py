"""Preparation of cells for a VAE: validation cells, scaling, numbers of batches and classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

from cellixir.data.dealing import hold_out
from cellixir.data.expression.alignment import align, refuse_repeated_genes
from cellixir.data.expression.checks import require_scale
from cellixir.data.expression.matrix import profile
from cellixir.embedding.columns import codes, column_of, columns_fingerprint, names_of
from cellixir.embedding.task import COUNTS, Annotation, Scaling
from cellixir.exceptions import ConfigurationError, DataError
from cellixir.training import derived_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad
    from numpy.typing import NDArray

    from cellixir.data.expression.alignment import Aligned
    from cellixir.data.expression.matrix import Profile

#: Cells held back to say when to stop: this share, and no more than that many, which are kept in memory.
VALIDATION = 0.1
MOST_VALIDATION = 10_000
#: Steps after which a network of the default size has converged on the data it was tried on.
STEPS = 20_000
EPOCHS = (20, 60)


@dataclass(frozen=True, eq=False)
class Prepared:
    """Cells ready for a fit, and what was learned of them.

    Attributes
    ----------
    likelihood
        The one that was asked for, or that the data allow.
    seen
        What one pass over the data saw.
    matrix
        All cells, with all their genes.
    train, validation
        Numbers of the cells to learn from, and of those that say when to stop.
    scaling
        How values come to the encoder.
    annotation
        Batch and class of each cell, and the prior of a library.
    batches, classes
        Their names; none where the model has no such column.
    columns
        Fingerprint of batches, classes and patients.
    notes
        A sentence for each thing to know.
    """

    likelihood: str
    seen: Profile
    matrix: Aligned
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    scaling: Scaling
    annotation: Annotation
    batches: list[str]
    classes: list[str]
    columns: str
    notes: list[str]


@dataclass(frozen=True)
class Keys:
    """Columns of ``obs``: batches, classes, and groups (patients); None for none."""

    batch: str | None = None
    label: str | None = None
    group: str | None = None


def prepare(
    cells: ad.AnnData, keys: Keys, *, likelihood: str, seed: int, validation: NDArray[np.int64] | None = None
) -> Prepared:
    """Cells ready for a fit.

    Parameters
    ----------
    validation
        Numbers of the cells that say when to stop; None: a tenth, drawn with ``seed``.

    Raises
    ------
    CellixirError
        As `VAE.fit` says.
    """
    refuse_repeated_genes(cells)
    seen = profile(cells)
    likelihood = require_scale(cells, likelihood, seen)
    rows, notes = _rows_with_data(seen, likelihood)
    batch, label, group = (
        None if key is None else column_of(cells, key) for key in (keys.batch, keys.label, keys.group)
    )
    batches, classes = names_of(batch, rows), names_of(label, rows)
    if label is not None and len(classes) < 2:
        message = f"column '{keys.label}' names {len(classes)} classes; a head needs two or more"
        raise ConfigurationError(message)
    matrix, _ = align(cells, list(cells.var_names))
    if validation is None:
        train, stop = split_validation(rows, group, derived_seed(seed, 1))
    else:
        train, stop = _given_validation(rows, validation)
    scaling = learn_scaling(matrix, train, seen, likelihood)
    batch_code, class_code = codes(batch, batches, cells.n_obs), codes(label, classes, cells.n_obs)
    prior = library_prior(seen.library_size[train], batch_code[train], max(len(batches), 1))
    annotation = Annotation(batch_code, class_code, prior)
    columns = columns_fingerprint(batch, label, group)
    return Prepared(likelihood, seen, matrix, train, stop, scaling, annotation, batches, classes, columns, notes)


def annotation_of_query(
    cells: ad.AnnData, batch_key: str | None, batches: Sequence[str], prior: NDArray[np.float32]
) -> Annotation:
    """Batch of each cell where query and model know one; nothing of its class."""
    batch = column_of(cells, str(batch_key)) if batch_key in cells.obs else None
    return Annotation(codes(batch, list(batches), cells.n_obs), codes(None, [], cells.n_obs), prior)


def _given_validation(rows: NDArray[np.int64], validation: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Cells to learn from and those of ``validation`` that have data."""
    held = np.isin(rows, validation)
    if held.sum() < 2 or (~held).sum() < 8:
        message = (
            f"{held.sum()} validation cells and {(~held).sum()} others have data; give 2 or more that say when to "
            f"stop, and 8 or more to learn from"
        )
        raise DataError(message)
    return rows[~held], rows[held]


def _rows_with_data(seen: Profile, likelihood: str) -> tuple[NDArray[np.int64], list[str]]:
    """Numbers of the cells that can be learned from, and a note on the others."""
    if likelihood not in COUNTS:
        return np.arange(len(seen.library_size)), []
    rows = np.flatnonzero(seen.library_size > 0)
    empty = len(seen.library_size) - len(rows)
    return rows, [f"{empty:,} cells without a count were left out of the fit"] if empty else []


def split_validation(rows: NDArray[np.int64], groups: pd.Series | None, seed: int) -> tuple[NDArray[np.int64], ...]:
    """Cells to learn from and cells to validate on, each ascending; a group (patient) is never on both sides.

    Raises
    ------
    DataError
        If there are too few cells.
    """
    if len(rows) < 10:
        message = f"{len(rows)} cells with data are too few to fit a network; give 10 or more"
        raise DataError(message)
    rng = np.random.default_rng(seed)
    wanted = min(max(round(VALIDATION * len(rows)), 2), MOST_VALIDATION)
    named = None if groups is None else groups.iloc[rows].fillna("unknown").to_numpy().astype(str)
    if named is not None and len(np.unique(named)) < 3:
        message = (
            f"cells of {len(np.unique(named))} groups cannot be parted by group into training and validation; "
            "give 3 or more"
        )
        raise ConfigurationError(message)
    held = hold_out(len(rows), wanted, rng, groups=named)
    validation = rows[held]
    if len(validation) > MOST_VALIDATION:  # of large groups some: the others must not train either
        validation = np.sort(rng.permutation(validation)[:MOST_VALIDATION])
    return rows[~held], validation


def learn_scaling(matrix: Aligned, rows: NDArray[np.int64], profile: Profile, likelihood: str) -> Scaling:
    """Median library size, and mean and spread of what the encoder will see, from training cells, block by block."""
    library = profile.library_size[rows]
    size = float(np.median(library)) if likelihood in COUNTS else 1.0
    total, squares = np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1])
    wanted = np.zeros(matrix.shape[0], dtype=bool)
    wanted[rows] = True
    for start, block in matrix.blocks(2048):
        keep = wanted[start : start + block.shape[0]]
        part: Any = block[keep]
        if likelihood in COUNTS:
            factor = size / profile.library_size[start : start + block.shape[0]][keep]
            part = sp.csr_matrix(part).multiply(factor[:, None]).tocsr().log1p()
        values = part.power(2) if sp.issparse(part) else np.square(part, dtype=np.float64)
        total += np.asarray(part.sum(axis=0, dtype=np.float64)).ravel()
        squares += np.asarray(values.sum(axis=0, dtype=np.float64)).ravel()
    mean = total / len(rows)
    sd = np.sqrt(np.maximum(squares / len(rows) - mean**2, 0))
    return Scaling(size, torch.tensor(mean, dtype=torch.float32), torch.tensor(_floored(sd), dtype=torch.float32))


def _floored(sd: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spread by gene, never so small that one rare count would shout down all other genes."""
    typical = np.median(sd[sd > 0]) if (sd > 0).any() else 1.0
    return np.maximum(sd, typical / 4)


def default_epochs(n_cells: int, batch_size: int) -> int:
    """Epochs that make about ``STEPS`` steps, from 20 to 60."""
    steps = max(n_cells // batch_size, 1)
    return int(np.clip(round(STEPS / steps), *EPOCHS))


def library_prior(library: NDArray[np.float64], batch: NDArray[np.int64], n_batches: int) -> NDArray[np.float32]:
    """Mean and variance of the log library size by batch, shape ``(n_batches, 2)``; cells of none are of the first."""
    found = np.empty((n_batches, 2), dtype=np.float32)
    log_library, batch = np.log(np.maximum(library, 1)), np.maximum(batch, 0)
    for code in range(n_batches):
        mine = log_library[batch == code]
        mine = mine if len(mine) > 1 else log_library
        found[code] = mine.mean(), max(mine.var(), 1e-4)
    return found
