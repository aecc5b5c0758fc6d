"""Page of synthetic data: the verdict first, then the numbers and figures it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.figures.overlay import overlay_maps
from cellixir.figures.synthesis import fold_change_scatter, gene_agreement, mean_variance, quality_bars
from cellixir.metrics.catalogue import FAMILIES, GENERATIVE
from cellixir.metrics.intervals import Interval
from cellixir.report.page import Report
from cellixir.report.sections import facts_section
from cellixir.synthesis.verdicts import Verdict
from cellixir.synthesis.yardstick import KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from cellixir.synthesis.evaluation import Evaluation

#: Below this a number is 0.
ROUNDING = 5e-4
BARS = ("precision", "recall", "density", "coverage")
BARS_TEXT = (
    "Of the principal components. Dark lines: real held-out data; dotted: genes shuffled. Thin lines: 95 % intervals."
)
MAPS = {"PC": ("PC1", "PC2"), "t-SNE": ("t-SNE 1", "t-SNE 2")}
ANSWER_COLOURS = {"yes": "#2c9078", "partly": "#d98a1f", "no": "#c4572b", "not judged": "#8a93a0"}
VERDICT_COLOURS = {
    "as real": "#2c9078", "close to real": "#7db46a", "between": "#d98a1f", "not as real": "#d98a1f",
    "as shuffled genes": "#c4572b", "no sign of a leak": "#2c9078", "some sign of a leak": "#d98a1f",
    "gives away": "#c4572b",
}  # fmt: skip
QUESTIONS = (
    "Faithful: synthetic samples are like real ones. Useful: what is learned from them holds for real samples. "
    "Private: they do not give away the samples that the generator was fitted on."
)
BRACKETS = " In brackets: the same number of real held-out samples in the place of the synthetic ones."
FACT_WORDS = {
    "training_samples": "Real training samples", "held_out_samples": "Real held-out samples",
    "synthetic_samples": "Synthetic samples", "compared_samples": "Samples of each kind compared", "genes": "Genes",
    "scale": "Scale", "components": "Principal components", "contrast_key": "Groups", "batch_key": "Batches",
    "label_key": "Labels", "contrasts": "Contrasts", "truth": "Truth of differences", "seed": "Seed",
}  # fmt: skip
CONTROLS_TEXT = (
    "Real: held-out real samples in the place of the synthetic ones. Shuffled: training data with each gene "
    "shuffled over samples. A good generator comes near the first; who comes near the second has kept single genes "
    "and lost what binds them."
)


def evaluation_page(evaluation: Evaluation, name: str = "Synthetic data", command: str = "") -> Report:
    """The page of one evaluation."""
    facts = evaluation.facts
    subtitle = (
        f"{facts['synthetic_samples']:,} synthetic samples of {facts['genes']:,} genes, against "
        f"{facts['training_samples']:,} real training and {facts['held_out_samples']:,} real held-out samples."
    )
    report = Report(name, subtitle)
    _verdicts(report, evaluation)
    _numbers(report, evaluation)
    _maps(report, evaluation)
    _effects(report, evaluation)
    _genes(report, evaluation)
    facts_section(report, facts_in_words(facts), command=command)
    return report


def _verdicts(report: Report, evaluation: Evaluation) -> None:
    report.section("Verdict", QUESTIONS + BRACKETS)
    report.facts({f"{v.question}?": v.answer for v in evaluation.verdicts}, large=True)
    report.table(_sentences(evaluation.verdicts), colours={"Answer": ANSWER_COLOURS})
    advice = {f"{v.question}: what to do": v.advice for v in evaluation.verdicts if v.advice}
    if advice:
        report.facts(advice)
    report.notes([f"{note[:1].upper()}{note[1:]}." for note in evaluation.notes])


def _sentences(verdicts: tuple[Verdict, ...]) -> pd.DataFrame:
    rows = [(f"{v.question}?", v.answer, v.sentence.split(": ", 1)[1].removeprefix(f"{v.answer}. ")) for v in verdicts]
    return pd.DataFrame(rows, columns=["Question", "Answer", "Because"])


def _numbers(report: Report, evaluation: Evaluation) -> None:
    report.section("Numbers", CONTROLS_TEXT)
    report.figure(quality_bars(bars_of({"synthetic": evaluation})), BARS_TEXT)
    for family in FAMILIES:
        rows = evaluation.table[evaluation.table["family"] == family]
        if len(rows):
            report.table(
                _shown(rows), f"{family[:1].upper()}{family[1:]}.", colours={"Verdict": VERDICT_COLOURS},
                formats=dict.fromkeys(("Value", "Real", "Shuffled"), decimals),
            )  # fmt: skip


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    records = rows.to_dict("records")
    return pd.DataFrame(
        {
            "Metric": [GENERATIVE[str(r["metric"])].words for r in records],
            "Value": pd.Series([Interval(r["value"], r["low"], r["high"]) for r in records], dtype=object),
            "Real": [r["ceiling"] for r in records],
            "Shuffled": [r["floor"] for r in records],
            "Best": [_best(str(r["metric"])) for r in records],
            "Verdict": [r["verdict"] for r in records],
            "What it is": [GENERATIVE[str(r["metric"])].meaning for r in records],
        }
    )


def _best(metric: str) -> str:
    best = GENERATIVE[metric].best
    return best if isinstance(best, str) else f"{best:g}"


def decimals(value: float) -> str:
    """Two decimals, more of a small and fewer of a large number.

    >>> [decimals(x) for x in (1234.5, 0.7312, 0.0123, 1e-12)]
    ['1,234.5', '0.73', '0.012', '0.00']
    """
    if abs(value) >= 10:
        return f"{value:,.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 or abs(value) < ROUNDING else f"{value:.2g}"


def bars_of(results: Mapping[str, Evaluation]) -> pd.DataFrame:
    """Rows of the bar chart: PRDC by model."""
    parts = [e.table[e.table["metric"].isin(BARS)].assign(model=name) for name, e in results.items()]
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(metric=[GENERATIVE[str(m)].words for m in rows["metric"]])


def _maps(report: Report, evaluation: Evaluation) -> None:
    points = evaluation.points
    report.section("Real and synthetic samples", "Samples in equal numbers. Distances between islands of a t-SNE, and "
                   "their sizes, mean nothing; the principal components are those of the real data.")  # fmt: skip
    for name, axes in MAPS.items():
        if not set(axes) <= set(points):
            continue
        for role in roles_of(points) or [None]:
            figure = overlay(evaluation, axes, name, role)
            by = f" by {evaluation.facts.get(KEYS[role], role)}" if role else ""
            what = "Principal components" if name == "PC" else name
            report.figure(figure, f"{what} of real and synthetic samples{by}.")


def overlay(evaluation: Evaluation, axes: Sequence[str], name: str, role: str | None) -> Figure:
    """Map of real and synthetic samples, coloured by a role where there is one."""
    points = evaluation.points
    return overlay_maps(
        points[list(axes)].to_numpy(), points["kind"].to_numpy(), None if role is None else points[role],
        name=name, legend=evaluation.facts.get(KEYS[role], "") if role else "",
    )  # fmt: skip


def roles_of(points: pd.DataFrame) -> Sequence[str | None]:
    """Roles to colour by; one of two that say the same."""
    roles = [role for role in ("group", "batch", "label") if role in points]
    same = "label" in roles and "group" in roles and (points["label"] == points["group"]).all()
    return [role for role in roles if not (same and role == "label")]


def _effects(report: Report, evaluation: Evaluation) -> None:
    table = evaluation.fold_changes
    if table.empty:
        return
    report.section(
        "Differential expression",
        "Least squares on group and batch. Attenuated effects lie flatter than the dashed line of identity. Values are "
        "log2(x + 1), which by itself draws the effects of genes of few counts towards zero: compare with the slope of "
        "real data in the table.",
    )
    for contrast, rows in table.groupby("contrast", sort=False):
        for name in ("real", "planted"):
            if drawable(rows, name):
                figure = fold_change_scatter(
                    rows[name], rows["synthetic"], different=rows["is_de"], name=name, title=str(contrast)
                )
                report.figure(figure, f"Synthetic against {name} log2 fold changes; blue: genes that truly differ.",
                              pair=True)  # fmt: skip


def drawable(rows: pd.DataFrame, name: str) -> bool:
    """Whether log2 fold changes of this kind are known of genes that differ."""
    known = np.isfinite(rows[name].to_numpy(np.float64)) & np.isfinite(rows["synthetic"].to_numpy(np.float64))
    different = known & rows["is_de"].to_numpy(bool)
    return bool(different.sum() >= 2 and rows.loc[different, name].any())


def _genes(report: Report, evaluation: Evaluation) -> None:
    genes = evaluation.genes
    report.section("Genes", "Each dot is a gene, on the scale that is compared.")
    report.figure(mean_variance(genes), "Variance and mean of genes.", pair=True)
    for what, word in (("mean", "Mean"), ("variance", "Variance"), ("zero_fraction", "Zero fraction")):
        real, made = genes[f"{what}_real"], genes[f"{what}_synthetic"]
        if what == "zero_fraction" and not (real.any() or made.any()):
            continue
        axes = gene_agreement(real, made, name=word, log=what == "variance")
        report.figure(axes, f"{word} of each gene.", pair=True)


def facts_in_words(facts: Mapping[str, Any]) -> dict[str, object]:
    """Facts of an evaluation as its page has them."""
    return {FACT_WORDS.get(k, k): f"{v:,}" if isinstance(v, int) and k != "seed" else v for k, v in facts.items()}
