"""Folds of a screen: pairs that a model learns from, stops on and is judged by.

LPO leaves pairs out, LCO cell lines, LDO drugs, LTO tissues. Replicates of a pair, and the two ids of a molecule that
was screened twice, always stay together: the unit that is dealt out is the pair or the molecule, never the
measurement.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from cellixir.data.dealing import deal, hold_out
from cellixir.data.response_data import ResponseData
from cellixir.data.tables import read_table
from cellixir.exceptions import ConfigurationError, DataError, examples

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SplitKind = Literal["LPO", "LCO", "LDO", "LTO"]
SPLIT_MEANING: dict[str, str] = {
    "LPO": "pairs are left out: both the cell line and the drug were seen, but not together",
    "LCO": "cell lines are left out: every drug was seen, the cell line is new",
    "LDO": "drugs are left out: every cell line was seen, the drug is new",
    "LTO": "tissues are left out: every drug was seen, no cell line of the tissue was",
}
VALIDATION_FRACTION = 0.1
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Fold:
    """Rows of one fold; the three parts are disjoint and together hold every row.

    Models are given ``train`` and ``validation``; ``test`` is for the judge alone.
    """

    number: int
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def split_groups(data: ResponseData, kind: str) -> NDArray[np.int64]:
    """Integer code of the unit that ``kind`` leaves out, for each measurement, shape ``(n_pairs,)``.

    A drug that was screened twice under two ids is one molecule, and one unit.
    """
    if kind not in get_args(SplitKind):
        message = f"there is no split '{kind}'; choose one of LPO, LCO, LDO, LTO"
        raise ConfigurationError(message)
    if kind == "LCO":
        return data.sample_index
    if kind == "LDO":
        return data.molecule_index
    if kind == "LTO":
        return _tissue_codes(data)
    return data.sample_index * len(data.drugs) + data.molecule_index


def _tissue_codes(data: ResponseData) -> NDArray[np.int64]:
    if not data.has_tissue:
        message = "the split LTO needs a 'tissue' column in the samples table (--samples FILE)"
        raise ConfigurationError(message)
    known = pd.factorize(data.tissue, sort=True)[0].astype(np.int64)
    return known[data.sample_index]


def make_folds(
    data: ResponseData,
    kind: str,
    *,
    n_folds: int = 5,
    seed: int = 0,
    validation_fraction: float = VALIDATION_FRACTION,
) -> list[Fold]:
    """Return ``n_folds`` folds in which no unit of ``kind`` stands on two sides.

    The inner validation part is cut from the training part along the same unit.

    Parameters
    ----------
    data
        Measured pairs.
    kind
        LPO (pairs), LCO (cell lines), LDO (drugs) or LTO (tissues).
    n_folds
        Number of folds, 2 or more.
    seed
        Same seed, same folds.
    validation_fraction
        Share of the training units that become the validation part.

    Returns
    -------
    list of Fold
        Numbers of the rows for training, validation and test; each row is in the test part of one fold.

    Raises
    ------
    ConfigurationError
        If there are fewer units than folds, or no tissue for LTO.

    Examples
    --------
    >>> from cellixir.data.simulate import simulate_cohort
    >>> data = simulate_cohort(n_samples=30, n_drugs=6, n_genes=20, n_mutations=8, n_targets=2).response_data()
    >>> folds = make_folds(data, "LCO", n_folds=3)
    >>> sum(len(fold.test) for fold in folds) == len(data)
    True
    """
    groups = split_groups(data, kind)
    units = np.unique(groups)
    largest = -(-len(units) // max(n_folds, 1))
    if n_folds < 2 or len(units) < n_folds or len(units) - largest < 2:
        message = (
            f"{kind} with {n_folds} folds cannot be made of {len(units)} units: each fold needs one to test on and two "
            f"to learn from; use at least 2 folds, fewer folds (--folds), or another split"
        )
        raise ConfigurationError(message)
    dealt = deal(len(groups), n_folds, seed, groups=groups)
    folds = []
    for number in range(n_folds):
        train, validation = _inner(groups, dealt != number, validation_fraction, [seed, number])
        folds.append(Fold(number, train, validation, np.flatnonzero(dealt == number)))
    return folds


def split_off(
    data: ResponseData, kind: str, *, fraction: float = VALIDATION_FRACTION, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on and rows to stop on, parted along the unit of ``kind``."""
    groups = split_groups(data, kind)
    if len(np.unique(groups)) < 2:
        message = f"{kind} needs at least two units to learn from one and stop on the other; the data have one"
        raise ConfigurationError(message)
    return _inner(groups, np.ones(len(groups), dtype=np.bool_), fraction, [seed, 0])


