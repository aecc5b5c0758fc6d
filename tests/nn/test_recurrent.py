"""The recurrent encoder: what it reads, and a signal that hangs on what came before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cellixir.exceptions import ConfigurationError
from cellixir.nn import DenseEncoder
from cellixir.nn.recurrent import RecurrentEncoder

N_FEATURES, LATENT = 23, 4
Arrays = tuple[np.ndarray, np.ndarray]


def shuffled(n_features: int = N_FEATURES) -> np.ndarray:
    return np.random.default_rng(0).permutation(n_features)


def make(n_features: int = N_FEATURES, hidden: int = 6, **settings: float) -> RecurrentEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return RecurrentEncoder(n_features, hidden, LATENT, layout=shuffled(n_features), **settings)


def features(m: int, n_features: int = N_FEATURES) -> torch.Tensor:
    return torch.randn(m, n_features, generator=torch.Generator().manual_seed(1))


def held_out_r2(make_model: Callable[[], nn.Module], data: Arrays, *, n_train: int, steps: int) -> float:
    """R2 on the rows after ``n_train`` of a model trained in batches of a quarter of those before."""
    x, y = (torch.as_tensor(a, dtype=torch.float32) for a in data)
    y = ((y - y.mean()) / y.std()).view(-1, 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make_model()
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for _ in range(steps):
            rows = torch.randperm(n_train)[: n_train // 4]
            optimiser.zero_grad()
            functional.mse_loss(model(x[rows]), y[rows]).backward()
            optimiser.step()
    with torch.no_grad():
        error = functional.mse_loss(model.eval()(x[n_train:]), y[n_train:])
    return 1 - float(error / y[n_train:].var(correction=0))


def switched_pulses(rng: np.random.Generator, n: int, n_steps: int) -> Arrays:
    """Sum of pulses, each with the sign of the last switch before it: no gene says anything by itself.

    At each step four genes show the switch (up, down or none) and four the pulse.
    """
    switch = rng.choice([-1, 0, 1], (n, n_steps), p=[0.15, 0.7, 0.15])
    switch[:, 0] = rng.choice([-1, 1], n)
    pulse = rng.choice([-1, 0, 1], (n, n_steps), p=[0.2, 0.6, 0.2])
    last = np.maximum.accumulate(np.where(switch != 0, np.arange(n_steps), 0), axis=1)
    y = (np.take_along_axis(switch, last, axis=1) * pulse).sum(axis=1)
    shown = np.repeat(np.stack([switch, pulse], axis=2), 4, axis=2)  # (n, n_steps, 8)
    return (shown + 0.3 * rng.normal(size=shown.shape)).reshape(n, -1), y


def test_what_hangs_on_earlier_genes_is_learned_where_the_order_is_right():
    n_steps = 8
    n_features = 8 * n_steps
    data = switched_pulses(np.random.default_rng(1), 1100, n_steps)

    def score(make_model: Callable[[], nn.Module]) -> float:
        return held_out_r2(make_model, data, n_train=800, steps=120)

    orders = np.arange(n_features), shuffled(n_features)
    own, lost = (
        score(lambda order=order: RecurrentEncoder(n_features, 0, 1, layout=order, n_steps=n_steps, dropout=0.1))
        for order in orders
    )
    dense = score(lambda: DenseEncoder(n_features, 64, 1))
    assert own > 0.6
    assert own > lost + 0.1
    assert own > dense + 0.1


def test_patches_are_runs_of_the_order():
    encoder = make(n_steps=6)
    np.testing.assert_array_equal(encoder.layout.numpy(), shuffled())
    assert encoder.patches.shape == (6, 4)
    np.testing.assert_array_equal(encoder.patches.flatten()[:N_FEATURES].numpy(), shuffled())
    assert encoder.patches.flatten()[N_FEATURES:].tolist() == [-1]


@pytest.mark.parametrize(("n_features", "shape"), [(1, (1, 1)), (16, (16, 1)), (17, (9, 2)), (697, (16, 44))])
def test_no_patch_is_empty(n_features, shape):
    assert make(n_features).patches.shape == shape


def test_a_layout_that_follows_permuted_features_changes_nothing():
    encoder, order = make().eval(), torch.randperm(N_FEATURES, generator=torch.Generator().manual_seed(3))
    back = torch.argsort(order)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        moved = RecurrentEncoder(N_FEATURES, 6, LATENT, layout=back[encoder.layout].numpy()).eval()
    x = features(5)
    torch.testing.assert_close(moved(x[:, order]), encoder(x), rtol=0, atol=0)
    assert not torch.allclose(encoder(x[:, order]), encoder(x))


@pytest.mark.parametrize("n_features", [1, 2, 5, 60])
@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("hidden", [0, 6])
def test_any_number_of_features_and_samples(n_features, m, hidden):
    out = make(n_features, hidden)(features(m, n_features))
    assert out.shape == (m, LATENT)
    assert out.isfinite().all()


def test_samples_do_not_see_each_other_and_evaluation_is_fixed():
    encoder, x = make(dropout=0.5, input_dropout=0.5).eval(), features(6)
    torch.testing.assert_close(encoder(x)[2:3], encoder(x[2:3]))
    assert torch.equal(encoder(x), encoder(x))
    encoder.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.allclose(encoder(x), encoder(x))


@pytest.mark.parametrize("hidden", [0, 6])
def test_gradients_reach_every_parameter(hidden):
    encoder = make(hidden=hidden, dropout=0.0, input_dropout=0.0)
    encoder(features(40)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_two_threads_give_the_same_bits_as_one():
    """At the widths in use; below a few columns torch's own matrix product depends on the number of threads."""

    def run(n_threads: int) -> list[torch.Tensor]:
        torch.set_num_threads(n_threads)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            encoder = RecurrentEncoder(500, 256, 65, layout=shuffled(500))
            out = encoder(features(200, 500))
        out.square().mean().backward()
        return [out.detach(), *(parameter.grad for parameter in encoder.parameters())]

    before = torch.get_num_threads()
    try:
        first, *others = (run(n) for n in (1, 1, 2, 2))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))


def test_the_layout_moves_with_the_module_but_is_not_a_weight():
    encoder = make()
    assert {"layout", "patches"} <= set(dict(encoder.named_buffers()))
    assert not {"layout", "patches"} & set(encoder.state_dict())


@pytest.mark.parametrize("layout", [[0, 1], [0, 1, 1], [[0, 1, 2]]])
def test_an_order_that_is_no_permutation_is_refused(layout):
    with pytest.raises(ConfigurationError, match="is not an order of 3 features"):
        RecurrentEncoder(3, 4, 2, layout=np.array(layout))


def test_no_steps_are_refused():
    with pytest.raises(ConfigurationError, match="n_steps must be at least 1, not 0"):
        make(n_steps=0)
