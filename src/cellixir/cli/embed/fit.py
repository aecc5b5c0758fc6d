"""``cellixir embed fit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellixir.cli import shared
from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from cellixir.embedding.result import EmbeddingResult

FIT_HELP = """Fit a variational autoencoder to cells, and show what it sees beside PCA.

Writes to --out: model (a bundle), cells.h5ad (latents, PCA, t-SNE, UMAP, clusters, called types), metrics.json,
report.html, history.csv, loadings.csv and, with --enrich or --gene-sets, enrichment.csv. With --label-key a head calls
the types; the metrics come from models that saw no labels, or not those of the cells. A fit that was stopped goes on
when the command is given again.

\b
Examples:
  cellixir embed fit pbmc.h5ad --label-key cell_type --out runs/pbmc
  cellixir embed fit melanoma.h5ad --likelihood gaussian --label-key cell_type --group-key patient --out runs/melanoma
  cellixir embed fit counts.h5ad --layer counts --batch-key donor --backed --out runs/large
  cellixir embed fit pbmc.h5ad --enrich reactome.gmt --label-key cell_type --out runs/enriched
  cellixir embed fit pbmc.h5ad --gene-sets reactome.gmt --label-key cell_type --out runs/pathways
"""


def fit(
    data: shared.Samples,
    out: Annotated[Path, typer.Option(help="Folder for the bundle, the tables and the report.")],
    likelihood: Annotated[
        str, typer.Option(help="nb or zinb (counts), gaussian (log values), bernoulli (0 and 1), or auto.")
    ] = "auto",
    latent: Annotated[int, typer.Option(help="Latent dimensions.")] = 10,
    hidden: Annotated[int, typer.Option(help="Units of a hidden layer.")] = 128,
    layers: Annotated[int, typer.Option(help="Hidden layers of encoder and decoder.")] = 1,
    dropout: Annotated[float, typer.Option(help="Share of units dropped in training.")] = 0.1,
    epochs: shared.Epochs = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate. Default: 0.002.")] = None,
    beta: Annotated[float, typer.Option(help="Weight of the KL divergence.")] = 1.0,
    library: Annotated[str, typer.Option(help="Library size: observed, or learned.")] = "observed",
    batch_key: shared.BatchKey = None,
    label_key: shared.LabelKey = None,
    group_key: shared.GroupKey = None,
    gene_sets: shared.GeneSets = None,
    enrich: Annotated[
        Path | None, typer.Option(metavar="GMT", help="Pathways to test the genes of each latent for.")
    ] = None,
    layer: shared.Layer = None,
    backed: shared.Backed = False,
    scale: shared.Scale = None,
    cells_are: shared.CellsAre = "auto",
    labels: shared.Labels = None,
    no_maps: shared.NoMaps = False,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation of cell types; 0 for none.")] = 5,
    seed: shared.Seed = 0,
    device: shared.Device = "auto",
    jobs: shared.Jobs = 1,
) -> None:
    """Read, fit, judge, write, and print what was found."""
    from cellixir.data.gene_sets import read_gene_sets
    from cellixir.embedding.embedding_job import embed as run
    from cellixir.embedding.settings import vae_of

    settings: dict[str, Any] = {
        "likelihood": likelihood, "latent": latent, "hidden": hidden, "n_layers": layers, "dropout": dropout,
        "max_epochs": epochs, "learning_rate": learning_rate, "beta": beta, "library": library,
        "batch_key": batch_key, "label_key": label_key, "group_key": group_key,
        "gene_sets": read_gene_sets(gene_sets) if gene_sets else None, "seed": seed, "device": device,
    }  # fmt: skip
    vae_of(settings)
    if label_key is None:
        shared.refuse_given(["folds"], "is of the cross-validation of cell types, which --label-key names")
    if gene_sets is not None:
        shared.refuse_given(["latent"], "is for a decoder without --gene-sets, whose latents are the pathways")
    if enrich is not None and gene_sets is not None:
        message = "give --enrich or --gene-sets, not both: free latents beside masked ones are tested for the same sets"
        raise ConfigurationError(message)
    cells = shared.cells_of(data, layer, backed=backed, scale=scale, cells_are=cells_are, labels=labels)
    result = run(
        cells, out, maps=not no_maps, folds=folds, enrich=read_gene_sets(enrich) if enrich else None, jobs=jobs,
        source=data.name, command=shared.command_line(), quiet=False, **settings,
    )  # fmt: skip
    for note in result.notes:
        shared.say(note)
    if len(result.scores):
        _print(result)
    shared.end_of_run(result.headline, result.folder)


def _print(result: EmbeddingResult) -> None:
    from cellixir.metrics.catalogue import EMBEDDING, heading_of
    from cellixir.metrics.words import bracketed, estimate, numbers_of

    rows = [
        [heading_of(str(row["metric"]), EMBEDDING)]
        + [bracketed(estimate(numbers_of(row), name)) for name in ("vae", "pca", "difference")]
        for row in result.scores.to_dict("records")
    ]
    heads = ("metric", "VAE [95 %]", "PCA [95 %]", "VAE less PCA [95 %]")
    shared.print_table(heads, rows, "VAE beside PCA of the same dimension")
