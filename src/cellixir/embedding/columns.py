"""What the columns of ``obs`` say of each cell: its batch, its type, its patient."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.exceptions import InvalidValues, UnknownIds, examples

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray


#: Texts that say that nothing is known.
NO_VALUE = {"", "nan", "na", "n/a", "<na>"}
#: Settings that name a column.
KEYS = ("batch_key", "label_key", "group_key")


def column_of(cells: ad.AnnData, key: str) -> pd.Series:
    """Column of ``obs`` as text, missing values kept; texts of `NO_VALUE` are missing, too.

    Raises
    ------
    UnknownIds
        If there is no such column.
    """
    if key not in cells.obs:
        message = f"there is no column '{key}' about the cells; there are {examples(cells.obs.columns, 12)}"
        raise UnknownIds(message)
    column: pd.Series = cells.obs[key]
    texts = [None if lacks or _is_no_value(v) else str(v) for v, lacks in zip(column, column.isna(), strict=True)]
    return pd.Series(texts, index=column.index, dtype=object)


def _is_no_value(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() in NO_VALUE


def unlabelled_note(cells: ad.AnnData, key: str) -> list[str]:
    """What to say of texts that were taken for missing, if there are any."""
    words = [str(value) for value in cells.obs[key] if _is_no_value(value)]
    if not words:
        return []
    named = examples(dict.fromkeys(words))
    return [f"{len(words):,} cells have {named} in '{key}', which was taken for no value"]


def names_of(column: pd.Series | None, rows: NDArray[np.int64]) -> list[str]:
    """Values that occur in these rows, sorted; none where there is no column."""
    return [] if column is None else sorted(column.iloc[rows].dropna().unique())


def codes(column: pd.Series | None, names: list[str], n_cells: int) -> NDArray[np.int64]:
    """Number of each cell's value in ``names``, -1 where it is missing or not there, or where there is no column."""
    if column is None or not names:
        return np.full(n_cells, -1, dtype=np.int64)
    return pd.Index(names).get_indexer(pd.Index(column)).astype(np.int64)


def columns_fingerprint(*columns: pd.Series | None) -> str:
    """SHA-256 of what the columns say of the cells: a checkpoint of other labels is another run's."""
    text = "\n\n".join("" if column is None else "\n".join(map(str, column)) for column in columns)
    return sha256(text.encode()).hexdigest()


def refuse_without_group(groups: pd.Series, key: str | None) -> None:
    """Refuse cells of no patient: nobody could say on which side of a test they may stand.

    Raises
    ------
    InvalidValues
        With their number and the column.
    """
    if groups.isna().any():
        message = f"{groups.isna().sum():,} cells have no value in '{key}'; fill it in, or leave them out"
        raise InvalidValues(message)
