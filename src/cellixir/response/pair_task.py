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

BLOCK = 1 << 16


@dataclass(frozen=True)
class Pairs:
    """Pairs as indices into two small tables: memory grows with samples + drugs + pairs, never with samples x drugs."""

    sample_features: Tensor  # (n_samples, n_features)
    drug_features: Tensor  # (n_drugs, n_features)
    sample_identity: Tensor  # (n_samples,), 0 where unknown
    drug_identity: Tensor  # (n_drugs,)
    sample: Tensor  # (n_pairs,), row of sample_features
    drug: Tensor  # (n_pairs,)
    target: Tensor  # (n_pairs,)

    def __len__(self) -> int:
        return len(self.target)

    def subset(self, rows: NDArray[np.int64]) -> Pairs:
        """The pairs ``rows``; the two tables are shared."""
        index = torch.from_numpy(rows).to(self.target.device)
        return replace(self, sample=self.sample[index], drug=self.drug[index], target=self.target[index])

    def feature_arrays(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features of samples and of drugs, as arrays."""
        return self.sample_features.cpu().numpy(), self.drug_features.cpu().numpy()

    def block(self, rows: Tensor) -> tuple[Side, Side]:
        """Both sides of the pairs ``rows``; each distinct sample and drug stands in it once."""
        sample, drug = self.sample[rows], self.drug[rows]
        return (
            _side(self.sample_features, self.sample_identity, sample),
            _side(self.drug_features, self.drug_identity, drug),
        )


def _side(features: Tensor, identity: Tensor, rows: Tensor) -> Side:
    distinct, position = torch.unique(rows, return_inverse=True)
    return Side(features[distinct], identity[distinct], position)


class PairTask(Task):
    """Mean squared error of the standardised residual over pairs."""

    def __init__(self, network: TwoTower, train: Pairs, validation: Pairs) -> None:
        self.network: TwoTower = network
        self.train = train
        self.validation = validation

    def n_batches(self, config: TrainingConfig) -> int:
        """Steps an epoch; the last batch may be small."""
        return -(-len(self.train) // config.batch_size)

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
