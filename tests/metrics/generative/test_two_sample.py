from __future__ import annotations

import numpy as np
import pytest

from cellixir.exceptions import ConfigurationError, InvalidValues
from cellixir.metrics.classification import auroc
from cellixir.metrics.generative.two_sample import auroc_interval, c2st, c2st_interval, c2st_scores, some_rows

QUICK = {"n_trees": 15}


def cloud(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, (n, 3))


def test_samples_that_lie_elsewhere_are_all_recognised():
    real = cloud(40, 0)
    assert c2st(real, cloud(40, 1, shift=30), **QUICK) == 1
    found = c2st_interval(real, cloud(40, 1, shift=30), n=50, **QUICK)
    assert tuple(found) == (1, 1, 1)


def test_fresh_draws_cannot_be_told_apart_and_a_shift_can():
    real = cloud(300, 0)
    found = c2st_interval(real, cloud(300, 1), n=200, **QUICK)
    assert found.value == pytest.approx(0.5, abs=0.1)
    assert found.low < found.value < found.high
    # the area of the best rule for a shift by one in each of three dimensions is Phi(sqrt(3 / 2)) = .89
    assert c2st(real, cloud(300, 1, shift=1.0), **QUICK) == pytest.approx(0.87, abs=0.06)


def test_copies_are_called_wrong():
    real = cloud(150, 0)
    assert c2st(real, real, **QUICK) < 0.3


def test_the_origin_does_not_matter():
    real, made = cloud(100, 0), cloud(100, 1, shift=2)
    near = c2st(real, made, **QUICK)
    assert near > 0.9
    # forests round to float32, which knows no values between 1e9 and 1e9 + 64
    assert c2st(real + 1e9, made + 1e9, **QUICK) == pytest.approx(near, abs=0.02)


def test_without_any_difference_it_is_chance():
    assert c2st(np.ones((20, 3)), np.ones((20, 3)), **QUICK) == 0.5


def test_a_collapsed_mode_is_recognised():
    real = np.concatenate([cloud(100, 0), cloud(100, 1, shift=20)])
    assert c2st(real, np.repeat(cloud(1, 2), 200, axis=0), **QUICK) > 0.97


def test_sides_are_equal_and_every_sample_is_held_out_once():
    labels, scores, folds = c2st_scores(cloud(80, 0), cloud(30, 1), n_folds=3, **QUICK)
    assert np.bincount(labels.astype(int)).tolist() == [30, 30]
    for fold in range(3):
        assert labels[folds == fold].tolist().count(1) == 10
    assert ((scores >= 0) & (scores <= 1)).all()
    labels, *_ = c2st_scores(cloud(80, 0), cloud(30, 1), limit=12, **QUICK)
    assert len(labels) == 24


def test_the_seed_repeats_the_value_and_folds_are_compared_apart():
    real, made = cloud(60, 0), cloud(50, 1, shift=0.5)
    value = c2st(real, made, seed=3, **QUICK)
    labels, scores, folds = c2st_scores(real, made, seed=3, **QUICK)
    assert value == auroc(labels, scores, strata=folds)
    assert value != c2st(real, made, seed=4, **QUICK)


def test_the_interval_is_wider_than_that_of_independent_samples():
    real, made = cloud(60, 0), cloud(50, 1, shift=0.5)
    value, low, high = c2st_interval(real, made, n=100, **QUICK)
    labels, scores, folds = c2st_scores(real, made, **QUICK)
    plain = auroc_interval(labels, scores, strata=folds, n=100)
    assert value == plain.value == c2st(real, made, **QUICK)
    assert value - low == pytest.approx(1.5 * (value - plain.low))  # 1 + 5 / 4 = 1.5^2
    assert high - value == pytest.approx(1.5 * (plain.high - value))


def test_interval_of_an_area_by_hand():
    labels, scores = np.array([1.0, 1, 0, 0]), np.array([0.9, 0.4, 0.4, 0.1])
    found = auroc_interval(labels, scores, n=400)
    assert found.value == 0.875
    assert 0 <= found.low <= 0.5
    assert found.high == 1


def test_rows_are_drawn_without_replacement():
    table = np.arange(20.0).reshape(10, 2)
    rng = np.random.default_rng(0)
    drawn = some_rows(table, 6, rng)
    assert len(np.unique(drawn[:, 0])) == 6
    assert (np.diff(drawn[:, 0]) > 0).all()
    assert some_rows(table, 10, rng) is table


@pytest.mark.parametrize(
    ("real", "synthetic", "settings", "error", "said"),
    [
        (cloud(9, 0), cloud(4, 0), {}, InvalidValues, "9 real and 4 synthetic samples.*too few for 5 folds"),
        (cloud(9, 0), cloud(9, 0), {"limit": 3}, InvalidValues, "limit=3"),
        (cloud(9, 0), cloud(9, 0)[:, :2], {}, InvalidValues, "3 columns"),
        (cloud(9, 0), np.full((9, 3), np.nan), {}, InvalidValues, "synthetic holds 27 values"),
        (cloud(0, 0), cloud(9, 0), {}, InvalidValues, "real has shape"),
        (cloud(9, 0), cloud(9, 0), {"n_folds": 1}, ConfigurationError, "at least 2 folds"),
        (cloud(9, 0), cloud(9, 0), {"n_trees": 0}, ConfigurationError, "1 tree"),
    ],
)
def test_wrong_input_is_refused(real, synthetic, settings, error, said):
    with pytest.raises(error, match=said):
        c2st(real, synthetic, **settings)
