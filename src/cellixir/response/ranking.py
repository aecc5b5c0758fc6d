"""Drugs ranked for new samples, from a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.data.response_data import ResponseData
from cellixir.exceptions import ConfigurationError, GeneMismatch, InvalidValues, UnknownIds, examples
from cellixir.files import require_writable, whole
from cellixir.response.model import Known

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from anndata import AnnData

    from cellixir.response.predictor import ResponsePredictor

FAR = 8.0  # standard deviations of the training samples
FAR_SHARE = 0.1
FEWEST_FEATURES = 0.5


def rank(
    model: ResponsePredictor,
    views: Mapping[str, AnnData],
    *,
    drugs: pd.DataFrame | None = None,
    samples: pd.DataFrame | None = None,
    missing: str = "error",
    on_note: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Every sample of ``views`` with every drug, the lowest response (most sensitive) first within a sample.

    Parameters
    ----------
    views
        Features of the samples by view name; genes are matched by name.
    drugs
        By id or by name; None: the drugs that the model was fitted on.
    samples
        Annotation such as ``tissue``, by sample id.
    missing
        Features that ``views`` lack: ``'error'`` refuses, ``'mean'`` fills each with its training mean (it then
        says nothing), ``'zero'`` with 0 (right for mutations, where absent means not seen).
    on_note
        Called with what was filled, and with annotation that the model uses and the samples lack.

    Returns
    -------
    DataFrame
        ``sample, drug[, drug_name], predicted, typical_error, rank``.

    Raises
    ------
    GeneMismatch
        If features of the model are missing, or half of them when they may be filled.
    InvalidValues
        If the values are on another scale than those that the model learned from.
    UnknownIds
        If the model can know nothing of a drug or, under LPO and LDO, of a sample.
    """
    model.check_fitted()
    _check_views(model, views)
    drugs = model.drugs_ if drugs is None else _by_model_id(model, drugs)
    question = ResponseData.question(dict(views), drugs, samples)
    _check_samples(model, question.samples.index)
    _check_drugs(model, question.drugs)
    notes = _fill_notes(model, views, missing) + _annotation_notes(model, question.samples)
    _check_values(model, question)
    for note in notes:
        (on_note or (lambda _: None))(note)
    table = question.responses[["sample", "drug"]].assign(
        predicted=model.predict_members(question, missing=missing).mean(axis=0),
        typical_error=model.typical_error(question),
    )
    return _ranked(_named(table, model, question.drugs), question.samples.index)


def _named(table: pd.DataFrame, model: ResponsePredictor, drugs: pd.DataFrame) -> pd.DataFrame:
    """The table with a column ``drug_name``, where names are known; an id stands in for a missing one."""
    known = drugs if "name" in drugs else model.drugs_
    if "name" in known:
        called = known["name"].reindex(table["drug"]).reset_index(drop=True)
        table.insert(2, "drug_name", called.fillna(table["drug"].reset_index(drop=True)).to_numpy())
    return table


def _ranked(table: pd.DataFrame, samples: pd.Index) -> pd.DataFrame:
    table["rank"] = table.groupby("sample", sort=False)["predicted"].rank(method="first").astype(int)
    order = np.lexsort((table["rank"].to_numpy(), samples.get_indexer(pd.Index(table["sample"]))))
    return table.iloc[order].reset_index(drop=True)


def check_ranking_file(path: Path, inputs: list[Path], bundle: Path) -> None:
    """Refuse, before any work, a table that could not be written or would overwrite what it is made from."""
    if path.resolve() in {p.resolve() for p in inputs} or bundle.resolve() in path.resolve().parents:
        message = f"--out {path} is one of the inputs, or lies in the bundle; choose another place"
        raise ConfigurationError(message)
    if not path.name.endswith((".csv", ".csv.gz", ".tsv", ".parquet", ".xlsx")):
        message = f"--out {path}: the suffix is not known; use .csv, .csv.gz, .tsv, .parquet or .xlsx"
        raise ConfigurationError(message)
    require_writable(path)


def write_ranking(table: pd.DataFrame, path: Path) -> None:
    """Write the table of ``rank`` in the format of the suffix, whole or not at all."""
    with whole(path) as file:
        if path.suffix == ".parquet":
            table.to_parquet(file, index=False)
        elif path.suffix == ".xlsx":
            table.to_excel(file, index=False)
        else:
            table.to_csv(file, index=False, float_format="%.6g", sep="\t" if path.suffix == ".tsv" else ",")


