"""What a cross-study evaluation found, in words and on a page: who carries over, by how much, and what was shared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import cellixir
from cellixir.data.audit.findings import counted
from cellixir.exceptions import examples
from cellixir.figures.leaderboard import forest, score_histogram
from cellixir.figures.regression import observed_vs_predicted
from cellixir.figures.style import ACCENT, KIND_COLOURS, MUTED, WARM, new_axes, shortened, styled
from cellixir.metrics.intervals import Interval
from cellixir.metrics.regression import pearson_within
from cellixir.metrics.words import between, estimate, spelled
from cellixir.report.page import Report
from cellixir.response.benchmark.summary import MEASURES

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData
    from cellixir.response.cross_study.run import Studies

FEW_SAMPLES = 50
MIN_PAIRS = 5  # of a drug, for its correlation and its shift
SAME = 0.9999  # no two laboratories agree like this
#: What is new in the external study under each split, as ``remove`` names it.
NEW_SIDE = {"LCO": "samples", "LTO": "samples", "LDO": "drugs", "LPO": "pairs"}
QUESTIONS = {
    "LCO": "How will cell lines that another laboratory measured respond to known drugs?",
    "LTO": "How will cell lines of other tissues, measured by another laboratory, respond to known drugs?",
    "LDO": "What will drugs that only another laboratory measured do to known cell lines?",
    "LPO": "What would another laboratory measure for known cell lines and known drugs?",
}
HEADERS = {
    "model": "Model", "rmse": "RMSE", "rmse_recalibrated": "RMSE, recalibrated", "mae": "MAE", "r2": "R²",
    "normalised_pearson": "Normalised Pearson", "pearson": "Pearson", "spearman": "Spearman",
    "per_drug_pearson": "Per-drug Pearson", "per_drug_spearman": "Per-drug Spearman", "coverage": "Coverage",
    "seconds": "Seconds", "drug": "Drug", "name": "Name", "n_train": "Training pairs", "n_external": "External pairs",
    "mean_train": "Mean, training", "mean_external": "Mean, external", "shift": "Shift",
}  # fmt: skip
CSV_ONLY = ("mae", "r2", "pearson", "spearman")  # where there is an RMSE: the table of the page would be too wide


@dataclass(frozen=True)
class CrossStudySummary:
    """What a cross-study evaluation found, as its page needs it.

    Attributes
    ----------
    studies
        Both studies after matching, and what they share.
    leaderboard
        One row a model, the best first: ``model``, ``kind``, scores and their ``_low`` and ``_high`` ends.
    paired
        ``rmse_difference`` of each model and reference; empty where measures differ.
    predictions
        ``sample, drug, model, observed, predicted`` and, where models have intervals, ``low, high``.
    """

    studies: Studies
    leaderboard: pd.DataFrame
    paired: pd.DataFrame
    predictions: pd.DataFrame
    split: str
    facts: dict[str, str]

    @property
    def metric(self) -> str:
        """What models are ranked by: RMSE, or the per-drug Pearson where measures differ."""
        return "rmse" if self.studies.one_measure else "per_drug_pearson"

    def best_of(self, *, baseline: bool) -> dict[str, Any] | None:
        """Numbers of the best naive baseline, or of the best model that is none."""
        rows = self.leaderboard[(self.leaderboard["kind"] == "baseline") == baseline]
        rows = rows[rows[self.metric].notna()]
        return {str(k): v for k, v in rows.iloc[0].items()} if len(rows) else None

    @cached_property
    def shown(self) -> str:
        """Model whose predictions are drawn: the best that is no naive baseline, else the first."""
        best = self.best_of(baseline=False)
        return str(best["model"] if best else self.leaderboard["model"].iloc[0])

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Test pairs of the model that is shown."""
        found: pd.DataFrame = self.predictions[self.predictions["model"] == self.shown]
        return found

    def within_drugs(self, model: str) -> pd.Series:
        """Pearson of each drug for one model, NaN where it has none."""
        pairs = self.predictions[self.predictions["model"] == model]
        y, p = pairs["observed"].to_numpy(float), pairs["predicted"].to_numpy(float)
        code, drugs = pd.factorize(pairs["drug"], sort=True)
        return pd.Series(pearson_within(y, p, code, len(drugs), min_size=MIN_PAIRS), index=[str(d) for d in drugs])

    @cached_property
    def shifts(self) -> pd.DataFrame:
        """Mean response of each test drug in both studies, and by how much the external one lies higher."""
        groups = [data.responses.groupby("drug")["response"] for data in (self.studies.train, self.studies.external)]
        counts = [g.size().rename(name) for g, name in zip(groups, ("n_train", "n_external"), strict=True)]
        means = [g.mean().rename(name) for g, name in zip(groups, ("mean_train", "mean_external"), strict=True)]
        table = (
            pd.concat([*counts, *means], axis=1)
            .loc[self.studies.external.drugs.index]
            .rename_axis("drug")
            .reset_index()
        )
        table["n_train"] = table["n_train"].fillna(0).astype(int)
        table["n_external"] = table["n_external"].astype(int)
        if self.studies.one_measure:
            table["shift"] = table["mean_external"] - table["mean_train"]
        return table

    @cached_property
    def per_drug(self) -> pd.DataFrame:
        """One row a drug: its means in both studies and, for the model that is shown, Pearson and RMSE."""
        table = self.shifts.assign(model=self.shown, pearson=self.shifts["drug"].map(self.within_drugs(self.shown)))
        if self.studies.one_measure:
            error = (self.pairs["observed"] - self.pairs["predicted"]).groupby(self.pairs["drug"].astype(str))
            table["rmse"] = table["drug"].map(error.apply(lambda e: float(np.sqrt(np.mean(np.square(e))))))
        drugs = self.studies.external.drugs
        if "name" in drugs:
            table.insert(1, "name", table["drug"].map(drugs["name"]))
        return table


