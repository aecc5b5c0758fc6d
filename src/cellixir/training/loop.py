"""Training loop of every network.

A model says what a step is (``Task``); the loop owns everything else: seeds, schedule, early stopping, history,
checkpoints. An epoch depends on the seed and its own number only, so a run that was killed and resumed goes
through the same numbers as one that was not.
"""

from __future__ import annotations

import math
import re
import time
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from cellixir.exceptions import ConfigurationError
from cellixir.training.checkpoint import (
    load_optimiser,
    nested,
    optimiser_tensors,
    read_checkpoint,
    unnested,
    write_checkpoint,
)
from cellixir.training.threads import threads_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor
    from torch.optim import Optimizer

    from cellixir.training.config import TrainingConfig


#: Bytes above which a checkpoint is not written after each epoch, but as often as costs a tenth of the time.
LARGE = 4 << 20
#: A validation loss by so many times beyond the first one does not come back.
DIVERGED = 1e3


@dataclass(frozen=True)
class Epoch:
    """What is known after one epoch."""

    epoch: int
    train_loss: float
    validation_loss: float
    learning_rate: float
    seconds: float


class Task(ABC):
    """What one model brings to the loop: its network, its batches, its step and its judge."""

    network: nn.Module

    @abstractmethod
    def n_batches(self, config: TrainingConfig) -> int:
        """Steps an epoch."""

    @abstractmethod
    def batches(self, config: TrainingConfig, generator: torch.Generator) -> Iterator[Any]:
        """Batches of one epoch, in an order drawn from ``generator``."""

    @abstractmethod
    def loss(self, batch: Any) -> Tensor:
        """Loss of one batch."""

    @abstractmethod
    def validation_loss(self) -> float:
        """Loss on the inner validation rows; the network is in evaluation mode."""

    def step_rows(self, config: TrainingConfig) -> int:
        """Rows of a step, at most: with the network's size they say how many threads it is worth."""
        return config.batch_size

    def begins(self, epoch: int, config: TrainingConfig) -> None:  # noqa: B027
        """Take what depends on the epoch's number, such as the weight of a term; nothing for most models."""

    def optimisers(self, config: TrainingConfig) -> list[Optimizer]:
        """One optimiser over the whole network."""
        return [make_optimiser(self.network, config)]

    def step(self, batch: Any, optimisers: list[Optimizer], config: TrainingConfig) -> Tensor:
        """One update; a model with two players overrides this."""
        (optimiser,) = optimisers
        device = next(self.network.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=_mixed(config, device)):
            loss = self.loss(batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if config.clip_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        optimiser.step()
        return loss.detach()


def make_optimiser(network: nn.Module, config: TrainingConfig, *, slow: Mapping[str, float] | None = None) -> Optimizer:
    """Adam or AdamW, fused: one kernel for all parameters.

    Parameters
    ----------
    slow
        Share of the learning rate that parameters are given whose names start like this.
    """
    kind = torch.optim.AdamW if config.optimiser == "adamw" else torch.optim.Adam
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        share = next((s for start, s in (slow or {}).items() if name.startswith(start)), 1.0)
        groups.setdefault(share, []).append(parameter)
    shares = [{"params": parameters, "share": share} for share, parameters in groups.items()]
    return kind(shares, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)


def _mixed(config: TrainingConfig, device: torch.device) -> bool:
    return config.precision == "bfloat16" or (config.precision == "auto" and device.type == "cuda")


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` is the GPU when there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        message = f"device '{name}' is unknown; use auto, cpu, cuda or cuda:<number>"
        raise ConfigurationError(message)
    if name.startswith("cuda") and not torch.cuda.is_available():
        message = f"device '{name}' was asked for, but torch sees no GPU; use device 'cpu' or 'auto'"
        raise ConfigurationError(message)
    return torch.device(name)


def derived_seed(seed: int, *path: int) -> int:
    """Seed of one part of a run (a member, an epoch), independent of the others."""
    return int(np.random.SeedSequence([seed, *path]).generate_state(1)[0])


@dataclass
class _Run:
    """Everything that changes while the loop goes on, and that a checkpoint holds."""

    task: Task
    optimisers: list[Optimizer]
    history: list[Epoch]
    best: dict[str, Tensor]
    signature: str
    large: bool = False
    saved_at: float = 0.0
    saving_takes: float = 0.0

    @property
    def stale(self) -> int:
        """Epochs since the best one."""
        losses = [e.validation_loss for e in self.history]
        return len(losses) - 1 - int(np.argmin(losses)) if losses else 0

    def save(self, path: Path, *, last: bool) -> None:
        """Write the checkpoint; a large one is passed over as long as writing it would cost more than a tenth."""
        start = time.monotonic()
        if self.large and not last and start - self.saved_at < 10 * self.saving_takes:
            return
        tensors = nested("network", dict(self.task.network.state_dict())) | nested("best", self.best)
        for i, optimiser in enumerate(self.optimisers):
            tensors |= nested(f"optimiser{i}", optimiser_tensors(optimiser))
        facts = {"signature": self.signature, "history": [asdict(e) for e in self.history]}
        write_checkpoint(path, tensors, facts)
        self.large = sum(t.numel() * t.element_size() for t in tensors.values()) > LARGE
        self.saved_at = time.monotonic()
        self.saving_takes = self.saved_at - start

    def restore(self, path: Path) -> None:
        stored = read_checkpoint(path)
        if stored is None:
            return
        tensors, facts = stored
        if facts["signature"] != self.signature:
            message = f"{path} belongs to a run with other settings or data; delete it or choose another folder"
            raise ConfigurationError(message)
        try:
            self.task.network.load_state_dict(unnested("network", tensors))
            for i, optimiser in enumerate(self.optimisers):
                load_optimiser(optimiser, unnested(f"optimiser{i}", tensors))
        except (RuntimeError, ValueError) as error:
            message = f"{path} was written by another version of cellixir; delete it to start anew"
            raise ConfigurationError(message) from error
        self.best = unnested("best", tensors)
        self.history = [Epoch(**e) for e in facts["history"]]


def train(
    task: Task,
    config: TrainingConfig,
    *,
    seed: int,
    checkpoint: Path | None = None,
    signature: str = "",
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train ``task.network`` to its best validation loss and return the history.

    Parameters
    ----------
    checkpoint
        File to write after each epoch (a large one less often) and to go on from if it is there.
    signature
        Says what the run is; a checkpoint with another signature is refused.

    Raises
    ------
    ConfigurationError
        If the checkpoint belongs to another run, or the loss stops being a number or grows without end.
    """
    run = _Run(task, task.optimisers(config), [], {}, signature)
    if checkpoint is not None:
        run.restore(checkpoint)
    # dropout draws from torch's global generator: what it was is put back at the end
    with torch.random.fork_rng(), threads_for(task.network, task.step_rows(config)):
        for number in range(len(run.history), config.max_epochs):
            if run.stale >= config.patience:
                break
            epoch = _one_epoch(run, config, number, seed)
            run.history.append(epoch)
            if run.stale == 0:
                run.best = {n: t.detach().clone() for n, t in task.network.state_dict().items()}
            if checkpoint is not None:
                run.save(checkpoint, last=number + 1 == config.max_epochs)
            if on_epoch is not None:
                on_epoch(epoch)
    task.network.load_state_dict(run.best)
    task.network.eval()
    return run.history


def _one_epoch(run: _Run, config: TrainingConfig, number: int, seed: int) -> Epoch:
    start = time.perf_counter()
    epoch_seed = derived_seed(seed, number)
    torch.manual_seed(epoch_seed)
    order = torch.Generator().manual_seed(epoch_seed)
    n = run.task.n_batches(config)
    run.task.network.train()
    run.task.begins(number, config)
    total: Tensor | float = 0.0
    rate = config.learning_rate
    for i, batch in enumerate(run.task.batches(config, order)):
        rate = config.rate(number * n + i, config.max_epochs * n)
        for group in (g for o in run.optimisers for g in o.param_groups):
            group["lr"] = rate * group.get("share", 1.0)  # a share of its own: see make_optimiser
        total = total + run.task.step(batch, run.optimisers, config)
    run.task.network.eval()
    with torch.no_grad():
        validation = run.task.validation_loss()
    first = run.history[0].validation_loss if run.history else validation
    if validation > first + DIVERGED * max(abs(first), 1.0):
        message = (
            f"the loss has grown from {first:.3g} to {validation:.3g} by epoch {number + 1}; lower the learning rate "
            f"({config.learning_rate}), or look for values far beyond the others"
        )
        raise ConfigurationError(message)
    if not math.isfinite(validation):
        message = f"the loss is {validation} after epoch {number + 1}; lower the learning rate ({config.learning_rate})"
        raise ConfigurationError(message)
    return Epoch(number, float(total) / n, validation, rate, time.perf_counter() - start)
