"""The two-tower network against a computation that knows nothing of batches."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from cellixir.nn import DenseEncoder, Side, Tower, TwoTower

N_SAMPLES, N_DRUGS, N_PAIRS, LATENT = 5, 4, 30, 6
WIDTHS = {"sample": (9, 4), "drug": (3,)}  # of the blocks of each side


def make_network(*, hidden: int = 8, features: bool = True, known: bool = True, dropout: float = 0.0) -> TwoTower:
    def tower(side: str, n_known: int) -> Tower:
        widths = WIDTHS[side] if features else ()
        encoders = [DenseEncoder(n, 7, LATENT + 1, dropout=dropout, input_dropout=dropout) for n in widths]
        return Tower(encoders, n_known if known else 0, LATENT)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = TwoTower(tower("sample", N_SAMPLES), tower("drug", N_DRUGS), hidden=hidden, dropout=dropout)
        for parameter in network.parameters():  # biases start at zero, which would hide what they do
            parameter.data += 0.1 * torch.randn_like(parameter)
        for table in embeddings(network):
            table.weight.data[0] = 0.0
    return network.eval()


def embeddings(network: TwoTower) -> list[nn.Embedding]:
    return [module for module in network.modules() if isinstance(module, nn.Embedding)]


def make_batch() -> tuple[Side, Side]:
    generator = torch.Generator().manual_seed(1)

    def side(n: int, widths: tuple[int, ...]) -> Side:
        identity = torch.arange(1, n + 1)
        identity[1] = 0  # the second one is unknown
        position = torch.randint(n, (N_PAIRS,), generator=generator)
        blocks = tuple(torch.randn(n, width, generator=generator) for width in widths)
        present = torch.ones(n, len(widths))
        present[2, 0] = 0  # the third one lacks its first block
        return Side(blocks, present, identity, position)

    return side(N_SAMPLES, WIDTHS["sample"]), side(N_DRUGS, WIDTHS["drug"])


def one_pair(network: TwoTower, sample: Side, drug: Side, pair: int) -> torch.Tensor:
    """Prediction of one pair from its own rows, with the head's first layer as one matrix on ``[u; v]``."""

    def encode(tower: Tower, side: Side) -> tuple[torch.Tensor, torch.Tensor]:
        row = side.position[pair]
        latent, bias = torch.zeros(LATENT), torch.zeros(())
        for i, encoder in enumerate(tower.encoders):
            encoded = encoder(side.blocks[i][row]) if side.present[row, i] else tower.absent[i]
            latent, bias = latent + encoded[:LATENT], bias + encoded[LATENT]
        identity = int(side.identity[row])
        if tower.embedding is not None and identity:
            latent, bias = latent + tower.embedding.weight[identity], bias + tower.bias.weight[identity, 0]
        return latent, bias

    (u, a), (v, b) = encode(network.sample, sample), encode(network.drug, drug)
    score = torch.dot(u, v) + a + b
    if network.head is None:
        return score
    weight = torch.cat([network.sample_in.weight, network.drug_in.weight], dim=1)
    return score + network.head(functional.linear(torch.cat([u, v]), weight, network.sample_in.bias)).squeeze()


@pytest.mark.parametrize("hidden", [0, 8])
@pytest.mark.parametrize(("features", "known"), [(True, True), (True, False), (False, True)])
def test_output_is_that_of_each_pair_by_itself(hidden, features, known):
    network = make_network(hidden=hidden, features=features, known=known)
    sample, drug = make_batch()
    with torch.no_grad():
        together = network(sample, drug)
        alone = torch.stack([one_pair(network, sample, drug, i) for i in range(N_PAIRS)])
    assert together.shape == (N_PAIRS,)
    assert together.std() > 0.05
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_tower_that_knows_nothing_of_a_side_says_zero_of_it():
    out = Tower([], 0, LATENT)(make_batch()[0])
    assert out.shape == (N_SAMPLES, LATENT + 1)  # the last column is the bias
    assert not out.any()


def test_permuted_pairs_give_permuted_outputs():
    network, (sample, drug) = make_network(), make_batch()
    order = torch.randperm(N_PAIRS, generator=torch.Generator().manual_seed(2))
    shuffled = network(sample._replace(position=sample.position[order]), drug._replace(position=drug.position[order]))
    torch.testing.assert_close(shuffled, network(sample, drug)[order], rtol=0, atol=0)


