"""``cellixir embed``: one file a command."""

import typer

from cellixir.cli.embed.apply import APPLY_HELP, apply
from cellixir.cli.embed.compare import COMPARE_HELP, compare
from cellixir.cli.embed.enrich import ENRICH_HELP, enrich
from cellixir.cli.embed.fit import FIT_HELP, fit

app = typer.Typer(
    help="What kinds of cells are there, and which pathways tell them apart?", no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip
app.command("fit", help=FIT_HELP)(fit)
app.command("apply", help=APPLY_HELP)(apply)
app.command("enrich", help=ENRICH_HELP)(enrich)
app.command("compare", help=COMPARE_HELP)(compare)
