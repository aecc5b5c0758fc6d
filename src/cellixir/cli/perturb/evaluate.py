"""``cellixir perturb evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellixir.cli import shared
from cellixir.cli.perturb import options

EVALUATE_HELP = """Judge a bundle, or the arithmetic of single effects, on what somebody else measured.

A sample sheet says what each sample of the matrix is: sample, perturbation (control, A, B, A+B), and where known dose,
time, cell_line, plate, smiles; instead of sample, pattern may hold a regular expression for their names. Of the samples
the model sees the controls alone. Without a bundle the simple rules are judged: a two-factor evaluation. Writes
evaluation.csv, overall.csv and report.html. Ready sheets: GSE110397, GSE149428.

\b
A sheet:
  sample,perturbation,dose
  S1,control,
  S2,OSKM,
  S3,OSKM+rapamycin,0+1 nM

\b
Examples:
  cellixir perturb evaluate --data counts.csv.gz --sheet sheet.csv --out runs/two-factors
  cellixir perturb evaluate l1000.bundle --data GSE110397_counts.csv.gz --sheet GSE110397 --out runs/external
"""


def evaluate(
    data: Annotated[Path, typer.Option(metavar="FILE", help="Samples x genes: counts or log2 expression.")],
    sheet: Annotated[str, typer.Option(metavar="FILE", help="Sample sheet, or the accession of a ready one.")],
    out: Annotated[Path, typer.Option(help="Folder for tables and report.")],
    bundle: Annotated[Path | None, typer.Argument(help="Folder that 'fit' wrote; none: simple rules alone.")] = None,
    drugs: options.Drugs = None,
    layer: shared.Layer = None,
    cells_are: shared.CellsAre = "auto",
) -> None:
    """Read, judge, write, and print the table."""
    from cellixir.perturbation.evaluation import evaluate as run
    from cellixir.perturbation.model import PerturbationModel
    from cellixir.perturbation.sample_sheet import read_sheet

    table = read_sheet(sheet)
    model = PerturbationModel.load(bundle) if bundle else None
    cells = shared.cells_of(data, layer, scale="unknown", cells_are=cells_are)
    result = run(
        cells, table, out, model=model, smiles=options.structures_of(drugs), source=data.name,
        command=shared.command_line(),
    )  # fmt: skip
    for note in result.notes:
        shared.say(note)
    numbers = ("pearson_delta", "pearson_top", "sign_agreement", "rmse")
    rows = [
        [str(row["kind"]), str(row["predictor"]), str(row["n_conditions"]), *(f"{row[name]:.3f}" for name in numbers)]
        for row in result.overall.to_dict("records")
    ]
    heads = ["", "predictor", "treatments", "Pearson", "Pearson, top 50", "sign agreement", "RMSE"]
    shared.print_table(heads, rows, data.name, words=2)
    shared.end_of_run(result.headline, result.folder)
