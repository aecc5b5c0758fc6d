"""One VAE in the training loop: what a step is, and how it is judged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from cellixir.nn.likelihoods import (
    bernoulli,
    gaussian,
    kl_of_gaussians,
    kl_to_standard,
    negative_binomial,
    zero_inflated,
)
from cellixir.nn.sparse import SparseRows
from cellixir.training.loop import Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from cellixir.embedding.batches import Batch, Cells
    from cellixir.nn.vae import Posterior, VAENetwork
    from cellixir.training.config import TrainingConfig

COUNTS = ("nb", "zinb")
#: Cells that are encoded at once where nothing is learned.
WIDE = 1024


@dataclass(frozen=True, eq=False)
class Scaling:
    """How values come to the encoder, learned from training cells.

    Attributes
    ----------
    library_size
        Median of the cells; counts are scaled to it before their logarithm is taken.
    mean, sd
        Of each gene before it is divided by ``sd``, shape ``(n_genes,)``. The mean is left to the network's biases, so
        that a zero stays a zero.
    """

    library_size: float
    mean: Tensor
    sd: Tensor

    def of(self, batch: Batch, likelihood: str) -> Tensor | SparseRows:
        """Input of the encoder: log counts a cell of median size, or values, in standard deviations of the gene."""
        if likelihood not in COUNTS:
            return batch.x / self.sd
        factor = self.library_size / batch.library
        if batch.by_gene is None:
            return torch.log1p(batch.x * factor[:, None]) / self.sd
        row, gene, value = batch.counts
        scaled = torch.log1p(value * factor.index_select(0, row)) / self.sd.index_select(0, gene)
        return SparseRows(gene, scaled, *batch.by_gene)

    def to(self, device: torch.device) -> Scaling:
        """The same on this device."""
        return Scaling(self.library_size, self.mean.to(device), self.sd.to(device))


@dataclass(frozen=True, eq=False)
class Annotation:
    """What else is known of each cell of the data.

    Attributes
    ----------
    batch
        Number of the batch, shape ``(n_cells,)``.
    label
        Number of the class, -1 where unknown.
    library_prior
        Mean and variance of the log library size by batch, shape ``(n_batches, 2)``.
    """

    batch: NDArray[np.int64]
    label: NDArray[np.int64]
    library_prior: NDArray[np.float32]


class Objective:
    """The evidence lower bound of a cell (Kingma and Welling 2014, eq. 3), term by term.

    Parameters
    ----------
    network, scaling, likelihood
        The model.
    annotation
        Batches and labels of the cells that batches point to.
    """

    def __init__(self, network: VAENetwork, scaling: Scaling, likelihood: str, annotation: Annotation) -> None:
        self.network, self.scaling, self.likelihood, self.annotation = network, scaling, likelihood, annotation

    def encode(self, batch: Batch) -> tuple[Posterior, Tensor | SparseRows]:
        """Posterior, and the encoder's input."""
        x = self.scaling.of(batch, self.likelihood)
        return self.network.encode(x), x

    def terms(self, batch: Batch, *, draw: bool = True) -> tuple[Tensor, Tensor, Posterior]:
        """Log likelihood ``(n,)``, KL divergence ``(n,)`` and posterior of each cell."""
        posterior, x = self.encode(batch)
        z = posterior.draw() if draw else posterior.mean
        log_library, library_kl = self._library(batch, x)
        out, lost = self.network.decode(z, self.shares(batch))
        found = self._log_likelihood(out, lost, log_library, batch)
        return found, kl_to_standard(*posterior).sum(dim=1) + library_kl, posterior

    def shares(self, batch: Batch) -> Tensor:
        """One-hot batches, shape ``(n, n_batches)``; equal shares for a batch that training did not have."""
        n_batches = self.network.shape.n_batches
        code = torch.from_numpy(self.annotation.batch[batch.cells]).to(batch.library.device)
        known = functional.one_hot(code.clamp_min(0), n_batches).to(batch.library.dtype)
        return torch.where(code[:, None] >= 0, known, torch.full_like(known, 1 / n_batches))

    def labels(self, batch: Batch) -> Tensor:
        """Classes of the cells, -1 where unknown."""
        return torch.from_numpy(self.annotation.label[batch.cells]).to(batch.library.device)

    def _library(self, batch: Batch, x: Tensor | SparseRows) -> tuple[Tensor, Tensor | float]:
        if not self.network.shape.learned_library:
            return batch.library.log(), 0.0
        posterior = self.network.encode_library(x)
        code = np.maximum(self.annotation.batch[batch.cells], 0)
        prior = torch.from_numpy(self.annotation.library_prior[code]).to(batch.library.device)
        kl = kl_of_gaussians(*posterior, prior[:, :1], prior[:, 1:].log()).sum(dim=1)
        return posterior.draw()[:, 0], kl  # also where it is judged: at the mean there would be no bound

    def _log_likelihood(self, out: Tensor, lost: Tensor | None, log_library: Tensor, batch: Batch) -> Tensor:
        scale = self.network.log_scale
        if lost is not None:
            return zero_inflated(out, log_library, scale, lost, batch.counts)
        if self.likelihood == "nb":
            return negative_binomial(out, log_library, scale, batch.counts)
        if self.likelihood == "bernoulli":
            return bernoulli(out, batch.x)
        # a gene that hardly varies in training would make one odd cell of a query impossible
        return gaussian(out, scale.clamp_min(math.log(float(self.scaling.sd.min()))), batch.x)


