"""``cellixir synthesize evaluate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.cli.embed.options import cells_of, say
from cellixir.cli.synthesize.options import FILES, BatchKey, GroupKey, LabelKey, Seed
from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from cellixir.synthesis.evaluation import Evaluation

EVALUATE_HELP = """Are synthetic data faithful, useful and private?

Every number stands between what real held-out data reach and what the training data with shuffled genes do. Give
--real what the generator was fitted on and nothing else: copies are told by what --holdout does not share with it.
Writes metrics.json and report.html to --out.

\b
Examples:
  cellixir synthesize evaluate --real train.h5ad --holdout held_out.h5ad --synthetic made.h5ad --out runs/made
  cellixir synthesize evaluate --real train.h5ad --holdout held_out.h5ad --synthetic made.h5ad
      --group-key group --batch-key batch --out runs/made
"""


def evaluate(
    real: Annotated[Path, typer.Option(help=f"What the generator was fitted on: {FILES}.")],
    holdout: Annotated[Path, typer.Option(help="Real samples that it has not seen.")],
    synthetic: Annotated[Path, typer.Option(help="What it has drawn.")],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and report.html.")],
    group_key: GroupKey = None,
    batch_key: BatchKey = None,
    label_key: LabelKey = None,
    layer: Annotated[str | None, typer.Option(metavar="NAME", help="Layer of the two real files instead of X.")] = None,
    no_maps: Annotated[bool, typer.Option("--no-maps", help="No t-SNE.")] = False,
    seed: Seed = 0,
) -> None:
    """Read, judge, write, and print verdicts and numbers."""
    _check(real, holdout, synthetic, out)

    from cellixir.synthesis.evaluation import evaluate as evaluated
    from cellixir.synthesis.report import write_evaluation

    found = evaluated(
        cells_of(real, layer), cells_of(holdout, layer), cells_of(synthetic),
        group_key=group_key, batch_key=batch_key, label_key=label_key, seed=seed, maps=not no_maps,
    )  # fmt: skip
    page = write_evaluation(out, found, name=f"Synthetic data: {synthetic.stem}")
    for note in found.notes:
        say(note)
    _print(found)
    for verdict in found.verdicts:
        typer.echo(verdict.sentence)
    typer.echo(f"report: {page}")


def _check(real: Path, holdout: Path, synthetic: Path, out: Path) -> None:
    """Refuse a file that is given twice, and a folder that holds something else."""
    given = {"--real": real, "--holdout": holdout, "--synthetic": synthetic}
    places = [path.resolve() for path in given.values()]
    if len(set(places)) < len(places):
        twice = next(path for path in given.values() if places.count(path.resolve()) > 1)
        message = f"{twice} is given twice; --real, --holdout and --synthetic are three different files"
        raise ConfigurationError(message)
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not _is_evaluation(out / "metrics.json")):
        message = f"{out} exists and is or holds other things than an evaluation; choose another --out"
        raise ConfigurationError(message)


def _is_evaluation(file: Path) -> bool:
    try:
        return "verdicts" in json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def _print(found: Evaluation) -> None:
    from rich.console import Console
    from rich.table import Table

    from cellixir.metrics.catalogue import GENERATIVE
    from cellixir.synthesis.benchmark_summary import number

    shown = Table(title="Synthetic data between real held-out data and shuffled genes", title_justify="left")
    for column in ("metric", "synthetic [95 %]", "real", "shuffled", "verdict"):
        shown.add_column(column, justify="left" if column in ("metric", "verdict") else "right")
    family = ""
    for row in found.table.to_dict("records"):
        if family and row["family"] != family:
            shown.add_section()
        family = row["family"]
        metric = str(row["metric"])
        value, low, high, *controls = (number(metric, row[c]) for c in ("value", "low", "high", "ceiling", "floor"))
        ends = "" if low == "–" else f" [{low}, {high}]"
        shown.add_row(GENERATIVE[metric].words, f"{value}{ends}", *controls, row["verdict"])
    Console(width=None if sys.stdout.isatty() else 120).print(shown)
