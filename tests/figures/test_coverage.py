from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from scipy.stats import norm

from cellixir.exceptions import DataError, InvalidValues
from cellixir.figures.coverage import by_chance, coverage_by_group, error_vs_domain, width_vs_error
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


def test_width_stands_over_error_with_the_line_of_normal_errors():
    ax = width_vs_error([3.3, 6.6, np.inf], [1.0, 2.0, 1.0], unit="ln µM")
    np.testing.assert_allclose(drawn(ax, "groups").get_offsets(), [[1, 3.3], [2, 6.6]])
    x, y = drawn(ax, "normal").get_data()
    np.testing.assert_allclose(y, 2 * norm.ppf(0.95) * np.asarray(x))
    assert ax.get_title(loc="left") == "1 without a finite width: not drawn"
    assert ax.get_ylabel() == "Width of the 90 % interval, ln µM"
    assert ax.get_xlim()[0] == ax.get_ylim()[0] == 0


def test_width_of_perfect_predictions_is_drawn():
    assert width_vs_error([0.0], [0.0]).get_xlim() == (0, 1)


def test_what_is_outside_is_marked_and_told():
    ax = error_vs_domain([1, 2, 5, np.nan], [1.0, 2.0, 4.0, 1.0], limit=4.0)
    np.testing.assert_allclose(drawn(ax, "inside").get_offsets(), [[1, 1], [2, 2]])
    np.testing.assert_allclose(drawn(ax, "outside").get_offsets(), [[5, 4]])
    assert ax.get_title(loc="left") == "2 inside, mean 1.50 · 1 outside, mean 4.00 · 1 unknown"
    assert drawn(ax, "limit").get_xdata()[0] == 4
    assert ax.get_xlim()[0] < 1
    assert ax.get_xlim()[1] > 5


def test_low_similarity_is_outside_to_the_left():
    ax = error_vs_domain([0.1, 0.2, 0.9], [1.0, 2.0, 3.0], limit=0.2, farther="left")
    np.testing.assert_allclose(drawn(ax, "outside").get_offsets(), [[0.1, 1]])


def test_median_runs_only_through_many_samples():
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(0, 4, 400))
    ax = error_vs_domain(x, x + 1, limit=9.0)
    centres, medians = drawn(ax, "median").get_data()
    np.testing.assert_allclose(medians, np.asarray(centres) + 1)
    assert ax.get_title(loc="left") == f"400 inside, mean {1 + x.mean():.2f} · 0 outside"
    few = error_vs_domain(x[:10], x[:10], limit=9.0)
    assert [a for a in few.get_children() if a.get_gid() == "median"] == []


def test_domain_without_a_limit_has_no_line():
    ax = error_vs_domain([1.0], [0.5], limit=np.inf)
    assert [a for a in ax.get_children() if a.get_gid() == "limit"] == []
    assert ax.get_xlim() == (0, 2)


@pytest.mark.parametrize("draw", [width_vs_error, lambda a, b: error_vs_domain(a, b, limit=1.0)])
def test_what_cannot_be_drawn_is_refused(draw):
    with pytest.raises(InvalidValues, match="2 and 1 values"):
        draw([1.0], [1.0, 2.0]) if draw is width_vs_error else draw([1.0, 2.0], [1.0])
    with pytest.raises(InvalidValues, match="none of 2"):
        draw([np.nan, 1.0], [1.0, np.nan])


def test_given_axes_are_used(table):
    ax = new_axes()
    assert coverage_by_group(table, ax=ax) is ax
    assert width_vs_error([1.0], [1.0], ax=new_axes()).figure is not ax.figure