def _check_views(model: ResponsePredictor, views: Mapping[str, AnnData]) -> None:
    for name, features in model.sample_features_.views.items():
        if name not in views:
            message = (
                f"the bundle needs the view '{name}' ({len(features):,} features such as {examples(features)}); "
                f"give --omics {name}=FILE"
            )
            raise GeneMismatch(message)
        learned, found = model.scales_[name], str(views[name].uns.get("scale", "unknown"))
        if learned != found and {"counts", "zscore"} & {learned, found} and "unknown" not in (learned, found):
            message = (
                f"view '{name}' looks like {found}, but the model learned from {learned}; "
                f"convert it (log2(TPM + 1) for expression) or fit on such data"
            )
            raise InvalidValues(message)


def _check_values(model: ResponsePredictor, question: ResponseData) -> None:
    """Refuse values unlike those the model learned from, whatever their scale is called."""
    learned = model.sample_features_
    for name, features in learned.views.items():
        present = np.isin(features, question.views[name].var_names)
        raw = question.feature_matrix(name, [f for f, p in zip(features, present, strict=True) if p])
        far = np.abs((raw - learned.mean[name][present]) / learned.scale[name][present]) > FAR
        if far.size and far.mean() > FAR_SHARE:
            message = (
                f"view '{name}': {far.mean():.0%} of the values are more than {FAR:.0f} standard deviations from what "
                f"the model learned (median {np.median(raw):.3g}, learned {np.median(learned.mean[name]):.3g}); "
                f"convert them to the same scale, log2(TPM + 1) perhaps"
            )
            raise InvalidValues(message)


def _fill_notes(model: ResponsePredictor, views: Mapping[str, AnnData], missing: str) -> list[str]:
    """What will be filled; refused when most features are not there, for the names are then of another kind."""
    notes = []
    for name, wanted in model.sample_features_.views.items():
        absent = sorted(set(wanted) - set(views[name].var_names))
        if missing != "error" and len(absent) > FEWEST_FEATURES * len(wanted):
            message = (
                f"{len(absent):,} of {len(wanted):,} features of view '{name}' are missing ({examples(absent)}; it has "
                f"{examples(views[name].var_names)}); too few are left to fill the rest: use the same kind of names"
            )
            raise GeneMismatch(message)
        if absent and missing != "error":
            notes.append(
                f"{len(absent):,} of {len(wanted):,} features of '{name}' are missing and were filled with {missing}"
            )
    return notes


def _annotation_notes(model: ResponsePredictor, samples: pd.DataFrame) -> list[str]:
    """Annotation that the model uses and that samples lack, or have in a form it has not seen."""
    lacking = {}
    for column, levels in model.sample_features_.onehot.levels.items():
        known = samples[column].isin(levels).sum() if column in samples else 0
        if known < len(samples):
            lacking[column] = len(samples) - known
    if not lacking:
        return []
    each = ", ".join(f"{column} ({n:,} of {len(samples):,} samples)" for column, n in lacking.items())
    return [f"the model also uses annotation that is missing or was never seen: {each}; give it with --samples FILE"]


def _by_model_id(model: ResponsePredictor, drugs: pd.DataFrame) -> pd.DataFrame:
    """Drugs that are listed by name, under the ids of the model."""
    if drugs.index.isin(model.known_drugs_).any() or "name" not in model.drugs_:
        return drugs
    ids = {str(name).casefold(): i for i, name in model.drugs_["name"].items()}
    return drugs.set_axis([str(ids.get(str(d).casefold(), d)) for d in drugs.index])


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
            else f"the bundle knows {len(model.known_drugs_):,} drugs, by id or name (e.g. {_called(model)}); "
            "fit with --split LDO to predict new ones"
        )
        message = f"{len(lost):,} drugs are unknown to the model: {examples(lost)}; {way_out}"
        raise UnknownIds(message)


def _called(model: ResponsePredictor) -> str:
    names = model.drugs_["name"] if "name" in model.drugs_ else model.drugs_.index.to_series()
    return examples([f"{i} {name}" if str(i) != str(name) else str(i) for i, name in names.items()])
