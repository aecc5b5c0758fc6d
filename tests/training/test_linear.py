"""Linear models that networks start at and end with."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from cellixir.training import softmax_regression


def points(distance: float, n: int = 60, d: int = 10) -> tuple[np.ndarray, np.ndarray]:
    codes = np.arange(n) % 3
    x = np.random.default_rng(0).normal(size=(n, d))
    x[np.arange(n), codes] += distance
    return x, codes


def probability(x: np.ndarray, codes: np.ndarray, strengths: tuple[float, ...]) -> np.ndarray:
    weight, bias = softmax_regression(x, codes, strengths)
    return softmax(x @ weight + bias, axis=1)


def test_classes_far_apart_are_sure_once_the_penalty_may_be_weak():
    x, codes = points(30.0)
    strong, chosen = (probability(x, codes, s)[np.arange(60), codes].min() for s in ((1.0,), (1.0, 1e4)))
    assert strong < 0.99 < 0.9995 < chosen


def test_classes_that_overlap_keep_the_strong_penalty():
    x, codes = points(0.7)
    np.testing.assert_array_equal(probability(x, codes, (1.0, 1e4)), probability(x, codes, (1.0,)))


def test_two_classes_and_one_of_a_single_point():
    x, codes = points(8.0)
    two = (codes == 0).astype(np.int64)
    assert (probability(x, two, (1.0, 100.0)).argmax(axis=1) == two).all()
    rare = np.where(np.arange(60) == 7, 3, codes)
    assert probability(x, rare, (1.0, 100.0)).shape == (60, 4)
