"""Naive baselines: the table that any model has to beat.

After DrEval (Nat Commun 2026 17:4238). A baseline sees ids and tissue, no feature. It falls back on a
coarser mean where a group was not seen in training. It needs no validation: it learns from all rows it is given. What
it looks at, its `features`, are the means and effects that it adds up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from cellixir.exceptions import ConfigurationError
from cellixir.response.models.effects import Effects, group_means
from cellixir.response.models.model import ResponseModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData

Group = Literal["all", "drug", "sample", "tissue", "drug_tissue"]


def groups_of(data: ResponseData, by: Group) -> NDArray[np.object_]:
    """Group of each row, shape ``(n_pairs,)``: an id, a tissue, or a drug in a tissue."""
    if by == "all":
        return np.full(len(data), "all", dtype=object)
    if by == "tissue":
        return data.tissue.to_numpy(object)[data.sample_index]
    if by == "drug_tissue":
        return np.asarray(groups_of(data, "drug") + "\x1f" + groups_of(data, "tissue"), dtype=object)
    return data.responses[by].to_numpy(object)


def _means(groups: NDArray[np.object_], values: NDArray[np.float64]) -> dict[str, float]:
    keys, code = np.unique(groups, return_inverse=True)
    return dict(zip(keys.tolist(), group_means(values, code, len(keys)).tolist(), strict=True))


class GroupMean(ResponseModel):
    """Mean response of the pair's group; the global mean where the group is new.

    Parameters
    ----------
    by
        What a group is: ``all``, ``drug``, ``sample``, ``tissue`` or ``drug_tissue``.
    """

    def __init__(self, by: Group = "drug") -> None:
        self.by = by
        self.check_parameters()

    def check_parameters(self) -> None:
        """Refuse an unknown kind of group."""
        if self.by not in get_args(Group):
            message = f"by={self.by!r} is no group; choose one of {', '.join(get_args(Group))}"
            raise ConfigurationError(message)

    def _learn(self, data: ResponseData) -> None:
        self.global_ = float(data.response.mean())
        self.means_ = _means(groups_of(data, self.by), data.response)

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Mean of each row's group, shape ``(n_pairs,)``."""
        self.check_is_fitted()
        return np.array([self.means_.get(key, self.global_) for key in groups_of(data, self.by).tolist()])

    def features(self, data: ResponseData) -> tuple[NDArray[np.float64], list[str]]:
        """Mean of each row's group."""
        return self.predict(data)[:, None], [f"mean of {self.by}"]


class EffectsBaseline(ResponseModel):
    """Sum of effects: mean effects by least squares, or the drug's mean and a shrunken drug x tissue deviation.

    Parameters
    ----------
    samples, drugs, tissue
        Which effects a pair has.
    """

    def __init__(self, *, samples: bool = True, drugs: bool = True, tissue: bool = False) -> None:
        self.samples = samples
        self.drugs = drugs
        self.tissue = tissue

    def _learn(self, data: ResponseData) -> None:
        self.effects_ = Effects.fit(data, samples=self.samples, drugs=self.drugs, tissue=self.tissue)

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Sum of the effects of each row, shape ``(n_pairs,)``."""
        self.check_is_fitted()
        return self.effects_.predict(data)

    def features(self, data: ResponseData) -> tuple[NDArray[np.float64], list[str]]:
        """Effects of each row's sample, drug and drug in the tissue, ``(n_pairs, 3)``; 0 where there is none."""
        self.check_is_fitted()
        return self.effects_.terms(data), ["effect of sample", "effect of drug", "deviation of drug in tissue"]


class DrugTissueMean(ResponseModel):
    """Mean of the drug in the tissue; the drug's mean where the tissue is new to it, else the global mean."""

    def _learn(self, data: ResponseData) -> None:
        self.drug_ = GroupMean("drug").fit(data)
        self.cells_ = _means(groups_of(data, "drug_tissue"), data.response)

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Mean of each row's drug and tissue, shape ``(n_pairs,)``."""
        self.check_is_fitted()
        keys = groups_of(data, "drug_tissue").tolist()
        return np.array([self.cells_.get(k, f) for k, f in zip(keys, self.drug_.predict(data), strict=True)])

    def features(self, data: ResponseData) -> tuple[NDArray[np.float64], list[str]]:
        """Mean of each row's drug, and of the drug in the tissue."""
        told = self.predict(data)
        return np.column_stack([self.drug_.predict(data), told]), ["mean of drug", "mean of drug_tissue"]


class DrugPlusTissue(ResponseModel):
    """Drug mean + the tissue's mean residual."""

    def _learn(self, data: ResponseData) -> None:
        self.drug_ = GroupMean("drug").fit(data)
        self.shift_ = _means(groups_of(data, "tissue"), data.response - self.drug_.predict(data))

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Drug mean plus tissue shift, shape ``(n_pairs,)``."""
        drug, shift = self.features(data)[0].T
        return np.asarray(drug + shift)

    def features(self, data: ResponseData) -> tuple[NDArray[np.float64], list[str]]:
        """Mean of each row's drug, and the shift of its tissue; 0 where the tissue is new."""
        self.check_is_fitted()
        shift = np.array([self.shift_.get(tissue, 0.0) for tissue in groups_of(data, "tissue").tolist()])
        return np.column_stack([self.drug_.predict(data), shift]), ["mean of drug", "shift of tissue"]
