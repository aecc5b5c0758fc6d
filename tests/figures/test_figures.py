from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.axes import Axes

from cellixir.exceptions import DataError, InvalidValues
from cellixir.figures.curves import best_epochs, learning_curves, mean_curve
from cellixir.figures.leaderboard import forest, score_histogram
from cellixir.figures.missing import block_means, missing_map, ordered
from cellixir.figures.regression import (
    box_statistics,
    extremes,
    observed_vs_predicted,
    residuals_by_group,
    residuals_vs_predicted,
    running_quantile,
)
from cellixir.figures.style import new_axes, shortened


def drawn(ax: Axes, gid: str):
    found = [artist for artist in ax.get_children() if artist.get_gid() == gid]
    assert len(found) == 1, f"{len(found)} artists with gid {gid!r}"
    return found[0]


def rows(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def test_observed_stands_on_y_and_the_identity_line_crosses_the_panel():
    ax = observed_vs_predicted([1.0, 2.0, 3.0], [0.0, 2.0, 10.0], label="ln IC50")
    np.testing.assert_array_equal(drawn(ax, "cloud").get_offsets(), [[0, 1], [2, 2], [10, 3]])
    x, y = drawn(ax, "identity").get_data()
    np.testing.assert_array_equal(x, y)
    assert ax.get_xlim() == ax.get_ylim() == tuple(x)
    assert x[0] < 0 < 10 < x[1]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Predicted ln IC50", "Observed ln IC50")


def test_panel_tells_r2_and_rmse():
    # errors 0, 0, 3: RMSE = sqrt(9 / 3), R2 = 1 - 9 / 2
    text = drawn(observed_vs_predicted([1, 2, 3], [1, 2, 0]), "fit").get_text()
    assert text.splitlines() == ["R² = -3.500", "RMSE = 1.732", "n = 3"]
    assert "R² = undefined" in drawn(observed_vs_predicted([2, 2], [1, 3]), "fit").get_text()


def test_many_points_become_hexagons_that_hold_each_of_them():
    rng = np.random.default_rng(0)
    y = rng.normal(size=5000)
    ax = observed_vs_predicted(y, y + rng.normal(size=5000))
    assert drawn(ax, "cloud").get_array().sum() == 5000
    assert drawn(ax, "cloud").get_rasterized()


@pytest.mark.parametrize("draw", [observed_vs_predicted, residuals_vs_predicted])
@pytest.mark.parametrize(
    ("observed", "predicted", "said"),
    [
        ([1, 2], [1], "2 observed and 1"),
        ([1], [1], "two or more"),
        ([1, np.nan, 3], [1, 2, np.inf], "2 of 3"),
    ],
)
def test_unusable_pairs_are_refused(draw, observed, predicted, said):
    with pytest.raises(InvalidValues, match=said):
        draw(observed, predicted)


def test_residuals_are_observed_less_predicted_with_their_running_median():
    predicted = np.repeat([0.0, 10.0], 50)
    observed = predicted + np.repeat([1.0, -2.0], 50)
    ax = residuals_vs_predicted(observed, predicted, bins=2)
    np.testing.assert_array_equal(drawn(ax, "cloud").get_offsets()[[0, -1]], [[0, 1], [10, -2]])
    np.testing.assert_array_equal(drawn(ax, "quantile-0.5").get_xydata(), [[0, 1], [10, -2]])


@settings(deadline=None)
@given(hnp.arrays(float, st.integers(1, 60), elements=st.floats(-1e6, 1e6)), st.integers(1, 70))
def test_running_median_of_the_identity_is_the_identity(x, bins):
    centres, values = running_quantile(x, x, bins=bins)
    np.testing.assert_array_equal(centres, values)
    assert (np.diff(centres) >= 0).all()
    assert len(centres) == min(bins, len(x))


def test_boxes_are_sorted_by_median_and_cut_to_the_largest_groups():
    residuals = [3, 3, 3, 1, 1, 2, 2, -9, 100]
    groups = ["skin"] * 3 + ["lung"] * 2 + ["bone"] * 2 + ["rare", None]
    ax = residuals_by_group(residuals, groups, top=3)
    assert rows(ax) == ["lung · 2", "bone · 2", "skin · 3"]
    medians = drawn(ax, "medians").get_segments()
    assert [segment[0][0] for segment in medians] == [1, 2, 3]


def test_box_statistics_are_the_quantiles():
    table = box_statistics(np.arange(101.0), ["a"] * 101)
    assert table.loc["a"].to_dict() == {"p5": 5, "q1": 25, "median": 50, "q3": 75, "p95": 95, "n": 101}
    with pytest.raises(InvalidValues, match="no residual has a group"):
        box_statistics([1.0, 2.0], [None, None])


def test_extremes_keep_both_ends_lowest_first():
    scores = pd.Series({"d": 0.4, "a": 0.1, "e": 1.5, "b": 0.2, "c": 0.3, "x": np.nan})
    ax = extremes(scores, notes=pd.Series({"a": "r 0.9"}), count=2)
    assert rows(ax) == ["a", "b", "d", "e"]
    np.testing.assert_allclose(drawn(ax, "scores").get_offsets()[:, 0], [0.1, 0.2, 0.4, 1.5])
    assert "r 0.9" in [text.get_text() for text in ax.texts]


@pytest.fixture
def history() -> pd.DataFrame:
    long = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [4.0, 3.0, 2.0], "validation_loss": [5.0, 2.0, 3.0]})
    short = long[:2].assign(train_loss=[2.0, 1.0], validation_loss=[3.0, 4.0])
    third = short.assign(validation_loss=np.nan)
    return pd.concat([long.assign(fold=0), short.assign(fold=1), third.assign(fold=2)])


