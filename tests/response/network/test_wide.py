from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from cellixir.data.response_data import ResponseData
from cellixir.data.splits import make_folds
from cellixir.metrics import rmse
from cellixir.response.models.drug_features import DrugFeatures
from cellixir.response.models.features import SampleFeatures
from cellixir.response.models.linear import SharedRidge
from cellixir.response.models.model import Known
from cellixir.response.network.wide import Wide


@pytest.fixture(scope="module")
def problem() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 15)).astype(np.float32)
    grid = rng.random((40, 3)) < 0.8
    inputs, models = np.nonzero(grid)
    y = (x @ rng.normal(size=(15, 3)))[inputs, models] + rng.normal(0, 0.1, len(inputs))
    return x, inputs, models, y


def test_each_model_is_scikit_learns_ridge(problem: tuple[np.ndarray, ...]) -> None:
    x, inputs, models, y = problem
    shared = SharedRidge(alphas=(2.0,)).fit(x, inputs, models, y)
    for m in range(3):
        rows = models == m
        ridge = Ridge(alpha=2.0, fit_intercept=False).fit(x[inputs[rows]].astype(float), y[rows])
        np.testing.assert_allclose(shared.weights_[:, m], ridge.coef_, atol=1e-5)


def test_leave_one_out_is_that_of_refitting(problem: tuple[np.ndarray, ...]) -> None:
    x, inputs, models, y = problem
    shared = SharedRidge(alphas=(2.0,)).fit(x, inputs, models, y)
    for row in (0, 7, 50):
        others = (models == models[row]) & (np.arange(len(y)) != row)
        ridge = Ridge(alpha=2.0, fit_intercept=False).fit(x[inputs[others]].astype(float), y[others])
        expected = ridge.predict(x[inputs[row]][None].astype(float))[0]
        assert shared.leave_one_out_[row] == pytest.approx(expected, abs=1e-5)


def test_the_penalty_is_the_one_of_least_leave_one_out_error(problem: tuple[np.ndarray, ...]) -> None:
    x, inputs, models, y = problem
    chosen = SharedRidge(alphas=(0.01, 1.0, 1e4)).fit(x, inputs, models, y)
    errors = {
        a: np.square(SharedRidge((a,)).fit(x, inputs, models, y).leave_one_out_ - y).sum() for a in (0.01, 1.0, 1e4)
    }
    assert chosen.alpha_ == min(errors, key=errors.__getitem__)


@pytest.mark.parametrize("split", ["LCO", "LDO", "LPO"])
def test_a_restored_part_predicts_the_same(
    split: str, through_a_bundle: Callable[[Wide], Wide], simulate_screen: Callable[..., Any]
) -> None:
    data, _ = simulate_screen(n_samples=40, n_drugs=15, seed=2)
    samples, drugs = SampleFeatures().fit(data), DrugFeatures().fit(data)
    wide = Wide.fit(data, Known.under(split), samples, drugs).wide
    arguments = (data, samples.transform(data), drugs.transform(data.drugs))
    restored = through_a_bundle(wide)
    np.testing.assert_array_equal(restored.predict(*arguments), wide.predict(*arguments))


def test_a_drug_that_was_never_measured_keeps_the_mean(simulate_screen: Callable[..., Any]) -> None:
    data, _ = simulate_screen(n_samples=60, n_drugs=10, seed=3)
    kept = data.take(data.drug_index != 9)
    samples, drugs = SampleFeatures().fit(kept), DrugFeatures().fit(kept)
    wide = Wide.fit(kept, Known.under("LCO"), samples, drugs).wide
    predicted = wide.predict(data, samples.transform(data), drugs.transform(data.drugs))
    assert predicted[data.drug_index == 9] == pytest.approx(kept.response.mean())
    assert np.unique(predicted[data.drug_index != 9].round(9)).size == len(kept)


@pytest.mark.parametrize("split", ["LCO", "LDO"])
def test_what_is_left_of_training_rows_is_what_will_be_left_of_new_ones(
    split: str, simulate_screen: Callable[..., Any]
) -> None:
    """The leave-one-out error is that of new samples or drugs; the error of fitted rows is below."""
    n_samples, n_drugs = (150, 40) if split == "LCO" else (40, 200)
    data, _ = simulate_screen(n_samples=n_samples, n_drugs=n_drugs, n_features=60, seed=5)
    fold = make_folds(data, split, n_folds=3)[0]
    known, new = data.take(np.concatenate([fold.train, fold.validation])), data.take(fold.test)
    samples, drugs = SampleFeatures().fit(known), DrugFeatures().fit(known)
    wide, effects, linear, _ = Wide.fit(known, Known.under(split), samples, drugs)
    without = effects + linear

    def error(rows: ResponseData) -> float:
        return rmse(rows.response, wide.predict(rows, samples.transform(rows), drugs.transform(rows.drugs)))

    assert rmse(known.response, without) == pytest.approx(error(new), rel=0.25)
    assert error(known) < 0.98 * rmse(known.response, without)
