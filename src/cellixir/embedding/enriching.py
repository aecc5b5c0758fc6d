"""Pathways of an embedding that is already fitted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellixir.data.gene_sets import coverage_notes, coverage_report
from cellixir.embedding.application import load_vae
from cellixir.embedding.enrichment import enrich_latents
from cellixir.embedding.pathway_report import FDR, coverage_section, enrichment_section
from cellixir.embedding.pieces import sets_fingerprint
from cellixir.exceptions import counted
from cellixir.report.page import Report
from cellixir.report.sections import headline_section
from cellixir.runs import RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


def enrich(
    bundle: Path | str, sets: Mapping[str, Sequence[str]], out: Path | str, *, command: str = ""
) -> pd.DataFrame:
    """Test the loadings of a fitted VAE for gene sets, and write ``enrichment.csv`` and a page to ``out``.

    Parameters
    ----------
    bundle
        Folder of a saved `VAE`, or the one that `embed` wrote; it stays as it is.
    sets
        Genes of each pathway.
    out
        Folder for the table and the page.

    Returns
    -------
    DataFrame
        As of `cellixir.embedding.enrichment.enrich_latents`.

    Raises
    ------
    BundleError
        If there is no such bundle.
    ConfigurationError
        If ``out`` holds other things.
    GeneMismatch
        If no set has enough genes of the model.

    Examples
    --------
    >>> enrich("my-embedding", {"cell cycle": ["TOP2A", "MKI67"]}, "my-pathways")  # doctest: +SKIP
    """
    model = load_vae(bundle)
    data = {"model": model.fingerprint_, "gene sets": sets_fingerprint(sets)}
    run = RunFolder(
        out, "embed enrich", data, data=data, settings={"seed": model.seed, "min_genes": model.min_genes},
        command=command, what="the pathways of another model or other gene sets",
    )  # fmt: skip
    with run:
        table = enrich_latents(model.loadings(), sets, seed=model.seed, min_genes=model.min_genes)
        notes = coverage_notes(sets, model.genes_, min_genes=model.min_genes)
        hits = table[table["fdr"] < FDR]
        headline = (
            f"{counted(hits['pathway'].nunique(), 'pathway')} with a false discovery rate below {FDR:.0%} in "
            f"{counted(hits['latent'].nunique(), 'latent')} of {len(model.latent_names_)}."
        )
        report = Report("Pathways of an embedding", f"{len(model.genes_):,} genes, {len(sets):,} gene sets.")
        headline_section(report, headline, notes=notes)
        enrichment_section(report, table, model)
        coverage_section(report, coverage_report(sets, model.genes_, min_genes=model.min_genes))
        run.table("enrichment", table)
        run.page(report)
        run.says(headline=headline, metrics={"tests": len(table), "below_fdr": len(hits)}, notes=notes)
    return table
