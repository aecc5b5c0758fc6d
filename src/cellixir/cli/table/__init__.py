"""``cellixir table``: one file a command."""

import typer

from cellixir.cli.table.audit import AUDIT_HELP, audit
from cellixir.cli.table.benchmark import BENCHMARK_HELP, benchmark

app = typer.Typer(help="Can this column be predicted from the others?", no_args_is_help=True, rich_markup_mode=None)
app.command("benchmark", help=BENCHMARK_HELP)(benchmark)
app.command("audit", help=AUDIT_HELP)(audit)
