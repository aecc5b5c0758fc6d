"""Number of threads that a network runs on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

#: Multiplications of a pass below which waking a second thread costs more than it saves: with 3.6e7 (128 cells x 1,000
#: genes, hidden 128, twice) one thread took .34 s an epoch and two .53 s on two cores with other work.
WORTH_IT = 2e8


@contextmanager
def threads_for(network: nn.Module, rows: int) -> Iterator[None]:
    """One thread for the operators within if ``rows`` through the network are little work, else two.

    Never as many as torch was given: a product that is shared among threads is added up in another order, on some
    processors, so that the last bits of a result would depend on the machine and on what else it does.
    """
    before = torch.get_num_threads()
    work = rows * sum(parameter.numel() for parameter in network.parameters())
    torch.set_num_threads(1 if work < WORTH_IT else 2)
    try:
        yield
    finally:
        torch.set_num_threads(before)
