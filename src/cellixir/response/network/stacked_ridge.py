"""The linear part where samples are new: a ridge of all drugs together, as far as it is better than one a drug.

The joint ridge chooses a penalty for each component and a weight for each block. Many samples repay that; of 60 samples
it may fit the noise it chooses by, and its own leave-one-out errors cannot tell. So both are fitted without a fifth
of the samples, all choices included, and what is missed there says how much of their difference is kept: `confirmed`,
stacked generalisation (Wolpert, Neural Netw 5:241, 1992; Breiman, Mach Learn 24:49, 1996) with a standard error off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cellixir.response.models.joint_ridge import JointRidge
from cellixir.response.models.linear import SharedRidge
from cellixir.response.models.markers import marker_weights
from cellixir.response.network.committee import confirmed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FOLDS = 5


class LinearMap(NamedTuple):
    """Weights ``(n_features, n_drugs)``, intercept, and what is said of each sample without it, ``(n, n_drugs)``."""

    weights: NDArray[np.float32]
    intercept: NDArray[np.float64]
    left_out: NDArray[np.float64]
    block_weights: NDArray[np.float64]


def stacked_ridge(x: NDArray[np.float32], table: NDArray[np.float64], blocks: Sequence[int]) -> LinearMap:
    """Joint ridge with markers and a ridge for each drug, mixed as held-out samples confirm.

    Parameters
    ----------
    x
        Shape ``(n_samples, n_features)``.
    table
        What is to be said, shape ``(n_samples, n_drugs)``, NaN where missing.
    blocks
        Widths of the blocks of ``x``.
    """
    joint, single = _joint(x, table, blocks), _single(x, table)
    share = joint_share(x, table, blocks)

    def mixed(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
        return np.asarray((1 - share) * one + share * other, dtype=other.dtype)

    weights, intercept = mixed(single.weights, joint.weights), mixed(single.intercept, joint.intercept)
    return LinearMap(weights, intercept, mixed(single.left_out, joint.left_out), joint.block_weights)


def joint_share(x: NDArray[np.float32], table: NDArray[np.float64], blocks: Sequence[int]) -> float:
    """Share of the joint ridge, in [0, 1], against a ridge for each drug, that held-out samples confirm."""
    order = np.random.default_rng(0).permutation(len(x))
    told = np.zeros((2, *table.shape))
    for held in np.array_split(order, min(FOLDS, len(x))):
        kept = np.setdiff1d(order, held)
        if not len(kept):
            return 0.0
        for i, part in enumerate((_single(x[kept], table[kept]), _joint(x[kept], table[kept], blocks))):
            told[i, held] = x[held] @ part.weights + part.intercept
    row, column = np.nonzero(~np.isnan(table))
    return confirmed(table[row, column], told[0, row, column], told[1, row, column], row)


def _joint(x: NDArray[np.float32], table: NDArray[np.float64], blocks: Sequence[int]) -> LinearMap:
    ridge = JointRidge().fit(x, table, blocks)
    extra, level = marker_weights(x, table - ridge.leave_one_out_)
    left_out = ridge.leave_one_out_ + x @ extra + level
    return LinearMap(ridge.weights_ + extra, ridge.intercept_ + level, left_out, ridge.block_weights_)


def _single(x: NDArray[np.float32], table: NDArray[np.float64]) -> LinearMap:
    row, column = np.nonzero(~np.isnan(table))
    ridge = SharedRidge().fit(x, row, column, table[row, column])
    weights, left_out = np.zeros((x.shape[1], table.shape[1]), dtype=np.float32), np.zeros(table.shape)
    weights[:, : ridge.weights_.shape[1]] = ridge.weights_
    left_out[row, column] = ridge.leave_one_out_
    return LinearMap(weights, np.zeros(table.shape[1]), left_out, np.ones(1))
