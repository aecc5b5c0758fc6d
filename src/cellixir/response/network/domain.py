"""Is what is new like what the model learned from? A flag beside each prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellixir.data.domain import FeatureDomain, MoleculeDomain
from cellixir.data.drugs import morgan_fingerprints

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData
    from cellixir.response.models.drug_features import DrugFeatures
    from cellixir.response.models.features import SampleFeatures
    from cellixir.response.models.model import Known


@dataclass(frozen=True)
class Domain:
    """Where the training samples (LCO, LTO) or drugs (LDO) lie; None on a side that is known by id.

    Samples are compared by their features, drugs by their Morgan fingerprints; a drug without structure is outside.
    """

    samples: FeatureDomain | None
    drugs: MoleculeDomain | None

    @classmethod
    def fit(cls, samples: SampleFeatures, drugs: DrugFeatures, data: ResponseData, known: Known) -> Domain:
        """Learn from the samples and drugs of the training pairs."""
        seen, hit = np.unique(data.sample_index), np.unique(data.drug_index)
        new_samples = not known.samples and bool(samples.names)
        new_drugs = not known.drugs and drugs.has_smiles
        return cls(
            FeatureDomain.fit(samples.transform(data)[seen]) if new_samples else None,
            MoleculeDomain.fit(_bits(data.drugs.iloc[hit])) if new_drugs else None,
        )

    def inside(self, samples: NDArray[np.float32], data: ResponseData) -> NDArray[np.bool_]:
        """Whether both sides of each row are like training, shape ``(n_pairs,)``; ``samples`` are the features."""
        inside = np.ones(len(data), dtype=bool)
        if self.samples is not None:
            inside &= ~self.samples.outside(samples)[data.sample_index]
        if self.drugs is not None:
            bits = _bits(data.drugs)
            inside &= (~self.drugs.outside(bits) & bits.any(axis=1))[data.drug_index]
        return inside


def _bits(drugs: pd.DataFrame) -> NDArray[np.uint8]:
    if "smiles" not in drugs:
        return np.zeros((len(drugs), 1024), dtype=np.uint8)
    return morgan_fingerprints(drugs["smiles"])
