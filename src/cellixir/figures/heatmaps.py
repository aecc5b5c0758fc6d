"""Heat maps of single cells: marker genes of groups, and the genes that load on latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from cellixir.exceptions import DataError, examples
from cellixir.figures.clustered import strongest_genes
from cellixir.figures.correlation import DIVERGING, UNKNOWN
from cellixir.figures.marker_means import MarkerMeans, marker_means
from cellixir.figures.names import shortened_apart
from cellixir.figures.style import INK, MUTED, new_axes, styled

Floats = NDArray[np.float64]

MOST_Z = 2.5
MOST_LATENTS, MOST_ROWS = 40, 110
_DOT = 92.0  # square points of a dot for 100 %
_SHARES = (0.25, 0.5, 1.0)


@styled
def marker_heat_map(
    expression: Any,
    groups: Any,
    markers: Mapping[str, Sequence[str]],
    *,
    dots: bool = False,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Groups x marker genes: the mean of each gene in each group, as z-score over the groups.

    Genes stand under the name of the group that they mark, and a frame shows where that group meets them. A gene with
    the same mean everywhere is grey. Every group counts alike, whatever its size; of more than 40 groups the biggest
    are shown.

    Parameters
    ----------
    expression
        DataFrame of cells x genes, or an AnnData, of which the markers alone are read.
    groups
        Group of each cell; cells without one are left out.
    markers
        Genes that mark each group. Those that the table has not are named below the map.
    dots
        Circles instead of squares, their area the share of cells above 0, for values that are 0 where a gene was not
        seen.

    Raises
    ------
    GeneMismatch
        If no marker is a gene of the table.
    DataError
        If lengths differ, fewer than two groups have a cell, or dots are asked of values below 0.
    """
    table = marker_means(expression, groups, markers)
    n_groups, n_genes = table.z.shape
    ax = new_axes(2.6 + 0.2 * n_genes, 1.9 + 0.24 * n_groups) if ax is None else ax
    norm = Normalize(-_limit(table.z, MOST_Z), _limit(table.z, MOST_Z))
    if dots:
        _dots(ax, table, norm)
    else:
        ax.set_facecolor(UNKNOWN)
        ax.imshow(table.z, cmap=DIVERGING, norm=norm, aspect="auto", gid="cells")
    rows = [f"{name} ({n:,})" for name, n in zip(shortened_apart(table.groups, 30), table.counts, strict=True)]
    _axes_of_map(ax, shortened_apart(table.genes, 18), rows)
    ax.set_title(title, pad=8 + _blocks(ax, table))
    ax.set(ylim=(n_groups - 0.5, -0.5), xlim=(-0.5, n_genes - 0.5))
    ax.set_xlabel(_notes(table), fontsize=7.5, color=MUTED)
    _bar(ax, norm, "z-score of the mean", beyond=bool(np.nanmax(np.abs(table.z)) > MOST_Z))
    return ax


@styled
def latent_gene_heat_map(
    loadings: pd.DataFrame, *, top: int = 5, title: str = "", label: str = "Loading", ax: Axes | None = None
) -> Axes:
    """Genes x latents: the loadings of the genes that are strongest, of either sign, on each latent.

    Latents and genes stand in the order of a clustering by direction, so that those alike are neighbours. Of more than
    40 latents those with the largest loadings (by root of the sum of squares) are shown; where the genes are too many
    to be read, fewer a latent are shown. What was left out stands below the map.

    Parameters
    ----------
    loadings
        Rows genes, columns latents.
    top
        Genes a latent.

    Raises
    ------
    DataError
        If there is no gene or no latent, ``top`` is below 1, a loading is not finite, or all are 0.
    """
    _check_loadings(loadings, top)
    shown, per_latent = strongest_genes(loadings, top, most_latents=MOST_LATENTS, most_genes=MOST_ROWS)
    values = shown.to_numpy(np.float64)
    n_genes, n_latents = values.shape
    columns = shortened_apart(shown.columns, 24)
    margin = 0.8 + 0.075 * max(len(name) for name in columns)
    ax = new_axes(2.1 + max(0.24 * n_latents, 1.2), margin + max(0.145 * n_genes, 1.5)) if ax is None else ax
    norm = Normalize(-_limit(values), _limit(values))
    ax.imshow(values, cmap=DIVERGING, norm=norm, aspect="auto", interpolation="nearest", gid="cells")
    _axes_of_map(ax, columns, shortened_apart(shown.index, 18))
    ax.tick_params(axis="y", labelsize=7.0)
    words = f"{per_latent} strongest gene{'s' * (per_latent > 1)} of each latent"
    if n_latents < loadings.shape[1]:
        words += f"\n{n_latents} strongest of {loadings.shape[1]} latents"
    ax.set_title(title)
    ax.set_xlabel(words, fontsize=7.5, color=MUTED)
    _bar(ax, norm, label, beyond=bool(np.abs(values).max() > norm.vmax))
    return ax


