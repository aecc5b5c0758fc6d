"""Page of a cross-study evaluation: which model carries over, by how much, and what the studies share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.exceptions import counted
from cellixir.figures.leaderboard import score_histogram
from cellixir.figures.style import ACCENT, KIND_COLOURS, MUTED, WARM, new_axes, shortened, styled
from cellixir.metrics.catalogue import heading_of
from cellixir.metrics.regression import pearson_within
from cellixir.metrics.words import spelled
from cellixir.report.page import Report
from cellixir.report.residuals import observed_section
from cellixir.report.sections import (
    facts_section,
    failures_section,
    headline_section,
    key_numbers,
    leaderboard_section,
)
from cellixir.response.cross_validation.summary import label_of
from cellixir.response.studies.agreement import agreement_words
from cellixir.response.studies.studies import MIN_PAIRS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData
    from cellixir.response.studies.studies import Studies
    from cellixir.runs.leaderboard import Leaderboard

QUESTIONS = {
    "LCO": "How will cell lines that another laboratory measured respond to known drugs?",
    "LTO": "How will cell lines of other tissues, measured by another laboratory, respond to known drugs?",
    "LDO": "What will drugs that only another laboratory measured do to known cell lines?",
    "LPO": "What would another laboratory measure for known cell lines and known drugs?",
}
#: Columns of the table, those that are there; the files have more, which would make it too wide.
SHOWN = {
    "rmse": ("rmse", "rmse_recalibrated", "normalised_pearson", "per_drug_pearson", "per_drug_spearman", "coverage",
             "seconds"),
    "per_drug_pearson": ("per_drug_pearson", "per_drug_spearman", "spearman", "seconds"),
}  # fmt: skip
DRAWN = ("rmse", "per_drug_pearson", "per_drug_spearman", "spearman")  # the first two that have a value
LARGE = ("rmse", "rmse_recalibrated", "per_drug_pearson", "per_drug_spearman")


@dataclass(frozen=True)
class CrossStudySummary:
    """What a cross-study evaluation found, as its page needs it.

    Attributes
    ----------
    studies
        Both studies after matching, and what they share.
    board
        Models with their scores; paired differences are empty where measures differ.
    predictions
        ``sample, drug, model, observed, predicted`` and, where models have intervals, ``low, high``.
    """

    studies: Studies
    board: Leaderboard
    predictions: pd.DataFrame
    split: str
    notes: tuple[str, ...]
    facts: dict[str, str]
    failures: pd.DataFrame
    command: str = ""

    @property
    def headline(self) -> str:
        """What was found in one sentence."""
        pairs = f" on {len(self.studies.external):,} external pairs"
        return self.board.headline(pairs if self.studies.one_measure else f"{pairs} of another measure")

    @cached_property
    def shown(self) -> str:
        """Model whose predictions are drawn: the best that is no naive baseline, else the first."""
        return self.board.best_model or self.board.best

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


def cross_study_page(summary: CrossStudySummary) -> Report:
    """The page of a cross-study evaluation."""
    studies, board = summary.studies, summary.board
    title = f"Cross-study: {studies.external.source or 'external study'}"
    source = studies.train.source or "the training study"
    page = Report(title, f"{len(board.table)} models learned from {source} and predict this study.")
    sizes = {"Training samples": studies.overlap["training"]["samples"], "Test samples": _tested(studies)}
    numbers = key_numbers(board, LARGE, summary.shown) | {name: f"{n:,}" for name, n in sizes.items()}
    headline_section(page, summary.headline, numbers=numbers, notes=summary.notes)
    _overlap(page, studies)
    drawn = [m for m in DRAWN if m in board.table and board.table[m].notna().any()][:2]
    leaderboard_section(
        page, board, forests=dict.fromkeys(drawn, ""), shown=SHOWN[board.metric], scope="All external pairs",
        unit=f"{_tested(studies):,} test samples", caption=_caption(board), question=QUESTIONS[summary.split],
    )  # fmt: skip
    failures_section(page, summary.failures)
    if studies.one_measure:
        _shift(page, summary)
        if len(summary.pairs) > 1:
            caption = f"Every test pair, {summary.shown}. Most of the spread is between drugs."
            label = _label(studies.external)
            observed_section(page, summary.pairs["observed"], summary.pairs["predicted"], label=label, caption=caption)
    _drugs(page, summary)
    facts_section(page, _facts(studies) | summary.facts, command=summary.command)
    return page


def _tested(studies: Studies) -> int:
    return int(studies.overlap["test"]["samples"])


def _facts(studies: Studies) -> dict[str, str]:
    facts: dict[str, str] = {}
    for side, data in (("trained on", studies.train), ("tested on", studies.external)):
        sizes = f"{len(data):,} pairs, {len(data.samples):,} samples, {len(data.drugs):,} drugs"
        facts |= {side: f"{data.source or 'user files'}: {sizes}, {_label(data)}", f"{side}, SHA-256": data.fingerprint}
    return facts


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
    named = {"pearson": "Pearson", "spearman": "Spearman", "per_drug_pearson": "per-drug Pearson", "rmse": "RMSE",
             "shift": "a median shift of"}  # fmt: skip
    numbers = ", ".join(f"{text} {spelled(agreement[key])}" for key, text in named.items() if key in agreement)
    text = f"Both studies measured {int(agreement['pairs']):,} pairs, and agree on them with {numbers}."
    if words := agreement_words(agreement):
        return f"{text} {words}. Two laboratories never agree like this."
    return f"{text} This is about the best that a model can be expected to reach."


def _caption(board: Leaderboard) -> str:
    if "rmse_recalibrated" not in board.table:
        return ""
    return (
        "Recalibrated: after each drug's mean difference between observed and predicted is taken away. This uses "
        f"external responses (of drugs with {MIN_PAIRS} test pairs or more) and is no prediction: it says what would "
        "be left if the shift between the studies were known."
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
    return label_of(data.measure, data.unit)


def _drugs(page: Report, summary: CrossStudySummary) -> None:
    """Correlations within drugs of the best model and of the best baseline that has any, and every drug."""
    page.section("Per-drug performance")
    ranked = summary.board.ranked
    scores = {str(m): summary.within_drugs(str(m)) for m in ranked["model"]}
    kinds = dict(zip(ranked["model"], ranked["kind"], strict=True))
    known = [m for m, s in scores.items() if s.notna().sum() > 1]
    drawn = [m for m in known if kinds[m] != "baseline"][:1] + [m for m in known if kinds[m] == "baseline"][:1]
    if drawn:
        colours = {m: KIND_COLOURS.get(str(kinds[m]), ACCENT) for m in drawn}
        axes = score_histogram({m: scores[m].to_numpy() for m in drawn}, colours=colours, label="Per-drug Pearson")
        page.figure(axes, "Pearson's correlation within each drug; dashed lines are medians.")
    table = summary.per_drug.drop(columns="model").sort_values("pearson", ascending=False).dropna(axis=1, how="all")
    page.table(table.rename(columns=heading_of), f"Every drug, {summary.shown}", collapsed=True)
