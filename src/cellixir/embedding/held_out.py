"""Cells that no experiment of a comparison sees, and the numbers of a model on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.embedding.cell_types import parts_of
from cellixir.embedding.classifiers import logistic_calls
from cellixir.embedding.columns import column_of
from cellixir.embedding.comparison import METRICS
from cellixir.embedding.evaluation import Labelled
from cellixir.embedding.judging import MOST_CELLS, judged_rows, some_cells
from cellixir.embedding.pca import PCA
from cellixir.metrics.class_intervals import interval_of
from cellixir.metrics.words import banded

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

    from cellixir.embedding.vae import VAE

    Floats = NDArray[np.float64]

FOLDS = 5  # one of them is held out
SHORTEST = 10  # epochs that the last tenth has at least, where there are so many
STEADY = 0.001  # of the loss: less than this is gained in the last tenth of a run that has converged


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


class HeldOut:
    """Cells to fit to, and held-out cells that every experiment has its numbers on."""

    def __init__(self, cells: ad.AnnData, label_key: str | None, group_key: str | None, seed: int) -> None:
        train, test = held_out(cells, label_key, group_key, seed)
        self.learn, self.test = some_cells(cells, train), some_cells(cells, test)
        rows = judged_rows(self.test, label_key, seed, MOST_CELLS)
        known = judged_rows(self.learn, label_key, seed, MOST_CELLS)
        self.seen, self.held = some_cells(self.learn, known), some_cells(self.test, rows)
        self.shown = some_cells(cells, judged_rows(cells, label_key, seed, MOST_CELLS))
        self.label_key, self.seed = label_key, seed
        self.groups = None if group_key is None else column_of(self.held, group_key).fillna("unknown").to_numpy()
        self.notes = [f"{len(test):,} of {cells.n_obs:,} cells were held out of every fit; all numbers are of these"]
        if len(rows) < len(test):
            self.notes.append(f"metrics are of {len(rows):,} of the held-out cells, drawn with seed {seed}")
        if self.shown.n_obs < cells.n_obs:
            self.notes.append(f"maps show {self.shown.n_obs:,} of the cells, drawn with seed {seed}")
        self._pca: dict[int, dict[str, Floats]] = {}

    def row(self, model: VAE) -> dict[str, Any]:
        """Held-out ELBO, metrics beside PCA with their intervals, time and stability."""
        n = min(len(model.latent_names_), min(self.seen.shape) - 1)
        history = model.history_
        found: dict[str, Any] = {"held_out_elbo": model.score(self.held)}
        if self.label_key is not None:
            if n not in self._pca:
                self._pca[n] = self.draws(PCA(n, seed=self.seed).fit(self.seen))
            for metric, vae in self.draws(model).items():
                pca = self._pca[n][metric]
                for name, drawn in ((metric, vae), (f"pca_{metric}", pca), (f"{metric}_difference", vae - pca)):
                    found |= banded(name, interval_of(drawn))
        spread, steady = stability(history["validation_loss"].to_numpy())
        best = int(history["validation_loss"].argmin()) + 1
        converged = steady and best > 1  # with the first epoch the best, training has added nothing to the start
        seconds = float(history["seconds"].sum())
        return found | {
            "best_epoch": best, "epochs": len(history), "seconds": seconds, "loss_spread": spread,
            "converged": converged,
        }  # fmt: skip

    def draws(self, model: VAE | PCA) -> dict[str, Floats]:
        """Bootstrap replicates of the metrics on labels of held-out cells, the first that of the data.

        NaN where a metric is not defined. Drawn are patients, if at least five of them are held out, else cells.
        """
        learn, held = (column_of(c, str(self.label_key)) for c in (self.seen, self.held))
        known, judged = learn.notna().to_numpy(), held.notna().to_numpy()
        names = held[judged].to_numpy()
        groups = None if self.groups is None else self.groups[judged]
        train, test = model.transform(self.seen)[known], model.transform(self.held)[judged]
        rng = np.random.default_rng([self.seed, int(isinstance(model, PCA))])  # clusterings are drawn for each anew
        labelled = Labelled(names, groups, self.seed, rng)
        found = {
            name.removesuffix("_kmeans"): drawn
            for name, drawn in labelled.plain(np.asarray(test, dtype=np.float64)).items()
        }
        called = logistic_calls(train, test, learn[known].to_numpy())
        return {m: found[m] if m in found else labelled.of(m, called) for m in METRICS}

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
