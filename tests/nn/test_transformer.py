"""The transformer over groups of genes, and a signal that two groups make together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cellixir.exceptions import ConfigurationError
from cellixir.nn import DenseEncoder
from cellixir.nn.transformer import AttentionBlock, TokenLinear, TransformerEncoder

N_FEATURES, LATENT = 23, 4
Arrays = tuple[np.ndarray, np.ndarray]


def groups(n_features: int = N_FEATURES, size: int = 5) -> np.ndarray:
    places = np.full(-(-n_features // size) * size, -1)
    places[:n_features] = np.random.default_rng(0).permutation(n_features)
    return places.reshape(-1, size)


def make(n_features: int = N_FEATURES, hidden: int = 6, **settings: float) -> TransformerEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TransformerEncoder(n_features, hidden, LATENT, layout=groups(n_features), **settings)


def features(m: int, n_features: int = N_FEATURES) -> torch.Tensor:
    return torch.randn(m, n_features, generator=torch.Generator().manual_seed(1))


def held_out_r2(make_model: Callable[[], nn.Module], data: Arrays, *, n_train: int, steps: int) -> float:
    """R2 on the rows after ``n_train`` of a model trained in batches of a quarter of those before."""
    x, y = (torch.as_tensor(a, dtype=torch.float32) for a in data)
    y = ((y - y.mean()) / y.std()).view(-1, 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make_model()
        optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(steps):
            rows = torch.randperm(n_train)[: n_train // 4]
            optimiser.zero_grad()
            functional.mse_loss(model(x[rows]), y[rows]).backward()
            optimiser.step()
    with torch.no_grad():
        error = functional.mse_loss(model.eval()(x[n_train:]), y[n_train:])
    return 1 - float(error / y[n_train:].var(correction=0))


def two_pathways(rng: np.random.Generator, n: int, n_groups: int, size: int) -> Arrays:
    """Product of two activities of many; each gene is its group's activity and three times its variance in noise."""
    activity = rng.normal(size=(n, n_groups))
    noise = rng.normal(size=(n, n_groups, size))
    return (0.5 * activity[:, :, None] + 0.87 * noise).reshape(n, -1), activity[:, 1] * activity[:, 4]


