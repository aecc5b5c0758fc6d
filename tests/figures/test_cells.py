from __future__ import annotations

import io

import anndata as ad
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from cellixir.exceptions import DataError, InvalidValues
from cellixir.figures.cells import latent_map, latent_maps
from cellixir.figures.groups import MISSING, OTHER, PALETTE
from cellixir.figures.map_labels import at_home, label_groups
from cellixir.figures.map_panel import AMOUNTS, WIDTH, point_alpha, point_size, range_of
from cellixir.figures.style import new_axes

XY = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [5.0, 5.0], [4.0, 5.0]])


def drawn(ax: Axes, gid: str = "cells") -> PathCollection:
    found = [artist for artist in ax.get_children() if artist.get_gid() == gid]
    assert len(found) == 1, f"{len(found)} artists with gid {gid!r}"
    return found[0]


def has(ax: Axes, gid: str) -> bool:
    return any(artist.get_gid() == gid for artist in ax.get_children())


def entries(legend) -> list[str]:
    return [text.get_text() for text in legend.get_texts()]


def colour_of(ax: Axes, place: tuple[float, float], gid: str = "cells") -> str:
    dots = drawn(ax, gid)
    ax.get_figure(root=True).draw_without_rendering()  # amounts become colours when they are drawn
    row = int(np.flatnonzero((dots.get_offsets() == place).all(axis=1))[0])
    colours = dots.get_facecolor()
    return to_hex(colours[row if len(colours) > 1 else 0])


def labels(ax: Axes) -> dict[str, tuple[float, float]]:
    return {text.get_text(): text.xy for text in ax.texts if str(text.get_gid()).startswith("label-")}


def blobs(n_groups: int, n: int = 30, apart: float = 10.0, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_groups), n)
    angle = 2 * np.pi * codes / n_groups
    centres = apart * np.column_stack([np.cos(angle), np.sin(angle)])
    return centres + rng.normal(0, 0.5, centres.shape), [f"type {i}" for i in codes]


def test_each_cell_stands_at_its_place_in_the_colour_of_its_group():
    ax = latent_map(XY, ["T", "B", "T", "NK", "B"], labels=False)
    assert len(drawn(ax).get_offsets()) == 5
    expected = dict(zip(map(tuple, XY), [PALETTE[2], PALETTE[0], PALETTE[2], PALETTE[1], PALETTE[0]], strict=True))
    assert {place: colour_of(ax, place) for place in expected} == expected
    assert entries(ax.get_legend()) == ["B (2)", "NK (1)", "T (2)"]
    assert [to_hex(handle.get_color()) for handle in ax.get_legend().legend_handles] == list(PALETTE[:3])
    assert drawn(ax).get_rasterized()


def test_categories_keep_their_order_and_those_without_a_cell_are_not_named():
    types = pd.Categorical(["T", "B", "T", "B", "B"], categories=["T", "Mast", "B"])
    ax = latent_map(XY, pd.Series(types, name="cell type"))
    assert entries(ax.get_legend()) == ["T (2)", "B (3)"]
    assert ax.get_legend().get_title().get_text() == "cell type"


def test_numbers_in_names_are_sorted_as_numbers():
    assert entries(latent_map(XY, ["10", "2", "1", "2", "2"]).get_legend()) == ["1 (1)", "2 (3)", "10 (1)"]
    assert entries(latent_map(XY, [10, 2, 1, 2, 2], kind="groups").get_legend()) == ["1 (1)", "2 (3)", "10 (1)"]
    assert entries(latent_map(XY, [True, False, True, True, None]).get_legend()) == ["no (1)", "yes (3)", "missing (1)"]


def test_missing_values_are_grey_below_and_counted():
    ax = latent_map(XY, ["T", None, np.nan, pd.NA, "B"])
    assert len(drawn(ax).get_offsets()) == 2
    np.testing.assert_array_equal(drawn(ax, "missing").get_offsets(), XY[1:4])
    assert colour_of(ax, (1.0, 0.0), "missing") == MISSING
    assert drawn(ax, "missing").get_zorder() < drawn(ax).get_zorder()
    assert entries(ax.get_legend()) == ["B (1)", "T (1)", "missing (3)"]


def test_a_colour_can_be_kept_for_a_group():
    ax = latent_map(XY, ["T", "B", "T", "NK", "B"], colours={"T": "#ff0000"}, labels=False)
    assert colour_of(ax, (0.0, 2.0)) == "#ff0000"
    assert colour_of(ax, (1.0, 0.0)) == PALETTE[0]


