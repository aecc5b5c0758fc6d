"""How far embeddings of the same cells agree with cell types, side by side at the same dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.embedding.maps import LEAST_CELLS, kmeans, leiden_of_graph, neighbour_graph
from cellixir.exceptions import ConfigurationError, DataError, InvalidValues
from cellixir.metrics.class_intervals import interval_of
from cellixir.metrics.clustering import LATENT_METRICS, MIN_GROUPS, cell_draws, enough_groups, stratified_rows
from cellixir.metrics.intervals import N_BOOTSTRAP
from cellixir.metrics.latent import finite_latent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Names = NDArray[np.object_]

#: Metrics of an embedding, all the higher the better, with their names in a figure.
TITLES = {
    "ari_leiden": "ARI (Leiden)",
    "nmi_leiden": "NMI (Leiden)",
    "ari_kmeans": "ARI (k-means)",
    "nmi_kmeans": "NMI (k-means)",
    "silhouette": "silhouette",
    "knn_purity": "kNN purity",
}
COLUMNS = ["model", "metric", "value", "low", "high"]
REFERENCE = "pca"
N_CLUSTERINGS = 10  # by the seed of Leiden or k-means alone the ARI of one embedding of 700 cells moved by 0.1
MAX_CELLS = 10_000
K = 15


def evaluate(
    embeddings: Mapping[str, ArrayLike],
    labels: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
    reference: str = REFERENCE,
    on_note: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Agreement of each embedding with the labels, and how far each differs from the reference.

    Columns ``model, metric, value, low, high``: for each embedding the metrics of ``TITLES``, then rows such as
    ``vae - pca`` with the paired difference. Intervals are 95 % bootstrap intervals over patients if ``groups`` names
    at least five, else over cells; what they draw and hold fixed is told by ``metrics.clustering.cell_draws``.

    Leiden runs at resolution 1 on every embedding: to take the resolution that fits the labels best would flatter
    each. How many clusters that gives is told to ``on_note``, as the ARI depends on it; k-means is given the number of
    types. ARI and NMI are means over ``N_CLUSTERINGS`` seeds, and a replicate draws seeds again as it does cells.

    Cells without a label are left out first. Above ``MAX_CELLS`` a sample stratified by label stands for all.

    Parameters
    ----------
    embeddings
        By name, shape ``(n_cells, d)`` each, of the same cells and the same ``d``.
    labels
        Cell types, missing where unknown.
    groups
        Patient of each cell.
    reference
        Embedding that the others are compared with, if it is there.
    on_note
        Called with a sentence for each thing to know.

    Raises
    ------
    ConfigurationError
        If the embeddings differ in dimension, or the labels name fewer than two types.
    InvalidValues
        If numbers of cells differ, or a latent is not finite.
    DataError
        If fewer than ten cells have a label.
    """
    say = on_note if on_note is not None else _nobody
    latents = _checked(embeddings)
    rows, names = _scored(labels, latents, seed, say)
    patients = _patients(groups, len(np.asarray(labels, dtype=object)), rows, say)
    draws = {}
    for number, (model, latent) in enumerate(latents.items()):
        labelled = Labelled(names, patients, seed, np.random.default_rng([seed, number]), say)
        draws[model] = labelled.draws(model, latent[rows])
    for model in [name for name in draws if reference in draws and name != reference]:
        draws[f"{model} - {reference}"] = {m: draws[model][m] - draws[reference][m] for m in TITLES}
    table = [(model, metric, *interval_of(of[metric])) for model, of in draws.items() for metric in TITLES]
    return pd.DataFrame(table, columns=COLUMNS)


