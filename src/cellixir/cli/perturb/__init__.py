"""``cellixir perturb``: one file a command."""

import typer

from cellixir.cli.perturb.benchmark import BENCHMARK_HELP, benchmark
from cellixir.cli.perturb.compare import COMPARE_HELP, compare
from cellixir.cli.perturb.evaluate import EVALUATE_HELP, evaluate
from cellixir.cli.perturb.fit import FIT_HELP, fit
from cellixir.cli.perturb.predict import PREDICT_HELP, predict
from cellixir.cli.perturb.query import QUERY_HELP, query

app = typer.Typer(
    help="What does a drug, a dose or a pair of drugs do to the transcriptome?", no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip
app.command("benchmark", help=BENCHMARK_HELP)(benchmark)
app.command("compare", help=COMPARE_HELP)(compare)
app.command("fit", help=FIT_HELP)(fit)
app.command("predict", help=PREDICT_HELP)(predict)
app.command("evaluate", help=EVALUATE_HELP)(evaluate)
app.command("query", help=QUERY_HELP)(query)