def cross_study_headline(summary: CrossStudySummary) -> str:
    """One sentence: the best model, how far it is from the best naive baseline, and how far it orders the samples."""
    model, naive = summary.best_of(baseline=False), summary.best_of(baseline=True)
    where = f"on {len(summary.studies.external):,} external pairs"
    if model is None:
        best = summary.leaderboard.iloc[0]
        told = f"{best['model']} has the best score, " if np.isfinite(best[summary.metric]) else "no score is defined, "
        return f"Only naive baselines were run {where}: {told}{_told({str(k): v for k, v in best.items()}, summary)}."
    within = _told(model, summary, "per_drug_pearson")
    if not summary.studies.one_measure:
        return f"{model['model']} orders the samples best {where}: {within}; the studies measured different things."
    if naive is None:
        return f"{model['model']} has the lowest RMSE {where}, {_told(model, summary)}; {within}."
    gain = _gain(summary, str(model["model"]), str(naive["model"]))
    side = "better than" if gain.high < 0 else "worse than" if gain.low > 0 else "not shown to differ from"
    lead = f"{model['model']} is {side} the best naive baseline, {naive['model']}, {where}"
    difference = f"a difference of {spelled(gain.value)}{between(gain.low, gain.high)}"
    return f"{lead}: {_told(model, summary)} against {spelled(naive['rmse'])}, {difference}; {within}."


def _told(row: dict[str, Any], summary: CrossStudySummary, metric: str | None = None) -> str:
    metric = metric or summary.metric
    value, name = estimate(row, metric), HEADERS[metric].replace("Per-drug", "per-drug")
    if not np.isfinite(value.value):
        return f"{name} undefined"
    return f"{name} {spelled(value.value)}{between(value.low, value.high)}"


def _gain(summary: CrossStudySummary, model: str, naive: str) -> Interval:
    rows = summary.paired
    rows = rows[(rows["model"] == model) & (rows["reference"] == naive)]
    return Interval(*(float(rows[c].iloc[0]) for c in ("rmse_difference", "low", "high")))


