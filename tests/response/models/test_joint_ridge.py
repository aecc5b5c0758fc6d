from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from cellixir.response.models import joint_ridge
from cellixir.response.models.joint_ridge import JointRidge, fill


@pytest.fixture
def problem() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 12)).astype(np.float32)
    return x, x @ rng.normal(size=(12, 8)) + rng.normal(0, 0.5, (60, 8))


def test_with_one_penalty_it_is_scikit_learns_ridge(
    problem: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = problem
    monkeypatch.setattr(joint_ridge, "PENALTIES", np.array([0.1]))
    joint = JointRidge().fit(x, y)
    assert np.isfinite(joint.penalties_).all()
    ridge = Ridge(alpha=float(joint.penalties_[0]), fit_intercept=True).fit(x.astype(float), y)
    np.testing.assert_allclose(joint.weights_, ridge.coef_.T, atol=1e-5)
    np.testing.assert_allclose(joint.predict(x), ridge.predict(x.astype(float)), atol=1e-4)
    for i in (0, 30):  # leaving an input out is fitting without it
        others = np.arange(60) != i
        again = Ridge(alpha=float(joint.penalties_[0]), fit_intercept=True).fit(x[others].astype(float), y[others])
        np.testing.assert_allclose(joint.leave_one_out_[i], again.predict(x[[i]].astype(float))[0], atol=1e-5)


def test_what_cannot_be_predicted_is_left_at_zero() -> None:
    rng = np.random.default_rng(1)
    x, noise = rng.normal(size=(80, 10)).astype(np.float32), rng.normal(size=(80, 6))
    y = noise.copy()
    y[:, 0] = 5 * x[:, 0]
    joint = JointRidge().fit(x, y)
    assert np.isinf(joint.penalties_).sum() >= 3
    assert np.abs(joint.weights_[:, 1:]).max() < 0.3
    assert joint.weights_[0, 0] == pytest.approx(5, rel=0.1)


def test_responses_that_go_together_are_predicted_better_together() -> None:
    """Sixty noisy responses of one cause: alone each is hard, together the cause is plain."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(120, 80)).astype(np.float32)
    cause, loading = x @ rng.normal(size=80) / 9, rng.normal(size=60)
    y = np.outer(cause, loading) + rng.normal(0, 2.0, (120, 60))
    new = rng.normal(size=(400, 80)).astype(np.float32)
    truth = np.outer(new @ np.linalg.lstsq(x, cause, rcond=None)[0], loading)
    joint = JointRidge().fit(x, y)
    alone = np.stack([JointRidge().fit(x, y[:, [j]]).weights_[:, 0] for j in range(60)], axis=1)
    errors = [np.mean((new @ w - truth) ** 2) for w in (joint.weights_, alone)]
    assert errors[0] < 0.6 * errors[1]


def test_gaps_of_a_low_rank_table_are_filled() -> None:
    rng = np.random.default_rng(3)
    whole = rng.normal(size=(100, 2)) @ rng.normal(size=(2, 40))
    holes = rng.random(whole.shape) < 0.2
    filled = fill(np.where(holes, np.nan, whole), rank=2, sweeps=100)
    np.testing.assert_array_equal(filled[~holes], whole[~holes])
    assert np.sqrt(np.mean((filled - whole)[holes] ** 2)) < 0.1 * whole.std()


def test_a_response_without_a_value_has_no_weights(problem: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = problem
    y = y.copy()
    y[:, 3] = np.nan
    joint = JointRidge().fit(x, y)
    assert not joint.weights_[:, 3].any()
    assert joint.weights_[:, 2].any()


def test_leave_one_out_error_does_not_praise_overfitting() -> None:
    """With more features than inputs, and nothing to learn: the error left out is that of the mean, not near zero."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(50, 400)).astype(np.float32), rng.normal(size=(50, 3))
    x -= x.mean(axis=0)
    y -= y.mean(axis=0)
    missed = y - JointRidge().fit(x, y).leave_one_out_
    assert np.square(missed).sum() > 0.9 * np.square(y).sum()


def test_a_block_of_noise_weighs_little() -> None:
    rng = np.random.default_rng(5)
    signal, noise = rng.normal(size=(150, 20)).astype(np.float32), rng.normal(size=(150, 600)).astype(np.float32)
    noise *= np.float32(np.sqrt(20 / 600))  # rows of the same length
    truth = rng.normal(size=(20, 10))
    y = signal @ truth + rng.normal(0, 2.0, (150, 10))
    x, new = np.hstack([noise, signal]), rng.normal(size=(500, 20)).astype(np.float32)
    plain, weighed = JointRidge().fit(x, y), JointRidge().fit(x, y, [600, 20])
    assert weighed.block_weights_[1] == 1
    assert weighed.block_weights_[0] <= 1 / 16
    noisy = np.hstack([(rng.normal(size=(500, 600)) * np.sqrt(20 / 600)).astype(np.float32), new])
    errors = [np.mean((m.predict(noisy) - new @ truth) ** 2) for m in (weighed, plain)]
    assert errors[0] < 0.8 * errors[1]
