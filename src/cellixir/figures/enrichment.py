"""Dot plot of the pathways that the latents stand for."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from cellixir.exceptions import DataError, DuplicateIds, InvalidValues, examples
from cellixir.figures.correlation import DIVERGING
from cellixir.figures.names import natural_key, shortened_apart
from cellixir.figures.style import INK, MUTED, SEQUENTIAL, new_axes, styled

Floats = NDArray[np.float64]
Size = Literal["fdr", "overlap"]

MOST_PATHWAYS = 40
#: -log10 of the smallest FDR that has a size of its own.
SURE = 6.0
_AREA = (9.0, 110.0)  # square points


@styled
def enrichment_dots(
    table: pd.DataFrame,
    *,
    size: Size = "fdr",
    top: int = 3,
    fdr: float = 0.05,
    score: str = "NES",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Latents x pathways, a dot where a pathway is enriched: colour its score, area how sure or how many genes.

    The ``top`` pathways of each latent, by FDR and then by score, are shown, at most 40 in all; other latents have
    their dots there too. Dots below ``fdr`` have a dark edge, the others are pale.

    Parameters
    ----------
    table
        Columns ``pathway``, ``latent``, ``score`` and ``fdr``, and ``overlap`` where the area tells it. Rows without a
        score or FDR are left out.
    size
        ``"fdr"``: the area grows with -log10 FDR, up to 6; ``"overlap"``: with the number of genes in both.
    top
        Pathways a latent.
    fdr
        Highest FDR of a finding.
    score
        What the score is.

    Raises
    ------
    DataError
        If a column is missing, no row can be drawn, an FDR is not in [0, 1], or a pair of latent and pathway stands
        twice.
    """
    rows = _checked(table, size, top)
    latents = _latents(rows["latent"])
    pathways = _pathways(rows, latents, top)
    rows = rows[rows["pathway"].isin(pathways)]
    ax = new_axes(4.6 + 0.3 * len(latents), 1.5 + 0.23 * len(pathways)) if ax is None else ax
    cmap, norm = _colours(rows["score"].to_numpy(np.float64))
    amounts = _amounts(rows, size)
    most = max(float(amounts.max()), 1.0)
    sure = (rows["fdr"] <= fdr).to_numpy()
    dots = ax.scatter([latents.index(name) for name in rows["latent"]], [pathways.index(p) for p in rows["pathway"]],
                      s=_area(amounts, most), c=cmap(norm(rows["score"].to_numpy(np.float64))), zorder=3,
                      gid="dots")  # fmt: skip
    dots.set_alpha(np.where(sure, 1.0, 0.45).tolist())
    dots.set_linewidth(np.where(sure, 0.9, 0.0).tolist())
    dots.set_edgecolor(INK)
    _frame(ax, latents, pathways, title)
    _keys(ax, most, size, fdr, ScalarMappable(norm, cmap), score)
    return ax


def _checked(table: pd.DataFrame, size: Size, top: int) -> pd.DataFrame:
    needed = ["pathway", "latent", "score", "fdr", *(["overlap"] if size == "overlap" else [])]
    missing = [column for column in needed if column not in table]
    if missing:
        message = f"the table of pathways has no column {examples(missing)}; it has {examples(table.columns, 8)}"
        raise DataError(message)
    if size not in ("fdr", "overlap") or top < 1:
        message = f"size must be 'fdr' or 'overlap' and top 1 or more, not {size!r} and {top}"
        raise DataError(message)
    rows = table.replace([np.inf, -np.inf], np.nan).dropna(subset=needed)
    if rows.empty:
        message = f"none of {len(table)} rows has a score and an FDR; leave the figure out"
        raise DataError(message)
    outside = ~rows["fdr"].between(0, 1)
    if outside.any():
        message = f"{outside.sum()} FDR are not between 0 and 1, e.g. {rows.loc[outside, 'fdr'].iloc[0]}"
        raise InvalidValues(message)
    rows = rows.assign(pathway=rows["pathway"].astype(str))
    twice = rows.duplicated(["pathway", "latent"])
    if twice.any():
        first = rows.loc[twice].iloc[0]
        message = f"pathway {first['pathway']!r} stands twice for latent {str(first['latent'])!r}; keep one row of each"
        raise DuplicateIds(message)
    return rows.assign(latent=rows["latent"].astype(str) if _plain(rows["latent"]) else rows["latent"])


