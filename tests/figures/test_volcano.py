from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from cellixir.exceptions import InvalidValues
from cellixir.figures.style import new_axes
from cellixir.figures.volcano import RESISTANT, SENSITIVE, volcano

EFFECT = [-2.0, -0.1, 0.2, 1.5, -1.0]
P = [1e-20, 0.5, 0.2, 1e-8, 1e-6]
N = [10, 5, 8, 300, 40]
HIT = [True, False, False, True, True]


def drawn(ax: Axes, gid: str):
    found = [artist for artist in ax.get_children() if artist.get_gid() == gid]
    assert len(found) == 1, f"{len(found)} artists with gid {gid!r}"
    return found[0]


def labels(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts if str(text.get_gid()).startswith("label-")]


def boxes(ax: Axes) -> list:
    """Extents of the labels as they are really drawn, in pixels."""
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()
    renderer = figure._get_renderer()
    texts = [text for text in ax.texts if str(text.get_gid()).startswith("label-")]
    return [mpl.text.Text.get_window_extent(text, renderer) for text in texts]


def test_each_point_stands_at_effect_and_log_p_in_its_colour():
    ax = volcano(EFFECT, P, N, HIT)
    sensitive, resistant, others = (drawn(ax, gid) for gid in ("sensitive", "resistant", "others"))
    assert isinstance(sensitive, PathCollection)
    np.testing.assert_allclose(sensitive.get_offsets(), [[-1, 6], [-2, 20]])  # the larger first, so below
    np.testing.assert_allclose(resistant.get_offsets(), [[1.5, 8]])
    np.testing.assert_allclose(others.get_xydata(), [[-0.1, -np.log10(0.5)], [0.2, -np.log10(0.2)]])
    assert to_hex(sensitive.get_facecolor()[0]) == SENSITIVE
    assert to_hex(resistant.get_facecolor()[0]) == RESISTANT
    assert others.get_rasterized()


def test_area_grows_with_the_lines():
    ax = volcano(EFFECT, P, N, HIT)
    small, large = sorted(drawn(ax, "sensitive").get_sizes())
    assert large > small
    assert drawn(ax, "resistant").get_sizes()[0] > large


def test_legend_counts_what_is_drawn():
    words = [text.get_text() for text in volcano(EFFECT, P, N, HIT).get_legend().get_texts()]
    assert words[:3] == ["sensitive (2)", "resistant (1)", "not a hit (2)"]
    assert words[-1] == "300 lines with the feature"


def test_threshold_and_its_words():
    ax = volcano(EFFECT, P, N, HIT, threshold=1e-3, threshold_label="FDR 25 %")
    np.testing.assert_allclose(drawn(ax, "threshold").get_ydata(), [3, 3])
    assert "FDR 25 %" in [text.get_text() for text in ax.texts]
    assert not [a for a in volcano(EFFECT, P, N, HIT).lines if a.get_gid() == "threshold"]


def test_a_p_value_of_zero_stands_above_all_others():
    ax = volcano([-1, -2], [0.0, 1e-50], [5, 5], [True, True])
    y = drawn(ax, "sensitive").get_offsets()[:, 1]
    assert sorted(y) == pytest.approx([50, 52.5])
    assert ax.get_ylim()[1] > 52.5


def test_tests_without_a_value_are_left_out_and_labels_stay_with_their_points():
    ax = volcano([np.nan, -1, 2], [0.1, np.nan, 1e-9], [3, 3, 3], [True, True, True], labels=["a", "b", "c"])
    assert labels(ax) == ["c"]
    assert len(drawn(ax, "sensitive").get_offsets()) == 0


def test_only_the_clearest_hits_have_a_label():
    names = ["first", "no hit", "no hit", "second", "third"]
    assert labels(volcano(EFFECT, P, N, HIT, labels=names, n_labels=2)) == ["first", "second"]
    assert labels(volcano(EFFECT, P, N, HIT, labels=names, n_labels=0)) == []
    long = labels(volcano(EFFECT, P, N, HIT, labels=["x" * 80, *names[1:]]))[0]
    assert len(long) == 34
    assert long.endswith("…")


@given(st.integers(0, 1000), st.integers(2, 60))
@settings(max_examples=6, deadline=None)
def test_no_two_labels_overlap_or_leave_the_panel(seed, n):
    rng = np.random.default_rng(seed)
    p = 10 ** -rng.exponential(6, n)
    ax = volcano(rng.normal(0, 1, n), p, rng.integers(3, 400, n), np.ones(n, bool), labels=["Drug · GENE_mut"] * n)
    found, panel = boxes(ax), ax.get_window_extent()
    assert found
    for i, box in enumerate(found):
        assert not any(box.overlaps(other) for other in found[i + 1 :])
        assert panel.x0 <= box.x0 and box.x1 <= panel.x1  # noqa: PT018
        assert panel.y0 <= box.y0 and box.y1 <= panel.y1  # noqa: PT018


def test_a_crowd_keeps_few_labels_and_says_no_wrong_one():
    n = 300
    ax = volcano(np.full(n, -1.0), np.full(n, 1e-5), np.full(n, 5), np.ones(n, bool), labels=["same place"] * n)
    assert len(labels(ax)) <= 2


def test_names_are_not_read_as_mathematics():
    ax = volcano(EFFECT, P, N, HIT, labels=["$a_b$", "", "", "x^2", "%"])
    ax.get_figure(root=True).draw_without_rendering()
    assert labels(ax)[0] == "$a_b$"
    assert not any(text.get_parse_math() for text in ax.texts)


def test_no_hit_and_one_test():
    ax = volcano([0.1], [0.9], [3], [False], labels=["a"])
    assert labels(ax) == []
    assert ax.get_ylim()[1] > 0.05


def test_axes_of_others_are_drawn_on():
    ax = new_axes()
    assert volcano(EFFECT, P, N, HIT, ax=ax) is ax
    before = dict(mpl.rcParams)
    volcano(EFFECT, P, N, HIT)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    ("effect", "p", "said"),
    [
        ([1.0], [0.1, 0.2], "1 effects, 2 p-values"),
        ([np.nan, 1], [0.1, np.nan], "none of 2 tests"),
        ([], [], "none of 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(effect, p, said):
    with pytest.raises(InvalidValues, match=said):
        volcano(effect, p, [3] * len(effect), [True] * len(effect))
