from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from cellixir.exceptions import DataError, DuplicateIds, InvalidValues
from cellixir.figures.groups import PALETTE
from cellixir.figures.overlay import overlay_maps
from cellixir.figures.synthesis import KIND_PAINT, fold_change_scatter, gene_agreement, mean_variance, quality_bars
from cellixir.figures.training_curves import COLLAPSE, collapsed, training_curves


def artist(ax: Axes, gid: str):
    found = [child for child in ax.get_children() if child.get_gid() == gid]
    assert len(found) == 1, f"{len(found)} artists with gid {gid!r}"
    return found[0]


def has(ax: Axes, gid: str) -> bool:
    return any(child.get_gid() == gid for child in ax.get_children())


SCORES = pd.DataFrame(
    {
        "metric": ["recall", "recall", "density"],
        "model": ["cvae", "gan", "cvae"],
        "value": [0.8, 0.3, 1.2],
        "low": [0.7, np.nan, 1.1],
        "high": [0.9, np.nan, 1.4],
        "ceiling": [0.95, 0.93, 1.0],
        "floor": [0.1, 0.1, np.nan],
    }
)


def test_bars_have_the_height_of_their_values_and_a_mark_of_the_ceiling():
    ax = quality_bars(SCORES)
    assert artist(ax, "bar-0-0").get_height() == 0.8
    assert artist(ax, "bar-0-1").get_height() == 0.3
    assert to_hex(artist(ax, "bar-0-1").get_facecolor()) == PALETTE[1]
    assert not has(ax, "bar-1-1")  # the gan has no density
    np.testing.assert_allclose(artist(ax, "interval-0-0").get_ydata(), [0.7, 0.9])
    assert not has(ax, "interval-0-1")
    np.testing.assert_allclose(artist(ax, "ceiling-0").get_ydata(), [0.94, 0.94])  # mean of both models
    assert has(ax, "floor-0")
    assert not has(ax, "floor-1")
    assert ax.get_ylim()[1] > 1.4
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "cvae",
        "gan",
        "real held-out",
        "genes shuffled",
    ]


def test_bars_below_zero_are_seen():
    ax = quality_bars(pd.DataFrame({"metric": ["mmd"], "model": ["a"], "value": [-0.2]}))
    assert ax.get_ylim()[0] < -0.2


def test_bars_refuse_what_cannot_be_drawn():
    with pytest.raises(DataError, match="no column 'model'"):
        quality_bars(SCORES.drop(columns="model"))
    with pytest.raises(DuplicateIds, match="'cvae' has two values of 'recall'"):
        quality_bars(SCORES.assign(model="cvae"))
    with pytest.raises(DataError, match="none of 3 rows"):
        quality_bars(SCORES.assign(value=np.inf))
    with pytest.raises(DataError, match="11 models"):
        quality_bars(pd.DataFrame({"metric": "m", "model": [f"m{i}" for i in range(11)], "value": 1.0}))


def test_the_slope_line_is_that_of_the_genes_that_differ():
    change = np.array([2.0, -1.0, 3.0, 0.0, 0.0])
    ax = fold_change_scatter(change, [1.0, -0.5, 1.5, 4.0, np.nan], different=change != 0, name="planted")
    x, y = artist(ax, "slope").get_data()
    np.testing.assert_allclose(y, 0.5 * np.asarray(x))
    x, y = artist(ax, "identity").get_data()
    np.testing.assert_allclose(y, x)
    assert len(artist(ax, "different").get_offsets()) == 3
    assert len(artist(ax, "others").get_offsets()) == 1
    assert "slope 0.50\n3 of 4 genes differ" in artist(ax, "note").get_text()
    assert ax.get_xlabel() == "Log2 fold change, planted"
    assert ax.get_xlim() == ax.get_ylim()


