"""What single effects that were measured say of the pairs: sum, mean, the stronger one, nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.exceptions import examples
from cellixir.perturbation.wells import parts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cellixir.perturbation.scores import Truth

    Floats = NDArray[np.float64]


def _keys(obs: Mapping[Any, Any]) -> list[tuple[object, ...]]:
    """Context, name and dose of each part of a condition; no dose is 0."""
    context = (str(obs["cell_line"]), str(obs["time"]))
    doses = [float(obs[name]) for name in ("dose_1", "dose_2")]
    parts = parts_of(str(obs["perturbation"]))
    return [(*context, part, 0.0 if np.isnan(dose) else dose) for part, dose in zip(parts, doses, strict=False)]


def simple_rules(truth: Truth, predictors: Sequence[str]) -> tuple[dict[str, Floats], pd.DataFrame]:
    """What the external singles say of each condition, shape ``(n_conditions, n_genes)``, NaN where they do not."""
    shape = truth.mean.shape
    said = {name: np.full(shape, np.nan) for name in ("additive", "average", "stronger single")}
    said["no change"] = np.zeros(shape)
    remarks = pd.DataFrame("", index=range(shape[0]), columns=list(predictors))
    keys = [_keys(obs) for obs in truth.obs.to_dict("records")]
    alone = {own[0]: truth.mean[row] for row, own in enumerate(keys) if len(own) == 1}
    for row, own in enumerate(keys):
        if len(own) < 2:
            continue
        effects, lent = [], []
        for key in own:
            effect = alone.get(key)
            if effect is None:
                effect = _lent(truth, keys, alone, key, row)
                lent.append(str(key[2]))
            effects.append(effect)
        if all(effect is not None for effect in effects):
            both = np.stack([effect for effect in effects if effect is not None])
            said["additive"][row], said["average"][row] = both.sum(axis=0), both.mean(axis=0)
            if lent:
                remark = f"{examples(lent)} was not measured alone: its effect is taken from other combinations"
                remarks.loc[row, ["additive", "average"]] = remark
        measured = [alone[key] for key in own if key in alone]
        if measured:
            said["stronger single"][row] = max(measured, key=lambda effect: float(np.square(effect).sum()))
    return said, remarks


def _lent(
    truth: Truth,
    keys: list[list[tuple[object, ...]]],
    alone: dict[tuple[object, ...], Floats],
    key: tuple[object, ...],
    row: int,
) -> Floats | None:
    """Effect of a treatment within the other pairs that hold it: what it adds to their other part alone."""
    added = []
    for other, own in enumerate(keys):
        if other != row and len(own) == 2 and key in own:
            rest = own[0] if own[1] == key else own[1]
            if rest in alone:
                added.append(truth.mean[other] - alone[rest])
    return np.asarray(np.mean(added, axis=0)) if added else None


def unsaid(truth: Truth, additive: Floats) -> list[str]:
    """Notes on pairs whose single effects are not known."""
    pair = truth.obs["perturbation"].map(lambda text: len(parts_of(str(text))) > 1).to_numpy(bool)
    absent = truth.obs["perturbation"][pair & np.isnan(additive).all(axis=1)].unique()
    if not len(absent):
        return []
    why = "a part was measured at that dose and time neither alone nor in another combination"
    return [f"no sum or average for {examples(absent)}: {why}"]
