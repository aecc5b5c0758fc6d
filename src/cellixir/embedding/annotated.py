"""The user's cells with what was found about them: nothing of theirs is lost or replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from cellixir.data.expression.matrix import is_backed

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: What a name that the user has already taken ends with in our case.
OURS = "_cellixir"
#: Mapped cells that the place and the cluster of another cell are taken from.
NEAREST = 10


def annotated(cells: ad.AnnData, notes: list[str] | None = None) -> ad.AnnData:
    """The cells as they are, to be added to: annotation is copied, matrices are shared, a matrix on disk stays there.

    Parameters
    ----------
    notes
        Takes a sentence for what does not come along.
    """
    notes = [] if notes is None else notes
    known: dict[str, Any] = {name: dict(getattr(cells, name)) for name in ("obsm", "varm", "obsp", "varp")}
    known["layers"] = {name: x for name, x in cells.layers.items() if not is_backed(x)}
    if cells.raw is not None and not is_backed(cells.raw.X):
        known["raw"] = {"X": cells.raw.X, "var": cells.raw.var, "varm": dict(cells.raw.varm)}
    x, uns = cells.X, dict(cells.uns)
    if x is not None and is_backed(x):
        x = None
        notes.append("the expression, and layers beside it, stay in the file they came from, and are not written again")
    for name in [name for name, value in uns.items() if _is_stale(value, known["obsp"])]:
        del uns[name]
        notes.append(f"uns['{name}'] was left out: the matrices of neighbours that it describes are not there")
    obs, dates = cells.obs.copy(), cells.obs.select_dtypes(["datetime", "datetimetz"]).columns
    for column in dates:  # .h5ad has no type for them
        obs[column] = obs[column].dt.strftime("%Y-%m-%d %H:%M:%S").str.removesuffix(" 00:00:00")
        notes.append(f"the dates of '{column}' are written as text, such as {obs[column].iloc[0]}")
    return ad.AnnData(x, obs=obs, var=cells.var.copy(), uns=uns, **known)


def _is_stale(value: Any, obsp: Mapping[str, Any]) -> bool:
    """Whether an entry of ``uns`` describes a graph, as scanpy's ``neighbors`` does, that is not there."""
    if not isinstance(value, Mapping) or "connectivities_key" not in value:
        return False
    return any(str(value[key]) not in obsp for key in ("connectivities_key", "distances_key") if key in value)


def add(cells: ad.AnnData, place: str, name: str, values: Any, notes: list[str]) -> None:
    """Put values into ``obs`` or ``obsm`` under a name; where the user has one of that name, under another one."""
    there = getattr(cells, place)
    free = name
    while free in there:
        free += OURS
    there[free] = values
    if free != name:
        notes.append(f"{place}['{name}'] of the data stays as it is; ours is {place}['{free}']")


def placed(latent: ArrayLike, rows: NDArray[np.int64], xy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Places of all cells on a map of some: others stand at the median of their nearest mapped cells, by latent.

    openTSNE starts new points there (Poličar et al., Mach Learn 112:721, 2023).
    """
    found = np.empty((len(np.asarray(latent)), xy.shape[1]), dtype=np.float32)
    found[rows] = xy
    others, nearest = _nearest(latent, rows)
    found[others] = np.median(xy[nearest], axis=1)
    return found


def assigned(latent: ArrayLike, rows: NDArray[np.int64], clusters: pd.Categorical) -> pd.Categorical:
    """Clusters of all cells from those of some: others are in the one that most of their nearest cells are in."""
    codes = np.empty(len(np.asarray(latent)), dtype=np.int64)
    codes[rows] = clusters.codes
    others, nearest = _nearest(latent, rows)
    votes = np.stack([(clusters.codes[nearest] == code).sum(axis=1) for code in range(len(clusters.categories))])
    codes[others] = votes.argmax(axis=0)
    return pd.Categorical.from_codes(codes.tolist(), categories=clusters.categories)


def _nearest(latent: ArrayLike, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells that are not among ``rows``, and places in ``rows`` of the nearest of each."""
    points = np.asarray(latent)
    others = np.setdiff1d(np.arange(len(points)), rows)
    if not len(others):
        return others, np.empty((0, 1), dtype=np.int64)
    search = NearestNeighbors(n_neighbors=min(NEAREST, len(rows))).fit(points[rows])
    return others, search.kneighbors(points[others], return_distance=False)
