"""Ridge regression, one model a drug."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from cellixir.response.features import DrugFeatures, SampleFeatures
from cellixir.response.model import Known
from cellixir.response.wide import Wide

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData


class RidgePerDrug:
    """Linear in the sample's features, each drug by itself, on the residual from the drug's mean.

    The wide part of the network under LCO, alone.
    """

    def fit(self, data: ResponseData, validation: NDArray[np.int64] | None = None) -> Self:
        """Learn one model for each drug of ``data``."""
        self.features_ = SampleFeatures().fit(data)
        self.wide_, _ = Wide.fit(data, Known.under("LCO"), self.features_, DrugFeatures())
        return self

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Response of each row, shape ``(n_pairs,)``."""
        no_drug_features = np.zeros((len(data.drugs), 0), dtype=np.float32)
        return self.wide_.predict(data, self.features_.transform(data), no_drug_features)
