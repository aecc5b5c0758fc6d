"""``cellixir perturb compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellixir.cli import shared
from cellixir.cli.perturb import options
from cellixir.cli.perturb.benchmark import SHOWN

COMPARE_HELP = """Lay several predictors side by side: learning curves, and scores beside the naive baselines.

Each experiment is a model of 'perturb benchmark' with parameters of its own (nodes, layers, dropout, activation, rate,
epochs, batch size), judged on the same folds. Add experiments to the file and give the command again: what is
finished is not fitted again.

\b
The file of experiments:
  [defaults]
  model = "vae_arithmetic"
  [experiment.published]
  hidden = 800
  layers = 2
  latent = 100
  learning_rate = 0.0001
  [experiment.small]
  hidden = 64
  [experiment.kernel]
  model = "kernel_ridge"

\b
Examples:
  cellixir perturb compare experiments.toml pairs.h5ad --perturbation-key perturbation --control DMSO \\
      --plate-key plate --dose-key dose --split pair --out runs/three
"""


def compare(
    experiments: Annotated[Path, typer.Argument(help="TOML file, one table [experiment.NAME] an experiment.")],
    data: options.Wells,
    perturbation_key: options.PerturbationKey,
    out: Annotated[Path, typer.Option(help="Folder for tables and report.")],
    control: options.Control = None,
    plate_key: options.PlateKey = None,
    dose_key: options.DoseKey = None,
    time_key: options.TimeKey = None,
    cell_line_key: options.CellLineKey = None,
    smiles_key: options.SmilesKey = None,
    drugs: options.Drugs = None,
    values: options.Values = "auto",
    layer: shared.Layer = None,
    split: options.Split = "drug",
    folds: shared.Folds = 5,
    allow: shared.Allow = None,
    device: shared.Device = "auto",
    jobs: shared.Jobs = 1,
    seed: shared.Seed = 0,
) -> None:
    """Judge the experiments of a file as `perturb benchmark` judges its models."""
    from cellixir.perturbation.benchmark_job import benchmark as run
    from cellixir.perturbation.experiments import read_experiments

    wanted = read_experiments(experiments)
    keys = options.keys_of(perturbation_key, control, plate_key, dose_key, time_key, cell_line_key, smiles_key)
    wells, smiles = options.wells_of(data, layer, drugs)
    result = run(
        wells, keys, out, split=split, models=wanted, n_folds=folds, seed=seed, values=values, smiles=smiles,
        allow=allow or [], device=device, jobs=jobs, source=data.name, command=shared.command_line(), quiet=False,
    )  # fmt: skip
    for note in result.notes:
        shared.say(note)
    shared.print_board(result.board, f"{split}, {data.name}", SHOWN)
    shared.end_of_run(result.headline, result.folder, result.failures)
