"""Several VAEs on the same cells, each beside PCA of its dimension, all judged on cells that none has seen."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.data.expression.alignment import refuse_repeated_genes
from cellixir.data.expression.matrix import profile
from cellixir.embedding.cell_types import parts_of
from cellixir.embedding.classifiers import logistic_calls
from cellixir.embedding.columns import column_of
from cellixir.embedding.evaluation import N_CLUSTERINGS
from cellixir.embedding.judging import MOST_CELLS, judged_rows, some_cells
from cellixir.embedding.maps import kmeans
from cellixir.embedding.pca import PCA
from cellixir.embedding.settings import vae_of
from cellixir.embedding.vae import VAE
from cellixir.exceptions import CellixirError, ConfigurationError
from cellixir.files import claim, whole
from cellixir.metrics.clustering import accuracy, ari, knn_purity, macro_f1, nmi, silhouette
from cellixir.training import Bars

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import anndata as ad
    from numpy.typing import NDArray

FOLDS = 5  # one of them is held out
SHORTEST = 10  # epochs that the last tenth has at least, where there are so many
STEADY = 0.001  # of the loss: less than this is gained in the last tenth of a run that has converged


@dataclass
class Comparison:
    """What a comparison found.

    Attributes
    ----------
    table
        One row an experiment: its settings, held-out ELBO, metrics of the VAE and of PCA (``pca_``), time, stability.
    histories
        Losses of each experiment by epoch.
    maps
        t-SNE of the shown cells for each experiment, shape ``(n_cells, 2)``.
    colour
        Label, patient or batch of these cells.
    """

    folder: Path
    table: pd.DataFrame
    histories: dict[str, pd.DataFrame]
    maps: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    colour: pd.Series | None = None
    notes: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    headline: str = ""


def run_comparison(
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

    Raises
    ------
    ConfigurationError
        If a setting cannot work (the message names the experiment), or ``out`` holds other things.
    """
    folder = Path(out)
    shared = {"batch_key": batch_key, "group_key": group_key, "gene_sets": gene_sets, "device": device}
    wanted = {name: shared | {"seed": seed} | dict(table) for name, table in experiments.items()}
    refuse_repeated_genes(cells)
    for key in (batch_key, label_key, group_key):
        if key is not None:
            column_of(cells, key)
    for name, settings in wanted.items():
        _named(name, vae_of, settings)
    facts = _identity(cells, [batch_key, label_key, group_key], gene_sets, seed)
    train, test = held_out(cells, label_key, group_key, seed)
    claim(folder / "comparison.json", facts, "a comparison on other cells, labels or another seed")
    judge = _Judge(cells, train, test, label_key, seed)
    rows, histories, places = [], {}, {}
    with Bars("compare", len(wanted), quiet=quiet) as bars:
        for name, settings in wanted.items():
            bars.starts(name)
            place = folder / "experiments" / name
            model = _named(name, _fitted, place, settings, judge.learn, facts, bars)
            histories[name] = model.history_
            rows.append({"experiment": name} | _settings_of(model) | judge.row(model))
            if maps:
                places[name] = _tsne(model, judge.shown, seed, place)
            bars.done()
    found = Comparison(folder, pd.DataFrame(rows), histories, places, judge.colour(batch_key, group_key))
    found.notes = judge.notes
    found.headline = headline(found.table)
    found.facts = {"Data": source, "Cells": f"{cells.n_obs:,}", "Genes": f"{cells.n_vars:,}", "Cells held out":
                   f"{len(test):,}", "Seed": seed, "Command": command}  # fmt: skip
    _write(found)
    return found


