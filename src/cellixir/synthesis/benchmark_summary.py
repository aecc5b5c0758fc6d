"""Numbers of a benchmark: rows a piece, means over data sets with 95 % t-intervals, and a table in Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from cellixir.exceptions import ConfigurationError, examples
from cellixir.metrics.catalogue import COSTS, GENERATIVE
from cellixir.metrics.intervals import Interval
from cellixir.metrics.words import spelled

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from cellixir.synthesis.benchmark_pieces import Done

REAL, SHUFFLED = "real held-out", "genes shuffled"
CONTROLS = {REAL: "ceiling", SHUFFLED: "floor"}
METRICS = {**GENERATIVE, **COSTS}
#: Columns of the Markdown table.
MARKDOWN = (
    "precision", "recall", "density", "coverage", "c2st", "mmd2", "de_f1", "de_jaccard", "lfc_slope", "tstr_ratio",
    "dcr_share", "authenticity", "fit_seconds", "ms_per_gene",
)  # fmt: skip
WHERE = ["dataset", "seed", "model"]
RESULTS = [*WHERE, "metric", "family", "value", "low", "high", "ceiling", "floor", "verdict"]


def result_rows(done: Sequence[Done]) -> pd.DataFrame:
    """One row a piece and metric; costs are metrics too."""
    parts = []
    for piece in done:
        costs = {
            "fit_seconds": piece.fit_seconds,
            "ms_per_gene": 1000 * piece.fit_seconds / piece.evaluation.facts["genes"],
            "sample_seconds": piece.sample_seconds,
        }
        rows = pd.DataFrame({"metric": list(costs), "family": "cost", "value": list(costs.values()), "verdict": ""})
        for name in ("low", "high", "ceiling", "floor"):
            rows[name] = np.nan
        whole = pd.concat([piece.evaluation.table.drop(columns="best"), rows], ignore_index=True)
        parts.append(whole.assign(dataset=piece.dataset, seed=piece.seed, model=piece.model))
    return pd.concat(parts, ignore_index=True)[RESULTS]


def summarise(results: pd.DataFrame) -> pd.DataFrame:
    """Mean and 95 % t-interval over data sets: ``model, metric, mean, low, high, n``, controls last.

    Seeds of a data set are averaged first. One data set alone has an interval over its seeds, whose parts overlap: it
    is too narrow for other data sets.
    """
    rows = []
    for (model, metric), values in _by_unit(_with_controls(results)).groupby(["model", "metric"], sort=False):
        mean, low, high = t_interval(values)
        rows.append({"model": model, "metric": metric, "mean": mean, "low": low, "high": high, "n": len(values)})
    return pd.DataFrame(rows, columns=["model", "metric", "mean", "low", "high", "n"])


def paired(results: pd.DataFrame, model: str, other: str, metric: str) -> Interval:
    """Mean difference of two generators in a metric, on the same data sets, with its 95 % t-interval.

    Raises
    ------
    ConfigurationError
        If they share no data set.
    """
    values = _by_unit(results[results["metric"] == metric]).unstack("model")
    if not {model, other} <= set(values) or values[[model, other]].dropna().empty:
        there = examples(values, 12) or "none"
        message = f"no data set has {metric!r} of both {model!r} and {other!r}; there is {there}"
        raise ConfigurationError(message)
    both = values[[model, other]].dropna()
    return t_interval(both[model] - both[other])


def t_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean with its interval by Student's t, whose ends are NaN for fewer than two values.

    >>> [round(number, 3) for number in t_interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    """
    x = np.asarray(values, dtype=np.float64)
    mean = float(x.mean())
    if len(x) < 2:
        return Interval(mean, math.nan, math.nan)
    half = float(stdtrit(len(x) - 1, (1 + level) / 2) * x.std(ddof=1) / np.sqrt(len(x)))
    return Interval(mean, mean - half, mean + half)


def markdown(summary: pd.DataFrame, metrics: Sequence[str] = MARKDOWN) -> str:
    """A table of ``mean ± half of the interval``, a row a generator and control; absent metrics are left out."""
    there = [metric for metric in metrics if metric in set(summary["metric"])]
    cells = {(str(row["model"]), str(row["metric"])): cell(row) for row in summary.to_dict("records")}
    counts = summary[summary["metric"].isin(there)].groupby("model", sort=False)["n"].max()
    lines = ["| generator | n |" + "".join(f" {METRICS[metric].heading} |" for metric in there)]
    lines.append("| --- | ---: |" + " ---: |" * len(there))
    for model, n in counts.items():
        row = "".join(f" {cells.get((str(model), metric), '–')} |" for metric in there)
        lines.append(f"| {model} | {n} |{row}")
    return "\n".join(lines)


def number(metric: str, value: float) -> str:
    """Value in as many decimals as its metric needs; of a cost three figures."""
    if metric in COSTS and value == value:
        return f"{value:,.{max(0, 2 - math.floor(math.log10(max(value, 0.01))))}f}"
    return spelled(value, METRICS[metric].decimals)


def headline(done: Sequence[Done]) -> str:
    """One sentence: whom most verdicts are yes for, and how many."""
    answers = pd.DataFrame(
        [(d.model, v.question.lower(), v.answer == "yes") for d in done for v in d.evaluation.verdicts
         if v.answer != "not judged"], columns=["model", "question", "yes"],
    )  # fmt: skip
    counts = answers.groupby(["model", "question"], sort=False)["yes"].agg(["sum", "size"])
    share = answers.groupby("model", sort=False)["yes"].mean()
    if not share.max() > 0:
        return f"None of {len(share)} generators was found faithful, useful or private."
    best = [
        f"{model} ({', '.join(f'{question} {yes} of {n}' for question, (yes, n) in counts.loc[model].iterrows())})"
        for model in share.index[share == share.max()]
    ]
    return f"Of {len(share)} generators, most verdicts are yes for {' and for '.join(best)}."


def key_numbers(summary: pd.DataFrame, metrics: Sequence[str] = MARKDOWN) -> dict[str, dict[str, float]]:
    """Mean of each metric by generator and control, for the manifest."""
    found: dict[str, dict[str, float]] = {}
    for row in summary[summary["metric"].isin(metrics)].to_dict("records"):
        found.setdefault(row["model"], {})[row["metric"]] = row["mean"]
    return found


def cell(row: Mapping[Any, Any], sign: str = " ± ") -> str:
    """Mean of a row of the summary, and half of its interval where it has one."""
    metric, mean, half = str(row["metric"]), float(row["mean"]), float(row["high"]) - float(row["mean"])
    return number(metric, mean) + ("" if math.isnan(half) else f"{sign}{number(metric, half)}")


def _with_controls(results: pd.DataFrame) -> pd.DataFrame:
    """Results, and real held-out and shuffled data as if they were generators: the mean of what stood beside each."""
    parts = [results[[*WHERE, "metric", "value"]]]
    for name, column in CONTROLS.items():
        seen = results.groupby(["dataset", "seed", "metric"], sort=False)[column].mean().reset_index(name="value")
        parts.append(seen.assign(model=name))
    return pd.concat(parts, ignore_index=True).dropna(subset=["value"])


def _by_unit(results: pd.DataFrame) -> pd.Series:
    """Value of each model and metric by data set, or by seed where there is one data set."""
    unit = "dataset" if results["dataset"].nunique() > 1 else "seed"
    rows = results.dropna(subset=["value"])
    return rows.groupby(["model", "metric", unit], sort=False)["value"].mean()
