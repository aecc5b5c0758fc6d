"""Report page of an embedding: what the cells look like, how well types are told, beside PCA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.data.expression.matrix import profile
from cellixir.embedding.cell_types import CLASSIFIERS
from cellixir.embedding.columns import column_of
from cellixir.embedding.enrichment import top_genes
from cellixir.embedding.markers import log_expression, marker_genes
from cellixir.embedding.pathway_report import add_pathways
from cellixir.embedding.task import COUNTS
from cellixir.figures.baselines import bars_with_baseline
from cellixir.figures.cells import latent_map, latent_maps
from cellixir.figures.classification import confusion_matrix
from cellixir.figures.curves import learning_curves
from cellixir.figures.heatmaps import latent_gene_heat_map, marker_heat_map
from cellixir.metrics.catalogue import EMBEDDING, heading_of
from cellixir.metrics.intervals import Interval
from cellixir.report.page import Report
from cellixir.report.sections import facts_section, headline_section

if TYPE_CHECKING:
    from cellixir.embedding.result import EmbeddingResult

MAPS = {"X_tsne": "t-SNE", "X_umap": "UMAP"}


def embedding_page(found: EmbeddingResult, command: str = "") -> Report:
    """The page of an embedding."""
    keys = [key for key in (found.model.label_key, found.model.group_key, found.model.batch_key) if key]
    subtitle = (
        f"{found.all_cells.n_obs:,} cells, {found.all_cells.n_vars:,} genes, {found.model.likelihood_} likelihood"
    )
    report = Report("Embedding of cells", subtitle + (f"; {', '.join(keys)}" if keys else "") + ".")
    _headline(report, found)
    _maps(report, found)
    if len(found.scores):
        _scores(report, found)
    _curves(report, found)
    if found.calls is not None:
        _types(report, found)
    _genes(report, found)
    add_pathways(report, found)
    facts_section(report, found.facts, command=command)
    return report


def _headline(report: Report, found: EmbeddingResult) -> None:
    numbers = {"Cells": f"{found.metrics['cells']:,}", "Held-out ELBO": f"{found.metrics['held_out_elbo']:,.1f}"}
    for row in found.scores.to_dict("records"):
        if row["metric"] in ("ari", "accuracy", "macro_f1"):
            numbers[heading_of(str(row["metric"]), EMBEDDING)] = f"{row['vae']:.3f}"
    numbers |= {"Epochs": f"{found.metrics['epochs']:,}", "Seconds": f"{found.metrics['seconds']:,.1f}"}
    numbers = {name: text.replace("-", "−") for name, text in numbers.items()}
    headline_section(report, found.headline, numbers=numbers, notes=found.notes)


def colourings(found: EmbeddingResult) -> dict[str, pd.Series]:
    """What maps are coloured by: label, patient, batch, Leiden cluster and library size, where they are."""
    cells, model = found.cells, found.model
    keys = dict.fromkeys(k for k in (model.label_key, model.group_key, model.batch_key) if k)
    columns = {key: column_of(cells, key) for key in keys}
    if found.clusters is not None:
        columns["Leiden cluster"] = pd.Series(np.asarray(found.clusters).astype(str), index=cells.obs_names)
    if model.likelihood_ in COUNTS:
        columns["log10 library size"] = pd.Series(
            np.log10(np.maximum(profile(cells).library_size, 1)), index=cells.obs_names
        )
    return {name: column.rename(name) for name, column in columns.items()}


def _maps(report: Report, found: EmbeddingResult) -> None:
    cells, colours = found.cells, colourings(found)
    there = {key: name for key, name in MAPS.items() if key in cells.obsm}
    if not there or not colours:
        return
    report.section(
        "The cells",
        "Maps of the latent means. Neighbours on a map were near each other before; distances between islands, "
        "and sizes of islands, mean nothing."
        + (
            f" This VAE has learned {found.model.label_key} with its head, so that types stand apart is in part its "
            "task."
            if found.model.label_key
            else ""
        ),
    )
    for what, column in colours.items():
        for key, name in there.items():
            figure = latent_map(cells.obsm[key], column.to_numpy(), name=name, legend=what, kind=_kind(column))
            report.figure(figure, f"{name} of the VAE's latents by {what}.", pair=True)
    first = next(iter(colours.values()))
    latent = "X_tsne_blind" if "X_tsne_blind" in cells.obsm else "X_tsne"
    panels = {"VAE": cells.obsm[latent], "PCA": cells.obsm["X_tsne_pca"]}
    blind = " The VAE of this map was fitted without labels." if latent == "X_tsne_blind" else ""
    report.section("VAE beside PCA").figure(
        latent_maps(panels, first.to_numpy(), legend=str(first.name), kind=_kind(first), ncols=2, name="t-SNE"),
        f"t-SNE of the same cells from both embeddings, of the same number of dimensions.{blind}",
    )


def _kind(column: pd.Series) -> Any:
    return "numbers" if column.dtype.kind == "f" else "groups"


def _scores(report: Report, found: EmbeddingResult) -> None:
    report.section(
        "Metrics",
        "ARI and NMI compare the labels with clusters: k-means with as many clusters as there are types, and Leiden at "
        "resolution 1; each is the mean over ten seeds of the clustering. The silhouette and the "
        "purity of the 15 nearest neighbours (of a smaller type: as many as it has other cells) ask for the same of "
        "the latents. All these are of a VAE that was fitted without labels, and of PCA. "
        "Accuracy and macro-F1 are of a logistic regression on embeddings of "
        "cells that neither the embedding nor the classifier had seen. Intervals are of a bootstrap over "
        + (f"{found.model.group_key}s." if found.model.group_key else "cells."),
    )
    report.figure(
        bars_with_baseline(_long(found.scores), label="Value (1 is best)"),
        "Grey diamonds: PCA of the same number of dimensions. Lines: 95 % intervals.",
    )
    rows = found.scores.to_dict("records")
    table = pd.DataFrame({"Metric": [heading_of(str(row["metric"]), EMBEDDING) for row in rows]})
    for name, word in (("vae", "VAE"), ("pca", "PCA"), ("difference", "VAE less PCA")):
        table[word] = pd.Series([Interval(r[name], r[f"{name}_low"], r[f"{name}_high"]) for r in rows], dtype=object)
    table["Verdict"] = [verdict(row["difference_low"], row["difference_high"]) for row in rows]
    report.table(table, "With 95 % intervals; differences are paired: the same drawn cells for both.")


def _long(scores: pd.DataFrame) -> pd.DataFrame:
    """One row a metric and embedding."""
    metric = [heading_of(name, EMBEDDING) for name in scores["metric"]]
    parts = [
        pd.DataFrame({"metric": metric, "model": word, "value": scores[name], "low": scores[f"{name}_low"],
                      "high": scores[f"{name}_high"]})
        for name, word in (("vae", "VAE"), ("pca", "PCA"))
    ]  # fmt: skip
    return pd.concat(parts)


def verdict(low: float, high: float) -> str:
    """Whether an interval of VAE less PCA says that one is better."""
    return "VAE is better" if low > 0 else "PCA is better" if high < 0 else "no difference"


def _curves(report: Report, found: EmbeddingResult) -> None:
    history = found.model.history_
    report.section("Loss").figure(
        learning_curves(history, loss="Loss, nats a cell"),
        "Negative evidence lower bound"
        + (" and the head's cross-entropy" if found.model.classes_ else "")
        + f". In training the weight of the KL divergence rises to {found.model.beta:g} and units are dropped, so the "
        "curves are not on one level; the weights of the lowest validation loss are kept.",
    )


def _types(report: Report, found: EmbeddingResult) -> None:
    if found.calls is None:
        return
    labels, called = found.calls.labels.astype(str), found.calls.found.predictions
    table = pd.DataFrame([_called(name, found.calls.found.table) for name in CLASSIFIERS if name in called])
    names = sorted(set(labels))
    report.section(
        "Cell types",
        "Every cell is called by models fitted without it"
        + (f", and without any cell of its {found.model.group_key}." if found.model.group_key else "."),
    )
    report.table(table, "Cross-validated, all folds together. The head is the "
                 "VAE's own, trained with the labels of the training cells.")  # fmt: skip
    counts = pd.crosstab(pd.Categorical(labels, names), pd.Categorical(called["head/head"], names), dropna=False)
    report.figure(confusion_matrix(counts.to_numpy(), classes=names), "Types called by the head; rows are the labels.")


def _called(name: str, table: pd.DataFrame) -> dict[str, object]:
    """One classifier with its intervals."""
    model, _, classifier = name.partition("/")
    mine = table[(table["model"] == model) & (table["classifier"] == classifier)].set_index("metric")
    scores = {
        heading_of(m, EMBEDDING): Interval(*(float(mine[end][m]) for end in ("value", "low", "high")))
        for m in ("accuracy", "macro_f1")
    }
    return {"Embedding and classifier": CLASSIFIERS[name], **scores}


def _genes(report: Report, found: EmbeddingResult) -> None:
    colours = colourings(found)
    groups = next((column for column in colours.values() if column.dtype.kind != "f"), None)
    report.section("Genes")
    if groups is not None and groups.nunique() > 1:
        _markers(report, found, groups)
    loadings = found.model.loadings()
    report.figure(
        latent_gene_heat_map(loadings, top=4),
        "Loadings: how a gene's output changes with each latent; the genes with the largest loadings of each.",
        png=True,
    )
    table = top_genes(loadings, 10)
    lists = table.groupby(["latent", "direction"], sort=False)["gene"].agg(", ".join).reset_index()
    report.table(lists.set_axis(["Latent", "Direction", "Genes"], axis=1), "Top genes of every latent", collapsed=True)


def _markers(report: Report, found: EmbeddingResult, groups: pd.Series) -> None:
    counts = found.model.likelihood_ in COUNTS
    table = marker_genes(found.cells, groups.to_numpy(), counts=counts, n=4)
    if table.empty:
        return
    genes = {str(name): part["gene"].tolist() for name, part in table.groupby("group", sort=False)}
    report.figure(
        marker_heat_map(log_expression(found.cells, list(dict.fromkeys(table["gene"])), counts=counts), groups, genes),
        f"Genes most raised in the cells of each {groups.name}, and their mean expression in all of them.",
        png=True,
    )
    heads = [str(groups.name), "Gene", "Mean", "Mean of others", "Difference", "t"]
    report.table(table.set_axis(heads, axis=1), "Marker genes. t ranks them and is no test.", collapsed=True)
