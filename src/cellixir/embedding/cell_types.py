"""Cell types called in cross-validation: embeddings and classifiers that have not seen the cells they call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.embedding.judging import some_cells
from cellixir.embedding.pca import PCA
from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import anndata as ad
    from numpy.typing import NDArray

    from cellixir.embedding.vae import VAE

    Fitted = Callable[[ad.AnnData, bool, int], VAE]

#: Classifier that the comparison with PCA is about; the others stand beside it.
MAIN = "logistic"


@dataclass(frozen=True, eq=False)
class Calls:
    """Types called for each labelled cell by models that did not see it.

    Attributes
    ----------
    labels
        Type of each cell.
    called
        One column a classifier: ``vae logistic``, ``vae kNN``, ``vae head``, ``pca logistic``, ``pca kNN``.
    elbo
        Mean held-out evidence lower bound of each fold, nats a cell.
    """

    labels: NDArray[Any]
    called: pd.DataFrame
    elbo: list[float]
    notes: list[str] = field(default_factory=list)

    def of(self, embedding: str) -> NDArray[Any]:
        """Calls of the main classifier from ``vae`` or ``pca``."""
        return self.called[f"{embedding} {MAIN}"].to_numpy()


def called_types(
    cells: ad.AnnData,
    labels: NDArray[Any],
    groups: NDArray[Any] | None,
    *,
    folds: int,
    seed: int,
    fit: Fitted,
    done: Callable[[], None],
) -> Calls:
    """Call each cell's type from embeddings fitted without it.

    Parameters
    ----------
    cells, labels, groups
        Labelled cells, their types, and their patients: no patient is on both sides.
    folds, seed
        Of the parts.
    fit
        Fits a VAE to cells of a fold; its second argument says whether it has a head, the third is the fold.
    done
        Called after each fold.
    """
    parts = list(parts_of(labels, groups, folds, seed))
    called = pd.DataFrame(index=cells.obs_names, dtype=object)
    elbo = []
    for number, (train, test) in enumerate(parts):
        learn, judge = some_cells(cells, train), some_cells(cells, test)
        blind, headed = fit(learn, False, number), fit(learn, True, number)
        elbo.append(blind.score(judge))
        pca = PCA(min(len(blind.latent_names_), min(learn.shape) - 1), seed=seed).fit(learn)
        for name, model in (("vae", blind), ("pca", pca)):
            points = model.transform(learn), model.transform(judge)
            for kind, calls in calls_from(*points, labels[train]).items():
                called.loc[judge.obs_names, f"{name} {kind}"] = calls
        called.loc[judge.obs_names, "vae head"] = headed.predict(judge).idxmax(axis=1)
        done()
    return Calls(labels, called, elbo)


def parts_of(
    labels: NDArray[Any], groups: NDArray[Any] | None, folds: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Training and test cells of each fold: each type spread over the folds, or whole patients.

    Raises
    ------
    ConfigurationError
        If there are fewer patients, or cells of the most frequent type, than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    _, code = np.unique(labels.astype(str), return_inverse=True)
    most = int(np.bincount(code).max()) if groups is None else len(pd.unique(groups))
    if most < folds:
        what = "cells of the most frequent type" if groups is None else "groups"
        message = f"{most} {what} cannot be parted into {folds} folds; use --folds {max(most, 2)} or fewer"
        raise ConfigurationError(message)
    code = _rare_together(code, folds)
    if groups is None:
        yield from StratifiedKFold(folds, shuffle=True, random_state=seed).split(code, code)
    else:
        yield from StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(code, code, groups.astype(str))


def _rare_together(code: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """Types with fewer cells than folds, which cannot be spread, are dealt as part of the most frequent one."""
    sizes = np.bincount(code)
    return np.where(sizes[code] < folds, int(sizes.argmax()), code)


def calls_from(train: NDArray[Any], test: NDArray[Any], labels: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Types of test cells by logistic regression and by their 15 nearest training cells, from coordinates alone."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = labels.astype(str)
    if len(np.unique(names)) == 1:
        alone = np.full(len(test), names[0], dtype=object)
        return {MAIN: alone, "kNN": alone}
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    near = KNeighborsClassifier(min(15, len(names)))
    return {MAIN: logistic.fit(train, names).predict(test), "kNN": near.fit(train, names).predict(test)}