def test_order_of_the_distinct_samples_does_not_matter():
    network, (sample, drug) = make_network(), make_batch()
    order = torch.tensor([3, 0, 4, 2, 1])
    blocks = tuple(block[order] for block in sample.blocks)
    position = torch.argsort(order)[sample.position]
    moved = Side(blocks, sample.present[order], sample.identity[order], position)
    torch.testing.assert_close(network(moved, drug), network(sample, drug))


def test_unknown_identity_adds_nothing():
    network, (sample, drug) = make_network(), make_batch()
    bare = make_network(known=False)
    bare.load_state_dict({n: t for n, t in network.state_dict().items() if n in bare.state_dict()})
    nobody = [side._replace(identity=torch.zeros_like(side.identity)) for side in (sample, drug)]
    torch.testing.assert_close(network(*nobody), bare(sample, drug))
    assert not torch.allclose(network(sample, drug), network(*nobody))


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_unknown_identity_stays_zero_in_training(kind):
    network, (sample, drug) = make_network(), make_batch()
    before = [table.weight.detach().clone() for table in embeddings(network)]
    optimiser = kind(network.parameters(), lr=0.05, weight_decay=0.1)
    for _ in range(5):
        optimiser.zero_grad()
        network(sample, drug).square().mean().backward()
        optimiser.step()
    assert len(before) == 4
    for table, old in zip(embeddings(network), before, strict=True):
        assert not table.weight[0].any()
        assert (table.weight[1] != old[1]).all()


def test_fresh_embeddings_are_small_and_the_unknown_row_is_zero():
    tower = Tower([], 500, 16)
    assert not tower.embedding.weight[0].any()
    assert not tower.bias.weight.any()
    assert 0.05 < tower.embedding.weight[1:].std() < 0.2


@pytest.mark.parametrize("hidden", [0, 8])
def test_gradients_reach_every_parameter_of_both_towers(hidden):
    network, (sample, drug) = make_network(hidden=hidden), make_batch()
    network(sample, drug).square().sum().backward()
    names = dict(network.named_parameters())
    assert {name.split(".")[0] for name in names} >= {"sample", "drug"}
    for name, parameter in names.items():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_gradient_is_that_of_finite_differences():
    network, (sample, drug) = make_network().double(), make_batch()
    sample, drug = (side._replace(present=side.present.double()) for side in (sample, drug))
    inputs = tuple(block.double().requires_grad_() for block in (*sample.blocks, *drug.blocks))
    assert torch.autograd.gradcheck(
        lambda x, y, z: network(sample._replace(blocks=(x, y)), drug._replace(blocks=(z,))), inputs
    )


def test_what_an_absent_block_holds_does_not_matter():
    network, (sample, drug) = make_network(), make_batch()
    first = sample.blocks[0].clone()
    first[2] = 1e3
    torch.testing.assert_close(
        network(sample._replace(blocks=(first, sample.blocks[1])), drug), network(sample, drug), rtol=0, atol=0
    )
    first[1] = 1e3
    assert not torch.allclose(network(sample._replace(blocks=(first, sample.blocks[1])), drug), network(sample, drug))


def test_blocks_are_masked_at_random_in_training_where_there_are_several():
    encoders = [DenseEncoder(n, 7, LATENT + 1, dropout=0, input_dropout=0) for n in WIDTHS["sample"]]
    side = make_batch()[0]
    tower = Tower(encoders, 0, LATENT, block_dropout=0.5)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        assert not torch.allclose(tower(side), tower(side))
    torch.testing.assert_close(tower.eval()(side), tower(side), rtol=0, atol=0)
    assert Tower(encoders[:1], 0, LATENT, block_dropout=0.5).block_dropout == 0


def test_dropout_acts_in_training_only():
    network, (sample, drug) = make_network(dropout=0.5), make_batch()
    torch.testing.assert_close(network(sample, drug), network(sample, drug), rtol=0, atol=0)
    network.train()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        assert not torch.allclose(network(sample, drug), network(sample, drug))


def test_encoder_without_hidden_layer_is_linear():
    encoder = DenseEncoder(4, 0, 3).eval()
    x, y = torch.randn(2, 4, generator=torch.Generator().manual_seed(4))
    zero = encoder(torch.zeros(4))
    torch.testing.assert_close(encoder(x + y) - zero, encoder(x) - zero + encoder(y) - zero)
    deep = DenseEncoder(4, 16, 3).eval()
    assert not torch.allclose(deep(x) + deep(-x), 2 * deep(torch.zeros(4)))
