"""``cellixir response cross-study``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from cellixir.cli import shared
from cellixir.cli.response import options
from cellixir.cli.response.options import data_of, models_of, options_of, reading_of
from cellixir.cli.shared import command_line, end_of_run, print_board, say
from cellixir.exceptions import ConfigurationError

CROSS_STUDY_HELP = """Say whether models that learn from one study predict another one.

Drugs, samples and features of both are matched, what both hold leaves training, and each model is fitted once. Writes
leaderboard.csv, per_drug.csv, predictions.parquet, overlap.json, matches.csv and report.html to --out; a run that was
stopped goes on when the command is given again.

\b
Examples:
  cellixir response cross-study --response gdsc.csv --omics expression=gdsc_tpm.csv --external-response ccle.csv
      --external-omics expression=ccle_tpm.csv --models network,ridge --out runs/external
  cellixir response cross-study --dataset gdsc-v17 --external-response mine.csv --external-omics genomic=mutations.csv
      --overlap none --models ridge --out runs/mine

docs/cross_study.md says what is taken for the same drug, line and gene, and what every number means.
"""


def cross_study(
    out: Annotated[Path, typer.Option(help="Folder for tables and report.")],
    external_response: Annotated[Path, typer.Option(help="Responses of the other study, which models are judged on.")],
    dataset: options.Dataset = None,
    response: options.Response = None,
    omics: options.Omics = None,
    drugs: options.Drugs = None,
    samples: options.Samples = None,
    external_omics: Annotated[
        list[str] | None, typer.Option(metavar="VIEW=FILE", help="Its features; may be given more than once.")
    ] = None,
    external_drugs: Annotated[Path | None, typer.Option(help="Its drug list.")] = None,
    external_samples: Annotated[Path | None, typer.Option(help="Its sample annotation.")] = None,
    external_unit: Annotated[str | None, typer.Option(help="Its unit, as --unit is that of the first.")] = None,
    overlap: Annotated[
        str, typer.Option(help="What both studies hold leaves training: samples, drugs, pairs or none.")
    ] = "samples",
    ids: options.Ids = None,
    require: options.Require = None,
    views: options.Views = None,
    split: options.Split = "LCO",
    models: shared.Models = None,
    model: shared.Own = None,
    interval: options.Interval = None,
    encoder: options.Encoder = "dense",
    drug_encoder: options.DrugEncoder = "fingerprint",
    preprocess: options.Preprocess = "",
    gene_sets: shared.GeneSets = None,
    allow: shared.Allow = None,
    jobs: shared.Jobs = 1,
    seed: shared.Seed = 0,
) -> None:
    """Run what is still to be done, write, and print the leaderboard."""
    names = models_of(models, model, split)

    from cellixir.data.inputs import Reading
    from cellixir.response.studies.report import SHOWN
    from cellixir.response.studies.run import cross_study as run
    from cellixir.response.studies.studies import Remove

    if overlap not in get_args(Remove):
        message = f"--overlap '{overlap}' is unknown; choose one of {', '.join(get_args(Remove))}"
        raise ConfigurationError(message)
    data = data_of(dataset, response, omics, drugs, samples, ids=ids, require=require, views=views)
    asked = reading_of()
    other = Reading(measure=asked.measure, unit=external_unit, restore_genes=asked.restore_genes)
    external = data_of(
        None, external_response, external_omics, external_drugs, external_samples, ids=ids, reading=other
    )
    result = run(
        data,
        external,
        out,
        models=names,
        split=split,
        remove=cast("Remove", overlap),
        seed=seed,
        options=options_of(preprocess, encoder, drug_encoder, gene_sets, interval),
        allow=allow or [],
        jobs=jobs,
        command=command_line(),
        quiet=False,
    )
    said = {*data.notes, *external.notes}  # when the studies were read
    for note in result.notes:
        if note.partition(" study: ")[2] not in said:
            say(note)
    title = f"{split}, fitted on {len(data):,} pairs, judged on another study"
    print_board(result.board, title, SHOWN[result.board.metric])
    end_of_run(result.headline, result.folder, result.failures)
