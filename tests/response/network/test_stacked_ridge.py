"""The linear part of the network: how far a joint ridge is trusted beside a ridge for each drug."""

from __future__ import annotations

import numpy as np

from cellixir.response.network.stacked_ridge import joint_share, stacked_ridge


def screen(n: int, n_drugs: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features, and responses of rank 1 to all drugs with a tenth missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 40)).astype(np.float32)
    table = np.outer(x @ rng.normal(size=40) / 6, rng.normal(size=n_drugs)) + noise * rng.normal(size=(n, n_drugs))
    table[rng.random(table.shape) < 0.1] = np.nan
    return x, table


def test_of_many_drugs_that_go_together_the_joint_ridge_is_kept():
    assert joint_share(*screen(120, 30, 1.0), [40]) > 0.5


def test_of_noise_hardly_anything_is_said_and_never_more_than_the_parts_say():
    x, table = screen(40, 4, 1.0)
    table = np.where(np.isnan(table), np.nan, np.random.default_rng(1).normal(size=table.shape))
    assert joint_share(x, table, [40]) <= 1.0
    found = stacked_ridge(x, table, [40])
    missed = np.nanmean(np.square(found.left_out - table))
    assert missed < 1.2 * np.nanmean(np.square(table))


def test_one_sample_confirms_nothing():
    x, table = screen(30, 5, 0.5)
    assert stacked_ridge(x, table, [40]).left_out.shape == table.shape
    assert joint_share(x[:1], table[:1], [40]) == 0.0
