"""``cellixir response``: one file a command."""

import typer

from cellixir.cli.response.anova import ANOVA_HELP, anova
from cellixir.cli.response.audit import AUDIT_HELP, audit
from cellixir.cli.response.benchmark import BENCHMARK_HELP, benchmark
from cellixir.cli.response.cross_study import CROSS_STUDY_HELP, cross_study
from cellixir.cli.response.fit import FIT_HELP, fit
from cellixir.cli.response.options import with_reading
from cellixir.cli.response.predict import PREDICT_HELP, predict

app = typer.Typer(help="How will this tumour respond to this drug?", no_args_is_help=True, rich_markup_mode=None)
app.command("benchmark", help=BENCHMARK_HELP)(with_reading(benchmark))
app.command("cross-study", help=CROSS_STUDY_HELP)(with_reading(cross_study))
app.command("fit", help=FIT_HELP)(with_reading(fit))
app.command("predict", help=PREDICT_HELP)(predict)
app.command("anova", help=ANOVA_HELP)(with_reading(anova))
app.command("audit", help=AUDIT_HELP)(with_reading(audit))
