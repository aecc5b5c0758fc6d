"""Tree ensembles on the residual from the naive effects: scikit-learn's and XGBoost's.

A row is a pair. A side that was seen in training is described by its response profile, a side that is new by its
features; so the same trees answer every split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from cellixir.exceptions import MissingExtra
from cellixir.response.models.drug_features import DrugFeatures
from cellixir.response.models.effects import Effects
from cellixir.response.models.features import SampleFeatures
from cellixir.response.models.model import Known
from cellixir.response.models.profiles import ResponseProfiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData


class Regressor(Protocol):
    """What scikit-learn calls a regressor."""

    def fit(self, X: NDArray[np.float32], y: NDArray[np.float64]) -> object:
        """Learn from rows ``X``."""
        ...

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predict rows ``X``."""
        ...


class TreeModel:
    """A regressor over pairs.

    Parameters
    ----------
    make
        Builds the regressor from a seed.
    split
        The question; says which sides are known.
    preprocess
        Steps for the views of samples.
    """

    def __init__(self, make: Callable[[int], Regressor], split: str, *, preprocess: str = "", seed: int = 0) -> None:
        self.make = make
        self.split = split
        self.preprocess = preprocess
        self.seed = seed

    def fit(self, data: ResponseData, validation: NDArray[np.int64] | None = None) -> Self:
        """Learn from all rows of ``data``."""
        known = Known.under(self.split)
        self.effects_ = Effects.fit(data, samples=known.samples, drugs=known.drugs, tissue=False)
        self.profiles_ = ResponseProfiles().fit(data)
        self.sample_features_ = None if known.samples else SampleFeatures(self.preprocess).fit(data)
        self.drug_features_ = None if known.drugs else DrugFeatures().fit(data)
        self.regressor_ = self.make(self.seed)
        self.regressor_.fit(self._rows(data), data.response - self.effects_.predict(data))
        if hasattr(self.regressor_, "n_jobs"):
            self.regressor_.n_jobs = 1  # threads would add up the trees of a forest in any order
        return self

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Response of each row, shape ``(n_pairs,)``."""
        return self.effects_.predict(data) + self.regressor_.predict(self._rows(data))

    def _rows(self, data: ResponseData) -> NDArray[np.float32]:
        """One row a pair: trees know no other way, so here the pair matrix is built, in float32."""
        sample = (
            self.profiles_.of_samples(data.samples.index)
            if self.sample_features_ is None
            else self.sample_features_.transform(data)
        )
        drug = (
            self.profiles_.of_drugs(data.drugs.index)
            if self.drug_features_ is None
            else self.drug_features_.transform(data.drugs)
        )
        rows = np.empty((len(data), sample.shape[1] + drug.shape[1]), dtype=np.float32)
        np.take(sample, data.sample_index, axis=0, out=rows[:, : sample.shape[1]])
        np.take(drug, data.drug_index, axis=0, out=rows[:, sample.shape[1] :])
        return rows


def random_forest(seed: int) -> Regressor:
    """60 trees, a fifth of the features a split, 5 pairs a leaf."""
    from sklearn.ensemble import RandomForestRegressor

    forest: Regressor = RandomForestRegressor(60, max_features=0.2, min_samples_leaf=5, n_jobs=-1, random_state=seed)
    return forest


def hist_gradient_boosting(seed: int) -> Regressor:
    """150 rounds of at most 31 leaves, learning rate 0.1, a fifth of the features a split."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    boosting: Regressor = HistGradientBoostingRegressor(
        max_iter=150, learning_rate=0.1, max_features=0.2, early_stopping=False, random_state=seed
    )
    return boosting


def xgboost(seed: int) -> Regressor:
    """200 rounds of depth 6, learning rate 0.1, a fifth of the features a split, 80 % of the pairs a tree."""
    try:
        from xgboost import XGBRegressor
    except ImportError as error:
        message = "the model 'xgboost' needs its extra: pip install 'cellixir[boost]'"
        raise MissingExtra(message) from error

    boosting: Regressor = XGBRegressor(
        n_estimators=200,
        learning_rate=0.1,
        max_depth=6,
        subsample=0.8,
        colsample_bynode=0.2,
        tree_method="hist",
        random_state=seed,
    )
    return boosting
