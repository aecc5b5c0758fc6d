"""Ridge regression, one model a drug."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellixir.response.models.effects import Effects
from cellixir.response.models.features import SampleFeatures
from cellixir.response.models.linear import SharedRidge
from cellixir.response.models.model import ResponseModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData


class RidgePerDrug(ResponseModel):
    """Ridge regression of each drug by itself, on the residual from the drug's mean, linear in the sample's features.

    Parameters
    ----------
    preprocess
        Steps for the views.
    """

    learned = "weights_"

    def __init__(self, preprocess: str = "") -> None:
        self.preprocess = preprocess

    def _learn(self, data: ResponseData) -> None:
        self.effects_ = Effects.fit(data, samples=False, drugs=True, tissue=False)
        self.features_ = SampleFeatures(self.preprocess).fit(data)
        x, residual = self.features_.transform(data), data.response - self.effects_.predict(data)
        self.weights_ = SharedRidge().fit(x, data.sample_index, data.drug_index, residual).weights_
        self.drugs_ = data.drugs.index[: self.weights_.shape[1]]  # later drugs have no pair

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Response of each row, shape ``(n_pairs,)``; a drug that was not seen has the mean."""
        self.check_is_fitted()
        x = self.features_.transform(data)
        none = np.zeros((x.shape[1], 1), dtype=np.float32)
        column = self.drugs_.get_indexer(data.drugs.index)  # -1, not seen, is the last
        # in C order: a product of another memory order rounds in another way
        weights = np.ascontiguousarray(np.hstack([self.weights_, none])[:, column])
        return np.asarray(self.effects_.predict(data) + (x @ weights)[data.sample_index, data.drug_index])

    def features(self, data: ResponseData) -> tuple[NDArray[np.float32], list[str]]:
        """Features of each row's sample, shape ``(n_pairs, n_features)``, and their names."""
        self.check_is_fitted()
        return self.features_.transform(data)[data.sample_index], self.features_.names
