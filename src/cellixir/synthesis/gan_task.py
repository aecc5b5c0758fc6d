"""Two players in the training loop: what a step is, how generated rows are judged, and what collapse looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn import functional

from cellixir.nn.gan import gradient_penalty
from cellixir.training.loop import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor
    from torch.optim import Optimizer

    from cellixir.nn.gan import Critic, Players
    from cellixir.training.config import TrainingConfig

#: Diversity below which generated samples are called collapsed.
COLLAPSED = 0.3
#: Rows that are generated to be judged, at least.
JUDGED = 500
CURVES = ("generator_loss", "critic_loss", "diversity")


class Rows(NamedTuple):
    """Columns of a table ``(n, width)`` and one-hot conditions ``(n, sum(levels))``."""

    values: Tensor
    condition: Tensor

    def all(self) -> Tensor:
        """What the critic sees, shape ``(n, row)``."""
        return torch.cat([self.values, self.condition], dim=1)


@dataclass(frozen=True)
class NonSaturating:
    """Cross-entropy of real against generated; the generator maximises log D(G(z)) (Goodfellow et al. 2014, sec. 3)."""

    n_critic: int = 1
    betas: tuple[float, float] = (0.5, 0.999)

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, n_free: int) -> Tensor:
        """Mean of -log D(real) and of -log(1 - D(fake)), added."""
        del n_free  # no penalty
        found: Tensor = functional.softplus(-critic(real)).mean() + functional.softplus(critic(fake)).mean()
        return found

    def generator_loss(self, critic: Critic, fake: Tensor) -> Tensor:
        """Mean of -log D(fake)."""
        found: Tensor = functional.softplus(-critic(fake)).mean()
        return found


@dataclass(frozen=True)
class Wasserstein:
    """Difference of the mean scores under a gradient penalty (Gulrajani et al., arXiv 1704.00028, algorithm 1)."""

    penalty: float = 10.0
    n_critic: int = 5
    betas: tuple[float, float] = (0.0, 0.9)

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, n_free: int) -> Tensor:
        """Mean score of ``fake`` less that of ``real``, and the penalty on the first ``n_free`` columns.

        The others are conditions, the same in ``real`` and ``fake``.
        """

        def scores(values: Tensor) -> Tensor:
            found: Tensor = critic(torch.cat([values, real[:, n_free:]], dim=1))
            return found

        share = torch.rand(len(real), 1).to(real.device)
        penalty = gradient_penalty(scores, real[:, :n_free], fake[:, :n_free], share)
        loss: Tensor = critic(fake).mean() - critic(real).mean() + self.penalty * penalty
        return loss

    def generator_loss(self, critic: Critic, fake: Tensor) -> Tensor:
        """Mean score of ``fake``, negative."""
        loss: Tensor = -critic(fake).mean()
        return loss


class Nearness:
    """How near generated rows come to rows that training does not see, and how far from each other they are.

    Distances are between points that ``project`` makes of rows, such as principal components. The noise is the same
    each time, so that epochs are compared on the same draws.

    Parameters
    ----------
    held
        Rows that training does not see.
    project
        Values ``(n, width)`` to points ``(n, d)``.
    """

    def __init__(self, held: Rows, project: Callable[[Tensor], Tensor]) -> None:
        self.project = project
        self.points = project(held.values)
        self.condition = held.condition
        self.spread = _mean(torch.cdist(self.points, self.points), _others(len(self.points)))

    def __call__(self, players: Players) -> tuple[float, float]:
        """Energy distance of generated rows from the held-out ones, and their diversity.

        The energy distance 2 E|x - y| - E|x - x'| - E|y - y'| (Szekely and Rizzo 2013; the squared MMD of the kernel
        -|x - y|) is over points in units of the real ones' mean distance and conditions, where one that differs is as
        far; 0 is perfect, and a little below it happens since the conditions are the same. Diversity is the mean
        distance of generated points over that of real ones, within conditions where these are given: 1 is right, 0 is
        one point over and over.
        """
        asked = self.condition.repeat(-(-JUDGED // len(self.condition)), 1)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            rows = players.draw(asked)
        values, labels = rows[:, : players.shape.width], rows[:, players.shape.width :]
        points = self.project(values)
        energy = _energy(self._joint(self.points, self.condition), self._joint(points, labels))
        if not players.shape.conditional:
            return energy, _mean(torch.cdist(points, points), _others(len(points))) / self.spread
        return energy, _within(points, labels) / _within(self.points, self.condition)

    def _joint(self, points: Tensor, condition: Tensor) -> Tensor:
        return torch.cat([points / self.spread, condition / 2**0.5], dim=1)


class GANTask(Task):
    """Training of two players; an epoch is ``n_steps`` steps of the generator, however many rows there are.

    Parameters
    ----------
    players
        Both networks.
    rules
        What each player wants, and how many steps the critic is ahead.
    train
        Rows to learn from.
    nearness
        Says after each epoch how good the generator is; the best one is kept.
    """

    def __init__(
        self,
        players: Players,
        rules: NonSaturating | Wasserstein,
        train: Rows,
        nearness: Nearness,
        *,
        n_steps: int = 25,
    ) -> None:
        self.network = self.players = players
        self.rules, self.nearness, self.n_steps = rules, nearness, n_steps
        self.samples, self.condition = train.all(), train.condition
        self.n_free = players.shape.width if players.shape.conditional else players.shape.row
        self._losses: list[tuple[Tensor, Tensor]] = []

    def n_batches(self, config: TrainingConfig) -> int:
        """Steps of the generator an epoch."""
        return self.n_steps

    def begins(self, epoch: int, config: TrainingConfig) -> None:
        """Forget the losses of the epoch before."""
        self._losses = []

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> Iterator[Tensor]:
        """Row numbers ``(n_critic, batch)`` for each step of the generator; all rows come up equally often."""
        size = min(config.batch_size, len(self.samples))
        wanted = self.n_steps * self.rules.n_critic * size
        passes = -(-wanted // len(self.samples))
        order = torch.cat([torch.randperm(len(self.samples), generator=generator) for _ in range(passes)])
        yield from order[:wanted].view(self.n_steps, self.rules.n_critic, size)

    def loss(self, batch: Tensor) -> Tensor:
        """Loss of the generator."""
        fake = self.players.fake(self.condition[batch])
        return self.rules.generator_loss(self.players.critic, fake)

    def optimisers(self, config: TrainingConfig) -> list[Optimizer]:
        """Adam for the critic and for the generator."""
        options: dict[str, Any] = {"lr": config.learning_rate, "betas": self.rules.betas, "fused": True}
        learners = (self.players.critic, self.players.generator)
        return [torch.optim.Adam(player.parameters(), **options) for player in learners]

    def step(self, batch: Tensor, optimisers: list[Optimizer], config: TrainingConfig) -> Tensor:
        """One step of the critic on each row of ``batch``, then one of the generator; returns the latter's loss."""
        of_critic, of_generator = optimisers
        for rows in batch:
            with torch.no_grad():
                fake = self.players.fake(self.condition[rows])
            critic_loss = self.rules.critic_loss(self.players.critic, self.samples[rows], fake, self.n_free)
            _descend(of_critic, critic_loss)
        self.players.critic.requires_grad_(False)
        loss = self.loss(batch[-1])
        _descend(of_generator, loss)
        self.players.critic.requires_grad_(True)
        self.players.follow()
        self._losses.append((loss.detach(), critic_loss.detach()))
        return loss.detach()

    def validation_loss(self) -> float:
        """Energy distance from the held-out rows; notes the epoch's numbers in the players' curves."""
        energy, diversity = self.nearness(self.players)
        generator, critic = (float(torch.stack(losses).mean()) for losses in zip(*self._losses, strict=True))
        self.players.curves.rows.append([generator, critic, diversity])
        return energy


