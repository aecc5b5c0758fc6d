"""Which columns of a wide table of responses are drugs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.data.known_columns import ANNOTATIONS, plain
from cellixir.exceptions import InvalidValues

#: Fewest different values by which a column is questioned.
_LEAST = 3
#: A column is far when its middle lies this many ranges of all others beyond them.
_FAR = 2.0


def drug_columns(frame: pd.DataFrame, sample: str) -> tuple[pd.DataFrame, list[str]]:
    """Columns that may be drugs, and the known ones of ids and annotation beside them."""
    known = [str(c) for c in frame.columns if c != sample and plain(c) in ANNOTATIONS]
    return frame.drop(columns=[sample, *known]), known


def refuse_strangers(values: pd.DataFrame, *, source: str) -> list[str]:
    """Refuse a column that is of another kind *and* scale than the others; a note on those of another scale.

    A drug's responses do not become whole numbers far from those of all other drugs; an age, a passage or an id does.

    Raises
    ------
    InvalidValues
        With the column, its values and those of the others.
    """
    if values.shape[1] < _LEAST:
        return []
    values = values.loc[:, values.notna().any()]
    low, high = (values.quantile(q) for q in (0.1, 0.9))
    others_low, others_high = float(low.median()), float(high.median())
    reach = _FAR * max(others_high - others_low, 1e-9)
    middle = values.median()
    far = values.columns[(middle < others_low - reach) | (middle > others_high + reach)]
    rest = values.drop(columns=far).to_numpy()
    fractions = not _whole(rest[np.isfinite(rest)])
    notes = []
    for name in far:
        own = values[name].dropna().to_numpy()
        shown = f"{own.min():.4g} to {own.max():.4g}, those of the others about {others_low:.4g} to {others_high:.4g}"
        if fractions and _whole(own) and len(np.unique(own)) >= _LEAST:
            message = (
                f"{source}: column {str(name)!r} is no drug like the others: whole numbers {shown}; drop it, or give "
                "the table long (sample, drug, response) if it is one"
            )
            raise InvalidValues(message)
        notes.append(f"{str(name)!r} ({shown})")
    few = len(notes) * 5 <= values.shape[1]  # on a raw scale many drugs are far from each other
    shown = ", ".join(notes[:3]) + (", ..." if len(notes) > 3 else "")
    return [f"{source}: is this a drug? The values of {shown} are far from the others'"] if notes and few else []


def _whole(values: NDArray[np.float64]) -> bool:
    return bool(len(values) and np.array_equal(values, np.rint(values)))
