"""One generating VAE in the training loop, and the linear model that it starts at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from cellixir.nn.likelihoods import Counts, gaussian, kl_to_standard, negative_binomial
from cellixir.nn.vae import LOG_VARIANCE
from cellixir.synthesis.axes import above_noise, principal_axes
from cellixir.synthesis.representation import written_out
from cellixir.training.linear import LinearStart
from cellixir.training.loop import Task, make_optimiser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor
    from torch.optim import Optimizer

    from cellixir.nn.conditional_vae import ConditionalVAE
    from cellixir.training.config import TrainingConfig

    Floats = NDArray[np.float64]

#: Rows that are judged at once.
WIDE = 1024
#: Values of the table that the start is learned from, at most: 300 MB in double precision.
STARTING = 40_000_000


@dataclass(frozen=True, eq=False)
class Samples:
    """What a network learns from.

    Attributes
    ----------
    table
        Encoder's input, shape ``(n, width)``, standardised.
    counts
        Counts of the genes that vary, shape ``(n, n_genes)``; None where the table is what the decoder writes.
    one_hot
        Conditions, column by column, shape ``(n, n_levels)``.
    """

    table: NDArray[np.float32]
    counts: NDArray[np.float32] | sp.csr_matrix | None
    one_hot: NDArray[np.float32]

    def wide(self, rows: NDArray[np.int64], n_given: int) -> tuple[Floats, NDArray[np.float32]]:
        """Table in double precision and the first columns of the conditions."""
        return self.table[rows].astype(np.float64), self.one_hot[rows][:, :n_given]

    def given(self, rows: NDArray[np.int64], network: ConditionalVAE) -> Tensor:
        """Condition that the network is given, ``(n, n_given)``."""
        return torch.from_numpy(self.one_hot[rows][:, : network.shape.n_given])


class GeneratorTask(Task):
    """Negative evidence lower bound of a sample.

    Parameters
    ----------
    network, samples
        The model and the data.
    train, validation
        Rows to learn from, and rows that choose the epoch.
    """

    def __init__(
        self, network: ConditionalVAE, samples: Samples, train: NDArray[np.int64], validation: NDArray[np.int64]
    ) -> None:
        self.network: ConditionalVAE = network
        self.samples, self.train, self.validation = samples, train, validation

    def n_batches(self, config: TrainingConfig) -> int:
        """Steps an epoch; a last batch that is less than a quarter full is left out."""
        full, rest = divmod(len(self.train), config.batch_size)
        return full + (rest >= max(config.batch_size // 4, 2) or not full)

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> Iterator[NDArray[np.int64]]:
        """Row numbers in random order."""
        order = self.train[torch.randperm(len(self.train), generator=generator).numpy()]
        for i in range(self.n_batches(config)):
            yield order[i * config.batch_size : (i + 1) * config.batch_size]

    def optimisers(self, config: TrainingConfig) -> list[Optimizer]:
        """One optimiser, slower in the layers that read all genes.

        Adam moves every weight by the learning rate, and what a unit of these layers adds up moves by it times their
        inputs: with 10,000 genes the clusters that the start tells apart would be smeared by the first step. Rates
        fall with the inputs as in Yang and Hu's maximal update parametrisation (arXiv 2203.03466).
        """
        share = min(1.0, self.network.shape.hidden / self.network.shape.n_inputs)
        return [make_optimiser(self.network, config, slow={"encoder": share})]

    def loss(self, batch: NDArray[np.int64]) -> Tensor:
        """Mean over the rows of one batch."""
        return self._losses(batch).mean()

    def validation_loss(self) -> float:
        """Mean over the validation rows, with draws of a seed of their own."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            parts = [float(self._losses(rows).sum()) for rows in np.split(self.validation, self._cuts())]
        return sum(parts) / len(self.validation)

    def _cuts(self) -> list[int]:
        return list(range(WIDE, len(self.validation), WIDE))

    def _losses(self, rows: NDArray[np.int64]) -> Tensor:
        network, samples = self.network, self.samples
        device = network.log_scale.device
        given, x = samples.given(rows, network).to(device), torch.from_numpy(samples.table[rows]).to(device)
        posterior = network.encode(x, given)
        z = posterior.draw()
        out = network.decode(z, given)
        return kl_to_standard(*posterior).sum(dim=1) - self._likelihood(out, x, rows)

    def _likelihood(self, out: Tensor, x: Tensor, rows: NDArray[np.int64]) -> Tensor:
        scale = self.network.log_scale
        if self.samples.counts is None:
            return gaussian(out, scale, x)
        values = self.samples.counts[rows]
        seen = torch.from_numpy(written_out(values)).to(scale.device)
        row, gene = seen.nonzero(as_tuple=True)
        log_library = seen.sum(dim=1).clamp_min(1).log()
        return negative_binomial(out, log_library, scale, Counts(row, gene, seen[row, gene]))