def collapse_note(diversity: list[float], chosen: int) -> str | None:
    """What to tell of the curve of diversity when epoch ``chosen`` (from 0) is the one that is kept.

    >>> collapse_note([0.9, 0.8], 1) is None
    True
    """
    if diversity[chosen] < COLLAPSED:
        return (
            f"mode collapse: generated samples differ {diversity[chosen]:.2f} times as much as real ones "
            f"(epoch {chosen + 1}, the best of {len(diversity)}); take wgan-gp, a lower learning rate or more samples"
        )
    if diversity[-1] < COLLAPSED:
        return (
            f"training ended in mode collapse: diversity {diversity[-1]:.2f} after epoch {len(diversity)}; "
            f"the weights of epoch {chosen + 1} (diversity {diversity[chosen]:.2f}) are used"
        )
    return None


def _descend(optimiser: Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def _energy(x: Tensor, y: Tensor) -> float:
    across = float(torch.cdist(x, y).double().mean())
    return 2 * across - sum(_mean(torch.cdist(a, a), _others(len(a))) for a in (x, y))


def _within(points: Tensor, condition: Tensor) -> float:
    """Mean distance of points of the same condition; of all points where no two are of the same."""
    same = (torch.cdist(condition, condition) < 0.5).to(points.device) & _others(len(points)).to(points.device)
    return _mean(torch.cdist(points, points), same if bool(same.any()) else _others(len(points)))


def _others(n: int) -> Tensor:
    return ~torch.eye(n, dtype=torch.bool)


def _mean(distances: Tensor, pairs: Tensor) -> float:
    return max(float(distances.double()[pairs.to(distances.device)].mean()), 1e-12)
