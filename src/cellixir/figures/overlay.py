"""Real and synthetic samples on one map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from cellixir.exceptions import DataError, examples
from cellixir.figures.groups import Groups, as_column, as_groups, legend_dot
from cellixir.figures.map_panel import draw_groups, frame_map
from cellixir.figures.map_places import as_map
from cellixir.figures.names import shortened_apart
from cellixir.figures.style import shortened, styled
from cellixir.figures.synthesis import KIND_PAINT, REAL, SYNTHETIC

_PANEL = 2.75  # inches


@styled
def overlay_maps(
    xy: ArrayLike | pd.DataFrame,
    kind: ArrayLike,
    colour: Any | None = None,
    *,
    name: str = "PC",
    legend: str = "",
) -> Figure:
    """Real and synthetic samples on one map; and where given a colour, each alone in these colours.

    All panels have the same window, so a place that one kind leaves empty is seen.

    Parameters
    ----------
    xy
        Places, shape ``(n, 2)``.
    kind
        ``real`` or ``synthetic``, one a sample.
    colour
        Batch, group or cell type of each sample.
    name, legend
        Of the map, and of the colours.

    Raises
    ------
    DataError
        If lengths differ, no sample has a place or a kind is another word.
    """
    cells = as_map(xy, name)
    kinds = _kinds(kind, len(cells.points))[cells.placed]
    points = cells.points[cells.placed]
    both = as_groups(pd.Series(kinds), colours=KIND_PAINT)
    panels: list[tuple[str, NDArray[np.bool_], Groups]] = [("Both", np.ones(len(points), dtype=bool), both)]
    if colour is not None:
        groups = as_groups(as_column(colour, len(cells.points), cells.index).iloc[np.flatnonzero(cells.placed)])
        panels += [(word.capitalize(), kinds == word, groups) for word in (REAL, SYNTHETIC)]
    figure = Figure(figsize=(len(panels) * (_PANEL + 0.1) + 1.7, _PANEL + 0.35), layout=ConstrainedLayoutEngine())
    axes = figure.subplots(1, len(panels), squeeze=False).ravel()
    for i, (ax, (title, rows, groups)) in enumerate(zip(axes, panels, strict=True)):
        draw_groups(ax, points[rows], groups.of(rows), width=_PANEL, gid=f"cells-{i}")
        frame_map(ax, points, cells.names if i == 0 else ("", ""), title)
    _map_legends(figure, both, panels[-1][2] if colour is not None else None, legend)
    return figure


def _kinds(kind: ArrayLike, n: int) -> NDArray[np.str_]:
    kinds = np.asarray(kind, dtype=np.str_)
    strange = sorted(set(kinds.ravel().tolist()) - {REAL, SYNTHETIC})
    if kinds.shape != (n,) or strange:
        message = (
            f"{kinds.size:,} kinds for {n:,} samples, among them {examples(strange)}; "
            if strange
            else f"{kinds.size:,} kinds for {n:,} samples; "
        )
        message += "give 'real' or 'synthetic' for each"
        raise DataError(message)
    return kinds


def _map_legends(figure: Figure, both: Groups, groups: Groups | None, legend: str) -> None:
    """One legend beside the panels: the kinds, and below them the groups."""
    entries = both.handles()
    if groups is not None:
        head = Line2D([], [], linestyle="none", label=shortened(legend or "group"))
        names = shortened_apart(groups.names, 22)
        entries += [head, *(legend_dot(text, paint) for text, paint in zip(names, groups.colours, strict=True))]
    drawn = figure.legend(handles=entries, loc="outside right upper", alignment="left", labelspacing=0.35,
                          handletextpad=0.2, borderaxespad=0.2)  # fmt: skip
    if groups is not None:
        drawn.get_texts()[len(both.handles())].set_fontweight("bold")
