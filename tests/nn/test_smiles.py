"""SMILES encoders: what padding may not do, and what each is built to find."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from torch.nn.functional import mse_loss

from cellixir.data.molecules import tokenize_smiles
from cellixir.exceptions import ConfigurationError
from cellixir.nn.smiles import SmilesConvEncoder, SmilesEncoder, SmilesTransformerEncoder

N_TOKENS, HIDDEN, LATENT = 12, 16, 5
FRAGMENTS = ("C", "N", "O", "S(=O)(=O)", "C(=O)", "C(F)", "c1ccc(cc1)")
ENCODERS = pytest.mark.parametrize("kind", [SmilesConvEncoder, SmilesTransformerEncoder])


def make_encoder(kind: type[SmilesEncoder], **changes) -> SmilesEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = kind(N_TOKENS, HIDDEN, LATENT, **changes)
        torch.nn.init.normal_(encoder.unknown)
    return encoder


def make_tokens(lengths: list[int], width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    tokens = torch.zeros(len(lengths), width, dtype=torch.long)
    for row, length in zip(tokens, lengths, strict=True):
        row[:length] = torch.randint(1, N_TOKENS, (length,), generator=generator)
    return tokens


@ENCODERS
def test_padding_says_nothing(kind: type[SmilesEncoder]) -> None:
    encoder = make_encoder(kind).eval()
    tokens = make_tokens([1, 5, 31, 32, 33, 64, 100], width=100)
    wide = torch.nn.functional.pad(tokens, (0, 90))
    with torch.no_grad():
        out = encoder(tokens)
        assert torch.equal(encoder(wide), out)
        alone = torch.cat([encoder(row[row > 0].unsqueeze(0)) for row in tokens])
    assert out.shape == (7, LATENT)
    assert out.dtype == torch.float32
    assert out.std(dim=0).min() > 1e-3
    torch.testing.assert_close(out, alone)  # a shorter row stood beside longer ones


@ENCODERS
def test_what_is_under_the_padding_of_a_group_does_not_leak(kind: type[SmilesEncoder]) -> None:
    encoder = make_encoder(kind).eval()
    with torch.no_grad():
        encoder.embedding.weight[0] = 9.0  # what an optimiser with momentum could not do, but a loaded file might
        tokens = make_tokens([3, 30], width=30)
        torch.testing.assert_close(encoder(tokens)[0], encoder(tokens[:1, :3])[0])


@ENCODERS
def test_order_of_drugs_and_type_of_tokens_do_not_matter(kind: type[SmilesEncoder]) -> None:
    encoder, tokens = make_encoder(kind).eval(), make_tokens([40, 0, 3, 70, 12, 33, 3], width=70)
    order = torch.tensor([6, 2, 0, 1, 5, 3, 4])
    with torch.no_grad():
        out = encoder(tokens)
        assert torch.equal(encoder(tokens[order]), out[order])
        assert torch.equal(encoder(tokens.to(torch.int16)), out)
        assert torch.equal(encoder(tokens.float()), out)


@ENCODERS
@pytest.mark.parametrize("lengths", [[0, 4, 40], [0, 0], []])
def test_without_smiles_a_vector_is_learned(kind: type[SmilesEncoder], lengths: list[int]) -> None:
    encoder = make_encoder(kind)
    out = encoder(make_tokens(lengths, width=40))
    out.square().sum().backward()
    assert out.shape == (len(lengths), LATENT)
    assert torch.isfinite(out).all()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters() if p.grad is not None)
    if lengths:
        torch.testing.assert_close(out[0], encoder.out(encoder.unknown))
        assert encoder.unknown.grad.abs().sum() > 0


@ENCODERS
def test_the_order_of_tokens_matters(kind: type[SmilesEncoder]) -> None:
    encoder, tokens = make_encoder(kind).eval(), make_tokens([20], width=20)
    with torch.no_grad():
        assert (encoder(tokens) - encoder(tokens.flip(1))).abs().max() > 1e-3


def fit(encoder: SmilesEncoder, tokens: torch.Tensor, y: torch.Tensor, *, steps: int, seed: int = 0) -> None:
    torch.manual_seed(seed)  # of dropout
    optimiser = torch.optim.Adam(encoder.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        rows = torch.randint(len(y), (96,), generator=generator)
        optimiser.zero_grad()
        mse_loss(encoder(tokens[rows])[:, 0], y[rows]).backward()
        optimiser.step()
        schedule.step()
    encoder.eval()


def score(encoder: SmilesEncoder, tokens: torch.Tensor, y: torch.Tensor) -> float:
    with torch.no_grad():
        return r2_score(y, encoder(tokens).squeeze(1))


def score_of_counts(tokens: torch.Tensor, y: torch.Tensor, n_train: int) -> float:
    """What counting tokens, wherever they stand, says of the drugs after the first ``n_train``."""
    counts = torch.nn.functional.one_hot(tokens).sum(dim=1)[:, 1:].numpy()
    bag = RidgeCV(np.logspace(-3, 3, 7)).fit(counts[:n_train], y[:n_train])
    return r2_score(y[n_train:], torch.from_numpy(bag.predict(counts[n_train:])))


def test_convolutions_find_a_motif() -> None:
    """Sulfonamides among drugs with sulfones and amines elsewhere."""
    rng = np.random.default_rng(0)
    chains = [[FRAGMENTS[i] for i in rng.integers(len(FRAGMENTS), size=rng.integers(4, 9))] for _ in range(1000)]
    y = torch.tensor([float(any({a, b} == {"S(=O)(=O)", "N"} for a, b in pairwise(c))) for c in chains])
    found = tokenize_smiles(pd.Series(["".join(chain) for chain in chains]))
    tokens = torch.from_numpy(found.tokens).long()
    torch.manual_seed(0)
    encoder = SmilesConvEncoder(len(found.vocabulary) + 2, 24, 1, dropout=0.1)
    fit(encoder, tokens[:800], y[:800], steps=120)
    assert score_of_counts(tokens, y, 800) < 0.5
    assert score(encoder, tokens[800:], y[800:]) > 0.8


def test_attention_relates_distant_tokens() -> None:
    """Does token 2 stand before token 3, in rows of different length with other tokens around?"""
    rng = np.random.default_rng(0)
    tokens, y = torch.zeros(1200, 18, dtype=torch.long), torch.zeros(1200)
    for k in range(len(y)):
        length = int(rng.integers(8, 17))
        tokens[k, :length] = torch.from_numpy(rng.integers(4, N_TOKENS, size=length))
        first, second = rng.choice(length, 2, replace=False)
        tokens[k, first], tokens[k, second], y[k] = 2, 3, float(first < second)
    torch.manual_seed(0)
    encoder = SmilesTransformerEncoder(N_TOKENS, 32, 1, max_length=18, dropout=0.0)
    fit(encoder, tokens[:1000], y[:1000], steps=200)
    assert score_of_counts(tokens, y, 1000) < 0.1
    assert score(encoder, tokens[1000:], y[1000:]) > 0.8


def test_settings_that_cannot_work() -> None:
    with pytest.raises(ConfigurationError, match="kernel is 4; it has to be odd"):
        SmilesConvEncoder(9, 8, 2, kernel=4)
    with pytest.raises(ConfigurationError, match="hidden is 10; it has to be a multiple of the 4 heads"):
        SmilesTransformerEncoder(9, 10, 2)
    encoder = make_encoder(SmilesTransformerEncoder, max_length=8)
    with pytest.raises(ConfigurationError, match="a row has 9 tokens, the encoder at most 8"):
        encoder(make_tokens([3, 9], width=20))
    assert encoder(make_tokens([3, 8], width=20)).shape == (2, LATENT)
