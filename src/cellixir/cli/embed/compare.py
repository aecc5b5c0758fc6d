"""``cellixir embed compare``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.cli.embed.options import (
    Backed,
    BatchKey,
    Data,
    Device,
    GeneSets,
    GroupKey,
    LabelKey,
    Layer,
    Maps,
    Seed,
    cells_of,
    say,
)

if TYPE_CHECKING:
    import pandas as pd

COMPARE_HELP = """Fit several VAEs to the same cells and lay them side by side, each beside PCA of its dimension.

A fifth of the cells (of the patients, with --group-key) is held out of every fit; all numbers are of these cells. No
model sees the labels. Writes experiments.csv, histories.csv and report.html to --out. Experiments that are finished are
not fitted again: add some to the file and give the command again.

\b
The file of experiments:
  [defaults]
  latent = 10
  [experiment.wide]
  hidden = 256
  latent = 5
  learning_rate = 0.001
  [experiment.narrow]
  hidden = 64

\b
Examples:
  cellixir embed compare experiments.toml melanoma.h5ad --label-key cell_type --group-key patient --out runs/three
  cellixir embed compare experiments.toml counts.h5ad --layer counts --no-maps --out runs/sizes
"""


def compare(
    experiments: Annotated[Path, typer.Argument(help="TOML file, one table [experiment.NAME] an experiment.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the tables, the models and the report.")],
    batch_key: BatchKey = None,
    label_key: LabelKey = None,
    group_key: GroupKey = None,
    gene_sets: GeneSets = None,
    layer: Layer = None,
    backed: Backed = False,
    no_maps: Maps = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Read, fit each experiment, write, and print the table."""
    from cellixir.data.gene_sets import read_gene_sets
    from cellixir.embedding.compare import run_comparison
    from cellixir.embedding.experiments import read_experiments

    wanted = read_experiments(experiments)
    sets = read_gene_sets(gene_sets) if gene_sets else None
    cells = cells_of(data, layer, backed=backed)
    result = run_comparison(
        wanted, cells, out, batch_key=batch_key, label_key=label_key, group_key=group_key, gene_sets=sets,
        maps=not no_maps, seed=seed, device=device, source=data.name,
        command=shlex.join(["cellixir", *sys.argv[1:]]), quiet=False,
    )  # fmt: skip
    for note in result.notes:
        say(note)
    _print(result.table)
    typer.echo(result.headline)
    typer.echo(f"report: {result.folder / 'report.html'}")


def _print(table: pd.DataFrame) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = {
        "experiment": "experiment", "latent": "latent", "held_out_elbo": "ELBO", "ari": "ARI", "pca_ari": "PCA\nARI",
        "nmi": "NMI", "pca_nmi": "PCA\nNMI", "accuracy": "accu-\nracy", "pca_accuracy": "PCA\nacc.",
        "best_epoch": "best\nepoch", "converged": "con-\nverged", "seconds": "sec-\nonds",
    }  # fmt: skip
    shown = Table(title="Experiments, on held-out cells", title_justify="left")
    there = [column for column in columns if column in table]
    for column in there:
        shown.add_column(columns[column], justify="left" if column == "experiment" else "right")
    for row in table.to_dict(orient="records"):
        shown.add_row(*(f"{row[c]:.1f}" if c in ("held_out_elbo", "seconds") else _text(row[c]) for c in there))
    Console(width=None if sys.stdout.isatty() else 120).print(shown)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
