"""Names of groups on a map of cells, each at the median of its group."""

from __future__ import annotations

from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from cellixir.figures.groups import Groups
from cellixir.figures.names import shortened_apart
from cellixir.figures.style import INK

#: Most groups that are labelled; of more, the legend alone tells.
MOST_LABELS = 12
_NEIGHBOURS = 15
_LONG = 16  # letters of a name that stands in one line
_APART = 1.5  # points between two names
_STEPS = (0.0, 0.7, -0.7, 1.1, -1.1, 1.8, -1.8)  # heights of a name by which it may step aside


def label_groups(
    ax: Axes, points: NDArray[np.float64], groups: Groups, *, size: float = 7.8, laid_out: bool = False
) -> list[Annotation]:
    """Names written at the medians of their groups, the biggest groups first.

    A name is left out where its median lies among cells of another group, or where it would stand on another name.

    Parameters
    ----------
    points
        Places of the cells, shape ``(n_cells, 2)``.
    size
        Of the letters, in points.
    laid_out
        The figure has its final layout, which need not be computed again.
    """
    codes = [code for code in groups.named if groups.counts[code]]
    if not 1 < len(codes) <= MOST_LABELS:
        return []
    if not laid_out:
        cast(Figure, ax.get_figure(root=True)).draw_without_rendering()
    names = [_two_lines(name) for name in shortened_apart(groups.names, 30)]
    panel, taken, written = ax.get_window_extent(), list[Bbox](), list[Annotation]()
    for code in sorted(codes, key=lambda code: -int(groups.counts[code])):
        own = points[groups.codes == code]
        centre = np.median(own, axis=0)
        if not at_home(points, groups, code, centre):
            continue
        text = _write(ax, names[code], centre, size, f"label-{code}")
        box = _place(text, panel, taken, ax.transData.transform(own))
        if box is None:
            text.remove()
            continue
        taken.append(box)
        written.append(text)
    return written


def at_home(points: NDArray[np.float64], groups: Groups, code: int, centre: NDArray[np.float64]) -> bool:
    """Whether no other group has more cells than ``code`` among those nearest to ``centre``."""
    distance = ((points - centre) ** 2).sum(axis=1)
    distance[groups.codes < 0] = np.inf
    k = min(_NEIGHBOURS, int(groups.counts[code]))
    nearest = groups.codes[np.argpartition(distance, k - 1)[:k]]
    return bool(np.bincount(nearest[nearest >= 0], minlength=1).max() <= (nearest == code).sum())


def _two_lines(name: str) -> str:
    """Name broken at the space nearest to its middle, if it is long."""
    spaces = [i for i, letter in enumerate(name) if letter == " "]
    if len(name) <= _LONG or not spaces:
        return name
    cut = min(spaces, key=lambda i: abs(2 * i - len(name)))
    return f"{name[:cut]}\n{name[cut + 1 :]}"


def _write(ax: Axes, name: str, centre: NDArray[np.float64], size: float, gid: str) -> Annotation:
    text = ax.annotate(name, (float(centre[0]), float(centre[1])), xytext=(0, 0), textcoords="offset points",
                       ha="center", va="center", fontsize=size, linespacing=1.05, color=INK, zorder=6, gid=gid,
                       path_effects=[withStroke(linewidth=2.8, foreground="white")])  # fmt: skip
    text.set_in_layout(False)
    return text


def _place(text: Annotation, panel: Bbox, taken: list[Bbox], own: NDArray[np.float64]) -> Bbox | None:
    """Extent of the label where it hides neither another nor half of its own cells, in the panel; None for no room."""
    point = cast(Figure, text.get_figure(root=True)).dpi / 72
    box = text.get_window_extent().padded(_APART / 2 * point)
    aside = max(panel.x0 - box.x0, 0.0) - max(box.x1 - panel.x1, 0.0)
    for share in _STEPS:
        up = share * box.height
        moved = Bbox([[box.x0 + aside, box.y0 + up], [box.x1 + aside, box.y1 + up]])
        free = panel.y0 <= moved.y0 and moved.y1 <= panel.y1 and not any(moved.overlaps(other) for other in taken)
        if free and 2 * moved.count_contains(own) <= len(own):
            text.set_position((aside / point, up / point))
            return moved
    return None
