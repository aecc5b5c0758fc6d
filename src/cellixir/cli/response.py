"""``cellixir response``: benchmark models, fit one, predict with it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd
    from rich.table import Table

    from cellixir.data.response_data import ResponseData

app = typer.Typer(help="How will this tumour respond to this drug?", no_args_is_help=True, rich_markup_mode=None)

Dataset = Annotated[str | None, typer.Option(help="A public data set: gdsc-v17. Instead of --response.")]
Response = Annotated[
    Path | None,
    typer.Option(help="Responses: samples x drugs, or columns sample, drug, response; csv, tsv, gz, xlsx, parquet."),
]
Omics = Annotated[
    list[str] | None, typer.Option(metavar="VIEW=FILE", help="Features of the samples; may be given more than once.")
]
Drugs = Annotated[Path | None, typer.Option(help="Drug list: id or name, and any of smiles, targets, pathway.")]
Samples = Annotated[Path | None, typer.Option(help="Sample annotation: id, tissue, ...")]
Split = Annotated[str, typer.Option(help="Who is new: LPO pairs, LCO cell lines, LDO drugs, LTO tissues.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same result.")]

_BENCHMARK = """Say how well response can be predicted here, and by which model.

Every model is judged in k-fold cross-validation beside the naive baselines. Writes leaderboard.csv,
predictions.parquet, split.csv.gz and report.html to --out; a run that was stopped goes on when the command is
given again.

\b
Examples:
  cellixir response benchmark --dataset gdsc-v17 --split LCO --out runs/lco
  cellixir response benchmark --dataset gdsc-v17 --split LDO --models network,random_forest --out runs/ldo
  cellixir response benchmark --response ic50.csv --omics expression=tpm.csv.gz --split LCO --out runs/mine
"""
_FIT = """Fit the network on all measured pairs and save it as a bundle; an older bundle there is replaced.

\b
Examples:
  cellixir response fit --dataset gdsc-v17 --out gdsc.bundle
  cellixir response fit --response ic50.csv --omics expression=tpm.csv.gz --split LCO --out mine.bundle
"""
_PREDICT = """Rank drugs for new samples with a bundle; the most sensitive first.

Genes are matched by name. 'typical_error' is the root mean square error of the drug on samples held out of the fit.
Give the annotation the model uses (tissue, ...) with --samples: it counts for much.

\b
Examples:
  cellixir response predict gdsc.bundle --omics genomic=new_lines.csv --samples new_lines_tissue.csv --out ranked.csv
  cellixir response predict mine.bundle --omics expression=patients.csv.gz --missing mean --out ranked.csv
