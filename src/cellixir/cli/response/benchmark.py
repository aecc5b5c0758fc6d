"""``cellixir response benchmark``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from cellixir.cli.response.leaderboard import print_class_leaderboard, print_leaderboard
from cellixir.cli.response.options import (
    READING,
    Allow,
    Dataset,
    DrugEncoder,
    Drugs,
    Encoder,
    GeneSets,
    Ids,
    Omics,
    Preprocess,
    Require,
    Response,
    Samples,
    Seed,
    Split,
    Views,
    data_of,
    names_of,
    reading_of,
    refuse_given,
)
from cellixir.cli.shared import Own
from cellixir.exceptions import ConfigurationError

BENCHMARK_HELP = """Say how well response can be predicted here, and by which model.

Every model is judged in k-fold cross-validation beside the naive baselines. Writes leaderboard.csv,
predictions.parquet, split.csv.gz and report.html to --out; a run that was stopped goes on when the command is
given again.

\b
Examples:
  cellixir response benchmark --dataset gdsc-v17 --split LCO --out runs/lco
  cellixir response benchmark --dataset gdsc-v17 --split LDO --models network,random_forest --out runs/ldo
  cellixir response benchmark --response ic50.csv --omics expression=tpm.csv.gz --split LCO --out runs/mine
  cellixir response benchmark --response ic50.csv --omics expression=tpm.csv.gz --omics methylation=rrbs.csv
      --require expression --models network,network:conv1d,network:transformer,xgboost --out runs/encoders
  cellixir response benchmark --dataset gdsc-v17 --split LCO --task classification --label zscore=-1 --out runs/classes
  cellixir response benchmark --dataset gdsc-v17 --split LCO --models network --interval .9 --out runs/intervals
  cellixir response benchmark --dataset gdsc-v17 --split LCO --models ridge --model my_models:MyRidge --out runs/own
  cellixir response benchmark --response gdsc.csv --omics expression=gdsc_tpm.csv --external-response ccle.csv
      --external-omics expression=ccle_tpm.csv --models network,ridge --out runs/external
  cellixir response benchmark --table anova.csv --target ic50_effect_size --drop log_ic50_mean_pos --out runs/table

