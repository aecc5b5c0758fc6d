"""Checks of a table of responses: its columns, its ids, its values."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cellixir.exceptions import DataError, DuplicateIds, InvalidValues, UnknownIds, examples


def check_columns(responses: pd.DataFrame) -> None:
    """Refuse responses without their columns or without a row."""
    missing = [c for c in ("sample", "drug", "response") if c not in responses]
    if missing:
        message = f"responses lack the column {examples(missing)}; they have {examples(responses.columns, 10)}"
        raise DataError(message)
    if responses.empty:
        message = "there is no measured response; every value was missing or every row was left out"
        raise DataError(message)


def check_finite(responses: pd.DataFrame) -> None:
    """Refuse a response that is not a finite number."""
    values = pd.to_numeric(responses["response"], errors="coerce").to_numpy(np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        row = responses.iloc[bad[0]]
        message = (
            f"{len(bad):,} responses are not finite numbers, the first for sample {row['sample']!r} and drug "
            f"{row['drug']!r}: {row['response']!r}; leave such rows out"
        )
        raise InvalidValues(message)


def check_unique_index(index: pd.Index, kind: str) -> None:
    """Refuse ids that stand more than once."""
    if not index.is_unique:
        repeated = pd.unique(index[index.duplicated()])
        message = f"{len(repeated):,} {kind} ids stand more than once: {examples(repeated)}; keep one row each"
        raise DuplicateIds(message)


def check_text(index: pd.Index, kind: str) -> None:
    """Refuse ids that are not text."""
    wrong = [i for i in index if not isinstance(i, str)]
    if wrong:
        message = (
            f"{kind} ids must be text, not {type(wrong[0]).__name__} ({examples(wrong)}); "
            f"cast them in all tables, for example with .astype(str)"
        )
        raise InvalidValues(message)


def check_known(ids: pd.Series, known: pd.Index, kind: str, where: str = "") -> None:
    """Refuse ids that no table describes."""
    unknown = pd.unique(ids[~ids.isin(known)])
    if len(unknown):
        message = (
            f"{len(unknown):,} {kind} ids are unknown{where or f' in the {kind} table'}: {examples(unknown)}; "
            f"add them there or leave their responses out (ResponseData.join does)"
        )
        raise UnknownIds(message)


def check_replicates(responses: pd.DataFrame) -> None:
    """Refuse a measurement that repeats another one."""
    key = [c for c in ("sample", "drug", "replicate") if c in responses]
    repeated = responses.duplicated(key)
    if repeated.any():
        row = responses[repeated].iloc[0]
        message = (
            f"{int(repeated.sum()):,} measurements repeat another one, the first for sample {row['sample']!r} and "
            f"drug {row['drug']!r}; number them in a 'replicate' column or average them"
        )
        raise DuplicateIds(message)