def study_notes(studies: Studies, train: ResponseData, external: ResponseData, split: str) -> list[str]:
    """What the reader has to know of how two studies were brought together, one sentence each, most weighty first."""
    overlap = studies.overlap
    notes = [*_warnings(studies, split), *_undecided(studies), *studies.samples.notes, *studies.drugs.notes]
    notes += _features(studies, train, external)
    for reason, lost in overlap["excluded"].items():
        side = "drug" if "drugs" in lost else "sample"
        what = f"{lost['measurements']:,} external measurements of {counted(lost[f'{side}s'], side)} were left out"
        notes.append(f"{what} ({reason}): {examples(lost['ids'])}")
    notes += [f"Training study: {note}" for note in train.notes]
    return notes + [f"External study: {note}" for note in external.notes]


def _warnings(studies: Studies, split: str) -> list[str]:
    overlap, notes = studies.overlap, []
    if not studies.one_measure:
        a, b = (" in ".join(filter(None, (d.measure, d.unit))) for d in (studies.train, studies.external))
        text = f"The training study measured {a}, the external one {b}: no error can be taken between them"
        notes.append(f"{text}, so only correlations within and across drugs are given")
    if (agreement := overlap["agreement"]) and _same_numbers(agreement):
        text = f"The {int(agreement['pairs']):,} pairs that both studies measured agree perfectly"
        notes.append(f"{text}: these are not two measurements, but one that stands in both studies")
    new = NEW_SIDE[split]
    if leaked := overlap["test"][f"{new}_in_training"]:
        text = (
            f"{leaked:,} of {overlap['test'].get(new, overlap['pairs']['external']):,} test {new} are also in training"
        )
        notes.append(f"{text} (remove='{overlap['removed']['what']}'): scores are too good for {new} that are new")
    if (left := overlap["training"]["samples"]) < FEW_SAMPLES:
        notes.append(f"Only {counted(left, 'sample')} are left to learn from: expect little more than drug means")
    return notes


def _undecided(studies: Studies) -> list[str]:
    notes = []
    for kind, found in (("samples", studies.samples), ("drugs", studies.drugs)):
        rows = found.undecided
        if rows.empty:
            continue
        first = f"{rows['right'].iloc[0]!r} may be {' or '.join(map(repr, rows['candidates'].iloc[0]))}"
        text = f"Of {counted(len(rows), f'external {kind[:-1]}')}, names do not say which of training they are"
        gone = studies.overlap["removed"]["what"] == kind
        tail = "; to be safe, all that they may be were taken out of training" if gone else ""
        notes.append(f"{text}, so they were not matched (e.g. {first}){tail}")
    return notes


def _features(studies: Studies, train: ResponseData, external: ResponseData) -> list[str]:
    notes = []
    for view in studies.overlap["views"]:
        gone, total = view["train"] - view["both"], view["train"]
        if gone and studies.overlap["genes"] == "shared":
            shared = f"{view['both']:,} of {total:,} training features are in the external study"
            notes.append(f"View {view['view']}: {shared}; models learned from these alone ({gone:,} were dropped)")
        elif gone:
            absent = f"{gone:,} of {total:,} training features are not in the external study"
            notes.append(f"View {view['view']}: {absent}; they were set to their training mean there")
        if not view["scale_checked"]:
            notes.append(f"View {view['view']}: one study does not say what its numbers are; scales were not compared")
    if unused := [name for name in train.views if name not in external.views]:
        notes.append(f"The external study has no view {examples(unused)}; it was not used")
    if lost := studies.overlap["removed"]["samples_without_features"]:
        notes.append(f"Training lost {counted(lost, 'sample')} that no view of both studies describes")
    if columns := [str(c) for c in train.samples if c not in external.samples]:
        notes.append(f"Annotation of samples that the external study lacks was not used: {', '.join(columns)}")
    return notes + _strange_tissues(studies)


def _strange_tissues(studies: Studies) -> list[str]:
    """A note where the studies name tissues differently."""
    tested, seen = studies.external.tissue, set(studies.train.tissue)
    new = tested[~tested.isin(seen)]
    if not studies.external.has_tissue or len(new) < 0.2 * len(tested):
        return []
    named = f"{examples(sorted(set(new)))}; training has {examples(sorted(seen))}"
    text = f"{len(new):,} of {len(tested):,} test samples have a tissue that training does not know ({named})"
    return [f"{text}; what uses tissue does without it there"]


