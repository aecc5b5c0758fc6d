"""Mixtures of latents, and labels that are drawn for them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cellixir.exceptions import ConfigurationError
from cellixir.synthesis.conditions import Conditions
from cellixir.synthesis.labels import Labels, draw_until
from cellixir.synthesis.mixture import Mixtures, fitted


def modes(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points of two modes with shares 3 : 1."""
    rng = np.random.default_rng(seed)
    which = (np.arange(n) % 4 == 0).astype(np.int64)
    return np.where(which[:, None], 6.0, -2.0) + rng.standard_normal((n, 3)) * [1.0, 0.5, 2.0], which


def test_two_modes_keep_their_shares_means_and_spreads():
    points, _ = modes(800)
    found = fitted(points, 0).draw(20_000, np.random.default_rng(1))
    high = found[:, 1] > 2
    assert high.mean() == pytest.approx(0.25, abs=0.02)
    assert found[high].mean(axis=0) == pytest.approx([6, 6, 6], abs=0.5)
    assert found[~high].std(axis=0) == pytest.approx([1, 0.5, 2], rel=0.15)


def test_one_gaussian_is_one_component():
    points = np.random.default_rng(2).standard_normal((300, 4)) @ np.diag([1.0, 2, 3, 4])
    mixture = fitted(points, 0)
    assert len(mixture.share) == 1
    assert mixture.factor[0] @ mixture.factor[0].T == pytest.approx(np.cov(points.T, bias=True), abs=0.05)


def test_few_points_still_show_their_modes():
    rng = np.random.default_rng(3)
    points = rng.standard_normal((60, 12))
    points[:, 0] += np.where(np.arange(60) % 2, 10, -10)
    found = fitted(points, 0).draw(2000, rng)
    assert (np.abs(found[:, 0]) < 4).mean() < 0.02


def test_a_combination_with_few_points_has_its_own_mean_and_the_common_spread():
    rng = np.random.default_rng(4)
    points = rng.standard_normal((205, 5)) * 2
    codes = np.repeat([0, 1], [200, 5])
    points[200:] += 30
    model = Mixtures.learn(points, codes, 2, 0)
    found = model.draw(np.repeat([0, 1], 3000), rng)
    assert found[3000:].mean(axis=0) == pytest.approx(points[200:].mean(axis=0), abs=0.3)
    assert found[3000:].std(axis=0) == pytest.approx(np.full(5, 2), rel=0.25)
    again = Mixtures.from_arrays(model.arrays())
    one, other = (m.draw(codes, np.random.default_rng(0)) for m in (model, again))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("n_codes", [1, 2, 3])
def test_labels_follow_the_points_and_their_shares(n_codes):
    rng = np.random.default_rng(5)
    codes = np.arange(600) % n_codes
    points = rng.standard_normal((600, 2)) + 8.0 * codes[:, None] * [1, -1]
    labels = Labels.learn(points, codes)
    assert (labels.draw(points, rng) == codes).mean() > 0.95


def test_points_between_two_labels_get_either():
    labels = Labels(np.zeros((1, 2)), np.log([3.0, 1.0]))
    drawn = labels.draw(np.zeros((4000, 1)), np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(0.25, abs=0.03)


def test_drawing_goes_on_until_there_are_enough_and_gives_up_with_the_names():
    conditions = Conditions(pd.DataFrame({"group": ["old", "young"]}), np.array([10, 90]))
    rng = np.random.default_rng(0)

    def draw(size: int, share: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
        codes = (rng.random(size) > share).astype(np.int64)
        return codes.astype(float)[:, None], codes

    rows, codes = draw_until(500, draw, np.array([0]), conditions)
    assert (rows.shape, set(codes)) == ((500, 1), {0})
    with pytest.raises(ConfigurationError, match=r"0 of .* samples came out as group=old"):
        draw_until(5, lambda size: draw(size, -1.0), np.array([0]), conditions)
