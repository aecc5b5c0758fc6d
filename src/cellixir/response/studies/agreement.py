"""How well two studies agree on what both measured, and whether one of them is in another unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir import metrics
from cellixir.response.studies.studies import MIN_PAIRS, SIDES

if TYPE_CHECKING:
    from cellixir.data.response_data import ResponseData

SAME = 0.999  # no two laboratories agree like this; one measurement, rounded to two decimals, does
MIN_DRUGS = 3
#: What lies so far from ln µM on the natural scale; two laboratories seldom lie more than a unit of ln apart.
_UNITS = {"nM": np.log(1e3), "pM": np.log(1e6), "mM": -np.log(1e3), "M": -np.log(1e6)}
_NEAR, _EXACT = 1.0, 5e-3  # half of the second decimal


def agreement(train: ResponseData, external: ResponseData) -> dict[str, float] | None:
    """How well the studies agree on the pairs that both measured: no model can be expected to do much better.

    Returns
    -------
    dict or None
        ``pairs``, correlations and, for one measure, ``rmse``, ``shift`` (median of external less training) and
        ``spread`` (standard deviation of that difference, over that of training); None below ``MIN_PAIRS`` pairs.
    """
    means = [data.responses.groupby(list(SIDES), sort=True)["response"].mean() for data in (train, external)]
    both = pd.concat(means, axis=1, join="inner", keys=["train", "external"])
    if len(both) < MIN_PAIRS:
        return None
    a, b = (both[c].to_numpy() for c in both)
    drug = both.index.get_level_values("drug").to_numpy(str)
    numbers = {"pearson": metrics.pearson(a, b), "spearman": metrics.spearman(a, b)}
    numbers |= {"per_drug_pearson": metrics.mean_within(a, b, drug, min_size=MIN_PAIRS)}
    if (train.measure, train.unit) == (external.measure, external.unit):
        spread = float(np.std(b - a) / max(np.std(a), 1e-12))
        numbers |= {"rmse": metrics.rmse(a, b), "shift": float(np.median(b - a)), "spread": spread}
    return {"pairs": len(both)} | {k: v for k, v in numbers.items() if np.isfinite(v)}


def same_numbers(found: dict[str, float]) -> bool:
    """Whether two studies agree so well that they must be one measurement."""
    return max(found.get("spearman", 0.0), found.get("per_drug_pearson", 0.0)) > SAME


def drug_shift(train: ResponseData, external: ResponseData) -> float | None:
    """Median over the drugs of both studies of how much higher the external mean lies; None for too few drugs."""
    ours, theirs = (data.responses.groupby("drug")["response"].mean() for data in (train, external))
    differences = (theirs - ours).dropna()
    return float(differences.median()) if len(differences) >= MIN_DRUGS else None


def unit_like(shift: float) -> str:
    """Unit that responses in ln µM, which lie so much higher than others, may be in; '' where none is near.

    >>> unit_like(6.5), unit_like(-13.8), unit_like(1.2)
    ('nM', 'M', '')
    """
    unit = min(_UNITS, key=lambda name: abs(_UNITS[name] - shift))
    return unit if abs(_UNITS[unit] - shift) < _NEAR else ""


def agreement_words(found: dict[str, float]) -> str:
    """What the pairs of both studies show, where no two laboratories would agree like that; '' elsewhere."""
    if not same_numbers(found):
        return ""
    pairs, shift = f"The {int(found['pairs']):,} pairs that both studies measured", found.get("shift", 0.0)
    one = "these are not two measurements, but one that stands in both studies"
    if found.get("rmse", 0.0) <= _EXACT or "shift" not in found:
        return f"{pairs} agree perfectly: {one}"
    if found["spread"] <= _EXACT:
        return f"{pairs} differ by a constant {shift:.4g}{_named(shift)}: {one}"
    return f"{pairs} lie in the same order, but are other numbers (RMSE {found['rmse']:.3g}): {one}, on another scale"


def unit_words(train: ResponseData, external: ResponseData, found: dict[str, float] | None) -> str:
    """A sentence where the external responses are those of training in another unit, or turned round; else ''."""
    if found and found.get("spearman", 0.0) < -0.5:
        how = f"Spearman {found['spearman']:.2f} on {int(found['pairs']):,} shared pairs"
        return f"The external responses run against those of training ({how}): a pIC50 or an AAC, read as IC50 or AUC?"
    if not train.measure.startswith(("LN_", "response")):
        return ""
    shift = found.get("shift") if found else drug_shift(train, external)
    if shift is None or not (unit := unit_like(shift)):
        return ""
    of = f"{int(found['pairs']):,} shared pairs" if found else "shared drugs' means"
    return (
        f"The external responses lie {shift:+.3g} from those of training (median of {of}){_named(shift)}: they seem to "
        f"be in {unit} where training has µM; if so, say it with --external-unit 'ln {unit}'"
    )


def _named(shift: float) -> str:
    unit = unit_like(shift)
    sign = "-" if shift < 0 else ""
    return f", near {sign}ln({np.exp(abs(_UNITS[unit])):,.0f})" if unit else ""
