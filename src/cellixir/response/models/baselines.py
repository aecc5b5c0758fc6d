"""Naive baselines: the table that any model has to beat.

After DrEval (Nat Commun 2026 17:4238). A baseline sees ids and tissue, no feature. It falls back on a
coarser mean where a group was not seen in training. It needs no
validation: it learns from all rows it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from cellixir.response.models.effects import Effects, group_means

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData


class GroupMean:
    """Mean response of the pair's group; the global mean where the group is new."""

    def __init__(self, group: Callable[[ResponseData], NDArray[np.object_]]) -> None:
        self.group = group

    def fit(self, data: ResponseData, validation: NDArray[np.int64] | None = None) -> Self:
        """Average ``data`` within groups."""
        self.global_ = float(data.response.mean())
        keys, code = np.unique(self.group(data), return_inverse=True)
        self.means_ = dict(zip(keys.tolist(), group_means(data.response, code, len(keys)), strict=True))
        return self

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Mean of each row's group, shape ``(n_pairs,)``."""
        return np.array([self.means_.get(key, self.global_) for key in self.group(data).tolist()])


def everything(data: ResponseData) -> NDArray[np.object_]:
    """One group for all rows."""
    return np.full(len(data), "all", dtype=object)


def drug(data: ResponseData) -> NDArray[np.object_]:
    """Drug id of each row."""
    return data.responses["drug"].to_numpy(object)


def sample(data: ResponseData) -> NDArray[np.object_]:
    """Sample id of each row."""
    return data.responses["sample"].to_numpy(object)


def tissue(data: ResponseData) -> NDArray[np.object_]:
    """Tissue of each row."""
    return data.tissue.to_numpy(object)[data.sample_index]


class EffectsBaseline:
    """Sum of effects: mean effects by least squares, or the drug's mean and a shrunken drug x tissue deviation."""

    def __init__(self, *, samples: bool, drugs: bool = True, tissue: bool = False) -> None:
        self.samples = samples
        self.drugs = drugs
        self.tissue = tissue

    def fit(self, data: ResponseData, validation: NDArray[np.int64] | None = None) -> Self:
        """Learn the effects of all rows of ``data``."""
        self.effects_ = Effects.fit(data, samples=self.samples, drugs=self.drugs, tissue=self.tissue)
        return self

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Sum of the effects of each row, shape ``(n_pairs,)``."""
        return self.effects_.predict(data)


class DrugTissueMean:
    """Mean of the drug in the tissue; the drug's mean where the tissue is new to it, else the global mean."""

    def fit(self, data: ResponseData, validation: NDArray[np.int64] | None = None) -> Self:
        """Average ``data`` by drug and by drug and tissue."""
        self.drug_ = GroupMean(drug).fit(data)
        self.cell_ = GroupMean(_drug_and_tissue).fit(data)
        return self

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Mean of each row's drug and tissue, shape ``(n_pairs,)``."""
        fallback = self.drug_.predict(data)
        keys = _drug_and_tissue(data).tolist()
        return np.array([self.cell_.means_.get(k, f) for k, f in zip(keys, fallback, strict=True)])


def _drug_and_tissue(data: ResponseData) -> NDArray[np.object_]:
    return np.asarray(drug(data) + "\x1f" + tissue(data), dtype=object)


class DrugPlusTissue:
    """Drug mean + the tissue's mean residual."""

    def fit(self, data: ResponseData, validation: NDArray[np.int64] | None = None) -> Self:
        """Average ``data`` by drug, and what is left by tissue."""
        self.drug_ = GroupMean(drug).fit(data)
        residual = data.response - self.drug_.predict(data)
        keys, code = np.unique(tissue(data), return_inverse=True)
        self.shift_ = dict(zip(keys.tolist(), group_means(residual, code, len(keys)), strict=True))
        return self

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Drug mean plus tissue shift, shape ``(n_pairs,)``."""
        shift = np.array([self.shift_.get(t, 0.0) for t in tissue(data).tolist()])
        return np.asarray(self.drug_.predict(data) + shift)
