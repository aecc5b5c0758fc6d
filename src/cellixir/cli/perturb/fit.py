"""``cellixir perturb fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellixir.cli import shared
from cellixir.cli.perturb import options

FIT_HELP = """Fit a predictor to all wells and save it as a bundle; an older bundle there is replaced.

Intervals come from folds that leave out what --split says (drug: they hold for new drugs). 'perturb benchmark' says
which model is worth it on your data.

\b
Examples:
  cellixir perturb fit l1000.h5ad --perturbation-key pert_iname --control DMSO --plate-key rna_plate \\
      --dose-key pert_dose --smiles-key canonical_smiles --out l1000.bundle
  cellixir perturb fit pairs.h5ad --perturbation-key perturbation --control DMSO --plate-key plate --dose-key dose \\
      --model compositional --split pair --out pairs.bundle
  cellixir perturb fit pairs.h5ad --perturbation-key perturbation --control DMSO --plate-key plate \\
      --model vae_arithmetic --parameter hidden=800 --parameter layers=2 --parameter epochs=60 --out vae.bundle
"""


def fit(
    data: options.Wells,
    perturbation_key: options.PerturbationKey,
    out: Annotated[Path, typer.Option(help="Folder for the bundle.")],
    control: options.Control = None,
    plate_key: options.PlateKey = None,
    dose_key: options.DoseKey = None,
    time_key: options.TimeKey = None,
    cell_line_key: options.CellLineKey = None,
    smiles_key: options.SmilesKey = None,
    drugs: options.Drugs = None,
    values: options.Values = "auto",
    layer: shared.Layer = None,
    model: Annotated[str, typer.Option(help="A model of 'perturb benchmark'.")] = "kernel_ridge",
    parameter: options.Parameter = None,
    split: options.Split = "drug",
    folds: Annotated[int, typer.Option(help="Folds that intervals come from; 0: no intervals.")] = 5,
    device: shared.Device = "auto",
    seed: shared.Seed = 0,
) -> None:
    """Fit, with a checkpoint of a network after each epoch beside the bundle, and save."""
    import shutil

    from cellixir.perturbation.fitting import fit as run
    from cellixir.perturbation.models import model_named
    from cellixir.runs import Progress
    from cellixir.training import Epoch

    given = options.parameters_of(parameter)
    model_named(model).given(given).make(split, seed, device).check_target(out)
    shared.hold(out)
    keys = options.keys_of(perturbation_key, control, plate_key, dose_key, time_key, cell_line_key, smiles_key)
    wells, smiles = options.wells_of(data, layer, drugs)
    checkpoint = out.with_name(f".{out.name}.checkpoint")
    with Progress("fit", folds + 1) as progress:

        def begin(fold: int, of: int) -> None:
            if fold:
                progress.done()
            progress.starts(f"fit without fold {fold + 1}" if fold + 1 < of else "fit to all wells")

        def show(member: int, epoch: Epoch, of: int) -> None:
            progress.epoch(member, epoch, of)

        fitted = run(
            wells, keys, model=model, parameters=given, split=split, n_folds=folds, values=values, smiles=smiles,
            seed=seed, device=device, checkpoint=checkpoint, on_epoch=show, on_fold=begin,
        )  # fmt: skip
    for note in fitted.notes_:
        shared.say(note)
    fitted.save(out)
    shutil.rmtree(checkpoint, ignore_errors=True)
    for line in fitted.describe():
        shared.echo(line)
    shared.echo(f"bundle: {out}")
