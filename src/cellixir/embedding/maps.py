"""Maps and clusters of a latent: t-SNE, UMAP, Leiden and k-means, the same again for the same seed.

``latent`` is an embedding of cells, shape ``(n_cells, d)``. A map is for the eye: distances between far groups and
their sizes mean nothing in it, so nothing is measured on it.
"""

from __future__ import annotations

import random
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state

from cellixir.exceptions import ConfigurationError, DataError, InvalidValues, MissingExtra
from cellixir.metrics.latent import finite_latent

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

LEAST_CELLS = 10
MIN_DIST = 0.3  # as in Seurat
TINY = 1e-300


def tsne(
    latent: ArrayLike,
    *,
    seed: int = 0,
    perplexity: float = 30.0,
    threads: int = 1,
    on_note: Callable[[str], None] | None = None,
) -> NDArray[np.float32]:
    """t-SNE of the cells by openTSNE, shape ``(n_cells, 2)`` (Poličar et al., J Stat Softw 109:3, 2024).

    Starts at the two first principal components, which keeps the large-scale arrangement (Kobak and Berens, Nat Commun
    10:5416, 2019). Early exaggeration 12 for 250 iterations, then 500 at learning rate n / exaggeration, openTSNE's
    defaults; neighbours are exact below 1,000 cells and approximate above.

    Parameters
    ----------
    perplexity
        Lowered to a third of the other cells where there are too few, with a note.
    threads
        Another number of threads gives another map of the same quality: sums are then taken in another order.
    on_note
        Called with a sentence when the perplexity is lowered.

    Raises
    ------
    InvalidValues
        If a latent is not finite, or the same in all cells.
    DataError
        If there are fewer than ten cells.
    MissingExtra
        If openTSNE is not installed.
    """
    points = _plane(_checked(latent))
    if not perplexity > 0:
        message = f"perplexity={perplexity:g} is not a number of neighbours; use 5 to 100, 30 by default"
        raise ConfigurationError(message)
    most = (len(points) - 1) / 3
    if perplexity > most:
        if on_note is not None:
            on_note(f"t-SNE perplexity lowered from {perplexity:g} to {most:.3g} for {len(points)} cells")
        perplexity = most
    model = _package("openTSNE").TSNE(perplexity=perplexity, initialization="pca", n_jobs=threads, random_state=seed)
    return np.asarray(model.fit(points), dtype=np.float32)


def umap(latent: ArrayLike, *, seed: int = 0, k: int = 15, min_dist: float = MIN_DIST) -> NDArray[np.float32]:
    """UMAP of the cells by umap-learn, shape ``(n_cells, 2)`` (McInnes, Healy and Melville, arXiv 1802.03426).

    Lays out ``neighbour_graph``, the graph of the clusters, from the two first principal components; 500 epochs up to
    10,000 cells, 200 above. Runs on one thread: only so does a seed give the same map again. umap-learn's own way to
    the graph gives the same one, and takes 12 seconds of compilation in each process first.

    Raises
    ------
    InvalidValues
        If a latent is not finite, or the same in all cells.
    DataError
        If there are fewer than ten cells.
    MissingExtra
        If umap-learn is not installed.
    """
    graph, points = neighbour_graph(latent, k=k), _plane(_checked(latent))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ImportWarning)  # its parametric variant wants Tensorflow
        package = _package("umap.umap_", "umap-learn")
    a, b = package.find_ab_params(1.0, min_dist)
    found, _ = package.simplicial_set_embedding(
        points.astype(np.float32),
        graph.tocoo(),
        n_components=2,
        initial_alpha=1.0,
        a=a,
        b=b,
        gamma=1.0,
        negative_sample_rate=5,
        n_epochs=None,
        init="pca",
        random_state=check_random_state(seed),
        metric="euclidean",
        metric_kwds={},
        densmap=False,
        densmap_kwds={},
        output_dens=False,
    )
    return np.asarray(found, dtype=np.float32)


def leiden(latent: ArrayLike, *, resolution: float = 1.0, seed: int = 0, k: int = 15) -> pd.Categorical:
    """Leiden clusters of the cells, named "0", "1", ... from the largest (Traag, Waltman and van Eck, Sci Rep 9:5233).

    Modularity with ``resolution`` on ``neighbour_graph``, two iterations: what scanpy does with its defaults.

    Raises
    ------
    ConfigurationError
        If the resolution is not above zero, or there are fewer than two neighbours.
    InvalidValues
        If a latent is not finite, or the same in all cells.
    MissingExtra
        If igraph is not installed.
    """
    return leiden_of_graph(neighbour_graph(latent, k=k), resolution=resolution, seed=seed)


