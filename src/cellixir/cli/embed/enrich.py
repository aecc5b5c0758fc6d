"""``cellixir embed enrich``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellixir.cli.shared import command_line, end_of_run

ENRICH_HELP = """Test the latents of a fitted embedding for pathways, without a new fit.

Writes enrichment.csv and report.html to --out; the embedding stays as it is.

\b
Examples:
  cellixir embed enrich runs/pbmc --gene-sets reactome.gmt --out runs/pbmc-reactome
"""


def enrich(
    bundle: Annotated[Path, typer.Argument(help="Folder that 'fit' wrote, or the model in it.")],
    gene_sets: Annotated[Path, typer.Option(metavar="GMT", help="Pathways, a GMT file.")],
    out: Annotated[Path, typer.Option(help="Folder for the table and the page.")],
) -> None:
    """Load, test, write."""
    from cellixir.data.gene_sets import read_gene_sets
    from cellixir.embedding.enriching import enrich as run
    from cellixir.runs import read_manifest

    run(bundle, read_gene_sets(gene_sets), out, command=command_line())
    end_of_run(str(read_manifest(out)["headline"]), out)
