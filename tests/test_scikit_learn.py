"""Estimators of tables of samples x genes in scikit-learn's own tools: pipelines and searches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from cellixir.embedding.pca import PCA
from cellixir.embedding.vae import VAE
from cellixir.synthesis.gaussian import GaussianGenerator
from cellixir.synthesis.vae import ConditionalVAEGenerator
from cellixir.training import TrainingConfig

FAST: dict[str, Any] = {
    "hidden": 8, "max_epochs": 6, "training": TrainingConfig(batch_size=32, learning_rate=5e-3, precision="full"),
}  # fmt: skip


@pytest.fixture(scope="module")
def samples() -> tuple[pd.DataFrame, np.ndarray]:
    """Log expression of 120 samples x 16 genes: three types, two factors; and the types."""
    rng = np.random.default_rng(0)
    kind = np.arange(120) % 3
    centre = rng.normal(5, 1, (3, 16))
    values = centre[kind] + rng.normal(size=(120, 2)) @ rng.normal(0, 1.0, (2, 16)) + 0.3 * rng.normal(size=(120, 16))
    return pd.DataFrame(values, index=[f"s{i}" for i in range(120)], columns=[f"g{i}" for i in range(16)]), kind


def test_a_vae_is_a_step_of_a_pipeline(samples):
    X, kind = samples
    pipeline = make_pipeline(VAE("gaussian", latent=4, **FAST), LogisticRegression(max_iter=1000))
    assert cross_val_score(pipeline, X, kind, cv=KFold(3, shuffle=True, random_state=0)).mean() > 0.9
    embedded = make_pipeline(FunctionTransformer(lambda x: x.to_numpy()), PCA(3), KMeans(3, n_init=3, random_state=0))
    assert len(set(embedded.fit_predict(X))) == 3


def test_a_search_over_a_vae_takes_the_best_held_out_bound(samples):
    X, _ = samples
    grid = {"latent": [2, 3], "training__learning_rate": [5e-3, 1e-6]}
    search = GridSearchCV(VAE("gaussian", latent=2, **FAST), grid, cv=KFold(3, shuffle=True, random_state=0)).fit(X)
    assert search.best_params_["training__learning_rate"] == 5e-3
    table = pd.DataFrame(search.cv_results_)
    train, test = next(KFold(3, shuffle=True, random_state=0).split(X))
    by_hand = VAE("gaussian", latent=2, **FAST).fit(X.iloc[train])
    at = table.query("param_latent == 2 and param_training__learning_rate == 0.005")
    assert at["split0_test_score"].item() == by_hand.elbo(X.iloc[test]).mean()
    assert search.best_estimator_.transform(X).shape == (120, search.best_params_["latent"])
    assert search.score(X) == search.best_estimator_.score(X)


def test_a_search_over_a_generator_takes_what_is_nearest_to_held_out_samples(samples):
    """Two factors and three types cannot be drawn from one factor."""
    X, _ = samples
    search = GridSearchCV(GaussianGenerator(), {"rank": [1, 4]}, cv=KFold(3, shuffle=True, random_state=0)).fit(X)
    assert search.best_params_ == {"rank": 4}
    scores = search.cv_results_["mean_test_score"]
    assert scores[1] > scores[0]
    assert search.best_estimator_.sample(5).shape == (5, 16)
    assert list(search.best_estimator_.sample(1).var_names) == list(X.columns)


def test_a_generator_ends_a_pipeline(samples):
    X, _ = samples
    settings = {"latent": 2, "hidden": 8, "max_epochs": 2}
    pipeline = Pipeline([("squeeze", FunctionTransformer(np.tanh)), ("draw", ConditionalVAEGenerator(**settings))])
    search = GridSearchCV(pipeline, {"draw__latent": [1, 3]}, cv=2).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert list(search.best_estimator_["draw"].genes_) == list(X.columns)


def test_the_score_of_a_generator_is_repeatable_and_worse_for_other_samples(samples):
    X, _ = samples
    model = GaussianGenerator().fit(X[::2])
    assert model.score(X[1::2]) == model.score(X[1::2])
    assert model.score(X[1::2]) > model.score(X[1::2] + 3)
    assert model.score(X[1::2]) == pytest.approx(0, abs=0.05)