def _check_loadings(loadings: pd.DataFrame, top: int) -> None:
    if loadings.empty or top < 1:
        message = f"{loadings.shape[0]} genes, {loadings.shape[1]} latents and the top {top}: there is nothing to show"
        raise DataError(message)
    values = loadings.to_numpy(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        where = examples(loadings.columns[bad.any(axis=0)])
        message = f"{bad.sum():,} loadings are not finite (latents {where}); the model has not been fitted well"
        raise DataError(message)
    if not values.any():
        message = f"all loadings of {loadings.shape[1]} latents are 0; leave the figure out"
        raise DataError(message)


def _limit(values: Floats, most: float = np.inf) -> float:
    """End of a colour scale around 0: the 99th percentile of the sizes, not above ``most``."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    return float(min(np.percentile(sizes, 99), most)) if len(sizes) else 1.0


def _axes_of_map(ax: Axes, columns: list[str], rows: list[str]) -> None:
    ax.set_xticks(range(len(columns)), columns, rotation=90)
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0, pad=4, labelcolor=INK, labelsize=7.5)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)


def _blocks(ax: Axes, table: MarkerMeans) -> float:
    """Points that the names need over the map: one a block of genes, with a bracket and a frame at its own group."""
    names = shortened_apart((name for name, _ in table.blocks), 24)
    flat = all(len(name) <= 2.6 * n for name, (_, n) in zip(names, table.blocks, strict=True))
    start = 0
    for i, (name, (group, n)) in enumerate(zip(names, table.blocks, strict=True)):
        first, last = start - 0.5, start + n - 0.5
        ax.plot([first + 0.12, last - 0.12], [1.012, 1.012], transform=ax.get_xaxis_transform(), color=MUTED,
                linewidth=1.0, clip_on=False, solid_capstyle="butt", gid=f"bracket-{i}")  # fmt: skip
        ax.annotate(name, ((first + last) / 2, 1.012), xycoords=("data", "axes fraction"), xytext=(0, 3),
                    textcoords="offset points", ha="center" if flat else "left", va="bottom", fontsize=7.5, color=INK,
                    rotation=0 if flat else 45, rotation_mode="anchor", annotation_clip=False,
                    gid=f"block-{i}")  # fmt: skip
        if start:
            ax.axvline(first, color="white", linewidth=2.5, zorder=2)
        if group in table.groups:
            row = table.groups.index(group) - 0.5
            ax.add_patch(
                Rectangle((first, row), n, 1, fill=False, edgecolor=INK, linewidth=0.9, zorder=4, gid=f"own-{i}")
            )
        start += n
    return 12.0 if flat else 12.0 + 3.4 * max(len(name) for name in names)


def _dots(ax: Axes, table: MarkerMeans, norm: Normalize) -> None:
    if table.lowest < 0:
        message = "dots show the share of cells above 0, but there are values below 0; draw squares (dots=False)"
        raise DataError(message)
    rows, columns = (place.ravel() for place in np.indices(table.z.shape))
    paint = DIVERGING(norm(np.nan_to_num(table.z)).ravel())
    paint[np.isnan(table.z).ravel()] = (0.85, 0.86, 0.89, 1.0)
    ax.scatter(columns, rows, s=_DOT * table.share.ravel(), c=paint, linewidths=0, zorder=3, gid="dots")
    key = [
        Line2D([], [], linestyle="none", marker="o", markersize=float(np.sqrt(_DOT * share)), color=MUTED,
               markeredgewidth=0, label=f"{share:.0%}")
        for share in _SHARES
    ]  # fmt: skip
    ax.legend(handles=key, title="cells above 0", loc="upper right", bbox_to_anchor=(0.0, 0.0), ncols=3, fontsize=7,
              title_fontsize=7, columnspacing=0.8, handletextpad=0.2)  # fmt: skip


def _notes(table: MarkerMeans) -> str:
    notes = []
    if table.absent:
        notes.append(f"{len(table.absent)} markers are not in the table: {', '.join(table.absent[:6])}"
                     + ("…" if len(table.absent) > 6 else ""))  # fmt: skip
    if table.n_left_out:
        notes.append(f"the {table.n_left_out} smallest groups are not shown")
    return "\n".join(notes)


def _bar(ax: Axes, norm: Normalize, label: str, *, beyond: bool) -> None:
    """Colour bar of a fixed length, with arrows where values lie beyond its ends."""
    figure = cast(Figure, ax.get_figure(root=True))
    shrink = float(np.clip(1.5 / figure.get_size_inches()[1], 0.1, 0.8))
    bar = figure.colorbar(ScalarMappable(norm, DIVERGING), ax=ax, shrink=shrink, aspect=14, pad=0.02, anchor=(0.0, 1.0),
                          extend="both" if beyond else "neither", extendfrac=0.07)  # fmt: skip
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=7.5)
    bar.ax.locator_params(nbins=5)
    bar.set_label(label, fontsize=8, color=MUTED)
