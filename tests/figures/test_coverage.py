from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes

from cellixir.exceptions import DataError
from cellixir.figures.coverage import by_chance, coverage_by_group
from cellixir.figures.style import ACCENT, WARM, new_axes


def drawn(ax: Axes, gid: str):
    found = [artist for artist in ax.get_children() if artist.get_gid() == gid]
    assert len(found) == 1, f"{len(found)} artists with gid {gid!r}"
    return found[0]


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "n": [100, 50, 20, 80],
            "covered": [0.92, 0.6, 0.9, np.nan],
            "covered_low": [0.85, 0.46, 0.7, np.nan],
            "covered_high": [0.96, 0.73, 0.97, np.nan],
        },
        index=["a", "b", "c", "never predicted"],
    )


def test_groups_are_sorted_and_those_that_differ_are_warm(table):
    ax = coverage_by_group(table)
    dots = drawn(ax, "groups")
    np.testing.assert_allclose(dots.get_offsets(), [[1, 0.6], [2, 0.9], [3, 0.92]])
    from_hex = [tuple(int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)) for c in (WARM, ACCENT, ACCENT)]
    np.testing.assert_allclose(dots.get_facecolor()[:, :3], from_hex)
    assert ax.get_title(loc="left") == "1 of 3 drugs differ from 90 %"
    assert drawn(ax, "level").get_ydata()[0] == 0.9
    assert ax.get_ylim()[0] < 0.6 < 0.92 < ax.get_ylim()[1]


def test_another_level_and_other_groups(table):
    ax = coverage_by_group(table, level=0.6, label="Samples")
    assert ax.get_title(loc="left") == "2 of 3 samples differ from 60 %"
    assert ax.get_xlabel() == "Samples, least covered first"


def test_ranks_of_three_groups_are_whole_numbers(table):
    ax = coverage_by_group(table)
    ax.figure.draw_without_rendering()
    assert all(tick == int(tick) for tick in ax.get_xticks())


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60), st.sampled_from([0.5, 0.9, 0.99]))
def test_chance_alone_is_sorted_and_a_share(n, level):
    expected = by_chance(np.array(n), level)
    assert len(expected) == len(n)
    assert (np.diff(expected) >= 0).all()
    assert ((expected >= 0) & (expected <= 1)).all()


def test_chance_alone_is_what_simulations_give():
    rng = np.random.default_rng(0)
    n = rng.integers(20, 200, 150)
    simulated = np.mean([np.sort(rng.binomial(n, 0.9) / n) for _ in range(300)], axis=0)
    np.testing.assert_allclose(by_chance(n, 0.9), simulated, atol=0.02)
    np.testing.assert_allclose(by_chance(n, 0.9)[10:-10], simulated[10:-10], atol=0.006)


def test_table_without_coverage_is_refused(table):
    with pytest.raises(DataError, match="'covered_low'"):
        coverage_by_group(table.drop(columns="covered_low"))
    with pytest.raises(DataError, match="no group"):
        coverage_by_group(table[3:])


def test_given_axes_are_used(table):
    ax = new_axes()
    assert coverage_by_group(table, ax=ax) is ax
