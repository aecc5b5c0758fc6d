"""The genes that load most on each latent, those alike side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

Floats = NDArray[np.float64]


def strongest_genes(
    loadings: pd.DataFrame, top: int, *, most_latents: int, most_genes: int
) -> tuple[pd.DataFrame, int]:
    """Loadings of the strongest genes of the strongest latents, clustered, and how many genes a latent it took.

    Genes are taken by the size of their loading; fewer a latent than ``top`` where their union would have more than
    ``most_genes``. A loading of 0 is never among the strongest.
    """
    values = loadings.to_numpy(np.float64)
    strength = np.sqrt((values**2).sum(axis=0))
    columns = np.sort(np.argsort(-strength, kind="stable")[:most_latents])
    ranked = np.argsort(-np.abs(values[:, columns]), axis=0, kind="stable")
    top = min(top, len(values))
    while top > 1 and len(_union(values[:, columns], ranked[:top])) > most_genes:
        top -= 1
    rows = _union(values[:, columns], ranked[:top])
    shown = values[np.ix_(rows, columns)]
    by_row, by_column = leaf_order(shown), leaf_order(shown.T)
    return loadings.iloc[rows[by_row], columns[by_column]], top


def leaf_order(vectors: Floats) -> NDArray[np.int64]:
    """Rows in the order of an average linkage on their cosine distance, neighbours as like as can be.

    A row of zeros is as far from all others as two rows at right angles.
    """
    if len(vectors) < 3:
        return np.arange(len(vectors))
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    distance = np.clip(1.0 - unit @ unit.T, 0.0, 2.0)
    distance = (distance + distance.T) / 2
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return np.asarray(leaves_list(tree), dtype=np.int64)


def _union(values: Floats, ranked: NDArray[np.intp]) -> NDArray[np.intp]:
    """Rows that are among the ranked ones of a column and not 0 there."""
    columns = np.broadcast_to(np.arange(ranked.shape[1]), ranked.shape)
    return np.unique(ranked[values[ranked, columns] != 0])
