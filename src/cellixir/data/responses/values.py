"""Values of responses that are no plain numbers: limits such as ``>10``, marks for missing, numbers that cannot be."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.data.missing_marks import refuse_marks
from cellixir.data.tables import numeric_block
from cellixir.exceptions import counted

_LIMIT = re.compile(r"([<>])\s*=?\s*([-+]?\d*\.?\d+(?:e[-+]?\d+)?)(?:\s*[munpµμ]?M)?", re.IGNORECASE)
#: ln µM of what no dose reaches: e^20 µM is 485 M.
_BEYOND = 20.0


def limits_apart(frame: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.str_]]:
    """The table with ``>10`` as 10, and in its shape what a value is a limit by: ``>``, ``<`` or nothing."""
    signs = np.full(frame.shape, "", dtype="<U1")
    columns = {}
    for at in range(frame.shape[1]):
        column = frame.iloc[:, at]
        if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
            found = column.astype(str).str.strip().str.extract(f"^(?:{_LIMIT.pattern})$", flags=re.IGNORECASE)
            here = found[0].notna().to_numpy()
            signs[here, at] = found[0][here].to_numpy(str)
            column = column.where(~here, found[1])
        columns[at] = column
    plain = pd.DataFrame(columns)
    return plain.set_axis(frame.columns, axis=1), signs


def numbers(frame: pd.DataFrame, *, source: str) -> tuple[pd.DataFrame, NDArray[np.str_]]:
    """Responses as numbers, and the sign of each that is a limit.

    Raises
    ------
    InvalidValues
        If a cell is text, infinite, or a mark for missing.
    """
    plain, signs = limits_apart(frame)
    values = numeric_block(plain, source=source)
    refuse_marks(values, source=source)
    return values, signs


def notes_on(values: NDArray[np.float64], signs: NDArray[np.str_], unit: str) -> list[str]:
    """What a reader has to know of the responses: how many are limits, how many are extrapolated."""
    notes = []
    limits = int((signs != "").sum())
    if limits:
        above = int((signs == ">").sum())
        notes.append(
            f"{limits:,} of {values.size:,} responses are censored ({above:,} above, {limits - above:,} below a limit) "
            "and were kept at the limit, marked in the column 'censored'"
        )
    beyond = int((np.abs(values) > _BEYOND).sum()) if unit == "ln µM" else 0
    if beyond:
        notes.append(
            f"{counted(beyond, 'response')} beyond e^±{_BEYOND:.0f} µM, which no dose reaches: extrapolated curves"
        )
    return notes
