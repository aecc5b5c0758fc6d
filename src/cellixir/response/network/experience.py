"""What training measured of each drug, and how well its held-out rows were predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir import metrics

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

#: Responses of a drug that are kept: its quantiles at 0, 5, ..., 100 %.
GRID = np.linspace(0, 1, 21)
#: Held-out samples of a drug from which on a correlation is told.
FEWEST = 10
COLUMNS = ["drug_mean", "difference", "percentile", "predictability"]


def experience(
    drugs: pd.Series, response: Floats, rows: NDArray[np.int64], predicted: Floats
) -> dict[str, list[float]]:
    """Of each drug: mean response, held-out Pearson correlation (NaN of fewer than `FEWEST` rows), and quantiles.

    Parameters
    ----------
    drugs, response
        Of all training pairs, shape ``(n_pairs,)``.
    rows, predicted
        Pairs that a member did not see, and what was said of them.
    """
    ids, found = drugs.to_numpy(str), {}
    held = pd.DataFrame({"drug": ids[rows], "y": response[rows], "p": predicted}).groupby("drug")
    correlation = {str(name): metrics.pearson(g["y"], g["p"]) for name, g in held if len(g) >= FEWEST}
    for name, values in pd.Series(response).groupby(ids):
        told = float(correlation.get(str(name), np.nan))
        found[str(name)] = [float(values.mean()), told, *map(float, np.quantile(values, GRID))]
    return found


def compared(known: dict[str, list[float]], drugs: pd.Series, predicted: ArrayLike) -> pd.DataFrame:
    """What helps to read predictions of these drugs; NaN for a drug that training had not.

    Returns
    -------
    DataFrame
        ``drug_mean`` over training samples, ``difference`` from it, ``percentile`` among training samples (0: more
        sensitive than all of them) and ``predictability``, the drug's held-out Pearson correlation.
    """
    ids, values = drugs.to_numpy(str), np.asarray(predicted, dtype=np.float64)
    nothing = [np.nan] * (2 + len(GRID))
    told = np.array([known.get(name, nothing) for name in ids]).reshape(len(ids), len(nothing))
    percentile = np.full(len(ids), np.nan)
    for name in known.keys() & set(ids):
        here = ids == name
        percentile[here] = 100 * np.interp(values[here], known[name][2:], GRID)
    columns = (told[:, 0], values - told[:, 0], percentile, told[:, 1])
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
