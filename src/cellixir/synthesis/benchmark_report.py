"""Pages of a benchmark: one that says which generator is best over all data sets, and one for each data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.figures.synthesis import fold_change_scatter, quality_bars
from cellixir.figures.training_curves import training_curves
from cellixir.metrics.catalogue import COST, FAMILIES, GENERATIVE
from cellixir.metrics.intervals import Interval
from cellixir.report.page import Report
from cellixir.report.sections import facts_section, failures_section, headline_section
from cellixir.synthesis.benchmark_summary import CONTROLS, METRICS, REAL, SHUFFLED
from cellixir.synthesis.report import (
    ANSWER_COLOURS,
    BARS,
    BARS_TEXT,
    CONTROLS_TEXT,
    MAPS,
    QUESTIONS,
    bars_of,
    decimals,
    drawable,
    facts_in_words,
    overlay,
    roles_of,
)
from cellixir.synthesis.yardstick import KEYS

if TYPE_CHECKING:
    from cellixir.synthesis.benchmark_pieces import Done
    from cellixir.synthesis.evaluation import Evaluation

ANSWERS = ("yes", "partly", "no", "not judged")
#: Controls, as the head of a column.
WORDS = {REAL: "Real", SHUFFLED: "Shuffled"}
#: Generators that a bar chart has room for.
MOST = 10


def pages(
    done: Sequence[Done],
    results: pd.DataFrame,
    summary: pd.DataFrame,
    failures: pd.DataFrame,
    headline: str = "",
    command: str = "",
) -> Iterator[tuple[str, Report]]:
    """Pages by their names: ``datasets/<name>.html``, of its first seed, and ``report.html``."""
    for dataset in dict.fromkeys(piece.dataset for piece in done):
        pieces = [piece for piece in done if piece.dataset == dataset]
        first = [piece for piece in pieces if piece.seed == pieces[0].seed]
        histories = {piece.model: piece.history for piece in first}
        yield f"datasets/{dataset}.html", dataset_page({piece.model: piece.evaluation for piece in first}, histories)
    yield "report.html", summary_page(done, results, summary, failures, headline, command)


def dataset_page(results: Mapping[str, Evaluation], histories: Mapping[str, pd.DataFrame]) -> Report:
    """The page of several generators that are judged against the same real data."""
    first = next(iter(results.values()))
    report = Report(
        "Generators side by side",
        f"{len(results)} generators of {first.facts['genes']:,} genes, fitted on "
        f"{first.facts['training_samples']:,} real samples, judged by {first.facts['held_out_samples']:,} others.",
    )
    _answers(report, results)
    report.section("Numbers", CONTROLS_TEXT).figure(quality_bars(bars_of(results)), BARS_TEXT)
    _families(report, _estimates(results), list(results))
    _effects(report, results)
    _maps(report, results)
    _training(report, histories)
    facts_section(report, facts_in_words(first.facts))
    return report


def summary_page(
    done: Sequence[Done],
    results: pd.DataFrame,
    summary: pd.DataFrame,
    failures: pd.DataFrame,
    headline: str = "",
    command: str = "",
) -> Report:
    """The page over all data sets."""
    n_datasets, n_seeds = results["dataset"].nunique(), results["seed"].nunique()
    models = list(dict.fromkeys(piece.model for piece in done))
    over = "data sets" if n_datasets > 1 else "seeds of one data set"
    report = Report(
        "Generators of synthetic expression",
        f"{len(models)} generators on {_counted(n_datasets, 'data set')}, {_counted(n_seeds, 'seed')} each.",
    )
    headline_section(report, headline)
    _counts_of_answers(report, done)
    failures_section(report, failures)
    report.section(
        "Numbers",
        f"Means over {over}, with 95 % t-intervals. Real: held-out real samples in the place of the synthetic ones. "
        "Shuffled: training data with each gene shuffled over samples.",
    )
    _bars(report, summary, models[:MOST])
    means = {(str(row["model"]), str(row["metric"])): _bounded(row) for row in summary.to_dict("records")}
    _families(report, means, models)
    facts_section(report, _facts(done, results), command=command)
    report.text("Sizes are those of the first data set. Each has a page of its own in the folder datasets.")
    return report


# -- numbers -----------------------------------------------------------------------------------------------------------


def _families(report: Report, numbers: Mapping[tuple[str, str], object], models: Sequence[str]) -> None:
    """A table a family of metrics: both controls, which are seen without scrolling, then a column a generator."""
    for family in (*FAMILIES, COST):
        columns = [*(CONTROLS if family != COST else ()), *models]
        known = [m for m, about in METRICS.items() if about.family == family and any((n, m) in numbers for n in models)]
        rows = [
            {"Metric": METRICS[m].heading} | {WORDS.get(name, name): numbers.get((name, m)) for name in columns}
            for m in known
        ]
        if rows:
            form = dict.fromkeys([WORDS.get(name, name) for name in columns], decimals)
            report.table(pd.DataFrame(rows), f"{family[:1].upper()}{family[1:]}.", formats=form)


def _estimates(results: Mapping[str, Evaluation]) -> dict[tuple[str, str], object]:
    """Numbers of generators on one data set, and those of the controls, which are means over what stood beside each."""
    rows = pd.concat([e.table.assign(model=name) for name, e in results.items()], ignore_index=True)
    found: dict[tuple[str, str], object] = {
        (row["model"], row["metric"]): Interval(row["value"], row["low"], row["high"])
        for row in rows.to_dict("records")
    }
    for control, column in CONTROLS.items():
        means = rows.groupby("metric")[column].mean()
        found |= {(control, str(metric)): float(mean) for metric, mean in means.items()}
    return found


def _bounded(row: Mapping[Any, Any]) -> Interval:
    """Mean with its interval, as far as the metric can go."""
    low, high = np.clip([row["low"], row["high"]], *METRICS[str(row["metric"])].bounds)
    return Interval(row["mean"], float(low), float(high))


def _bars(report: Report, summary: pd.DataFrame, models: Sequence[str]) -> None:
    rows = summary[summary["metric"].isin(BARS)].rename(columns={"mean": "value"})
    ends = [_bounded(row | {"mean": 0.0}) for row in rows.to_dict("records")]
    rows = rows.assign(low=[interval.low for interval in ends], high=[interval.high for interval in ends])
    for control, column in CONTROLS.items():
        means = rows[rows["model"] == control].set_index("metric")["value"]
        rows = rows.assign(**{column: rows["metric"].map(means)})
    rows = rows[rows["model"].isin(models)]
    rows = rows.assign(metric=[GENERATIVE[str(metric)].words for metric in rows["metric"]])
    report.figure(quality_bars(rows), BARS_TEXT)


# -- verdicts ----------------------------------------------------------------------------------------------------------


def _counts_of_answers(report: Report, done: Sequence[Done]) -> None:
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


# -- figures -----------------------------------------------------------------------------------------------------------


def _effects(report: Report, results: Mapping[str, Evaluation]) -> None:
    drawn = False
    for name, evaluation in results.items():
        table = evaluation.fold_changes
        if table.empty:
            continue
        rows = table[table["contrast"] == table["contrast"].iloc[0]]
        reference = "planted" if drawable(rows, "planted") else "real"
        if not drawable(rows, reference):
            continue
        if not drawn:
            report.section("Log2 fold changes", f"{rows['contrast'].iloc[0]}; blue: genes that truly differ.")
            drawn = True
        figure = fold_change_scatter(
            rows[reference], rows["synthetic"], different=rows["is_de"], name=reference, title=name
        )
        report.figure(figure, pair=True, alt=f"Log2 fold changes of {name}")


def _maps(report: Report, results: Mapping[str, Evaluation]) -> None:
    report.section("Real and synthetic samples", "Principal components of the real data.")
    for name, evaluation in results.items():
        if "PC2" in evaluation.points:
            role = next(iter(roles_of(evaluation.points)), None)
            report.figure(overlay(evaluation, MAPS["PC"], "PC", role), f"{name}.")


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


def _counted(n: int, word: str) -> str:
    return f"{n} {word}{'s' * (n != 1)}"


def _facts(done: Sequence[Done], results: pd.DataFrame) -> dict[str, object]:
    known = ("training_samples", "held_out_samples", "genes", *KEYS.values(), "truth")
    facts = {key: value for key, value in done[0].evaluation.facts.items() if key in known}
    return {"Data sets": ", ".join(dict.fromkeys(results["dataset"]))} | facts_in_words(facts)
