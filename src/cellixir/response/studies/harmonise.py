"""Two studies brought together: drugs, samples and features matched, the overlap counted and removed.

The order of rows, ids and genes in either study changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd

from cellixir.data.matching import Matches, match_drugs, match_samples, shared_views
from cellixir.data.response_data import ResponseData
from cellixir.exceptions import ConfigurationError, DataError, UnknownIds, examples
from cellixir.response.models.model import Known
from cellixir.response.models.view_features import ViewFeatures
from cellixir.response.studies.agreement import agreement, unit_words
from cellixir.response.studies.notes import study_notes
from cellixir.response.studies.studies import NEW_SIDE, SIDES, Genes, Remove, Studies

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


def harmonised(
    train: ResponseData,
    external: ResponseData,
    *,
    split: str = "LCO",
    remove: Remove = "samples",
    genes: Genes = "shared",
) -> Studies:
    """Both studies in the ids of ``train``: matched, cut to what is shared, the overlap counted and removed.

    Raises
    ------
    As ``cross_study``.
    """
    _check_options(split, remove, genes)
    for data, study in ((train, "training"), (external, "external")):
        if not data.measured:
            message = f"the {study} study is a question, pairs without responses; give measured pairs"
            raise DataError(message)
    samples = match_samples(_measured(train, "sample"), _measured(external, "sample"))
    drugs = match_drugs(_measured(train, "drug"), _measured(external, "drug"))
    _require_overlap(train, external, samples, drugs, split)
    translated = _in_training_ids(external, samples, drugs, train)
    kept, removed = _without_overlap(train, translated, samples, drugs, remove, split)
    asked, excluded = _predictable(train, kept, translated, split, remove)
    ours, theirs, views = shared_views(_views_of(kept), _views_of(asked), genes=genes)
    columns = [str(c) for c in train.samples if c in external.samples]
    trained, tested = (_sorted(d, v, columns) for d, v in ((kept, ours), (asked, theirs)))
    removed["samples_without_features"] = kept.responses["sample"].nunique() - len(trained.samples)
    undescribed = ~asked.responses["sample"].isin(tested.samples.index)
    excluded |= _left_out(asked.responses[undescribed], "no features that training has", "sample")
    _check_scales(trained, tested)
    agreed = agreement(train, translated)
    overlap = {
        "samples": _counts(train, translated, samples, "sample"),
        "drugs": _counts(train, translated, drugs, "drug"),
        "pairs": _pair_counts(train, translated),
        "agreement": agreed,
        "unit": unit_words(train, translated, agreed),
        "views": views.rename(columns={"n_left": "train", "n_right": "external", "n_both": "both"}).to_dict("records"),
        "genes": genes,
        "removed": {"what": remove, **removed},
        "excluded": excluded,
        "training": _size(trained),
        "test": _size(tested) | _known_in_training(trained, tested),
    }
    studies = Studies(trained, tested, samples, drugs, overlap, ())
    return replace(studies, notes=tuple(study_notes(studies, train, external, split)))


def _check_options(split: str, remove: str, genes: str) -> None:
    known = Known.under(split)
    for name, value, choices in (("remove", remove, get_args(Remove)), ("genes", genes, get_args(Genes))):
        if value not in choices:
            message = f"{name}='{value}' is not known; use one of {', '.join(choices)}"
            raise ConfigurationError(message)
    if (remove == "samples" and known.samples) or (remove == "drugs" and known.drugs):
        message = (
            f"{split} predicts {remove} that training has seen, and --overlap {remove} takes them out; "
            f"use remove='{NEW_SIDE[split]}' (--overlap {NEW_SIDE[split]}), or another split"
        )
        raise ConfigurationError(message)


def _measured(data: ResponseData, side: str) -> pd.DataFrame:
    """Annotation of the samples or drugs that have a response."""
    table = data.samples if side == "sample" else data.drugs
    return table[table.index.isin(data.responses[side])]


def _require_overlap(train: ResponseData, external: ResponseData, samples: Matches, drugs: Matches, split: str) -> None:
    known = Known.under(split)
    ways = {
        "drug": "use the same ids or names, or describe them (name, synonyms, PubChem id, SMILES; --drugs FILE)",
        "sample": "use the same ids or cell-line names (--samples FILE)",
    }
    for side, needed, found in (("drug", known.drugs, drugs), ("sample", known.samples, samples)):
        if needed and not len(found):
            shown = [_called(_measured(data, side)) for data in (train, external)]
            message = (
                f"no {side} is in both studies: training has {shown[0]}, the external study {shown[1]}, and {split} "
                f"predicts {side}s that training has seen; {ways[side]}"
            )
            raise UnknownIds(message)


def _called(table: pd.DataFrame) -> str:
    """Ids with names beside them, for a message."""
    names = next((table[c] for c in ("name", "cell_line_name") if c in table), None)
    if names is None:
        return examples(table.index)
    return examples([str(i) if pd.isna(name) or name == i else f"{i} ({name})" for i, name in names.items()])


def _in_training_ids(external: ResponseData, samples: Matches, drugs: Matches, train: ResponseData) -> ResponseData:
    """The external study in the ids of the training study; a matched drug is described as there."""
    sample = _translation(_measured(external, "sample").index, samples, train.samples.index)
    drug = _translation(_measured(external, "drug").index, drugs, train.drugs.index)
    ids = {side: external.responses[side].map(new) for side, new in (("sample", sample), ("drug", drug))}
    responses = external.responses.assign(**ids)
    described = external.drugs.loc[list(drug)].set_axis(list(drug.values())).reindex(columns=train.drugs.columns)
    known = described.index.isin(drugs.pairs["left"])
    described = pd.concat([t.astype(object) for t in (train.drugs.loc[described.index[known]], described[~known])])
    views = {name: _renamed(view, sample) for name, view in external.views.items()}
    annotation = external.samples.loc[list(sample)].set_axis(list(sample.values()))
    return ResponseData.join(responses, views=views, samples=annotation, drugs=described, **_about(external))


def _translation(ids: pd.Index, found: Matches, taken: pd.Index) -> dict[str, str]:
    """New id by old id; an id that is another thing in training is marked."""
    renamed = found.renamed
    return {i: renamed.get(i, f"{i} (external)" if i in taken else i) for i in ids}


def _renamed(view: AnnData, names: dict[str, str]) -> AnnData:
    view = view[view.obs_names.isin(list(names))].copy()
    view.obs_names = [names[i] for i in view.obs_names]
    return view


def _without_overlap(
    train: ResponseData, external: ResponseData, samples: Matches, drugs: Matches, remove: Remove, split: str
) -> tuple[ResponseData, dict[str, int]]:
    """Training rows that may be learned from; what might be in the external study goes, too."""
    gone = np.zeros(len(train), dtype=bool)
    if remove in ("samples", "drugs"):
        side, found = ("sample", samples) if remove == "samples" else ("drug", drugs)
        gone = train.responses[side].isin({*found.pairs["left"], *found.candidates}).to_numpy()
    elif remove == "pairs":
        gone = _pairs(train).isin(_pairs(external))
    kept, lost, unit = train.responses[~gone], train.responses[gone], _unit(split)
    counts = {f"{side}s": len(set(lost[side]) - set(kept[side])) for side in SIDES}
    if kept[unit].nunique() < 2:
        left, total = kept[unit].nunique(), train.responses[unit].nunique()
        message = (
            f"--overlap {remove}: remove='{remove}' leaves {left} of {total:,} training {unit}s, too few to learn "
            f"from, as the external study has the others; train on a study with more {unit}s of its own, or keep what "
            f"both have with --overlap none (remove='none'; scores then say nothing of new {unit}s)"
        )
        raise DataError(message)
    return train.take(~gone), counts | {"measurements": int(gone.sum())}


def _unit(split: str) -> str:
    """What must be left in number, so that some can be put aside to stop on."""
    return "drug" if split == "LDO" else "sample"


def _predictable(
    train: ResponseData, kept: ResponseData, external: ResponseData, split: str, remove: str
) -> tuple[ResponseData, dict[str, dict[str, Any]]]:
    """External rows that the split can predict, and why the others cannot be."""
    known, table = Known.under(split), external.responses
    rules: list[tuple[str, str, Any]] = []
    for side, needed in (("drug", known.drugs), ("sample", known.samples)):
        if needed:
            rules.append((side, f"{side} not in training", ~table[side].isin(train.responses[side])))
            gone = f"{side} in training only with what was removed (remove='{remove}')"
            rules.append((side, gone, ~table[side].isin(kept.responses[side])))
    if not known.tissues:
        rules.append(("sample", "tissue in training", _tissue_known(kept, external)))
    out = np.zeros(len(table), dtype=bool)
    excluded: dict[str, dict[str, Any]] = {}
    for side, reason, wrong in rules:
        excluded |= _left_out(table[np.asarray(wrong) & ~out], reason, side)
        out |= np.asarray(wrong)
    if out.all():
        why = "; ".join(f"{reason}: {lost['measurements']:,}" for reason, lost in excluded.items())
        message = (
            f"none of the {len(table):,} external measurements can be predicted under {split} ({why}); "
            f"give a training study with more {_unit(split)}s of its own, remove less, or use another split"
        )
        raise UnknownIds(message)
    return external.take(~out), excluded


def _left_out(rows: pd.DataFrame, reason: str, side: str) -> dict[str, dict[str, Any]]:
    ids = sorted(rows[side].unique())
    return {reason: {f"{side}s": len(ids), "measurements": len(rows), "ids": ids}} if len(rows) else {}


def _tissue_known(kept: ResponseData, external: ResponseData) -> NDArray[np.bool_]:
    seen = set(kept.tissue.to_numpy()[np.unique(kept.sample_index)])
    return external.tissue.isin(seen).to_numpy()[external.sample_index]


def _views_of(data: ResponseData) -> dict[str, AnnData]:
    """Views of the samples that have a response, in sorted order."""
    measured = data.responses["sample"].unique()
    return {name: view[sorted(view.obs_names[view.obs_names.isin(measured)])] for name, view in data.views.items()}


def _check_scales(trained: ResponseData, tested: ResponseData) -> None:
    """Refuse external features that are unlike those of training, as a bundle would that learned from these."""
    for name, view in trained.views.items():
        learned = ViewFeatures.fit(trained.feature_matrix(name)[trained.in_view(name)], list(view.var_names))
        learned.check_scale(tested.feature_matrix(name), name, " of the external study")


def _sorted(data: ResponseData, views: dict[str, AnnData], columns: list[str]) -> ResponseData:
    """Rows and ids in sorted order, samples with the annotation that both studies have."""
    order = [c for c in (*SIDES, "replicate") if c in data.responses]
    responses = data.responses.sort_values(order, key=lambda ids: ids.astype(str), ignore_index=True)
    samples, drugs = _measured(data, "sample")[columns].sort_index(), _measured(data, "drug").sort_index()
    return ResponseData.join(responses, views=views, samples=samples, drugs=drugs, **_about(data))


def _about(data: ResponseData) -> dict[str, str]:
    return {"measure": data.measure, "unit": data.unit, "source": data.source}


def _pairs(data: ResponseData) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(data.responses[list(SIDES)])


def _pair_counts(train: ResponseData, external: ResponseData) -> dict[str, int]:
    ours, theirs = _pairs(train).unique(), _pairs(external).unique()
    return {"train": len(ours), "external": len(theirs), "both": int(ours.isin(theirs).sum())}


def _counts(train: ResponseData, external: ResponseData, found: Matches, side: str) -> dict[str, Any]:
    return {
        "train": int(train.responses[side].nunique()),
        "external": int(external.responses[side].nunique()),
        "both": len(found),
        "by": found.by,
        "undecided": {
            str(r): list(c) for r, c in zip(found.undecided["right"], found.undecided["candidates"], strict=True)
        },
    }


def _size(data: ResponseData) -> dict[str, int]:
    return {"measurements": len(data)} | {f"{side}s": int(data.responses[side].nunique()) for side in SIDES}


def _known_in_training(train: ResponseData, test: ResponseData) -> dict[str, int]:
    ids = {f"{s}s_in_training": int(pd.Index(test.responses[s].unique()).isin(train.responses[s]).sum()) for s in SIDES}
    return ids | {"pairs_in_training": _pair_counts(train, test)["both"]}
