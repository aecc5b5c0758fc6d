"""A linear layer over rows that are mostly zeros: it costs what the values cost that are there.

With 7 % of 1,000 genes seen a cell, a batch of 128 cells and 138 outputs, two cores took .08 ms for the product and
.18 ms for its gradient, .45 and .40 ms as a dense one.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def _spend_the_warning() -> None:
    """Have torch say once, unheard, that its sparse matrices are in beta: a user can do nothing about it."""
    nothing = torch.zeros(2, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        torch.sparse_csr_tensor(*nothing, (1, 1), check_invariants=False)


_spend_the_warning()


class SparseRows(NamedTuple):
    """Rows by value, and the same values by column.

    Attributes
    ----------
    column, value
        Of each value, row after row, shape ``(n_values,)``.
    start
        Number of the first value of each row, shape ``(n_rows,)``.
    order, row, column_start
        Numbers of the values column after column, the row of each, and where each column begins, ``(n_columns + 1,)``.
    """

    column: Tensor
    value: Tensor
    start: Tensor
    order: Tensor
    row: Tensor
    column_start: Tensor


class InputLayer(nn.Module):
    """Linear layer whose input may be sparse; started as ``torch.nn.Linear`` is.

    Parameters
    ----------
    n_inputs, n_outputs
        Widths.
    """

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(n_inputs)
        self.weight = nn.Parameter(torch.empty(n_inputs, n_outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor | SparseRows) -> Tensor:
        """Map ``(n, n_inputs)`` to ``(n, n_outputs)``."""
        if isinstance(x, SparseRows):
            found: Tensor = _SparseProduct.apply(self.weight, *x)  # type: ignore[no-untyped-call]
            return found + self.bias
        return torch.addmm(self.bias, x, self.weight)


class _SparseProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, *rows: Tensor) -> Tensor:
        sparse = SparseRows(*rows)
        ctx.save_for_backward(*rows)
        ctx.n_inputs = len(weight)
        return functional.embedding_bag(
            sparse.column, weight, sparse.start, mode="sum", per_sample_weights=sparse.value
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        sparse = SparseRows(*ctx.saved_tensors)
        by_column = sparse.value.index_select(0, sparse.order)
        found = functional.embedding_bag(
            sparse.row, grad.contiguous(), sparse.column_start, mode="sum", per_sample_weights=by_column,
            include_last_offset=True,
        )  # fmt: skip
        return found, *(None for _ in sparse)
