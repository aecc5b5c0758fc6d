"""Maps of cells: t-SNE, UMAP or two latents, coloured by a group or by an amount."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import ArrayLike, NDArray

from cellixir.exceptions import DataError
from cellixir.figures.groups import Groups, as_column, as_groups, as_numbers, is_numbers
from cellixir.figures.map_labels import label_groups
from cellixir.figures.map_panel import WIDTH, amounts_bar, draw_amounts, draw_groups, frame_map, range_of
from cellixir.figures.map_places import Map, as_map, as_maps
from cellixir.figures.style import new_axes, shortened, styled

Floats = NDArray[np.float64]
Kind = Literal["auto", "groups", "numbers"]

_BESIDE = 2.9  # inches of a panel
_LEGEND: dict[str, Any] = {
    "alignment": "left",
    "labelspacing": 0.35,
    "handletextpad": 0.2,
    "borderaxespad": 0.2,
    "title_fontproperties": {"weight": "bold", "size": 8},
}


@styled
def latent_map(
    xy: ArrayLike | pd.DataFrame,
    colour: Any,
    *,
    title: str = "",
    kind: Kind = "auto",
    labels: bool = True,
    name: str = "map",
    legend: str = "",
    colours: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Cells on a map, each in the colour of its group or of its amount.

    Groups have a legend with counts and, where there is room, their names on the map; of more than 20 groups the
    biggest 19 are named. Amounts have a colour bar from their 1st to their 99th percentile, the highest drawn on top.
    Cells without a value are light grey and lie below the others; cells without a place are left out.

    Parameters
    ----------
    xy
        Places, shape ``(n_cells, 2)``; the columns of a DataFrame name the axes.
    colour
        One value a cell: categories, text or booleans are groups, numbers are amounts.
    kind
        ``"groups"`` for numbers that are codes of groups; ``"numbers"`` refuses text.
    labels
        Write the names of at most 12 groups on the map.
    name
        Of the map, for the axes: ``"t-SNE"`` gives "t-SNE 1" and "t-SNE 2".
    legend
        What the colours mean, above the legend or beside the bar; by default the name of ``colour``.
    colours
        Colour of each group, to keep it the same in several figures.

    Raises
    ------
    DataError
        If lengths differ, no cell has a place, or no cell has a value.
    """
    cells = as_map(xy, name)
    values = as_column(colour, len(cells.points), cells.index).iloc[np.flatnonzero(cells.placed)]
    points = cells.points[cells.placed]
    legend = legend or _legend_title(values)
    if _are_numbers(values, kind):
        amounts = as_numbers(values)
        ax = new_axes(WIDTH + 0.9, WIDTH) if ax is None else ax
        dots = draw_amounts(ax, points, amounts, range_of(amounts))
        frame_map(ax, points, cells.names, title)
        amounts_bar(ax, dots, amounts, legend)
        return ax
    groups = as_groups(values, colours=colours)
    handles = groups.handles()
    widest = max(len(str(handle.get_label())) for handle in handles)
    ax = new_axes(WIDTH + 0.55 + 0.066 * max(widest, len(legend)), WIDTH) if ax is None else ax
    draw_groups(ax, points, groups)
    frame_map(ax, points, cells.names, title)
    ax.legend(handles=handles, title=legend, loc="upper left", bbox_to_anchor=(1.02, 1.0), **_LEGEND)
    if labels:
        label_groups(ax, points, groups)
    return ax


@styled
def latent_maps(
    panels: Mapping[str, ArrayLike | pd.DataFrame],
    colour: Any,
    *,
    ncols: int = 3,
    kind: Kind = "auto",
    labels: bool = True,
    name: str = "map",
    legend: str = "",
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """The same cells on several maps side by side, with one legend or colour bar for all.

    Parameters
    ----------
    panels
        Title and places of each map, shape ``(n_cells, 2)``, the cells in the same order in all.
    ncols
        Most maps in a row.
    colour, kind, labels, name, legend, colours
        As in `latent_map`.

    Raises
    ------
    DataError
        If there is no map, lengths differ, or no cell has a place or a value.
    """
    _check_columns(ncols)
    maps, index = as_maps(panels, name)
    values = as_column(colour, len(maps[0][1].points), index)
    legend = legend or _legend_title(values)
    if _are_numbers(values, kind):
        figure, axes = _grid(len(maps), ncols, legend=0.7)
        _amounts_beside(axes, maps, as_numbers(values), legend)
        return figure
    figure, axes = _grid(len(maps), ncols, legend=2.2)
    _groups_beside(figure, axes, maps, as_groups(values, colours=colours), legend, labels=labels)
    return figure


def _amounts_beside(axes: list[Axes], maps: list[tuple[str, Map]], amounts: Floats, legend: str) -> None:
    for i, (ax, (title, cells)) in enumerate(zip(axes, maps, strict=True)):
        points = cells.points[cells.placed]
        dots = draw_amounts(ax, points, amounts[cells.placed], range_of(amounts), width=_BESIDE, gid=f"cells-{i}")
        frame_map(ax, points, cells.names, shortened(title))
    amounts_bar(axes, dots, amounts, legend)


def _groups_beside(
    figure: Figure, axes: list[Axes], maps: list[tuple[str, Map]], groups: Groups, legend: str, *, labels: bool
) -> None:
    for i, (ax, (title, cells)) in enumerate(zip(axes, maps, strict=True)):
        draw_groups(ax, cells.points[cells.placed], groups.of(cells.placed), width=_BESIDE, gid=f"cells-{i}")
        frame_map(ax, cells.points[cells.placed], cells.names, shortened(title))
    figure.legend(handles=groups.handles(), title=legend, loc="outside right upper", **_LEGEND)
    if not labels:
        return
    figure.draw_without_rendering()  # names find their room on the final layout
    for ax, (_, cells) in zip(axes, maps, strict=True):
        label_groups(ax, cells.points[cells.placed], groups.of(cells.placed), size=6.8, laid_out=True)


def _are_numbers(values: pd.Series, kind: Kind) -> bool:
    if kind not in ("auto", "groups", "numbers"):
        message = f"kind must be 'auto', 'groups' or 'numbers', not {kind!r}"
        raise DataError(message)
    return is_numbers(values) if kind == "auto" else kind == "numbers"


def _legend_title(values: pd.Series) -> str:
    return "" if values.name is None or isinstance(values.name, int) else shortened(values.name)


def _check_columns(ncols: int) -> None:
    if ncols < 1:
        message = f"ncols must be 1 or more, not {ncols}"
        raise DataError(message)


def _grid(n: int, ncols: int, *, legend: float) -> tuple[Figure, list[Axes]]:
    """Figure with ``n`` panels and room for a legend, all in inches."""
    columns = min(ncols, n)
    rows = -(-n // columns)
    size = (columns * (_BESIDE + 0.25) + legend, rows * (_BESIDE + 0.3))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.08))
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for ax in axes[n:]:
        ax.remove()
    return figure, axes[:n]
