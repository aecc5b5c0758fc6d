from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from cellixir.exceptions import DataError, DuplicateIds, InvalidValues
from cellixir.figures.baselines import bars_with_baseline
from cellixir.figures.groups import PALETTE
from cellixir.figures.style import KIND_COLOURS, new_axes

TABLE = pd.DataFrame(
    [
        ("ARI", "VAE", 0.6, 0.5, 0.7),
        ("ARI", "PCA", 0.5, 0.45, 0.55),
        ("Macro-F1", "VAE", 0.9, np.nan, np.nan),
    ],
    columns=["metric", "model", "value", "low", "high"],
)


def drawn(ax: Axes, gid: str):
    found = [artist for artist in ax.get_children() if artist.get_gid() == gid]
    assert len(found) == 1, f"{len(found)} artists with gid {gid!r}"
    return found[0]


def has(ax: Axes, gid: str) -> bool:
    return any(artist.get_gid() == gid for artist in ax.get_children())


def test_each_model_has_its_point_interval_and_number():
    ax = bars_with_baseline(TABLE, title="10 latents")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ARI", "Macro-F1"]
    assert drawn(ax, "score-0-0").get_xdata()[0] == 0.6
    assert drawn(ax, "score-0-1").get_xdata()[0] == 0.5
    assert list(drawn(ax, "interval-0-1").get_xdata()) == [0.45, 0.55]
    assert drawn(ax, "score-0-0").get_ydata()[0] < 0 < drawn(ax, "score-0-1").get_ydata()[0] < 0.5
    assert [drawn(ax, f"number-{i}-{j}").get_text() for i in (0, 1) for j in (0, 1)] == ["0.600", "0.500", "0.900", "–"]
    assert not has(ax, "interval-1-0")
    assert not has(ax, "score-1-1")
    assert ax.get_title(loc="left") == "10 latents"


def test_models_differ_in_colour_and_marker_and_pca_is_the_baseline():
    ax = bars_with_baseline(TABLE)
    vae, pca = drawn(ax, "score-0-0"), drawn(ax, "score-0-1")
    assert to_hex(vae.get_color()) == PALETTE[0]
    assert to_hex(pca.get_color()) == KIND_COLOURS["baseline"]
    assert (vae.get_marker(), pca.get_marker()) == ("o", "D")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["VAE", "PCA"]
    assert [handle.get_marker() for handle in ax.get_legend().legend_handles] == ["o", "D"]
    other = bars_with_baseline(TABLE, colours={"VAE": "#ff0000"}, baselines=())
    assert to_hex(drawn(other, "score-0-0").get_color()) == "#ff0000"
    assert drawn(other, "score-0-1").get_marker() == "s"


def test_axis_reaches_from_0_to_1_or_as_far_as_values_go():
    low, high = bars_with_baseline(TABLE).get_xlim()
    assert -0.05 < low < 0 and 1 < high < 1.05  # noqa: PT018
    low, _ = bars_with_baseline(TABLE.assign(low=[-0.4, 0.45, np.nan])).get_xlim()
    assert -0.5 < low < -0.4


def test_axes_of_others_and_a_table_without_intervals():
    ax = new_axes()
    assert bars_with_baseline(TABLE[["metric", "model", "value"]], ax=ax) is ax
    assert not has(ax, "interval-0-0")


@pytest.mark.parametrize(
    ("error", "table", "said"),
    [
        (DataError, TABLE.drop(columns="value"), "no column 'value'"),
        (DataError, TABLE.iloc[:0], "none of 0 rows"),
        (DataError, TABLE.assign(value=np.inf), "none of 3 rows"),
        (DuplicateIds, pd.concat([TABLE, TABLE[:1]]), "'VAE' has two values of 'ARI'"),
        (InvalidValues, TABLE.assign(low=[0.8, 0.4, 0.1]), "from 0.8 to 0.7"),
        (DataError, pd.DataFrame({"metric": "a", "model": range(11), "value": 1.0}), "11 models"),
    ],
)
def test_what_cannot_be_drawn_is_refused(error, table, said):
    with pytest.raises(error, match=said):
        bars_with_baseline(table)
