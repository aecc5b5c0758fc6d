"""``cellixir``: one command, one file a job."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer
import typer.core

from cellixir.cli import data, demo, embed, response, simulate, synthesize, table
from cellixir.exceptions import CellixirError

INTERRUPTED = 130

typer.core.HAS_RICH = False  # plain help; with rich installed, typer 0.20 would escape the brackets of plain help too

app = typer.Typer(
    name="cellixir",
    help="What a drug does to a cell: honest models from expression and genomic data to a served prediction.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.add_typer(response.app, name="response")
app.add_typer(table.app, name="table")
app.add_typer(embed.app, name="embed")
app.add_typer(simulate.app, name="simulate")
app.add_typer(synthesize.app, name="synthesize")
app.add_typer(data.app, name="data")
app.command("demo", help=demo.HELP)(demo.demo)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("cellixir"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Answer to options that belong to no job."""


def _end(number: int, frame: object) -> None:
    """Leave as after an error, so that half-written files are removed."""
    del frame
    sys.exit(128 + number)


def main() -> None:
    """Run the command line; an error of ours is one line on standard error and its exit code."""
    signal.signal(signal.SIGTERM, _end)
    try:
        app()
    except CellixirError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        for note in getattr(error, "__notes__", []):
            typer.echo(f"  {note}", err=True)
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer has turned Ctrl-C into it
            typer.echo("stopped; run the same command again to go on where it was", err=True)
        raise


if __name__ == "__main__":
    main()
