"""``cellixir synthesize``: one file a command."""

import typer

from cellixir.cli.synthesize.benchmark import BENCHMARK_HELP, benchmark
from cellixir.cli.synthesize.evaluate import EVALUATE_HELP, evaluate
from cellixir.cli.synthesize.fit import FIT_HELP, fit
from cellixir.cli.synthesize.sample import SAMPLE_HELP, sample
from cellixir.cli.synthesize.split import SPLIT_HELP, split

app = typer.Typer(
    help="More data like mine: faithful, useful, and safe to share?", no_args_is_help=True, rich_markup_mode=None
)
app.command("split", help=SPLIT_HELP)(split)
app.command("fit", help=FIT_HELP)(fit)
app.command("sample", help=SAMPLE_HELP)(sample)
app.command("evaluate", help=EVALUATE_HELP)(evaluate)
app.command("benchmark", help=BENCHMARK_HELP)(benchmark)
