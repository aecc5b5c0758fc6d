"""Folds of a perturbation screen: what is new when a condition is predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from cellixir.data.audit.identity import molecule_groups, scaffold
from cellixir.data.dealing import deal
from cellixir.exceptions import ConfigurationError, counted, examples
from cellixir.perturbation.wells import conditions_of, drugs_of, parts_of

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

SplitKind = Literal["drug", "scaffold", "cell-line", "pair", "plate"]
SPLIT_MEANING: dict[str, str] = {
    "drug": "drugs are left out, with the pairs that hold them: the drug is new, the cell line was seen with others",
    "scaffold": "drugs are left out by their Bemis-Murcko scaffold: the drug is new in kind",
    "cell-line": "cell lines are left out: the drug was seen in others, the cell line is new (its controls are known)",
    "pair": "pairs are left out: both drugs were seen alone, never together",
    "plate": "plates are left out, and what stands on them is not trained on from other plates either",
}


class Fold(NamedTuple):
    """Row numbers of the treated wells that are trained on and tested; control wells are known to all."""

    number: int
    train: NDArray[np.int64]
    test: NDArray[np.int64]


def split_units(effects: ad.AnnData, split: str) -> NDArray[np.int64]:
    """Unit that each well is dealt with, shape ``(n_wells,)``; -1 for what is never tested (controls, pairs, singles).

    Two names of one molecule, by structure or spelling, are one drug.

    Raises
    ------
    ConfigurationError
        If there is no such split.
    """
    if split not in get_args(SplitKind):
        message = f"there is no split '{split}'; choose one of {', '.join(get_args(SplitKind))}"
        raise ConfigurationError(message)
    obs = effects.obs
    treated = ~obs["is_control"].to_numpy(bool)
    pair = obs["perturbation"].map(lambda name: len(parts_of(name)) > 1).to_numpy(bool)
    if split in ("cell-line", "plate"):
        values = obs["cell_line" if split == "cell-line" else "plate"].to_numpy(str)
        tested = treated
    elif split == "pair":
        values, tested = obs["perturbation"].to_numpy(str), treated & pair
    else:
        molecule = _molecules(effects, by_scaffold=split == "scaffold")
        values, tested = obs["perturbation"].map(lambda name: molecule.get(name, name)).to_numpy(str), treated & ~pair
    units = np.full(len(obs), -1, dtype=np.int64)
    units[tested] = pd.factorize(values[tested], sort=True)[0]
    return units


def inner_units(conditions: ad.AnnData, split: str) -> NDArray[np.int64]:
    """Units that a model leaves out of its training conditions to stop or choose by, shape ``(n_conditions,)``.

    Those of the split; each condition by itself where there are few, and under ``plate``, where a new plate is new
    conditions.
    """
    units = split_units(conditions, split) if split != "plate" else np.empty(0, np.int64)
    return units if units.max(initial=-1) >= 3 else np.arange(conditions.n_obs)


def _molecules(effects: ad.AnnData, *, by_scaffold: bool) -> dict[str, str]:
    """First name of each drug's molecule, or its scaffold where it has one."""
    names = drugs_of(effects.obs.loc[~effects.obs["is_control"], "perturbation"])
    smiles = effects.uns["smiles"].reindex(names)
    if by_scaffold and smiles.notna().sum() == 0:
        message = "the split scaffold needs structures (--smiles-key COLUMN or --drugs FILE); there are none"
        raise ConfigurationError(message)
    group = molecule_groups(pd.DataFrame({"name": names, "smiles": smiles.to_numpy()}, index=names))
    first = {code: name for name, code in reversed(list(zip(names, group, strict=True)))}
    found = {name: first[code] for name, code in zip(names, group, strict=True)}
    if by_scaffold:
        frame = {name: scaffold(text) for name, text in smiles.dropna().items()}
        found |= {str(name): f"scaffold {text}" for name, text in frame.items() if text}
    return found


def make_folds(effects: ad.AnnData, split: str, *, n_folds: int = 5, seed: int = 0) -> tuple[list[Fold], list[str]]:
    """Folds of ``split``, and what was left out of training, in words.

    A training set never holds a well of a condition that is tested (a replicate), nor, where drugs are left out, a pair
    with a tested drug.

    Raises
    ------
    ConfigurationError
        If there are fewer than two units, or nothing is left to train on.
    """
    units = split_units(effects, split)
    n_units = int(units.max(initial=-1)) + 1
    if n_units < 2:
        message = (
            f"the split {split} needs two units, and there {'is one' if n_units else 'is none'}; choose another --split"
        )
        raise ConfigurationError(message)
    k = min(n_folds, n_units)
    notes = [] if k == n_folds else [f"{counted(n_units, 'unit')} of the split {split} make {k} folds."]
    of_unit = deal(n_units, k, seed)
    obs, condition = effects.obs, conditions_of(effects.obs)
    treated = ~obs["is_control"].to_numpy(bool)
    drugs = [set(parts_of(name)) for name in obs["perturbation"]]
    folds, purged = [], 0
    for number in range(k):
        test = (units >= 0) & (of_unit[np.maximum(units, 0)] == number)
        train = treated & ~test
        before = int(train.sum())
        train &= ~np.isin(condition, condition[test])
        if split in ("drug", "scaffold"):
            new = set().union(*(drugs[row] for row in np.flatnonzero(test)))
            train &= np.array([not (own & new) for own in drugs])
        purged += before - int(train.sum())
        if not train.any():
            message = (
                f"fold {number} of the split {split} has nothing to train on: every condition that is left stands on "
                f"both sides ({examples(pd.unique(obs.loc[test, 'perturbation']))}); choose another --split"
            )
            raise ConfigurationError(message)
        folds.append(Fold(number, np.flatnonzero(train), np.flatnonzero(test)))
    if purged:
        notes.append(
            f"{purged / k:,.0f} wells a fold are neither trained on nor tested: replicates of tested conditions, or "
            "pairs with a tested drug."
        )
    return folds, notes
