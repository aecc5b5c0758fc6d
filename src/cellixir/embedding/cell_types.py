"""Cell types called in cross-validation by models that have not seen the cells, and the parts that are held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.data.dealing import deal
from cellixir.embedding.classification import Classified, Embedders, cross_validate
from cellixir.embedding.judging import some_cells
from cellixir.embedding.pca import PCA
from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import anndata as ad
    from numpy.typing import NDArray

    from cellixir.embedding.vae import VAE

#: Classifier that the comparison with PCA is about; the others stand beside it.
MAIN = "logistic"
#: Columns of calls, in words.
CLASSIFIERS = {
    "vae/logistic": "VAE, logistic regression", "vae/knn": "VAE, nearest neighbours", "head/head": "VAE, its own head",
    "pca/logistic": "PCA, logistic regression", "pca/knn": "PCA, nearest neighbours", "majority": "most frequent type",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Calls:
    """Types called for each labelled cell by models that did not see it.

    Attributes
    ----------
    found
        Calls and scores of each classifier.
    elbo
        Mean held-out evidence lower bound of each fold, nats a cell, of models without a head.
    """

    found: Classified
    elbo: list[float]

    @property
    def labels(self) -> NDArray[Any]:
        """Type of each cell."""
        return self.found.predictions["label"].to_numpy()

    def of(self, embedding: str) -> NDArray[Any]:
        """Calls of the main classifier from ``vae`` or ``pca``."""
        return self.found.predictions[f"{embedding}/{MAIN}"].to_numpy()


def called_types(
    cells: ad.AnnData,
    label_key: str,
    group_key: str | None,
    *,
    blind: Sequence[VAE],
    headed: Sequence[VAE],
    folds: int,
    seed: int,
) -> Calls:
    """Call each cell's type from embeddings fitted without it.

    Parameters
    ----------
    cells, label_key, group_key
        Cells, and the columns of their types and of their patients: no patient is on both sides.
    blind, headed
        VAEs without and with a head, fitted to the training cells of each fold of `fold_rows`.
    folds, seed
        Of the parts.
    """
    vaes, heads = iter(blind), iter(headed)

    def components(learn: ad.AnnData) -> PCA:
        return PCA(min(len(blind[0].latent_names_), min(learn.shape) - 1), seed=seed).fit(learn)

    embedders: Embedders = {"vae": lambda _: next(vaes), "pca": components, "head": lambda _: next(heads)}
    found = cross_validate(cells, label_key, embedders, group_key=group_key, n_folds=folds, seed=seed)
    rows, fold = cells.obs_names.get_indexer(found.predictions["cell"]), found.predictions["fold"].to_numpy()
    tested = [np.sort(rows[fold == number]) for number in range(len(blind))]
    return Calls(found, [model.score(some_cells(cells, test)) for model, test in zip(blind, tested, strict=True)])


def parts_of(
    labels: NDArray[Any], groups: NDArray[Any] | None, folds: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Training and test cells of each fold: each type spread over the folds, or whole patients.

    Raises
    ------
    ConfigurationError
        If there are fewer patients, or cells of the most frequent type, than folds.
    """
    _, code = np.unique(labels.astype(str), return_inverse=True)
    most = int(np.bincount(code).max()) if groups is None else len(pd.unique(groups))
    if most < folds:
        what = "cells of the most frequent type" if groups is None else "groups"
        message = f"{most} {what} cannot be parted into {folds} folds; use --folds {max(most, 2)} or fewer"
        raise ConfigurationError(message)
    dealt = deal(len(code), folds, seed, strata=_rare_together(code, folds), groups=groups)
    yield from ((np.flatnonzero(dealt != fold), np.flatnonzero(dealt == fold)) for fold in range(folds))


def _rare_together(code: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """Types with fewer cells than folds, which cannot be spread, are dealt as part of the most frequent one."""
    sizes = np.bincount(code)
    return np.where(sizes[code] < folds, int(sizes.argmax()), code)
