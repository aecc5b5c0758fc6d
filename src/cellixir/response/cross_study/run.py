"""Cross-study evaluation: models learn from one study and predict another.

Drugs, samples and features are matched (``cellixir.data.matching``), what both studies have is counted and taken out of
training, and each model is fitted once. A piece is one model; it is written when it is done, so a run that was stopped
goes on where it was. The order of rows, ids and genes in either study changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from cellixir import metrics
from cellixir.data.audit.findings import require_clean
from cellixir.data.audit.response import audit_response
from cellixir.data.matching import Matches, match_drugs, match_samples, shared_views
from cellixir.data.response_data import ResponseData
from cellixir.data.splits import Fold, split_off
from cellixir.exceptions import ConfigurationError, DataError, UnknownIds, examples
from cellixir.files import claim, whole
from cellixir.response.benchmark import evaluation
from cellixir.response.benchmark.models import Options, chosen_models, kind_of
from cellixir.response.benchmark.option_checks import check_options
from cellixir.response.benchmark.pieces import Piece, Sides, gather, pieces_in, run_pieces
from cellixir.response.cross_study.report import (
    MIN_PAIRS,
    NEW_SIDE,
    CrossStudySummary,
    cross_study_headline,
    matches_table,
    study_notes,
    write_cross_study_report,
)
from cellixir.response.models.effects import group_means
from cellixir.response.models.features import require_features
from cellixir.response.models.model import Known
from cellixir.training import Bars

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from cellixir.response.benchmark.models import ModelSpec
    from cellixir.response.benchmark.pieces import Gathered

Remove = Literal["none", "samples", "drugs", "pairs"]
Genes = Literal["shared", "filled"]
N_BOOTSTRAP = 1000
SIDES = ("sample", "drug")


@dataclass(frozen=True)
class Studies:
    """Two studies in the ids of the first, without what was removed from training or cannot be predicted.

    Attributes
    ----------
    train, external
        Rows, samples, drugs and features in sorted order.
    samples, drugs
        How ids were matched.
    overlap
        What both studies have and what was left out, as written to ``overlap.json``.
    notes
        What the reader has to know, in words.
    """

    train: ResponseData
    external: ResponseData
    samples: Matches
    drugs: Matches
    overlap: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def one_measure(self) -> bool:
        """Whether both studies measured the same thing in the same unit."""
        return (self.train.measure, self.train.unit) == (self.external.measure, self.external.unit)


@dataclass(frozen=True)
class CrossStudyResult:
    """Tables of a finished cross-study evaluation, the folder that holds them, and what they say in one sentence."""

    folder: Path
    leaderboard: pd.DataFrame
    paired: pd.DataFrame
    per_drug: pd.DataFrame
    predictions: pd.DataFrame
    overlap: dict[str, Any]
    notes: tuple[str, ...]
    headline: str = ""
    one_measure: bool = True


@dataclass(frozen=True)
class StudyPiece(Piece):
    """One model, fitted on all of the training study."""

    external: ResponseData = field(kw_only=True)

    def sides(self, data: ResponseData) -> Sides:
        """All of ``data`` to learn from, the external study to predict."""
        return Sides(data, self.fold.validation, self.external.as_question())


def cross_study(
    train: ResponseData,
    external: ResponseData,
    out: Path | str,
    *,
    models: Sequence[str] | None = None,
    split: str = "LCO",
    remove: Remove = "samples",
    genes: Genes = "shared",
    seed: int = 0,
    options: Options | None = None,
    allow: Collection[str] = (),
    command: str = "",
    quiet: bool = True,
) -> CrossStudyResult:
    """Fit models on ``train``, predict ``external``; write leaderboard, predictions, overlap and report to ``out``.

    Parameters
    ----------
    train, external
        Measured pairs of two studies. Where measure or unit differ, only correlations are reported.
    out
        Folder; if it holds a part of the same evaluation, the rest is done.
    models
        Names of ``cellixir.response.benchmark.models``; None for all that can run. The baselines always run.
    split
        Which side is new in the external study: LCO (samples), LTO (samples of other tissues), LDO (drugs), LPO
        (neither).
    remove
        What both studies have and training must not see. Anything but what the split calls new leaves test
        samples (or drugs) in training.
    genes
        ``shared``: both studies are cut to the features that both have. ``filled``: all training features, the
        external study's missing ones set to the training mean.
    options
        Preprocessing, encoders of the network, intervals (where both studies have one measure).
    command
        Shown in the report.

    Raises
    ------
    ConfigurationError
        If options contradict each other, a view is in two scales, or ``out`` holds something else.
    UnknownIds
        If the studies share no drug (LDO: no sample), or nothing that can be predicted.
    GeneMismatch
        If a view shares no feature, or too few to be filled.
    DataError
        If nothing is left to learn from.
    """
    specs = chosen_models(models, split)
    require_clean(audit_response(train, split), allow)
    studies = harmonised(train, external, split=split, remove=remove, genes=genes)
    if any(spec.kind != "baseline" for spec in specs):
        require_features(studies.train, split)
    options = options or Options()
    check_options(studies.train, specs, split, options)
    folder = Path(out)
    facts = {"split": split, "remove": remove, "genes": genes, "seed": seed}
    facts |= {"train": studies.train.fingerprint, "external": studies.external.fingerprint}
    claim(folder / "cross_study.json", facts, "a cross-study evaluation of other data or options")
    if not studies.one_measure:  # a width in another unit says nothing
        options = replace(options, interval=None)
    pieces = _pieces(folder, studies, specs, split, seed, options)
    with Bars(f"{split} cross-study", len(pieces), quiet=quiet) as bars:
        run_pieces(pieces, studies.train, bars, lambda piece: piece.spec.name)
    return _write(folder, studies, pieces, split, remove, seed, command)


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
    overlap = {
        "samples": _counts(train, translated, samples, "sample"),
        "drugs": _counts(train, translated, drugs, "drug"),
        "pairs": _pair_counts(train, translated),
        "agreement": _agreement(train, translated),
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
    removable, fillings = ("none", "samples", "drugs", "pairs"), ("shared", "filled")
    for name, value, choices in (("remove", remove, removable), ("genes", genes, fillings)):
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


def _agreement(train: ResponseData, external: ResponseData) -> dict[str, float] | None:
    """How well the studies agree on the pairs that both measured: no model can be expected to do much better."""
    means = [data.responses.groupby(list(SIDES), sort=True)["response"].mean() for data in (train, external)]
    both = pd.concat(means, axis=1, join="inner", keys=["train", "external"])
    if len(both) < MIN_PAIRS:
        return None
    a, b = (both[c].to_numpy() for c in both)
    drug = both.index.get_level_values("drug").to_numpy(str)
    numbers = {"pearson": metrics.pearson(a, b), "spearman": metrics.spearman(a, b)}
    numbers |= {"per_drug_pearson": metrics.mean_within(a, b, drug, min_size=MIN_PAIRS)}
    if (train.measure, train.unit) == (external.measure, external.unit):
        numbers["rmse"] = metrics.rmse(a, b)
    return {"pairs": len(both)} | {k: v for k, v in numbers.items() if np.isfinite(v)}


def _pieces(
    folder: Path, studies: Studies, specs: list[ModelSpec], split: str, seed: int, options: Options
) -> list[StudyPiece]:
    """Pieces of the models that are wanted, and of those that an earlier run has finished in the same folder."""
    fold = Fold(0, *split_off(studies.train, split, seed=seed), np.arange(len(studies.external)))

    def of(spec: ModelSpec, place: Path) -> list[StudyPiece]:
        return [StudyPiece(spec, fold, split, seed, options, place, external=studies.external)]

    return pieces_in(folder, specs, of)


def _write(
    folder: Path, studies: Studies, pieces: list[StudyPiece], split: str, remove: str, seed: int, command: str
) -> CrossStudyResult:
    """Gather the pieces into the tables and the report."""
    found, fold = gather(pieces, len(studies.external)), pieces[0].fold
    table = _leaderboard(studies, fold, found, seed)
    paired = pd.DataFrame()
    if studies.one_measure:
        paired = evaluation.paired(studies.external, "LCO", found.predictions, table, seed=seed)
    long = evaluation.predictions_table(studies.external, [fold], found.predictions, found.half_widths)
    long = long.drop(columns="fold")
    facts = {"split": split, "removed from training": remove, "seed": str(seed)}
    facts |= {"command": command} if command else {}
    summary = CrossStudySummary(studies, table, paired, long, split, facts)
    said = cross_study_headline(summary)
    result = CrossStudyResult(
        folder, table, paired, summary.per_drug, long, studies.overlap, studies.notes, said, studies.one_measure
    )
    for name in ("leaderboard", "paired", "per_drug"):
        with whole(folder / f"{name}.csv") as file:
            getattr(result, name).to_csv(file, index=False)
    with whole(folder / "matches.csv") as file:
        matches_table(studies).to_csv(file, index=False)
    with whole(folder / "overlap.json") as file:
        file.write_text(json.dumps(studies.overlap | {"notes": list(studies.notes)}, indent=2))
    with whole(folder / "predictions.parquet") as file:
        long.to_parquet(file, index=False)
    write_cross_study_report(folder / "report.html", summary)
    return result


def _leaderboard(studies: Studies, fold: Fold, found: Gathered, seed: int) -> pd.DataFrame:
    """One row a model with intervals over samples, the lowest RMSE (or the highest per-drug Pearson) first."""
    data = studies.external
    scores = pd.DataFrame([{"model": name} | _scores(studies, p, seed) for name, p in found.predictions.items()])
    if found.half_widths:
        held = {m: np.abs(data.response - found.predictions[m]) <= half for m, half in found.half_widths.items()}
        scores["coverage"] = scores["model"].map({model: float(inside.mean()) for model, inside in held.items()})
    if studies.one_measure:
        errors = evaluation.overall(data, "LCO", [fold], found.predictions, found.seconds, seed=seed)
        errors = errors[[c for c in errors if c not in scores or c == "model"]].drop(columns="per_sample_pearson")
        table = errors.merge(scores, on="model")
    else:
        kinds = scores["model"].map(kind_of)
        table = scores.assign(kind=kinds).merge(found.seconds[["model", "seconds"]], on="model")
        table = table.sort_values("per_drug_pearson", ascending=False, kind="stable", ignore_index=True)
    if data.responses["sample"].nunique() < 2:  # nothing to draw from
        table.loc[:, table.columns.str.endswith(("_low", "_high"))] = np.nan
    return table[["model", "kind", *[c for c in table if c not in ("model", "kind", "seconds")], "seconds"]]


def _scores(studies: Studies, predicted: NDArray[np.float64], seed: int) -> dict[str, float]:
    """Correlations of one model with their intervals, and its error once each drug's mean shift is taken away."""
    data = studies.external
    y, sample, drug = data.response, data.sample_index, data.drug_index
    ranks, within = _ranks(y), _ranks(y, drug)
    found = {
        "spearman": metrics.intervals(ranks, _ranks(predicted), sample, seed=seed)["pearson"],
        "per_drug_pearson": _within_drugs(y, predicted, drug, sample, seed),
        "per_drug_spearman": _within_drugs(within, _ranks(predicted, drug), drug, sample, seed),
    }
    often = np.bincount(drug)[drug] >= MIN_PAIRS
    if studies.one_measure and often.any():
        shift = group_means(y - predicted, drug, len(data.drugs))[drug]
        found["rmse_recalibrated"] = metrics.intervals(
            (y - shift)[often], predicted[often], sample[often], seed=seed
        )["rmse"]  # fmt: skip
    ends = {name: {name: i.value, f"{name}_low": i.low, f"{name}_high": i.high} for name, i in found.items()}
    return {key: value for row in ends.values() for key, value in row.items()}


