"""Volcano plot: how large an effect is, and how sure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike, NDArray

from cellixir.exceptions import InvalidValues
from cellixir.figures.style import ACCENT, INK, MUTED, WARM, new_axes, shortened, styled

Floats = NDArray[np.float64]

#: A feature that goes with a lower response, or with a higher one.
SENSITIVE, RESISTANT = ACCENT, WARM
NOT_A_HIT = "#c3cad3"
_DIRECTIONS = [(np.cos(a), np.sin(a)) for a in np.deg2rad(np.arange(0, 360, 15))]
#: Size of the letters of a label.
FONT = 7.2
_REACH = (7.0, 12.0, 18.0, 25.0, 33.0, 42.0)  # points
_COVERED = 2  # hits that a label may stand on


@styled
def volcano(
    effect: ArrayLike,
    pvalue: ArrayLike,
    n_pos: ArrayLike,
    hit: ArrayLike,
    *,
    labels: Sequence[str] | None = None,
    n_labels: int = 16,
    threshold: float | None = None,
    threshold_label: str = "",
    xlabel: str = "Effect size",
    ax: Axes | None = None,
) -> Axes:
    """Effect with its sign against -log10 of its p-value, one point a test.

    Hits below 0 are sensitive (blue), above 0 resistant (orange); the rest is grey. The area of a point grows with
    the number of positive lines, up to 600. A p-value of 0 is drawn at the upper edge. The vertical axis is that of
    the square root, so that one test far above all others does not press the rest together.

    Parameters
    ----------
    effect, pvalue, n_pos, hit
        One value a test, shape ``(n,)``; tests without an effect or p-value are left out.
    labels
        Text of each test; the `n_labels` hits with the smallest p-values are labelled where there is room, so that no
        two labels overlap.
    threshold, threshold_label
        p-value at which a dashed line is drawn, and what stands on it.

    Raises
    ------
    InvalidValues
        If the lengths differ, or no test has both an effect and a p-value.
    """
    x, p, size, marked, keep = _checked(effect, pvalue, n_pos, hit)
    y = _height(p)
    ax = new_axes(7.4, 5.0) if ax is None else ax
    _points(ax, x, y, size, marked)
    if threshold is not None and threshold > 0:
        ax.axhline(-np.log10(threshold), color=MUTED, linewidth=0.9, dashes=(4, 3), zorder=1, gid="threshold")
        ax.annotate(threshold_label, (0, -np.log10(threshold)), xycoords=("axes fraction", "data"), ha="left",
                    va="top", xytext=(3, -2), textcoords="offset points", fontsize=7.5, color=MUTED)  # fmt: skip
    ax.axvline(0, color="#aab3be", linewidth=0.7, zorder=1)
    ax.set(xlabel=xlabel, ylabel="−log10 p-value")
    _root_scale(ax, max(1.0, float(y.max())))
    _legend(ax, size, marked, x)
    if labels is not None and n_labels > 0:
        names = [shortened(labels[int(i)], 34) for i in np.flatnonzero(keep)]
        _write_labels(ax, x, y, marked, names, n_labels)
    return ax


def _checked(
    effect: ArrayLike, pvalue: ArrayLike, n_pos: ArrayLike, hit: ArrayLike
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    x, p, n = (np.asarray(values, dtype=np.float64) for values in (effect, pvalue, n_pos))
    marked = np.asarray(hit, dtype=bool)
    if len({len(values) for values in (x, p, n, marked)}) > 1:
        counts = f"{len(x)} effects, {len(p)} p-values, {len(n)} counts and {len(marked)} marks"
        message = f"{counts}; give one of each for every test"
        raise InvalidValues(message)
    keep = np.isfinite(x) & np.isfinite(p)
    if not keep.any():
        message = f"none of {len(x)} tests has an effect and a p-value; leave the figure out"
        raise InvalidValues(message)
    return x[keep], p[keep], n[keep], marked[keep], keep


def _height(p: Floats) -> Floats:
    """-log10 p; a p-value of 0 a little above the highest that is known."""
    known = -np.log10(p, out=np.zeros_like(p), where=p > 0)
    return np.where(p > 0, known, 1.05 * max(1.0, float(known.max())))


def _root_scale(ax: Axes, top: float) -> None:
    ax.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0.0)), np.square))
    ticks = [t for t in (0, 1, 3, 5, 10, 20, 40, 60, 80, 100, 150, 200, 250, 300) if t <= 1.05 * top]
    ax.set_yticks(ticks if top > 3 else [0, 1, 2, 3], minor=False)
    ax.set_ylim(0, 1.1 * top)


def _area(n: ArrayLike) -> Floats:
    return 6.0 + 0.3 * np.minimum(np.asarray(n, dtype=np.float64), 600.0)


def _points(ax: Axes, x: Floats, y: Floats, size: Floats, marked: NDArray[np.bool_]) -> None:
    """Grey below, then hits, the large ones first; the many grey points become one bitmap."""
    ax.plot(x[~marked], y[~marked], linestyle="none", marker="o", markersize=1.9, markeredgewidth=0, color=NOT_A_HIT,
            alpha=0.5, rasterized=True, zorder=2, gid="others")  # fmt: skip
    for name, colour, mask in (("sensitive", SENSITIVE, marked & (x < 0)), ("resistant", RESISTANT, marked & (x >= 0))):
        rows = np.flatnonzero(mask)
        rows = rows[np.argsort(-size[rows], kind="stable")]
        ax.scatter(x[rows], y[rows], s=_area(size[rows]), color=colour, alpha=0.72, edgecolors="white", linewidths=0.4,
                   zorder=3, gid=name)  # fmt: skip


def _legend(ax: Axes, size: Floats, marked: NDArray[np.bool_], x: Floats) -> None:
    """Colours with counts, and three sizes, above the panel."""

    def dot(colour: str, text: str, n: float) -> Line2D:
        return Line2D([], [], linestyle="none", marker="o", color=colour, markeredgecolor="white", markeredgewidth=0.4,
                      markersize=float(np.sqrt(_area(n))), label=text)  # fmt: skip

    counts = [int((marked & (x < 0)).sum()), int((marked & (x >= 0)).sum())]
    handles = [
        dot(SENSITIVE, f"sensitive ({counts[0]:,})", 60),
        dot(RESISTANT, f"resistant ({counts[1]:,})", 60),
        dot(NOT_A_HIT, f"not a hit ({int((~marked).sum()):,})", 20),
    ]
    shown = size[marked] if marked.any() else size
    sizes = sorted({_round(float(q)) for q in np.quantile(shown, (0.0, 0.5, 1.0))})
    ends = {sizes[0]: f"{sizes[0]:,} lines with the feature" if len(sizes) == 1 else f"{sizes[0]:,}"}
    ends[sizes[-1]] = f"{sizes[-1]:,} lines with the feature"
    handles += [dot(MUTED, ends.get(n, f"{n:,}"), n) for n in sizes]
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=len(handles), columnspacing=1.2,
              handletextpad=0.6, borderaxespad=0.6)  # fmt: skip


def _round(n: float) -> int:
    """``n`` with one digit: 554 is 500."""
    scale = 10 ** max(0, len(str(int(n))) - 1)
    return int(n // scale * scale)


def _write_labels(ax: Axes, x: Floats, y: Floats, marked: NDArray[np.bool_], names: list[str], limit: int) -> None:
    """Label the highest hits, each at the nearest place that covers no other label and few points."""
    rows = np.flatnonzero(marked)
    rows = rows[np.argsort(-y[rows], kind="stable")][:limit]
    figure = ax.get_figure(root=True)
    if not len(rows) or not isinstance(figure, Figure):
        return
    figure.draw_without_rendering()
    point = figure.dpi / 72
    dots = ax.transData.transform(np.column_stack([x[marked], y[marked]]))
    room = _Room(ax.get_window_extent(), dots, point)
    for row in rows:
        at = ax.transData.transform((x[row], y[row]))
        centre = room.place(at, *_extent(names[row], point))
        if centre is None:
            continue
        offset = (float(centre[0] - at[0]) / point, float(centre[1] - at[1]) / point)
        text = ax.annotate(names[row], (x[row], y[row]), xytext=offset, textcoords="offset points", fontsize=FONT,
                           color=INK, ha="center", va="center", zorder=5, gid=f"label-{row}",
                           arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkA": 0,
                                       "shrinkB": 2})  # fmt: skip
        text.set_in_layout(False)


def _extent(text: str, point: float) -> tuple[float, float]:
    """Width and height of a label in pixels, a little generous: letters of DejaVu Sans are .6 of their size wide."""
    return FONT * (0.6 * len(text) + 0.4) * point, FONT * 1.3 * point


class _Room:
    """Where labels may still stand: not on one another, not on a leader line, on few points."""

    def __init__(self, panel: Bbox, dots: Floats, point: float) -> None:
        self.panel, self.dots, self.point = panel, dots, point
        self.taken: list[Bbox] = []
        self.lines = np.empty((0, 2))

    def place(self, at: Floats, width: float, height: float) -> Floats | None:
        """Centre of the best place for a label of the point `at`, which is then taken; None where there is none."""
        best: tuple[Floats, Bbox, Floats] | None = None
        least, half = np.inf, np.array([width, height]) / 2
        for reach, (right, up) in product(_REACH, _DIRECTIONS):
            centre = at + np.array([right, up]) * (reach * self.point + half)
            box = Bbox([centre - half, centre + half])
            line = at + np.linspace(0, 1, 25)[:, None] * (centre - at)
            covered = self._inside(self.dots, box, 2 * self.point)
            cost = reach + 12 * covered + (0 if abs(up) < 0.3 else 2)
            if covered <= _COVERED and cost < least and self._is_free(box, line):
                best, least = (centre, box, line[~_within(line, box)]), cost
        if best is None:
            return None
        centre, box, line = best
        self.taken.append(box)
        self.lines = np.vstack([self.lines, line])
        return centre

    def _is_free(self, box: Bbox, line: Floats) -> bool:
        panel = self.panel
        inside = panel.x0 <= box.x0 and box.x1 <= panel.x1 and panel.y0 <= box.y0 and box.y1 <= panel.y1
        crossed = self._inside(self.lines, box, self.point)
        return bool(inside and not crossed) and not any(
            box.overlaps(other) or _within(line, other).any() for other in self.taken
        )

    def _inside(self, points: Floats, box: Bbox, margin: float) -> int:
        return int(_within(points, box, margin).sum())


def _within(points: Floats, box: Bbox, margin: float = 0.0) -> NDArray[np.bool_]:
    """Which of the points lie in the box."""
    low, high = np.array(box.min) - margin, np.array(box.max) + margin
    inside: NDArray[np.bool_] = np.all((points > low) & (points < high), axis=1)
    return inside
