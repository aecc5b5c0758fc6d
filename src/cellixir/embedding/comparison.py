"""What a comparison of experiments found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pandas as pd

from cellixir.metrics.catalogue import EMBEDDING
from cellixir.metrics.words import bracketed, estimate, numbers_of
from cellixir.runs import Leaderboard

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

METRICS = ("ari", "nmi", "silhouette", "knn_purity", "accuracy", "macro_f1")
#: Metrics of the VAEs, and those of PCA of the same dimension beside them.
CATALOGUE = {
    **EMBEDDING,
    **{f"pca_{m}": replace(EMBEDDING[m], words=f"PCA {EMBEDDING[m].words}") for m in METRICS},
    **{f"{m}_difference": replace(EMBEDDING[m], words=f"{EMBEDDING[m].words}, less PCA") for m in METRICS},
}


@dataclass
class Comparison:
    """What a comparison found.

    Attributes
    ----------
    table
        One row an experiment: its settings, held-out ELBO, metrics of the VAE, of PCA (``pca_``) and the first less the
        second on the same drawn cells or patients (``_difference``), each with ``_low`` and ``_high``, time, stability.
    histories
        Losses of each experiment by epoch.
    maps
        t-SNE of the shown cells for each experiment, shape ``(n_cells, 2)``.
    colour
        Label, patient or batch of these cells.
    failures
        Experiments that failed, or whose map did: ``experiment, error``.
    """

    folder: Path
    table: pd.DataFrame
    histories: dict[str, pd.DataFrame]
    maps: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    colour: pd.Series | None = None
    failures: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    headline: str = ""

    @property
    def board(self) -> Leaderboard:
        """Experiments by their held-out evidence lower bound."""
        return board_of(self.table)


def board_of(table: pd.DataFrame) -> Leaderboard:
    """Leaderboard of a table of experiments."""
    models = table.rename(columns={"experiment": "model"}).assign(kind="embedding")
    return Leaderboard(models, pd.DataFrame(), "held_out_elbo", CATALOGUE)


def headline(table: pd.DataFrame) -> str:
    """One sentence: the experiment with the highest held-out ELBO, and by how much."""
    kinds = table["likelihood"].nunique()
    if kinds > 1:
        return "The experiments have different likelihoods, so their evidence lower bounds cannot be compared."
    ranked = board_of(table).ranked
    best = {str(name): value for name, value in ranked.iloc[0].items()}
    elbo = f"{best['held_out_elbo']:,.1f} nats a cell".replace("-", "−")
    words = f"{best['model']} has the highest held-out evidence lower bound, {elbo}"
    if len(ranked) > 1:
        words += f", {best['held_out_elbo'] - ranked['held_out_elbo'][1]:,.1f} above {ranked['model'][1]}"
    if "accuracy" in table:
        ends = estimate(numbers_of(best), "accuracy")
        words += f"; accuracy on held-out cells {bracketed(ends)} (PCA: {best['pca_accuracy']:.3f})"
    return f"{words}. One fit each: differences as small as those between seeds say nothing."
