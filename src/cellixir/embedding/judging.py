"""How an embedding does beside principal components: on labels that it has not seen, over the same cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import anndata as ad
import numpy as np

from cellixir.data.expression.matrix import profile, take
from cellixir.embedding.columns import column_of
from cellixir.embedding.evaluation import evaluate
from cellixir.embedding.preparation import split_validation
from cellixir.embedding.task import COUNTS
from cellixir.metrics.class_intervals import interval_of
from cellixir.metrics.clustering import cell_draws, stratified_rows
from cellixir.metrics.intervals import Interval
from cellixir.training import derived_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from cellixir.embedding.vae import VAE

#: Cells above this number are drawn from for maps, metrics and cross-validation.
MOST_CELLS = 20_000
#: Names here, and in `evaluate`.
OF_LATENTS = {
    "ari": "ari_kmeans", "nmi": "nmi_kmeans", "ari_leiden": "ari_leiden", "nmi_leiden": "nmi_leiden",
    "silhouette": "silhouette", "knn_purity": "knn_purity",
}  # fmt: skip
OF_CALLS = ("accuracy", "macro_f1")


class Beside(NamedTuple):
    """A metric of the VAE, of PCA, and the first less the second on the same drawn cells (or patients)."""

    vae: Interval
    pca: Interval
    difference: Interval


def judged_rows(cells: ad.AnnData, label_key: str | None, seed: int, most: int = MOST_CELLS) -> NDArray[np.int64]:
    """Cells to judge by, ascending: all, or about ``most`` of them, each label with its share."""
    labels = np.zeros(cells.n_obs) if label_key is None else column_of(cells, label_key)
    return stratified_rows(labels, most, seed)


def some_cells(cells: ad.AnnData, rows: NDArray[np.integer[Any]]) -> ad.AnnData:
    """Values, columns and scale of these cells in memory, also of a matrix on disk: no other key of the user's."""
    every = isinstance(cells.X, np.ndarray) and np.array_equal(rows, np.arange(cells.n_obs))
    scale = {name: cells.uns[name] for name in ("scale", "scale_guessed") if name in cells.uns}
    values = cells.X if every else take(cells.X, rows)
    return ad.AnnData(values, obs=cells.obs.iloc[rows].copy(), var=cells.var.copy(), uns=scale)


def latents_beside(
    labels: ArrayLike,
    latents: Mapping[str, NDArray[Any]],
    groups: ArrayLike | None,
    seed: int,
    on_note: Callable[[str], None] | None = None,
) -> dict[str, Beside]:
    """ARI and NMI of clusters, silhouette and purity of neighbours, for ``latents['vae']`` and ``latents['pca']``.

    ``ari`` and ``nmi`` are of k-means with as many clusters as there are types, ``ari_leiden`` and ``nmi_leiden`` of
    Leiden at resolution 1; all four are means over seeds of the clustering.
    """
    wide = max(latent.shape[1] for latent in latents.values())
    # fewer cells than latents leave PCA with fewer components: the rest of them are zero
    same = {name: np.pad(latent, ((0, 0), (0, wide - latent.shape[1]))) for name, latent in latents.items()}
    table = evaluate(same, labels, groups=groups, seed=seed, on_note=on_note).set_index(["model", "metric"])

    def found(model: str, metric: str) -> Interval:
        value, low, high = (float(table[end][model, metric]) for end in ("value", "low", "high"))
        return Interval(value, low, high)

    return {
        name: Beside(*(found(model, metric) for model in ("vae", "pca", "vae - pca")))
        for name, metric in OF_LATENTS.items()
    }


def calls_beside(
    labels: ArrayLike, calls: Mapping[str, ArrayLike], groups: ArrayLike | None, seed: int
) -> dict[str, Beside]:
    """Accuracy and macro-F1 of the types called from ``calls['vae']`` and ``calls['pca']``."""
    names = np.asarray(labels, dtype=object)
    return {metric: _beside(metric, names, calls, groups, seed) for metric in OF_CALLS}


def _beside(
    metric: str, labels: NDArray[Any], seen: Mapping[str, ArrayLike], groups: ArrayLike | None, seed: int
) -> Beside:
    vae, pca = (cell_draws(metric, labels, seen[name], groups=groups, seed=seed) for name in ("vae", "pca"))
    return Beside(interval_of(vae), interval_of(pca), interval_of(vae - pca))


def validation_elbo(model: VAE, cells: ad.AnnData) -> float:
    """Mean evidence lower bound of the cells that chose the epoch, which no weight was fitted to; nats a cell."""
    rows = np.arange(cells.n_obs, dtype=np.int64)
    if model.likelihood_ in COUNTS:
        rows = np.flatnonzero(profile(cells).library_size > 0)
    groups = None if model.group_key is None else column_of(cells, model.group_key)
    held = split_validation(rows, groups, derived_seed(model.seed, 1))[1]
    return float(np.mean(model.elbo(some_cells(cells, held))))