def matches_table(studies: Studies) -> pd.DataFrame:
    """One row an external id that was matched, or that could be several: ``kind, external, training, by``."""
    parts = []
    for kind, found in (("sample", studies.samples), ("drug", studies.drugs)):
        parts.append(found.pairs.rename(columns={"left": "training", "right": "external"}).assign(kind=kind))
        open_ = found.undecided
        unsure = [" | ".join(candidates) for candidates in open_["candidates"]]
        by = "undecided: " + open_["by"].astype(str)
        parts.append(pd.DataFrame({"external": open_["right"], "training": unsure, "by": by, "kind": kind}))
    return pd.concat(parts, ignore_index=True)[["kind", "external", "training", "by"]]


def write_cross_study_report(path: str | Path, summary: CrossStudySummary) -> Path:
    """Write the page to ``path``, whole or not at all, and return the path."""
    studies = summary.studies
    title = f"Cross-study: {studies.external.source or 'external study'}"
    source = studies.train.source or "the training study"
    page = Report(title, f"{len(summary.leaderboard)} models learned from {source} and predict this study.")
    _headline(page, summary)
    _overlap(page, studies)
    _scores(page, summary)
    if studies.one_measure:
        _shift(page, summary)
    _figures(page, summary)
    page.section("Data and reproducibility").facts(_facts(studies) | summary.facts | {"cellixir": cellixir.__version__})
    return page.write(path)


def _facts(studies: Studies) -> dict[str, str]:
    facts: dict[str, str] = {}
    for side, data in (("trained on", studies.train), ("tested on", studies.external)):
        sizes = f"{len(data):,} pairs, {len(data.samples):,} samples, {len(data.drugs):,} drugs"
        facts |= {side: f"{data.source or 'user files'}: {sizes}, {_label(data)}", f"{side}, SHA-256": data.fingerprint}
    return facts


def _headline(page: Report, summary: CrossStudySummary) -> None:
    overlap, best = summary.studies.overlap, summary.best_of(baseline=False) or {}
    named = ("rmse", "rmse_recalibrated", "per_drug_pearson", "per_drug_spearman")
    numbers = {HEADERS[m]: spelled(best[m]) for m in named if np.isfinite(best.get(m, np.nan))}
    sizes = {"Training samples": overlap["training"]["samples"], "Test samples": overlap["test"]["samples"]}
    numbers |= {name: f"{n:,}" for name, n in sizes.items()}
    page.section("Headline").statement(cross_study_headline(summary)).facts(numbers, large=True)
    page.notes([note if note.endswith(".") else f"{note}." for note in summary.studies.notes])


def _overlap(page: Report, studies: Studies) -> None:
    o = studies.overlap
    removed = o["removed"]
    page.section("What the studies share", _removed(removed))
    kinds = ("samples", "drugs", "pairs")
    rows = [
        {
            "": kind.capitalize(),
            "Training study": o[kind]["train"],
            "External study": o[kind]["external"],
            "In both": o[kind]["both"],
            "Matched by": ", ".join(f"{way} {n:,}" for way, n in o[kind].get("by", {}).items()) or "–",
            "Undecided": len(o[kind]["undecided"]) if "undecided" in o[kind] else None,
            "Test, also in training": o["test"][f"{kind}_in_training"],
        }
        for kind in kinds
    ]
    for view in o["views"]:
        keys = {"Training study": "train", "External study": "external", "In both": "both"}
        named = {"": f"Features of {view['view']}", "Matched by": f"name; scale {view['scale']}"}
        rows.append(named | {header: view[key] for header, key in keys.items()})
    whole_numbers = dict.fromkeys(("Undecided", "Test, also in training"), "Int64")
    page.table(
        pd.DataFrame(rows, columns=list(rows[0])).astype(whole_numbers),
        "Before anything was removed; the last column is what is left.",
    )
    if agreement := o["agreement"]:
        page.text(_agreement(agreement))


