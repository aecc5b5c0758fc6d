"""The head's last word: its weights fitted to the latents that training ended with.

Training keeps the epoch with the best validation loss. With few cells that is an early one, at which latents are as
good as they get and the head has hardly moved; so it is fitted to the end on the same labelled training cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from cellixir.training import softmax_regression

if TYPE_CHECKING:
    from cellixir.embedding.batches import Cells
    from cellixir.embedding.task import Objective


@torch.no_grad()
def refit_head(objective: Objective, train: Cells, size: int) -> None:
    """Replace the head by the multinomial logistic regression of the training cells' labels on their latent means."""
    head = objective.network.head
    device = head.weight.device
    means, labels = [], []
    for batch in train.in_order(size, device):
        means.append(objective.encode(batch)[0].mean.cpu().numpy())
        labels.append(objective.labels(batch).cpu().numpy())
    z, y = np.concatenate(means).astype(np.float64), np.concatenate(labels)
    z, y = z[y >= 0], y[y >= 0]
    there = np.unique(y)
    if len(there) < 2:
        return
    weight, bias = softmax_regression(z, np.searchsorted(there, y))
    full = np.zeros(tuple(head.weight.shape))
    offset = np.full(len(full), -30.0)  # a class that no training cell has is never called
    full[there], offset[there] = weight.T, bias
    head.weight.copy_(torch.from_numpy(full))
    head.bias.copy_(torch.from_numpy(offset))
