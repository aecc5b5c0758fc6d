"""What is learned from the training cells before the network: scaling, codes of batches and classes, who validates."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

from cellixir.embedding.task import COUNTS, Scaling
from cellixir.exceptions import ConfigurationError, DataError, UnknownIds, examples

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

    from cellixir.data.expression.matrix import Profile
    from cellixir.embedding.genes import Aligned

#: Cells held back to say when to stop: this share, and no more than that many, which are kept in memory.
VALIDATION = 0.1
MOST_VALIDATION = 10_000
#: Steps after which a network of the default size has converged on the data it was tried on.
STEPS = 20_000
EPOCHS = (20, 60)


def column_of(cells: ad.AnnData, key: str) -> pd.Series:
    """Column of ``obs`` as text, missing values kept.

    Raises
    ------
    UnknownIds
        If there is no such column.
    """
    if key not in cells.obs:
        message = f"there is no column '{key}' about the cells; there are {examples(cells.obs.columns, 12)}"
        raise UnknownIds(message)
    column: pd.Series = cells.obs[key]
    texts = [None if lacks else str(v) for v, lacks in zip(column, column.isna(), strict=True)]
    return pd.Series(texts, index=column.index, dtype=object)


def codes(values: pd.Series, names: list[str]) -> NDArray[np.int64]:
    """Number of each value in ``names``, -1 where it is missing or not there."""
    if not names:
        return np.full(len(values), -1, dtype=np.int64)
    return pd.Index(names).get_indexer(pd.Index(values)).astype(np.int64)


def names_of(values: pd.Series) -> list[str]:
    """Values that occur, sorted."""
    return sorted(values.dropna().unique())


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
    if groups is None:
        chosen = rng.permutation(rows)[:wanted]
    else:
        chosen = _whole_groups(rows, groups, wanted, rng)
    held = np.isin(rows, chosen)
    validation = rows[held]
    if len(validation) > MOST_VALIDATION:  # of large groups some: the others must not train either
        validation = np.sort(rng.permutation(validation)[:MOST_VALIDATION])
    return rows[~held], validation


def _whole_groups(
    rows: NDArray[np.int64], groups: pd.Series, wanted: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Cells of whole groups, about as many as wanted, and never more than a third where groups are small enough."""
    named = groups.iloc[rows].fillna("unknown").to_numpy()
    names = rng.permutation(np.unique(named.astype(str)))
    if len(names) < 3:
        message = f"cells of {len(names)} groups cannot be parted by group into training and validation; give 3 or more"
        raise ConfigurationError(message)
    chosen: list[NDArray[np.int64]] = []
    size = 0
    for name in names:
        members = rows[named == name]
        if size < wanted and size + len(members) <= len(rows) / 3:
            chosen.append(members)
            size += len(members)
    if not chosen:  # every group is large: the smallest serves
        sizes = pd.Series(named).value_counts()
        chosen = [rows[named == sizes.index[-1]]]
    return np.concatenate(chosen)


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


def library_prior(log_library: NDArray[np.float64], batch: NDArray[np.int64], n_batches: int) -> NDArray[np.float32]:
    """Mean and variance of the log library size by batch, shape ``(n_batches, 2)``."""
    found = np.empty((n_batches, 2), dtype=np.float32)
    for code in range(n_batches):
        mine = log_library[batch == code]
        mine = mine if len(mine) > 1 else log_library
        found[code] = mine.mean(), max(mine.var(), 1e-4)
    return found


def columns_fingerprint(*columns: pd.Series | None) -> str:
    """SHA-256 of what the columns say of the cells: a checkpoint of other labels is another run's."""
    text = "\n\n".join("" if column is None else "\n".join(map(str, column)) for column in columns)
    return sha256(text.encode()).hexdigest()
