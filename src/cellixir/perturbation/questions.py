"""From a table of conditions to a question that a model can answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd

from cellixir.data.drugs import morgan_fingerprints
from cellixir.exceptions import ConfigurationError, InvalidValues, counted, examples
from cellixir.perturbation.controls import checked_profiles
from cellixir.perturbation.genes import places_of
from cellixir.perturbation.wells import Keys, described, drugs_of, parts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.perturbation.model import PerturbationModel

COLUMNS = ("perturbation", "dose", "time", "cell_line", "smiles", "smiles_2")


def question_of(
    model: PerturbationModel,
    table: pd.DataFrame,
    *,
    context: ad.AnnData | None = None,
    smiles: pd.Series | None = None,
) -> ad.AnnData:
    """Conditions of a table as `PerturbationModel.predict` takes them.

    Parameters
    ----------
    model
        Fitted.
    table
        One row a condition. ``perturbation``: a drug, or a pair ``A+B``; not needed beside ``smiles``. ``dose`` (µM, or
        with a unit; of a pair ``1+10``), ``time`` (hours, or with a unit), ``cell_line``: of training, or a row of
        ``context``. ``smiles`` (of a pair also ``smiles_2``): structure of what was not in training.
    context
        Control profiles of your own cells: rows are cell lines, values as in training; genes by name, symbol or id,
        those that are missing as in training.
    smiles
        Structures by drug.

    Returns
    -------
    AnnData
        ``obs`` as of `described`, ``uns`` with ``smiles`` and ``notes``, layer ``control`` where the model knows
        control profiles.

    Raises
    ------
    ConfigurationError, InvalidValues, GeneMismatch
        If a column is missing or unknown, a drug has no structure and was not in training, a cell line is not known,
        or the context does not have the genes and values of training.

    Examples
    --------
    >>> question_of(model, pd.DataFrame({"perturbation": ["A+B"], "dose": ["1+10"]}))  # doctest: +SKIP
    """
    model.check_is_fitted()
    others = set(table.columns) - set(COLUMNS)
    if others or not {"perturbation", "smiles"} & set(table.columns):
        what = f"'{sorted(map(str, others))[0]}' is none of them" if others else "there is neither of the first two"
        message = f"the columns of conditions are {', '.join(COLUMNS)} (perturbation or smiles is needed); {what}"
        raise ConfigurationError(message)
    if not len(table):
        message = "the table of conditions has no row; write one a condition"
        raise InvalidValues(message)
    asked = table.reset_index(drop=True)
    asked.index = [f"condition {row + 1}" for row in range(len(asked))]
    if "perturbation" not in asked:
        asked["perturbation"] = [f"compound {row + 1}" for row in range(len(asked))]
    asked["cell_line"] = _lines(model, asked, context)
    keys = Keys("perturbation", dose=_if(asked, "dose"), time=_if(asked, "time"), cell_line="cell_line")
    notes: list[str] = []
    obs = described(asked.astype(object).where(asked.notna(), ""), keys, notes)
    known = _structures(model, asked, smiles)
    found = ad.AnnData(
        np.full((len(obs), len(model.genes_)), np.nan, np.float32), obs, pd.DataFrame(index=model.genes_)
    )
    found.uns["smiles"], found.uns["notes"] = known, notes
    if len(model.domain_.contexts):
        found.layers["control"] = _controls(model, obs["cell_line"], context, notes)
    elif context is not None:
        message = (
            "this bundle learned from differences, without control profiles; leave --context out, name a cell line"
        )
        raise ConfigurationError(message)
    return found


def _if(table: pd.DataFrame, column: str) -> str | None:
    return column if column in table else None


def _lines(model: PerturbationModel, asked: pd.DataFrame, context: ad.AnnData | None) -> pd.Series:
    """Cell line of each row; the only one there is, where none is named."""
    known = list(dict.fromkeys([*(context.obs_names if context is not None else []), *model.domain_.lines]))
    default = list(context.obs_names) if context is not None else known
    given = asked["cell_line"] if "cell_line" in asked else pd.Series(None, index=asked.index, dtype=object)
    if given.isna().any() and len(default) > 1:
        row = int(np.argmax(given.isna())) + 1
        message = f"row {row} of the conditions names no cell_line; choose of {examples(known, 8)}"
        raise ConfigurationError(message)
    lines = given.fillna(default[0]).astype(str).str.strip()
    strange = lines[~lines.isin(known)]
    if len(strange):
        message = (
            f"the cell line '{strange.iloc[0]}' ({counted(len(strange), 'row')}) was not in training, which had "
            f"{examples(known, 8)}; give its control profile (--context FILE, a row of that name)"
        )
        raise ConfigurationError(message)
    return lines


def _structures(model: PerturbationModel, asked: pd.DataFrame, smiles: pd.Series | None) -> pd.Series:
    """SMILES by drug: of the table, of ``smiles``, of training."""
    own: dict[str, str] = {}
    for column, place in (("smiles", 0), ("smiles_2", 1)):
        for name, text in zip(asked["perturbation"], asked.get(column, pd.Series(dtype=object)), strict=False):
            parts = parts_of(str(name))
            if isinstance(text, str) and text.strip() and place < len(parts):
                if own.setdefault(parts[place], text.strip()) != text.strip():
                    message = f"'{parts[place]}' has two structures in the conditions; give two names, or one structure"
                    raise InvalidValues(message)
    morgan_fingerprints(pd.Series(own, dtype=object))  # refuses what is no structure
    found = pd.Series(own, dtype=object)
    for more in (smiles, model.features_.smiles):
        if more is not None:
            found = pd.concat([found, more[~more.index.isin(found.index)]])
    strange = [
        name for name in drugs_of(asked["perturbation"].astype(str)) if name not in {*found.index, *model.domain_.drugs}
    ]
    if strange:
        message = (
            f"not in training and without structure: {counted(len(strange), 'drug')} ({examples(strange)}); give "
            "SMILES in a column 'smiles', or --drugs FILE"
        )
        raise InvalidValues(message)
    return found


def _controls(
    model: PerturbationModel, lines: pd.Series, context: ad.AnnData | None, notes: list[str]
) -> NDArray[np.float32]:
    profiles: dict[str, NDArray[np.float32]] = {}
    if context is not None:
        at = places_of(model.genes_, context, notes)
        values = checked_profiles(context[:, at[at >= 0]], model.values_)
        known = np.tile(model.domain_.contexts.mean(axis=0), (context.n_obs, 1))  # what is not there is as in training
        known[:, at >= 0] = values
        profiles = dict(zip(map(str, context.obs_names), known, strict=True))
    for line in set(lines) - set(profiles):
        profile = model.domain_.profile(line)
        if profile is not None:
            profiles[line] = profile
    return np.stack([profiles[line] for line in lines]).astype(np.float32)
