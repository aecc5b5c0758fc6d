"""How many threads one step is worth."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Multiplications of a step's largest product below which waking a second thread costs more than it saves: with
#: 1.8e7 (128 cells x 1,000 genes x 138) one thread took .34 s an epoch and two .53 s on two cores with other work.
WORTH_IT = 1e8


@contextmanager
def threads_for(work: float) -> Iterator[None]:
    """One thread for the operators within if ``work`` is small, else as many as torch was given."""
    before = torch.get_num_threads()
    if work < WORTH_IT:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