def _ranks(values: NDArray[np.float64], groups: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Average ranks, within groups where they are given."""
    series = pd.Series(values)
    ranks = series.rank() if groups is None else series.groupby(groups).rank()
    return np.asarray(ranks, dtype=np.float64)


def _within_drugs(
    y: NDArray[np.float64], p: NDArray[np.float64], drug: NDArray[np.int64], sample: NDArray[np.int64], seed: int
) -> metrics.Interval:
    """Mean over drugs of Pearson within the drug, with its bootstrap interval over samples.

    The sums of each sample and drug are taken once; a replicate weighs samples. Memory: 6 numbers a pair, and
    blocks of 32 replicates x 6 x n_drugs.
    """
    n_drugs = int(drug.max()) + 1
    value = metrics.mean_within(y, p, drug, min_size=MIN_PAIRS)
    if not np.isfinite(value):
        return metrics.Interval(value, np.nan, np.nan)
    defined = np.isfinite(metrics.pearson_within(y, p, drug, n_drugs, min_size=MIN_PAIRS))
    a, b = (v - group_means(v, drug, n_drugs)[drug] for v in (y, p))
    moments = np.concatenate([np.ones_like(a), a, b, a * a, b * b, a * b])
    column = np.concatenate([drug + k * n_drugs for k in range(6)])
    sums = csr_array((moments, (np.tile(sample, 6), column)), shape=(int(sample.max()) + 1, 6 * n_drugs))
    drawn = [
        _mean_correlation((weights @ sums).reshape(len(weights), 6, n_drugs)[:, :, defined])
        for weights in metrics.bootstrap_weights(sums.shape[0], N_BOOTSTRAP, seed)
    ]
    low, high = np.nanquantile(np.concatenate(drawn), [0.025, 0.975])
    return metrics.Interval(value, float(low), float(high))


def _mean_correlation(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over drugs of the correlation, from sums of shape ``(replicates, 6, drugs)``."""
    n, a, b, aa, bb, ab = np.moveaxis(sums, 1, 0)
    count = np.maximum(n, 1.0)
    va, vb = aa - a * a / count, bb - b * b / count
    known = (n >= MIN_PAIRS) & (va > 1e-12 * np.maximum(aa, 1e-300)) & (vb > 1e-12 * np.maximum(bb, 1e-300))
    r = np.where(known, (ab - a * b / count) / np.sqrt(np.where(known, va * vb, 1.0)), 0.0)
    with np.errstate(invalid="ignore"):
        return np.asarray(r.sum(axis=1) / known.sum(axis=1))
