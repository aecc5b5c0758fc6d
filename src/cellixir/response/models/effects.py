"""Naive effects: what is known of a pair before any feature is looked at.

Response = mean + sample effect + drug effect (+ drug x tissue deviation). These are the naive baselines, and
they are also where trees and networks start: a model only learns the residual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData

SHRINKAGE = 5.0  # a drug x tissue mean over five cell lines is half believed


def group_means(values: NDArray[np.float64], code: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Mean of ``values`` in each of ``n`` groups; 0 where a group is empty."""
    count = np.bincount(code, minlength=n)
    return np.asarray(np.bincount(code, values, minlength=n) / np.maximum(count, 1))


def additive_effects(
    data: ResponseData, *, max_sweeps: int = 2000, tolerance: float = 1e-9
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Mean, sample effects and drug effects of least squared error; 0 for ids without measurements.

    Alternating exact updates (backfitting) until no effect moves by more than ``tolerance``: a few sweeps where most
    pairs were measured, many where few pairs connect the samples.
    """
    s, d, y = data.sample_index, data.drug_index, data.response
    mean = float(y.mean())
    sample, drug = np.zeros(len(data.samples)), np.zeros(len(data.drugs))
    for _ in range(max_sweeps):
        drug = group_means(y - mean - sample[s], d, len(drug))
        before, sample = sample, group_means(y - mean - drug[d], s, len(sample))
        if np.abs(sample - before).max() <= tolerance:
            break
    return mean, sample, drug


@dataclass(frozen=True)
class Effects:
    """Naive prediction of a pair from its ids and its tissue.

    Parameters
    ----------
    mean
        Mean of the training responses.
    sample, drug
        Effects by id; an id that is not there has effect 0.
    deviation, count
        Tissue x drug: sum and number of the training residuals; empty when tissue is not used.
    """

    mean: float
    sample: pd.Series
    drug: pd.Series
    deviation: pd.DataFrame
    count: pd.DataFrame

    @classmethod
    def fit(cls, data: ResponseData, *, samples: bool, drugs: bool, tissue: bool) -> Effects:
        """Learn the effects that a pair can have: none of a sample (or drug) that is new when it is predicted."""
        if samples:
            mean, sample, drug = additive_effects(data)
        else:
            mean = float(data.response.mean())
            sample = np.zeros(len(data.samples))
            drug = group_means(data.response - mean, data.drug_index, len(data.drugs))
        kept_sample = _seen(sample, data.samples.index, data.sample_index) if samples else _none()
        kept_drug = _seen(drug, data.drugs.index, data.drug_index) if drugs else _none()
        additive = cls(mean, kept_sample, kept_drug, pd.DataFrame(), pd.DataFrame())
        return additive.with_tissue(data) if tissue and data.has_tissue else additive

    def with_tissue(self, data: ResponseData) -> Effects:
        """Add the drug x tissue deviations of ``data``."""
        residual = pd.Series(data.response - self.predict(data))
        keys = [data.tissue.to_numpy()[data.sample_index], data.responses["drug"].to_numpy()]
        groups = residual.groupby(keys)
        total, count = (table.unstack(fill_value=0) for table in (groups.sum(), groups.count()))
        return Effects(self.mean, self.sample, self.drug, total, count.astype(np.float64))

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Naive response of each row of ``data``, shape ``(n_pairs,)``."""
        sample, drug, deviation = self.terms(data).T
        return np.asarray(self.mean + sample + drug + deviation)

    def terms(self, data: ResponseData) -> NDArray[np.float64]:
        """What is added to the mean for each row: effects of its sample and drug, deviation; ``(n_pairs, 3)``."""
        sample = self.sample.reindex(data.samples.index, fill_value=0.0).to_numpy()[data.sample_index]
        drug = self.drug.reindex(data.drugs.index, fill_value=0.0).to_numpy()[data.drug_index]
        total, count = self._tissue_cells(data)
        return np.column_stack([sample, drug, total / (count + SHRINKAGE)])

    def _tissue_cells(self, data: ResponseData) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sum and number of residuals in each row's (tissue, drug) cell, 0 where it is unknown."""
        if self.count.empty:
            zeros = np.zeros(len(data))
            return zeros, zeros
        row = self.count.index.get_indexer(pd.Index(data.tissue))[data.sample_index]
        column = self.count.columns.get_indexer(data.drugs.index)[data.drug_index]
        known = (row >= 0) & (column >= 0)
        total, count = (t.to_numpy()[row, column] for t in (self.deviation, self.count))
        return np.where(known, total, 0.0), np.where(known, count, 0.0)


def _seen(values: NDArray[np.float64], ids: pd.Index, code: NDArray[np.int64]) -> pd.Series:
    seen = np.unique(code)
    return pd.Series(values[seen], index=ids[seen], dtype=np.float64)


def _none() -> pd.Series:
    return pd.Series(dtype=np.float64)
