"""Section of a report: whether prediction intervals hold what they claim, over all and for each drug."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from cellixir.figures.coverage import coverage_by_group
from cellixir.metrics.conformal import OVERALL
from cellixir.metrics.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cellixir.report.page import Report
    from cellixir.response.cross_validation.summary import BenchmarkSummary

FEW_ROWS = 10  # of a drug, below which its own coverage says nothing
FORMATS = {"Covered": "{:.1%}", "Mean width": "{:.2f}", "Interval score": "{:.2f}"}


def write_coverage(report: Report, summary: BenchmarkSummary) -> None:
    """Add the section ``Prediction intervals``: a sentence, a figure and a table for each model that has intervals."""
    report.section("Prediction intervals")
    for model, table in summary.coverage.groupby("model", sort=False):
        over_all = table[table["drug"] == OVERALL].iloc[0].to_dict()
        report.text(coverage_sentence(str(model), over_all, summary.interval, summary.label))
        drugs = table[table["drug"] != OVERALL].sort_values("covered", kind="stable", ignore_index=True)
        enough = drugs[drugs["n"] >= FEW_ROWS]
        if len(enough) > 1:
            report.figure(
                coverage_by_group(enough, level=summary.interval),
                f"Share of the test pairs of each drug inside the interval of {model}, with its 95% interval"
                f"{_left_out(len(drugs) - len(enough))}. Grey: where drugs would stand by chance alone if every one "
                "were covered as claimed.",
                f"Coverage of the intervals of {model} by drug",
            )
        report.table(_by_drug(drugs, summary.drugs), f"Every drug, {model}", formats=FORMATS, collapsed=True)


def coverage_sentence(model: str, over_all: Mapping[Any, float], level: float, label: str) -> str:
    """What the intervals of a model held of all test pairs, beside what they claim, and how wide they are."""
    share, low, high = (f"{float(over_all[c]):.1%}" for c in ("covered", "covered_low", "covered_high"))
    verdict = "as they claim, as far as these data can tell"
    if over_all["covered_high"] < level:
        verdict = "fewer than they claim"
    elif over_all["covered_low"] > level:
        verdict = "more than they claim, so they are wider than they need be"
    width = "" if pd.isna(over_all["width"]) else f" Their mean width is {over_all['width']:.2f} in {label}."
    unbounded = int(over_all["unbounded"])
    open_ended = f" {unbounded:,} have no bounds: too few errors were held out to give any." if unbounded else ""
    return (
        f"The {100 * level:.3g}% intervals of {model} hold {share} (95% interval {low} to {high}) of "
        f"{int(over_all['n']):,} test pairs, {verdict}.{width}{open_ended}"
    )


def _left_out(few: int) -> str:
    return f"; {few:,} with fewer than {FEW_ROWS} pairs are in the table alone" if few else ""


def _by_drug(drugs: pd.DataFrame, annotation: pd.DataFrame) -> pd.DataFrame:
    ends = zip(drugs["covered"], drugs["covered_low"], drugs["covered_high"], strict=True)
    shown: dict[str, object] = {"Drug": drugs["drug"]}
    if "name" in annotation:
        shown["Name"] = annotation["name"].reindex(drugs["drug"]).to_numpy()
    shown |= {"Pairs": drugs["n"], "Covered": [Interval(*end) for end in ends]}
    shown |= {"Mean width": drugs["width"], "Interval score": drugs["interval_score"]}
    if drugs["unbounded"].any():
        shown["Unbounded"] = drugs["unbounded"]
    return pd.DataFrame(shown)
