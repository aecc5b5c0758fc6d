"""Several VAEs on the same cells, each beside PCA of its dimension, all judged on cells that none has seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.data.expression.alignment import refuse_repeated_genes
from cellixir.data.expression.matrix import profile
from cellixir.embedding.columns import column_of, columns_fingerprint
from cellixir.embedding.compare_report import comparison_page
from cellixir.embedding.comparison import Comparison, headline
from cellixir.embedding.held_out import HeldOut
from cellixir.embedding.maps import tsne
from cellixir.embedding.pieces import MODEL, comparable, fit, require_models, require_portable, sets_fingerprint
from cellixir.embedding.settings import vae_of
from cellixir.embedding.vae import VAE
from cellixir.exceptions import CellixirError
from cellixir.runs import Found, Piece, RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import anndata as ad

    from cellixir.runs.piece import OnEpoch


def compare(
    experiments: Mapping[str, Mapping[str, Any]],
    cells: ad.AnnData,
    out: Path | str,
    *,
    batch_key: str | None = None,
    label_key: str | None = None,
    group_key: str | None = None,
    gene_sets: Mapping[str, Sequence[str]] | None = None,
    maps: bool = True,
    seed: int = 0,
    device: str = "auto",
    jobs: int = 1,
    source: str = "",
    command: str = "",
    quiet: bool = True,
) -> Comparison:
    """Fit each experiment to four fifths of the cells, judge it on the others, and write tables and report to ``out``.

    Parameters
    ----------
    experiments
        Settings of each experiment, as of `read_experiments`.
    label_key
        Cell types, for the metrics only: no model sees them.
    group_key
        Patients: those that are held out are held out whole.
    maps
        Whether a t-SNE of each experiment is computed.
    jobs
        Processes that fit and draw at a time.

    Returns
    -------
    Comparison
        Table of the experiments, their histories, maps and failures.

    Raises
    ------
    ConfigurationError
        If a setting cannot work (the message names the experiment), or ``out`` holds other things.
    DataError
        If every experiment failed.

    Examples
    --------
    >>> compare({"small": {"latent": 5}, "large": {"latent": 20}}, cells, "my-comparison").table  # doctest: +SKIP
    """
    shared = {"batch_key": batch_key, "group_key": group_key, "gene_sets": gene_sets, "device": device}
    wanted = {name: shared | {"seed": seed} | dict(table) for name, table in experiments.items()}
    _check(cells, wanted, jobs)
    keys = {"batch": batch_key, "label": label_key, "group": group_key}
    columns = {role: columns_fingerprint(column_of(cells, key)) for role, key in keys.items() if key is not None}
    data = {"cells": profile(cells).fingerprint, "gene_sets": sets_fingerprint(gene_sets), **columns}
    held = HeldOut(cells, label_key, group_key, seed)
    run = RunFolder(
        out, "embed compare", {"data": data, "keys": keys, "seed": seed}, data=data,
        settings={name: comparable(settings) for name, settings in wanted.items()}, command=command,
        what="a comparison on other cells, labels or another seed",
    )  # fmt: skip
    with run:
        pieces = [
            Piece({"experiment": name}, comparable(settings), Experiment(settings, held))
            for name, settings in wanted.items()
        ]
        require_models(pieces, run.path)
        fitted = run.pieces(pieces, jobs=jobs, quiet=quiet)
        drawn = run.pieces(
            [_map(piece, run.path, held, seed) for piece, _ in fitted.found if maps], jobs=jobs, quiet=quiet
        )
        histories = {_name(piece): found.tables["history"] for piece, found in fitted.found}
        rows = [{"experiment": _name(piece)} | found.facts for piece, found in fitted.found]
        found = Comparison(run.path, pd.DataFrame(rows), histories, colour=held.colour(batch_key, group_key))
        found.maps = {_name(piece): drawing.arrays["map"] for piece, drawing in drawn.found}
        found.failures = run.failures
        found.notes, found.headline = held.notes, headline(found.table)
        found.facts = {
            "Data": source, "Cells": f"{cells.n_obs:,}", "Genes": f"{cells.n_vars:,}",
            "Cells held out": f"{held.test.n_obs:,}", "Seed": seed,
        }  # fmt: skip
        _write(run, found)
        run.says(
            headline=found.headline, metrics=found.board.metrics(), notes=[*found.notes, *fitted.notes, *drawn.notes]
        )
    return found


@dataclass(frozen=True)
class Experiment:
    """Fit of one experiment and its numbers on held-out cells: the work of a piece."""

    settings: Mapping[str, Any]
    held: HeldOut

    def __call__(self, place: Path, on_epoch: OnEpoch) -> Found:
        """Fit and judge."""
        model = fit(self.settings, self.held.learn, place, on_epoch)
        return Found(tables={"history": model.history_}, facts=_settings_of(model) | self.held.row(model))


def _map(piece: Piece, folder: Path, held: HeldOut, seed: int) -> Piece:
    """t-SNE of an experiment, of the model that its piece has saved."""
    bundle = piece.place(folder) / MODEL
    return Piece({**piece.labels, "map": "t-SNE"}, piece.settings, partial(_drawn, bundle, held.shown, seed))


def _drawn(bundle: Path, cells: ad.AnnData, seed: int, place: Path, on_epoch: OnEpoch) -> Found:
    del place, on_epoch
    return Found({"map": np.asarray(tsne(VAE.load(bundle).transform(cells), seed=seed), dtype=np.float32)})


def _name(piece: Piece) -> str:
    return str(piece.labels["experiment"])


def _check(cells: ad.AnnData, wanted: Mapping[str, Mapping[str, Any]], jobs: int) -> None:
    refuse_repeated_genes(cells)
    require_portable(cells, jobs)
    for name, settings in wanted.items():
        try:
            vae_of(settings)
        except CellixirError as error:
            message = f"experiment '{name}': {error}"
            raise type(error)(message) from error


def _settings_of(model: VAE) -> dict[str, Any]:
    return {
        "likelihood": model.likelihood_,
        "latent": len(model.latent_names_),
        "hidden": model.hidden,
        "n_layers": model.n_layers,
        "dropout": model.dropout,
        "beta": model.beta,
        "learning_rate": model.training.learning_rate,
        "batch_size": model.training.batch_size,
    }


def _write(run: RunFolder, found: Comparison) -> None:
    histories = pd.concat([h.assign(experiment=name) for name, h in found.histories.items()], ignore_index=True)
    run.table("experiments", found.table)
    run.table("histories", histories)
    run.page(comparison_page(found, run.command))
