"""The network of the VAE: shapes, what a mask forbids, what batches do."""

from __future__ import annotations

import pytest
import torch

from cellixir.nn.vae import LOG_VARIANCE, Posterior, VAENetwork, VAEShape

N, GENES, LATENT = 8, 12, 3


def make(mask: torch.Tensor | None = None, **sizes) -> VAENetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VAENetwork(VAEShape(GENES, latent=LATENT, hidden=7, **sizes), mask).eval()


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("activation", ["relu", "gelu", "elu", "silu", "tanh"])
@pytest.mark.parametrize("n_layers", [1, 3])
def test_encoder_and_decoder_give_what_they_say(activation, n_layers):
    network = make(activation=activation, n_layers=n_layers, zero_inflated=True, learned_library=True, n_batches=2)
    mean, log_variance = network.encode(normal(N, GENES))
    assert mean.shape == log_variance.shape == (N, LATENT)
    assert network.encode_library(normal(N, GENES)).mean.shape == (N, 1)
    out, lost = network.decode(mean, torch.full((N, 2), 0.5))
    assert out.shape == (N, GENES)
    assert lost is not None
    assert lost.shape == (N, GENES)


def test_every_weight_learns():
    network = make(zero_inflated=True, learned_library=True, n_batches=2, n_classes=2).train()
    x = normal(N, GENES)
    posterior, library = network.encode(x), network.encode_library(x)
    out, lost = network.decode(posterior.draw(), torch.eye(2)[torch.arange(N) % 2])
    assert lost is not None
    loss = sum(part.square().sum() for part in (out, lost, library.draw(), network.head(posterior.mean)))
    (loss + network.log_scale.square().sum()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_log_variances_are_held_within_bounds():
    found = make().encode(1e6 * normal(N, GENES)).log_variance
    assert found.min() >= LOG_VARIANCE[0]
    assert found.max() <= LOG_VARIANCE[1]


def test_draws_have_the_moments_of_the_posterior():
    posterior = Posterior(torch.full((20_000, 1), 2.0), torch.full((20_000, 1), -1.0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = posterior.draw()
    assert float(drawn.mean()) == pytest.approx(2, abs=0.02)
    assert float(drawn.var()) == pytest.approx(torch.tensor(-1.0).exp().item(), rel=0.05)


def test_a_masked_latent_moves_its_own_genes_only():
    mask = torch.zeros(GENES, LATENT)
    mask[:4, 0], mask[4:9, 1], mask[:, 2] = 1, 1, 1
    network = make(mask, masked=True)
    z, nothing = torch.zeros(1, LATENT), torch.ones(1, 1)
    base = network.decode(z, nothing)[0]
    moved = network.decode(torch.tensor([[1.0, 0, 0]]), nothing)[0] - base
    assert (moved[0, 4:] == 0).all()
    assert (moved[0, :4] != 0).all()
    torch.testing.assert_close(moved[0], network.loadings()[:, 0])


def test_a_mask_holds_while_weights_learn():
    mask = torch.zeros(GENES, LATENT)
    mask[:5, 0], mask[5:, 1:] = 1, 1
    network = make(mask, masked=True).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(5):
        optimiser.zero_grad()
        network.decode(normal(N, LATENT), torch.ones(N, 1))[0].square().sum().backward()
        optimiser.step()
    assert (network.loadings()[mask == 0] == 0).all()


@pytest.mark.parametrize("masked", [True, False])
def test_the_decoder_sees_the_batch_and_the_encoder_does_not(masked):
    network = make(masked=masked, n_batches=3)
    if masked:
        torch.nn.init.normal_(network.batch_effect)
    z = normal(2, LATENT)
    first, second = (network.decode(z, torch.eye(3)[[code, code]])[0] for code in (0, 2))
    assert not torch.allclose(first, second)
    one = make(masked=masked)
    torch.testing.assert_close(one.decode(z, torch.ones(2, 1))[0], one.decode(z, torch.zeros(2, 1))[0])