def test_of_200_groups_19_are_named_and_the_rest_is_one():
    codes = np.concatenate([np.arange(200), np.repeat(np.arange(100, 119), 5)])
    xy = np.random.default_rng(0).normal(size=(len(codes), 2))
    legend = latent_map(xy, [f"c{i}" for i in codes]).get_legend()
    assert len(entries(legend)) == 20
    assert entries(legend)[0] == "c100 (6)"
    assert entries(legend)[-1] == "181 other groups (181)"
    assert to_hex(legend.legend_handles[-1].get_color()) == OTHER
    assert len(entries(latent_map(xy[:20], [f"c{i}" for i in codes[:20]]).get_legend())) == 20


def test_cells_are_drawn_in_random_order_that_repeats():
    xy = np.random.default_rng(0).normal(size=(400, 2))
    group = np.repeat(["a", "b"], 200)
    first, second = (drawn(latent_map(xy, group, labels=False)) for _ in range(2))
    np.testing.assert_array_equal(first.get_offsets(), second.get_offsets())
    last = [to_hex(colour) for colour in first.get_facecolor()[-200:]]
    assert 60 < last.count(PALETTE[0]) < 140  # neither group lies on top of the other


def test_names_stand_at_the_medians():
    xy, types = blobs(6)
    found = labels(latent_map(xy, types))
    assert sorted(found) == [f"type {i}" for i in range(6)]
    for name, place in found.items():
        np.testing.assert_allclose(place, np.median(xy[np.array(types) == name], axis=0))
    assert labels(latent_map(xy, types, labels=False)) == {}


def test_more_than_12_groups_or_one_alone_are_told_by_the_legend():
    assert labels(latent_map(*blobs(13))) == {}
    assert len(labels(latent_map(*blobs(12)))) == 12
    assert labels(latent_map(*blobs(1))) == {}


@given(st.integers(0, 1000), st.integers(2, 12), st.floats(0.1, 6))
@settings(max_examples=6, deadline=None)
def test_names_do_not_collide_or_leave_the_panel(seed, n_groups, apart):
    xy, types = blobs(n_groups, apart=apart, seed=seed)
    ax = latent_map(xy, [f"{name} of long name" for name in types])
    ax.get_figure(root=True).draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts if str(text.get_gid()).startswith("label-")]
    panel = ax.get_window_extent()
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
        assert panel.x0 <= box.x0 + 0.5 and box.x1 <= panel.x1 + 0.5  # noqa: PT018


def test_a_name_never_stands_among_the_cells_of_others():
    rng = np.random.default_rng(1)
    middle = rng.normal(0, 0.5, (60, 2))
    sides = np.concatenate([rng.normal(0, 0.5, (30, 2)) + np.array([x, 0]) for x in (-9, 9)])
    xy = np.concatenate([middle, sides])
    types = ["middle"] * 60 + ["split"] * 60
    assert set(labels(latent_map(xy, types))) == {"middle"}


def test_a_small_group_is_not_hidden_by_its_name():
    xy, types = blobs(3, n=100, apart=20)
    xy, types = np.vstack([xy, np.zeros((5, 2))]), [*types, *["tiny"] * 5]
    ax = latent_map(xy, types)
    ax.get_figure(root=True).draw_without_rendering()
    box = next(text for text in ax.texts if text.get_text() == "tiny").get_window_extent()
    assert not box.contains(*ax.transData.transform((0.0, 0.0)))


def test_at_home_compares_with_the_cells_around():
    from cellixir.figures.groups import as_groups

    xy, types = blobs(2, n=20)
    groups = as_groups(pd.Series(types))
    assert at_home(xy, groups, 0, xy[:20].mean(axis=0))
    assert not at_home(xy, groups, 0, xy[20:].mean(axis=0))
    assert label_groups(new_axes(), xy[:20], as_groups(pd.Series(types[:20]))) == []


def test_amounts_are_clipped_at_their_percentiles_and_high_ones_lie_on_top():
    rng = np.random.default_rng(0)
    xy, values = rng.normal(size=(1000, 2)), rng.permutation(np.arange(1000.0))
    ax = latent_map(xy, pd.Series(values, name="library size"))
    dots = drawn(ax)
    np.testing.assert_allclose(dots.get_clim(), np.percentile(values, [1, 99]))
    np.testing.assert_array_equal(dots.get_array(), np.arange(1000.0))  # lowest first
    np.testing.assert_array_equal(dots.get_offsets(), xy[np.argsort(values)])
    bar = next(other for other in ax.get_figure(root=True).axes if other is not ax)
    assert bar.get_ylabel() == "library size"
    place = tuple(xy[np.argmax(values)])
    assert colour_of(ax, place) == to_hex(AMOUNTS(1.0))


