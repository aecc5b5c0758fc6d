"""Batches of pairs for the training loop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from cellixir.nn import Side, TwoTower
from cellixir.training import Task, TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from cellixir.nn import GraphBatch

BLOCK = 1 << 16


@dataclass(frozen=True)
class SideTable:
    """All samples (or drugs): what each encoder reads of them, and which are known by id."""

    blocks: tuple[Tensor | GraphBatch, ...]  # n rows each
    present: Tensor  # (n, n_blocks)
    identity: Tensor  # (n,), 0 where unknown

    def side(self, rows: Tensor) -> Side:
        """Side of a batch of pairs with these ``rows``; each distinct one stands in it once."""
        distinct, position = torch.unique(rows, return_inverse=True)
        blocks = tuple(block[distinct] for block in self.blocks)
        return Side(blocks, self.present[distinct], self.identity[distinct], position)


@dataclass(frozen=True)
class Pairs:
    """Pairs as indices into two small tables: memory grows with samples + drugs + pairs, never with samples x drugs."""

    samples: SideTable
    drugs: SideTable
    sample: Tensor  # (n_pairs,), row in samples
    drug: Tensor  # (n_pairs,)
    target: Tensor  # (n_pairs,)

    def __len__(self) -> int:
        return len(self.target)

    def subset(self, rows: NDArray[np.int64]) -> Pairs:
        """The pairs ``rows``; the two tables are shared."""
        index = torch.from_numpy(rows).to(self.target.device)
        return replace(self, sample=self.sample[index], drug=self.drug[index], target=self.target[index])

    def block(self, rows: Tensor) -> tuple[Side, Side]:
        """Both sides of the pairs ``rows``."""
        return self.samples.side(self.sample[rows]), self.drugs.side(self.drug[rows])


class PairTask(Task):
    """Mean squared error of the standardised residual over pairs."""

    def __init__(self, network: TwoTower, train: Pairs, validation: Pairs) -> None:
        self.network: TwoTower = network
        self.train = train
        self.validation = validation

    def n_batches(self, config: TrainingConfig) -> int:
        """Steps an epoch; the last batch may be small."""
        return -(-len(self.train) // config.batch_size)

    def step_rows(self, config: TrainingConfig) -> int:
        """Pairs of a step; small screens have fewer than the default batch."""
        return min(config.batch_size, len(self.train))

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> Iterator[Tensor]:
        """Row numbers in random order."""
        order = torch.randperm(len(self.train), generator=generator).to(self.train.target.device)
        yield from torch.split(order, config.batch_size)

    def loss(self, batch: Tensor) -> Tensor:
        """Mean squared error of one batch."""
        return functional.mse_loss(self.network(*self.train.block(batch)), self.train.target[batch])

    def validation_loss(self) -> float:
        """Mean squared error of all validation pairs."""
        rows = torch.arange(len(self.validation), device=self.validation.target.device)
        total = 0.0
        for block in torch.split(rows, BLOCK):
            error = self.network(*self.validation.block(block)) - self.validation.target[block]
            total += float(error.double().square().sum())
        return total / len(self.validation)