A leakage audit runs first and stops what leaks with exit code 3 (--allow KIND lets a finding pass).
A sample that lacks a view is masked there. 'network:NAME' is the network with that encoder of samples or drugs,
'deep' and 'deep:NAME' are the same without the linear part.
"""

OF_TABLES = ("target", "group", "drop")
OF_RESPONSES = (
    "omics", "drugs", "samples", "ids", "require", "views", "split", "split_file", "label", "sensitive", "encoder",
    "drug_encoder", "gene_sets", "model", "external_response", "external_omics", "external_drugs", "external_samples",
    "external_unit", "overlap",
)  # fmt: skip
OF_EXTERNAL = ("external_omics", "external_unit", "external_drugs", "external_samples", "overlap")
OF_FOLDS = ("folds", "split_file", "task", "label", "sensitive")


def benchmark(
    out: Annotated[Path, typer.Option(help="Folder for tables and report.")],
    dataset: Dataset = None,
    response: Response = None,
    omics: Omics = None,
    drugs: Drugs = None,
    samples: Samples = None,
    ids: Ids = None,
    require: Require = None,
    views: Views = None,
    split: Split = "LCO",
    models: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Models beside the naive baselines. Default: all.")
    ] = None,
    model: Own = None,
    folds: Annotated[int, typer.Option(help="Number of folds.")] = 5,
    split_file: Annotated[Path | None, typer.Option(help="Folds from a file (split.csv.gz of an earlier run).")] = None,
    task: Annotated[str, typer.Option(help="regression or classification; with --table also auto.")] = "",
    label: Annotated[
        str, typer.Option(metavar="RULE", help="Sensitive below the drug's median, zscore=-1, or threshold=VALUE.")
    ] = "median",
    sensitive: Annotated[
        str, typer.Option(help="Side of the label's threshold that is sensitive: below, above.")
    ] = "below",
    interval: Annotated[
        float | None, typer.Option(help="Intervals of the network that hold so much, 0.9 say, and their coverage.")
    ] = None,
    encoder: Encoder = "dense",
    drug_encoder: DrugEncoder = "fingerprint",
    preprocess: Preprocess = "",
    gene_sets: GeneSets = None,
    external_response: Annotated[
        Path | None, typer.Option(help="Another study: fit on all of the first, judge on this one.")
    ] = None,
    external_omics: Annotated[
        list[str] | None, typer.Option(metavar="VIEW=FILE", help="Its features; may be given more than once.")
    ] = None,
    external_drugs: Annotated[Path | None, typer.Option(help="Its drug list.")] = None,
    external_samples: Annotated[Path | None, typer.Option(help="Its sample annotation.")] = None,
    external_unit: Annotated[str | None, typer.Option(help="Its unit, as --unit is that of the first.")] = None,
    overlap: Annotated[
        str, typer.Option(help="What both studies hold leaves training: samples, drugs, pairs or none.")
    ] = "samples",
    table: Annotated[
        Path | None, typer.Option(help="Any table of numbers and categories, instead of responses.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column of --table to predict.")] = None,
    group: Annotated[str | None, typer.Option(help="Column of --table whose values stay on one side.")] = None,
    drop: Annotated[str | None, typer.Option(metavar="A,B", help="Columns of --table to leave out.")] = None,
    allow: Allow = None,
    seed: Seed = 0,
) -> None:
    """Run the benchmark and print the leaderboard."""
    command = shlex.join(["cellixir", *sys.argv[1:]])
    if table is not None:
        if response or dataset or target is None:
            message = "--table FILE needs --target COLUMN and stands instead of --response and --dataset"
            raise ConfigurationError(message)
        refuse_given((*OF_RESPONSES, *READING), "is for responses and says nothing of --table")
        from cellixir.cli.response.table import benchmark_any_table

        benchmark_any_table(
            table, target, out,
            task=task or "auto", group=group, models=names_of(models), n_folds=folds, seed=seed,
            drop=names_of(drop) or [], allow=allow or [], preprocess=preprocess, interval=interval, command=command,
        )  # fmt: skip
        return

    _refuse_idle(external_response is not None, task)

    from cellixir.response.benchmark.models import Options, chosen_models

    names = [*(names_of(models) or []), *(model or [])] or None
    chosen_models(names, split)
    data = data_of(dataset, response, omics, drugs, samples, ids=ids, require=require, views=views)

    from cellixir.data.gene_sets import read_gene_sets
    from cellixir.data.splits import read_folds
    from cellixir.response.benchmark.run import run_benchmark

    sets = read_gene_sets(gene_sets) if gene_sets else None
    options = Options(preprocess, encoder, drug_encoder, sets, interval)
    if external_response is not None:
        from cellixir.cli.response.external import benchmark_external
        from cellixir.data.inputs import Reading

        said = reading_of()
        other = data_of(
            None, external_response, external_omics, external_drugs, external_samples, ids=ids,
            reading=Reading(measure=said.measure, unit=external_unit, restore_genes=said.restore_genes),
        )  # fmt: skip
        benchmark_external(
            data,
            other,
            out,
            models=names,
            split=split,
            remove=overlap,
            seed=seed,
            options=options,
            allow=allow or [],
            command=command,
        )
        return
    result = run_benchmark(
        data,
        split,
        out,
        models=names,
        n_folds=folds,
        seed=seed,
        folds=read_folds(split_file, data, split) if split_file else None,
        options=options,
        task=task or "regression",
        rule=label,
        sensitive=sensitive,
        allow=allow or [],
        command=command,
        quiet=False,
    )
    title = f"{split}, {len(data):,} pairs, {data.measure}"
    (print_class_leaderboard if task == "classification" else print_leaderboard)(result.overall, title)
    typer.echo(result.headline)
    if result.coverage is not None:
        for row in result.coverage[result.coverage["drug"] == "(all)"].to_dict(orient="records"):
            held = f"{row['covered']:.1%} [{row['covered_low']:.1%}, {row['covered_high']:.1%}] of the test pairs"
            typer.echo(f"{row['model']}: {interval:.0%} intervals hold {held}, mean width {row['width']:.2f}")
    typer.echo(f"report: {result.folder / 'report.html'}")


def _refuse_idle(external: bool, task: str) -> None:
    """Refuse options of another kind of benchmark, which would be read and then do nothing."""
    refuse_given(OF_TABLES, "names columns of a table and needs --table FILE")
    if external:
        refuse_given(OF_FOLDS, "is for folds of one study, and --external-response judges on another")
        return
    refuse_given(OF_EXTERNAL, "needs the responses of the other study, --external-response FILE")
    if task != "classification":
        refuse_given(("label", "sensitive"), "is for --task classification")
