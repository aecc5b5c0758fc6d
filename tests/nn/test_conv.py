"""Convolutional encoders: against torch's own convolution, and on signals that only neighbours carry."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cellixir.exceptions import ConfigurationError
from cellixir.nn import DenseEncoder
from cellixir.nn.conv import Conv1dEncoder, Conv2dEncoder, Convolution, laid_out

N_FEATURES, HIDDEN, LATENT = 23, 6, 4
Arrays = tuple[np.ndarray, np.ndarray]


def line(n_features: int = N_FEATURES) -> np.ndarray:
    return np.random.default_rng(0).permutation(n_features)


def square(n_features: int = N_FEATURES) -> np.ndarray:
    side = int(np.ceil(np.sqrt(n_features)))
    places = np.full(side * side, -1)
    places[:n_features] = line(n_features)
    return places.reshape(side, side)


LAYOUTS: dict[type[nn.Module], Callable[..., np.ndarray]] = {Conv1dEncoder: line, Conv2dEncoder: square}
both = pytest.mark.parametrize("kind", LAYOUTS)


def make(kind: type[nn.Module], n_features: int = N_FEATURES, hidden: int = HIDDEN, **settings: float) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(n_features, hidden, LATENT, layout=LAYOUTS[kind](n_features), **settings)


def features(m: int, n_features: int = N_FEATURES) -> torch.Tensor:
    return torch.randn(m, n_features, generator=torch.Generator().manual_seed(1))


def held_out_r2(make_model: Callable[[], nn.Module], data: Arrays, *, n_train: int, steps: int) -> float:
    """R2 on the rows after ``n_train`` of a model trained on those before."""
    x, y = (torch.as_tensor(a, dtype=torch.float32) for a in data)
    y = ((y - y.mean()) / y.std()).view(-1, 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make_model()
        optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(steps):
            optimiser.zero_grad()
            functional.mse_loss(model(x[:n_train]), y[:n_train]).backward()
            optimiser.step()
    with torch.no_grad():
        error = functional.mse_loss(model.eval()(x[n_train:]), y[n_train:])
    return 1 - float(error / y[n_train:].var(correction=0))


def gained_segments(rng: np.random.Generator, n: int, n_genes: int, *, length: int = 6, n_events: int = 6) -> Arrays:
    """How many of the events are a run of neighbours; the others raise as many genes, scattered."""
    x, y = 0.3 * rng.normal(size=(n, n_genes)), rng.integers(0, n_events + 1, n)
    for row, count in zip(x, y, strict=True):
        for start in rng.integers(0, n_genes, count):
            row[(start + np.arange(length)) % n_genes] += 1
        np.add.at(row, rng.integers(0, n_genes, (n_events - count) * length), 1)
    return x, y


def raised_patches(rng: np.random.Generator, n: int, side: int, *, width: int = 3, n_events: int = 6) -> Arrays:
    """As `gained_segments`, in squares of a map."""
    x, y = 0.3 * rng.normal(size=(n, side, side)), rng.integers(0, n_events + 1, n)
    for sample, count in zip(x, y, strict=True):
        for top, left in rng.integers(0, side, (count, 2)):
            sample[np.ix_((top + np.arange(width)) % side, (left + np.arange(width)) % side)] += 1
        np.add.at(sample.reshape(-1), rng.integers(0, side * side, (n_events - count) * width**2), 1)
    return x.reshape(n, -1), y


@pytest.mark.parametrize(
    ("kind", "data", "layout"),
    [
        (Conv1dEncoder, gained_segments(np.random.default_rng(1), 600, 150), np.arange(150)),
        (Conv2dEncoder, raised_patches(np.random.default_rng(2), 600, 12), np.arange(144).reshape(12, 12)),
    ],
    ids=["segments", "patches"],
)
def test_what_neighbours_do_together_is_learned_where_the_layout_shows_it(kind, data, layout):
    n_features = data[0].shape[1]
    scrambled = np.random.default_rng(0).permutation(layout.ravel()).reshape(layout.shape)

    def score(make_model: Callable[[], nn.Module]) -> float:
        return held_out_r2(make_model, data, n_train=400, steps=60)

    own, lost = (score(lambda layout=grid: kind(n_features, 32, 1, layout=layout)) for grid in (layout, scrambled))
    dense = score(lambda: DenseEncoder(n_features, 64, 1))
    assert own > 0.5
    assert own > lost + 0.3
    assert own > dense + 0.2


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


@both
def test_a_layout_that_follows_permuted_features_changes_nothing(kind):
    encoder, order = make(kind).eval(), torch.randperm(N_FEATURES, generator=torch.Generator().manual_seed(3))
    moved = make(kind).eval()
    back = torch.argsort(order)
    moved.layout.copy_(torch.where(encoder.layout < 0, -1, back[encoder.layout]))
    x = features(5)
    torch.testing.assert_close(moved(x[:, order]), encoder(x), rtol=0, atol=0)
    assert not torch.allclose(encoder(x[:, order]), encoder(x))


@both
@pytest.mark.parametrize("n_features", [1, 2, 5, 60])
@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("hidden", [0, 6])
def test_any_number_of_features_and_samples(kind, n_features, m, hidden):
    out = make(kind, n_features, hidden)(features(m, n_features))
    assert out.shape == (m, LATENT)
    assert out.isfinite().all()


@both
def test_samples_do_not_see_each_other_and_evaluation_is_fixed(kind):
    encoder, x = make(kind, dropout=0.5, input_dropout=0.5).eval(), features(6)
    torch.testing.assert_close(encoder(x)[2:3], encoder(x[2:3]))
    assert torch.equal(encoder(x), encoder(x))
    encoder.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.allclose(encoder(x), encoder(x))


@both
@pytest.mark.parametrize("hidden", [0, 6])
def test_gradients_reach_every_parameter(kind, hidden):
    encoder = make(kind, hidden=hidden, dropout=0.0, input_dropout=0.0)
    encoder(features(40)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@both
def test_two_threads_give_the_same_bits_as_one(kind):
    """At the widths in use; below a few columns torch's own matrix product depends on the number of threads."""

    def run(n_threads: int) -> list[torch.Tensor]:
        torch.set_num_threads(n_threads)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            encoder = kind(500, 256, 65, layout=LAYOUTS[kind](500))
            out = encoder(features(200, 500))
        out.square().mean().backward()
        return [out.detach(), *(parameter.grad for parameter in encoder.parameters())]

    before = torch.get_num_threads()
    try:
        first, *others = (run(n) for n in (1, 1, 2, 2))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))


@both
def test_the_layout_moves_with_the_module_but_is_not_a_weight(kind):
    encoder = make(kind)
    assert "layout" in dict(encoder.named_buffers())
    assert not any("layout" in name for name in encoder.state_dict())
    np.testing.assert_array_equal(encoder.layout.numpy(), LAYOUTS[kind]())


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
