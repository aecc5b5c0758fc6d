"""``cellixir response benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.cli import shared
from cellixir.cli.response import options
from cellixir.cli.response.options import data_of, models_of, options_of
from cellixir.cli.shared import command_line, echo, end_of_run, print_board, refuse_given, say

if TYPE_CHECKING:
    from cellixir.response.cross_validation.output import BenchmarkResult

BENCHMARK_HELP = """Say how well response can be predicted here, and by which model.

Every model is judged in k-fold cross-validation beside the naive baselines. Writes leaderboard.csv,
predictions.parquet, split.csv.gz and report.html to --out; a run that was stopped goes on when the command is
given again. A model that fails is listed (failures.csv, exit code 1) and the others are judged.

\b
Examples:
  cellixir response benchmark --dataset gdsc-v17 --split LCO --out runs/lco
  cellixir response benchmark --dataset gdsc-v17 --split LDO --models network,random_forest --out runs/ldo
  cellixir response benchmark --response ic50.csv --omics expression=tpm.csv.gz --split LCO --out runs/mine
  cellixir response benchmark --response ic50.csv --omics expression=tpm.csv.gz --omics methylation=rrbs.csv
      --require expression --models network,network:conv1d,network:transformer,xgboost --out runs/encoders
  cellixir response benchmark --dataset gdsc-v17 --split LCO --task classification --label zscore=-1 --out runs/classes
  cellixir response benchmark --dataset gdsc-v17 --split LCO --models network --interval .9 --out runs/intervals
  cellixir response benchmark --dataset gdsc-v17 --split LCO --models ridge --model my_models:MyRidge --out runs/own

A leakage audit runs first and stops what leaks with exit code 3 (--allow KIND lets a finding pass).
A sample that lacks a view is masked there. 'network:NAME' is the network with that encoder of samples or drugs,
'deep' and 'deep:NAME' are the same without the linear part.
"""

#: What is printed of each task; the metrics named second show their intervals, too.
SHOWN = {
    "rmse": (("rmse", "r2", "normalised_pearson", "per_drug_pearson", "seconds"), ["normalised_pearson"]),
    "auroc": (("auroc", "per_drug_auroc", "auprc", "balanced_accuracy", "f1", "brier", "seconds"), ["auprc"]),
}


def benchmark(
    out: Annotated[Path, typer.Option(help="Folder for tables and report.")],
    dataset: options.Dataset = None,
    response: options.Response = None,
    omics: options.Omics = None,
    drugs: options.Drugs = None,
    samples: options.Samples = None,
    ids: options.Ids = None,
    require: options.Require = None,
    views: options.Views = None,
    split: options.Split = "LCO",
    models: shared.Models = None,
    model: shared.Own = None,
    folds: shared.Folds = 5,
    split_file: Annotated[Path | None, typer.Option(help="Folds from a file (split.csv.gz of an earlier run).")] = None,
    task: options.Task = "regression",
    label: options.Label = "median",
    sensitive: options.Sensitive = "below",
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
    options.check_task(task)
    if split_file is not None:
        refuse_given(("folds",), "is for folds that are dealt, and --split-file brings its own")
    names = models_of(models, model, split)
    data = data_of(dataset, response, omics, drugs, samples, ids=ids, require=require, views=views)

    from cellixir.data.splits import read_folds
    from cellixir.response.cross_validation.run import benchmark as run

    result = run(
        data,
        split,
        out,
        models=names,
        n_folds=folds,
        seed=seed,
        folds=read_folds(split_file, data, split) if split_file else None,
        options=options_of(preprocess, encoder, drug_encoder, gene_sets, interval),
        task=task,
        rule=label,
        sensitive=sensitive,
        allow=allow or [],
        jobs=jobs,
        command=command_line(),
        quiet=False,
    )
    print_benchmark(result, f"{split}, {len(data):,} pairs, {data.measure}")


def print_benchmark(result: BenchmarkResult, title: str) -> None:
    """Say what a benchmark found; exit with 1 where a model failed."""
    for note in result.notes:
        say(note)
    metrics, banded = SHOWN[result.board.metric]
    print_board(result.board, title, metrics, banded=banded)
    for row in [] if result.coverage is None else result.coverage.query("drug == '(all)'").to_dict(orient="records"):
        held = f"{row['covered']:.1%} [{row['covered_low']:.1%}, {row['covered_high']:.1%}] of the test pairs"
        echo(f"{row['model']}: {result.interval:.0%} intervals hold {held}, mean width {row['width']:.2f}")
    end_of_run(result.headline, result.folder, result.failures)