def _plain(values: pd.Series) -> bool:
    return not isinstance(values.dtype, pd.CategoricalDtype)


def _latents(values: pd.Series) -> list[str]:
    """Latents in the order of their categories, or else by name."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        there = set(values)
        return [name for name in values.cat.categories if name in there]
    return sorted(set(values), key=natural_key)


def _pathways(rows: pd.DataFrame, latents: list[str], top: int) -> list[str]:
    """Best pathways of the latents, each beneath the latent where it is best, so that the dots form steps."""
    ranked = rows.assign(size=-rows["score"].abs()).sort_values(["fdr", "size"], kind="stable")
    while top > 1 and ranked.groupby("latent", observed=True).head(top)["pathway"].nunique() > MOST_PATHWAYS:
        top -= 1
    best = ranked.groupby("latent", observed=True).head(top).drop_duplicates("pathway").head(MOST_PATHWAYS)
    place = {name: i for i, name in enumerate(latents)}
    order = sorted(range(len(best)), key=lambda i: (place[best["latent"].iloc[i]], i))
    return [str(best["pathway"].iloc[i]) for i in order]


def _colours(scores: Floats) -> tuple[Colormap, Normalize]:
    """Diverging around 0 where scores have both signs, sequential from 0 where they have one."""
    low, high = float(scores.min()), float(scores.max())
    end = max(abs(low), abs(high)) or 1.0
    if low < 0 < high:
        return DIVERGING, Normalize(-end, end)
    return (SEQUENTIAL, Normalize(0.0, end)) if high > 0 or low == 0 else (SEQUENTIAL.reversed(), Normalize(-end, 0.0))


def _amounts(rows: pd.DataFrame, size: Size) -> Floats:
    if size == "overlap":
        return np.asarray(np.clip(rows["overlap"].to_numpy(np.float64), 0.0, None))
    return np.asarray(-np.log10(np.clip(rows["fdr"].to_numpy(np.float64), 10.0**-SURE, 1.0)))


def _area(amounts: Floats, most: float) -> Floats:
    return np.interp(amounts, (0.0, most), _AREA)


def _frame(ax: Axes, latents: list[str], pathways: list[str], title: str) -> None:
    ax.set_xticks(range(len(latents)), shortened_apart(latents, 24), rotation=90 if len(latents) > 4 else 0)
    ax.set_yticks(range(len(pathways)), shortened_apart(pathways, 46))
    ax.set(xlim=(-0.7, len(latents) - 0.3), ylim=(len(pathways) - 0.3, -0.7), title=title)
    ax.tick_params(length=0, pad=4, labelcolor=INK, labelsize=7.5)
    ax.spines[:].set_visible(False)


def _keys(ax: Axes, most: float, size: Size, fdr: float, colours: ScalarMappable, score: str) -> None:
    figure = cast(Figure, ax.get_figure(root=True))
    shrink = float(np.clip(1.4 / figure.get_size_inches()[1], 0.1, 0.9))
    bar = figure.colorbar(colours, ax=ax, shrink=shrink, aspect=14, pad=0.02, anchor=(0.0, 1.0))
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=7.5)
    bar.ax.locator_params(nbins=4)
    bar.set_label(score, fontsize=8, color=MUTED)
    steps = sorted({round(share * most) for share in (0.25, 0.5, 1.0)} - {0}) or [1]
    handles = [_key(_area(np.array([float(step)]), most)[0], _words(step, size), edge=False) for step in steps]
    handles.append(_key(60.0, f"FDR ≤ {fdr:g}", edge=True))
    ax.legend(handles=handles, loc="upper right", bbox_to_anchor=(-0.02, 0.0), fontsize=7, labelspacing=0.5,
              title="−log10 FDR" if size == "fdr" else "genes in both", title_fontsize=7)  # fmt: skip


def _words(step: int, size: Size) -> str:
    return f"{step} or more" if size == "fdr" and step >= SURE else f"{step:,}"


def _key(area: float, label: str, *, edge: bool) -> Line2D:
    return Line2D([], [], linestyle="none", marker="o", markersize=float(np.sqrt(area)), label=label,
                  color="white" if edge else MUTED, markeredgecolor=INK if edge else MUTED,
                  markeredgewidth=0.9 if edge else 0.0)  # fmt: skip
