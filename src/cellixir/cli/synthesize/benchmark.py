"""``cellixir synthesize benchmark``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellixir.cli.embed.options import cells_of
from cellixir.cli.synthesize.options import (
    FILES,
    BatchKey,
    Condition,
    Epochs,
    GroupKey,
    LabelKey,
    Layer,
    columns_of,
    takes_epochs,
)
from cellixir.exceptions import ConfigurationError, ReadError

if TYPE_CHECKING:
    from collections.abc import Callable

    import anndata as ad
    import pandas as pd

BENCHMARK_HELP = """Fit several generators to one or more data sets, and lay them side by side.

A share of each data set is held out; all numbers stand between what these samples reach and what shuffled genes do, as
means with 95 % intervals over data sets. Data from 'cellixir simulate' bring their truth: differential expression is
judged against it. Writes results.csv, summary.csv, table.md, report.html, and a page for each data set. What is
finished is not done again: add data sets, models or seeds and give the command again.

\b
Examples:
  cellixir simulate bulk --n-datasets 10 --out sims
  cellixir synthesize benchmark sims/*.h5ad --condition batch,group --group-key group --batch-key batch --out runs/sims
  cellixir synthesize benchmark cells.h5ad --models copula,cvae --group-key condition --seeds 3 --out runs/cells
"""
#: Columns of the table that is printed.
PRINTED = (
    "precision",
    "recall",
    "c2st",
    "de_f1",
    "lfc_slope",
    "tstr_ratio",
    "dcr_share",
    "authenticity",
    "fit_seconds",
)


def benchmark(
    data: Annotated[list[Path], typer.Argument(help=f"Data sets, samples x genes: {FILES}.")],
    out: Annotated[Path, typer.Option(help="Folder for tables, pages and finished pieces.")],
    models: Annotated[str | None, typer.Option(metavar="A,B,...", help="Generators. Default: all.")] = None,
    condition: Condition = None,
    group_key: GroupKey = None,
    batch_key: BatchKey = None,
    label_key: LabelKey = None,
    holdout: Annotated[float, typer.Option(help="Share of the samples that no generator sees.")] = 0.25,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions, each with another part held out.")] = 1,
    epochs: Epochs = None,
    layer: Layer = None,
) -> None:
    """Run what is still to be done, write, and print the table."""
    from cellixir.synthesis.benchmark import run_benchmark
    from cellixir.synthesis.models import GENERATORS, generator_class

    names = columns_of(models) or tuple(GENERATORS)
    trained = [] if epochs is None else [name for name in names if takes_epochs(generator_class(name))]
    found = run_benchmark(
        _sources(data, layer), out, models=names, condition=columns_of(condition), group_key=group_key,
        batch_key=batch_key, label_key=label_key, holdout=holdout, seeds=seeds,
        settings={name: {"max_epochs": epochs} for name in trained},
        command=shlex.join(["cellixir", *sys.argv[1:]]), quiet=False,
    )  # fmt: skip
    _print(found.summary)
    for row in found.failures.to_dict("records"):
        typer.echo(f"failed: {row['model']} on {row['dataset']}, seed {row['seed']}: {row['error']}", err=True)
    typer.echo(f"report: {found.folder / 'report.html'}")
    if len(found.failures):
        raise typer.Exit(1)


def _sources(data: list[Path], layer: str | None) -> dict[str, Callable[[], ad.AnnData]]:
    """A reader for each file, by its name without endings."""
    found: dict[str, Callable[[], ad.AnnData]] = {}
    for path in data:
        name = path.resolve().name.split(".")[0] or path.name
        if not path.exists():
            message = f"{path} cannot be read: there is no such file"
            raise ReadError(message)
        if name in found:
            message = f"two data sets are called {name!r} (the second is {path}); rename one"
            raise ConfigurationError(message)
        found[name] = lambda path=path: cells_of(path, layer)  # type: ignore[misc]
    return found


def _print(summary: pd.DataFrame) -> None:
    from rich.console import Console
    from rich.table import Table

    from cellixir.synthesis.benchmark_summary import heading

    rows: dict[str, dict[str, Any]] = {}
    for record in summary.to_dict("records"):
        rows.setdefault(str(record["model"]), {})[str(record["metric"])] = record
    there = [metric for metric in PRINTED if any(metric in row for row in rows.values())]
    shown = Table(title="Generators, mean ± half of the 95 % interval", title_justify="left")
    shown.add_column("generator")
    for metric in there:
        shown.add_column(heading(metric), justify="right")
    for model, row in rows.items():
        shown.add_row(model, *(_cell(metric, row.get(metric)) for metric in there))
    Console(width=None if sys.stdout.isatty() else 150).print(shown)


def _cell(metric: str, row: dict[str, Any] | None) -> str:
    from cellixir.synthesis.benchmark_summary import number

    if row is None:
        return "–"
    half = row["high"] - row["mean"]
    return number(metric, row["mean"]) + ("" if half != half else f"\n±{number(metric, half)}")