def most_active_pathway(rng: np.random.Generator, n: int, n_groups: int, size: int) -> Arrays:
    """What one half of a group's genes say, of the group whose other half is most active."""
    active, value = rng.normal(size=(2, n, n_groups))
    shown = np.repeat(np.stack([active, value], axis=2), size // 2, axis=2)  # (n, n_groups, size)
    x = (shown + 0.5 * rng.normal(size=shown.shape)).reshape(n, -1)
    return x, np.take_along_axis(value, active.argmax(axis=1)[:, None], axis=1)[:, 0]


def encoder_of(layout: np.ndarray, **settings: float) -> Callable[[], nn.Module]:
    return lambda: TransformerEncoder(layout.size, 32, 1, layout=layout, **settings)


def test_what_two_pathways_do_together_is_learned_better_than_by_a_dense_layer():
    data = two_pathways(np.random.default_rng(1), 900, 8, 16)
    right = np.arange(128).reshape(8, 16)
    own = held_out_r2(encoder_of(right), data, n_train=400, steps=60)
    lost = held_out_r2(
        encoder_of(np.random.default_rng(0).permutation(128).reshape(8, 16)), data, n_train=400, steps=60
    )
    dense = max(
        held_out_r2(lambda: DenseEncoder(128, 64, 1), data, n_train=400, steps=steps) for steps in (40, 60, 80, 160)
    )
    assert own > 0.45
    assert own > lost + 0.1
    assert own > dense + 0.1


def test_the_pathway_that_counts_is_found_by_attention():
    data = most_active_pathway(np.random.default_rng(2), 1600, 8, 8)
    right = np.arange(64).reshape(8, 8)
    scrambled = np.random.default_rng(0).permutation(64).reshape(8, 8)
    light = {"dropout": 0.1, "input_dropout": 0.1}
    own, lost, without = (
        held_out_r2(encoder, data, n_train=1000, steps=200)
        for encoder in (
            encoder_of(right, **light),
            encoder_of(scrambled, **light),
            encoder_of(right, n_layers=0, **light),
        )
    )
    dense = max(held_out_r2(lambda: DenseEncoder(64, 64, 1), data, n_train=1000, steps=steps) for steps in (80, 200))
    assert own > 0.4
    assert own > max(lost, without, dense) + 0.1


def test_groups_are_the_blocks_of_a_dense_layer():
    layout = np.array([[3, 0, -1], [1, 2, 4]])
    linear = TokenLinear(layout, 2)
    genes = torch.randn(7, 2, 3, generator=torch.Generator().manual_seed(2))
    genes[:, 0, 2] = 0
    for token in range(2):
        expected = genes[:, token] @ linear.weight[token] + linear.bias[token]
        torch.testing.assert_close(linear(genes)[:, token], expected)


def test_attention_is_the_softmax_of_inner_products():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        block = AttentionBlock(6, 2)
    x = torch.randn(1, 3, 6, generator=torch.Generator().manual_seed(2))
    q, k, v = block.in_projection(functional.layer_norm(x[0], (6,))).split(6, dim=1)
    heads = []
    for head in range(2):
        part = slice(3 * head, 3 * head + 3)
        heads.append(torch.softmax(q[:, part] @ k[:, part].T / 3**0.5, dim=1) @ v[:, part])
    mixed = x[0] + block.out_projection(torch.cat(heads, dim=1))
    torch.testing.assert_close(block(x)[0], mixed + block.inner(mixed))


def test_a_layout_that_follows_permuted_features_changes_nothing():
    encoder, order = make().eval(), torch.randperm(N_FEATURES, generator=torch.Generator().manual_seed(3))
    back = torch.argsort(order)
    moved = make().eval()
    moved.layout.copy_(torch.where(encoder.layout < 0, -1, back[encoder.layout]))
    x = features(5)
    torch.testing.assert_close(moved(x[:, order]), encoder(x), rtol=0, atol=0)
    assert not torch.allclose(encoder(x[:, order]), encoder(x))


def test_a_gene_may_stand_in_two_groups_and_one_in_none_is_not_seen():
    encoder = TransformerEncoder(4, 6, LATENT, layout=np.array([[0, 1], [1, 2]])).eval()
    x = features(3, 4)
    changed = x.clone()
    changed[:, 3] += 1
    assert torch.equal(encoder(changed), encoder(x))
    changed[:, 1] += 1
    assert not torch.allclose(encoder(changed), encoder(x))


@pytest.mark.parametrize("n_features", [1, 2, 5, 60])
@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("hidden", [0, 6])
@pytest.mark.parametrize("n_layers", [0, 2])
def test_any_number_of_features_samples_and_layers(n_features, m, hidden, n_layers):
    out = make(n_features, hidden, n_layers=n_layers)(features(m, n_features))
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
            encoder = TransformerEncoder(500, 256, 65, layout=groups(500, 16))
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
    assert "layout" in dict(encoder.named_buffers())
    assert "layout" not in encoder.state_dict()
    np.testing.assert_array_equal(encoder.layout.numpy(), groups())


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ([0, 1, 2], r"must be a table .* not of shape \(3,\)"),
        ([[]], "must be a table"),
        ([[0, 1], [2, 3]], r"1 places of the token layout name no feature \(3\); features are 0 to 2"),
        ([[0, -2]], r"name no feature \(-2\)"),
        ([[0, 1], [-1, -1]], r"1 tokens hold no feature \(rows 1\)"),
    ],
)
def test_a_wrong_layout_is_refused(layout, words):
    with pytest.raises(ConfigurationError, match=words):
        TransformerEncoder(3, 4, 2, layout=np.array(layout, dtype=np.int64))


@pytest.mark.parametrize("n_heads", [0, 5])
def test_heads_must_divide_the_width(n_heads):
    with pytest.raises(ConfigurationError, match=f"n_heads={n_heads} does not divide width=32"):
        make(n_heads=n_heads)
