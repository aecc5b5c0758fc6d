"""``cellixir synthesize evaluate``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.cli import shared
from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    import anndata as ad

    from cellixir.synthesis.evaluation import Evaluation

EVALUATE_HELP = """Are synthetic data faithful, useful and private?

Every number stands between what real held-out data reach and what the training data with shuffled genes do. Give
--real what the generator was fitted on and nothing else: copies are told by what --holdout does not share with it.
Writes metrics.json and report.html to --out.

\b
Examples:
  cellixir synthesize evaluate --real train.h5ad --holdout held_out.h5ad --synthetic made.h5ad --out runs/made
  cellixir synthesize evaluate --real train.h5ad --holdout held_out.h5ad --synthetic made.h5ad
      --contrast-key group --batch-key batch --out runs/made
  cellixir synthesize evaluate --real train.csv --holdout held_out.csv --labels samples.csv --synthetic made.csv
      --synthetic-labels made.obs.csv --contrast-key group --out runs/made
"""


def evaluate(
    real: Annotated[Path, typer.Option(help=f"What the generator was fitted on: {shared.FILES}.")],
    holdout: Annotated[Path, typer.Option(help="Real samples that it has not seen.")],
    synthetic: Annotated[Path, typer.Option(help="What it has drawn.")],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and report.html.")],
    contrast_key: shared.ContrastKey = None,
    batch_key: shared.BatchKey = None,
    label_key: shared.LabelKey = None,
    layer: Annotated[str | None, typer.Option(metavar="NAME", help="Layer of the two real files instead of X.")] = None,
    scale: shared.Scale = None,
    cells_are: shared.CellsAre = "auto",
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Table about the real samples, by id: groups, batches.")
    ] = None,
    synthetic_labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same of the synthetic ones: NAME.obs.csv of 'sample'.")
    ] = None,
    no_maps: shared.NoMaps = False,
    seed: shared.Seed = 0,
) -> None:
    """Read, judge, write, and print verdicts and numbers."""
    _refuse_twice(real, holdout, synthetic)

    from cellixir.synthesis.evaluation_job import run_evaluation

    def read(path: Path, layer: str | None, labels: Path | None) -> ad.AnnData:
        side = shared.side_of(path, (real, holdout, synthetic), cells_are)
        return shared.cells_of(path, layer, scale=scale, cells_are=side, labels=labels)

    found = run_evaluation(
        partial(read, real, layer, labels), partial(read, holdout, layer, labels),
        partial(read, synthetic, None, synthetic_labels), out,
        contrast_key=contrast_key, batch_key=batch_key, label_key=label_key, seed=seed, maps=not no_maps,
        name=f"Synthetic data: {synthetic.stem}", command=shared.command_line(),
    )  # fmt: skip
    for note in found.notes:
        shared.say(note)
    _print(found)
    said = [f"{verdict.sentence} {verdict.advice}".rstrip() for verdict in found.verdicts]
    shared.end_of_run("\n".join(said), out)


def _refuse_twice(*given: Path) -> None:
    """Refuse a file that is given twice."""
    places = [path.resolve() for path in given]
    twice = [path for path in given if places.count(path.resolve()) > 1]
    if twice:
        message = f"{twice[0]} is given twice; --real, --holdout and --synthetic are three different files"
        raise ConfigurationError(message)


def _print(found: Evaluation) -> None:
    from cellixir.metrics.catalogue import GENERATIVE
    from cellixir.synthesis.benchmark_summary import number

    rows = []
    for row in found.table.to_dict("records"):
        metric = str(row["metric"])
        value, low, high, *controls = (number(metric, row[c]) for c in ("value", "low", "high", "ceiling", "floor"))
        ends = "" if low == "–" else f" [{low}, {high}]"
        rows.append([GENERATIVE[metric].words, f"{value}{ends}", *controls, str(row["verdict"])])
    heads = ("metric", "synthetic [95 %]", "real", "shuffled", "verdict")
    shared.print_table(heads, rows, "Synthetic data between real held-out data and shuffled genes")
