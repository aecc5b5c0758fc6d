"""Whether held-out samples were held out: without that nothing is known about privacy, and ceilings mean nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellixir.exceptions import Leakage
from cellixir.synthesis.scores import copies

if TYPE_CHECKING:
    from cellixir.synthesis.yardstick import Side

#: Share of samples that may be equal by chance, beyond what is so among the training samples: nearly empty cells are.
CHANCE = 0.01


def require_unseen(train: Side, holdout: Side, made: Side) -> None:
    """Refuse held-out samples that stand, value for value, in the training or in the synthetic data.

    Raises
    ------
    Leakage
        If there are more than equal values among the training samples explain.
    """
    usual = CHANCE + 2 * float(np.isin(train.digests[1::2], train.digests[::2]).mean())
    _refuse(
        holdout, train, usual, "held-out samples are training samples",
        "a generator knows these, and privacy cannot be judged; hold out samples that it was not fitted on",
    )  # fmt: skip
    _refuse(
        made, holdout, usual, "synthetic samples are held-out samples",
        "they are real, or the generator was fitted on them; hold out samples that it never saw",
    )  # fmt: skip


def _refuse(some: Side, others: Side, usual: float, what: str, way_out: str) -> None:
    share = copies(others, some)
    if share > usual:
        message = f"{round(share * len(some)):,} of {len(some):,} {what}, value for value: {way_out}"
        raise Leakage(message)
