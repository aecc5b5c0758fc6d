"""The two players: what they give, the gradient penalty in closed form, the average, and curves that are not lost."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from cellixir.nn.gan import Critic, Curves, GANShape, GeneratorNetwork, Players, gradient_penalty, one_hot

N, WIDTH, LEVELS = 9, 5, (2, 3)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def make(kind: type[nn.Module], seed: int = 0, **sizes) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        shape = GANShape(WIDTH, sizes.pop("levels", LEVELS), noise=4, hidden=8, **sizes)
        return kind(shape)


def conditions(n: int = N) -> torch.Tensor:
    return torch.cat([torch.eye(k)[torch.arange(n) % k] for k in LEVELS], dim=1)


# --- networks ----------------------------------------------------------------------------------------------------


def test_a_conditional_generator_hands_on_the_conditions_it_was_given():
    generator = make(GeneratorNetwork)
    rows = generator(normal(N, 4), conditions())
    assert rows.shape == (N, GANShape(WIDTH, LEVELS).row) == (N, 10)
    assert torch.equal(rows[:, WIDTH:], conditions())
    assert not torch.allclose(rows[:, :WIDTH], generator(normal(N, 4), conditions().flip(0))[:, :WIDTH])


def test_an_unconditional_generator_makes_labels_of_its_own():
    generator = make(GeneratorNetwork, conditional=False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        rows = generator(normal(400, 4), conditions(400))
        torch.manual_seed(0)
        assert torch.equal(rows, generator(normal(400, 4), torch.zeros(400, 0)))  # what is given is not looked at
    for block in rows[:, WIDTH:].split(LEVELS, dim=1):
        torch.testing.assert_close(block.sum(dim=1), torch.ones(400))
        torch.testing.assert_close(block.max(dim=1).values, torch.ones(400))
        assert (block.mean(dim=0) > 0.05).all()


def test_labels_come_as_often_as_their_logits_say_and_pass_gradients_on():
    logits = torch.tensor([0.5, 0.3, 0.2]).log().repeat(20_000, 1).requires_grad_()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = one_hot(logits, 0.5)
    torch.testing.assert_close(drawn.mean(dim=0), torch.tensor([0.5, 0.3, 0.2]), atol=0.02, rtol=0)
    drawn[:, 0].sum().backward()
    assert logits.grad is not None
    assert (logits.grad[:, 0] > 0).float().mean() > 0.9
    assert (logits.grad[:, 1:] <= 0).all()


@pytest.mark.parametrize("sizes", [{}, {"conditional": False, "batch_norm": True, "dropout": 0.3, "n_layers": 3}])
def test_every_weight_learns(sizes):
    generator, critic = make(GeneratorNetwork, **sizes), make(Critic, **sizes)
    rows = generator(normal(64, 4), conditions(64))
    scores = critic(rows)
    assert scores.shape == (64,)
    scores.square().sum().backward()
    for module in (generator, critic):
        assert all(p.grad is not None and bool(p.grad.any()) for p in module.parameters())


def test_there_may_be_no_conditions():
    for conditional in (True, False):
        generator = make(GeneratorNetwork, levels=(), conditional=conditional)
        assert generator(normal(N, 4), torch.zeros(N, 0)).shape == (N, WIDTH)


# --- gradient penalty --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "expected"), [((3.0, 4.0), 16.0), ((0.6, 0.8), 0.0), ((0.0, 0.5), 0.25), ((0.0, -3.0), 4.0)]
)
def test_penalty_of_a_linear_critic_is_its_slope_less_one_squared(weights, expected):
    w = torch.tensor(weights)
    penalty = gradient_penalty(lambda x: x @ w + 7, normal(N, 2), normal(N, 2, seed=1), torch.rand(N, 1))
    assert float(penalty) == pytest.approx(expected, abs=1e-5)


def test_penalty_is_taken_between_the_rows_where_the_share_says():
    # the gradient of |x|² / 2 is x itself: (|share real + (1 - share) fake| - 1)²
    real, fake = torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([[0.0, 4.0], [0.0, 6.0]])
    share = torch.tensor([[0.5], [0.25]])
    penalty = gradient_penalty(lambda x: x.square().sum(dim=1) / 2, real, fake, share)
    assert float(penalty.detach()) == pytest.approx(((2.5 - 1) ** 2 + (5 - 1) ** 2) / 2)


def test_penalty_teaches_the_critic():
    # for w x the penalty is (|w| - 1)², whose gradient at |w| = 5 is 2 (5 - 1) w / |w|
    critic = nn.Linear(2, 1, bias=False)
    critic.weight.data = torch.tensor([[3.0, 4.0]])
    gradient_penalty(lambda x: critic(x).squeeze(1), normal(N, 2), normal(N, 2), torch.rand(N, 1)).backward()
    torch.testing.assert_close(critic.weight.grad, torch.tensor([[4.8, 6.4]]))


# --- the average -------------------------------------------------------------------------------------------------


def test_the_average_follows_the_generator():
    players = make_players(decay=0.9)
    first = next(players.average.parameters()).clone()
    with torch.no_grad():
        for weight in players.generator.parameters():
            weight.add_(1.0)
    players.follow()  # the first step keeps 1 / 10
    torch.testing.assert_close(next(players.average.parameters()), first + 0.9)
    distance = 0.1
    for n in range(2, 200):
        players.follow()
        distance *= min(0.9, n / (n + 9))
    torch.testing.assert_close(next(players.average.parameters()), first + 1 - distance)
    assert int(players.n_steps) == 199


def test_without_decay_the_average_is_the_generator_with_its_running_means():
    players = make_players(decay=0.0, batch_norm=True)
    players.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        before = players.fake(conditions())
        with torch.no_grad():
            for weight in players.generator.parameters():
                weight.mul_(1.5)
        players.follow()
        players.eval()
        torch.manual_seed(1)
        fake = players.fake(conditions())
        torch.manual_seed(1)
        assert torch.equal(players.draw(conditions()), fake)
    assert not torch.allclose(before, fake)
    assert not players.draw(conditions()).requires_grad


def make_players(decay: float, **sizes) -> Players:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Players(GANShape(WIDTH, LEVELS, noise=4, hidden=8, **sizes), decay)


def test_only_the_two_players_learn():
    players = make_players(decay=0.9)
    assert not any(p.requires_grad for p in players.average.parameters())
    rows = players.fake(conditions())
    players.critic(rows).sum().backward()
    assert all(p.grad is None for p in players.average.parameters())


# --- curves ------------------------------------------------------------------------------------------------------


def test_curves_travel_with_the_weights_and_going_back_forgets_none():
    players = make_players(decay=0.5)
    players.curves.rows.append([1.0, 2.0, 3.0])
    best = {name: tensor.clone() for name, tensor in players.state_dict().items()}
    players.curves.rows.append([4.0, 5.0, math.pi])
    last = {name: tensor.clone() for name, tensor in players.state_dict().items()}
    players.load_state_dict(best)
    assert players.curves.rows == [[1.0, 2.0, 3.0], [4.0, 5.0, math.pi]]
    other = make_players(decay=0.5)
    other.load_state_dict(last)
    assert other.curves.rows == players.curves.rows
    other.load_state_dict(best)
    assert len(other.curves.rows) == 2


def test_there_may_be_no_curves_yet():
    curves = Curves()
    curves.load_state_dict(Curves().state_dict())
    assert curves.rows == []
