"""What the training responses say of a sample or drug that was seen: its mean and its place in a low-rank map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.response.models.effects import Effects

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData

N_COMPONENTS = 8


class ResponseProfiles:
    """Effect and singular components of each seen sample and drug.

    The residuals from the drug means, 0 where not measured, are decomposed as ``U S V'``; a drug is its mean and row
    of ``V``, a sample its mean residual and its row of ``U S``, each of ``n_components`` columns.
    """

    def __init__(self, n_components: int = N_COMPONENTS) -> None:
        self.n_components = n_components

    def fit(self, data: ResponseData) -> ResponseProfiles:
        """Learn from the rows of ``data``; replicates of a pair are averaged."""
        means = Effects.fit(data, samples=False, drugs=True, tissue=False)
        table = data.responses[["sample", "drug"]].assign(residual=data.response - means.predict(data))
        matrix = table.pivot_table(index="sample", columns="drug", values="residual", aggfunc="mean")
        u, s, v = np.linalg.svd(matrix.fillna(0.0).to_numpy(), full_matrices=False)
        k = min(self.n_components, len(s))
        sample = np.column_stack([matrix.mean(axis=1), u[:, :k] * s[:k]])
        drug = np.column_stack([means.drug.reindex(matrix.columns), v[:k].T])
        self.samples_ = pd.DataFrame(sample, index=matrix.index)
        self.drugs_ = pd.DataFrame(drug, index=matrix.columns)
        return self

    def of_samples(self, ids: pd.Index) -> NDArray[np.float32]:
        """Shape ``(len(ids), 1 + n_components)``; 0 for a sample that was not seen."""
        return self.samples_.reindex(ids, fill_value=0.0).to_numpy(np.float32)

    def of_drugs(self, ids: pd.Index) -> NDArray[np.float32]:
        """Shape ``(len(ids), 1 + n_components)``; 0 for a drug that was not seen."""
        return self.drugs_.reindex(ids, fill_value=0.0).to_numpy(np.float32)

    def names(self, side: str) -> list[str]:
        """Names of the columns of one side, ``sample`` or ``drug``."""
        n = (self.samples_ if side == "sample" else self.drugs_).shape[1] - 1
        return [f"{side} effect", *(f"{side} component {i + 1}" for i in range(n))]
