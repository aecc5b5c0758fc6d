"""Ridge models in closed form, their leave-one-out predictions, and the wide part that is made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellixir.data.response_data import ResponseData
from cellixir.response.models.drug_features import DrugFeatures
from cellixir.response.models.features import SampleFeatures
from cellixir.response.models.linear import MIN_ROWS, SharedRidge, _Solver
from cellixir.response.models.model import Known
from cellixir.response.models.ridge import RidgePerDrug
from cellixir.response.network.wide import Wide

Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def problem(seed: int = 0, n_inputs: int = 30, n_features: int = 7, sizes: tuple[int, ...] = (25, 12, 30)) -> Rows:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_inputs, n_features)).astype(np.float32)
    inputs = np.concatenate([rng.permutation(n_inputs)[:size] for size in sizes])
    models = np.repeat(np.arange(len(sizes)), sizes)
    slopes = rng.normal(size=(n_features, len(sizes)))
    y = (x[inputs] * slopes[:, models].T).sum(axis=1) + rng.normal(size=len(models))
    order = rng.permutation(len(models))  # rows of the models are mixed
    return x, inputs[order], models[order], y[order]


def primal(x: np.ndarray, y: np.ndarray, alpha: float) -> np.ndarray:
    """Textbook ridge without intercept."""
    x = x.astype(np.float64)
    return np.linalg.solve(x.T @ x + alpha * np.eye(x.shape[1]), x.T @ y)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), n_features=st.integers(1, 60), alpha=st.floats(0.1, 1000))
def test_weights_are_those_of_each_model_alone(seed, n_features, alpha):
    x, inputs, models, y = problem(seed, n_features=n_features)
    ridge = SharedRidge((alpha,)).fit(x, inputs, models, y)
    assert ridge.weights_.shape == (n_features, 3)
    for model in range(3):
        rows = models == model
        expected = primal(x[inputs[rows]], y[rows], alpha)
        np.testing.assert_allclose(ridge.weights_[:, model], expected, atol=1e-4 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("alpha", [0.5, 30.0])
def test_leave_one_out_is_a_fit_without_the_row(alpha):
    x, inputs, models, y = problem()
    ridge = SharedRidge((alpha,)).fit(x, inputs, models, y)
    for row in range(len(y)):
        others = (models == models[row]) & (np.arange(len(y)) != row)
        expected = x[inputs[row]] @ primal(x[inputs[others]], y[others], alpha)
        assert ridge.leave_one_out_[row] == pytest.approx(expected, abs=1e-5)
    in_sample = (x[inputs] * ridge.weights_[:, models].T).sum(axis=1)
    assert np.square(ridge.leave_one_out_ - y).sum() > 1.05 * np.square(in_sample - y).sum()


def test_the_penalty_is_the_one_that_predicts_best():
    x, inputs, models, y = problem(n_features=25)
    alphas = (0.01, 1.0, 10.0, 100.0, 1e4)

    def error(alpha: float) -> float:
        return float(np.square(SharedRidge((alpha,)).fit(x, inputs, models, y).leave_one_out_ - y).sum())

    best = min(alphas, key=error)
    assert best not in (alphas[0], alphas[-1])
    assert SharedRidge(alphas).fit(x, inputs, models, y).alpha_ == best


def test_a_model_of_few_rows_says_nothing():
    x, inputs, models, y = problem(sizes=(25, MIN_ROWS - 1, MIN_ROWS))
    ridge = SharedRidge().fit(x, inputs, models, y)
    assert not ridge.weights_[:, 1].any()
    assert not ridge.leave_one_out_[models == 1].any()
    assert ridge.weights_[:, 0].all()
    assert ridge.weights_[:, 2].all()
    all_small = SharedRidge().fit(*problem(sizes=(3, 2, 1)))
    assert not all_small.weights_.any()


def test_a_model_hears_nothing_of_the_others():
    x, inputs, models, y = problem()
    changed = np.where(models == 1, y * -3 + 2, y)
    one, two = (SharedRidge((10.0,)).fit(x, inputs, models, target) for target in (y, changed))
    np.testing.assert_array_equal(one.weights_[:, [0, 2]], two.weights_[:, [0, 2]])
    assert not np.allclose(one.weights_[:, 1], two.weights_[:, 1])


# --- the wide part -----------------------------------------------------------------------------------------------


def fit_wide(data: ResponseData, split: str) -> tuple[Wide, np.ndarray, SampleFeatures, DrugFeatures]:
    samples, drugs = SampleFeatures().fit(data), DrugFeatures().fit(data)
    fitted = Wide.fit(data, Known.under(split), samples, drugs)
    return fitted.wide, fitted.effects + fitted.linear, samples, drugs


def predict_wide(wide: Wide, data: ResponseData, samples: SampleFeatures, drugs: DrugFeatures) -> np.ndarray:
    return wide.predict(data, samples.transform(data), drugs.transform(data.drugs))


def test_wide_part_of_known_pairs_is_their_effects(screen):
    wide, without, samples, drugs = fit_wide(screen, "LPO")
    assert len(wide.models) == 0
    np.testing.assert_array_equal(without, wide.effects.predict(screen))
    np.testing.assert_array_equal(predict_wide(wide, screen, samples, drugs), without)


@pytest.mark.parametrize(("split", "n_models"), [("LCO", 12), ("LTO", 12), ("LDO", 60)])
def test_wide_part_of_a_new_side_is_linear_in_its_features(make_screen, split, n_models):
    data = make_screen(n_drugs=20 if split == "LDO" else 12)
    wide, without, samples, drugs = fit_wide(data, split)
    assert len(wide.models) == n_models
    x = drugs.transform(data.drugs)[data.drug_index] if split == "LDO" else samples.transform(data)[data.sample_index]
    ids = data.responses["sample" if split == "LDO" else "drug"]
    column = wide.models.get_indexer(ids)
    linear = (x * wide.weights[:, column].T).sum(axis=1) + wide.intercept[column]
    predicted = predict_wide(wide, data, samples, drugs)
    np.testing.assert_allclose(predicted, wide.effects.predict(data) + linear, atol=1e-4)
    assert linear.std() > 0.1
    # the model was seen with its row in predicted, without it in without
    assert 1.0 < np.square(without - data.response).sum() / np.square(predicted - data.response).sum() < 5.0


def test_ids_without_a_model_keep_their_effects(screen):
    known = screen.take((screen.responses["drug"] != "d03").to_numpy())
    wide, _, samples, drugs = fit_wide(known, "LCO")
    predicted = predict_wide(wide, screen, samples, drugs)
    new = (screen.responses["drug"] == "d03").to_numpy()
    np.testing.assert_allclose(predicted[new], wide.effects.mean)
    assert len(np.unique(predicted[~new])) > 100


def test_wide_part_comes_back(screen, through_a_bundle):
    for split in ("LPO", "LCO", "LDO"):
        wide, _, samples, drugs = fit_wide(screen, split)
        loaded = through_a_bundle(wide)
        np.testing.assert_array_equal(
            predict_wide(loaded, screen, samples, drugs), predict_wide(wide, screen, samples, drugs)
        )


# --- one model a drug --------------------------------------------------------------------------------------------


def halves(data: ResponseData) -> tuple[ResponseData, ResponseData]:
    new = data.sample_index % 4 == 0
    return data.take(~new), data.take(new)


def test_ridge_finds_what_was_planted(screen, biomarker):
    train, new = halves(screen)
    predicted = RidgePerDrug().fit(train).predict(new)
    drug_mean = train.responses.groupby("drug")["response"].mean().reindex(new.responses["drug"]).to_numpy()
    assert np.square(predicted - new.response).mean() < 0.6 * np.square(drug_mean - new.response).mean()
    carrier = new.feature_matrix("mutations", ["GENE0"])[new.sample_index, 0] > 0
    hit = (new.drug_index % 4) == 0
    difference = predicted[hit & carrier].mean() - predicted[hit & ~carrier].mean()
    assert difference == pytest.approx(biomarker, abs=0.8)
    assert abs(predicted[~hit & carrier].mean() - predicted[~hit & ~carrier].mean()) < 0.4


def test_a_drug_of_few_measurements_keeps_its_mean(screen):
    few = np.flatnonzero(screen.responses["drug"] == "d00")[MIN_ROWS - 1 :]
    data = screen.take(np.setdiff1d(np.arange(len(screen)), few))
    predicted = RidgePerDrug().fit(data).predict(screen)
    rare = (data.responses["drug"] == "d00").to_numpy()
    assert rare.sum() == MIN_ROWS - 1
    asked = (screen.responses["drug"] == "d00").to_numpy()
    np.testing.assert_allclose(predicted[asked], data.response[rare].mean(), atol=1e-6)


def test_ridge_reads_no_test_response(screen):
    train, new = halves(screen)
    model = RidgePerDrug().fit(train)
    np.testing.assert_array_equal(model.predict(new.as_question()), model.predict(new))
    np.testing.assert_array_equal(RidgePerDrug().fit(train, validation=np.arange(9)).predict(new), model.predict(new))


def test_a_dense_screen_is_solved_with_one_inverse_a_penalty(monkeypatch):
    x, inputs, models, y = problem(sizes=(25, 28, 30, 30, 29))
    made: list[int] = []
    inverse = _Solver._inverse
    monkeypatch.setattr(_Solver, "_inverse", lambda self, rows: made.append(len(rows)) or inverse(self, rows))
    SharedRidge((1.0, 10.0)).fit(x, inputs, models, y)
    assert made == [30, 30, 30]  # two penalties to choose from, and the one that was chosen
