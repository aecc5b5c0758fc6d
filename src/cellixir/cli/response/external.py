"""``cellixir response benchmark --external-response``: fit on one study, judge on another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

import typer

from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from cellixir.data.response_data import ResponseData


def benchmark_external(data: ResponseData, external: ResponseData, out: Path, *, remove: str, **options: Any) -> None:
    """Run the cross-study evaluation, print its leaderboard and where the report is."""
    from cellixir.cli.response.leaderboard import print_any_leaderboard
    from cellixir.response.cross_study.run import Remove, cross_study

    if remove not in get_args(Remove):
        message = f"--overlap '{remove}' is unknown; choose one of {', '.join(get_args(Remove))}"
        raise ConfigurationError(message)
    result = cross_study(data, external, out, remove=cast("Remove", remove), quiet=False, **options)
    said = {*data.notes, *external.notes}  # when the studies were read
    for note in result.notes:
        if note.partition(" study: ")[2] not in said:
            typer.echo(f"note: {note}", err=True)
    print_any_leaderboard(result.leaderboard, "fitted on the first study, judged on the other")
    typer.echo(result.headline)
    typer.echo(f"report: {result.folder / 'report.html'}")
