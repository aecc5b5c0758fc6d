"""The wide part of the response network: naive effects and a linear model, in closed form.

A linear map from 700 sparse features to 265 drugs is what gradient descent does worst and linear algebra does
at once. So the network is wide and deep (Cheng et al., arXiv 1606.07792): this part is solved, the deep part then
learns the residual. For training rows that is the leave-one-out residual, which looks as it will for a new sample;
the plain one would have been fitted away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.response.effects import Effects
from cellixir.response.joint_ridge import JointRidge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData
    from cellixir.response.features import DrugFeatures, SampleFeatures
    from cellixir.response.model import Known


@dataclass(frozen=True)
class Wide:
    """Effects of the known ids, and a linear map from the features of the new side to each known id's residual.

    Parameters
    ----------
    effects
        Naive part.
    weights
        Shape ``(n_features, n_models)``; no columns when both sides are known (LPO).
    models
        Ids of the columns: drugs when samples are new, samples when drugs are new.
    new_samples
        Which of the two it is.
    """

    effects: Effects
    weights: NDArray[np.float32]
    models: pd.Index
    new_samples: bool

    @classmethod
    def fit(
        cls, data: ResponseData, known: Known, samples: SampleFeatures, drugs: DrugFeatures
    ) -> tuple[Wide, NDArray[np.float64]]:
        """The fitted part, and its prediction of each training row without that row."""
        effects = Effects.fit(data, samples=known.samples, drugs=known.drugs, tissue=False)
        start = effects.predict(data)
        new_samples = not known.samples
        if known.samples and known.drugs:
            return cls(effects, np.zeros((0, 0), dtype=np.float32), pd.Index([]), new_samples), start
        x = samples.transform(data) if new_samples else drugs.transform(data.drugs)
        inputs, models = (data.sample_index, data.drug_index)[:: 1 if new_samples else -1]
        seen, row = np.unique(inputs, return_inverse=True)
        ids = (data.drugs if new_samples else data.samples).index
        ridge = JointRidge().fit(x[seen], _table(row, models, data.response - start, (len(seen), len(ids))))
        return cls(effects, ridge.weights_, ids, new_samples), start + ridge.leave_one_out_[row, models]

    def predict(
        self, data: ResponseData, samples: NDArray[np.float32], drugs: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Prediction of each row, shape ``(n_pairs,)``; ``samples`` and ``drugs`` are the features of ``data``."""
        start = self.effects.predict(data)
        if not len(self.models):
            return start
        x = samples if self.new_samples else drugs
        inputs, code = (data.sample_index, data.drug_index)[:: 1 if self.new_samples else -1]
        ids = (data.drugs if self.new_samples else data.samples).index
        grid = np.pad(x @ self.weights, ((0, 0), (0, 1)))  # the last column serves ids without a model
        return np.asarray(start + grid[inputs, self.models.get_indexer(ids)[code]])

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and facts for a bundle."""
        arrays, facts = self.effects.state()
        ids = [str(i) for i in self.models]
        return arrays | {"weights": self.weights}, {"effects": facts, "models": ids, "new_samples": self.new_samples}

    @classmethod
    def from_state(cls, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> Wide:
        """Rebuild what ``state`` described."""
        effects = Effects.from_state(arrays, facts["effects"])
        return cls(effects, arrays["weights"], pd.Index(facts["models"]), facts["new_samples"])


def _table(
    row: NDArray[np.int64], column: NDArray[np.int64], values: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Values as a table, NaN where there is none; replicates are averaged."""
    cell = row * shape[1] + column
    count = np.bincount(cell, minlength=shape[0] * shape[1])
    total = np.bincount(cell, values, minlength=len(count))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(shape)
