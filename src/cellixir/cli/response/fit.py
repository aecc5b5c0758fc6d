"""``cellixir response fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellixir.cli.response.options import Dataset, Drugs, Omics, Response, Samples, Seed, Split, data_of

FIT_HELP = """Fit the network on all measured pairs and save it as a bundle; an older bundle there is replaced.

\b
Examples:
  cellixir response fit --dataset gdsc-v17 --out gdsc.bundle
  cellixir response fit --response ic50.csv --omics expression=tpm.csv.gz --split LCO --out mine.bundle
"""


def fit(
    out: Annotated[Path, typer.Option(help="Folder for the bundle.")],
    dataset: Dataset = None,
    response: Response = None,
    omics: Omics = None,
    drugs: Drugs = None,
    samples: Samples = None,
    split: Split = "LCO",
    members: Annotated[int | None, typer.Option(help="Networks in the committee. Default: by split.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    seed: Seed = 0,
) -> None:
    """Fit, with a checkpoint after each epoch beside the bundle, and save."""
    from cellixir.response.predictor import ResponsePredictor
    from cellixir.training import Bars, Epoch

    model = ResponsePredictor(split, members=members, seed=seed, device=device)
    model.check_target(out)
    data = data_of(dataset, response, omics, drugs, samples)
    limit, n_members = model.preset.training.max_epochs, model.preset.members
    checkpoint = out.with_name(f".{out.name}.checkpoint")
    with Bars("fit", n_members) as bars:

        def show(member: int, epoch: Epoch) -> None:
            if epoch.epoch == 0 and member:
                bars.done()
            bars.epoch(member, epoch, limit)

        model.fit(data, checkpoint=checkpoint, on_epoch=show)
    model.save(out)
    _forget(checkpoint)
    typer.echo(f"bundle: {out}")


def _forget(checkpoint: Path) -> None:
    import shutil

    shutil.rmtree(checkpoint, ignore_errors=True)
