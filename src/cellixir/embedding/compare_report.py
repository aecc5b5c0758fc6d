"""Report page of a comparison: losses, maps and numbers of several experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from cellixir.embedding.comparison import CATALOGUE, METRICS
from cellixir.figures.cells import latent_maps
from cellixir.figures.curves import curves_by_run
from cellixir.metrics.catalogue import heading_of
from cellixir.metrics.words import bracketed, estimate, numbers_of
from cellixir.report.page import Report
from cellixir.report.sections import facts_section, failures_section, headline_section

if TYPE_CHECKING:
    from cellixir.embedding.comparison import Comparison


def comparison_page(found: Comparison, command: str = "") -> Report:
    """The page of a comparison."""
    table = found.table
    report = Report("Experiments side by side", f"{len(table)} variational autoencoders on the same cells.")
    headline_section(report, found.headline, notes=found.notes)
    best = [] if table["likelihood"].nunique() > 1 else [table["held_out_elbo"].idxmax()]
    formats = {"Held-out ELBO": "{:,.2f}", "Seconds": "{:,.1f}", "Learning rate": "{:g}", "Dropout": "{:g}",
               "Beta": "{:g}"}  # fmt: skip
    settings = ["experiment", "likelihood", "latent", "hidden", "n_layers", "dropout", "beta", "learning_rate"]
    run = ["experiment", "held_out_elbo", "best_epoch", "epochs", "seconds", "loss_spread", "converged"]
    report.section("Experiments")
    for columns, caption in (
        (run, "Held-out evidence lower bound in nats a cell (higher is better), and how the training went. Converged: "
         "the last tenth of the validation losses is not better than the tenth before it by more than a thousandth."),
        (settings, "Settings."),
    ):  # fmt: skip
        shown = table[columns].rename(columns=_heading)
        own = {name: form for name, form in formats.items() if name in shown}
        report.table(shown, caption, formats=own, highlight=best)
    if "ari" in table:
        report.table(_metrics(table), "On held-out cells: the VAE, PCA of the same dimension, and the first less the "
                     "second on the same drawn cells (or patients), with 95 % bootstrap intervals, which do not hold "
                     "the spread between seeds. No model has seen a label.")  # fmt: skip
    report.section("Losses").figure(
        curves_by_run(found.histories, loss="Loss, nats a cell"),
        "Negative evidence lower bound; dots mark the lowest on validation cells, whose weights are kept. It is not "
        "comparable between likelihoods or values of beta.",
    )
    if found.maps and found.colour is not None:
        report.section("Maps").figure(
            latent_maps(
                found.maps, found.colour.to_numpy(), legend=str(found.colour.name), kind="groups", name="t-SNE"
            ),
            "t-SNE of the latent means of each experiment, the same cells on each.",
        )
    failures_section(report, found.failures)
    facts_section(report, found.facts, command=command)
    return report


def _metrics(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for found in table.to_dict("records"):
        for metric in METRICS:
            places = {"VAE": metric, "PCA": f"pca_{metric}", "VAE less PCA": f"{metric}_difference"}
            numbers = {head: bracketed(estimate(numbers_of(found), name)) for head, name in places.items()}
            rows.append({"experiment": found["experiment"], "metric": _heading(metric)} | numbers)
    return pd.DataFrame(rows).rename(columns=_heading)


def _heading(column: str) -> str:
    return heading_of(column, CATALOGUE)
