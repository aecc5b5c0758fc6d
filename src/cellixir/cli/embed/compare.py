"""``cellixir embed compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellixir.cli import shared

COMPARE_HELP = """Fit several VAEs to the same cells and lay them side by side, each beside PCA of its dimension.

A fifth of the cells (of the patients, with --group-key) is held out of every fit; all numbers are of these cells. No
model sees the labels. Writes experiments.csv, histories.csv and report.html to --out. Experiments that are finished are
not fitted again: add some to the file and give the command again. One that fails is listed, and the exit code is 1.

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
#: Columns of the table that is printed.
PRINTED = ("held_out_elbo", "ari", "ari_difference", "accuracy", "accuracy_difference", "converged", "seconds")


def compare(
    experiments: Annotated[Path, typer.Argument(help="TOML file, one table [experiment.NAME] an experiment.")],
    data: shared.Samples,
    out: Annotated[Path, typer.Option(help="Folder for the tables, the models and the report.")],
    batch_key: shared.BatchKey = None,
    label_key: shared.LabelKey = None,
    group_key: shared.GroupKey = None,
    gene_sets: shared.GeneSets = None,
    layer: shared.Layer = None,
    backed: shared.Backed = False,
    scale: shared.Scale = None,
    cells_are: shared.CellsAre = "auto",
    labels: shared.Labels = None,
    no_maps: shared.NoMaps = False,
    seed: shared.Seed = 0,
    device: shared.Device = "auto",
    jobs: shared.Jobs = 1,
) -> None:
    """Read, fit each experiment, write, and print the table."""
    from cellixir.data.gene_sets import read_gene_sets
    from cellixir.embedding.comparing import compare as run
    from cellixir.embedding.experiments import read_experiments

    wanted = read_experiments(experiments)
    sets = read_gene_sets(gene_sets) if gene_sets else None
    cells = shared.cells_of(data, layer, backed=backed, scale=scale, cells_are=cells_are, labels=labels)
    result = run(
        wanted, cells, out, batch_key=batch_key, label_key=label_key, group_key=group_key, gene_sets=sets,
        maps=not no_maps, seed=seed, device=device, jobs=jobs, source=data.name,
        command=shared.command_line(), quiet=False,
    )  # fmt: skip
    for note in result.notes:
        shared.say(note)
    beside = [name for name in PRINTED if name.endswith("_difference")]
    shared.print_board(result.board, "Experiments, on held-out cells", PRINTED, banded=beside)
    shared.end_of_run(result.headline, result.folder, result.failures)
