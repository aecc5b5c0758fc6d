from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from cellixir.embedding import maps
from cellixir.exceptions import ConfigurationError, DataError, InvalidValues, MissingExtra
from cellixir.metrics.clustering import ari, knn_purity

pytest.importorskip("igraph", reason="needs the extra 'singlecell'")


def blobs(n: int = 240, n_types: int = 4, d: int = 6, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_types, n)
    return labels, rng.normal(size=(n, d)) + 8 * np.eye(d)[:n_types][labels]


@pytest.mark.parametrize("draw", [maps.tsne, maps.umap])
def test_a_map_keeps_types_apart_and_is_the_same_for_its_seed(draw: Callable[..., NDArray[np.float32]]) -> None:
    labels, latent = blobs(120)
    found = draw(latent, seed=1)
    assert found.shape == (120, 2)
    assert found.dtype == np.float32
    assert knn_purity(found, labels) > 0.99
    np.random.rand(5)  # noqa: NPY002  the global generator has no say
    assert np.array_equal(found, draw(latent, seed=1))
    assert not np.array_equal(found, draw(latent, seed=2))


def test_perplexity_is_lowered_for_few_cells_and_said() -> None:
    _, latent = blobs(40)
    notes: list[str] = []
    found = maps.tsne(latent, on_note=notes.append)
    assert notes == ["t-SNE perplexity lowered from 30 to 13 for 40 cells"]
    assert np.array_equal(found, maps.tsne(latent, perplexity=13, on_note=notes.append))
    assert len(notes) == 1


@pytest.mark.parametrize("draw", [maps.tsne, maps.umap])
def test_a_latent_of_one_dimension_can_be_drawn(draw: Callable[..., NDArray[np.float32]]) -> None:
    line = np.linspace(0, 1, 40)[:, None]
    assert np.isfinite(draw(line)).all()


def test_leiden_finds_planted_types_and_names_them_by_size() -> None:
    labels, latent = blobs(300)
    found = maps.leiden(latent, seed=3)
    assert ari(labels, found) == pytest.approx(1)
    sizes = found.value_counts()
    assert list(found.categories) == ["0", "1", "2", "3"]
    assert (np.diff(sizes.to_numpy()) <= 0).all()
    assert list(found) == list(maps.leiden(latent, seed=3))


def test_higher_resolution_gives_more_clusters() -> None:
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(300, 4))
    few, many = (len(maps.leiden(latent, resolution=r).categories) for r in (0.3, 3.0))
    assert few < many


def test_leiden_leaves_the_generators_alone() -> None:
    import random

    _, latent = blobs(60)
    state, numbers = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    maps.leiden(latent)
    assert random.getstate() == state
    assert np.array_equal(np.random.get_state()[1], numbers)  # noqa: NPY002


def test_kmeans_finds_planted_types() -> None:
    labels, latent = blobs(300)
    assert ari(labels, maps.kmeans(latent, 4)) == pytest.approx(1)
    two_places = np.repeat([[0.0, 0], [1, 1]], [6, 14], axis=0)
    assert list(maps.kmeans(two_places, 3).value_counts()) == [14, 6]  # fewer places than clusters: no warning


def test_graph_is_that_of_scanpy() -> None:
    scanpy = pytest.importorskip("scanpy", reason="needs the extra 'singlecell'")
    import anndata as ad

    rng = np.random.default_rng(1)
    cells = ad.AnnData(np.zeros((150, 1), dtype=np.float32))
    cells.obsm["X_latent"] = rng.normal(size=(150, 5)) * np.array([3, 2, 1, 1, 0.5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scanpy.pp.neighbors(cells, use_rep="X_latent", n_neighbors=15, random_state=0, method="umap")
    ours = maps.neighbour_graph(cells.obsm["X_latent"])
    assert abs(ours - cells.obsp["connectivities"]).max() < 1e-4


def test_weights_of_a_neighbourhood_sum_as_they_should() -> None:
    distance = np.sort(np.random.default_rng(0).gamma(2, size=(50, 14)), axis=1)
    weights = maps._fuzzy(distance, 15)
    assert weights.sum(axis=1) == pytest.approx(np.full(50, np.log2(15)), rel=1e-6)
    assert (weights[:, 0] == 1).all()
    assert (np.diff(weights, axis=1) <= 0).all()


def test_graph_is_symmetric_also_among_cells_in_one_place() -> None:
    latent = np.concatenate([np.zeros((30, 2)), np.random.default_rng(0).normal(3, 1, (20, 2))])
    graph = maps.neighbour_graph(latent)
    assert abs(graph - graph.T).max() == 0
    assert np.isfinite(graph.data).all()
    assert 0 < graph.data.min() <= graph.data.max() <= 1
    assert graph.diagonal().sum() == 0
    assert len(np.unique(maps.leiden(latent)[30:])) < 20


def test_two_parts_without_an_edge_are_two_clusters() -> None:
    block = np.ones((6, 6)) - np.eye(6)
    graph = sp.csr_matrix(np.block([[block, np.zeros((6, 6))], [np.zeros((6, 6)), block]]))
    assert list(maps.leiden_of_graph(graph)) == ["0"] * 6 + ["1"] * 6


def test_names_go_by_size_and_then_by_place() -> None:
    assert list(maps.by_size([5, 2, 2, 9, 5, 7])) == ["0", "1", "1", "2", "0", "3"]


@pytest.mark.parametrize("draw", [maps.tsne, maps.umap, maps.leiden])
def test_latents_that_cannot_be_drawn_are_refused(draw: Callable[..., object]) -> None:
    _, latent = blobs(30)
    with pytest.raises(DataError, match="9 cells are too few"):
        draw(latent[:9])
    with pytest.raises(InvalidValues, match="all 30 cells have the same latent"):
        draw(np.ones((30, 3)))
    with pytest.raises(InvalidValues, match=r"shape \(30,\)"):
        draw(latent[:, 0])
    latent[4, 1] = np.nan
    with pytest.raises(InvalidValues, match=r"the latent is not finite in 1 of 30 cells \(4\): dimension 2"):
        draw(latent)


def test_options_that_cannot_work_are_refused() -> None:
    _, latent = blobs(30)
    with pytest.raises(ConfigurationError, match="resolution=0 "):
        maps.leiden(latent, resolution=0)
    with pytest.raises(ConfigurationError, match="k=2 "):
        maps.leiden(latent, k=2)
    with pytest.raises(ConfigurationError, match="perplexity=0 "):
        maps.tsne(latent, perplexity=0)
    with pytest.raises(ConfigurationError, match="31 clusters cannot be made of 30 cells"):
        maps.kmeans(latent, 31)


@pytest.mark.parametrize(
    ("module", "draw", "name"),
    [("openTSNE", maps.tsne, "openTSNE"), ("umap.umap_", maps.umap, "umap-learn"), ("igraph", maps.leiden, "igraph")],
)
def test_a_lacking_package_says_how_to_get_it(
    module: str, draw: Callable[..., object], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"{name} is not installed.*pip install 'cellixir\[singlecell\]'"):
        draw(blobs(30)[1])
