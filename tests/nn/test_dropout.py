from __future__ import annotations

import pytest
import torch

from cellixir.nn import Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.7])
def test_share_mean_and_independence(p: float) -> None:
    torch.manual_seed(0)
    layer = Dropout(p)
    x = torch.ones(1000, 1001)  # not a multiple of eight
    y = layer(x)
    assert (y == 0).float().mean().item() == pytest.approx(p, abs=0.005)
    assert y.mean().item() == pytest.approx(1.0, abs=0.01)
    dropped = (y == 0).float()
    for lag in (1, 8):  # neighbours come from one draw
        covariance = (dropped[:, :-lag] * dropped[:, lag:]).mean() - dropped.mean() ** 2
        assert abs(covariance.item()) < 0.002
    columns = dropped.mean(dim=0)
    assert columns.std().item() == pytest.approx((p * (1 - p) / 1000) ** 0.5, rel=0.15)


def test_gradient_flows_through_what_was_kept() -> None:
    torch.manual_seed(0)
    x = torch.ones(64, 8, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_nothing_is_dropped_when_evaluating_or_at_zero() -> None:
    x = torch.randn(5, 5)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_repeatable_with_the_global_seed() -> None:
    layer, x = Dropout(0.3), torch.ones(100)
    torch.manual_seed(1)
    first = layer(x)
    torch.manual_seed(1)
    assert torch.equal(first, layer(x))
