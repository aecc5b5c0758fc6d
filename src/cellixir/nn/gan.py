"""The two players of a generative adversarial network (Goodfellow et al., arXiv 1406.2661) and the gradient penalty."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from cellixir.nn.dropout import Dropout

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

#: Slope of the critic's units below zero: a flat side would give the generator no gradient.
SLOPE = 0.2


@dataclass(frozen=True)
class GANShape:
    """Sizes of both players.

    Parameters
    ----------
    width
        Columns of the table that is generated.
    levels
        Levels of each condition column; none where there are no conditions.
    conditional
        Whether the conditions are given to the generator, or are outputs of it as everything else.
    noise
        Width of the generator's noise.
    hidden, n_layers
        Width and number of the hidden layers, the same in both.
    batch_norm
        Whether the generator's layers are normalised over the batch.
    dropout
        Share of the critic's units that are dropped in training.
    temperature
        Of the Gumbel-softmax (Jang et al., arXiv 1611.01144) that labels are generated through.
    """

    width: int
    levels: tuple[int, ...] = ()
    conditional: bool = True
    noise: int = 64
    hidden: int = 256
    n_layers: int = 2
    batch_norm: bool = False
    dropout: float = 0.0
    temperature: float = 0.5

    @property
    def row(self) -> int:
        """Width of a row that the critic sees: the table's columns, then the one-hot conditions."""
        return self.width + sum(self.levels)


class GeneratorNetwork(nn.Module):
    """Noise to rows: the table's columns, then the conditions, one-hot column by column."""

    def __init__(self, shape: GANShape) -> None:
        super().__init__()
        self.shape = shape
        given = sum(shape.levels) if shape.conditional else 0
        out = shape.width if shape.conditional else shape.row
        self.layers = _mlp(shape.noise + given, out, shape, lambda: _generating(shape))

    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Rows ``(n, row)`` from noise ``(n, noise)`` and one-hot conditions ``(n, sum(levels))``.

        Where the conditions are outputs, ``condition`` is not looked at and the labels are drawn from torch's
        generator.
        """
        if self.shape.conditional:
            return torch.cat([self.layers(torch.cat([noise, condition], dim=1)), condition], dim=1)
        values, *logits = self.layers(noise).split([self.shape.width, *self.shape.levels], dim=1)
        return torch.cat([values, *(one_hot(block, self.shape.temperature) for block in logits)], dim=1)


class Critic(nn.Module):
    """A score of each row: how real it looks."""

    def __init__(self, shape: GANShape) -> None:
        super().__init__()
        self.layers = _mlp(shape.row, 1, shape, lambda: _judging(shape))

    def forward(self, rows: Tensor) -> Tensor:
        """Scores ``(n,)`` of rows ``(n, row)``."""
        scores: Tensor = self.layers(rows)
        return scores.squeeze(1)


class Players(nn.Module):
    """Generator, critic, the moving average of the generator's weights, and the curves of training.

    Parameters
    ----------
    shape
        Sizes.
    decay
        Share of the average that stays in a step; 0 makes it the generator itself. Early on it is smaller, so that
        the first weights are soon forgotten.
    """

    n_steps: Tensor

    def __init__(self, shape: GANShape, decay: float = 0.0) -> None:
        super().__init__()
        self.shape, self.decay = shape, decay
        self.generator = GeneratorNetwork(shape)
        self.critic = Critic(shape)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.curves = Curves()
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.int64))

    def fake(self, condition: Tensor) -> Tensor:
        """One generated row for each row of ``condition``, by the weights that learn."""
        rows: Tensor = self.generator(self._noise(condition), condition)
        return rows

    @torch.no_grad()
    def draw(self, condition: Tensor) -> Tensor:
        """One generated row for each row of ``condition``, by the averaged weights."""
        rows: Tensor = self.average(self._noise(condition), condition)
        return rows

    @torch.no_grad()
    def follow(self) -> None:
        """Move the average towards the generator after a step of it."""
        self.n_steps += 1
        n = int(self.n_steps)
        keep = min(self.decay, n / (n + 9))
        for mean, weight in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(weight, 1 - keep)
        for mine, theirs in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            mine.copy_(theirs)

    def _noise(self, condition: Tensor) -> Tensor:
        # on the CPU, so that a GPU is given the same numbers
        return torch.randn(len(condition), self.shape.noise).to(condition.device)


class Curves(nn.Module):
    """Numbers of each epoch, which travel with a checkpoint; going back to the best weights forgets none."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[float]] = []

    def get_extra_state(self) -> Tensor:
        """All rows, shape ``(n_epochs, n_numbers)``."""
        return torch.tensor(self.rows, dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the rows of a state that knows more epochs."""
        if len(state) > len(self.rows):
            self.rows = state.tolist()


def one_hot(logits: Tensor, temperature: float) -> Tensor:
    """One label a row drawn from its logits, one-hot; gradients are those of the Gumbel-softmax (straight through)."""
    return functional.gumbel_softmax(logits, tau=temperature, hard=True)


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """Mean of (|gradient of the critic| - 1)² between real and generated rows (Gulrajani et al. 2017, eq. 3).

    Parameters
    ----------
    critic
        Scores ``(n,)`` of rows ``(n, width)``.
    real, fake
        Rows, shape ``(n, width)``.
    share
        How much of each real row there is in the row between, shape ``(n, 1)``, from 0 to 1.
    """
    between = (share * real + (1 - share) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty: Tensor = (gradient.norm(dim=1) - 1).square().mean()
    return penalty


def _generating(shape: GANShape) -> list[nn.Module]:
    return [nn.BatchNorm1d(shape.hidden), nn.ReLU()] if shape.batch_norm else [nn.ReLU()]


def _judging(shape: GANShape) -> list[nn.Module]:
    return [nn.LeakyReLU(SLOPE), Dropout(shape.dropout)] if shape.dropout else [nn.LeakyReLU(SLOPE)]


def _mlp(width: int, out: int, shape: GANShape, after: Callable[[], list[nn.Module]]) -> nn.Sequential:
    """Linear layers, and what ``after`` makes after each but the last."""
    sizes = [width, *[shape.hidden] * shape.n_layers]
    parts = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), *after())]
    return nn.Sequential(*parts, nn.Linear(sizes[-1], out))