def test_mean_curve_ends_where_fewer_than_half_of_the_runs_are_left(history):
    ax = learning_curves(history, title="MLP")
    np.testing.assert_allclose(drawn(ax, "mean-train_loss").get_xydata(), [[1, 8 / 3], [2, 5 / 3]])
    np.testing.assert_allclose(drawn(ax, "mean-validation_loss").get_xydata(), [[1, 4], [2, 3]])
    np.testing.assert_array_equal(drawn(ax, "stops").get_offsets(), [[2, 2], [1, 3]])
    assert ax.get_title(loc="left") == "MLP"


def test_epochs_out_of_order_make_the_same_curve(history):
    turned = learning_curves(history[::-1])
    np.testing.assert_allclose(
        drawn(turned, "mean-train_loss").get_xydata(),
        drawn(learning_curves(history), "mean-train_loss").get_xydata(),
    )


def test_history_without_validation_has_no_stop_point(history):
    run = history[:3].assign(validation_loss=np.nan)
    assert best_epochs([run]).empty
    assert mean_curve([run], "validation_loss").empty
    assert len(drawn(learning_curves(run.drop(columns="fold")), "stops").get_offsets()) == 0


def test_history_that_lacks_a_column_or_rows_is_refused(history):
    with pytest.raises(DataError, match="'epoch'"):
        learning_curves(history.drop(columns="epoch"))
    with pytest.raises(DataError, match="no epoch"):
        learning_curves(history[:0])


@pytest.fixture
def scores() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": ["mean", "net", "forest", "effects", "unscored"],
            "kind": ["baseline", "network", "tree", "baseline", "network"],
            "rmse": [9.0, 1.0, 1.1, 1.3, np.nan],
            "rmse_low": [8.9, 0.9, 1.0, 1.2, np.nan],
            "rmse_high": [9.1, 1.15, 1.2, 1.4, np.nan],
        }
    )


def test_forest_ranks_models_and_draws_their_intervals(scores):
    ax = forest(scores, reference="effects")
    assert rows(ax) == ["net", "forest", "effects", "mean", "unscored"]
    assert drawn(ax, "score-1").get_xdata()[0] == 1.1
    segments = [tuple(c.get_segments()[0][:, 0]) for c in ax.collections]
    assert segments[:3] == [(0.9, 1.15), (1.0, 1.2), (1.2, 1.4)]
    assert drawn(ax, "reference").get_xdata()[0] == 1.3
    assert [text.get_text() for text in ax.texts] == ["1.000", "1.100", "1.300", "9.000", "–"]


