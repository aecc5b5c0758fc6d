"""Report pages of synthetic data: the verdict first, then the numbers and figures it rests on."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.exceptions import DataError
from cellixir.figures.overlay import overlay_maps
from cellixir.figures.synthesis import fold_change_scatter, gene_agreement, mean_variance, quality_bars
from cellixir.figures.training_curves import training_curves
from cellixir.files import whole
from cellixir.metrics.catalogue import FAMILIES, GENERATIVE
from cellixir.metrics.intervals import Interval
from cellixir.report.page import Report
from cellixir.synthesis.benchmark_summary import heading
from cellixir.synthesis.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cellixir.synthesis.evaluation import Evaluation

#: Below this a number is 0.
ROUNDING = 5e-4
BARS = ("precision", "recall", "density", "coverage")
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
    "scale": "Scale", "components": "Principal components", "group_key": "Groups", "batch_key": "Batches",
    "label_key": "Labels", "contrasts": "Contrasts", "truth": "Truth of differences", "seed": "Seed",
}  # fmt: skip
CONTROLS = (
    "Real: held-out real samples in the place of the synthetic ones. Shuffled: training data with each gene "
    "shuffled over samples. A good generator comes near the first; who comes near the second has kept single genes "
    "and lost what binds them."
)


def write_evaluation(folder: Path, evaluation: Evaluation, *, name: str = "Synthetic data") -> Path:
    """Write ``metrics.json`` and ``report.html`` into the folder, and return the path of the page.

    Parameters
    ----------
    folder
        Made if it is not there.
    name
        What was evaluated, for the heading.

    Raises
    ------
    WriteError
        If a file cannot be written.
    """
    with whole(folder / "metrics.json") as partial:
        partial.write_text(json.dumps(as_json(evaluation), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return evaluation_page(evaluation, name).write(folder / "report.html")


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Verdicts, metrics, facts and notes; a number that there is not is null."""
    numbers = ("value", "low", "high", "ceiling", "floor")
    metrics = {
        str(row["metric"]): {
            "family": row["family"],
            **{name: _plain(row[name]) for name in numbers},
            "best": row["best"],
            "verdict": row["verdict"],
        }
        for row in evaluation.table.to_dict("records")
    }
    verdicts = {v.question.lower(): {"answer": v.answer, "sentence": v.sentence} for v in evaluation.verdicts}
    facts = {key: value.item() if isinstance(value, np.generic) else value for key, value in evaluation.facts.items()}
    return {"verdicts": verdicts, "metrics": metrics, "facts": facts, "notes": list(evaluation.notes)}


def evaluation_page(evaluation: Evaluation, name: str = "Synthetic data") -> Report:
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
    _facts(report, facts)
    return report


def write_benchmark_report(
    folder: Path, results: Mapping[str, Evaluation], histories: Mapping[str, pd.DataFrame] | None = None
) -> Path:
    """Write ``metrics.json`` and ``report.html`` of several generators side by side, and return the path of the page.

    Parameters
    ----------
    results
        Evaluation of each generator, judged against the same real data.
    histories
        Training history of each generator that has one.

    Raises
    ------
    DataError
        If there is no result.
    WriteError
        If a file cannot be written.
    """
    if not results:
        message = "there is no generator to compare; evaluate one or more"
        raise DataError(message)
    with whole(folder / "metrics.json") as partial:
        found = {name: as_json(evaluation) for name, evaluation in results.items()}
        partial.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return benchmark_page(results, histories or {}).write(folder / "report.html")


def benchmark_page(results: Mapping[str, Evaluation], histories: Mapping[str, pd.DataFrame]) -> Report:
    """The page of several generators."""
    first = next(iter(results.values()))
    report = Report(
        "Generators side by side",
        f"{len(results)} generators of {first.facts['genes']:,} genes, fitted on "
        f"{first.facts['training_samples']:,} real samples, judged by {first.facts['held_out_samples']:,} others.",
    )
    _answers(report, results)
    _compared(report, results)
    _effects_by_model(report, results)
    _maps_by_model(report, results)
    _training(report, histories)
    _facts(report.section("Data and reproducibility"), first.facts, heading=False)
    return report


# -- one evaluation ----------------------------------------------------------------------------------------------------


def _verdicts(report: Report, evaluation: Evaluation) -> None:
    report.section("Verdict", QUESTIONS + BRACKETS)
    report.facts({f"{v.question}?": v.answer for v in evaluation.verdicts}, large=True)
    report.table(_sentences(evaluation.verdicts), colours={"Answer": ANSWER_COLOURS})
    report.notes([f"{note[:1].upper()}{note[1:]}." for note in evaluation.notes])


def _sentences(verdicts: tuple[Verdict, ...]) -> pd.DataFrame:
    rows = [(f"{v.question}?", v.answer, v.sentence.split(": ", 1)[1].removeprefix(f"{v.answer}. ")) for v in verdicts]
    return pd.DataFrame(rows, columns=["Question", "Answer", "Because"])


def _numbers(report: Report, evaluation: Evaluation) -> None:
    report.section("Numbers", CONTROLS)
    bars = _bars({"synthetic": evaluation})
    report.figure(quality_bars(bars), "Of the principal components. Dark lines: real held-out data; dotted: genes "
                  "shuffled. Thin lines: 95 % intervals.")  # fmt: skip
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


