"""Convolutional encoders: against torch's own convolution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from cellixir.exceptions import ConfigurationError
from cellixir.nn.conv import Conv1dEncoder, Conv2dEncoder, Convolution, laid_out


def test_windows_times_a_matrix_are_the_convolution_of_torch():
    x = torch.randn(3, 11, 9, 2, generator=torch.Generator().manual_seed(2))
    ours = Convolution(2, 2, 5, kernel=3, stride=2)
    weight = ours.linear.weight.view(5, 2, 3, 3)
    theirs = functional.conv2d(x.permute(0, 3, 1, 2), weight, ours.linear.bias, stride=2, padding=1)
    torch.testing.assert_close(ours(x), theirs.permute(0, 2, 3, 1))
    flat = Convolution(1, 2, 5, kernel=5, stride=3)
    theirs = functional.conv1d(x[:, 0].transpose(1, 2), flat.linear.weight.view(5, 2, 5), flat.linear.bias, 3, 2)
    torch.testing.assert_close(flat(x[:, 0]), theirs.transpose(1, 2))
    assert flat(x[:, 0]).shape[1] == flat.n_places(9)


def test_features_stand_where_the_layout_says():
    layout = torch.tensor([[2, -1], [0, 1]])
    placed = laid_out(torch.tensor([[5.0, 6.0, 7.0], [1.0, 2.0, 3.0]]), layout)
    assert placed.tolist() == [[[7, 0], [5, 6]], [[3, 0], [1, 2]]]


@pytest.mark.parametrize("layout", [[0, 1], [0, 1, 1], [0, 1, 3], [-1, 0, 1], [[0, 1, 2]]])
def test_an_order_that_is_no_permutation_is_refused(layout):
    with pytest.raises(ConfigurationError, match="is not an order of 3 features; give each number from 0 to 2 once"):
        Conv1dEncoder(3, 4, 2, layout=np.array(layout))


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ([0, 1, 2], "must be a table"),
        ([[-1, -1]], "with 0 genes"),
        ([[0, 1], [2, 2]], r"stand twice \(2\)"),
        ([[0, 1], [-2, 3]], r"2 numbers .* not a feature .*\(-2, 3\)"),
    ],
)
def test_a_wrong_map_is_refused(layout, words):
    with pytest.raises(ConfigurationError, match=words):
        Conv2dEncoder(3, 4, 2, layout=np.array(layout))


@pytest.mark.parametrize("settings", [{"kernel": 2, "stride": 1}, {"kernel": 3, "stride": 0}])
def test_an_even_window_or_no_step_is_refused(settings):
    with pytest.raises(ConfigurationError, match="must be odd and stride="):
        Convolution(1, 1, 1, **settings)