def _nobody(_: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labels and patients of the cells; the same units are drawn for each embedding, clusterings for each anew."""

    names: Names
    groups: Names | None
    seed: int
    rng: np.random.Generator
    say: Callable[[str], None] = _nobody

    def draws(self, model: str, latent: Floats) -> dict[str, Floats]:
        """Replicates of every metric of one embedding, the first that of the data."""
        spread = latent.std(axis=0)
        flat = int((spread <= 1e-6 * spread.max()).sum())
        if flat:
            self.say(f"{flat} of {len(spread)} dimensions of '{model}' do not vary over the cells")
        if flat == len(spread):
            return {metric: np.full(N_BOOTSTRAP + 1, np.nan) for metric in TITLES}
        graph = neighbour_graph(latent, k=K)
        leiden = [leiden_of_graph(graph, seed=s) for s in self._seeds]
        n_clusters, n_types = np.median([len(found.categories) for found in leiden]), len(pd.unique(self.names))
        self.say(f"Leiden makes {n_clusters:.0f} clusters of '{model}'; the labels name {n_types} types")
        return self._agreement("leiden", leiden) | self.plain(latent)

    def plain(self, latent: Floats) -> dict[str, Floats]:
        """Replicates of silhouette, purity, and ARI and NMI of k-means."""
        n_types = min(len(pd.unique(self.names)), len(latent))
        found = {metric: self.of(metric, latent) for metric in LATENT_METRICS}
        return found | self._agreement("kmeans", [kmeans(latent, n_types, seed=s) for s in self._seeds])

    @property
    def _seeds(self) -> range:
        return range(self.seed, self.seed + N_CLUSTERINGS)

    def _agreement(self, kind: str, partitions: list[pd.Categorical]) -> dict[str, Floats]:
        return {f"{m}_{kind}": self._mean([self.of(m, clusters) for clusters in partitions]) for m in ("ari", "nmi")}

    def of(self, metric: str, seen: ArrayLike) -> Floats:
        """Replicates of one metric, the first that of the data."""
        return cell_draws(metric, self.names, seen, groups=self.groups, n=N_BOOTSTRAP, seed=self.seed, k=K)

    def _mean(self, draws: list[Floats]) -> Floats:
        """Mean over clusterings; a replicate takes as many of them with replacement."""
        n = len(draws)
        times = self.rng.multinomial(n, np.full(n, 1 / n), size=N_BOOTSTRAP)
        shares = np.concatenate([np.ones((1, n)), times]) / n
        return np.asarray((np.stack(draws, axis=1) * shares).sum(axis=1))


def _checked(embeddings: Mapping[str, ArrayLike]) -> dict[str, Floats]:
    if not embeddings:
        message = "there is no embedding to judge; give one or more, by name"
        raise ConfigurationError(message)
    latents = {name: finite_latent(latent, name=f"the embedding '{name}'") for name, latent in embeddings.items()}
    shapes = {name: latent.shape for name, latent in latents.items()}
    said = ", ".join(f"'{name}' {n:,} x {d}" for name, (n, d) in shapes.items())
    if len({n for n, _ in shapes.values()}) > 1:
        message = f"the embeddings are not of the same cells ({said}); give a row for each cell in each"
        raise InvalidValues(message)
    if len({d for _, d in shapes.values()}) > 1:
        message = f"the embeddings differ in dimension ({said}), which alone moves every metric; fit them at the same"
        raise ConfigurationError(message)
    return latents


def _scored(
    labels: ArrayLike, latents: dict[str, Floats], seed: int, say: Callable[[str], None]
) -> tuple[NDArray[np.int64], Names]:
    """Cells that are judged, and their labels."""
    names = np.asarray(labels, dtype=object)
    n = len(next(iter(latents.values())))
    if names.shape != (n,):
        message = f"labels have the shape {names.shape} for {n:,} cells; give one a cell"
        raise InvalidValues(message)
    rows = np.flatnonzero(~pd.isna(names))
    if len(rows) < LEAST_CELLS:
        message = f"{len(rows)} cells with a label are too few to judge an embedding; give {LEAST_CELLS} or more"
        raise DataError(message)
    if len(pd.unique(names[rows])) < 2:
        message = f"all {len(rows):,} labelled cells are '{names[rows][0]}'; give labels of two or more types"
        raise ConfigurationError(message)
    if len(rows) < n:
        say(f"{n - len(rows):,} of {n:,} cells have no label and are not judged")
    if len(rows) > MAX_CELLS:
        drawn = rows[stratified_rows(names[rows], MAX_CELLS, seed)]
        say(f"metrics are of {len(drawn):,} of {len(rows):,} labelled cells, drawn so that types keep their shares")
        rows = drawn
    return rows, names[rows]


def _patients(groups: ArrayLike | None, n: int, rows: NDArray[np.int64], say: Callable[[str], None]) -> Names | None:
    if groups is None:
        return None
    names = np.asarray(groups, dtype=object)
    if names.shape != (n,):
        message = f"groups have the shape {names.shape} for {n:,} cells; give one a cell"
        raise InvalidValues(message)
    if not enough_groups(names[rows]):
        say(f"intervals are over cells: there are fewer than {MIN_GROUPS} patients among them")
        return None
    return names[rows]
