"""Pages of a benchmark: one that says which generator is best over all data sets, and one for each data set."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.figures.synthesis import quality_bars
from cellixir.metrics.catalogue import FAMILIES, GENERATIVE
from cellixir.metrics.intervals import Interval
from cellixir.report.page import Report
from cellixir.synthesis.benchmark_summary import CONTROLS, COSTS, REAL, SHUFFLED, heading
from cellixir.synthesis.report import BARS, benchmark_page, decimals

if TYPE_CHECKING:
    from pathlib import Path

    from cellixir.synthesis.benchmark_pieces import Done

ANSWERS = ("yes", "partly", "no", "not judged")
#: Controls, as the head of a column.
WORDS = {REAL: "Real", SHUFFLED: "Shuffled"}
#: Generators that a bar chart has room for.
MOST = 10


def write_pages(
    folder: Path,
    done: Sequence[Done],
    results: pd.DataFrame,
    summary: pd.DataFrame,
    failures: pd.DataFrame,
    command: str = "",
) -> Path:
    """Write ``report.html`` and ``datasets/<name>.html`` (its first seed), and return the path of the first."""
    for dataset in dict.fromkeys(piece.dataset for piece in done):
        pieces = [piece for piece in done if piece.dataset == dataset]
        first = [piece for piece in pieces if piece.seed == pieces[0].seed]
        histories = {piece.model: piece.history for piece in first}
        page = benchmark_page({piece.model: piece.evaluation for piece in first}, histories)
        page.write(folder / "datasets" / f"{dataset}.html")
    return summary_page(done, results, summary, failures, command).write(folder / "report.html")


def summary_page(
    done: Sequence[Done], results: pd.DataFrame, summary: pd.DataFrame, failures: pd.DataFrame, command: str = ""
) -> Report:
    """The page over all data sets."""
    n_datasets, n_seeds = results["dataset"].nunique(), results["seed"].nunique()
    models = list(dict.fromkeys(piece.model for piece in done))
    over = "data sets" if n_datasets > 1 else "seeds of one data set"
    report = Report(
        "Generators of synthetic expression",
        f"{len(models)} generators on {_counted(n_datasets, 'data set')}, {_counted(n_seeds, 'seed')} each.",
    )
    _answers(report, done)
    if len(failures):
        report.table(failures.rename(columns=str.capitalize), "Pieces that failed; all else is without them.")
    report.section(
        "Numbers",
        f"Means over {over}, with 95 % t-intervals. Real: held-out real samples in the place of the synthetic ones. "
        "Shuffled: training data with each gene shuffled over samples.",
    )
    _bars(report, summary, models[:MOST])
    for family in (*FAMILIES, "cost"):
        table = _family(summary, results, family, models)
        if len(table):
            form = dict.fromkeys([str(column) for column in table if column != "Metric"], decimals)
            report.table(table, f"{family[:1].upper()}{family[1:]}.", formats=form)
    report.section("Data and reproducibility", "Each data set has a page of its own in the folder datasets.")
    report.facts(_facts(done, results, command))
    return report


def _counted(n: int, word: str) -> str:
    return f"{n} {word}{'s' * (n != 1)}"


def _answers(report: Report, done: Sequence[Done]) -> None:
    """How often each generator got each answer."""
    rows = [
        {"Generator": piece.model, "question": f"{verdict.question}?", "answer": verdict.answer}
        for piece in done
        for verdict in piece.evaluation.verdicts
    ]
    counts = pd.DataFrame(rows).value_counts(sort=False)
    table = []
    for model in dict.fromkeys(piece.model for piece in done):
        row = {"Generator": model}
        for question in dict.fromkeys(row["question"] for row in rows):
            seen = [(answer, int(counts.get((model, question, answer), 0))) for answer in ANSWERS]
            row[question] = ", ".join(f"{n} {answer}" for answer, n in seen if n)
        table.append(row)
    report.section("Verdict", "How many fits, one a data set and seed, got each answer.").table(pd.DataFrame(table))


def _bars(report: Report, summary: pd.DataFrame, models: Sequence[str]) -> None:
    rows = summary[summary["metric"].isin(BARS)].rename(columns={"mean": "value"})
    bounds = [GENERATIVE[str(metric)].bounds for metric in rows["metric"]]
    rows = rows.assign(
        low=[max(low, least) for low, (least, _) in zip(rows["low"], bounds, strict=True)],
        high=[min(high, most) for high, (_, most) in zip(rows["high"], bounds, strict=True)],
    )
    for control, column in CONTROLS.items():
        means = rows[rows["model"] == control].set_index("metric")["value"]
        rows = rows.assign(**{column: rows["metric"].map(means)})
    rows = rows[rows["model"].isin(models)]
    rows = rows.assign(metric=[GENERATIVE[str(metric)].words for metric in rows["metric"]])
    report.figure(
        quality_bars(rows),
        "Of the principal components. Dark lines: real held-out data; dotted: genes shuffled. Thin lines: 95 % "
        "intervals.",
    )


def _family(summary: pd.DataFrame, results: pd.DataFrame, family: str, models: Sequence[str]) -> pd.DataFrame:
    """A row a metric; both controls, which are seen without scrolling, then a column a generator."""
    names = set(results.loc[results["family"] == family, "metric"])
    found = {(row["model"], row["metric"]): row for row in summary.to_dict("records")}
    rows = []
    for metric in (m for m in (*GENERATIVE, *COSTS) if m in names):
        row: dict[str, Any] = {"Metric": heading(metric)}
        for model in (*(CONTROLS if family != "cost" else ()), *models):
            seen = found.get((model, metric))
            row[WORDS.get(model, model)] = None if seen is None else _estimate(metric, seen)
        rows.append(row)
    return pd.DataFrame(rows)


def _estimate(metric: str, row: Mapping[Hashable, Any]) -> Interval:
    """Mean with its interval, as far as the metric can go."""
    low, high = np.clip(
        [row["low"], row["high"]], *(GENERATIVE[metric].bounds if metric in GENERATIVE else (0, np.inf))
    )
    return Interval(row["mean"], float(low), float(high))


def _facts(done: Sequence[Done], results: pd.DataFrame, command: str) -> dict[str, object]:
    facts = done[0].evaluation.facts
    keys = {f"{role}_key": f"{role.capitalize()} column" for role in ("group", "batch", "label")}
    return {
        "Data sets": ", ".join(dict.fromkeys(results["dataset"])),
        "Training samples": f"{facts['training_samples']:,} (first data set)",
        "Held-out samples": f"{facts['held_out_samples']:,}",
        "Genes": f"{facts['genes']:,}",
        **{words: facts[key] for key, words in keys.items() if key in facts},
        "Truth of differences": facts["truth"],
        **({"Command": command} if command else {}),
    }
