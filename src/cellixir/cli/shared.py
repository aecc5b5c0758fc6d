"""Options that mean the same in every command, and what commands print."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer
from click.core import ParameterSource

from cellixir.exceptions import ConfigurationError
from cellixir.terminal import printable

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

    from cellixir.runs import Leaderboard

FILES = "h5ad, zarr, 10x .h5, a 10x folder, loom, GCTX or GCT; csv or tsv (also .gz)"
#: Characters of a line where there is no terminal that says its own.
WIDTH = 120

Seed = Annotated[int, typer.Option(min=0, help="Same seed, same result.")]
Jobs = Annotated[int, typer.Option(min=1, help="Processes that work at a time.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Models = Annotated[str | None, typer.Option(metavar="A,B,...", help="Models beside the naive baselines. Default: all.")]
Own = Annotated[
    list[str] | None,
    typer.Option(
        "--model", metavar="MODULE:CLASS", help="A model of your own beside them; may be given more than once."
    ),
]
Folds = Annotated[int, typer.Option(help="Number of folds.")]
Allow = Annotated[
    list[str] | None,
    typer.Option(metavar="KIND[:ID]", help="A finding of the leakage audit that does not stop; may be given again."),
]
Layer = Annotated[str | None, typer.Option(metavar="NAME", help="Layer of the file instead of X; raw is its raw.")]
Scale = Annotated[
    str | None,
    typer.Option(help="What the values are, where the file does not say: counts, log1p_cpm, log2_tpm, zscore, ..."),
]
CellsAre = Annotated[str, typer.Option(help="Side of a csv or tsv table that the cells are on: rows, columns or auto.")]
Labels = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Table about the cells, by id: types, patients, batches.")
]
Backed = Annotated[bool, typer.Option("--backed", help="Leave the matrix on disk (h5ad, zarr, GCTX) and stream it.")]
BatchKey = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of batches, which are corrected for.")]
LabelKey = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of labels, such as cell types.")]
GroupKey = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column of patients or the like: none is on both sides of a split."),
]
FoldKey = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of folds that are given; what they part is said.")
]
ContrastKey = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of groups that differential expression is between.")
]
Condition = Annotated[
    str | None, typer.Option(metavar="A,B,...", help="Columns of obs that samples depend on: batch,group, say.")
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Most epochs of a network. Default: its own.")]
NoMaps = Annotated[bool, typer.Option("--no-maps", help="No t-SNE, UMAP or clusters.")]
Samples = Annotated[Path, typer.Argument(help=f"Cells or samples x genes: {FILES}.")]
GeneSets = Annotated[Path | None, typer.Option(metavar="GMT", help="Pathways, a GMT file.")]


def command_line() -> str:
    """The command that was given, for the manifest and the page."""
    return shlex.join(["cellixir", *sys.argv[1:]])


def echo(text: object, *, err: bool = False) -> None:
    """Print a line, on standard error with ``err``; what names from data would do to a terminal is written out."""
    typer.echo(printable(text), err=err)


def say(note: str) -> None:
    """Write a note on standard error."""
    echo(f"note: {note}", err=True)


def cells_of(
    path: Path,
    layer: str | None = None,
    *,
    backed: bool = False,
    scale: str | None = None,
    cells_are: str = "auto",
    labels: Path | None = None,
) -> ad.AnnData:
    """Samples or cells of a file; what was left out or assumed is said on standard error.

    Parameters
    ----------
    layer, backed, scale, cells_are
        See `cellixir.read_expression`.
    labels
        Table whose columns are joined to those about the cells, by id.
    """
    from cellixir.data.expression.labels import join_labels
    from cellixir.sources.expression import read_expression

    cells = read_expression(path, layer=layer, backed=backed, scale=scale, cells_are=cells_are)  # type: ignore[arg-type]
    if labels is not None:
        join_labels(cells, labels)
    for note in cells.uns.get("notes", []):
        say(str(note))
    return cells


def side_of(path: Path, paths: Iterable[Path], cells_are: str) -> str:
    """``--cells-are`` of one of several files: those that are no tables need none where another one is a table."""
    from cellixir.data.expression.formats import format_of

    if cells_are == "auto" or format_of(path) == "text":
        return cells_are
    return "auto" if any(format_of(other) == "text" for other in paths) else cells_are


def hold(out: Path) -> None:
    """Keep other processes from ``out`` until the command ends.

    Raises
    ------
    ConfigurationError
        If one is at work there.
    """
    from cellixir.files import alone

    click.get_current_context().with_resource(alone(out))


def names_of(text: str | None) -> list[str] | None:
    """Names that a comma parts; None where nothing was given.

    >>> names_of("ridge, network")
    ['ridge', 'network']

    Raises
    ------
    ConfigurationError
        If there is no name between the commas.
    """
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        message = f"'{text}' holds no name; write names with commas between them, or leave the option out"
        raise ConfigurationError(message)
    return names


def refuse_given(names: Sequence[str], why: str) -> None:
    """Refuse options that the command line gives and that would change nothing.

    Raises
    ------
    ConfigurationError
        If one of the parameters ``names`` was given; ``why`` says where it belongs.
    """
    context = click.get_current_context(silent=True)
    given = [n for n in names if context and context.get_parameter_source(n) is ParameterSource.COMMANDLINE]
    if given:
        message = f"--{given[0].replace('_', '-')} {why}; leave it out"
        raise ConfigurationError(message)


def print_board(board: Leaderboard, title: str, metrics: Sequence[str], *, banded: Iterable[str] = ()) -> None:
    """One row a model, best first: its metrics, with intervals for the first and for those ``banded``.

    Parameters
    ----------
    metrics
        Columns of the leaderboard; those without any value are left out.
    """
    from cellixir.metrics.catalogue import heading_of
    from cellixir.metrics.words import bracketed, estimate

    table = board.ranked
    shown = [m for m in metrics if m in table and table[m].notna().any()]
    with_ends = {m for m in (*shown[:1], *banded) if f"{m}_low" in table}
    heads = [heading_of(m, board.catalogue) + (f" [{board.level:.0%}]" if m in with_ends else "") for m in shown]
    rows: list[list[str]] = []
    for row in table.to_dict("records"):
        numbers = {str(key): value for key, value in row.items()}
        decimals = {m: _decimals(board, m) for m in shown}
        cells = [
            bracketed(estimate(numbers, m), decimals[m]) if m in with_ends else _text(numbers[m], decimals[m])
            for m in shown
        ]
        rows.append([str(row["model"]), *cells])
    print_table(["model", *heads], rows, title)


def print_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", *, width: int = WIDTH, words: int = 1
) -> None:
    """A table on standard output: the first ``words`` columns to the left, the others to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=printable(title) or None, title_justify="left")
    for i, head in enumerate(heads):  # where there is no room, heads are parted and cells are not
        widest = max((len(row[i]) for row in rows), default=0)
        table.add_column(printable(head), justify="left" if i < words else "right", min_width=widest)
    for row in rows:
        table.add_row(*map(printable, row))
    Console(width=None if sys.stdout.isatty() else width, markup=False).print(table)


def end_of_run(headline: str, folder: Path, failures: pd.DataFrame | None = None) -> None:
    """Say the headline, what failed and where the page is; exit with 1 where something failed.

    Raises
    ------
    typer.Exit
        With code 1 if a piece failed.
    """
    echo(headline)
    for row in [] if failures is None else failures.to_dict("records"):
        echo(f"failed: {_told(row)}: {row['error']}", err=True)
    echo(f"report: {folder / 'report.html'}")
    if failures is not None and len(failures):
        raise typer.Exit(1)


def _told(row: Mapping[Any, Any]) -> str:
    """Labels of a piece, as one says them; those that it lacks are left out."""
    labels = {k: v for k, v in row.items() if k != "error" and v == v}
    return ", ".join(v if isinstance(v, str) else f"{k} {v:g}" for k, v in labels.items())


def _text(value: Any, decimals: int) -> str:
    """A number, a whole number or yes and no."""
    from cellixir.metrics.words import spelled

    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else spelled(value, decimals)


def _decimals(board: Leaderboard, metric: str) -> int:
    from cellixir.metrics.catalogue import COSTS

    known = board.catalogue.get(metric) or COSTS.get(metric)
    return known.decimals if known else 3
