"""Tree ensembles on the residual from the naive effects: scikit-learn's and XGBoost's.

A row is a pair. A side that was seen in training is described by its response profile, a side that is new by its
features; so the same trees answer every split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellixir.exceptions import ConfigurationError
from cellixir.response.models.drug_features import DrugFeatures
from cellixir.response.models.effects import Effects
from cellixir.response.models.features import SampleFeatures
from cellixir.response.models.model import Known, ResponseModel
from cellixir.response.models.profiles import ResponseProfiles
from cellixir.training.trees import ENSEMBLES, ensemble, kept

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData

#: A fifth of the features a split, and for the rest what serves some 100,000 pairs.
OPTIONS: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 60, "max_features": 0.2, "min_samples_leaf": 5, "n_jobs": -1},
    "hist_gradient_boosting": {"max_iter": 150, "learning_rate": 0.1, "max_features": 0.2, "early_stopping": False},
    "xgboost": {
        "n_estimators": 200, "learning_rate": 0.1, "max_depth": 6, "subsample": 0.8, "colsample_bynode": 0.2
    },
}  # fmt: skip


class TreeModel(ResponseModel):
    """Ensemble of trees over pairs, on the residual from the naive effects.

    Parameters
    ----------
    kind
        ``random_forest``, ``hist_gradient_boosting`` or ``xgboost``.
    split
        The question; says which sides are known.
    preprocess
        Steps for the views of samples.
    """

    learned = "trees_"

    def __init__(self, kind: str = "random_forest", split: str = "LCO", *, preprocess: str = "", seed: int = 0) -> None:
        self.kind = kind
        self.split = split
        self.preprocess = preprocess
        self.seed = seed
        self.check_parameters()

    def check_parameters(self) -> None:
        """Refuse an unknown ensemble or split, and a seed below 0."""
        Known.under(self.split)
        if self.kind not in ENSEMBLES:
            message = f"there is no ensemble '{self.kind}'; choose one of {', '.join(ENSEMBLES)}"
            raise ConfigurationError(message)
        if self.seed < 0:
            message = f"seed={self.seed} is not possible; use a seed from 0"
            raise ConfigurationError(message)

    def _learn(self, data: ResponseData) -> None:
        known = Known.under(self.split)
        self.effects_ = Effects.fit(data, samples=known.samples, drugs=known.drugs, tissue=False)
        self.profiles_ = ResponseProfiles().fit(data)
        self.sample_features_ = None if known.samples else SampleFeatures(self.preprocess).fit(data)
        self.drug_features_ = None if known.drugs else DrugFeatures().fit(data)
        model = ensemble(self.kind, self.seed, **OPTIONS[self.kind])
        self.trees_ = kept(model.fit(self._rows(data), data.response - self.effects_.predict(data)))

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Response of each row, shape ``(n_pairs,)``."""
        self.check_is_fitted()
        return np.asarray(self.effects_.predict(data) + self.trees_.predict(self._rows(data)))

    def features(self, data: ResponseData) -> tuple[NDArray[np.float32], list[str]]:
        """What the trees read of each pair, shape ``(n_pairs, n_features)``, and the names of the columns."""
        self.check_is_fitted()
        sample = self.profiles_.names("sample") if self.sample_features_ is None else self.sample_features_.names
        drug = self.profiles_.names("drug") if self.drug_features_ is None else self.drug_features_.names
        return self._rows(data), sample + drug

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
