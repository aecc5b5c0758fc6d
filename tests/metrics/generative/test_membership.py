from __future__ import annotations

import numpy as np
import pytest

from cellixir.exceptions import InvalidValues
from cellixir.metrics.generative.membership import (
    membership_inference,
    membership_interval,
    reference_attack,
)


def cloud(n: int, seed: int, d: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def test_membership_by_hand():
    # distances of members 0, 3 and of the others 1, 5: three of the four pairs are in order
    assert membership_inference(column(0, 13), column(1, 15), column(0, 10)) == pytest.approx(0.75)


def test_copies_tell_every_member():
    train, holdout = cloud(40, 0), cloud(30, 1)
    assert membership_inference(train, holdout, train) == 1
    assert membership_inference(train, holdout, holdout) == 0
    assert tuple(membership_interval(train, holdout, train, n=50)) == (1, 1, 1)


def test_fresh_draws_tell_no_member():
    found = membership_interval(cloud(400, 0), cloud(400, 1), cloud(500, 2), n=200)
    assert found.low < 0.5 < found.high
    assert found.value == pytest.approx(0.5, abs=0.06)
    assert found.value == membership_inference(cloud(400, 0), cloud(400, 1), cloud(500, 2))


# -- means beside a reference ------------------------------------------------------------------------------------------


def test_reference_attack_by_hand():
    # nine synthetic samples, so means of three; two halves of two real samples, so means of one
    rng = np.random.default_rng(5)
    train, holdout, made = (rng.normal(size=(n, 2)) for n in (6, 4, 9))
    order = np.random.default_rng(1).permutation(4)
    areas = []
    for reference, outside in ((order[:2], order[2:]), (order[2:], order[:2])):

        def score(sample: np.ndarray, reference: np.ndarray = reference) -> float:
            near = made[np.argsort(((made - sample) ** 2).sum(axis=1))[:3]].mean(axis=0)
            return ((holdout[reference] - sample) ** 2).sum(axis=1).min() - ((near - sample) ** 2).sum()

        inside, out = ([score(sample) for sample in table] for table in (train, holdout[outside]))
        areas.append(np.mean(np.array(inside)[:, None] > out))
    assert reference_attack(train, holdout, made, seed=1, n=20).value == pytest.approx(np.mean(areas))


def test_means_of_many_genes_give_their_samples_away_though_no_sample_is_near_another():
    train, holdout, noise = cloud(40, 0, d=4_000), cloud(80, 1, d=4_000), cloud(150, 2, d=4_000)
    of_train, of_others = train.mean(axis=0) + noise, cloud(40, 3, d=4_000).mean(axis=0) + noise
    found = reference_attack(train, holdout, of_train, n=50)
    assert found.low > 0.9
    assert membership_inference(train, holdout, of_train) < found.low
    fair = reference_attack(train, holdout, of_others, n=50)
    assert fair.low < 0.5 < fair.high


def test_a_reference_needs_two_samples():
    with pytest.raises(InvalidValues, match="holdout has 1 sample"):
        reference_attack(cloud(20, 0), cloud(1, 1), cloud(20, 2))
