"""``cellixir response predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.cli.response import options
from cellixir.cli.shared import echo, print_table, say
from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

    from cellixir.response.network.predictor import ResponsePredictor

PREDICT_HELP = """Rank drugs for new samples with a bundle; the most sensitive first.

Genes are matched by name. 'low' and 'high' hold the response in 90 % of cases (--interval); 'typical_error' is the
root mean square error of the drug on samples held out of the fit; a bundle of --task classification tells the
probability of sensitive, the highest first; 'in_domain' is False for samples (or drugs) unlike
those of training; 'views' are those that a sample has.
Give the annotation the model uses (tissue, ...) with --samples: it counts for much.

\b
Examples:
  cellixir response predict gdsc.bundle --omics genomic=new_lines.csv --samples new_lines_tissue.csv --out ranked.csv
  cellixir response predict mine.bundle --omics expression=patients.csv.gz --missing mean --out ranked.csv
"""


def predict(
    bundle: Annotated[Path, typer.Argument(help="Folder that 'fit' wrote.")],
    out: Annotated[Path, typer.Option(help="Table to write: sample, drug, predicted, ..., ranked within a sample.")],
    omics: options.Omics = None,
    drugs: options.Drugs = None,
    samples: options.Samples = None,
    missing: Annotated[
        str,
        typer.Option(help="Features of the model that the file lacks: refuse, or fill with mean or zero."),
    ] = "refuse",
    restore_genes: options.RestoreGenes = False,
    interval: Annotated[float, typer.Option(help="Probability with which low and high hold the response.")] = 0.9,
    top: Annotated[int, typer.Option(min=0, help="Drugs to print for the first samples.")] = 5,
) -> None:
    """Predict every sample against every drug and write the ranked table."""
    if not 0 < interval < 1:
        message = f"--interval {interval} is no probability; write 0.9 for 90 %"
        raise ConfigurationError(message)
    from cellixir.data.drugs import read_drugs
    from cellixir.data.inputs import parse_views, read_samples, read_views
    from cellixir.data.missing_genes import check_missing
    from cellixir.response.network.predictor import ResponsePredictor
    from cellixir.response.ranking.rank import check_ranking_file, rank, write_ranking

    files = parse_views(omics or [])
    check_ranking_file(out, [*files.values(), *(p for p in (drugs, samples) if p)], bundle)
    model = ResponsePredictor.load(bundle)
    known = {name: view.inputs for name, view in model.inputs_.samples.views.items()}
    views = read_views(files, features=known, restore_genes=restore_genes)
    for note in (note for view in views.values() for note in view.uns.get("notes", [])):
        say(note)
    ranked = rank(
        model,
        views,
        drugs=read_drugs(drugs) if drugs else None,
        samples=read_samples(samples) if samples else None,
        missing=check_missing(missing, "--missing"),
        interval=interval,
        on_note=say,
    )
    write_ranking(ranked, out)
    _say_unbounded(ranked, interval)
    _print_top(ranked, top, model)
    echo(f"{len(ranked):,} predictions: {out}")


def _say_unbounded(ranked: pd.DataFrame, interval: float) -> None:
    """Say how many intervals are infinite, and what would give them bounds."""
    unbounded = int((ranked["high"] == float("inf")).sum())
    if unbounded:
        say(
            f"{unbounded:,} of {len(ranked):,} intervals have no bounds: the fit held out too little to tell "
            f"what {interval:.3g} of cases stay within; ask for a lower --interval, or fit more --members"
        )


def _known(value: float, form: str) -> str:
    return "–" if value != value else format(value, form).replace("-", "−")


def _print_top(ranked: pd.DataFrame, top: int, model: ResponsePredictor) -> None:
    from cellixir.response.cross_validation.labels import PROBABILITY

    if top <= 0:
        return
    measure = f"{model.measure_} in {model.unit_}" if model.unit_ else model.measure_
    side = "above" if model.unit_ == PROBABILITY else "below"
    label = "drug_name" if "drug_name" in ranked else "drug"
    samples = list(dict.fromkeys(ranked["sample"]))
    n_drugs = ranked["drug"].nunique()
    order = "rank_difference" if ranked["difference"].notna().any() else "rank"
    rows = [
        [sample, str(row[label]), *(f"{row[name]:.2f}" for name in ("predicted", "low", "high")),
         _known(row["difference"], "+.2f"), _known(row["percentile"], ".0f"), _known(row["predictability"], ".2f"),
         "yes" if row["in_domain"] else "NO"]
        for sample in samples[:3]
        for row in ranked[ranked["sample"] == sample].nsmallest(top, order).to_dict(orient="records")
    ]  # fmt: skip
    how = f"{side} their mean over training samples" if order == "rank_difference" else "predicted"
    title = f"{min(top, n_drugs)} of {n_drugs} drugs, farthest {how}, {measure}"
    heads = ["sample", "drug", "predicted", "low", "high", "less mean", "percentile", "held-out r", "in domain"]
    print_table(heads, rows, title, words=2)
    if len(samples) > 3:
        echo(f"and {len(samples) - 3:,} more samples")
