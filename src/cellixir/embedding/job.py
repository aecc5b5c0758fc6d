"""One embedding from cells to page: fit, judge beside PCA, map, write."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.data.expression.alignment import refuse_repeated_genes
from cellixir.embedding.apply import MODEL, add_calls, embedded
from cellixir.embedding.cell_types import Calls, called_types, parts_of
from cellixir.embedding.columns import column_of, refuse_without_group
from cellixir.embedding.folder import CHECKPOINT, KEYS, claim_folder, write_result
from cellixir.embedding.judging import (
    calls_beside,
    judged_rows,
    latents_beside,
    some_cells,
    validation_elbo,
)
from cellixir.embedding.pca import PCA
from cellixir.embedding.settings import vae_of
from cellixir.embedding.summary import headline, score_table, scores_as_json
from cellixir.embedding.vae import VAE
from cellixir.exceptions import ConfigurationError, MissingExtra
from cellixir.training import Bars

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import anndata as ad


@dataclass
class EmbeddingResult:
    """What one embedding found, as the page and the terminal show it.

    Attributes
    ----------
    folder
        Where everything was written.
    model
        The fitted model; with a label key it has a head.
    cells
        The cells that are judged and mapped: all, or a sample. ``obsm`` holds X_vae, X_pca and the maps.
    all_cells
        Every cell, as ``cells.h5ad`` holds them.
    scores
        One row a metric: ``metric``, and ``vae``, ``pca``, ``difference`` each with ``_low`` and ``_high``.
    calls
        Types called in cross-validation, and the scores of each classifier.
    metrics
        What ``metrics.json`` holds.
    """

    folder: Path
    model: VAE
    cells: ad.AnnData
    all_cells: ad.AnnData
    scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    calls: Calls | None = None
    enrichment: pd.DataFrame = field(default_factory=pd.DataFrame)
    coverage: pd.DataFrame = field(default_factory=pd.DataFrame)
    metrics: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    headline: str = ""


def run_embedding(
    cells: ad.AnnData,
    out: Path | str,
    *,
    maps: bool = True,
    folds: int = 5,
    enrich: Mapping[str, Sequence[str]] | None = None,
    source: str = "",
    command: str = "",
    quiet: bool = True,
    **settings: Any,
) -> EmbeddingResult:
    """Fit a VAE, judge it beside PCA, and write bundle, cells, metrics, tables and report to ``out``.

    Parameters
    ----------
    cells
        Cells x genes, in memory or backed.
    out
        Folder; if a fit with the same settings and data was stopped there, it goes on.
    maps
        Whether t-SNE, UMAP and Leiden clusters are computed.
    folds
        Of the cross-validation of cell types; 0 for none.
    enrich
        Gene sets that each latent's loadings are tested for; with a masked decoder its own sets, for free latents.
    source, command
        Shown in the report.
    settings
        Parameters of `VAE` and of its training, as of `vae_of`.

    Raises
    ------
    ConfigurationError
        If a setting cannot work, or ``out`` holds other things.
    UnknownIds
        If the cells have no such column.
    """
    folder = Path(out)
    model = vae_of(settings)
    _check(cells, model, folds)
    claim_folder(folder, cells, settings, maps=maps, folds=folds, enrich=enrich)
    result = _Run(cells, folder, dict(settings), maps=maps, folds=folds, quiet=quiet).result()
    _enrich(result, enrich)
    result.facts = _facts(result, source, command)
    write_result(result)
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    return result


class _Run:
    """The steps, each a piece of the progress bar; what they find gathers in ``found``."""

    def __init__(
        self, cells: ad.AnnData, folder: Path, settings: dict[str, Any], *, maps: bool, folds: int, quiet: bool
    ) -> None:
        self.cells, self.folder, self.settings = cells, folder, settings
        self.maps, self.folds, self.quiet = maps, folds, quiet

    def result(self) -> EmbeddingResult:
        model = vae_of(self.settings)
        labelled = model.label_key is not None
        n_pieces = 2 + labelled * (1 + self.folds) + (4 + labelled) * self.maps
        with Bars("embed", n_pieces, quiet=self.quiet) as self.bars:
            model = self._fitted(model, "fit", self.cells, self.folder / MODEL)
            self.rows = judged_rows(self.cells, model.label_key, model.seed)
            shown = some_cells(self.cells, self.rows)
            found = EmbeddingResult(self.folder, model, shown, self.cells, notes=list(model.notes_))
            self._embed(found)
            if labelled:
                self._judge(found)
            else:
                found.metrics["held_out_elbo"] = validation_elbo(model, self.cells)
            if self.maps:
                self._map(found)
        found.metrics |= _numbers(found)
        clusters = found.cells.obs["leiden"].nunique() if "leiden" in found.cells.obs else 0
        found.headline = headline(found.scores, found.metrics, clusters)
        return found

    def _fitted(self, model: VAE, name: str, cells: ad.AnnData, place: Path) -> VAE:
        """The model fitted; one that an earlier run has finished is read."""
        self.bars.starts(name)
        if (place / "model.json").is_file():
            return VAE.load(place)
        file = place.with_name(f"{place.name}.safetensors")
        if place == self.folder / MODEL:
            file = self.folder / CHECKPOINT / "fit.safetensors"
        model.fit(cells, checkpoint=file, on_epoch=self.bars.epoch)
        model.save(place)
        return model

    def _embed(self, found: EmbeddingResult) -> None:
        """Latents and principal components of every cell, and those of the judged ones."""
        model, shown = found.model, found.cells
        self.bars.done()
        self.bars.starts("PCA")
        pca = PCA(min(len(model.latent_names_), min(self.cells.shape) - 1), seed=model.seed).fit(self.cells)
        found.notes += pca.notes_
        found.all_cells = embedded(
            self.cells, {"X_vae": model.transform(self.cells), "X_pca": pca.transform(self.cells)}
        )
        if model.classes_:
            add_calls(found.all_cells, model, self.cells)
        for name in ("X_vae", "X_pca"):
            shown.obsm[name] = np.asarray(found.all_cells.obsm[name])[self.rows]
        if len(self.rows) < self.cells.n_obs:
            found.notes.append(
                f"maps, metrics and cross-validation are of {len(self.rows):,} of the {self.cells.n_obs:,} cells, "
                f"drawn with seed {model.seed}"
            )
        self.bars.done()

    def _judge(self, found: EmbeddingResult) -> None:
        """Metrics on labels, of models that saw no label, or no label of the cell."""
        model, shown = found.model, found.cells
        labels = column_of(shown, str(model.label_key))
        known = np.flatnonzero(labels.notna())
        names, groups = labels.iloc[known].to_numpy(), None
        if model.group_key is not None:
            groups = column_of(shown, model.group_key).to_numpy()[known]
        blind = self._fitted(self._like({"label_key": None}), "without labels", shown, self._place("blind"))
        self.bars.done()
        shown.obsm["X_blind"] = blind.transform(shown)
        latents = {name: np.asarray(shown.obsm[key])[known] for name, key in (("vae", "X_blind"), ("pca", "X_pca"))}
        beside = latents_beside(names, latents, groups, model.seed, found.notes.append)
        found.metrics["held_out_elbo"] = validation_elbo(blind, shown)
        if self.folds:
            found.calls = called_types(
                shown, str(model.label_key), model.group_key, folds=self.folds, seed=model.seed, fit=self._fit_fold,
                done=self.bars.done,
            )  # fmt: skip
            found.notes += found.calls.found.notes
            found.metrics["held_out_elbo"] = float(np.mean(found.calls.elbo))
            beside |= calls_beside(names, {e: found.calls.of(e) for e in ("vae", "pca")}, groups, model.seed)
        found.scores = score_table(beside)
        found.metrics |= scores_as_json(beside)

    def _fit_fold(self, cells: ad.AnnData, head: bool, fold: int) -> VAE:
        name = f"{'with' if head else 'without'} head"
        other: dict[str, Any] = {} if head else {"label_key": None}
        key = self.settings.get("group_key")
        if key is not None and column_of(cells, key).nunique() < 3:  # too few patients to part once more
            other["group_key"] = None
        model = self._like(other)
        place = self._place(f"fold{fold}_{'head' if head else 'blind'}")
        return self._fitted(model, f"fold {fold + 1} of {self.folds}, {name}", cells, place)

    def _like(self, other: dict[str, Any]) -> VAE:
        return vae_of(self.settings | other)

    def _place(self, name: str) -> Path:
        return self.folder / CHECKPOINT / name

    def _map(self, found: EmbeddingResult) -> None:
        from cellixir.embedding.maps import leiden, tsne, umap

        latent, seed, n = np.asarray(found.cells.obsm["X_vae"]), found.model.seed, self.cells.n_obs
        beside = {"X_blind": "X_tsne_blind", "X_pca": "X_tsne_pca"}
        for key, place in beside.items():
            if key in found.cells.obsm:
                self.bars.starts("t-SNE of PCA" if key == "X_pca" else "t-SNE without labels")
                found.cells.obsm[place] = tsne(np.asarray(found.cells.obsm[key]), seed=seed)
                self.bars.done()
        for name, key, draw in (("t-SNE", "X_tsne", tsne), ("UMAP", "X_umap", umap)):
            self.bars.starts(name)
            places = np.full((n, 2), np.nan, dtype=np.float32)
            places[self.rows] = found.cells.obsm[key] = np.asarray(draw(latent, seed=seed), dtype=np.float32)
            found.all_cells.obsm[key] = places
            self.bars.done()
        self.bars.starts("Leiden")
        clusters = np.asarray(leiden(latent, seed=seed)).astype(str)
        every = np.full(n, None, dtype=object)
        every[self.rows] = clusters
        found.cells.obs["leiden"] = pd.Categorical(clusters)
        found.all_cells.obs["leiden"] = pd.Categorical(every)
        self.bars.done()


def _check(cells: ad.AnnData, model: VAE, folds: int) -> None:
    refuse_repeated_genes(cells)
    for key in KEYS:
        if getattr(model, key) is not None:
            column_of(cells, getattr(model, key))
    if folds < 0 or folds == 1:
        message = f"--folds {folds} is no number of parts; use 2 or more, or 0 for none"
        raise ConfigurationError(message)
    if model.label_key is not None and find_spec("igraph") is None:
        message = "metrics on labels need Leiden clusters: pip install 'cellixir[singlecell]', or leave --label-key out"
        raise MissingExtra(message)
    if model.label_key is not None and folds:
        labels = column_of(cells, model.label_key)
        known = labels.notna().to_numpy()
        groups = None if model.group_key is None else column_of(cells, model.group_key)
        if groups is not None:
            refuse_without_group(groups, model.group_key)
        if labels.nunique() > 1:
            patients = None if groups is None else groups[known].to_numpy()
            next(parts_of(labels[known].to_numpy(), patients, folds, model.seed))


def _numbers(found: EmbeddingResult) -> dict[str, Any]:
    model, history = found.model, found.model.history_
    return {
        "cells": found.all_cells.n_obs,
        "genes": found.all_cells.n_vars,
        "judged_cells": found.cells.n_obs,
        "likelihood": model.likelihood_,
        "latent": len(model.latent_names_),
        "epochs": len(history),
        "best_epoch": int(history["validation_loss"].argmin()) + 1,
        "seconds": round(float(history["seconds"].sum()), 3),
    }


def _enrich(found: EmbeddingResult, enrich: Mapping[str, Sequence[str]] | None) -> None:
    """Tests of every latent, or of the free ones where the others are pathways by construction."""
    from cellixir.data.gene_sets import coverage_notes, coverage_report
    from cellixir.embedding.enrichment import enrich_latents

    model = found.model
    sets = enrich if model.gene_sets is None else model.gene_sets
    if sets is None:
        return
    found.coverage = coverage_report(sets, model.genes_, min_genes=model.min_genes)
    found.notes += coverage_notes(sets, model.genes_, min_genes=model.min_genes)
    loadings = model.loadings()
    if model.gene_sets is not None:
        loadings = loadings.iloc[:, loadings.shape[1] - model.n_free :]
    if loadings.shape[1]:
        found.enrichment = enrich_latents(loadings, sets, seed=model.seed, min_genes=model.min_genes)


def _facts(found: EmbeddingResult, source: str, command: str) -> dict[str, object]:
    model = found.model
    facts: dict[str, object] = {"Data": source} if source else {}
    facts |= {
        "Cells": f"{found.all_cells.n_obs:,}",
        "Genes": f"{found.all_cells.n_vars:,}",
        "Scale": model.scale_,
        "Likelihood": model.likelihood_,
        "Network": f"{model.n_layers} hidden layers of {model.hidden}, dropout {model.dropout:g}",
        "Latent dimensions": len(model.latent_names_),
        "Cells that chose the epoch": f"{model.n_cells_['validation']:,}",
        "Seed": model.seed,
    }
    return facts | ({"Command": command} if command else {})
