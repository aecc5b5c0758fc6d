"""``cellixir data``: which public files there are, and getting them."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellixir.cli.shared import echo
from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(
    help="List the public data sets and fetch them, verified.", no_args_is_help=True, rich_markup_mode=None
)

# \b keeps the lines of a paragraph as they are.
_LIST_HELP = """List every public file: key, content, size, licence, and whether it is at hand.

\b
Examples:
  cellixir data list
  cellixir data list --json > data.json
"""
_GET_HELP = """Get files by key, or all files of a collection; prints the path of each verified file.

What is in CELLIXIR_DATA_DIR or in the cache is used; the rest is downloaded into the cache.

A download that was cut off goes on when the command is run again.

\b
Examples:
  cellixir data get gdsc-v17
  cellixir data get genesets-hallmark genesets-reactome --out genesets

\b
Environment:
  CELLIXIR_DATA_DIR   folder with files that you already have; only read
  CELLIXIR_CACHE_DIR  folder for downloads, instead of the system's cache
  CELLIXIR_OFFLINE=1  never download
"""


@app.command("list", help=_LIST_HELP)
def list_sources(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Print every public file as a table, or as JSON."""
    rows = _rows()
    if as_json:
        from cellixir.sources.registry import collections

        echo(json.dumps({"files": rows, "collections": collections()}, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    # A pipe has no width: lines stay whole there, so that grep finds them.
    Console(width=None if sys.stdout.isatty() else 400).print(_table(rows))
    echo(_collection_lines())
    echo("The licence is that of the publishing repository; what follows '!' binds whoever uses the data.")


@app.command("get", help=_GET_HELP)
def get(
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="Keys or collections of 'data list'.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to copy the verified files to.", file_okay=False)
    ] = None,
) -> None:
    """Print the path of each verified file, and the terms that bind its user."""
    from cellixir.sources.registry import expand, fetch, sources

    wanted = expand(keys)
    for key in wanted:
        path = fetch(key)
        echo(_copy(path, out) if out is not None else path)
    for terms in dict.fromkeys(sources()[key].terms for key in wanted):
        if terms:
            echo(f"! {terms}", err=True)


def _rows() -> list[dict[str, Any]]:
    from cellixir.sources.registry import at_hand, sources

    return [{**asdict(source), "at_hand": at_hand(key)} for key, source in sources().items()]


def _table(rows: list[dict[str, Any]]) -> Table:
    from rich.filesize import decimal
    from rich.table import Table
    from rich.text import Text

    table = Table("key", "what", "size", "licence", "at hand", box=None, padding=(0, 2, 0, 0))
    table.columns[0].no_wrap = table.columns[2].no_wrap = True
    table.columns[2].justify = "right"
    for row in rows:
        licence = f"{row['licence']} ! {row['terms']}" if row["terms"] else row["licence"]
        cells = (row["key"], row["what"], decimal(row["bytes"]), licence, row["at_hand"])
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _collection_lines() -> str:
    from cellixir.sources.registry import collections

    lines = (f"{name} = {' '.join(keys)}" for name, keys in collections().items())
    return "\n".join(["", "Collections:", *lines, ""])


def _copy(path: Path, folder: Path) -> Path:
    """Path of the copy in the folder; the name appears there only when the copy is complete."""
    target = folder / path.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.samefile(path):
            return target
        with tempfile.TemporaryDirectory(prefix=".cellixir-", dir=folder) as work:
            copied = Path(shutil.copyfile(path, Path(work) / path.name))
            copied.replace(target)
    except OSError as error:
        message = f"cannot write {target} ({error.strerror or error}): choose another folder with --out"
        raise ConfigurationError(message) from error
    return target
