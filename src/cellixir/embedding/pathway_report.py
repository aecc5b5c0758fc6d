"""What the page of an embedding says of pathways: which act where, what latents are enriched for, what is covered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.embedding.columns import column_of

if TYPE_CHECKING:
    from cellixir.embedding.result import EmbeddingResult
    from cellixir.embedding.vae import VAE
    from cellixir.report.page import Report

FDR = 0.05
MOST_PATHWAYS = 20


def add_pathways(report: Report, found: EmbeddingResult) -> None:
    """Add the sections on pathways, where there are any."""
    if found.model.gene_sets is not None:
        _active_pathways(report, found)
    if len(found.enrichment):
        enrichment_section(report, found.enrichment, found.model)
    if len(found.coverage):
        coverage_section(report, found.coverage)


def _active_pathways(report: Report, found: EmbeddingResult) -> None:
    """Pathways whose latents vary most, and where they are highest."""
    model = found.model
    latents = pd.DataFrame(np.asarray(found.cells.obsm["X_vae"]), columns=model.latent_names_)
    spread = latents.std(ddof=0).iloc[: len(model.latent_names_) - model.n_free].nlargest(MOST_PATHWAYS)
    table = pd.DataFrame({"Pathway": spread.index, "Spread": spread.to_numpy()})
    table["Genes"] = (model.loadings()[spread.index] != 0).sum().to_numpy()
    if model.label_key is not None:
        labels = column_of(found.cells, model.label_key)
        scores = (latents[spread.index] - latents[spread.index].mean()) / spread.clip(lower=1e-12)
        means = scores.groupby(labels.to_numpy(), observed=True).mean()
        table[f"Highest in ({model.label_key})"] = [
            f"{g} ({v:+.1f} SD)" for g, v in zip(means.idxmax(), means.max(), strict=True)
        ]
    report.section(
        "Pathways",
        "Each latent is a pathway: its decoder reads the genes of that pathway only. Spread is the standard deviation "
        "over the cells of the change that a pathway makes in their log expression.",
    ).table(table, f"The {len(table)} pathways that vary most among the cells.", formats={"Spread": "{:.2f}"})


def enrichment_section(report: Report, table: pd.DataFrame, model: VAE) -> None:
    """Add the clearest pathways of each latent."""
    hits = table[table["fdr"] < FDR]
    free = " Tested are the latents that are free to use every gene." if model.gene_sets is not None else ""
    report.section(
        "Enrichment",
        f"{len(hits):,} of {len(table):,} tests have a false discovery rate below {FDR:.0%}. The background of every "
        f"test is the genes of the data.{free}",
    )
    best = hits.sort_values("fdr", kind="stable").groupby("latent", sort=False).head(3)
    best = best.sort_values("latent", key=lambda names: names.map(model.latent_names_.index), kind="stable").head(60)
    ranked = (best["test"] == "ranked").to_numpy()
    shown = pd.DataFrame(
        {
            "Latent": best["latent"],
            "End": best["direction"].map({"positive": "+", "negative": "\u2212"}),
            "Pathway": best["pathway"],
            "Genes": best["size"],
            "Test": np.where(ranked, "ranked", "top genes"),
            "Effect": np.where(ranked, best["nes"], best["odds_ratio"]),
            "FDR": best["fdr"],
            "Found": best["genes"].str.split(";").str[:3].str.join(", "),
        }
    )
    formats = {"FDR": "{:.1e}", "Effect": "{:,.1f}"}
    report.table(
        shown,
        "The three clearest pathways of each latent. Effect: odds ratio of the top genes, or normalised "
        "enrichment score of the ranked ones.",
        formats=formats,
    )


def coverage_section(report: Report, coverage: pd.DataFrame) -> None:
    """Add how many genes of each set the data have."""
    words = {"name": "Pathway", "id": "Id", "size": "Genes", "found": "In the data", "coverage": "Coverage",
             "kept": "Kept", "why_not": "Why not"}  # fmt: skip
    cover = coverage.sort_values("coverage", kind="stable").head(400)
    report.table(cover.rename(columns=words), f"Coverage of {len(coverage):,} gene sets, the least covered first",
                 collapsed=True)  # fmt: skip