def test_fold_changes_need_two_genes_and_one_mark_a_gene():
    with pytest.raises(InvalidValues, match="1 genes that differ"):
        fold_change_scatter([1.0, 2.0], [1.0, np.nan])
    with pytest.raises(InvalidValues, match="2 numbers of real and 3 of synthetic"):
        fold_change_scatter([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(InvalidValues, match="1 marks for 2 genes"):
        fold_change_scatter([1.0, 2.0], [1.0, 2.0], different=[True])


def test_agreement_leaves_out_and_counts_what_a_log_axis_cannot_show():
    ax = gene_agreement([1.0, 10.0, 0.0], [2.0, 8.0, 1.0], name="Variance", log=True)
    np.testing.assert_array_equal(artist(ax, "genes").get_offsets(), [[1, 2], [10, 8]])
    assert artist(ax, "note").get_text() == "1 genes not shown"
    ax.get_figure(root=True).draw_without_rendering()
    assert {"1", "10"} <= {label.get_text() for label in ax.get_xticklabels()}  # and no TeX, which nothing reads
    assert len(artist(gene_agreement([0.0, 1.0], [0.0, 0.5], name="Zeros"), "genes").get_offsets()) == 2
    with pytest.raises(InvalidValues, match="none of 1 genes"):
        gene_agreement([0.0], [1.0], name="Variance", log=True)


def test_agreement_of_one_value_has_a_window():
    ax = gene_agreement([1.0], [1.0], name="Variance", log=True)
    assert ax.get_xlim()[0] < 1 < ax.get_xlim()[1]


def test_mean_and_variance_of_both_kinds():
    genes = pd.DataFrame(
        {
            "mean_real": [1.0, 2],
            "mean_synthetic": [1.1, 2.1],
            "variance_real": [3.0, 4],
            "variance_synthetic": [0.5, 0.6],
        }
    )
    ax = mean_variance(genes)
    np.testing.assert_allclose(artist(ax, "synthetic").get_offsets(), [[1.1, 0.5], [2.1, 0.6]])
    assert artist(ax, "synthetic").get_zorder() > artist(ax, "real").get_zorder()
    with pytest.raises(DataError, match="no column 'variance_synthetic'"):
        mean_variance(genes.drop(columns="variance_synthetic"))


def test_real_and_synthetic_share_the_window_and_each_has_its_panel():
    xy = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 1.0], [1.0, 1.0], [np.nan, 0.0]])
    kind = ["real", "real", "synthetic", "synthetic", "real"]
    figure = overlay_maps(xy, kind, ["a", "b", "a", "a", "b"], name="t-SNE", legend="group")
    both, real, synthetic = figure.axes
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["Both", "Real", "Synthetic"]
    assert both.get_xlim() == real.get_xlim() == synthetic.get_xlim()
    assert len(artist(both, "cells-0").get_offsets()) == 4
    np.testing.assert_array_equal(sorted(map(tuple, artist(synthetic, "cells-2").get_offsets())), [(0, 1), (1, 1)])
    assert {to_hex(colour) for colour in artist(synthetic, "cells-2").get_facecolor()} == {PALETTE[0]}
    assert {to_hex(colour) for colour in artist(both, "cells-0").get_facecolor()} == set(KIND_PAINT.values())
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries == ["real (2)", "synthetic (2)", "group", "a", "b"]


def test_without_a_colour_there_is_one_panel():
    figure = overlay_maps(np.eye(2), ["real", "synthetic"])
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 1


@pytest.mark.parametrize("kind", [["real", "fake"], ["real"]])
def test_kinds_are_two_words_one_a_sample(kind):
    with pytest.raises(DataError, match="give 'real' or 'synthetic' for each"):
        overlay_maps(np.eye(2), kind)


HISTORY = pd.DataFrame(
    {"epoch": [1, 2, 3, 4], "generator_loss": [1.0, 0.5, 0.4, 0.4], "critic_loss": [0.1, 0.2, np.nan, 0.4]}
)


def test_collapse_is_marked_where_diversity_is_low():
    history = HISTORY.assign(diversity=[0.9, 0.1, 0.05, 0.8])
    losses, diversity = training_curves(history, title="GAN").axes
    np.testing.assert_array_equal(artist(losses, "loss-generator_loss").get_ydata(), HISTORY["generator_loss"])
    assert [text.get_text() for text in losses.get_legend().get_texts()] == ["generator", "critic"]
    band = artist(diversity, "collapse-1")
    assert (band.get_x(), band.get_width()) == (1.5, 2.0)
    assert artist(diversity, "collapse").get_text() == "collapsed in\n2 of 4 epochs"
    assert artist(diversity, "limit").get_ydata()[0] == COLLAPSE
    assert collapsed(history).tolist() == [False, True, True, False]


def test_no_mark_without_collapse_and_no_panel_without_diversity():
    axes = training_curves(HISTORY.assign(diversity=0.9)).axes
    assert len(axes) == 2
    assert not has(axes[1], "collapse")
    assert len(training_curves(HISTORY).axes) == 1
    assert not collapsed(HISTORY).any()


def test_a_history_needs_epochs_and_a_loss():
    with pytest.raises(DataError, match="column 'epoch'"):
        training_curves(HISTORY.drop(columns="epoch"))
    with pytest.raises(DataError, match="ends in 'loss'"):
        training_curves(HISTORY[["epoch"]])
    with pytest.raises(DataError, match="0 rows"):
        training_curves(HISTORY.iloc[:0])


def test_one_wide_interval_does_not_flatten_the_bars() -> None:
    rows = {"metric": ["a", "b"], "model": "m", "value": [1.0, 0.7], "low": [0.9, 0.0], "high": [1.0, 40.0]}
    assert quality_bars(pd.DataFrame(rows)).get_ylim()[1] < 2
