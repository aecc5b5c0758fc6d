"""``cellixir response anova``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.cli.response.options import reading_of
from cellixir.cli.shared import command_line, echo, print_table, say

if TYPE_CHECKING:
    from cellixir.response.association import AnovaResult

ANOVA_HELP = """Find the mutations and copy-number changes that go with response, beyond tissue and MSI.

For every drug and every binary feature: response ~ tissue + MSI (+ medium) + feature, all at once. Tissue, MSI and
medium are columns of the feature file (TISSUE_FACTOR, MSI_FACTOR, MEDIA_FACTOR). Writes anova.csv (the 22 columns of
GDSC's PANCANCER_ANOVA, the smallest p-value first; fdr in percent), volcano.png and report.html to --out.

\b
Examples:
  cellixir response anova --response IC50_v17.csv.gz --features genomic_features_v17.csv.gz --out runs/anova
  cellixir response anova --response IC50_v17.csv.gz --features genomic_features_v17.csv.gz --media cosmic_info.csv.gz
      --drugs drug_list.csv --fdr storey --out runs/medium
  cellixir response anova --response ic50.csv --features mutations.csv --tissue breast --out runs/breast
"""


def anova(
    response: Annotated[
        Path, typer.Option(help="Responses: samples x drugs, or columns sample, drug, response; csv, tsv, gz, xlsx.")
    ],
    features: Annotated[Path, typer.Option(help="0 and 1: samples x features, with tissue and MSI beside them.")],
    out: Annotated[Path, typer.Option(help="Folder for the table, the figure and the report.")],
    media: Annotated[Path | None, typer.Option(help="Growth medium of the samples: id and medium.")] = None,
    drugs: Annotated[Path | None, typer.Option(help="Drug list: id or name, and any of targets, pathway.")] = None,
    tissue: Annotated[str | None, typer.Option(help="Use the lines of this tissue alone.")] = None,
    fdr: Annotated[str, typer.Option(help="bh (Benjamini-Hochberg) or storey (q-value).")] = "bh",
    per_drug: Annotated[
        bool, typer.Option("--per-drug", help="Correct the tests of each drug on their own, not all together.")
    ] = False,
    min_lines: Annotated[int, typer.Option(help="Lines that a feature needs on each side, for every drug.")] = 3,
    max_fdr: Annotated[float, typer.Option(min=0, max=100, help="A hit has an fdr below this (percent) ...")] = 25.0,
    max_p: Annotated[float, typer.Option(min=0, max=1, help="... and a p-value below this.")] = 0.001,
    screening_set: Annotated[str, typer.Option(help="What the column 'Screening Set' says.")] = "",
    top: Annotated[int, typer.Option(min=0, help="Hits to print.")] = 10,
) -> None:
    """Read, test, write, and print what was found."""
    import pandas as pd

    from cellixir.data.drugs import read_drugs
    from cellixir.data.inputs import spelled_like
    from cellixir.data.omics import read_view
    from cellixir.files import digest_of
    from cellixir.metrics.fdr import method_named
    from cellixir.response.association import anova as run
    from cellixir.response.association.design import read_medium
    from cellixir.response.association.report import PAGE, write_anova

    method_named(fdr)
    reading = reading_of()
    table = reading.responses(response)
    samples = pd.Index(table.pairs["sample"].unique())
    view = read_view(features, name="features", samples=samples, restore_genes=reading.restore_genes)
    view, spelled = spelled_like(view, samples)
    for note in (*table.notes, *view.uns.get("notes", []), *spelled):
        say(note)
    listed = read_drugs(drugs) if drugs else table.drugs if "name" in table.drugs else None
    medium = read_medium(media) if media else None
    if table.measure != "LN_IC50":
        say(f"the responses are not known to be ln IC50 ({table.measure}); columns with ic50 in their names hold them")
    result = run(
        table.pairs,
        view,
        drugs=listed,
        tissue=table.samples["tissue"] if "tissue" in table.samples else None,
        medium=medium,
        only_tissue=tissue,
        min_lines=min_lines,
        fdr=fdr,
        per_drug=per_drug,
        screening_set=screening_set,
    )
    facts = {"Responses": response.name, "Features": features.name}
    data = {"responses": digest_of(response), "features": digest_of(features)}
    write_anova(result, out, max_fdr=max_fdr, max_p=max_p, facts=facts, data=data, command=command_line())
    _print(result, top, max_fdr, max_p)
    echo(f"report: {out / PAGE}")


def _print(result: AnovaResult, top: int, max_fdr: float, max_p: float) -> None:
    from cellixir.response.association.report import headline, top_hits

    for note in result.notes:
        say(note)
    echo(f"{result.n_drugs:,} drugs, {result.n_features:,} features, {result.n_lines:,} lines: {result.model}")
    for out in result.exclusions.to_dict(orient="records"):
        counts = f"{out['tests']:,} pairs, {out['features']:,} features"
        echo(f"no p-value, {out['reason']}: {counts} ({out['examples']})")
    hits = top_hits(result, top, max_fdr, max_p)
    if len(hits):
        print_table(
            ["drug", "id", "feature", "with", "without", "difference", "p", "FDR, %"],
            [
                [
                    *(str(row[c]) for c in ("Drug", "Id", "Feature")), f"{row['With']:,}", f"{row['Without']:,}",
                    f"{row['Difference']:.2f}", f"{row['p']:.2g}", f"{row['FDR, %']:.2g}",
                ]
                for row in hits.to_dict(orient="records")
            ],
            f"{len(hits)} hits with the smallest p-values",
            words=3,
        )  # fmt: skip
    echo(headline(result, max_fdr, max_p))
