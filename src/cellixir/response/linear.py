"""Ridge regression, one model a drug."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn.linear_model import RidgeCV

from cellixir.response.effects import Effects
from cellixir.response.features import SampleFeatures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData

ALPHAS = (100.0, 300.0, 1000.0, 3000.0)
MIN_SAMPLES = 10


class RidgePerDrug:
    """Linear in the sample's features, each drug by itself; the penalty by leave-one-out within the training rows.

    A drug with fewer than ``MIN_SAMPLES`` measurements keeps its mean.
    """

    def fit(self, data: ResponseData, validation: NDArray[np.int64] | None = None) -> Self:
        """Learn one model for each drug of ``data``."""
        self.effects_ = Effects.fit(data, samples=False, drugs=True, tissue=False)
        self.features_ = SampleFeatures().fit(data)
        x = self.features_.transform(data).astype(np.float64)
        residual = data.response - self.effects_.predict(data)
        self.models_: dict[str, RidgeCV] = {}
        for code in np.unique(data.drug_index):
            rows = np.flatnonzero(data.drug_index == code)
            if len(rows) >= MIN_SAMPLES:
                model = RidgeCV(alphas=ALPHAS).fit(x[data.sample_index[rows]], residual[rows])
                self.models_[str(data.drugs.index[code])] = model
        return self

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Response of each row, shape ``(n_pairs,)``."""
        x = self.features_.transform(data).astype(np.float64)
        predicted = self.effects_.predict(data)
        for code in np.unique(data.drug_index):
            model = self.models_.get(str(data.drugs.index[code]))
            if model is not None:
                rows = np.flatnonzero(data.drug_index == code)
                predicted[rows] += model.predict(x[data.sample_index[rows]])
        return predicted
