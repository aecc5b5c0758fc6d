from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from scipy import sparse

from cellixir.exceptions import DataError, GeneMismatch, InvalidValues
from cellixir.figures.clustered import leaf_order, strongest_genes
from cellixir.figures.correlation import DIVERGING
from cellixir.figures.heatmaps import latent_gene_heat_map, marker_heat_map
from cellixir.figures.marker_means import marker_means, z_scores
from cellixir.figures.style import new_axes

TYPES = ["T", "T", "B", "B", "NK", "NK"]
EXPRESSION = pd.DataFrame(
    {
        "CD3D": [4, 2, 0, 0, 0, 0.0],
        "MS4A1": [0, 0, 5, 1, 0, 0.0],
        "CD79A": [0, 0, 3, 3, 0, 0.0],
        "NKG7": [0, 2, 0, 0, 4, 4.0],
        "ACTB": [1.0] * 6,
    }
)
MARKERS = {"NK": ["NKG7"], "B": ["MS4A1", "CD79A"], "T": ["CD3D"]}


def drawn(ax: Axes, gid: str):
    found = [artist for artist in ax.get_children() if artist.get_gid() == gid]
    assert len(found) == 1, f"{len(found)} artists with gid {gid!r}"
    return found[0]


def rows(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def columns(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_xticklabels()]


def bar(ax: Axes) -> Axes:
    return next(other for other in ax.get_figure(root=True).axes if other is not ax)


def test_means_are_z_scores_over_the_groups_in_the_order_of_the_markers():
    ax = marker_heat_map(EXPRESSION, TYPES, MARKERS)
    assert rows(ax) == ["NK (2)", "B (2)", "T (2)"]
    assert columns(ax) == ["NKG7", "MS4A1", "CD79A", "CD3D"]
    high, low = np.sqrt(2), -np.sqrt(0.5)  # of one group among three
    nkg7 = (np.array([4, 0, 1]) - 5 / 3) / np.std([4, 0, 1])
    expected = np.column_stack([nkg7, [low, high, low], [low, high, low], [low, low, high]])
    np.testing.assert_allclose(drawn(ax, "cells").get_array(), expected)
    low, high = drawn(ax, "cells").get_clim()
    assert low == -high
    assert drawn(ax, "cells").get_cmap() is DIVERGING


def test_genes_stand_under_the_group_that_they_mark():
    ax = marker_heat_map(EXPRESSION, TYPES, MARKERS)
    assert [drawn(ax, f"block-{i}").get_text() for i in range(3)] == ["NK", "B", "T"]
    np.testing.assert_allclose([drawn(ax, f"block-{i}").xy[0] for i in range(3)], [0, 1.5, 3])
    frames = [drawn(ax, f"own-{i}") for i in range(3)]
    boxes = [(frame.get_x(), frame.get_y(), frame.get_width()) for frame in frames]
    assert boxes == [(-0.5, -0.5, 1), (0.5, 0.5, 2), (2.5, 1.5, 1)]


def test_groups_that_no_marker_names_stand_by_the_block_that_is_highest_in_them():
    blocks = {"late": ["NKG7"], "T": ["CD3D"], "early": ["MS4A1", "CD79A"]}
    assert rows(marker_heat_map(EXPRESSION, TYPES, blocks)) == ["T (2)", "NK (2)", "B (2)"]


def test_a_gene_without_differences_is_grey_and_absent_markers_are_named():
    ax = marker_heat_map(EXPRESSION, TYPES, {"T": ["CD3D", "CD3E"], "any": ["ACTB", "$GENE_1$"]})
    values = drawn(ax, "cells").get_array()
    assert np.ma.masked_invalid(values).mask.tolist() == [[False, True]] * 3
    assert ax.get_xlabel() == "2 markers are not in the table: CD3E, $GENE_1$"
    ax.get_figure(root=True).draw_without_rendering()


def test_anndata_and_sparse_and_unordered_names_give_the_same_map(tmp_path):
    cells = ad.AnnData(
        sparse.csr_matrix(EXPRESSION.to_numpy(np.float32)),
        obs=pd.DataFrame({"type": TYPES}, index=list("abcdef")),
        var=pd.DataFrame(index=EXPRESSION.columns),
    )
    expected = drawn(marker_heat_map(EXPRESSION, TYPES, MARKERS), "cells").get_array()
    for groups in (cells.obs["type"], cells.obs["type"][::-1]):
        np.testing.assert_allclose(drawn(marker_heat_map(cells, groups, MARKERS), "cells").get_array(), expected)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    np.testing.assert_allclose(drawn(marker_heat_map(backed, TYPES, MARKERS), "cells").get_array(), expected)
    backed.file.close()


def test_missing_values_and_cells_without_a_group_do_not_count():
    table = pd.concat([EXPRESSION, EXPRESSION.iloc[:1] * 1000])
    table.iloc[0, 0] = np.nan
    means = marker_means(table, [*TYPES, None], {"T": ["CD3D"]})
    np.testing.assert_allclose(means.z, z_scores(np.array([[2.0], [0], [0]])))
    assert means.counts == [2, 2, 2]


def test_z_scores_have_mean_0_and_spread_1():
    z = z_scores(np.random.default_rng(0).normal(5, 3, (7, 4)))
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(z.std(axis=0), 1)
    assert np.isnan(z_scores(np.full((3, 1), 0.1 + 0.2))).all()


def test_dots_have_the_area_of_the_share_of_cells_above_0():
    ax = marker_heat_map(EXPRESSION, TYPES, MARKERS, dots=True)
    dots = drawn(ax, "dots")
    sizes = {tuple(map(int, place)): size for place, size in zip(dots.get_offsets(), dots.get_sizes(), strict=True)}
    full = sizes[(0, 0)]  # NKG7 in NK
    assert sizes[(0, 2)] == pytest.approx(full / 2)  # NKG7 in one of two T cells
    assert sizes[(0, 1)] == 0
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["25%", "50%", "100%"]
    with pytest.raises(DataError, match="below 0"):
        marker_heat_map(EXPRESSION - 1, TYPES, MARKERS, dots=True)


def test_of_200_groups_the_biggest_are_shown():
    rng = np.random.default_rng(0)
    codes = np.concatenate([np.arange(200), np.arange(40)])
    table = pd.DataFrame(rng.poisson(1, (240, 2)), columns=["a_1", "b$"])
    ax = marker_heat_map(table, codes.astype(str), {"x": ["a_1", "b$"]})
    assert len(rows(ax)) == 40
    assert all(label.endswith("(2)") for label in rows(ax))
    assert ax.get_xlabel() == "the 160 smallest groups are not shown"


@pytest.mark.parametrize(
    ("error", "call", "said"),
    [
        (GeneMismatch, lambda: marker_heat_map(EXPRESSION, TYPES, {"T": ["cd3d"]}), "none of 1 markers"),
        (GeneMismatch, lambda: marker_heat_map(EXPRESSION, TYPES, {}), "none given"),
        (DataError, lambda: marker_heat_map(EXPRESSION, ["T"] * 6, MARKERS), "all cells are in the group 'T'"),
        (InvalidValues, lambda: marker_heat_map(EXPRESSION, TYPES[:3], MARKERS), "3 values for 6 cells"),
        (InvalidValues, lambda: marker_heat_map(EXPRESSION * np.nan, TYPES, MARKERS), "finite"),
        (InvalidValues, lambda: marker_heat_map(EXPRESSION.astype(str) + "x", TYPES, MARKERS), "no number"),
        (DataError, lambda: marker_heat_map([[1]], ["T"], MARKERS), "give a DataFrame"),
        (DataError, lambda: latent_gene_heat_map(pd.DataFrame()), "nothing to show"),
        (DataError, lambda: latent_gene_heat_map(loadings(), top=0), "nothing to show"),
        (DataError, lambda: latent_gene_heat_map(loadings() * 0), "are 0"),
        (DataError, lambda: latent_gene_heat_map(loadings().replace(0, np.nan)), "not finite"),
    ],
)
def test_what_cannot_be_drawn_is_refused(error, call, said):
    with pytest.raises(error, match=said):
        call()


def loadings() -> pd.DataFrame:
    """Each of three latents has two strong genes of its own, one of them negative."""
    table = pd.DataFrame(0.0, index=[f"G{i}" for i in range(9)], columns=["z1", "z2", "z3"])
    for i, latent in enumerate(table):
        table.loc[f"G{2 * i}", latent], table.loc[f"G{2 * i + 1}", latent] = 3.0 - 0.1 * i, -2.0
    table.loc["G8"] = 0.1
    return table


def test_strongest_genes_of_both_signs_are_shown_with_their_loadings():
    table = loadings()
    ax = latent_gene_heat_map(table, top=2, title="VAE")
    assert sorted(rows(ax)) == [f"G{i}" for i in range(6)]
    assert sorted(columns(ax)) == ["z1", "z2", "z3"]
    np.testing.assert_array_equal(drawn(ax, "cells").get_array(), table.loc[rows(ax), columns(ax)])
    low, high = drawn(ax, "cells").get_clim()
    assert low == -high
    assert 2.9 < high <= 3.0
    assert ax.get_xlabel() == "2 strongest genes of each latent"
    assert to_hex(drawn(ax, "cells").to_rgba(0.0)) == to_hex(DIVERGING(0.5))
    assert bar(ax).get_ylabel() == "Loading"


def test_genes_and_latents_that_are_alike_stand_side_by_side():
    rng = np.random.default_rng(0)
    two = rng.normal(size=(40, 2))
    table = pd.DataFrame(two[:, [0, 1, 0, 1]] + rng.normal(0, 0.05, (40, 4)), columns=["a1", "b1", "a2", "b2"])
    order = columns(latent_gene_heat_map(table))
    assert {order[0][0], order[1][0]} != {"a", "b"}
    assert order[0][0] == order[1][0]
    assert order[2][0] == order[3][0]


def test_of_more_than_40_latents_the_strongest_are_shown_and_genes_stay_readable():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(800, 60)) * np.repeat([1, 2], [20, 40]), columns=[f"z{i}" for i in range(60)])
    ax = latent_gene_heat_map(table, top=10)
    assert set(columns(ax)) == {f"z{i}" for i in range(20, 60)}
    assert len(rows(ax)) <= 110
    assert ax.get_xlabel() == "2 strongest genes of each latent\n40 strongest of 60 latents"
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert not any(a.overlaps(b.padded(-1)) for a, b in zip(boxes[:-1], boxes[1:], strict=True))  # noqa: RUF007


