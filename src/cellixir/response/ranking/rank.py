"""Drugs ranked for new samples, from a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.data.response_data import ResponseData
from cellixir.exceptions import ConfigurationError, examples
from cellixir.files import harmless, require_writable, whole, write_csv
from cellixir.response.cross_validation.labels import PROBABILITY
from cellixir.response.network.experience import COLUMNS, compared
from cellixir.response.ranking.checks import (
    HALF,
    annotation_notes,
    by_model_id,
    check_drugs,
    check_samples,
    check_values,
    check_views,
    emptiness_notes,
    fill_notes,
    known_views,
    missing_share,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from anndata import AnnData

    from cellixir.data.missing_genes import Missing
    from cellixir.response.network.predictor import ResponsePredictor


def rank(
    model: ResponsePredictor,
    views: Mapping[str, AnnData],
    *,
    drugs: pd.DataFrame | None = None,
    samples: pd.DataFrame | None = None,
    missing: Missing = "refuse",
    interval: float = 0.9,
    on_note: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Every sample of ``views`` with every drug, the lowest response (most sensitive) first within a sample.

    A model that was fitted on labels tells the probability of sensitive, the highest first.

    Parameters
    ----------
    views
        Features of the samples by view name; genes are matched by name.
    drugs
        By id or by name; None: the drugs that the model was fitted on.
    samples
        Annotation such as ``tissue``, by sample id.
    missing
        Features that ``views`` lack: ``'refuse'`` does, ``'mean'`` fills each with its training mean (it then
        says nothing), ``'zero'`` with 0 (right for mutations, where absent means not seen).
    interval
        Probability with which ``low`` and ``high`` hold the response.
    on_note
        Called with what was filled or left out, and with what the model uses and samples or drugs lack.

    Returns
    -------
    DataFrame
        ``sample, drug[, drug_name], predicted[, ic50_uM], low, high, typical_error, in_domain, missing_share,
        drug_mean, difference, percentile, predictability[, views], rank, rank_difference``. ``in_domain`` is False
        where the sample (under LDO the drug) is unlike those of training, or lacks more than half of the model's
        features; ``missing_share`` says how many. The drug's mean and the percentile are over training samples,
        ``predictability`` is the drug's Pearson correlation on held-out rows; ``rank_difference`` ranks by the
        difference from the drug's mean. ``views`` are those that the sample has, where the model knows several.

    Raises
    ------
    GeneMismatch
        If features of the model are missing, or half of them when they may be filled.
    InvalidValues
        If the values are on another scale than those that the model learned from.
    UnknownIds
        If the model can know nothing of a drug or, under LPO and LDO, of a sample.

    Examples
    --------
    >>> from cellixir import load, read_expression
    >>> rank(load("model"), {"expression": read_expression("tumours.csv")})  # doctest: +SKIP
    """
    model.check_is_fitted()
    check_views(model, views)
    views, strangers = known_views(model, views)
    drugs = model.drugs_ if drugs is None else by_model_id(model, drugs)
    question = ResponseData.question(dict(views), drugs, samples)
    check_samples(model, question.samples.index)
    check_drugs(model, question.drugs)
    notes = strangers + fill_notes(model, views, missing) + annotation_notes(model, question.samples)
    notes += model.inputs_.drug_encoding.notes(question.drugs)
    check_values(model, question)
    inside = model.in_domain(question, missing=missing)
    outside = pd.unique(question.responses.loc[~inside, model.new_side])
    if len(outside):
        notes.append(
            f"{len(outside):,} {model.new_side}s are unlike those of training (in_domain is False): {examples(outside)}"
        )
    lacking = missing_share(model, question)
    half_empty = lacking > HALF
    notes += emptiness_notes(question, lacking)
    for note in notes:
        (on_note or (lambda _: None))(note)
    predicted = model.predict_members(question, missing=missing).mean(axis=0)
    half = model.half_width(question, interval)
    classes = model.unit_ == PROBABILITY
    least, most = (0.0, 1.0) if classes else (-np.inf, np.inf)  # least squares may leave 0 to 1 a little
    predicted = np.clip(predicted, least, most)
    told = compared(model.experience_, question.responses["drug"], predicted)
    told["percentile"] = np.nan if classes else told["percentile"]  # of zeros and ones it says nothing
    table = question.responses[["sample", "drug"]].assign(
        predicted=predicted,
        **({"ic50_uM": np.exp(predicted)} if model.unit_ == "ln µM" else {}),
        low=np.maximum(predicted - half, least),
        high=np.minimum(predicted + half, most),
        typical_error=model.typical_error(question),
        in_domain=inside & ~half_empty,
        missing_share=lacking,
        **{name: told[name].to_numpy() for name in COLUMNS},
    )
    if len(model.inputs_.samples.views) > 1:
        table["views"] = np.array(model.inputs_.samples.views_used(question))[question.sample_index]
    return _ranked(_named(table, model, question.drugs), question.samples.index, highest_first=classes)


def _named(table: pd.DataFrame, model: ResponsePredictor, drugs: pd.DataFrame) -> pd.DataFrame:
    """The table with a column ``drug_name``, where names are known; an id stands in for a missing one."""
    known = drugs if "name" in drugs else model.drugs_
    if "name" in known:
        called = known["name"].reindex(table["drug"]).reset_index(drop=True)
        table.insert(2, "drug_name", called.fillna(table["drug"].reset_index(drop=True)).to_numpy())
    return table


def _ranked(table: pd.DataFrame, samples: pd.Index, *, highest_first: bool) -> pd.DataFrame:
    by_sample = table.groupby("sample", sort=False)
    lowest = not highest_first
    table["rank"] = by_sample["predicted"].rank(method="first", ascending=lowest).astype(int)
    table["rank_difference"] = by_sample["difference"].rank(method="first", ascending=lowest).astype("Int64")
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
    if path.suffix not in {".parquet", ".xlsx"}:
        write_csv(table, path, float_format="%.6g", sep="\t" if path.suffix == ".tsv" else ",")
        return
    with whole(path) as file:
        if path.suffix == ".parquet":
            table.to_parquet(file, index=False)
        else:
            harmless(table).to_excel(file, index=False)
