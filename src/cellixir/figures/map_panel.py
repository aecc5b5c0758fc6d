"""One panel of a map of cells: the points, its two short arrows and its colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba_array
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cellixir.figures.groups import MISSING, MISSING_WORD, Groups, legend_dot
from cellixir.figures.style import MUTED, SEQUENTIAL

Floats = NDArray[np.float64]

# The lightest of the house colours would be lost on white, and be taken for a missing value.
AMOUNTS = LinearSegmentedColormap.from_list("amounts", [SEQUENTIAL(share) for share in np.linspace(0.12, 1.0, 64)])
#: Inches of a panel that stands alone.
WIDTH = 3.9
CLIP = (1.0, 99.0)
_ARROW = 0.16  # of the panel's width
_SEED = 0


def draw_groups(
    ax: Axes, points: Floats, groups: Groups, *, width: float = WIDTH, gid: str = "cells"
) -> PathCollection:
    """Points in the colours of their groups, in random order so that no group hides another; missing ones below.

    Parameters
    ----------
    points
        Finite places, shape ``(n_cells, 2)``.
    width
        Of the panel, in inches; points are smaller in a smaller panel.
    """
    size, alpha = point_size(len(points), width), point_alpha(len(points))
    order = np.random.default_rng(_SEED).permutation(len(points))
    order = order[groups.codes[order] >= 0]
    _missing(ax, points[groups.codes < 0], size, alpha, gid)
    paint = to_rgba_array(groups.colours)[groups.codes[order]]
    x, y = points[order].T
    return ax.scatter(x, y, s=size, c=paint, alpha=alpha, linewidths=0, rasterized=True, zorder=3, gid=gid)


def draw_amounts(
    ax: Axes,
    points: Floats,
    amounts: Floats,
    limits: tuple[float, float],
    *,
    width: float = WIDTH,
    gid: str = "cells",
) -> PathCollection:
    """Points in the colours of their amounts, high ones on top and cells without an amount below."""
    size, alpha = point_size(len(points), width), point_alpha(len(points))
    known = np.isfinite(amounts)
    _missing(ax, points[~known], size, alpha, gid)
    order = np.flatnonzero(known)[np.argsort(amounts[known], kind="stable")]
    x, y = points[order].T
    return ax.scatter(x, y, s=size, c=amounts[order], cmap=AMOUNTS, norm=Normalize(*limits), alpha=alpha,
                      linewidths=0, rasterized=True, zorder=3, gid=gid)  # fmt: skip


def range_of(amounts: Floats) -> tuple[float, float]:
    """1st and 99th percentile; lowest and highest where these are the same."""
    known = amounts[np.isfinite(amounts)]
    if not len(known):
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(known, CLIP))
    if high <= low:
        # as of a gene that less than one cell in a hundred expresses
        low, high = float(known.min()), float(known.max())
    return (low, high) if high > low else (low, low + 1.0)


def point_size(n: int, width: float = WIDTH) -> float:
    """Area of a point of a map of ``n`` cells, in square points: 30 for 200 cells, half a point for 200,000.

    It goes with the area of the panel, but is never below a quarter of a square point.
    """
    return float(max(np.clip(30.0 * (200.0 / max(n, 1)) ** 0.6, 0.4, 40.0) * (width / WIDTH) ** 2, 0.25))


def point_alpha(n: int) -> float:
    """Opacity of a point of a map of ``n`` cells, from 0.9 down to 0.6."""
    return float(np.clip(0.9 - 0.2 * np.log10(max(n, 1) / 2000), 0.6, 0.9))


def frame_map(ax: Axes, points: Floats, names: tuple[str, str], title: str) -> None:
    """Square window without ticks, and in its corner two short arrows with the names of the axes."""
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    half = 0.54 * float(np.ptp(points, axis=0).max()) or 1.0
    ax.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] - half, centre[1] + half), title=title)
    ax.set_aspect("equal")
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    _arrow(ax, (_ARROW, 0.0))
    ax.annotate(names[0], (0, 0), xycoords="axes fraction", xytext=(0, -4), textcoords="offset points", fontsize=7.5,
                color=MUTED, ha="left", va="top", gid="axis-x", annotation_clip=False)  # fmt: skip
    _arrow(ax, (0.0, _ARROW))
    ax.annotate(names[1], (0, 0), xycoords="axes fraction", xytext=(-4, 0), textcoords="offset points", fontsize=7.5,
                color=MUTED, ha="right", va="bottom", rotation=90, gid="axis-y", annotation_clip=False)  # fmt: skip


def _arrow(ax: Axes, tip: tuple[float, float]) -> None:
    ax.annotate("", tip, (0, 0), xycoords="axes fraction", textcoords="axes fraction", annotation_clip=False,
                arrowprops={"arrowstyle": "-|>,head_length=0.25,head_width=0.12", "color": MUTED, "linewidth": 0.8,
                            "shrinkA": 0, "shrinkB": 0})  # fmt: skip


def amounts_bar(axes: Axes | Sequence[Axes], dots: PathCollection, amounts: Floats, label: str) -> None:
    """Colour bar beside the maps, with an arrow at an end where amounts lie beyond it, and how many are missing."""
    first = axes if isinstance(axes, Axes) else axes[0]
    figure = cast(Figure, first.get_figure(root=True))
    key = ScalarMappable(dots.norm, dots.cmap)  # the points themselves may be transparent
    bar = figure.colorbar(key, ax=axes if isinstance(axes, Axes) else list(axes), shrink=0.62, aspect=24, pad=0.015,
                          extend=_beyond(amounts, dots), extendfrac=0.06)  # fmt: skip
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=7.5, pad=3)
    if np.nanmin(amounts) == np.nanmax(amounts):
        bar.set_ticks([float(np.nanmin(amounts))])
    else:
        bar.ax.locator_params(nbins=6)
    bar.set_label(label, fontsize=8, color=MUTED)
    if n_missing := int(np.isnan(amounts).sum()):
        first.legend(handles=[legend_dot(f"{MISSING_WORD} ({n_missing:,})", MISSING)], loc="upper right",
                     bbox_to_anchor=(1.0, 0.0), borderaxespad=0.3, handletextpad=0.3)  # fmt: skip


def _beyond(amounts: Floats, dots: PathCollection) -> Literal["neither", "min", "max", "both"]:
    lowest, highest = dots.get_clim()
    low, high = bool(np.nanmin(amounts) < lowest), bool(np.nanmax(amounts) > highest)
    if low and high:
        return "both"
    return "min" if low else "max" if high else "neither"


def _missing(ax: Axes, points: Floats, size: float, alpha: float, gid: str) -> None:
    if len(points):
        x, y = points.T
        ax.scatter(x, y, s=size, color=MISSING, alpha=alpha, linewidths=0, rasterized=True, zorder=2,
                   gid=gid.replace("cells", "missing"))  # fmt: skip
