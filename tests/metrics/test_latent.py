from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from cellixir.exceptions import InvalidValues
from cellixir.metrics.latent import finite_latent

NAMES = pd.Index([f"CELL{i}" for i in range(6)])


def test_a_latent_comes_back_in_double_precision_with_its_bits() -> None:
    latent = np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2)
    found = finite_latent(latent, NAMES)
    assert found.dtype == np.float64
    assert np.array_equal(found, latent)
    assert np.shares_memory(finite_latent(found), found)  # nothing is copied without need
    assert finite_latent([[1, 2]]).tolist() == [[1.0, 2.0]]


def test_the_first_value_that_is_not_finite_is_named_with_its_cell_and_dimension() -> None:
    latent = np.zeros((6, 3))
    latent[2, 1], latent[2, 2], latent[5, 0] = -np.inf, np.nan, np.nan
    told = (
        "the latent is not finite in 2 of 6 cells ('CELL2', 'CELL5'): dimension 2 of the first holds -inf; leave these "
        "cells out, or fit the embedding again"
    )
    with pytest.raises(InvalidValues, match=re.escape(told)):
        finite_latent(latent, NAMES)
    for cells in (None, range(6)):
        with pytest.raises(InvalidValues, match=r"the embedding 'pca' is not finite in 2 of 6 cells \(2, 5\): dim"):
            finite_latent(latent, cells, name="the embedding 'pca'")


@pytest.mark.parametrize("size", [(6,), (6, 0), (6, 2, 1), (), (5, 2)], ids=str)
def test_a_shape_that_is_not_cells_by_dimensions_is_named(size: tuple[int, ...]) -> None:
    latent, shape = np.zeros(size), re.escape(str(size))
    with pytest.raises(InvalidValues, match=f"the latent has the shape {shape} for 6 cells; give one row a cell and"):
        finite_latent(latent, NAMES)
    if size != (5, 2):
        with pytest.raises(InvalidValues, match=f"the latent has the shape {shape}; give one row a cell and one col"):
            finite_latent(latent)
