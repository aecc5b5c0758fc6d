"""Ridge regression, one model a drug."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from cellixir.response.models.effects import Effects
from cellixir.response.models.features import SampleFeatures
from cellixir.response.models.linear import SharedRidge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData


class RidgePerDrug:
    """Linear in the sample's features, each drug by itself, on the residual from the drug's mean.

    Parameters
    ----------
    preprocess
        Steps for the views.
    """

    def __init__(self, preprocess: str = "") -> None:
        self.preprocess = preprocess

    def fit(self, data: ResponseData, validation: NDArray[np.int64] | None = None) -> Self:
        """Learn one model for each drug of ``data``."""
        self.effects_ = Effects.fit(data, samples=False, drugs=True, tissue=False)
        self.features_ = SampleFeatures(self.preprocess).fit(data)
        x, residual = self.features_.transform(data), data.response - self.effects_.predict(data)
        weights = SharedRidge().fit(x, data.sample_index, data.drug_index, residual).weights_
        self.weights_ = dict(zip(data.drugs.index, weights.T, strict=False))
        return self

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Response of each row, shape ``(n_pairs,)``; a drug that was not seen has the mean."""
        x = self.features_.transform(data)
        none = np.zeros(x.shape[1], dtype=np.float32)
        weights = np.stack([self.weights_.get(drug, none) for drug in data.drugs.index], axis=1)
        return np.asarray(self.effects_.predict(data) + (x @ weights)[data.sample_index, data.drug_index])
