"""``cellixir synthesize benchmark``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellixir.cli import shared
from cellixir.cli.synthesize.options import epochs_of
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

A generator of your own (--model) is a class with fit(samples) and sample(n); its argument seed, if it has
one, is set.

\b
Examples:
  cellixir simulate bulk --n-datasets 10 --out sims
  cellixir synthesize benchmark sims/*.h5ad --contrast-key group --batch-key batch --out runs/sims
  cellixir synthesize benchmark cells.h5ad --models copula,cvae --contrast-key condition --seeds 3 --out runs/cells
  cellixir synthesize benchmark cells.h5ad --models copula --model my_generators:Mine --out runs/mine
"""
#: Columns of the table that is printed.
PRINTED = (
    "precision", "recall", "c2st", "de_f1", "lfc_slope", "tstr_ratio", "dcr_share", "authenticity", "fit_seconds",
)  # fmt: skip


def benchmark(
    data: Annotated[list[Path], typer.Argument(help=f"Data sets, samples x genes: {shared.FILES}.")],
    out: Annotated[Path, typer.Option(help="Folder for tables, pages and finished pieces.")],
    models: shared.Models = None,
    own: shared.Own = None,
    condition: shared.Condition = None,
    contrast_key: shared.ContrastKey = None,
    batch_key: shared.BatchKey = None,
    label_key: shared.LabelKey = None,
    holdout: Annotated[float, typer.Option(help="Share of the samples that no generator sees.")] = 0.25,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions, each with another part held out.")] = 1,
    epochs: shared.Epochs = None,
    layer: shared.Layer = None,
    scale: shared.Scale = None,
    cells_are: shared.CellsAre = "auto",
    labels: shared.Labels = None,
    jobs: shared.Jobs = 1,
) -> None:
    """Run what is still to be done, write, and print the table."""
    from cellixir.runs.own import own_class
    from cellixir.synthesis.benchmark_job import benchmark as run
    from cellixir.synthesis.models import GENERATORS

    if labels is not None and len(data) > 1:
        message = f"--labels {labels} is about one data set, and {len(data)} are given; give them one at a time"
        raise ConfigurationError(message)
    names = shared.names_of(models) or list(GENERATORS)
    others = {name: partial(_made, own_class(name, needs=("fit", "sample"))) for name in own or []}
    sources = _sources(data, cells_are, layer=layer, scale=scale, labels=labels)
    found = run(
        sources, out, models=names, others=others, condition=shared.names_of(condition) or (),
        contrast_key=contrast_key, batch_key=batch_key, label_key=label_key, holdout=holdout, seeds=seeds,
        settings=epochs_of(names, epochs), jobs=jobs, command=shared.command_line(), quiet=False,
    )  # fmt: skip
    _print(found.summary)
    shared.end_of_run(found.headline, found.folder, found.failures)


def _made(kind: type[Any], seed: int) -> Any:
    from cellixir.runs.own import accepted

    return kind(**accepted(kind, seed=seed))


def _sources(data: list[Path], cells_are: str, **options: Any) -> dict[str, Callable[[], ad.AnnData]]:
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
        side = shared.side_of(path, data, cells_are)
        found[name] = partial(shared.cells_of, path, cells_are=side, **options)
    return found


def _print(summary: pd.DataFrame) -> None:
    from cellixir.synthesis.benchmark_summary import METRICS, cell

    rows = {(str(row["model"]), str(row["metric"])): cell(row, "\n±") for row in summary.to_dict("records")}
    models = summary["model"].unique()
    there = [metric for metric in PRINTED if metric in set(summary["metric"])]
    table = [[model, *(rows.get((model, metric), "–") for metric in there)] for model in models]
    heads = ["generator", *(METRICS[metric].heading for metric in there)]
    shared.print_table(heads, table, "Generators, mean ± half of the 95 % interval", width=150)