def enough_latents(samples: Samples, rows: NDArray[np.int64], *, told: bool, most: int) -> int:
    """Twice as many latents as components stand above noise (what bends needs more than a line), 2 to ``most``.

    More would learn single samples: on 270 samples of 10,000 genes, 16 where none is above noise lose held-out
    likelihood and give members away.
    """
    n_genes = samples.table.shape[1] - (samples.counts is not None)
    rows = _some(rows, STARTING // samples.table.shape[1], 0)
    table, one_hot = samples.wide(rows, samples.one_hot.shape[1] if told else 0)
    beyond = additive_effects(table, one_hot).beyond(table, one_hot)[:, :n_genes]
    beyond = (beyond / np.maximum(beyond.std(axis=0), 1e-6)).astype(np.float32)  # noise is told by being alike
    found = above_noise(principal_axes(beyond)[0], *beyond.shape)
    return int(np.clip(2 * found, min(2, most), most))


def start_at_linear(
    network: ConditionalVAE, samples: Samples, rows: NDArray[np.int64], spread: Floats, seed: int
) -> None:
    """Let the network begin as a low-rank Gaussian around the mean of each condition.

    Parameters
    ----------
    rows
        Training rows.
    spread
        What a unit of each gene's column of the table is in the decoder's output, shape ``(n_genes,)``: the standard
        deviation of the log values for counts, else ones.
    """
    shape = network.shape
    n_genes, latent = shape.n_genes, shape.latent
    rest = np.setdiff1d(np.arange(len(samples.table)), rows)
    rows, rest = (_some(part, STARTING // samples.table.shape[1], seed) for part in (rows, rest))
    table, one_hot = samples.wide(rows, shape.n_given)
    additive = additive_effects(table, one_hot)
    mean, effect = additive
    residual = additive.beyond(table, one_hot)[:, :n_genes] * spread
    k = min(latent, min(residual.shape) - 1)
    start = LinearStart.of(residual, k, seed)
    start = with_others(start, len(rows), additive.beyond(*samples.wide(rest, shape.n_given))[:, :n_genes] * spread)
    precision = start.precision
    inwards = np.zeros((latent, table.shape[1]))
    inwards[:k, :n_genes] = (start.axes * spread[:, None] * (precision / (1 + precision) / start.sd)).T
    log_variance = np.zeros(latent)
    log_variance[:k] = np.maximum(-np.log1p(precision), LOG_VARIANCE[0] + 2)
    if samples.counts is None:
        level, shift, scale = mean[:n_genes], effect[:, :n_genes], 0.5 * np.log(start.residual)
    else:
        level, shift, scale = _of_counts(samples.counts[rows], one_hot, start.residual)
    with torch.no_grad():
        network.encoder_line.weight[:, : table.shape[1]] = _tensor(inwards)
        network.encoder_line.weight[:, table.shape[1] :] = _tensor(-(effect @ inwards.T).T)
        network.encoder_line.bias.copy_(_tensor(-inwards @ mean))
        network.posterior.weight.zero_()
        network.posterior.bias.copy_(torch.cat([torch.zeros(latent), _tensor(log_variance)]))
        network.output.weight.zero_()
        network.output.bias.copy_(_tensor(level))
        network.decoder_line.weight[:, :latent] = 0
        network.decoder_line.weight[:, :k] = _tensor(start.axes * start.sd)
        network.decoder_line.weight[:, latent:] = _tensor(shift.T)
        network.log_scale.copy_(_tensor(scale))


def with_others(start: LinearStart, n: int, others: Floats) -> LinearStart:
    """The start of ``n`` rows with the variance of each column taken over ``others`` too, shape ``(m, n_columns)``.

    A gene that hardly varies among the first rows would else be known to many digits, and the first other value of it
    be next to impossible.
    """
    left = np.square(others - (others @ start.axes) @ start.axes.T).sum(axis=0)
    return replace(start, residual=(n * start.residual + left) / (n + len(others)))


class Additive(NamedTuple):
    """Mean ``(width,)`` and what each level of the conditions adds to it ``(n_levels, width)``."""

    mean: Floats
    effect: Floats

    def beyond(self, table: Floats, one_hot: NDArray[np.float32]) -> Floats:
        """What they leave of a table."""
        found: Floats = table - self.mean - one_hot @ self.effect
        return found


def additive_effects(table: Floats, one_hot: NDArray[np.float32]) -> Additive:
    """Mean ``(width,)`` and what each level of the conditions adds to it ``(n_levels, width)`` (least squares)."""
    mean = table.mean(axis=0)
    if not one_hot.shape[1]:
        return Additive(mean, np.zeros((0, table.shape[1])))
    x = one_hot.astype(np.float64)
    effect = np.linalg.solve(x.T @ x + 1e-3 * len(x) * np.eye(x.shape[1]), x.T @ (table - mean))
    return Additive(mean, effect)


def _of_counts(
    counts: NDArray[np.float32] | sp.csr_matrix, one_hot: NDArray[np.float32], rest: Floats
) -> tuple[Floats, Floats, Floats]:
    """Log share of each gene, what conditions add to it, and the log inverse dispersion."""
    x = np.asarray(written_out(counts), dtype=np.float64)
    library = np.maximum(x.sum(axis=1, keepdims=True), 1)
    groups, of = np.unique(one_hot, axis=0, return_inverse=True)
    member = np.eye(len(groups))[of.ravel()]  # (n, n_combinations)
    share = (member.T @ (x / library) * np.median(library) + 0.5 / len(x)) / member.sum(axis=0)[:, None]
    level, shift = additive_effects(np.log(share), groups)
    mean = x.mean(axis=0)
    # variance of a log count: 1 / mean of Poisson noise and 1 / theta of the rest; where counts are low, moments serve
    within = (x / library * np.median(library) - share[of.ravel()]).var(axis=0)
    by_moments = mean**2 / np.maximum(within - mean, 1e-3 * mean + 1e-9)
    by_logs = 1 / np.maximum(rest - 1 / np.maximum(mean, 1e-9), 1e-4)
    return level, shift, np.log(np.clip(np.where(mean > 20, by_logs, by_moments), 0.05, 1e4))


def _some(rows: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    return rows if len(rows) <= most else np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _tensor(x: Floats) -> Tensor:
    return torch.from_numpy(np.asarray(x, dtype=np.float32))
