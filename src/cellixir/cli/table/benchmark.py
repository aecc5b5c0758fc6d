"""``cellixir table benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast, get_args

import typer

from cellixir.cli.shared import (
    Allow,
    FoldKey,
    Folds,
    GroupKey,
    Jobs,
    Models,
    Seed,
    command_line,
    end_of_run,
    names_of,
    print_board,
    refuse_given,
    say,
)
from cellixir.exceptions import ConfigurationError

BENCHMARK_HELP = """Say how well one column of a table is predicted from the others, and by which model.

Every model is judged in k-fold cross-validation beside the naive baselines. Writes leaderboard.csv, overall.csv,
predictions.parquet and report.html to --out; a run that was stopped goes on when the command is given again.

\b
Examples:
  cellixir table benchmark anova.csv --target ic50_effect_size --drop log_ic50_mean_pos --out runs/table
  cellixir table benchmark patients.xlsx --target responder --group-key patient --models ridge,xgboost --out runs/who
  cellixir table benchmark pairs.csv --target synergy --fold-key cl_fold --group-key cell_line --out runs/pairs
  cellixir table benchmark screen.csv --target auc --preprocess "impute=median,standard" --interval .9 --out runs/auc

A leakage audit runs first and stops what leaks with exit code 3 (--allow KIND lets a finding pass, --drop takes the
column out).
"""
Task = Literal["auto", "regression", "classification"]
SHOWN = (
    "rmse", "mae", "r2", "pearson", "auroc", "auprc", "accuracy", "balanced_accuracy", "f1", "difference", "covered",
    "seconds",
)  # fmt: skip


def benchmark(
    table: Annotated[Path, typer.Argument(help="Any table of numbers and categories: csv, tsv, gz, xlsx, parquet.")],
    target: Annotated[str, typer.Option(metavar="COLUMN", help="Column to predict.")],
    out: Annotated[Path, typer.Option(help="Folder for tables and report.")],
    task: Annotated[str, typer.Option(help="auto, regression or classification.")] = "auto",
    group_key: GroupKey = None,
    fold_key: FoldKey = None,
    drop: Annotated[str | None, typer.Option(metavar="A,B", help="Columns to leave out.")] = None,
    models: Models = None,
    folds: Folds = 5,
    interval: Annotated[
        float | None, typer.Option(help="Prediction intervals that hold so much, 0.9 say, and their coverage.")
    ] = None,
    preprocess: Annotated[
        str,
        typer.Option(metavar="STEPS", help="Steps for the numbers, learned within the fold (docs/preprocess.md)."),
    ] = "",
    allow: Allow = None,
    jobs: Jobs = 1,
    seed: Seed = 0,
) -> None:
    """Run what is still to be done, write, and print the leaderboard."""
    if task not in get_args(Task):
        message = f"there is no task '{task}'; choose one of {', '.join(get_args(Task))}"
        raise ConfigurationError(message)
    if fold_key is not None:
        refuse_given(("folds",), "is for folds that are dealt, and --fold-key brings its own")
    from cellixir.tables.benchmark_job import benchmark as run
    from cellixir.tables.prepare import read_target_table

    result = run(
        read_target_table(table, target), target, out, task=cast("Task", task), group=group_key, fold=fold_key,
        models=names_of(models), n_folds=folds, seed=seed, drop=names_of(drop) or [], allow=allow or [],
        preprocess=preprocess, interval=interval, jobs=jobs, command=command_line(), quiet=False,
    )  # fmt: skip
    for note in result.notes:
        say(note)
    print_board(result.board, f"{target}, {result.task}", SHOWN, banded=["difference"])
    end_of_run(result.headline, result.folder, result.failures)
