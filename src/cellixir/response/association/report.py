"""What an analysis hands out: the table, the volcano plot and a page about both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellixir.figures.style import shortened
from cellixir.figures.volcano import volcano
from cellixir.files import whole
from cellixir.report.page import Report
from cellixir.report.sections import facts_section, headline_section
from cellixir.response.association.analysis import MAX_FDR, MAX_P, AnovaResult
from cellixir.response.association.table import write_table
from cellixir.runs import RunFolder

TABLE, FIGURE, PAGE = "anova.csv", "volcano.png", "report.html"
N_TOP = 40
HEADERS = {
    "Drug name": "Drug", "Drug ID": "Id", "Feature Name": "Feature", "feature_pval": "p", "fdr": "FDR, %",
    "feature_delta_mean_ic50": "Difference", "ic50_effect_size": "Effect size", "n_feature_pos": "With",
    "n_feature_neg": "Without", "Drug target": "Target",
}  # fmt: skip
FORMATS = {"p": "{:.2g}", "FDR, %": "{:.2g}", "Difference": "{:.2f}", "Effect size": "{:.2f}"}
METHOD = (
    "Every drug is tested against every feature: {model}, ordinary least squares. Sums of squares are sequential, in "
    "this order, over the residual variance of the whole model; so the p-value of a feature is what it adds to all "
    "that stands before it. Only the lines measured with the drug count, and a feature needs at least {min_lines} of "
    "them on each side.\n\n"
    "The difference is the mean response of the lines with the feature less that of the lines without it, in the unit "
    "of the response (ln µM for ln IC50); below 0 they are more sensitive. The effect size is Cohen's d: the "
    "difference, without sign, over the pooled standard deviation. The T test compares the same two groups without "
    "tissue or MSI, with equal variances.\n\n"
    "The false discovery rate is {fdr}, in percent. A hit has a false discovery rate below {max_fdr:g} % and a "
    "p-value below {max_p:g}. Association is not cause: features that occur together share their hits."
)
CORRECTIONS = {"bh": "that of Benjamini and Hochberg", "storey": "the q-value of Storey"}


def write_anova(
    result: AnovaResult,
    folder: str | Path,
    *,
    max_fdr: float = MAX_FDR,
    max_p: float = MAX_P,
    facts: Mapping[str, object] | None = None,
    data: Mapping[str, str] | None = None,
    command: str = "",
) -> Path:
    """Write ``anova.csv``, ``volcano.png`` and ``report.html`` to a folder; each whole or not at all.

    Parameters
    ----------
    result
        As of `anova`.
    folder
        New, empty, or that of an earlier analysis, which is replaced.
    max_fdr, max_p
        What a hit is: percent, and a fraction.
    facts
        Where the data came from, for the foot of the page.
    data
        Fingerprints of the files, for the manifest.
    command
        Command line that was given.

    Raises
    ------
    ConfigurationError
        If the folder holds other things.
    WriteError
        If the folder cannot be written to.
    """
    settings = {"model": result.model, "fdr": result.fdr, "max_fdr": max_fdr, "max_p": max_p}
    with RunFolder(
        folder, "response anova", settings, data=data, settings=settings, command=command, replaces=True
    ) as run:
        write_table(result.table, run.path / TABLE)
        run.wrote("tables", run.path / TABLE)
        page = _page(result, max_fdr, max_p)
        if result.n_tests:
            axes = draw(result, max_fdr, max_p)
            figure = cast(Figure, axes.get_figure(root=True))
            with whole(run.path / FIGURE) as partial:
                figure.savefig(partial, dpi=200)
            run.wrote("figures", run.path / FIGURE)
            _add_volcano(page, axes)
        _add_tables(page, result, max_fdr, max_p)
        _add_method(page, result, max_fdr, max_p)
        facts_section(page, facts or {}, command=command)
        run.page(page, PAGE)
        hits = result.hits(max_fdr, max_p)
        numbers = {"tests": result.n_tests, "hits": len(hits)}
        run.says(headline=headline(result, max_fdr, max_p), metrics=numbers, notes=result.notes)
    return run.path


def _add_method(report: Report, result: AnovaResult, max_fdr: float, max_p: float) -> None:
    report.section("How it was done").text(
        METHOD.format(
            model=result.model,
            min_lines=result.min_lines,
            fdr=CORRECTIONS[result.fdr] + (" for each drug on its own" if result.per_drug else " over all tests"),
            max_fdr=max_fdr,
            max_p=max_p,
        )
    )


def draw(result: AnovaResult, max_fdr: float = MAX_FDR, max_p: float = MAX_P) -> Axes:
    """Volcano plot of all tests; the hits with the smallest p-values are labelled."""
    table = result.table
    hit = table.index.isin(result.hits(max_fdr, max_p).index)
    largest = float(table.loc[hit, "feature_pval"].max()) if hit.any() else None
    return volcano(
        np.sign(table["feature_delta_mean_ic50"]) * table["ic50_effect_size"],
        table["feature_pval"],
        table["n_feature_pos"],
        hit,
        labels=[f"{drug} · {feature}" for drug, feature in zip(drug_labels(table), table["Feature Name"], strict=True)],
        threshold=largest,
        threshold_label=f"FDR {max_fdr:g} %, p {max_p:g}",
        xlabel="Effect size (Cohen's d, below 0: more sensitive with the feature)",
    )


def drug_labels(table: pd.DataFrame) -> pd.Series:
    """Name of the drug of each row, with its id where several ids have the same name."""
    name, drug = table["Drug name"].astype(str), table["Drug ID"].astype(str)
    ids = drug.groupby(name).transform("nunique")
    return name.where(ids == 1, name + " (" + drug + ")")


def headline(result: AnovaResult, max_fdr: float = MAX_FDR, max_p: float = MAX_P) -> str:
    """One sentence: how many hits, and which is the clearest."""
    hits = result.hits(max_fdr, max_p)
    below = f"below a false discovery rate of {max_fdr:g} % and a p-value of {max_p:g}"
    if hits.empty:
        return f"None of {result.n_tests:,} tests is {below}."
    sensitive = int((hits["feature_delta_mean_ic50"] < 0).sum())
    first = hits.iloc[0]
    name = drug_labels(hits.head(1)).iloc[0]
    return (
        f"{len(hits):,} of {result.n_tests:,} tests are {below}: {sensitive:,} sensitive, {len(hits) - sensitive:,} "
        f"resistant. The clearest: {first['Feature Name']} and {name}, p = {first['feature_pval']:.2g}."
    )


def top_hits(result: AnovaResult, n: int, max_fdr: float = MAX_FDR, max_p: float = MAX_P) -> pd.DataFrame:
    """The hits with the smallest p-values, in the columns that a reader needs first."""
    hits = result.hits(max_fdr, max_p).head(n)[list(HEADERS)].rename(columns=HEADERS)
    return hits.drop(columns="Target") if hits["Target"].isna().all() else hits


def _page(result: AnovaResult, max_fdr: float, max_p: float) -> Report:
    sub = f"{result.n_drugs:,} drugs, {result.n_features:,} features, {result.n_lines:,} lines. Model: {result.model}."
    hits = result.hits(max_fdr, max_p)
    numbers = {
        "Tests": f"{result.n_tests:,}",
        "Hits": f"{len(hits):,}",
        "Sensitive": f"{(hits['feature_delta_mean_ic50'] < 0).sum():,}",
        "Resistant": f"{(hits['feature_delta_mean_ic50'] >= 0).sum():,}",
    }
    report = Report("Pharmacogenomic ANOVA", sub)
    headline_section(report, headline(result, max_fdr, max_p), numbers=numbers, notes=result.notes)
    return report


def _add_volcano(report: Report, axes: Axes) -> None:
    report.section("All tests").figure(
        axes,
        "Every test. Blue: the lines with the feature are more sensitive; orange: more resistant. The area of a point "
        "grows with their number. The p-value is that of the feature in the model.",
        alt="Volcano plot of effect size against p-value",
        png=True,
    )


def _add_tables(report: Report, result: AnovaResult, max_fdr: float, max_p: float) -> None:
    top = top_hits(result, N_TOP, max_fdr, max_p)
    report.section("Hits")
    if len(top):
        caption = f"The {len(top)} hits with the smallest p-values; {TABLE} holds all {len(result.table):,} pairs."
        for name in {"Drug", "Target", "Feature"} & set(top.columns):
            top[name] = top[name].map(lambda text: shortened(text, 24), na_action="ignore")
        report.table(top, caption, formats=FORMATS)
    else:
        report.text("There is none.")
    report.section("Left out")
    if result.exclusions.empty:
        report.text("Every pair of drug and feature has a p-value.")
        return
    shown = result.exclusions.rename(columns=str.capitalize)
    total = result.n_drugs * result.n_features
    report.table(
        shown, f"Of {total:,} pairs of drug and feature, those without a p-value, by the first reason that holds."
    )
