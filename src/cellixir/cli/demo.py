"""``cellixir demo``: the main job, on real data where it can be had."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.cli.shared import Jobs, Seed, command_line, echo, names_of

#: Fewer than the benchmark has, so that the demo is short.
FOLDS, MEMBERS = 2, 1

if TYPE_CHECKING:
    from cellixir.data.response_data import ResponseData

HELP = """Judge the network beside the naive baselines on real GDSC v17 and write the report.

The files are taken from CELLIXIR_DATA_DIR or downloaded. Where neither is possible the same job runs on a
small simulated cohort, and says so. So that it ends within three minutes on two slow cores, it has two folds and
one network instead of a committee; the command of the full benchmark is printed.

\b
Examples:
  cellixir demo
  cellixir demo --split LPO --out demo-lpo
"""


def demo(
    out: Annotated[Path, typer.Option(help="Folder for tables and report.")] = Path("demo"),
    split: Annotated[str, typer.Option(help="Who is new: LPO, LCO, LDO or LTO.")] = "LCO",
    models: Annotated[
        str, typer.Option(metavar="A,B,...", help="Models beside the naive baselines.")
    ] = "ridge,network",
    jobs: Jobs = 1,
    seed: Seed = 0,
) -> None:
    """Run the benchmark and say where the report is."""
    from cellixir.cli.response.benchmark import print_benchmark
    from cellixir.response.cross_validation.models import Options
    from cellixir.response.cross_validation.run import benchmark as run

    real = _real()
    data = real or _simulated()
    echo(f"short: {FOLDS} folds, {MEMBERS} network a committee; errors are a little higher than in full")
    if real:
        full = f"--dataset gdsc-v17 --split {split} --models {models} --out {out}-full"
        echo(f"full (5 folds, whole committees): cellixir response benchmark {full}")
    result = run(
        data,
        split,
        out.resolve() / data.source.split()[0].lower(),
        models=names_of(models),
        n_folds=FOLDS,
        seed=seed,
        options=Options(members=MEMBERS),
        jobs=jobs,
        command=command_line(),
        quiet=False,
    )
    print_benchmark(result, f"{data.source}: {split}, {len(data):,} pairs")


def _real() -> ResponseData | None:
    from cellixir.exceptions import SourceError
    from cellixir.sources.gdsc import load_gdsc_v17

    try:
        data = load_gdsc_v17()
    except SourceError as error:
        echo(f"NOT REAL DATA: GDSC v17 cannot be had here ({error}).", err=True)
        echo("NOT REAL DATA: the same job runs on a small simulated cohort with planted biomarkers.", err=True)
        return None
    echo(f"GDSC v17: {len(data):,} measured pairs, {len(data.samples):,} cell lines, {len(data.drugs):,} drugs")
    return data


def _simulated() -> ResponseData:
    from cellixir.data.simulate import simulate_cohort

    return simulate_cohort(n_samples=200, n_genes=120).response_data()
