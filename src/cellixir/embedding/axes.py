"""The axes in which latents are handed out.

A VAE's latent space is defined up to any smooth map that the decoder undoes: its own axes and units mean nothing, and
distances in it can be mostly about what hardly shows in the data. Handed out is therefore what the decoder makes of the
posterior mean: the principal components of the decoded (denoised) log expression, as many as there are latents, so that
distances between latents are those between decoded cells and the first axis explains most, as in PCA (in the spirit of
the pull-back metric of Arvanitidis et al., ICLR 2018). With several batches a cell is decoded as of all of them in
equal shares. A pathway's latent keeps its axis; its unit is the same, and its sign is such that the pathway's genes
rise with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.utils.extmath import randomized_svd

from cellixir.embedding.task import COUNTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from cellixir.embedding.batches import Cells
    from cellixir.embedding.task import Objective

#: Training cells that the axes are learned from.
N_CELLS = 4096


@dataclass(frozen=True, eq=False)
class Axes:
    """How posterior means become the latents that are handed out.

    Attributes
    ----------
    loadings
        Gene by axis, columns of length 1, shape ``(n_genes, latent)``.
    centre
        Mean decoded cell, shape ``(n_genes,)``; empty for the pathways of a masked decoder.
    scale
        For pathways what a posterior mean is multiplied with, shape ``(latent,)``; otherwise empty.
    """

    loadings: NDArray[np.float32]
    centre: NDArray[np.float32]
    scale: NDArray[np.float32]

    def of(self, objective: Objective, mean: Tensor) -> NDArray[np.float32]:
        """Latents of cells with this posterior mean, both of shape ``(n, latent)``."""
        if len(self.scale):
            return np.asarray(mean.cpu().numpy() * self.scale, dtype=np.float32)
        return np.asarray((log_expression(objective, mean) - self.centre) @ self.loadings, dtype=np.float32)


def expected(objective: Objective, mean: Tensor) -> Tensor:
    """Expected value of each gene given the posterior mean: counts a cell of median size, values, probabilities.

    Batches are averaged over.
    """
    n_batches = objective.network.shape.n_batches
    out, _ = objective.network.decode(mean, mean.new_full((len(mean), n_batches), 1 / n_batches))
    if objective.likelihood in COUNTS:
        return out.softmax(dim=1) * objective.scaling.library_size
    return out.sigmoid() if objective.likelihood == "bernoulli" else out


def log_expression(objective: Objective, mean: Tensor) -> NDArray[np.float32]:
    """Decoded cells in the units of log expression: log1p where the model is of counts."""
    x = expected(objective, mean)
    found: NDArray[np.float32] = (torch.log1p(x) if objective.likelihood in COUNTS else x).cpu().numpy()
    return found


@torch.no_grad()
def learn_axes(objective: Objective, cells: Cells, seed: int) -> Axes:
    """Axes of up to 4,096 training cells."""
    means = list(_sample(objective, cells, seed))
    decoded = np.concatenate([log_expression(objective, mean) for mean in means])
    centre = decoded.mean(axis=0)
    decoded -= centre
    if objective.network.shape.masked:
        return _pathways(objective.network.loadings().cpu(), torch.cat(means).cpu(), decoded)
    latent = objective.network.shape.latent
    k = min(latent, *decoded.shape)
    axes = randomized_svd(decoded, k, n_iter=4, random_state=seed)[2].T
    loadings = np.zeros((len(centre), latent), dtype=np.float32)
    loadings[:, :k] = axes * _strongest_sign(axes)
    return Axes(loadings, centre, np.empty(0, dtype=np.float32))


def _sample(objective: Objective, cells: Cells, seed: int) -> Iterator[Tensor]:
    """Posterior means of a random part of the cells."""
    device = next(objective.network.parameters()).device
    left = N_CELLS
    for batch in cells.shuffled(512, np.random.default_rng(seed), device):
        mean = objective.encode(batch)[0].mean
        yield mean
        left -= len(mean)
        if left <= 0:
            return


def _strongest_sign(axes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sign of each axis that lets its strongest gene rise with it."""
    strongest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0, keepdims=True), axis=0)
    return np.where(strongest < 0, np.float32(-1), np.float32(1))


def _pathways(weights: Tensor, mean: Tensor, decoded: NDArray[np.float32]) -> Axes:
    """Own axes of a masked decoder, in units of the change of decoded cells that they make (least squares)."""
    z = (mean - mean.mean(dim=0)).double()
    ridge = 1e-6 * max(len(z), 1) * torch.eye(z.shape[1], dtype=z.dtype)
    effect = torch.linalg.solve(z.T @ z + ridge, z.T @ torch.from_numpy(decoded).double())  # (latent, n_genes)
    sign = torch.where(weights.sum(dim=0) < 0, -1.0, 1.0)
    loadings = weights / weights.norm(dim=0).clamp_min(1e-12) * sign
    scale = effect.norm(dim=1).clamp_min(1e-12) * sign
    return Axes(loadings.float().numpy(), np.empty(0, dtype=np.float32), scale.float().numpy())