def test_amounts_that_are_missing_are_grey_and_counted():
    ax = latent_map(XY, [1.0, np.nan, 3.0, np.inf, 2.0])
    assert drawn(ax).get_array().tolist() == [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(drawn(ax, "missing").get_offsets(), XY[[1, 3]])
    assert entries(ax.get_legend()) == ["missing (2)"]
    nullable = latent_map(XY, pd.array([1, None, 3, 4, 5], dtype="Int64"))
    assert drawn(nullable).get_array().tolist() == [1.0, 3.0, 4.0, 5.0]


def test_range_of_rare_and_of_constant_amounts():
    rare = np.zeros(1000)
    rare[:3] = 7.0
    assert range_of(rare) == (0.0, 7.0)  # both percentiles are 0
    assert range_of(np.full(5, 2.0)) == (2.0, 3.0)
    assert range_of(np.full(5, np.nan)) == (0.0, 1.0)


def test_points_shrink_with_the_number_of_cells():
    sizes = [point_size(n) for n in (1, 200, 2000, 20_000, 200_000, 10**7)]
    assert sizes == sorted(sizes, reverse=True)
    assert point_size(200) == pytest.approx(30)
    assert 0.4 <= point_size(200_000) < 0.6
    assert point_size(200, WIDTH / 2) == pytest.approx(30 / 4)
    assert [point_alpha(n) for n in (1, 2000, 10**7)] == [0.9, 0.9, 0.6]


def test_map_is_square_with_equal_scales_without_ticks_and_says_its_name():
    ax = latent_map(XY, list("aabba"), name="t-SNE", title="PBMC")
    assert ax.get_aspect() == 1.0
    assert np.ptp(ax.get_xlim()) == pytest.approx(np.ptp(ax.get_ylim()))
    assert ax.get_xlim()[0] < 0 and ax.get_xlim()[1] > 5  # noqa: PT018
    assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0
    assert (drawn(ax, "axis-x").get_text(), drawn(ax, "axis-y").get_text()) == ("t-SNE 1", "t-SNE 2")
    assert ax.get_title(loc="left") == "PBMC"
    named = latent_map(pd.DataFrame(XY, columns=["latent 3", "latent 7"]), list("aabba"))
    assert drawn(named, "axis-x").get_text() == "latent 3"


def test_cells_without_a_place_are_left_out():
    xy = XY.copy()
    xy[1, 0] = np.nan
    ax = latent_map(xy, list("abbcc"))
    assert entries(ax.get_legend()) == ["a (1)", "b (1)", "c (2)"]


def test_names_of_cells_put_values_in_order():
    places = pd.DataFrame(XY, index=list("vwxyz"))
    values = pd.Series([5.0, 4.0, 3.0, 2.0, 1.0], index=list("zyxwv"))
    np.testing.assert_array_equal(drawn(latent_map(places, values)).get_offsets(), XY)  # 1 to 5 from the first place
    assert drawn(latent_map(places, values.to_numpy())).get_offsets()[0].tolist() == [4.0, 5.0]
    with pytest.raises(DataError, match="'v'"):
        latent_map(places, values.rename({"v": "u"}))


def test_one_cell_and_cells_at_one_place():
    ax = latent_map([[3.0, 4.0]], ["a"])
    assert entries(ax.get_legend()) == ["a (1)"]
    assert ax.get_xlim() == (2.0, 4.0)
    assert drawn(latent_map([[3.0, 4.0]], [7.0])).get_clim() == (7.0, 8.0)
    latent_map(np.ones((5, 2)), list("aabbc")).get_figure(root=True).draw_without_rendering()


def test_names_are_not_read_as_mathematics():
    xy, types = blobs(2)
    ax = latent_map(xy, [f"$\\bad_{name}$" for name in types], title="$x", name="a_$b$")
    ax.get_figure(root=True).draw_without_rendering()
    assert entries(ax.get_legend())[0].startswith("$\\bad_type 0$")


def test_many_cells_make_a_small_svg():
    rng = np.random.default_rng(0)
    ax = latent_map(rng.normal(size=(20_000, 2)), rng.integers(0, 8, 20_000).astype(str))
    buffer = io.BytesIO()
    ax.get_figure(root=True).savefig(buffer, format="svg", dpi=100)
    assert len(buffer.getvalue()) < 600_000  # paths alone would be 20,000 times 60 characters


def test_axes_of_others_are_drawn_on_and_settings_left_alone():
    ax = new_axes()
    before = dict(mpl.rcParams)
    assert latent_map(XY, list("aabba"), ax=ax) is ax
    assert latent_map(XY, XY[:, 0], ax=new_axes()) is not ax
    assert dict(mpl.rcParams) == before


def test_maps_share_one_legend():
    figure = latent_maps({"VAE": XY, "PCA": XY[:, ::-1], "wide": 3 * XY}, [*"aabb", None], ncols=2, name="t-SNE")
    assert isinstance(figure, Figure)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["VAE", "PCA", "wide"]
    assert [ax.get_legend() for ax in figure.axes] == [None] * 3
    assert [entries(legend) for legend in figure.legends] == [["a (2)", "b (2)", "missing (1)"]]
    for i, ax in enumerate(figure.axes):
        assert len(drawn(ax, f"cells-{i}").get_offsets()) == 4
        assert has(ax, f"missing-{i}")
    assert colour_of(figure.axes[1], (5.0, 5.0), "cells-1") == PALETTE[1]
    rows = {round(ax.get_subplotspec().get_position(figure).y0, 3) for ax in figure.axes}
    assert len(rows) == 2


def test_maps_share_one_colour_scale():
    values = np.arange(5.0)
    figure = latent_maps({"a": XY, "b": np.vstack([XY[:4], [[np.nan, 0.0]]])}, values)
    assert len(figure.axes) == 3  # two maps and one bar
    limits = [drawn(ax, f"cells-{i}").get_clim() for i, ax in enumerate(figure.axes[:2])]
    assert limits[0] == limits[1] == pytest.approx(tuple(np.percentile(values, [1, 99])))
    assert len(drawn(figure.axes[1], "cells-1").get_offsets()) == 4


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: latent_map(XY, ["a", "b"]), "2 values for 5 cells"),
        (lambda: latent_map(XY[:, :1], list("aabba")), r"\(5, 1\)"),
        (lambda: latent_map(np.full((3, 2), np.nan), list("abc")), "none of 3 cells has a finite place"),
        (lambda: latent_map(XY, [None] * 5), "none of 5 cells has a value"),
        (lambda: latent_map(XY, pd.Series([np.nan] * 5, name="CD3D")), "finite value of 'CD3D'"),
        (lambda: latent_map(XY, list("abcde"), kind="numbers"), "not numbers"),
        (lambda: latent_map(XY, list("abcde"), kind="colour"), "kind must be"),
        (lambda: latent_map(np.empty((0, 2)), []), "none of 0 cells"),
        (lambda: latent_maps({}, []), "no map"),
        (lambda: latent_maps({"a": XY, "b": XY[:3]}, list("aabba")), "'b' has 3 cells, the first 5"),
        (lambda: latent_maps({"a": XY}, list("aabba"), ncols=0), "ncols must be 1 or more"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, said):
    with pytest.raises(DataError, match=said):
        call()


def test_maps_of_cells_in_another_order_are_refused():
    first = pd.DataFrame(XY, index=list("vwxyz"))
    with pytest.raises(DataError, match="in another order"):
        latent_maps({"a": first, "b": first[::-1]}, list("aabba"))


def test_text_among_numbers_is_refused_with_the_name_of_the_column():
    with pytest.raises(InvalidValues, match="'age'"):
        latent_map(XY, pd.Series(["1", "2", "x", "4", "5"], name="age"), kind="numbers")


@pytest.mark.real_data
def test_melanoma_cells_by_cluster(data_dir):
    cells = ad.read_h5ad(data_dir / "derived" / "tirosh_mel80_480cells_91genes.h5ad")
    x = cells.to_df()
    centred = x - x.mean()
    u, s, _ = np.linalg.svd(centred.to_numpy(), full_matrices=False)
    ax = latent_map(u[:, :2] * s[:2], cells.obs["seurat_clusters"], name="PC")
    assert entries(ax.get_legend())[0] == "0 (158)"
    assert sum(int(text.split("(")[1][:-1]) for text in entries(ax.get_legend())) == 480
