"""The drug-target graph against loops over drugs and genes, and as what it is for: drugs never seen."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import r2_score
from torch.nn.functional import mse_loss

from cellixir.exceptions import ConfigurationError, NotFitted
from cellixir.nn.dense import DenseEncoder
from cellixir.nn.target_graph import TargetGraphEncoder

N_FEATURES, N_GENES, HIDDEN, LATENT = 6, 5, 8, 3
HITS = torch.tensor(  # the last gene is hit by no training drug, the last drug hits none
    [[1, 1, 0, 0, 0], [0, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]], dtype=torch.float32
)


def make_inputs(hits: torch.Tensor = HITS, seed: int = 0) -> torch.Tensor:
    features = torch.randn(len(hits), N_FEATURES, generator=torch.Generator().manual_seed(seed))
    return torch.cat([features, hits], dim=1)


def make_encoder(train: torch.Tensor | None, *, n_train: int = len(HITS), dropout: float = 0.0) -> TargetGraphEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = (N_FEATURES, N_GENES, HIDDEN, LATENT)
        encoder = TargetGraphEncoder(*sizes, n_train=n_train, dropout=dropout, input_dropout=dropout)
        torch.nn.init.normal_(encoder.no_target)
    if train is not None:
        encoder.connect(train)
    return encoder.eval()


def by_loops(encoder: TargetGraphEncoder, x: torch.Tensor, train: torch.Tensor) -> torch.Tensor:
    """What a drug is, read off the definition: gene by gene, drug by drug."""
    own = encoder.features(x[:N_FEATURES])
    read = []
    for gene in range(N_GENES):
        hitting = [d for d in train if d[N_FEATURES + gene]]
        if not x[N_FEATURES + gene] or not hitting:
            continue
        others = [encoder.message(encoder.features(d[:N_FEATURES])) for d in hitting if not torch.equal(d, x)]
        mean = torch.stack(others).mean(dim=0) if others else torch.zeros(HIDDEN)
        read.append(encoder.genes[gene] + mean)
    heard = torch.stack(read).mean(dim=0) if read else encoder.no_target
    return encoder.out(torch.cat([own, heard]))


def test_output_is_the_definition() -> None:
    train = make_inputs()
    new_hits = [[1, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    new = make_inputs(torch.tensor(new_hits, dtype=torch.float32), seed=1)
    encoder, x = make_encoder(train), torch.cat([train, new])
    with torch.no_grad():
        out = encoder(x)
        torch.testing.assert_close(out, torch.stack([by_loops(encoder, row, train) for row in x]))
        torch.testing.assert_close(out, torch.cat([encoder(row.unsqueeze(0)) for row in x]))
    assert out.shape == (10, LATENT)
    assert out.dtype == torch.float32


def test_a_drug_under_two_ids_is_one_drug() -> None:
    train = make_inputs()[[0, 1, 1, 2, 3]]
    encoder = make_encoder(train)
    with torch.no_grad():
        torch.testing.assert_close(encoder(train), torch.stack([by_loops(encoder, row, train) for row in train]))


def test_neighbours_are_heard_and_others_are_not() -> None:
    train = make_inputs()
    new = make_inputs(torch.tensor([[0, 0, 0, 1, 0]], dtype=torch.float32), seed=1)
    changed = train.clone()
    with torch.no_grad():
        before = make_encoder(train)(new)
        changed[0, :N_FEATURES] += 1.0  # shares no gene with the new drug
        torch.testing.assert_close(make_encoder(changed)(new), before)
        changed[3, :N_FEATURES] += 1.0  # shares the fourth
        assert (make_encoder(changed)(new) - before).abs().max() > 1e-3


def test_hits_may_have_any_weight() -> None:
    train = make_inputs()
    scaled = train.clone()
    scaled[:, N_FEATURES:] *= 0.25
    with torch.no_grad():
        torch.testing.assert_close(make_encoder(scaled)(scaled), make_encoder(train)(train))


def test_drugs_without_known_targets() -> None:
    encoder = make_encoder(make_inputs())
    x = make_inputs(torch.tensor([[0, 0, 0, 0, 0], [0, 0, 0, 0, 1]], dtype=torch.float32), seed=2)
    expected = encoder.out(torch.cat([encoder.features(x[:, :N_FEATURES]), encoder.no_target.expand(2, -1)], dim=1))
    torch.testing.assert_close(encoder(x), expected)
    bare = make_encoder(make_inputs(torch.zeros_like(HITS)))
    assert torch.isfinite(bare(x)).all()


def test_gradients_reach_everything_and_are_finite() -> None:
    train = make_inputs()
    encoder = make_encoder(train)
    encoder(train).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters())
    assert encoder.message.weight.grad.abs().sum() > 0
    assert encoder.no_target.grad.abs().sum() > 0
    assert not encoder.genes.grad[4].any()  # no training drug hits it


def test_a_drug_that_loses_its_targets_in_training_trains_the_vector_for_none() -> None:
    train = make_inputs()[:4]
    encoder = make_encoder(train, n_train=4, dropout=0.5).train()
    torch.manual_seed(0)
    encoder(train.repeat(50, 1)).sum().backward()
    assert encoder.no_target.grad.abs().sum() > 0


def test_training_drugs_are_saved_with_the_weights() -> None:
    train = make_inputs()
    encoder, other = make_encoder(train), make_encoder(None)
    with pytest.raises(NotFitted, match=r"call connect\(x_train\) first"):
        other(train)
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(train), encoder(train))


def test_training_drugs_of_another_shape() -> None:
    with pytest.raises(ConfigurationError, match=r"shape \(4, 11\), the encoder was made for \(5, 11\)"):
        make_encoder(None).connect(make_inputs()[:4])


def test_a_new_drug_borrows_from_drugs_with_the_same_target() -> None:
    """Half of the response is that of the target gene; features say the other half and nothing of the target."""
    encoder, x, y = planted(seed=0, steps=200)
    torch.manual_seed(0)
    dense = DenseEncoder(20, 32, 1, input_dropout=0.0)
    fit(dense, x[:160, :20], y[:160], 200)
    with torch.no_grad():
        alone = r2_score(y[160:], dense.eval()(x[160:, :20]).squeeze(1))
        joined = r2_score(y[160:], encoder.eval()(x[160:]).squeeze(1))
    assert alone < 0.6
    assert joined > 0.8


def planted(*, seed: int, steps: int) -> tuple[TargetGraphEncoder, torch.Tensor, torch.Tensor]:
    """Encoder trained on the first 160 of 220 drugs with 1 or 2 of 12 targets each."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(220, 20, generator=generator)
    hits = torch.zeros(220, 12).scatter_(1, torch.randint(12, (220, 2), generator=generator), 1.0)
    effect = torch.randn(12, generator=generator)
    y = (hits @ effect) / hits.sum(dim=1) + 0.7 * features[:, 0]
    x = torch.cat([features, hits], dim=1)
    torch.manual_seed(seed)
    encoder = TargetGraphEncoder(20, 12, 32, 1, n_train=160, input_dropout=0.0)
    encoder.connect(x[:160])
    fit(encoder, x[:160], y[:160], steps)
    return encoder, x, y


def fit(network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int) -> None:
    optimiser = torch.optim.AdamW(network.parameters(), 1e-2, weight_decay=0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        mse_loss(network(x).squeeze(1), y).backward()
        optimiser.step()
