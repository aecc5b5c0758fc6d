"""The committee: what a member says, and how far it is trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.nn import TwoTower
    from cellixir.response.network.pair_task import Pairs

PREDICT_ROWS = 1 << 16


def confirmed(
    left: NDArray[np.float64], linear: NDArray[np.float64], deep: NDArray[np.float64], units: NDArray[np.int64]
) -> float:
    """Share of the deep part, in [0, 1], against the linear one, that rows which neither has seen confirm.

    The share of least squared error, less one standard error over the units that were held out (cluster-robust):
    a few new drugs confirm little.

    Parameters
    ----------
    left
        What is to be said, shape ``(n,)``.
    linear, deep
        What each part says.
    units
        Unit of each row that the split leaves out.
    """
    code, differs = np.unique(units, return_inverse=True)[1], deep - linear
    cross, power = np.bincount(code, (left - linear) * differs), np.bincount(code, differs * differs)
    if not power.sum() > 0:
        return 0.0
    share = cross.sum() / power.sum()
    error = np.sqrt(np.square(cross - share * power).sum()) / power.sum()
    return float(np.clip(share - error, 0.0, 1.0))


def forward(network: TwoTower, pairs: Pairs) -> NDArray[np.float64]:
    """Output for all pairs, in blocks."""
    network.eval()
    with torch.inference_mode():
        rows = torch.arange(len(pairs), device=pairs.target.device)
        blocks = [network(*pairs.block(part)) for part in torch.split(rows, PREDICT_ROWS)]
        return torch.cat(blocks).cpu().numpy().astype(np.float64)