def _removed(removed: dict[str, Any]) -> str:
    if removed["what"] == "none":
        return "Nothing was removed: what both studies have stayed in training."
    whole = [counted(removed[f"{kind}s"], kind) for kind in ("sample", "drug") if removed[f"{kind}s"]]
    what = " and ".join([*whole, counted(removed["measurements"], "measurement")])
    return f"Shared {removed['what']} were removed from the training study: {what}."


def _agreement(agreement: dict[str, float]) -> str:
    named = {"pearson": "Pearson", "spearman": "Spearman", "per_drug_pearson": "per-drug Pearson", "rmse": "RMSE"}
    numbers = ", ".join(f"{text} {spelled(agreement[key])}" for key, text in named.items() if key in agreement)
    text = f"Both studies measured {int(agreement['pairs']):,} pairs, and agree on them with {numbers}."
    if _same_numbers(agreement):
        return f"{text} Two laboratories never agree like this: the same measurements stand in both."
    return f"{text} This is about the best that a model can be expected to reach."


def _same_numbers(agreement: dict[str, float]) -> bool:
    return max(agreement.get("spearman", 0.0), agreement.get("per_drug_pearson", 0.0)) > SAME


def _scores(page: Report, summary: CrossStudySummary) -> None:
    table, naive = summary.leaderboard, summary.best_of(baseline=True)
    page.section("Leaderboard", QUESTIONS[summary.split])
    metrics = (("rmse", True), ("per_drug_pearson", False), ("per_drug_spearman", False), ("spearman", False))
    for metric, lower in [(m, low) for m, low in metrics if m in table and table[m].notna().any()][:2]:
        axes = forest(
            table[table[metric].notna()] if metric != "rmse" else table,
            metric=metric,
            label=HEADERS[metric],
            lower_is_better=lower,
            reference=str(naive["model"]) if naive else None,
        )
        better = "lower" if lower else "higher"
        dropped = [] if metric == "rmse" else list(table.loc[table[metric].isna(), "model"])
        caption = f"{HEADERS[metric]} with its 95% interval over samples; {better} is better."
        caption += f" Without one, as they give all samples the same: {', '.join(dropped)}." if dropped else ""
        page.figure(axes, caption, pair=True)
    rows = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
    columns = [c for c in HEADERS if c in table and not ("rmse" in table and c in CSV_ONLY)]
    shown = {HEADERS[c]: [estimate(row, c) if f"{c}_low" in table else row[c] for row in rows]
             for c in columns if not table[c].isna().all()}  # fmt: skip
    dots = {str(m): KIND_COLOURS.get(str(k), "") for m, k in zip(table["model"], table["kind"], strict=True)}
    page.table(pd.DataFrame(shown), _caption(summary), formats={"Seconds": "{:,.1f}"}, highlight=[0],
               colours={"Model": dots})  # fmt: skip
    if len(paired := summary.paired):
        ends = [Interval(*map(float, r)) for r in paired[["rmse_difference", "low", "high"]].to_numpy()]
        paired = pd.DataFrame({"Model": paired["model"], "Reference": paired["reference"], "RMSE − reference": ends})
        page.table(paired, "Paired differences of RMSE on the same test pairs; below zero the model is better",
                   collapsed=True)  # fmt: skip


def _caption(summary: CrossStudySummary) -> str:
    text = f"95% intervals, {summary.studies.overlap['test']['samples']:,} test samples drawn with replacement."
    if "rmse_recalibrated" not in summary.leaderboard:
        return text
    return (
        f"{text} Recalibrated: after each drug's mean difference between observed and predicted is taken away. This "
        f"uses external responses (of drugs with {MIN_PAIRS} test pairs or more) and is no prediction: it says what "
        f"would be left if the shift between the studies were known."
    )


