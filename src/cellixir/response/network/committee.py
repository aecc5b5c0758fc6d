"""The committee: what a member says, and how far it is trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from cellixir.nn import TargetGraphEncoder
from cellixir.training import threads_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.nn import TwoTower
    from cellixir.response.network.pair_task import Pairs

PREDICT_ROWS = 1 << 16
MIN_HELD_OUT = 20


def connect(network: TwoTower, rows: Pairs, stop: Pairs) -> None:
    """Show an encoder of targets the drugs of the pairs that were measured: its graph is theirs."""
    for encoder, block in zip(network.drug.encoders, rows.drugs.blocks, strict=True):
        if isinstance(encoder, TargetGraphEncoder) and isinstance(block, torch.Tensor):
            encoder.connect(block[torch.unique(torch.cat([rows.drug, stop.drug]))])


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
    with torch.inference_mode(), threads_for(network, min(len(pairs), PREDICT_ROWS)):
        rows = torch.arange(len(pairs), device=pairs.target.device)
        blocks = [network(*pairs.block(part)) for part in torch.split(rows, PREDICT_ROWS)]
        return torch.cat(blocks).cpu().numpy().astype(np.float64)


def typical_errors(ids: pd.Series, errors: NDArray[np.float64]) -> dict[str, float]:
    """Root mean square by id, for ids with ``MIN_HELD_OUT`` errors, and under ``''`` over all."""
    squares = pd.Series(np.square(errors)).groupby(ids.to_numpy()).agg(["mean", "size"])
    enough = squares.loc[squares["size"] >= MIN_HELD_OUT, "mean"]
    return {"": float(np.sqrt(np.mean(np.square(errors))))} | {str(i): float(v) ** 0.5 for i, v in enough.items()}
