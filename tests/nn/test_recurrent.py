"""The recurrent encoder: the patches that it reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cellixir.exceptions import ConfigurationError
from cellixir.nn.recurrent import RecurrentEncoder

N_FEATURES, LATENT = 23, 4


def shuffled(n_features: int = N_FEATURES) -> np.ndarray:
    return np.random.default_rng(0).permutation(n_features)


def make(n_features: int = N_FEATURES, hidden: int = 6, **settings: float) -> RecurrentEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return RecurrentEncoder(n_features, hidden, LATENT, layout=shuffled(n_features), **settings)


def test_patches_are_runs_of_the_order():
    encoder = make(n_steps=6)
    np.testing.assert_array_equal(encoder.layout.numpy(), shuffled())
    assert encoder.patches.shape == (6, 4)
    np.testing.assert_array_equal(encoder.patches.flatten()[:N_FEATURES].numpy(), shuffled())
    assert encoder.patches.flatten()[N_FEATURES:].tolist() == [-1]


@pytest.mark.parametrize(("n_features", "shape"), [(1, (1, 1)), (16, (16, 1)), (17, (9, 2)), (697, (16, 44))])
def test_no_patch_is_empty(n_features, shape):
    assert make(n_features).patches.shape == shape


@pytest.mark.parametrize("layout", [[0, 1], [0, 1, 1], [[0, 1, 2]]])
def test_an_order_that_is_no_permutation_is_refused(layout):
    with pytest.raises(ConfigurationError, match="is not an order of 3 features"):
        RecurrentEncoder(3, 4, 2, layout=np.array(layout))


def test_no_steps_are_refused():
    with pytest.raises(ConfigurationError, match="n_steps must be at least 1, not 0"):
        make(n_steps=0)
