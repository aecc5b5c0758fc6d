"""Types of cells called from latents: by nearest neighbours, by logistic regression, by an embedding's own head."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Protocol

import anndata as ad
import numpy as np
import pandas as pd

from cellixir.metrics.latent import finite_latent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Names = NDArray[np.object_]


class Embedding(Protocol):
    """A fitted embedding; where it has ``classes_`` and ``predict``, its own head is judged too."""

    def transform(self, cells: ad.AnnData, /) -> NDArray[Any]:
        """Latent of each cell."""
        ...


def calls_from(fitted: Embedding, seen: ad.AnnData, label: Names, query: ad.AnnData, k: int) -> dict[str, Names]:
    """Types of the query by each classifier, which learns from the seen cells whose label is not missing."""
    learned, asked = (finite_latent(fitted.transform(cells), cells.obs_names) for cells in (seen, query))
    known = np.asarray(pd.notna(label))
    learned, names = learned[known], label[known].astype(str)
    called = {"knn": neighbour_calls(learned, asked, names, k), "logistic": logistic_calls(learned, asked, names)}
    classes = getattr(fitted, "classes_", None)
    if classes is not None and len(classes) and hasattr(fitted, "predict"):
        called["head"] = _of_head(fitted.predict(query), classes)
    return called


def neighbour_calls(train: NDArray[Any], test: NDArray[Any], labels: NDArray[Any], k: int) -> Names:
    """Types of test cells by their ``k`` nearest training cells, which count alike."""
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(min(k, len(labels))).fit(train, labels)
    return np.asarray(model.predict(test), dtype=object)


def logistic_calls(train: NDArray[Any], test: NDArray[Any], labels: NDArray[Any]) -> Names:
    """Types of test cells by logistic regression on standardised latents of training cells."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = labels.astype(str)
    if len(np.unique(names)) == 1:
        return np.full(len(test), names[0], dtype=object)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(model.fit(train, names).predict(test), dtype=object)


def _of_head(found: Any, classes: Any) -> Names:
    """Types from probabilities (cells x classes), or types as they are."""
    values = found.to_numpy() if hasattr(found, "to_numpy") else np.asarray(found)
    names = np.asarray(found.columns if isinstance(found, pd.DataFrame) else classes, dtype=object)
    return np.asarray(names[values.argmax(axis=1)] if values.ndim == 2 else values, dtype=object)