def leiden_of_graph(graph: sp.csr_matrix, *, resolution: float = 1.0, seed: int = 0) -> pd.Categorical:
    """Leiden clusters of a symmetric graph of cells; see ``leiden``."""
    if not resolution > 0:
        message = f"resolution={resolution:g} must be above zero; 1 is usual, more gives more clusters"
        raise ConfigurationError(message)
    igraph = _package("igraph")
    edges = sp.triu(graph, k=1).tocoo()
    network = igraph.Graph(n=graph.shape[0], edges=np.stack([edges.row, edges.col], axis=1))
    # igraph draws from one generator of the process: ours for this call, then Python's again
    igraph.set_random_number_generator(random.Random(seed))
    try:
        found = network.community_leiden(
            objective_function="modularity", weights=edges.data, resolution=resolution, n_iterations=2
        )
    finally:
        igraph.set_random_number_generator(random)
    return by_size(found.membership)


def kmeans(latent: ArrayLike, n_clusters: int, *, seed: int = 0) -> pd.Categorical:
    """k-means clusters of the cells, the best of ten starts, named "0", "1", ... from the largest.

    Raises
    ------
    ConfigurationError
        If there are more clusters than cells.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    points = _checked(latent)
    if not 1 <= n_clusters <= len(points):
        message = f"{n_clusters} clusters cannot be made of {len(points):,} cells; use from 1 to that many"
        raise ConfigurationError(message)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Number of distinct clusters", category=ConvergenceWarning)
        return by_size(KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(points))


def neighbour_graph(latent: ArrayLike, *, k: int = 15) -> sp.csr_matrix:
    """Symmetric weights of cells and their exact nearest neighbours, the fuzzy graph of UMAP.

    A neighbour at distance d weighs exp(-(d - r) / s), r the nearest neighbour's distance and s such that a cell's
    weights sum to log2(k); a pair gets a + b - a b (McInnes et al., arXiv 1802.03426, 3.1). It is the graph of scanpy's
    ``pp.neighbors``, where ``k`` counts the cell itself. Memory: ``n x k``.

    Raises
    ------
    ConfigurationError
        If ``k`` is below 3.
    """
    points = _checked(latent)
    if k < 3:
        message = f"k={k} neighbours make no graph to cluster; use 3 or more, 15 by default"
        raise ConfigurationError(message)
    n, k = len(points), min(k, len(points))
    distance, index = NearestNeighbors(n_neighbors=k - 1).fit(points).kneighbors()
    weights = _fuzzy(distance, k)
    graph = sp.csr_matrix((weights.ravel(), index.ravel(), np.arange(0, n * (k - 1) + 1, k - 1)), shape=(n, n))
    return sp.csr_matrix(graph + graph.T - graph.multiply(graph.T))


def by_size(membership: ArrayLike) -> pd.Categorical:
    """Clusters renamed "0", "1", ... from the largest; of equal ones the first seen comes first."""
    code = pd.factorize(np.asarray(membership))[0]
    order = np.argsort(-np.bincount(code), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    names = pd.Index([str(i) for i in range(len(order))])
    return pd.Categorical.from_codes(rank[code].tolist(), categories=names)


def _fuzzy(distance: Floats, k: int) -> Floats:
    """Weights of sorted neighbour distances, shape ``(n, k - 1)``."""
    nearest = np.where(distance > 0, distance, np.inf).min(axis=1, keepdims=True)
    beyond = np.maximum(distance - np.where(np.isfinite(nearest), nearest, 0), 0)
    low, high = np.zeros((len(distance), 1)), np.full((len(distance), 1), np.inf)
    scale = np.ones((len(distance), 1))
    for _ in range(64):  # bisection, as UMAP has it
        too_wide = np.exp(-beyond / scale).sum(axis=1, keepdims=True) > np.log2(k)
        low, high = np.where(too_wide, low, scale), np.where(too_wide, scale, high)
        scale = np.where(np.isfinite(high), (low + high) / 2, scale * 2)
        scale = np.maximum(scale, TINY)
    typical = np.where(np.isfinite(nearest), distance.sum(axis=1, keepdims=True) / k, distance.sum() / distance.size)
    return np.asarray(np.exp(-beyond / np.maximum(scale, 1e-3 * typical + TINY)))


def _checked(latent: ArrayLike) -> Floats:
    points = finite_latent(latent)
    if len(points) < LEAST_CELLS:
        message = f"{len(points)} cells are too few for a map or clusters; give {LEAST_CELLS} or more"
        raise DataError(message)
    if (points == points[0]).all():
        message = f"all {len(points):,} cells have the same latent; the embedding tells nothing apart"
        raise InvalidValues(message)
    return points


def _plane(points: Floats) -> Floats:
    """Points with two columns at least, for maps that start at two principal components."""
    return points if points.shape[1] > 1 else np.concatenate([points, np.zeros_like(points)], axis=1)


def _package(module: str, name: str = "") -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        message = f"{name or module} is not installed; get it with its extra: pip install 'cellixir[singlecell]'"
        raise MissingExtra(message) from error


__all__ = [
    "by_size",
    "kmeans",
    "leiden",
    "leiden_of_graph",
    "neighbour_graph",
    "tsne",
    "umap",
]
