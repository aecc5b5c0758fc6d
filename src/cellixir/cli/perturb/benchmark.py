"""``cellixir perturb benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellixir.cli import shared
from cellixir.cli.perturb import options

BENCHMARK_HELP = """Say how well effects of drugs on the transcriptome can be predicted here, and by which model.

Effects are changes against the controls of the same plate. Every model is judged beside the naive baselines, a
replicate, and itself asked for another drug. Writes leaderboard.csv, overall.csv, conditions.csv.gz and report.html to
--out; a run that was stopped goes on when the command is given again.

\b
Examples:
  cellixir perturb benchmark l1000.h5ad --perturbation-key pert_iname --control DMSO --plate-key rna_plate \\
      --dose-key pert_dose --smiles-key canonical_smiles --split scaffold --out runs/l1000
  cellixir perturb benchmark level5.gctx --perturbation-key pert_iname --cell-line-key cell_id \\
      --dose-key pert_idose --split cell-line --out runs/lines
"""
SHOWN = ("pearson_delta", "sign_agreement", "rmse", "retrieval", "drug_shuffled")


def benchmark(
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
    models: shared.Models = None,
    folds: shared.Folds = 5,
    allow: shared.Allow = None,
    device: shared.Device = "auto",
    jobs: shared.Jobs = 1,
    seed: shared.Seed = 0,
) -> None:
    """Run what is still to be done, write, and print the leaderboard."""
    from cellixir.perturbation.benchmark_job import benchmark as run
    from cellixir.perturbation.models import chosen_models

    names = shared.names_of(models)
    chosen_models(names)  # refused before the data are read
    keys = options.keys_of(perturbation_key, control, plate_key, dose_key, time_key, cell_line_key, smiles_key)
    wells, smiles = options.wells_of(data, layer, drugs)
    result = run(
        wells, keys, out, split=split, models=names, n_folds=folds, seed=seed, values=values, smiles=smiles,
        allow=allow or [], device=device, jobs=jobs, source=data.name, command=shared.command_line(), quiet=False,
    )  # fmt: skip
    for note in result.notes:
        shared.say(note)
    shared.print_board(result.board, f"{split}, {data.name}", SHOWN)
    shared.end_of_run(result.headline, result.folder, result.failures)
