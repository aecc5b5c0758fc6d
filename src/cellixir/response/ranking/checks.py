"""What new samples and drugs must be before a bundle ranks them, and what is said of what they lack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.exceptions import GeneMismatch, InvalidValues, UnknownIds, counted, examples
from cellixir.response.models.model import Known

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from anndata import AnnData
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData
    from cellixir.response.network.predictor import ResponsePredictor

FEWEST_FEATURES = 0.5
#: Share of features that a sample may lack before it counts as unlike those of training.
HALF = 0.5


def check_views(model: ResponsePredictor, views: Mapping[str, AnnData]) -> None:
    """Refuse data without any view of the model, or a view on another scale."""
    wanted = model.inputs_.samples.views
    if wanted and not set(wanted) & set(views):
        name, view = next(iter(wanted.items()))
        message = (
            f"the bundle needs the view '{name}' ({len(view.inputs):,} features such as {examples(view.inputs)})"
            f"{f', or another of {examples(wanted, 8)}' if len(wanted) > 1 else ''}; give --omics {name}=FILE"
        )
        raise GeneMismatch(message)
    for name in set(wanted) & set(views):
        learned, found = model.scales_[name], str(views[name].uns.get("scale", "unknown"))
        if learned != found and {"counts", "zscore"} & {learned, found} and "unknown" not in (learned, found):
            message = (
                f"view '{name}' looks like {found}, but the model learned from {learned}; "
                f"convert it (log2(TPM + 1) for expression) or fit on such data"
            )
            raise InvalidValues(message)


def known_views(model: ResponsePredictor, views: Mapping[str, AnnData]) -> tuple[dict[str, AnnData], list[str]]:
    """Views that the model reads, and what is said of the others; all of them where the model reads none."""
    known = model.inputs_.samples.views
    others = [name for name in views if name not in known] if known else []
    notes = [f"the model knows no view '{name}': it was left out; it knows {examples(known, 8)}" for name in others]
    return {name: view for name, view in views.items() if name not in others}, notes


def check_values(model: ResponsePredictor, question: ResponseData) -> None:
    """Refuse values unlike those the model learned from, whatever their scale is called."""
    for name, raw in _given(model, question):
        model.inputs_.samples.views[name].check_scale(raw, name)


def _given(model: ResponsePredictor, question: ResponseData) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Views that the model reads and that are given, and their values; NaN where a sample or a feature is not there."""
    for name, view in model.inputs_.samples.views.items():
        if name in question.views:
            raw = question.feature_matrix(name, view.inputs, missing="zero")
            raw[:, ~np.isin(view.inputs, question.views[name].var_names)] = np.nan
            yield name, raw


def missing_share(model: ResponsePredictor, question: ResponseData) -> NDArray[np.float64]:
    """Share of the model's features that the sample of each pair has no value for, shape ``(n_pairs,)``."""
    n = sum(len(view.inputs) for view in model.inputs_.samples.views.values())
    lacking = np.full(len(question.samples), n)
    for _, raw in _given(model, question):
        lacking -= (~np.isnan(raw)).sum(axis=1)
    return np.asarray(lacking / max(n, 1))[question.sample_index]


def emptiness_notes(question: ResponseData, lacking: NDArray[np.float64]) -> list[str]:
    """What to say of samples that are predicted from little or nothing."""
    share = pd.Series(lacking).groupby(question.responses["sample"].to_numpy(str), sort=False).first()
    notes, empty, half = [], share.index[share >= 1], share.index[(share > HALF) & (share < 1)]
    if len(empty):
        notes.append(
            f"{counted(len(empty), 'sample')} without any value of what the model reads ({examples(empty)}): predicted "
            "as an average sample, which says nothing about it; in_domain is False"
        )
    if len(half):
        notes.append(
            f"{counted(len(half), 'sample')} with values for less than half of what the model reads "
            f"({examples(half)}); in_domain is False, missing_share says how many lack"
        )
    return notes


def fill_notes(model: ResponsePredictor, views: Mapping[str, AnnData], missing: str) -> list[str]:
    """What will be filled; refused when most features are not there, for the names are then of another kind."""
    notes = []
    for name, view in model.inputs_.samples.views.items():
        if name not in views:
            notes.append(f"view '{name}' is not given: every sample is predicted without it")
            continue
        wanted, absent = view.inputs, sorted(set(view.inputs) - set(views[name].var_names))
        if missing != "refuse" and len(absent) > FEWEST_FEATURES * len(wanted):
            message = (
                f"{len(absent):,} of {len(wanted):,} features of view '{name}' are missing ({examples(absent)}; it has "
                f"{examples(views[name].var_names)}); too few are left to fill the rest: use the same kind of names"
            )
            raise GeneMismatch(message)
        if absent and missing != "refuse":
            notes.append(
                f"{len(absent):,} of {len(wanted):,} features of '{name}' are missing and were filled with {missing}"
            )
    return notes


def annotation_notes(model: ResponsePredictor, samples: pd.DataFrame) -> list[str]:
    """Annotation that the model uses and that samples lack, or have in a form it has not seen."""
    lacking = {}
    for column, levels in model.inputs_.samples.onehot.levels.items():
        known = samples[column].isin(levels).sum() if column in samples else 0
        if known < len(samples):
            lacking[column] = len(samples) - known
    if not lacking:
        return []
    each = ", ".join(f"{column} ({n:,} of {len(samples):,} samples)" for column, n in lacking.items())
    return [f"the model also uses annotation that is missing or was never seen: {each}; give it with --samples FILE"]


def by_model_id(model: ResponsePredictor, drugs: pd.DataFrame) -> pd.DataFrame:
    """Drugs that are listed by name, under the ids of the model."""
    if drugs.index.isin(model.inputs_.known_drugs).any() or "name" not in model.drugs_:
        return drugs
    ids = {str(name).casefold(): i for i, name in model.drugs_["name"].items()}
    return drugs.set_axis([str(ids.get(str(d).casefold(), d)) for d in drugs.index])


def check_samples(model: ResponsePredictor, samples: pd.Index) -> None:
    """Refuse new samples where the model was fitted to predict known ones."""
    new = samples[~samples.isin(model.inputs_.known_samples)]
    if len(new) and Known.under(model.split).samples:
        message = (
            f"{len(new):,} samples are unknown to the model: {examples(new)}; it was fitted with "
            f"--split {model.split}, for the {len(model.inputs_.known_samples):,} samples it has seen; "
            f"fit with --split LCO to predict new ones"
        )
        raise UnknownIds(message)


def check_drugs(model: ResponsePredictor, drugs: pd.DataFrame) -> None:
    """Refuse a drug that was never seen and of which no feature that the model uses is given."""
    known = drugs.index.isin(model.inputs_.known_drugs)
    if model.split == "LDO":
        known |= (model.inputs_.drugs.transform(drugs) != 0).any(axis=1)
    lost = drugs.index[~known]
    if len(lost):
        way_out = (
            "give their SMILES, targets or pathway in --drugs"
            if model.split == "LDO"
            else f"the bundle knows {len(model.inputs_.known_drugs):,} drugs, by id or name (e.g. {_called(model)}); "
            "fit with --split LDO to predict new ones"
        )
        message = f"{len(lost):,} drugs are unknown to the model: {examples(lost)}; {way_out}"
        raise UnknownIds(message)


def _called(model: ResponsePredictor) -> str:
    names = model.drugs_["name"] if "name" in model.drugs_ else model.drugs_.index.to_series()
    return examples([f"{i} {name}" if str(i) != str(name) else str(i) for i, name in names.items()])