def held_out(
    cells: ad.AnnData, label_key: str | None, group_key: str | None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells to fit to, and a fifth that no experiment sees: of every type its share, or whole patients."""
    labels = np.full(cells.n_obs, "", dtype=object)
    if label_key is not None:
        labels = column_of(cells, label_key).fillna("").to_numpy()
    groups = None if group_key is None else column_of(cells, group_key).fillna("unknown").to_numpy()
    folds = FOLDS if groups is None else max(2, min(FOLDS, len(pd.unique(groups))))
    return next(iter(parts_of(labels, groups, folds, seed)))


class _Judge:
    """Numbers of one model after another on the same held-out cells."""

    def __init__(
        self, cells: ad.AnnData, train: NDArray[np.int64], test: NDArray[np.int64], label_key: str | None, seed: int
    ) -> None:
        self.learn, self.test = some_cells(cells, train), some_cells(cells, test)
        rows = judged_rows(self.test, label_key, seed, MOST_CELLS)
        known = judged_rows(self.learn, label_key, seed, MOST_CELLS)
        self.seen, self.held = some_cells(self.learn, known), some_cells(self.test, rows)
        self.shown = some_cells(cells, judged_rows(cells, label_key, seed, MOST_CELLS))
        self.label_key, self.seed = label_key, seed
        self.notes = [f"{len(test):,} of {cells.n_obs:,} cells were held out of every fit; all numbers are of these"]
        if len(rows) < len(test):
            self.notes.append(f"metrics are of {len(rows):,} of the held-out cells, drawn with seed {seed}")
        if self.shown.n_obs < cells.n_obs:
            self.notes.append(f"maps show {self.shown.n_obs:,} of the cells, drawn with seed {seed}")
        self._pca: dict[int, dict[str, float]] = {}

    def row(self, model: VAE) -> dict[str, Any]:
        """Held-out ELBO, metrics beside PCA, time and stability."""
        n = min(len(model.latent_names_), min(self.seen.shape) - 1)
        history = model.history_
        found: dict[str, Any] = {"held_out_elbo": model.score(self.held)}
        if self.label_key is not None:
            found |= self.metrics(model)
            if n not in self._pca:
                self._pca[n] = self.metrics(PCA(n, seed=self.seed).fit(self.seen))
            found |= {f"pca_{name}": value for name, value in self._pca[n].items()}
        spread, converged = stability(history["validation_loss"].to_numpy())
        best = int(history["validation_loss"].argmin()) + 1
        seconds = float(history["seconds"].sum())
        return found | {
            "best_epoch": best, "epochs": len(history), "seconds": seconds, "loss_spread": spread,
            "converged": converged,
        }  # fmt: skip

    def metrics(self, model: VAE | PCA) -> dict[str, float]:
        """Metrics on labels of held-out cells, NaN where they are not defined."""
        learn, held = (column_of(c, str(self.label_key)) for c in (self.seen, self.held))
        known, judged = learn.notna().to_numpy(), held.notna().to_numpy()
        names = held[judged].to_numpy()
        train, test = model.transform(self.seen)[known], model.transform(self.held)[judged]
        seeds = range(self.seed, self.seed + N_CLUSTERINGS)
        clusters = [np.asarray(kmeans(test, min(len(set(names)), len(test)), seed=seed)) for seed in seeds]
        called = logistic_calls(train, test, learn[known].to_numpy())
        return {
            "ari": float(np.mean([ari(names, c) for c in clusters])),
            "nmi": float(np.mean([nmi(names, c) for c in clusters])), "silhouette": silhouette(test, names),
            "knn_purity": knn_purity(test, names), "accuracy": accuracy(names, called),
            "macro_f1": macro_f1(names, called),
        }  # fmt: skip

    def colour(self, *others: str | None) -> pd.Series | None:
        """What the maps are coloured by: label, else one of the others; None where there is none."""
        key = next((key for key in (self.label_key, *others) if key), None)
        return None if key is None else column_of(self.shown, key).rename(key)


def stability(losses: NDArray[np.float64]) -> tuple[float, bool]:
    """Spread of the last tenth of the validation losses (highest less lowest), and whether the run had converged.

    It had if the last tenth is on average not better than the tenth before it by more than a thousandth.

    >>> stability(np.array([5.0] * 10 + [4.0] * 90))
    (0.0, True)
    """
    n = max(len(losses) // 10, min(SHORTEST, len(losses) // 2), 1)
    last, before = losses[-n:], losses[-2 * n : -n]
    gained = float(before.mean() - last.mean()) if len(before) else np.inf
    return float(last.max() - last.min()), bool(gained <= STEADY * abs(float(last.mean())))


def headline(table: pd.DataFrame) -> str:
    """One sentence: the experiment with the highest held-out ELBO, and by how much."""
    kinds = table["likelihood"].nunique()
    if kinds > 1:
        return "The experiments have different likelihoods, so their evidence lower bounds cannot be compared."
    ranked = table.sort_values("held_out_elbo", ascending=False, kind="stable").reset_index(drop=True)
    best = ranked.iloc[0]
    elbo = f"{best['held_out_elbo']:,.1f} nats a cell".replace("-", "−")
    words = f"{best['experiment']} has the highest held-out evidence lower bound, {elbo}"
    if len(ranked) > 1:
        words += f", {best['held_out_elbo'] - ranked['held_out_elbo'][1]:,.1f} above {ranked['experiment'][1]}"
    if "accuracy" in table:
        words += f"; accuracy on held-out cells {best['accuracy']:.3f} (PCA: {best['pca_accuracy']:.3f})"
    return f"{words}. One fit each: differences as small as those between seeds say nothing."


def _fitted(place: Path, settings: dict[str, Any], cells: ad.AnnData, facts: dict[str, Any], bars: Bars) -> VAE:
    """The experiment's model; one that was finished with the same settings and data is read."""
    key = sha256(json.dumps([facts, _plain(settings)], sort_keys=True).encode()).hexdigest()
    mark, model = place / "finished.json", vae_of(settings)
    if mark.is_file() and mark.read_text() == key and (place / "model" / "model.json").is_file():
        return VAE.load(place / "model")
    mark.unlink(missing_ok=True)
    (place / "tsne.npy").unlink(missing_ok=True)
    checkpoint = place / f"checkpoint-{key[:12]}.safetensors"
    model.fit(cells, checkpoint=checkpoint, on_epoch=bars.epoch)
    model.save(place / "model")
    with whole(mark) as partial:
        partial.write_text(key)
    for file in place.glob("checkpoint-*.safetensors"):
        file.unlink()
    return model


def _tsne(model: VAE, cells: ad.AnnData, seed: int, place: Path) -> NDArray[np.float32]:
    """The map of the experiment; one that was finished is read."""
    from cellixir.embedding.maps import tsne

    file = place / "tsne.npy"
    if file.is_file():
        return np.asarray(np.load(file, allow_pickle=False))
    found = np.asarray(tsne(model.transform(cells), seed=seed), dtype=np.float32)
    with whole(file) as partial:
        np.save(partial, found)
    return found


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in ("gene_sets", "device")}


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


def _identity(
    cells: ad.AnnData, keys: list[str | None], gene_sets: Mapping[str, Sequence[str]] | None, seed: int
) -> dict[str, Any]:
    columns = {str(key): column_of(cells, key).tolist() for key in keys if key is not None}
    sets = None if gene_sets is None else {name: list(genes) for name, genes in gene_sets.items()}
    text = json.dumps([keys, columns, sets], sort_keys=True)
    return {"fingerprint": profile(cells).fingerprint, "columns": sha256(text.encode()).hexdigest(), "seed": seed}


def _named(name: str, call: Any, *given: Any) -> Any:
    """What the call gives; an error names the experiment."""
    try:
        return call(*given)
    except CellixirError as error:
        message = f"experiment '{name}': {error}"
        raise (ConfigurationError if isinstance(error, ConfigurationError) else type(error))(message) from error


def _write(found: Comparison) -> None:
    from cellixir.embedding.compare_report import write_comparison_report

    histories = pd.concat([h.assign(experiment=name) for name, h in found.histories.items()], ignore_index=True)
    for name, table in (("experiments.csv", found.table), ("histories.csv", histories)):
        with whole(found.folder / name) as partial:
            table.to_csv(partial, index=False)
    write_comparison_report(found.folder / "report.html", found)