def test_forest_shows_a_far_model_as_an_arrow_at_the_edge(scores):
    crowd = pd.concat([scores, scores[1:4].assign(model=["a", "b", "c"])])
    ax = forest(crowd)
    assert ax.get_xlim()[1] < 2
    assert drawn(ax, "beyond-6").get_marker() == ">"


def test_forest_puts_the_highest_first_when_higher_is_better(scores):
    assert rows(forest(scores, lower_is_better=False))[0] == "mean"


def test_forest_without_a_score_is_refused(scores):
    with pytest.raises(DataError, match="'pearson'"):
        forest(scores, metric="pearson")
    with pytest.raises(DataError, match="no model has a value"):
        forest(scores.assign(rmse=np.nan))


def test_histogram_marks_the_median_and_skips_models_without_a_score():
    ax = score_histogram({"net": [0.1, 0.2, 0.9, np.nan], "mean": [np.nan, np.nan]}, bins=4)
    assert drawn(ax, "median-net").get_xdata()[0] == 0.2
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["net, median 0.20"]
    with pytest.raises(DataError, match="no model of 'mean'"):
        score_histogram({"mean": [np.nan]})


def test_missing_map_puts_the_fullest_sample_and_drug_in_the_corner():
    observed = np.array([[0, 0, 1], [1, 0, 1], [0, 0, 0], [1, 1, 1]], dtype=bool)
    ax = missing_map(observed)
    image = ax.images[0].get_array()
    np.testing.assert_array_equal(image, [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]])  # drugs x samples
    assert ax.get_title(loc="left") == "50.0% of 12 pairs measured"


def test_huge_map_is_averaged_to_the_pixels_asked_for():
    observed = np.random.default_rng(1).random((700, 90)) < 0.3
    image = missing_map(observed, pixels=(70, 30)).images[0].get_array()
    assert image.shape == (30, 70)
    assert image.mean() == pytest.approx(observed.mean())


@settings(deadline=None)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_ordering_moves_rows_and_columns_only(table):
    result = ordered(table)
    assert (np.diff(result.sum(axis=1)) <= 0).all()
    assert (np.diff(result.sum(axis=0)) <= 0).all()
    assert sorted(result.sum(axis=0)) == sorted(table.sum(axis=0))


@settings(deadline=None)
@given(
    hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)),
    st.integers(1, 14),
    st.integers(1, 14),
)
def test_block_means_stay_fractions_and_leave_small_tables_alone(table, height, width):
    means = block_means(table, height, width)
    assert means.shape == (min(height, table.shape[0]), min(width, table.shape[1]))
    assert ((means >= 0) & (means <= 1)).all()
    if means.shape == table.shape:
        np.testing.assert_array_equal(means, table)


@pytest.mark.parametrize("table", [np.zeros((0, 3)), np.zeros(4), np.zeros((3, 0))])
def test_map_of_nothing_is_refused(table):
    with pytest.raises(InvalidValues, match="samples x drugs"):
        missing_map(table)


@pytest.mark.real_data
def test_missing_map_of_the_published_screen(data_dir: Path):
    wide = pd.read_csv(data_dir / "IC50_v17.csv.gz", index_col=0)
    assert missing_map(wide.notna()).get_title(loc="left") == "81.7% of 261,820 pairs measured"


def test_given_axes_are_used_and_settings_of_the_reader_stay():
    before = dict(mpl.rcParams)
    ax = new_axes()
    assert observed_vs_predicted([1, 2], [1, 2], ax=ax) is ax
    assert dict(mpl.rcParams) == before


def test_names_with_dollar_signs_are_text():
    ax = extremes(pd.Series({r"$\nothing$": 0.5, "b": 0.7}))
    ax.figure.draw_without_rendering()
    assert rows(ax)[0] == r"$\nothing$"
    assert not ax.get_yticklabels()[0].get_parse_math()


def test_long_names_are_cut():
    assert shortened("x" * 40, 5) == "xxxx…"
    assert shortened(7) == "7"
