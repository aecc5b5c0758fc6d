"""Tables of scores by metric and model, as figures take them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cellixir.exceptions import DataError, DuplicateIds, examples

MOST_MODELS = 10


def score_rows(table: pd.DataFrame, numbers: Sequence[str]) -> pd.DataFrame:
    """Rows with names as text and ``numbers`` as finite floats or NaN; those that are not there are NaN.

    Raises
    ------
    DataError
        If ``metric``, ``model`` or ``value`` is missing, or no value is finite.
    DuplicateIds
        If a model stands twice in a metric.
    """
    require_columns(table, ("metric", "model", "value"), "table of scores")
    rows = table.assign(metric=table["metric"].astype(str), model=table["model"].astype(str))
    rows = rows.assign(**{name: rows[name].astype(np.float64) if name in rows else np.nan for name in numbers})
    rows[list(numbers)] = rows[list(numbers)].where(np.isfinite(rows[list(numbers)]))
    if rows["value"].isna().all():
        message = f"none of {len(rows)} rows has a finite value; leave the figure out"
        raise DataError(message)
    twice = rows[rows.duplicated(["metric", "model"])]
    if len(twice):
        message = f"{twice['model'].iloc[0]!r} has two values of {twice['metric'].iloc[0]!r}; give their mean"
        raise DuplicateIds(message)
    return rows


def refuse_many_models(rows: pd.DataFrame) -> None:
    """Refuse more models than one figure can tell apart."""
    if rows["model"].nunique() > MOST_MODELS:
        message = f"{rows['model'].nunique()} models for one figure; show {MOST_MODELS} at most"
        raise DataError(message)


def require_columns(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Refuse a table that lacks one of the columns."""
    missing = [column for column in columns if column not in table]
    if missing:
        message = f"the {what} has no column {examples(missing)}; it has {examples(table.columns, 8)}"
        raise DataError(message)