def _inner(
    groups: NDArray[np.int64], learn: NDArray[np.bool_], fraction: float, seed: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of ``learn`` to train on and to stop on: a share of the units, whatever the number of their rows."""
    units = np.unique(groups[learn])
    wanted = min(max(1, round(len(units) * fraction)), len(units) - 1)
    stop = np.isin(groups, units[hold_out(len(units), wanted, np.random.default_rng(seed))])
    return np.flatnonzero(learn & ~stop), np.flatnonzero(stop)


def folds_table(data: ResponseData, folds: Sequence[Fold]) -> pd.DataFrame:
    """One row a measurement: ``sample, drug``, and for each fold a column ``fold_<n>`` with the row's part."""
    table = data.responses[[c for c in ("sample", "drug", "replicate") if c in data.responses]].copy()
    for fold in folds:
        part = np.empty(len(data), dtype=object)
        for name in PARTS:
            part[getattr(fold, name)] = name
        table[f"fold_{fold.number}"] = part
    return table


def read_folds(path: Path | str, data: ResponseData, kind: str) -> list[Fold]:
    """Folds of ``kind`` from a file with the columns of ``folds_table``, rows in the order of ``data``.

    Raises
    ------
    DataError
        If the file was written for other data or another split, or its folds do not test every row once.
    """
    table = read_table(path, dtype_text="all")
    columns = [c for c in table.columns if re.fullmatch(r"fold_\d+", str(c))]
    if not columns or not {"sample", "drug"} <= set(table.columns):
        message = f"{path}: a split file has the columns sample, drug, fold_0, ...; this has {examples(table.columns)}"
        raise DataError(message)
    same = len(table) == len(data) and all(
        (table[c].to_numpy(str) == data.responses[c].to_numpy(str)).all() for c in ("sample", "drug")
    )
    if not same:
        message = f"{path}: this split was written for other data ({len(table):,} rows, the data have {len(data):,})"
        raise DataError(message)
    folds = [_fold_of(int(c.removeprefix("fold_")), table[c], path) for c in columns]
    _check_folds(folds, data, kind, path)
    return folds


def _check_folds(folds: list[Fold], data: ResponseData, kind: str, path: Path | str) -> None:
    """Refuse folds that leak (a unit on two sides) or that do not test each row exactly once."""
    groups = split_groups(data, kind)
    for fold in folds:
        parts = [set(groups[getattr(fold, name)].tolist()) for name in PARTS]
        if parts[2] & (parts[0] | parts[1]) or parts[0] & parts[1]:
            message = (
                f"{path}: fold {fold.number} has units of {kind} on two sides; it was made for another split, or parts "
                f"the two ids of a molecule screened twice: make the split again"
            )
            raise DataError(message)
    tested = np.bincount(np.concatenate([fold.test for fold in folds]), minlength=len(data))
    if (tested != 1).any():
        message = f"{path}: {(tested != 1).sum():,} rows are not tested exactly once; a split file needs all its folds"
        raise DataError(message)


def _fold_of(number: int, part: pd.Series, path: Path | str) -> Fold:
    wrong = part[~part.isin(PARTS)]
    if len(wrong):
        message = f"{path}, row {wrong.index[0] + 2}: '{wrong.iloc[0]}' is not a part; write one of {', '.join(PARTS)}"
        raise DataError(message)
    for name in PARTS:
        if not (part == name).any():
            message = f"{path}: fold {number} has no {name} row; each fold needs all of {', '.join(PARTS)}"
            raise DataError(message)
    return Fold(number, *(np.flatnonzero(part.to_numpy() == name) for name in PARTS))
