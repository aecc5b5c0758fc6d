from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from cellixir.data.simulate import simulate_responses
from cellixir.response.features import DrugFeatures, SampleFeatures
from cellixir.response.linear import SharedRidge
from cellixir.response.model import Known
from cellixir.response.wide import Wide


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
def test_a_restored_part_predicts_the_same(split: str) -> None:
    data, _ = simulate_responses(n_samples=40, n_drugs=15, seed=2)
    samples, drugs = SampleFeatures().fit(data), DrugFeatures().fit(data)
    wide, _ = Wide.fit(data, Known.under(split), samples, drugs)
    arguments = (data, samples.transform(data), drugs.transform(data.drugs))
    restored = Wide.from_state(*wide.state())
    np.testing.assert_array_equal(restored.predict(*arguments), wide.predict(*arguments))


def test_a_drug_without_a_model_keeps_its_effect() -> None:
    data, _ = simulate_responses(n_samples=60, n_drugs=10, seed=3)
    few = data.drug_index == 9
    rows = np.flatnonzero(~few | (np.cumsum(few) <= 4))  # four measurements of the last drug
    kept = data.take(rows)
    samples, drugs = SampleFeatures().fit(kept), DrugFeatures().fit(kept)
    wide, _ = Wide.fit(kept, Known.under("LCO"), samples, drugs)
    last = kept.drug_index == 9
    predicted = wide.predict(kept, samples.transform(kept), drugs.transform(kept.drugs))
    assert np.unique(predicted[last].round(9)).size == 1
    assert np.unique(predicted[~last].round(9)).size > 100