def test_a_latent_that_collapsed_brings_no_gene():
    table = loadings().assign(z4=0.0)
    shown, top = strongest_genes(table, 2, most_latents=40, most_genes=110)
    assert set(shown.columns) == {"z1", "z2", "z3", "z4"}
    assert set(shown.index) == {f"G{i}" for i in range(6)}
    assert top == 2


def test_order_of_leaves():
    vectors = np.array([[1, 0], [0, 1], [1, 0.1], [0.1, 1], [0, 0]])
    order = leaf_order(vectors).tolist()
    assert sorted(order) == list(range(5))
    assert abs(order.index(0) - order.index(2)) == 1
    assert abs(order.index(1) - order.index(3)) == 1
    assert leaf_order(vectors[:1]).tolist() == [0]


def test_one_latent_one_gene_and_odd_names():
    ax = latent_gene_heat_map(pd.DataFrame({"$z_1$": [2.0]}, index=["A$B_c"]), ax=new_axes())
    assert (rows(ax), columns(ax)) == (["A$B_c"], ["$z_1$"])
    ax.get_figure(root=True).draw_without_rendering()
    twice = latent_gene_heat_map(pd.DataFrame({"z": [2.0, -1.0]}, index=["A", "A"]))
    assert rows(twice) == ["A", "A"]


@pytest.mark.real_data
def test_markers_of_head_and_neck_cells_stand_out_in_their_own_type(data_dir):
    cells = ad.read_h5ad(data_dir / "derived" / "puram_GSE103322_180cells.h5ad")
    markers = {"B cell": ["CD79A", "MS4A1"], "Endothelial": ["PECAM1", "VWF"], "Fibroblast": ["COL1A1", "COL1A2"]}
    means = marker_means(cells, cells.obs["celltypes"], markers)
    assert means.groups[:3] == list(markers)
    for row in range(3):
        assert (means.z[:, 2 * row : 2 * row + 2].argmax(axis=0) == row).all()
