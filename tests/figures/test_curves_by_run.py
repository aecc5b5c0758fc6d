from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from cellixir.exceptions import DataError
from cellixir.figures.curves import curves_by_run
from cellixir.figures.groups import OTHER, PALETTE
from cellixir.figures.style import new_axes


def history(n: int = 20, first: float = 0.0, best: int = 15, end: float = 1.0) -> pd.DataFrame:
    epoch = np.arange(1, n + 1)
    validation = end + 0.01 * np.abs(epoch - best)
    validation[0] += first
    return pd.DataFrame({"epoch": epoch, "train_loss": validation - 0.1, "validation_loss": validation})


def drawn(ax: Axes, gid: str):
    found = [artist for artist in ax.get_children() if artist.get_gid() == gid]
    assert len(found) == 1, f"{len(found)} artists with gid {gid!r}"
    return found[0]


def entries(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def clipped(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts if text.get_gid() == "clipped"]


def test_each_experiment_has_one_colour_and_a_dot_at_its_best():
    tables = {"hidden 256": history(), "hidden $64_x$": history(30, best=7, end=2.0)}
    ax = curves_by_run(tables, title="Melanoma", loss="Negative ELBO")
    for i, (table, best) in enumerate(zip(tables.values(), [(15, 1.0), (7, 2.0)], strict=True)):
        np.testing.assert_allclose(drawn(ax, f"validation-{i}").get_xydata(), table[["epoch", "validation_loss"]])
        np.testing.assert_allclose(drawn(ax, f"train-{i}").get_xydata(), table[["epoch", "train_loss"]])
        np.testing.assert_allclose(drawn(ax, f"stop-{i}").get_offsets(), [best])
        lines = [drawn(ax, f"{kind}-{i}") for kind in ("train", "validation")]
        assert {to_hex(line.get_color()) for line in lines} == {PALETTE[i]}
        assert lines[0].get_linewidth() < lines[1].get_linewidth()
        assert (lines[0].is_dashed(), lines[1].is_dashed()) == (True, False)
    assert entries(ax) == ["hidden 256: 1.000 at 15", "hidden $64_x$: 2.000 at 7", "validation, lowest", "training"]
    assert (ax.get_title(loc="left"), ax.get_ylabel()) == ("Melanoma", "Negative ELBO")
    ax.get_figure(root=True).draw_without_rendering()


def test_a_first_epoch_that_is_far_too_high_is_cut_and_said():
    ax = curves_by_run({"a": history(first=1e6), "b": history(first=5.0)})
    low, high = ax.get_ylim()
    assert low < 0.9
    assert 1.13 < high < 1.25  # the highest loss after the first tenth is 1.12
    assert clipped(ax) == ["first epochs go up to 1.000e+06"]


def test_a_start_that_is_not_too_high_is_shown():
    ax = curves_by_run({"a": history(first=0.2)})
    assert ax.get_ylim()[1] > 1.34
    assert clipped(ax) == []


def test_folds_are_averaged():
    folds = pd.concat([history().assign(fold=0), history(end=3.0).assign(fold=1)])
    ax = curves_by_run({"a": folds})
    np.testing.assert_allclose(drawn(ax, "stop-0").get_offsets(), [(15, 2.0)])


def test_experiments_without_validation_or_that_diverged():
    tables = {"none": history().assign(validation_loss=np.nan), "far": history().replace(1.0, np.inf)}
    ax = curves_by_run(tables)
    assert len(drawn(ax, "stop-0").get_offsets()) == 0
    assert entries(ax)[0] == "none"
    assert np.isfinite(ax.get_ylim()).all()
    one = curves_by_run({"a": history(1)}, ax=new_axes())
    np.testing.assert_allclose(drawn(one, "stop-0").get_offsets(), [(1, 1.14)])


def test_of_many_experiments_the_best_are_coloured():
    ax = curves_by_run({f"run {i}": history(end=20.0 - i) for i in range(15)})
    assert entries(ax)[-3:] == ["3 others", "validation, lowest", "training"]
    assert len(entries(ax)) == 15
    assert [to_hex(drawn(ax, f"validation-{i}").get_color()) == OTHER for i in (0, 2, 3, 14)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_colour_can_be_given():
    ax = curves_by_run({"a": history()}, colours={"a": "#ff0000"})
    assert to_hex(drawn(ax, "validation-0").get_color()) == "#ff0000"


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(DataError, match="no experiment of none"):
        curves_by_run({})
    with pytest.raises(DataError, match="no epoch") as caught:
        curves_by_run({"a": history(), "b": history()[:0]})
    assert "in the experiment 'b'" in caught.value.__notes__
    with pytest.raises(DataError, match="'train_loss'"):
        curves_by_run({"a": history().drop(columns="train_loss")})
    with pytest.raises(DataError, match="finite loss"):
        curves_by_run({"a": history().assign(train_loss=np.nan, validation_loss=np.nan)})
