"""Trees over pairs: which side is described by what, and that they learn it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from cellixir.data.response_data import ResponseData
from cellixir.exceptions import ConfigurationError, MissingExtra
from cellixir.response.models import trees
from cellixir.response.models.baselines import EffectsBaseline
from cellixir.response.models.drug_features import DrugFeatures
from cellixir.response.models.features import SampleFeatures
from cellixir.response.models.model import Known
from cellixir.response.models.profiles import ResponseProfiles
from cellixir.response.models.trees import TreeModel


class Memory:
    """A regressor that keeps what it is shown and predicts a constant."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, X: np.ndarray, y: np.ndarray) -> Memory:
        self.X, self.y = X, y
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        self.asked = X
        return np.full(len(X), 10.0)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "ensemble", lambda kind, seed, **options: Memory(seed))


def parts(data: ResponseData, split: str) -> tuple[ResponseData, ResponseData]:
    """Training and test pairs; a quarter of the units of the split is new."""
    unit = {"LPO": np.arange(len(data)) * 7, "LCO": data.sample_index, "LDO": data.drug_index // 4}[split]
    new = unit % 4 == 0
    return data.take(~new), data.take(new)


@pytest.mark.parametrize("split", ["LPO", "LCO", "LDO", "LTO"])
def test_known_sides_are_profiles_and_new_sides_are_features(screen, split, memory):
    model = TreeModel("random_forest", split, seed=3).fit(screen)
    profiles, known = ResponseProfiles().fit(screen), Known.under(split)
    sample = (
        profiles.of_samples(screen.samples.index) if known.samples else SampleFeatures().fit(screen).transform(screen)
    )
    drug = profiles.of_drugs(screen.drugs.index) if known.drugs else DrugFeatures().fit(screen).transform(screen.drugs)
    kept = model.trees_
    assert kept.seed == 3
    assert kept.X.dtype == np.float32
    expected = [
        np.concatenate([sample[s], drug[d]]) for s, d in zip(screen.sample_index, screen.drug_index, strict=True)
    ]
    np.testing.assert_array_equal(kept.X, expected)
    np.testing.assert_allclose(kept.y, screen.response - model.effects_.predict(screen))


def test_prediction_is_effects_plus_regressor(screen, memory):
    train, new = parts(screen, "LCO")
    model = TreeModel("random_forest", "LCO").fit(train)
    np.testing.assert_allclose(model.predict(new), model.effects_.predict(new) + 10.0)
    assert model.trees_.asked.shape == (len(new), model.trees_.X.shape[1])
    drug_means = train.responses.groupby("drug")["response"].mean().reindex(new.responses["drug"])
    np.testing.assert_allclose(model.predict(new) - 10.0, drug_means)


def test_test_responses_are_not_read(screen):
    train, new = parts(screen, "LPO")
    model = TreeModel("random_forest", "LPO").fit(train)
    # threads add the trees of a forest in any order
    np.testing.assert_allclose(model.predict(new.as_question()), model.predict(new), rtol=1e-12)


@pytest.mark.parametrize("make", ["random_forest", "hist_gradient_boosting", "xgboost"])
def test_trees_find_the_biomarker_and_repeat(make, screen, biomarker):
    if make == "xgboost":
        pytest.importorskip("xgboost")
    train, new = parts(screen, "LCO")
    predicted = TreeModel(make, "LCO", seed=1).fit(train).predict(new)
    mean = EffectsBaseline(samples=False).fit(train).predict(new)
    assert np.square(predicted - new.response).mean() < 0.8 * np.square(mean - new.response).mean()
    carrier = new.feature_matrix("mutations", ["GENE0"])[new.sample_index, 0] > 0
    hit = new.drug_index % 4 == 0
    difference = predicted[hit & carrier].mean() - predicted[hit & ~carrier].mean()
    assert 1.4 * biomarker < difference < 0.4 * biomarker
    np.testing.assert_allclose(TreeModel(make, "LCO", seed=1).fit(train).predict(new), predicted, rtol=1e-12)
    assert not np.allclose(TreeModel(make, "LCO", seed=2).fit(train).predict(new), predicted)


@pytest.mark.parametrize("split", ["LPO", "LDO"])
def test_trees_beat_mean_effects(make_screen, split):
    data = make_screen(n_samples=50, n_drugs=24, hidden=1.0 if split == "LPO" else 0.0, seed=1)
    train, new = parts(data, split)
    predicted = TreeModel("random_forest", split).fit(train).predict(new)
    mean = EffectsBaseline(samples=True).fit(train).predict(new)
    assert np.square(predicted - new.response).mean() < 0.7 * np.square(mean - new.response).mean()


def test_xgboost_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(MissingExtra, match=r"cellixir\[boost\]"):
        trees.ensemble("xgboost", 0)


def test_unknown_split_is_refused(screen):
    with pytest.raises(ConfigurationError, match="no split 'LXO'"):
        TreeModel("random_forest", "LXO").fit(screen)


# --- profiles ----------------------------------------------------------------------------------------------------


def test_profiles_hold_the_residuals(make_screen):
    data = make_screen(missing=0.0, n_samples=15, n_drugs=6)
    profiles = ResponseProfiles(n_components=6).fit(data)
    sample, drug = profiles.of_samples(data.samples.index), profiles.of_drugs(data.drugs.index)
    matrix = data.responses.pivot(index="sample", columns="drug", values="response").to_numpy()
    residual = matrix - matrix.mean(axis=0)
    np.testing.assert_allclose(sample[:, 1:] @ drug[:, 1:].T, residual, atol=1e-5)
    np.testing.assert_allclose(sample[:, 0], residual.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(drug[:, 0], matrix.mean(axis=0) - matrix.mean(), atol=1e-6)
    few = ResponseProfiles(n_components=2).fit(data)
    u, s, v = np.linalg.svd(residual)
    best = (u[:, :2] * s[:2]) @ v[:2]
    two = few.of_samples(data.samples.index)[:, 1:] @ few.of_drugs(data.drugs.index)[:, 1:].T
    np.testing.assert_allclose(two, best, atol=1e-5)


def test_profiles_of_strangers_are_zero(screen):
    profiles = ResponseProfiles().fit(screen)
    assert not profiles.of_samples(screen.samples.index[:1].append(screen.drugs.index[:1]))[1].any()
    assert not profiles.of_drugs(screen.samples.index[:2]).any()
