"""Network of a table: a committee of dense networks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from cellixir.estimator import Arrays
from cellixir.nn import DenseEncoder, Dropout
from cellixir.tables.folds import inner_part
from cellixir.tables.model import Stopping, TableModel
from cellixir.training import Epoch, Task, TrainingConfig, derived_seed, pick_device, threads_for, train
from cellixir.training.weights import network_of, weights_of

if TYPE_CHECKING:
    from cellixir.tables.features import Rows
    from cellixir.tables.goal import Floats, Goal

MEMBERS, HIDDEN = 3, (256, 64)
FORWARD_ROWS = 1 << 16


class TableNetwork(TableModel):
    """Committee of ``MEMBERS`` dense networks, each stopped on a tenth of the training rows of its own.

    Attributes
    ----------
    history_ : DataFrame
        ``member, epoch, train_loss, validation_loss, ...``; mean squared error of the standardised target, or cross
        entropy in nats.
    """

    def _learn(self, goal: Goal, rows: Rows, y: Floats, stopping: Stopping) -> None:
        # a target of thousands would take Adam many epochs to reach: it is learned standardised
        self.shift_, self.scale_ = (0.0, 1.0) if goal.classes else (float(y.mean()), float(y.std()) or 1.0)
        device = pick_device()
        x = torch.from_numpy(rows.x).to(device)
        target = torch.from_numpy((y - self.shift_) / self.scale_).to(device)
        target = target.long() if goal.classes else target.float()
        history = []
        self._networks: list[nn.Module] = []
        config = TrainingConfig(max_epochs=60, batch_size=min(2048, max(32, len(y) // 20)), learning_rate=2e-3,
                                patience=15, precision="full")  # fmt: skip
        for number in range(MEMBERS):
            out = inner_part(y, goal, self.seed, rows.groups, number=number)
            if stopping.validation is not None and number == 0:
                out = stopping.validation
            seed = derived_seed(self.seed, number)
            held = torch.from_numpy(out).to(device)
            task = RowTask(network(x.shape[1], goal.width, seed).to(device), (x, target), held)
            file = stopping.checkpoint / f"member-{number}.safetensors" if stopping.checkpoint else None
            digest = hashlib.sha256(rows.x.tobytes() + y.tobytes() + out.tobytes()).hexdigest()
            epochs = train(
                task,
                config,
                seed=seed,
                checkpoint=file,
                signature=f"{goal} {self.seed} {number} {digest}",
                on_epoch=_told(stopping, number, config.max_epochs),
            )
            history += [{"member": number, **asdict(epoch)} for epoch in epochs]
            self._networks.append(task.network)
        self.history_ = pd.DataFrame(history)

    def _predicted(self, rows: Rows) -> Floats:
        """Mean of the members' numbers or probabilities."""
        x = torch.from_numpy(rows.x).to(next(self._networks[0].parameters()).device)
        with torch.inference_mode(), threads_for(self._networks[0], min(len(x), FORWARD_ROWS)):
            told = torch.stack([torch.cat([m(b) for b in torch.split(x, FORWARD_ROWS)]) for m in self._networks])
            told = told.double()
            mean = (told.softmax(dim=2) if self.goal_.classes else told * self.scale_ + self.shift_).mean(dim=0)
        return np.asarray(mean.cpu().numpy(), dtype=np.float64)

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """What was learned, and the weights of each member."""
        arrays, facts = super().state()
        for i, member in enumerate(self._networks):
            arrays |= weights_of(member, f"member{i}")
        return arrays, facts

    def restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        super().restore(arrays, facts)
        assert self.features_ is not None
        n_features, width = len(self.features_.names_), self.goal_.width
        self._networks = [
            network_of(lambda: network(n_features, width, 0), arrays, f"member{i}").to(pick_device())
            for i in range(MEMBERS)
        ]


def _told(stopping: Stopping, number: int, of: int) -> Any:
    hear = stopping.on_epoch
    if hear is None:
        return None

    def tell(epoch: Epoch) -> None:
        hear(number, epoch, of)

    return tell


def network(n_features: int, width: int, seed: int) -> nn.Module:
    """Two hidden layers."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = DenseEncoder(n_features, *HIDDEN, dropout=0.1, input_dropout=0.0)
        return nn.Sequential(encoder, nn.ReLU(), Dropout(0.1), nn.Linear(HIDDEN[1], width))


class RowTask(Task):
    """Rows of a table for the training loop: squared error of one number, or cross entropy of classes."""

    def __init__(self, network: nn.Module, rows: tuple[Tensor, Tensor], held_out: Tensor) -> None:
        self.network = network
        self.train, self.validation = ((rows[0][part], rows[1][part]) for part in (~held_out, held_out))

    def n_batches(self, config: TrainingConfig) -> int:
        """Steps an epoch."""
        return -(-len(self.train[1]) // config.batch_size)

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> Iterator[Tensor]:
        """Row numbers in random order."""
        yield from torch.split(torch.randperm(len(self.train[1]), generator=generator), config.batch_size)

    def loss(self, batch: Tensor) -> Tensor:
        """Loss of one batch."""
        return self._loss(self.network(self.train[0][batch]), self.train[1][batch])

    def _loss(self, told: Tensor, target: Tensor) -> Tensor:
        if target.is_floating_point():
            return functional.mse_loss(told[:, 0], target)
        return functional.cross_entropy(told, target)

    def validation_loss(self) -> float:
        """Loss on the rows held out."""
        return float(self._loss(self.network(self.validation[0]), self.validation[1]))
