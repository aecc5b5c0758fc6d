"""Where a network starts: at the linear model of the same data, so that training adds to it instead of looking for it.

The best linear VAE with Gaussian noise is probabilistic PCA (Tipping and Bishop 1999; Lucas et al., NeurIPS 2019). Its
axes come from up to ``MOST`` values of training cells; encoder and decoder get them as a linear path beside their
hidden layers, whose outputs start at zero. With few cells this is most of what can be learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cellixir.data.expression.alignment import dense
from cellixir.embedding.task import COUNTS
from cellixir.nn.vae import VAENetwork
from cellixir.training import LinearStart, derived_seed

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from cellixir.data.expression.alignment import Aligned
    from cellixir.data.expression.matrix import Profile
    from cellixir.embedding.preparation import Prepared
    from cellixir.embedding.task import Scaling
    from cellixir.nn.vae import VAEShape

#: Logit of the share of counts that a zero-inflated model starts with as lost: 5 %.
LOST = -3.0
#: Values (cells x genes) that the axes are learned from: 80 MB.
MOST = 20_000_000


def started_network(shape: VAEShape, mask: Tensor | None, data: Prepared, seed: int) -> VAENetwork:
    """Network at its start, with draws of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(seed, 0))
        network = VAENetwork(shape, mask)
        if shape.masked:
            start_at_pathways(network, data.scaling)
    residual = None
    if not shape.masked:
        batch = data.annotation.batch if shape.n_batches > 1 else None
        start = linear_start(
            data.matrix, data.train, data.scaling, data.likelihood, shape.latent, derived_seed(seed, 3), batch
        )
        start_linear(network, start, data.scaling)
        residual = start.residual
    start_at_data(network, data.likelihood, data.seen, residual)
    if shape.learned_library:
        start_library(network, data.annotation.library_prior)
    return network


def linear_start(
    matrix: Aligned,
    rows: NDArray[np.int64],
    scaling: Scaling,
    likelihood: str,
    latent: int,
    seed: int,
    batch: NDArray[np.int64] | None = None,
) -> LinearStart:
    """Principal axes of a sample of training cells (randomised SVD; Halko et al. 2011).

    With ``batch``, the number of each cell's batch, axes are free of what sets the means of batches apart: it would
    take training long to unlearn that.
    """
    rng = np.random.default_rng(seed)
    n = min(len(rows), max(MOST // matrix.shape[1], 100))
    chosen = np.sort(rng.permutation(rows)[:n])
    part = matrix.take(chosen)
    x = dense(part).copy()
    if likelihood in COUNTS:
        np.log1p(x * (scaling.library_size / x.sum(axis=1, keepdims=True)), out=x)
    x -= x.mean(axis=0)
    if batch is not None:
        x = _without_batches(x, batch[chosen])
    return LinearStart.of(x, latent, seed)


def _without_batches(x: NDArray[np.float32], batch: NDArray[np.int64]) -> NDArray[np.float32]:
    """Centred cells less what lies in the space of the means of batches."""
    means = np.stack([x[batch == code].mean(axis=0) for code in np.unique(batch)])
    _, size, space = np.linalg.svd(means, full_matrices=False)
    space = space[size > 1e-4 * max(size[0], 1e-12)]
    found: NDArray[np.float32] = x - (x @ space.T) @ space
    return found


def start_linear(network: VAENetwork, start: LinearStart, scaling: Scaling) -> None:
    """Give encoder and decoder the linear path, and their hidden layers nothing to say yet."""
    latent = network.shape.latent
    precision = start.precision
    shrink = precision / (1 + precision)  # mean of the posterior of probabilistic PCA
    inwards = start.axes * (shrink / start.sd) * scaling.sd.cpu().numpy()[:, None]
    hidden = network.shape.hidden
    with torch.no_grad():
        network.input.weight[:, hidden:] = torch.from_numpy(inwards.astype(np.float32))
        network.input.bias[hidden:] = -(scaling.mean / scaling.sd) @ network.input.weight[:, hidden:]
        network.output.weight[:, :hidden] = 0
        network.output.weight[:, hidden:] = torch.from_numpy(start.axes * start.sd)
        network.posterior.weight.zero_()
        network.posterior.bias[:latent] = 0
        network.posterior.bias[latent:] = torch.from_numpy(-np.log1p(precision).astype(np.float32)).clamp_min(-4)


def start_at_pathways(network: VAENetwork, scaling: Scaling) -> None:
    """Let each latent of a masked decoder start as the mean of its genes, and its genes rise with it."""
    hidden, latent = network.shape.hidden, network.shape.latent
    with torch.no_grad():
        size = network.mask.sum(dim=0).clamp_min(1)
        network.input.weight[:, hidden:] = network.mask / size.sqrt()
        network.weight.copy_(0.1 * network.mask)
        free = network.mask.all(dim=0)
        noise = torch.randn(len(network.mask), int(free.sum())) / np.sqrt(len(network.mask))
        network.input.weight[:, hidden:][:, free] = noise
        network.weight[:, free] = 0.1 * noise
        network.input.bias[hidden:] = -(scaling.mean / scaling.sd) @ network.input.weight[:, hidden:]
        network.posterior.weight.zero_()
        network.posterior.bias.zero_()
        network.posterior.bias[latent:] = -1.0


def start_library(network: VAENetwork, prior: NDArray[np.float32]) -> None:
    """Let a learned library start at its prior, mean and variance of the log by batch, shape ``(n_batches, 2)``."""
    last: Any = network.library[-1]
    mean, variance = prior.mean(axis=0)
    with torch.no_grad():
        last.weight.mul_(0.1)
        last.bias.copy_(torch.tensor([mean, np.log(variance)]))


def start_at_data(network: VAENetwork, likelihood: str, seen: Profile, residual: NDArray[np.float32] | None) -> None:
    """Let the output start at the mean of the data, so that training begins with what makes cells differ."""
    mean = seen.mean
    if likelihood in COUNTS:
        mean = np.maximum(mean, 1e-4 * max(mean.mean(), 1e-12))
        begin = np.log(mean / mean.sum())
        excess = np.maximum(seen.variance - mean, 1e-3 * mean)
        scale = np.log(np.clip(mean**2 / excess, 0.05, 50))
    elif likelihood == "gaussian":
        begin, scale = mean, 0.5 * np.log(np.maximum(seen.variance if residual is None else residual, 1e-4))
    else:
        share = np.clip(mean, 1e-4, 1 - 1e-4)
        begin, scale = np.log(share / (1 - share)), np.zeros_like(mean)
    bias = network.bias if network.shape.masked else network.output.bias
    with torch.no_grad():
        bias.copy_(torch.from_numpy(begin))
        if network.shape.zero_inflated:
            network.lost.bias.fill_(LOST)
        network.log_scale.copy_(torch.from_numpy(scale))
