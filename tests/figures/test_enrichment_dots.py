from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from cellixir.exceptions import DataError, DuplicateIds, InvalidValues
from cellixir.figures.correlation import DIVERGING
from cellixir.figures.enrichment import enrichment_dots
from cellixir.figures.style import SEQUENTIAL, new_axes

TABLE = pd.DataFrame(
    [
        ("Cell Cycle, Mitotic", "latent 2", 2.4, 1e-4, 40),
        ("Cell Cycle, Mitotic", "latent 10", -0.4, 0.7, 10),
        ("Interferon alpha/beta signaling", "latent 10", -1.8, 1e-2, 20),
        ("$\\Odd_NAME$", "latent 2", 1.1, 0.3, 5),
    ],
    columns=["pathway", "latent", "score", "fdr", "overlap"],
)


def dots(ax: Axes):
    return next(artist for artist in ax.collections if artist.get_gid() == "dots")


def by_place(ax: Axes, values) -> dict[tuple[int, int], float]:
    return {tuple(map(int, place)): v for place, v in zip(dots(ax).get_offsets(), values, strict=True)}


def rows(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def test_dots_stand_at_latent_and_pathway_in_the_colour_of_the_score():
    ax = enrichment_dots(TABLE, title="VAE")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["latent 2", "latent 10"]
    assert rows(ax) == ["Cell Cycle, Mitotic", "$\\Odd_NAME$", "Interferon alpha/beta signaling"]
    colours = by_place(ax, [to_hex(colour) for colour in dots(ax).get_facecolor()])
    assert colours[(0, 0)] == to_hex(DIVERGING(1.0))  # 2.4 is the largest
    assert colours[(1, 2)] == to_hex(DIVERGING((2.4 - 1.8) / 4.8))
    assert set(colours) == {(0, 0), (1, 0), (0, 1), (1, 2)}
    ax.get_figure(root=True).draw_without_rendering()


def test_area_grows_with_certainty_and_findings_have_an_edge():
    ax = enrichment_dots(TABLE)
    sizes = by_place(ax, dots(ax).get_sizes())
    assert sizes[(0, 0)] > sizes[(1, 2)] > sizes[(0, 1)] > sizes[(1, 0)]
    widths = by_place(ax, dots(ax).get_linewidths())
    assert {place for place, width in widths.items() if width} == {(0, 0), (1, 2)}
    alphas = by_place(ax, dots(ax).get_facecolor()[:, 3])
    assert alphas[(0, 0)] == 1.0
    assert alphas[(1, 0)] < 0.5
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["1", "2", "4", "FDR ≤ 0.05"]


def test_an_fdr_of_0_is_as_large_as_the_scale_goes():
    ax = enrichment_dots(TABLE.assign(fdr=[0.0, 0.7, 1e-9, 0.3]))
    sizes = by_place(ax, dots(ax).get_sizes())
    assert sizes[(0, 0)] == pytest.approx(sizes[(1, 2)])
    assert "6 or more" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert np.isfinite(dots(enrichment_dots(TABLE.assign(fdr=1.0))).get_sizes()).all()


def test_area_can_tell_the_overlap():
    ax = enrichment_dots(TABLE, size="overlap")
    sizes = by_place(ax, dots(ax).get_sizes())
    assert sizes[(0, 0)] > sizes[(1, 2)] > sizes[(1, 0)] > sizes[(0, 1)]
    assert ax.get_legend().get_title().get_text() == "genes in both"


def test_the_best_pathways_of_each_latent_are_shown_in_steps():
    table = pd.DataFrame(
        [(f"P{latent}{i}", f"z{latent}", 1.0, 0.01 * (i + 1), 3) for latent in range(5) for i in range(6)],
        columns=TABLE.columns,
    )
    ax = enrichment_dots(table, top=2)
    assert rows(ax) == [f"P{latent}{i}" for latent in range(5) for i in range(2)]
    assert len(dots(ax).get_offsets()) == 10


def test_never_more_than_40_pathways():
    table = pd.DataFrame(
        [(f"P{latent}-{i}", f"z{latent}", 1.0, 0.01, 3) for latent in range(60) for i in range(5)],
        columns=TABLE.columns,
    )
    assert len(rows(enrichment_dots(table, top=5))) == 40


def test_scores_of_one_sign_have_a_sequential_map():
    ax = enrichment_dots(TABLE.assign(score=[1.0, 2, 3, 4]))
    colours = by_place(ax, [to_hex(colour) for colour in dots(ax).get_facecolor()])
    assert colours[(0, 1)] == to_hex(SEQUENTIAL(1.0))
    below = enrichment_dots(TABLE.assign(score=[-1.0, -2, -3, -4]))
    colours = by_place(below, [to_hex(colour) for colour in dots(below).get_facecolor()])
    assert colours[(0, 1)] == to_hex(SEQUENTIAL(1.0))  # the strongest is the darkest there too


def test_long_names_that_begin_alike_stay_apart():
    names = [
        f"Regulation of TP53 Activity through a very long mechanism of {end}" for end in ("Acetylation", "Binding")
    ]
    ax = enrichment_dots(pd.DataFrame({"pathway": names, "latent": "z", "score": 1.0, "fdr": 0.01}))
    assert len(set(rows(ax))) == 2
    assert all(len(name) <= 46 and "…" in name for name in rows(ax))


def test_categories_give_the_order_of_latents():
    latents = pd.Categorical(TABLE["latent"], categories=["latent 10", "unused", "latent 2"])
    ax = enrichment_dots(TABLE.assign(latent=latents), ax=new_axes())
    assert [label.get_text() for label in ax.get_xticklabels()] == ["latent 10", "latent 2"]


@pytest.mark.parametrize(
    ("error", "table", "options", "said"),
    [
        (DataError, TABLE.iloc[:0], {}, "none of 0 rows"),
        (DataError, TABLE.assign(score=np.nan), {}, "none of 4 rows"),
        (DataError, TABLE.drop(columns="fdr"), {}, "no column 'fdr'"),
        (DataError, TABLE.drop(columns="overlap"), {"size": "overlap"}, "no column 'overlap'"),
        (DataError, TABLE, {"size": "area"}, "size must be"),
        (DataError, TABLE, {"top": 0}, "top 1 or more"),
        (InvalidValues, TABLE.assign(fdr=[0.1, 1.5, 0.1, -1]), {}, "2 FDR are not between"),
        (DuplicateIds, pd.concat([TABLE, TABLE]), {}, "'Cell Cycle, Mitotic' stands twice for latent 'latent 2'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(error, table, options, said):
    with pytest.raises(error, match=said):
        enrichment_dots(table, **options)
