"""The axes in which latents are handed out.

A VAE's latent space is defined up to any smooth map that the decoder undoes: its own axes and units mean nothing, and
distances in it can be mostly about what hardly shows in the data. Handed out are therefore principal axes of what the
decoder makes of them: to first order, distances between latents are those between the decoded (denoised) log
expressions, and axes are ordered by how much they explain, as those of PCA (the pull-back metric of Arvanitidis et al.,
ICLR 2018, averaged over the cells). A pathway's latent keeps its axis; its unit is the same and its sign is such that
the pathway's genes rise with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from cellixir.embedding.task import COUNTS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from cellixir.embedding.batches import Cells
    from cellixir.embedding.task import Objective

#: Training cells that the axes are learned from.
N_CELLS = 4096


def seen_expression(objective: Objective, out: Tensor) -> Tensor:
    """Decoded cells in the units of log expression: log1p of counts a cell of median size, values, probabilities."""
    if objective.likelihood in COUNTS:
        return torch.log1p(out.softmax(dim=1) * objective.scaling.library_size)
    return out.sigmoid() if objective.likelihood == "bernoulli" else out


@torch.no_grad()
def learn_axes(objective: Objective, cells: Cells, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Map from posterior means to the axes handed out, ``(latent, latent)``, and the loadings ``(n_genes, latent)``."""
    network = objective.network
    rng = np.random.default_rng(seed)
    latents, decoded = [], []
    left = N_CELLS
    for batch in cells.shuffled(512, rng, next(network.parameters()).device):
        mean = objective.encode(batch)[0].mean
        out, _ = network.decode(mean, objective.shares(batch))
        latents.append(mean.cpu())
        decoded.append(seen_expression(objective, out).cpu())
        left -= len(mean)
        if left <= 0:
            break
    z, x = torch.cat(latents).double(), torch.cat(decoded).double()
    z, x = z - z.mean(dim=0), x - x.mean(dim=0)
    ridge = 1e-6 * max(len(z), 1) * torch.eye(z.shape[1], dtype=z.dtype)
    effect = torch.linalg.solve(z.T @ z + ridge, z.T @ x)  # (latent, n_genes)
    if network.shape.masked:
        return _own_axes(network.loadings().cpu().double(), effect)
    # principal axes of z @ effect: those of the decoded cells, as far as they are linear in the latent
    spread = torch.linalg.svd(effect, full_matrices=False)
    scores = z @ (spread.U * spread.S)
    turn = torch.linalg.eigh(scores.T @ scores).eigenvectors.flip(1)
    loadings = (turn.T @ spread.Vh).T
    sign = torch.sign(loadings.gather(0, loadings.abs().argmax(dim=0, keepdim=True)))
    sign[sign == 0] = 1
    return _float(spread.U * spread.S @ turn * sign), _float(loadings * sign)


def _own_axes(weights: Tensor, effect: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    length = effect.norm(dim=1).clamp_min(1e-12)
    sign = torch.where(weights.sum(dim=0) < 0, -1.0, 1.0)
    scale = weights.norm(dim=0).clamp_min(1e-12)
    return _float(torch.diag(length * sign)), _float(weights / scale * sign)


def _float(x: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = x.float().numpy()
    return found