def _shift(page: Report, summary: CrossStudySummary) -> None:
    shifts = summary.shifts.dropna(subset="shift")
    if shifts.empty:
        return
    mean = float(shifts["shift"].mean())
    typical = float(np.sqrt(np.mean(np.square(shifts["shift"]))))
    page.section(
        "Shift between the studies",
        f"On average a drug's mean response lies {spelled(abs(mean))} {'higher' if mean >= 0 else 'lower'} in the "
        f"external study; the root mean square over {len(shifts):,} drugs is {spelled(typical)}. Samples differ, and "
        f"so do assays: this part of the error is a matter of the drug, and no model of the samples can know it.",
    )
    page.figure(
        _moved(shifts, summary.studies.external.drugs, _label(summary.studies.external)),
        "A point is a drug; on the dashed line both studies agree. Some that have moved most are named.",
        "Shift of each drug's mean response against its mean in training",
    )


@styled
def _moved(shifts: pd.DataFrame, drugs: pd.DataFrame, label: str) -> Axes:
    """How much higher each drug's mean lies in the external study, against its mean in training."""
    ax = new_axes(6.6, 3.7)
    x, y = shifts["mean_train"].to_numpy(float), shifts["shift"].to_numpy(float)
    ax.axhline(0.0, color=WARM, linewidth=1.1, dashes=(4, 2))
    ax.scatter(x, y, s=16, color=ACCENT, alpha=0.6, linewidths=0, gid="drugs")
    names = drugs["name"].fillna(drugs.index.to_series()) if "name" in drugs else drugs.index.to_series()
    middle = (x.min() + x.max()) / 2
    for at in _apart(x, y):
        side, step = ("right", -5) if x[at] > middle else ("left", 5)
        ax.annotate(shortened(names[shifts["drug"].iloc[at]], 20), (x[at], y[at]), fontsize=7.5, color=MUTED, ha=side,
                    xytext=(step, 0), textcoords="offset points", va="center")  # fmt: skip
    ax.margins(x=0.08, y=0.1)
    ax.set(xlabel=f"Mean {label}, training", ylabel="External − training")
    return ax


def _apart(x: NDArray[np.float64], y: NDArray[np.float64], count: int = 5) -> list[int]:
    """Points furthest from zero whose labels would not stand on each other."""
    chosen: list[int] = []
    height, width = 0.06 * float(np.ptp(y)), 0.3 * float(np.ptp(x))
    for at in np.argsort(-np.abs(y), kind="stable")[: 4 * count]:
        if all(abs(y[at] - y[i]) > height or abs(x[at] - x[i]) > width for i in chosen):
            chosen.append(int(at))
    return chosen[:count]


def _label(data: ResponseData) -> str:
    name = MEASURES.get(data.measure, data.measure)
    return f"{name} ({data.unit})" if data.unit else name


def _figures(page: Report, summary: CrossStudySummary) -> None:
    page.section("Observed and predicted")
    if summary.studies.one_measure and len(summary.pairs) > 1:
        axes = observed_vs_predicted(
            summary.pairs["observed"], summary.pairs["predicted"], label=_label(summary.studies.external)
        )
        page.figure(axes, f"Every test pair, {summary.shown}. Most of the spread is between drugs.", pair=True)
    scores = {str(m): summary.within_drugs(str(m)) for m in summary.leaderboard["model"]}
    kinds = dict(zip(summary.leaderboard["model"], summary.leaderboard["kind"], strict=True))
    drawn = [m for m, s in scores.items() if s.notna().sum() > 1]
    drawn = [m for m in drawn if kinds[m] != "baseline"][:1] + [m for m in drawn if kinds[m] == "baseline"][:1]
    if drawn:
        colours = {m: KIND_COLOURS.get(str(kinds[m]), ACCENT) for m in drawn}
        axes = score_histogram({m: scores[m].to_numpy() for m in drawn}, colours=colours, label="Per-drug Pearson")
        page.figure(axes, "Pearson's correlation within each drug; dashed lines are medians.", pair=True)
    table = summary.per_drug.drop(columns="model").sort_values("pearson", ascending=False).dropna(axis=1, how="all")
    table = table.rename(columns=HEADERS).rename(columns={"pearson": "Pearson", "rmse": "RMSE"})
    page.table(table, f"Every drug, {summary.shown}", collapsed=True)