def _bars(results: Mapping[str, Evaluation]) -> pd.DataFrame:
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
        roles: list[str | None] = [*_roles(points)]
        for role in roles or [None]:
            figure = overlay_maps(
                points[list(axes)].to_numpy(), points["kind"].to_numpy(), None if role is None else points[role],
                name=name, legend=evaluation.facts.get(f"{role}_key", "") if role else "",
            )  # fmt: skip
            by = f" by {evaluation.facts.get(f'{role}_key', role)}" if role else ""
            what = "Principal components" if name == "PC" else name
            report.figure(figure, f"{what} of real and synthetic samples{by}.")


def _roles(points: pd.DataFrame) -> list[str]:
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
            if _drawable(rows, name):
                figure = fold_change_scatter(
                    rows[name], rows["synthetic"], different=rows["is_de"], name=name, title=str(contrast)
                )
                report.figure(figure, f"Synthetic against {name} log2 fold changes; blue: genes that truly differ.",
                              pair=True)  # fmt: skip


def _drawable(rows: pd.DataFrame, name: str) -> bool:
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


def _facts(report: Report, facts: Mapping[str, Any], *, heading: bool = True) -> None:
    if heading:
        report.section("Data and reproducibility")
    report.facts(
        {FACT_WORDS.get(k, k): f"{v:,}" if isinstance(v, int) and k != "seed" else v for k, v in facts.items()}
    )


# -- several generators ------------------------------------------------------------------------------------------------


def _answers(report: Report, results: Mapping[str, Evaluation]) -> None:
    rows = []
    for name, evaluation in results.items():
        held = [f"{v.question.lower()}: {', '.join(v.held_back_by)}" for v in evaluation.verdicts if v.held_back_by]
        answers = {f"{v.question}?": v.answer for v in evaluation.verdicts}
        rows.append({"Generator": name, **answers, "Held back by": "; ".join(held)})
    table = pd.DataFrame(rows)
    questions = [column for column in table if str(column).endswith("?")]
    report.section("Verdict", QUESTIONS).table(table, colours={str(q): ANSWER_COLOURS for q in questions})
    report.notes([f"{name}: {note}." for name, e in results.items() for note in e.notes if "were drawn" not in note])


def _compared(report: Report, results: Mapping[str, Evaluation]) -> None:
    report.section("Numbers", CONTROLS)
    report.figure(quality_bars(_bars(results)), "Of the principal components. Dark lines: real held-out data; dotted: "
                  "genes shuffled. Thin lines: 95 % intervals.")  # fmt: skip
    for family in FAMILIES:
        table = _family(results, family)
        if len(table):
            form = dict.fromkeys([str(column) for column in table if column != "Metric"], decimals)
            report.table(table, f"{family[:1].upper()}{family[1:]}.", formats=form)


def _family(results: Mapping[str, Evaluation], family: str) -> pd.DataFrame:
    """A row a metric; ceiling and floor, which are means over the generators, then a column a generator."""
    rows = []
    for metric, about in GENERATIVE.items():
        rows_of = {name: e.table[e.table["metric"] == metric] for name, e in results.items()}
        found = {name: row.iloc[0] for name, row in rows_of.items() if len(row)}
        if about.family != family or not found:
            continue
        row: dict[str, Any] = {"Metric": heading(metric)}
        for end, word in (("ceiling", "Real"), ("floor", "Shuffled")):
            known = [float(r[end]) for r in found.values() if np.isfinite(r[end])]
            row[word] = float(np.mean(known)) if known else math.nan
        row |= {name: Interval(*found[name][["value", "low", "high"]]) if name in found else None for name in results}
        rows.append(row)
    return pd.DataFrame(rows)


def _effects_by_model(report: Report, results: Mapping[str, Evaluation]) -> None:
    drawn = False
    for name, evaluation in results.items():
        table = evaluation.fold_changes
        if table.empty:
            continue
        rows = table[table["contrast"] == table["contrast"].iloc[0]]
        reference = "planted" if _drawable(rows, "planted") else "real"
        if not _drawable(rows, reference):
            continue
        if not drawn:
            report.section("Log2 fold changes", f"{rows['contrast'].iloc[0]}; blue: genes that truly differ.")
            drawn = True
        figure = fold_change_scatter(
            rows[reference], rows["synthetic"], different=rows["is_de"], name=reference, title=name
        )
        report.figure(figure, pair=True, alt=f"Log2 fold changes of {name}")


def _maps_by_model(report: Report, results: Mapping[str, Evaluation]) -> None:
    report.section("Real and synthetic samples", "Principal components of the real data.")
    for name, evaluation in results.items():
        points = evaluation.points
        if "PC2" not in points:
            continue
        role = next(iter(_roles(points)), None)
        figure = overlay_maps(
            points[["PC1", "PC2"]].to_numpy(), points["kind"].to_numpy(), None if role is None else points[role],
            name="PC", legend=evaluation.facts.get(f"{role}_key", "") if role else "",
        )  # fmt: skip
        report.figure(figure, f"{name}.")


def _training(report: Report, histories: Mapping[str, pd.DataFrame]) -> None:
    shown = {name: history for name, history in histories.items() if "epoch" in history and len(history)}
    if not shown:
        return
    report.section(
        "Training",
        "Diversity is the spread of what a generator draws over that of real samples; where it falls below the dotted "
        "line the generator has collapsed.",
    )
    for name, history in shown.items():
        report.figure(training_curves(history, title=name), alt=f"Training of {name}")


def _plain(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


__all__ = ["as_json", "benchmark_page", "evaluation_page", "write_benchmark_report", "write_evaluation"]
