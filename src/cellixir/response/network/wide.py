"""The wide part of the response network: naive effects and a linear model, in closed form.

A linear map from 700 sparse features to 265 drugs is what gradient descent does worst and linear algebra does
at once. So the network is wide and deep (Cheng et al., arXiv 1606.07792): this part is solved, the deep part learns
beside it, and rows that neither has seen say how much each counts. What the linear part says of a training row is
therefore what it says without that row's sample (or drug), as it will for a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from cellixir.response.models.effects import Effects
from cellixir.response.models.joint_ridge import JointRidge
from cellixir.response.network.stacked_ridge import stacked_ridge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData
    from cellixir.response.models.drug_features import DrugFeatures
    from cellixir.response.models.features import SampleFeatures
    from cellixir.response.models.model import Known


class Fitted(NamedTuple):
    """The wide part, and what it says of each training row; the linear part without the row's own sample (or drug)."""

    wide: Wide
    effects: NDArray[np.float64]
    linear: NDArray[np.float64]
    block_weights: NDArray[np.float64]  # of the blocks of the new side's features


@dataclass(frozen=True)
class Wide:
    """Effects of the known ids, and a linear map from the features of the new side to each known id's residual.

    Parameters
    ----------
    effects
        Naive part.
    weights
        Shape ``(n_features, n_models)``; no columns when both sides are known (LPO).
    intercept
        Shape ``(n_models,)``.
    models
        Ids of the columns: drugs when samples are new, samples when drugs are new.
    new_samples
        Which of the two it is.
    """

    effects: Effects
    weights: NDArray[np.float32]
    intercept: NDArray[np.float64]
    models: pd.Index
    new_samples: bool

    @classmethod
    def fit(
        cls, data: ResponseData, known: Known, samples: SampleFeatures, drugs: DrugFeatures, *, linear: bool = True
    ) -> Fitted:
        """Learn from all rows of ``data``; ``linear`` or the effects alone."""
        effects = Effects.fit(data, samples=known.samples, drugs=known.drugs, tissue=False)
        start = effects.predict(data)
        new_samples = not known.samples
        features = samples if new_samples else drugs
        if not linear or (known.samples and known.drugs) or not features.names:
            none = cls(effects, np.zeros((0, 0), dtype=np.float32), np.zeros(0), pd.Index([]), new_samples)
            return Fitted(none, start, np.zeros(len(data)), np.ones(len(features.widths)))
        x = samples.transform(data) if new_samples else drugs.transform(data.drugs)
        inputs, models = (data.sample_index, data.drug_index)[:: 1 if new_samples else -1]
        seen, row = np.unique(inputs, return_inverse=True)
        ids = (data.drugs if new_samples else data.samples).index
        table = _table(row, models, data.response - start, (len(seen), len(ids)))
        if new_samples:
            weights, intercept, left_out, blocks = stacked_ridge(x[seen], table, list(samples.widths.values()))
        else:
            ridge = JointRidge().fit(x[seen], table)
            weights, intercept, left_out = ridge.weights_, ridge.intercept_, ridge.leave_one_out_
            blocks = np.ones(len(features.widths))
        wide = cls(effects, weights, intercept, ids, new_samples)
        return Fitted(wide, start, left_out[row, models], blocks)

    def predict(
        self, data: ResponseData, samples: NDArray[np.float32], drugs: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Effects and linear part of each row, shape ``(n_pairs,)``; with the features of ``data``."""
        return self.effects.predict(data) + self.linear(data, samples, drugs)

    def linear(
        self, data: ResponseData, samples: NDArray[np.float32], drugs: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Linear part of each row, shape ``(n_pairs,)``; 0 for an id without a model."""
        if not len(self.models):
            return np.zeros(len(data))
        x = samples if self.new_samples else drugs
        inputs, code = (data.sample_index, data.drug_index)[:: 1 if self.new_samples else -1]
        ids = (data.drugs if self.new_samples else data.samples).index
        grid = np.pad(x @ self.weights + self.intercept, ((0, 0), (0, 1)))  # the last column serves ids without a model
        return np.asarray(grid[inputs, self.models.get_indexer(ids)[code]], dtype=np.float64)


def _table(
    row: NDArray[np.int64], column: NDArray[np.int64], values: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Values as a table, NaN where there is none; replicates are averaged."""
    cell = row * shape[1] + column
    count = np.bincount(cell, minlength=shape[0] * shape[1])
    total = np.bincount(cell, values, minlength=len(count))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(shape)
