"""One embedding from cells to page: fit, judge beside PCA, map, write."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd

from cellixir.data.expression.alignment import refuse_repeated_genes
from cellixir.data.expression.matrix import profile
from cellixir.data.expression.write import write_cells
from cellixir.data.gene_sets import coverage_notes, coverage_report
from cellixir.embedding.annotated import add, annotated, assigned, placed
from cellixir.embedding.application import add_calls
from cellixir.embedding.cell_types import called_types
from cellixir.embedding.classification import fold_rows, part
from cellixir.embedding.columns import KEYS, column_of, columns_fingerprint, unlabelled_note
from cellixir.embedding.enrichment import enrich_latents
from cellixir.embedding.judging import calls_beside, judged_rows, latents_beside, some_cells, validation_elbo
from cellixir.embedding.maps import leiden, tsne, umap
from cellixir.embedding.pca import PCA
from cellixir.embedding.pieces import (
    MODEL,
    comparable,
    fit_piece,
    map_piece,
    model_of,
    require_models,
    require_portable,
    sets_fingerprint,
)
from cellixir.embedding.report import embedding_page
from cellixir.embedding.result import EmbeddingResult
from cellixir.embedding.settings import vae_of
from cellixir.embedding.summary import headline, score_table, scores_as_json
from cellixir.exceptions import ConfigurationError, MissingExtra
from cellixir.runs import RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cellixir.embedding.vae import VAE
    from cellixir.runs import Found, Piece


def embed(
    cells: ad.AnnData,
    out: Path | str,
    *,
    maps: bool = True,
    folds: int = 5,
    enrich: Mapping[str, Sequence[str]] | None = None,
    jobs: int = 1,
    source: str = "",
    command: str = "",
    quiet: bool = True,
    **settings: Any,
) -> EmbeddingResult:
    """Fit a VAE, judge it beside PCA, and write bundle, cells, metrics, tables and report to ``out``.

    Parameters
    ----------
    cells
        Cells x genes, in memory or backed; they stay as they are.
    out
        Folder; if a fit with the same settings and data was stopped there, it goes on.
    maps
        Whether t-SNE, UMAP and Leiden clusters are computed.
    folds
        Of the cross-validation of cell types; 0 for none.
    enrich
        Gene sets that each latent's loadings are tested for; with a masked decoder its own sets, for free latents.
    jobs
        Processes that fit and draw at a time.
    source, command
        Shown in the report.
    settings
        Parameters of `VAE` and of its training, as of `vae_of`.

    Returns
    -------
    EmbeddingResult
        The fitted model, the cells with their latents, scores and where they were written.

    Raises
    ------
    ConfigurationError
        If a setting cannot work, or ``out`` holds other things.
    UnknownIds
        If the cells have no such column.

    Examples
    --------
    >>> embed(cells, "my-embedding", latent=10, label_key="cell_type").scores  # doctest: +SKIP
    """
    model = vae_of(settings)
    _check(cells, model, folds, maps=maps, jobs=jobs)
    work = _Embedding(cells, settings, folds)
    columns = {key: columns_fingerprint(column_of(cells, settings[key])) for key in KEYS if settings.get(key)}
    data = {"cells": profile(cells).fingerprint} | columns
    asked = comparable(settings) | {"maps": maps, "folds": folds, "enrich": sets_fingerprint(enrich)}
    run = RunFolder(
        out, "embed fit", asked | {"data": data}, data=data, settings=asked, command=command,
        what="an embedding of other cells or settings",
    )  # fmt: skip
    with run:
        found = work.result(run, maps=maps, jobs=jobs, quiet=quiet)
        _enrich(found, settings.get("gene_sets") or enrich)  # a bundle does not keep the ids of its sets
        found.facts = _facts(found, source)
        _write(run, found)
    return found


class _Embedding:
    """Models of one embedding, and what is judged and mapped by them."""

    def __init__(self, cells: ad.AnnData, settings: Mapping[str, Any], folds: int) -> None:
        self.cells, self.settings, self.model = cells, settings, vae_of(settings)
        self.rows = judged_rows(cells, self.model.label_key, self.model.seed)
        self.shown = some_cells(cells, self.rows)  # maps are added to it
        self.folds, self.fold_rows = folds, []
        label, group = self.model.label_key, self.model.group_key
        if label is not None and folds:
            self.fold_rows = fold_rows(self.shown, label, group_key=group, n_folds=folds, seed=self.model.seed)

    def result(self, run: RunFolder, *, maps: bool, jobs: int, quiet: bool) -> EmbeddingResult:
        """Fit what is not yet fitted, judge, and map."""
        pieces = self._pieces()
        require_models(pieces, run.path)
        _done(run, pieces, jobs, quiet)
        fitted = [model_of(piece, run.path) for piece in pieces]
        self.model = fitted[0]
        self.model.save(run.path / MODEL)
        notes = [*self.model.notes_, *(n for key in self._keys() for n in unlabelled_note(self.cells, key))]
        found = EmbeddingResult(run.path, self.model, self.shown, self.cells, notes=notes)
        self._embed(found)
        if self.model.label_key is None:
            found.metrics["held_out_elbo"] = validation_elbo(self.model, self.cells)
        else:
            self._judge(found, *fitted[1:])
        if maps:
            self._map(found, run, jobs, quiet)
        found.metrics |= _numbers(found)
        clusters = 0 if found.clusters is None else len(found.clusters.categories)
        found.headline = headline(found.scores, found.metrics, clusters)
        return found

    def _keys(self) -> list[str]:
        return [key for key in dict.fromkeys(getattr(self.model, name) for name in KEYS) if key is not None]

    def _pieces(self) -> list[Piece]:
        """Fits: to all cells, without labels, and in each fold without and with a head."""
        pieces = [fit_piece({"fit": "all cells"}, self.settings, lambda: self.cells)]
        if self.model.label_key is not None:
            pieces.append(fit_piece({"fit": "without labels"}, self._like({"label_key": None}), lambda: self.shown))
        group = self.model.group_key
        for fold, (train, _) in enumerate(self.fold_rows):
            few = group is not None and column_of(self.shown, group).iloc[train].nunique() < 3
            other = {"group_key": None} if few else {}  # too few patients to part once more
            learn = partial(part, self.shown, train)
            for kind, more in (("without head", {"label_key": None}), ("with head", {})):
                pieces.append(fit_piece({"fit": kind, "fold": fold}, self._like(other | more), learn))
        return pieces

    def _like(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.settings, **other}

    def _embed(self, found: EmbeddingResult) -> None:
        """Latents and principal components of every cell, and those of the judged ones."""
        model, cells = self.model, self.cells
        pca = PCA(min(len(model.latent_names_), min(cells.shape) - 1), seed=model.seed).fit(cells)
        found.notes += pca.notes_
        found.all_cells = annotated(cells, found.notes)
        for name, latents in (("X_vae", model.transform(cells)), ("X_pca", pca.transform(cells))):
            add(found.all_cells, "obsm", name, latents, found.notes)
            self.shown.obsm[name] = np.asarray(latents)[self.rows]
            found.latents[name] = latents
        if model.classes_:
            add_calls(found.all_cells, model, cells, found.notes)
        if len(self.rows) < cells.n_obs:
            found.notes.append(
                f"maps, metrics and cross-validation are of {len(self.rows):,} of the {cells.n_obs:,} cells, "
                f"drawn with seed {model.seed}"
            )

    def _judge(self, found: EmbeddingResult, blind: VAE, *in_folds: VAE) -> None:
        """Metrics on labels, of models that saw no label, or no label of the cell."""
        shown, label, group, seed = self.shown, str(self.model.label_key), self.model.group_key, self.model.seed
        labels = column_of(shown, label)
        known = np.flatnonzero(labels.notna())
        names = labels.iloc[known].to_numpy()
        groups = None if group is None else column_of(shown, group).to_numpy()[known]
        shown.obsm["X_blind"] = blind.transform(shown)
        latents = {name: np.asarray(shown.obsm[key])[known] for name, key in (("vae", "X_blind"), ("pca", "X_pca"))}
        beside = latents_beside(names, latents, groups, seed, found.notes.append)
        found.metrics["held_out_elbo"] = validation_elbo(blind, shown)
        if in_folds:
            calls = called_types(
                shown, label, group, blind=in_folds[::2], headed=in_folds[1::2], folds=self.folds, seed=seed
            )
            found.calls = calls
            found.notes += calls.found.notes
            found.metrics["held_out_elbo"] = float(np.mean(calls.elbo))
            beside |= calls_beside(names, {e: calls.of(e) for e in ("vae", "pca")}, groups, seed)
        found.scores = score_table(beside)
        found.metrics |= scores_as_json(beside)

    def _map(self, found: EmbeddingResult, run: RunFolder, jobs: int, quiet: bool) -> None:
        shown, every, seed, latents = self.shown, found.all_cells, self.model.seed, found.latents["X_vae"]
        pieces = {
            place: map_piece(name, draw, np.asarray(shown.obsm[key]), seed)
            for place, name, draw, key in (
                ("X_tsne_blind", "t-SNE without labels", tsne, "X_blind"),
                ("X_tsne_pca", "t-SNE of PCA", tsne, "X_pca"),
                ("X_tsne", "t-SNE", tsne, "X_vae"),
                ("X_umap", "UMAP", umap, "X_vae"),
                ("leiden", "Leiden", leiden, "X_vae"),
            )
            if key in shown.obsm
        }  # fmt: skip
        done = _done(run, list(pieces.values()), jobs, quiet)
        drawn = {place: found.arrays["found"] for place, found in zip(pieces, done, strict=True)}
        clusters = drawn.pop("leiden")
        for place, xy in drawn.items():
            shown.obsm[place] = xy
        found.clusters = pd.Categorical(clusters)
        for place in ("X_tsne", "X_umap"):
            add(every, "obsm", place, placed(latents, self.rows, drawn[place]), found.notes)
        add(every, "obs", "leiden", assigned(latents, self.rows, found.clusters), found.notes)
        if len(self.rows) < every.n_obs:
            found.notes.append(
                f"the {every.n_obs - len(self.rows):,} other cells stand on maps at the median of their nearest mapped "
                "cells, and in the cluster that most of these are in"
            )


def _done(run: RunFolder, pieces: list[Piece], jobs: int, quiet: bool) -> list[Found]:
    """What pieces found; nothing of an embedding can be left out, so the first error is raised."""
    outcomes = run.pieces(pieces, jobs=jobs, quiet=quiet)
    if outcomes.errors:
        raise outcomes.errors[0]
    return [found for _, found in outcomes.found]


def _check(cells: ad.AnnData, model: VAE, folds: int, *, maps: bool, jobs: int) -> None:
    refuse_repeated_genes(cells)
    for key in KEYS:
        if getattr(model, key) is not None:
            column_of(cells, getattr(model, key))
    if folds < 0 or folds == 1:
        message = f"--folds {folds} is no number of parts; use 2 or more, or 0 for none"
        raise ConfigurationError(message)
    require_portable(cells, jobs)
    needed = ["openTSNE", "umap"] * maps + ["igraph"] * (maps or model.label_key is not None)
    missing = [package for package in needed if find_spec(package) is None]
    if missing:
        message = (
            f"{missing[0]} is not installed, which maps and metrics on labels need: "
            "pip install 'cellixir[singlecell]', or give --no-maps and leave --label-key out"
        )
        raise MissingExtra(message)


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


def _enrich(found: EmbeddingResult, sets: Mapping[str, Sequence[str]] | None) -> None:
    """Tests of every latent, or of the free ones where the others are pathways by construction."""
    model = found.model
    if sets is None:
        return
    found.coverage = coverage_report(sets, model.genes_, min_genes=model.min_genes)
    found.notes += coverage_notes(sets, model.genes_, min_genes=model.min_genes)
    loadings = model.loadings()
    if model.gene_sets is not None:
        loadings = loadings.iloc[:, loadings.shape[1] - model.n_free :]
    if loadings.shape[1]:
        found.enrichment = enrich_latents(loadings, sets, seed=model.seed, min_genes=model.min_genes)


def _facts(found: EmbeddingResult, source: str) -> dict[str, object]:
    model = found.model
    return {
        "Data": source,
        "Cells": f"{found.all_cells.n_obs:,}",
        "Genes": f"{found.all_cells.n_vars:,}",
        "Scale": model.scale_,
        "Likelihood": model.likelihood_,
        "Network": f"{model.n_layers} hidden layers of {model.hidden}, dropout {model.dropout:g}",
        "Latent dimensions": len(model.latent_names_),
        "Cells that chose the epoch": f"{model.n_cells_['validation']:,}",
        "Seed": model.seed,
    }


def _write(run: RunFolder, found: EmbeddingResult) -> None:
    """Write cells, tables, page and metrics, each whole or not at all."""
    write_cells(found.all_cells, run.path / "cells.h5ad", compression="gzip")
    run.wrote("tables", run.path / "cells.h5ad")
    run.table("history", found.model.history_)
    run.table("loadings", found.model.loadings().rename_axis("gene").reset_index())
    if len(found.enrichment):
        run.table("enrichment", found.enrichment)
    if found.calls is not None:
        run.table("called", found.calls.found.predictions)
    run.page(embedding_page(found, run.command))
    run.json("metrics.json", found.metrics)
    run.says(headline=found.headline, metrics=found.metrics, notes=found.notes)