class VAETask(Task):
    """Training of one VAE.

    Parameters
    ----------
    train, validation
        Cells to learn from, and cells that say when to stop.
    beta, warmup
        Weight of the KL divergence, reached in a straight line over this share of all steps.
    head_weight
        Weight of the cross-entropy of the head beside the evidence lower bound of a cell.
    """

    def __init__(
        self,
        objective: Objective,
        train: Cells,
        validation: Cells,
        *,
        beta: float = 1.0,
        warmup: float = 0.25,
        head_weight: float = 0.0,
    ) -> None:
        self.network = objective.network
        self.objective = objective
        self.train, self.validation = train, validation
        self.beta, self.warmup, self.head_weight = beta, warmup, head_weight
        self._done = 0.0
        self._device = next(objective.network.parameters()).device

    def n_batches(self, config: TrainingConfig) -> int:
        """Steps an epoch."""
        return self.train.n_batches(config.batch_size)

    def begins(self, epoch: int, config: TrainingConfig) -> None:
        """Take the weight of the KL divergence from the epoch's number, so that a resumed run agrees."""
        self._done = epoch / config.max_epochs

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> Iterator[Any]:
        """Batches of one epoch with the share of all training that is done."""
        rng = np.random.default_rng(generator.initial_seed())
        n = self.n_batches(config)
        start = self._done
        for i, batch in enumerate(self.train.shuffled(config.batch_size, rng, self._device)):
            self._done = start + i / n / config.max_epochs
            yield batch

    def loss(self, batch: Batch) -> Tensor:
        """Negative evidence lower bound of a cell, and the head's cross-entropy."""
        likelihood, kl, posterior = self.objective.terms(batch)
        weight = self.beta * min(1.0, self._done / self.warmup) if self.warmup else self.beta
        loss = (weight * kl - likelihood).mean()
        return loss + self.head_weight * self._cross_entropy(posterior, batch) if self.head_weight else loss

    def validation_loss(self) -> float:
        """Loss of the validation cells with the whole weight of the KL divergence; draws by a seed of its own."""
        total, n = 0.0, 0
        with torch.random.fork_rng():
            torch.manual_seed(0)
            for batch in self.validation.in_order(WIDE, self._device):
                likelihood, kl, posterior = self.objective.terms(batch)
                loss = float((self.beta * kl - likelihood).sum())
                if self.head_weight:
                    loss += self.head_weight * len(batch.cells) * float(self._cross_entropy(posterior, batch))
                total, n = total + loss, n + len(batch.cells)
        return total / n if n else math.nan

    def _cross_entropy(self, posterior: Posterior, batch: Batch) -> Tensor:
        labels = self.objective.labels(batch)
        known = labels >= 0
        if not bool(known.any()):
            return posterior.mean.sum() * 0
        z = posterior.draw() if self.network.training else posterior.mean
        return functional.cross_entropy(self.objective.network.head(z[known]), labels[known])
