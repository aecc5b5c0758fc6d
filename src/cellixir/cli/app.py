"""``cellixir``: one command, one file a job."""

from __future__ import annotations

import errno
import os
import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, TextIO

import typer
import typer.core

from cellixir.cli import data, demo, embed, perturb, response, simulate, synthesize, table
from cellixir.cli.shared import echo
from cellixir.exceptions import CellixirError

INTERRUPTED = 130
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

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
app.add_typer(perturb.app, name="perturb")
app.add_typer(simulate.app, name="simulate")
app.add_typer(synthesize.app, name="synthesize")
app.add_typer(data.app, name="data")
app.command("demo", help=demo.HELP)(demo.demo)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        echo(version("cellixir"))
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
    sys.stdout, sys.stderr = _stream(sys.stdout), _stream(sys.stderr)
    sys.exit(_flushed(_done()))


def _stream(stream: TextIO | None) -> TextIO:
    """Stream that takes any letter, also where a terminal knows ASCII only; one that is closed swallows all."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _done() -> int | str | None:
    """Exit code of the command."""
    try:
        app()
    except CellixirError as error:
        echo(f"error: {' '.join(str(error).split())}", err=True)
        for note in getattr(error, "__notes__", []):
            echo(f"  {note}", err=True)
        return error.exit_code
    except MemoryError:
        echo("error: there is not enough memory for this; give fewer samples or genes, or a larger machine", err=True)
        return CellixirError.exit_code
    except OSError as error:
        if error.errno not in _FULL:
            raise
        return _not_written(error)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer has turned Ctrl-C into it
            echo("stopped; run the same command again to go on where it was", err=True)
        return end.code
    return 0


def _flushed(code: int | str | None) -> int | str | None:
    """Exit code, once all is written that was printed; whoever closed the pipe (``| head``) is told nothing."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # what is left in the buffer would be tried again, and complained about, when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return (code or 1) if error.errno == errno.EPIPE else _not_written(error)
    return code


def _not_written(error: OSError) -> int:
    place = error.filename or "standard output, or a file,"
    echo(f"error: {place} cannot be written ({error.strerror or error}); make room, or choose another place", err=True)
    return CellixirError.exit_code


if __name__ == "__main__":
    main()
