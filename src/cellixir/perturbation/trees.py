"""Gradient boosting of effects, along their main directions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cellixir.perturbation.model import PerturbationModel, flat_features
from cellixir.training import require_within
from cellixir.training.trees import ensemble, kept

if TYPE_CHECKING:
    from pathlib import Path

    import anndata as ad
    from numpy.typing import NDArray

    from cellixir.estimator import OnEpoch
    from cellixir.perturbation.model import Held


class BoostedEffects(PerturbationModel):
    """Gradient-boosted trees, one ensemble for each of the main axes of training effects.

    Parameters
    ----------
    axes
        Principal axes of the effects that are predicted; the rest stays at its mean.
    bits
        Principal axes of the fingerprints that the trees read.
    seed
        Makes fits repeatable.
    """

    title = "Gradient boosting of effects"

    def __init__(self, axes: int = 10, bits: int = 16, seed: int = 0) -> None:
        self.axes = axes
        self.bits = bits
        self.seed = seed
        self.check_parameters()

    def check_parameters(self) -> None:
        """Refuse numbers that cannot be."""
        require_within(vars(self), {"axes": (1, math.inf), "bits": (1, math.inf), "seed": (0, math.inf)})

    def _learn(
        self,
        conditions: ad.AnnData,
        wells: ad.AnnData,
        *,
        held: Held,
        checkpoint: Path | None,
        on_epoch: OnEpoch | None,
    ) -> None:
        x, _ = flat_features(self.features_, conditions)
        self.n_bits_ = len(self.features_.bits)
        self.turn_ = _axes(x[:, : self.n_bits_], self.bits)
        y = np.asarray(conditions.X, dtype=np.float64) - self.mean_
        self.directions_ = _axes(y, self.axes)
        seen = self._seen(x)
        leaf = max(3, min(20, len(seen) // 20))
        options: dict[str, Any] = {"max_iter": 60, "learning_rate": 0.1, "max_leaf_nodes": 15, "min_samples_leaf": leaf}
        target = y @ self.directions_
        self.ensembles_ = [
            kept(ensemble("hist_gradient_boosting", self.seed, early_stopping=False, **options).fit(seen, one))
            for one in target.T
        ]

    def _seen(self, x: NDArray[Any]) -> NDArray[Any]:
        return np.hstack([x[:, : self.n_bits_] @ self.turn_, x[:, self.n_bits_ :]])

    def _change(self, question: ad.AnnData) -> NDArray[Any]:
        seen = self._seen(flat_features(self.features_, question)[0])
        told = np.column_stack([trees.predict(seen) for trees in self.ensembles_])
        return np.asarray(self.mean_ + told @ self.directions_.T)


def _axes(x: NDArray[Any], k: int) -> NDArray[Any]:
    """Main directions of a table that is nearly centred, shape ``(n_columns, <= k)``."""
    found = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:k]
    return np.asarray(found.T)
