"""The sparse input layer: the same product and gradient as a dense one."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cellixir.nn.sparse import InputLayer, SparseRows


def sparse_rows(x: np.ndarray) -> SparseRows:
    rows = sp.csr_matrix(x)
    row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    order = np.lexsort((row, rows.indices))
    begins = np.concatenate([[0], np.cumsum(np.bincount(rows.indices, minlength=rows.shape[1]))])
    whole = (
        torch.from_numpy(np.asarray(part, dtype=np.int64)) for part in (rows.indptr[:-1], order, row[order], begins)
    )
    start, turned, row_of, column_start = whole
    column, value = torch.from_numpy(rows.indices).long(), torch.from_numpy(rows.data)
    return SparseRows(column, value, start, turned, row_of, column_start)


def layer(n_inputs: int, n_outputs: int) -> InputLayer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return InputLayer(n_inputs, n_outputs)


def product_and_gradients(found: InputLayer, x: torch.Tensor | SparseRows) -> list[torch.Tensor]:
    out = found(x)
    pull = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    return [out.detach(), *torch.autograd.grad((out * pull).sum(), [found.weight, found.bias])]


def check(x: np.ndarray, n_outputs: int = 3) -> None:
    found = layer(x.shape[1], n_outputs)
    dense = product_and_gradients(found, torch.from_numpy(x))
    for ours, theirs in zip(product_and_gradients(found, sparse_rows(x)), dense, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("at", [[], [(2, 1)], [(0, 0), (1, 3)], [(4, 5)], [(1, c) for c in range(6)]])
def test_empty_rows_and_columns_and_single_values(at):
    x = np.zeros((5, 6), dtype=np.float32)
    for place in at:
        x[place] = 2.5
    check(x)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 4), st.floats(0, 1), st.integers(0, 99))
def test_product_and_gradients_equal_those_of_a_dense_layer(n, n_inputs, n_outputs, density, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, n_inputs)) * (rng.random((n, n_inputs)) < density)
    check(x.astype(np.float32), n_outputs)


def test_the_start_is_that_of_a_linear_layer():
    found = layer(400, 50)
    assert float(found.weight.detach().abs().max()) <= 1 / 20
    assert float(found.weight.detach().std()) == pytest.approx(1 / 20 / 3**0.5, rel=0.02)
