"""``cellixir response benchmark --table``: any table of numbers and categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import typer

from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

TASKS = ("auto", "regression", "classification")


def benchmark_any_table(table: Path, target: str, out: Path, *, task: str, **options: Any) -> None:
    """Run the benchmark of a table, print its leaderboard and where the report is."""
    if task not in TASKS:
        message = f"there is no task '{task}'; choose one of {', '.join(TASKS)}"
        raise ConfigurationError(message)
    from cellixir.cli.response.leaderboard import print_any_leaderboard
    from cellixir.tables.benchmark import benchmark_table
    from cellixir.tables.prepare import read_target_table

    kind = cast('Literal["auto", "regression", "classification"]', task)
    result = benchmark_table(read_target_table(table, target), target, out, task=kind, quiet=False, **options)
    for note in result.notes:
        typer.echo(f"note: {note}", err=True)
    print_any_leaderboard(result.overall, f"{target}, {result.task}")
    typer.echo(result.headline)
    typer.echo(f"report: {result.folder / 'report.html'}")
