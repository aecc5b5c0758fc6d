"""Drugs ranked for new samples, from a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.data.response_data import ResponseData
from cellixir.exceptions import GeneMismatch, InvalidValues, UnknownIds, examples
from cellixir.files import whole
from cellixir.response.model import Known

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from anndata import AnnData

    from cellixir.response.predictor import ResponsePredictor


def rank(
    model: ResponsePredictor,
    views: Mapping[str, AnnData],
    *,
    drugs: pd.DataFrame | None = None,
    samples: pd.DataFrame | None = None,
    missing: str = "error",
) -> pd.DataFrame:
    """Every sample of ``views`` with every drug, the lowest response (most sensitive) first within a sample.

    Parameters
    ----------
    views
        Features of the samples by view name; genes are matched by name.
    drugs
        None: the drugs that the model was fitted on.
    samples
        Annotation such as ``tissue``, by sample id.
    missing
        Features that ``views`` lack: ``'error'`` refuses, ``'mean'`` fills each with its training mean (it then
        says nothing), ``'zero'`` with 0 (right for mutations, where absent means not seen).

    Returns
    -------
    DataFrame
        ``sample, drug[, drug_name], predicted, spread, rank``; ``spread`` is the standard deviation over members.

    Raises
    ------
    GeneMismatch
        If features of the model are missing.
    UnknownIds
        If the model can know nothing of a drug.
    """
    model.check_fitted()
    _check_views(model, views)
    question = ResponseData.question(dict(views), model.drugs_ if drugs is None else drugs, samples)
    _check_samples(model, question.samples.index)
    _check_drugs(model, question.drugs)
    predicted = model.predict_members(question, missing=missing)
    table = question.responses[["sample", "drug"]].assign(
        predicted=predicted.mean(axis=0), spread=predicted.std(axis=0)
    )
    names = model.drugs_ if "name" not in question.drugs else question.drugs
    if "name" in names:
        called = names["name"].reindex(table["drug"]).reset_index(drop=True)
        table.insert(2, "drug_name", called.fillna(table["drug"].reset_index(drop=True)).to_numpy())
    table["rank"] = table.groupby("sample", sort=False)["predicted"].rank(method="first").astype(int)
    order = table["sample"].map({s: i for i, s in enumerate(question.samples.index)})
    by_rank = np.lexsort([table["rank"], order])
    return table.iloc[by_rank].reset_index(drop=True)


def absent_features(model: ResponsePredictor, views: Mapping[str, AnnData]) -> dict[str, int]:
    """How many features of each view of the model ``views`` lack."""
    wanted = model.sample_features_.views
    return {name: len(set(wanted[name]) - set(view.var_names)) for name, view in views.items() if name in wanted}


def write_ranking(table: pd.DataFrame, path: Path) -> None:
    """Write the table of ``rank``, whole or not at all."""
    with whole(path) as file:
        table.to_csv(file, index=False, float_format="%.6g")


def _check_views(model: ResponsePredictor, views: Mapping[str, AnnData]) -> None:
    for name, features in model.sample_features_.views.items():
        if name not in views:
            message = (
                f"the bundle needs the view '{name}' ({len(features):,} features such as {examples(features)}); "
                f"give --omics {name}=FILE"
            )
            raise GeneMismatch(message)
        learned, found = model.scales_[name], str(views[name].uns.get("scale", "unknown"))
        if "counts" in (learned, found) and learned != found:
            message = (
                f"view '{name}' looks like {found}, but the model learned from {learned}; "
                f"convert it (log2(TPM + 1) for expression) or fit on such data"
            )
            raise InvalidValues(message)


def _check_samples(model: ResponsePredictor, samples: pd.Index) -> None:
    """Refuse new samples where the model was fitted to predict known ones."""
    new = samples[~samples.isin(model.known_samples_)]
    if len(new) and Known.under(model.split).samples:
        message = (
            f"{len(new):,} samples are unknown to the model: {examples(new)}; it was fitted with "
            f"--split {model.split}, for the {len(model.known_samples_):,} samples it has seen; "
            f"fit with --split LCO to predict new ones"
        )
        raise UnknownIds(message)


def _check_drugs(model: ResponsePredictor, drugs: pd.DataFrame) -> None:
    """Refuse a drug that was never seen and of which no feature that the model uses is given."""
    known = drugs.index.isin(model.known_drugs_)
    if model.split == "LDO":
        known |= (model.drug_features_.transform(drugs) != 0).any(axis=1)
    lost = drugs.index[~known]
    if len(lost):
        way_out = (
            "give their SMILES, targets or pathway in --drugs"
            if model.split == "LDO"
            else f"the bundle knows {len(model.known_drugs_):,} drugs (e.g. {examples(model.known_drugs_)}); "
            "fit with --split LDO to predict new ones"
        )
        message = f"{len(lost):,} drugs are unknown to the model: {examples(lost)}; {way_out}"
        raise UnknownIds(message)
