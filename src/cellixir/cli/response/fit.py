"""``cellixir response fit``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cellixir.cli import shared
from cellixir.cli.response import options
from cellixir.cli.response.options import data_of
from cellixir.cli.shared import echo, hold, say

FIT_HELP = """Fit the network on all measured pairs and save it as a bundle; an older bundle there is replaced.

\b
Examples:
  cellixir response fit --dataset gdsc-v17 --out gdsc.bundle
  cellixir response fit --response ic50.csv --omics expression=tpm.csv.gz --split LCO --out mine.bundle
  cellixir response fit --dataset gdsc-v17 --task classification --label zscore=-1 --out classes.bundle
"""


def fit(
    out: Annotated[Path, typer.Option(help="Folder for the bundle.")],
    dataset: options.Dataset = None,
    response: options.Response = None,
    omics: options.Omics = None,
    drugs: options.Drugs = None,
    samples: options.Samples = None,
    ids: options.Ids = None,
    require: options.Require = None,
    views: options.Views = None,
    split: options.Split = "LCO",
    task: options.Task = "regression",
    label: options.Label = "median",
    sensitive: options.Sensitive = "below",
    encoder: options.Encoder = "dense",
    drug_encoder: options.DrugEncoder = "fingerprint",
    preprocess: options.Preprocess = "",
    gene_sets: shared.GeneSets = None,
    members: Annotated[int | None, typer.Option(help="Networks in the committee. Default: by split.")] = None,
    device: shared.Device = "auto",
    allow: shared.Allow = None,
    seed: shared.Seed = 0,
) -> None:
    """Fit, with a checkpoint after each epoch beside the bundle, and save."""
    import shutil

    from cellixir.data.audit.findings import check_allowed, require_clean
    from cellixir.data.audit.response import audit_response
    from cellixir.data.gene_sets import read_gene_sets
    from cellixir.response.cross_validation.labels import labelled
    from cellixir.response.cross_validation.option_checks import check_architecture, check_gene_sets, check_structures
    from cellixir.response.network.architecture import preset_of
    from cellixir.response.network.predictor import ResponsePredictor
    from cellixir.runs import Progress
    from cellixir.training import Epoch

    classes = options.check_task(task)
    model = ResponsePredictor(
        split,
        architecture=replace(preset_of(split).architecture, sample_encoder=encoder, drug_encoder=drug_encoder),
        members=members,
        preprocess=preprocess,
        gene_sets=read_gene_sets(gene_sets) if gene_sets else None,
        seed=seed,
        device=device,
    )
    model.check_target(out)
    hold(out)
    data = data_of(dataset, response, omics, drugs, samples, ids=ids, require=require, views=views)
    check_structures(data)
    check_architecture(data, model.preset.architecture)
    if model.gene_sets is not None:
        check_gene_sets(data, [model.preset.architecture], model.gene_sets)
    check_allowed(allow or [])
    require_clean(audit_response(data, split), allow or [])
    if classes:
        known = len(data.notes)
        data = labelled(data, label, sensitive=sensitive)
        for note in data.notes[known:]:
            say(note)
    checkpoint = out.with_name(f".{out.name}.checkpoint")
    with Progress("fit", model.preset.members) as progress:

        def show(member: int, epoch: Epoch, of: int) -> None:
            if epoch.epoch == 0 and member:
                progress.done()
            progress.epoch(member, epoch, of)

        model.fit(data, allow=None, checkpoint=checkpoint, on_epoch=show)
    for note in model.notes_:
        say(note)
    model.save(out)
    shutil.rmtree(checkpoint, ignore_errors=True)
    echo(f"bundle: {out}")
