"""``cellixir response benchmark``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from cellixir.cli.response.leaderboard import print_leaderboard
from cellixir.cli.response.options import Dataset, Drugs, Omics, Response, Samples, Seed, Split, data_of

BENCHMARK_HELP = """Say how well response can be predicted here, and by which model.

Every model is judged in k-fold cross-validation beside the naive baselines. Writes leaderboard.csv,
predictions.parquet, split.csv.gz and report.html to --out; a run that was stopped goes on when the command is
given again.

\b
Examples:
  cellixir response benchmark --dataset gdsc-v17 --split LCO --out runs/lco
  cellixir response benchmark --dataset gdsc-v17 --split LDO --models network,random_forest --out runs/ldo
  cellixir response benchmark --response ic50.csv --omics expression=tpm.csv.gz --split LCO --out runs/mine
"""


def benchmark(
    out: Annotated[Path, typer.Option(help="Folder for tables and report.")],
    dataset: Dataset = None,
    response: Response = None,
    omics: Omics = None,
    drugs: Drugs = None,
    samples: Samples = None,
    split: Split = "LCO",
    models: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Models beside the naive baselines. Default: all.")
    ] = None,
    folds: Annotated[int, typer.Option(help="Number of folds.")] = 5,
    split_file: Annotated[Path | None, typer.Option(help="Folds from a file (split.csv.gz of an earlier run).")] = None,
    seed: Seed = 0,
) -> None:
    """Run the benchmark and print the leaderboard."""
    from cellixir.response.models import chosen_models

    names = [name.strip() for name in models.split(",") if name.strip()] if models else None
    chosen_models(names, split)
    data = data_of(dataset, response, omics, drugs, samples)

    from cellixir.data.splits import read_folds
    from cellixir.response.benchmark import run_benchmark

    result = run_benchmark(
        data,
        split,
        out,
        models=names,
        n_folds=folds,
        seed=seed,
        folds=read_folds(split_file, data, split) if split_file else None,
        command=shlex.join(["cellixir", *sys.argv[1:]]),
        quiet=False,
    )
    print_leaderboard(result.overall, f"{split}, {len(data):,} pairs, {data.measure}")
    typer.echo(result.headline)
    typer.echo(f"report: {result.folder / 'report.html'}")
