"""Numbers that programs write where a value is missing: -999 and the like."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cellixir.exceptions import InvalidValues, examples

#: What programs write where a value is missing.
MARKS = (-99.0, -999.0, -9999.0, -99999.0, -999999.0)
#: A mark stands this many times farther out than all other values.
_FAR = 5.0


def refuse_marks(values: pd.DataFrame, *, source: str) -> None:
    """Refuse -999 and the like, where they stand far from all other values.

    Raises
    ------
    InvalidValues
        With the first place, and how many there are.
    """
    table = values.to_numpy()
    if not (table <= MARKS[0]).any():
        return
    found = np.isin(table, MARKS)
    others = table[~found & np.isfinite(table)]
    reach = _FAR * float(np.abs(others).max()) if others.size else 0.0
    found &= np.abs(table) > max(reach, 1.0)
    if not found.any():
        return
    column, row = divmod(int(np.argmax(found.T)), len(values))
    message = (
        f"{source}: column {str(values.columns[column])!r}, row {examples([values.index[row]])}: "
        f"{table[row, column]:g} looks like a mark for a missing value ({found.sum()} such); leave such cells empty"
    )
    raise InvalidValues(message)
