from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from scipy import sparse

from cellixir.exceptions import InvalidValues
from cellixir.figures.groups import MISSING, PALETTE, as_column, as_groups, as_numbers, is_numbers
from cellixir.figures.names import natural_key, shortened_apart

#: Linear RGB as dichromats see it: Machado, Oliveira and Fernandes 2009, severity 1.
VIEWS = {
    "normal": np.eye(3),
    "red-blind": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green-blind": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "blue-blind": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
LMS = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
       [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
LAB = [[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099],
       [0.0259040371, 0.7827717662, -0.808675766]]  # fmt: skip


def oklab(colours, view: str) -> np.ndarray:
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(VIEWS[view]).T, 0, 1)
    return np.cbrt(seen @ np.array(LMS).T) @ np.array(LAB).T


def nearest(colours, view: str) -> float:
    return min(float(np.linalg.norm(a - b)) for a, b in combinations(oklab(colours, view), 2))


@pytest.mark.parametrize("view", VIEWS)
def test_ten_groups_can_be_told_apart_by_all_readers(view):
    assert nearest(PALETTE[:10], view) >= 0.1
    assert nearest([*PALETTE[:10], MISSING, "white"], view) >= 0.05
    tab10 = [
        "#1f77b4",
        "#ff7f0e",
        "#2ca02c",
        "#d62728",
        "#9467bd",
        "#8c564b",
        "#e377c2",
        "#7f7f7f",
        "#bcbd22",
        "#17becf",
    ]
    assert nearest(tab10, "red-blind") < 0.07  # a common palette, as a check of the measure


def test_twenty_colours_differ():
    assert len(set(PALETTE)) == 20
    assert nearest(PALETTE, "normal") > 0.05


@given(st.lists(st.sampled_from(["a", "b", "c", None, "d"]), min_size=1, max_size=40), st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_every_cell_is_counted_once(values, most):
    if all(value is None for value in values):
        with pytest.raises(InvalidValues):
            as_groups(pd.Series(values, dtype=object))
        return
    groups = as_groups(pd.Series(values, dtype=object), most=most)
    assert groups.counts.sum() + groups.n_missing == len(values)
    assert groups.n_missing == values.count(None)
    assert len(groups.names) == len(groups.colours) <= most
    for code in groups.named:
        assert groups.counts[code] == values.count(groups.names[code])


def test_ties_in_size_go_by_order_and_the_merged_stand_last():
    groups = as_groups(pd.Series(list("aabbccdde")), most=3)
    assert groups.names == ["a", "b", "3 other groups"]
    assert groups.codes.tolist() == [0, 0, 1, 1, 2, 2, 2, 2, 2]
    assert groups.merged == 3


def test_what_is_an_amount():
    assert is_numbers(pd.Series([1, 2]))
    assert is_numbers(pd.Series([1, None, 2.5], dtype=object))
    assert not is_numbers(pd.Series([True, False]))
    assert not is_numbers(pd.Series([True, None], dtype=object))
    assert not is_numbers(pd.Series([1, 2], dtype="category"))
    assert not is_numbers(pd.Series(["1", "2"]))


def test_columns_come_in_many_forms():
    assert as_column(sparse.csr_matrix([[1.0], [0.0]]), 2).tolist() == [1.0, 0.0]
    assert as_column(np.array([[1.0], [2.0]]), 2).tolist() == [1.0, 2.0]
    assert as_column(("a", None), 2).tolist() == ["a", None]
    np.testing.assert_array_equal(as_numbers(pd.Series([1, None, np.inf], dtype=object)), [1, np.nan, np.nan])
    np.testing.assert_array_equal(as_numbers(pd.Series([1, None], dtype="Int64")), [1, np.nan])


@given(st.lists(st.text(alphabet="ab …[1]", min_size=0, max_size=30), max_size=12), st.integers(8, 20))
@settings(max_examples=60, deadline=None)
def test_names_stay_short_and_different(names, limit):
    short = shortened_apart(names, limit)
    assert all(len(text) <= limit for text in short)
    assert len(set(short)) == len(set(names))


def test_names_alike_at_both_ends_are_numbered():
    names = [f"{'a' * 20}{middle}{'z' * 20}" for middle in "xy"]
    assert shortened_apart(names, 12) == ["aaaaaaa… [1]", "aaaaaaa… [2]"]
    assert shortened_apart(["same", "same"], 12) == ["same", "same"]


def test_natural_order():
    names = ["T cell 10", "T cell 2", "b", "A", "3", "20"]
    assert sorted(names, key=natural_key) == ["3", "20", "A", "b", "T cell 2", "T cell 10"]
