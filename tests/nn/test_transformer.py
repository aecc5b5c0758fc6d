"""The transformer over groups of genes: its layers by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from cellixir.exceptions import ConfigurationError
from cellixir.nn.transformer import AttentionBlock, TokenLinear, TransformerEncoder

N_FEATURES, LATENT = 23, 4


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