"""


@app.command("benchmark", help=_BENCHMARK)
def benchmark(
    out: Annotated[Path, typer.Option(help="Folder for tables and report.")],
    dataset: Dataset = None,
    response: Response = None,
    omics: Omics = None,
    drugs: Drugs = None,
    samples: Samples = None,
    split: Split = "LCO",
    models: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Models beside the naive baselines. Default: all.")
    ] = None,
    folds: Annotated[int, typer.Option(help="Number of folds.")] = 5,
    split_file: Annotated[Path | None, typer.Option(help="Folds from a file (split.csv.gz of an earlier run).")] = None,
    seed: Seed = 0,
) -> None:
    """Run the benchmark and print the leaderboard."""
    from cellixir.response.models import chosen_models

    names = [name.strip() for name in models.split(",") if name.strip()] if models else None
    chosen_models(names, split)
    data = _data(dataset, response, omics, drugs, samples)

    from cellixir.data.splits import read_folds
    from cellixir.response.benchmark import run_benchmark

    result = run_benchmark(
        data,
        split,
        out,
        models=names,
        n_folds=folds,
        seed=seed,
        folds=read_folds(split_file, data, split) if split_file else None,
        command=shlex.join(["cellixir", *sys.argv[1:]]),
        quiet=False,
    )
    print_leaderboard(result.overall, f"{split}, {len(data):,} pairs, {data.measure}")
    typer.echo(result.headline)
    typer.echo(f"report: {result.folder / 'report.html'}")


@app.command("fit", help=_FIT)
def fit(
    out: Annotated[Path, typer.Option(help="Folder for the bundle.")],
    dataset: Dataset = None,
    response: Response = None,
    omics: Omics = None,
    drugs: Drugs = None,
    samples: Samples = None,
    split: Split = "LCO",
    members: Annotated[int | None, typer.Option(help="Networks in the committee. Default: by split.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    seed: Seed = 0,
) -> None:
    """Fit, with a checkpoint after each epoch beside the bundle, and save."""
    from cellixir.response.predictor import ResponsePredictor
    from cellixir.training import Bars, Epoch

    model = ResponsePredictor(split, members=members, seed=seed, device=device)
    model.check_target(out)
    data = _data(dataset, response, omics, drugs, samples)
    limit, n_members = model.preset.training.max_epochs, model.preset.members
    checkpoint = out.with_name(f".{out.name}.checkpoint")
    with Bars("fit", n_members) as bars:

        def show(member: int, epoch: Epoch) -> None:
            if epoch.epoch == 0 and member:
                bars.done()
            bars.epoch(member, epoch, limit)

        model.fit(data, checkpoint=checkpoint, on_epoch=show)
    model.save(out)
    _forget(checkpoint)
    typer.echo(f"bundle: {out}")


@app.command("predict", help=_PREDICT)
def predict(
    bundle: Annotated[Path, typer.Argument(help="Folder that 'fit' wrote.")],
    out: Annotated[Path, typer.Option(help="Table to write: sample, drug, predicted, ..., ranked within a sample.")],
    omics: Omics = None,
    drugs: Drugs = None,
    samples: Samples = None,
    missing: Annotated[
        str,
        typer.Option(help="Features of the model that the file lacks: refuse (error), or fill with mean or zero."),
    ] = "error",
    top: Annotated[int, typer.Option(help="Drugs to print for the first samples.")] = 5,
    seed: Annotated[int, typer.Option(help="Accepted for uniformity; prediction draws nothing.")] = 0,
) -> None:
    """Predict every sample against every drug and write the ranked table."""
    if missing not in ("error", "mean", "zero"):
        message = f"--missing '{missing}' is unknown; write error, mean or zero"
        raise ConfigurationError(message)
    from cellixir.data.drugs import read_drugs
    from cellixir.response.inputs import parse_views, read_samples, read_views
    from cellixir.response.predictor import ResponsePredictor
    from cellixir.response.ranking import check_ranking_file, rank, write_ranking

    files = parse_views(omics or [])
    check_ranking_file(out, [*files.values(), *(p for p in (drugs, samples) if p)], bundle)
    model = ResponsePredictor.load(bundle)
    ranked = rank(
        model,
        read_views(files),
        drugs=read_drugs(drugs) if drugs else None,
        samples=read_samples(samples) if samples else None,
        missing=missing,
        on_note=lambda note: typer.echo(f"note: {note}", err=True),
    )
    write_ranking(ranked, out)
    _print_top(ranked, top, f"{model.measure_} in {model.unit_}" if model.unit_ else model.measure_)
    typer.echo(f"{len(ranked):,} predictions: {out}")


def _data(
    dataset: str | None, response: Path | None, omics: list[str] | None, drugs: Path | None, samples: Path | None
) -> ResponseData:
    """Data of the options; what was left out is said on standard error."""
    from cellixir.response.inputs import load_dataset, parse_views, read_inputs

    if (dataset is None) == (response is None):
        message = "give either --dataset NAME or --response FILE"
        raise ConfigurationError(message)
    if dataset is not None:
        if omics or drugs or samples:
            message = "--dataset brings its own omics, drugs and samples; give --response FILE to use your own"
            raise ConfigurationError(message)
        data = load_dataset(dataset)
    elif response is not None:
        data = read_inputs(response, omics=parse_views(omics or []), drugs=drugs, samples=samples)
    for note in data.notes:
        typer.echo(f"note: {note}", err=True)
    return data


def _forget(checkpoint: Path) -> None:
    import shutil

    shutil.rmtree(checkpoint, ignore_errors=True)


def print_leaderboard(overall: pd.DataFrame, title: str) -> None:
    """Print one row a model with its intervals."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 120).print(leaderboard_table(overall, title))


def leaderboard_table(overall: pd.DataFrame, title: str) -> Table:
    """The leaderboard as a table for a terminal."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("model")
    for column in ("RMSE [95 %]", "R2", "normalised Pearson [95 %]", "per-drug Pearson", "seconds"):
        table.add_column(column, justify="right")
    for row in overall.to_dict(orient="records"):
        table.add_row(
            row["model"],
            f"{row['rmse']:.3f} [{row['rmse_low']:.3f}, {row['rmse_high']:.3f}]",
            f"{row['r2']:.3f}",
            _with_interval(row, "normalised_pearson"),
            _number(row["per_drug_pearson"]),
            f"{row['seconds']:,.1f}",
        )
    return table


def _with_interval(row: Mapping[Hashable, float], name: str) -> str:
    if row[name] != row[name]:
        return "-"
    return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"


def _print_top(ranked: pd.DataFrame, top: int, measure: str) -> None:
    if top <= 0:
        return
    from rich.console import Console
    from rich.table import Table

    label = "drug_name" if "drug_name" in ranked else "drug"
    samples = list(dict.fromkeys(ranked["sample"]))
    n_drugs = ranked["drug"].nunique()
    title = f"{min(top, n_drugs)} most sensitive of {n_drugs} drugs, {measure}"
    table = Table(title=title, title_justify="left")
    for column in ("sample", "drug", "predicted", "typical error"):
        table.add_column(column)
    for sample in samples[:3]:
        for row in ranked[ranked["sample"] == sample].head(top).to_dict(orient="records"):
            table.add_row(sample, str(row[label]), f"{row['predicted']:.2f}", f"{row['typical_error']:.2f}")
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    if len(samples) > 3:
        typer.echo(f"and {len(samples) - 3:,} more samples")
