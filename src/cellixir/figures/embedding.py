"""Figures of an embedding: metrics beside PCA, called types, losses of several experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from cellixir.exceptions import DataError
from cellixir.figures.style import ACCENT, INK, MUTED, SEQUENTIAL, WARM, list_axis, new_axes, shortened, styled

COLOURS = (ACCENT, WARM, "#2c9078", "#8d5aa8", "#d98a1f", "#5f6b7a", "#b0447a", "#4f7d2a")
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)))


@styled
def beside_pca(scores: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """One row a metric: the VAE as a circle and PCA as a diamond, each with its interval.

    Parameters
    ----------
    scores
        Columns ``metric``, ``vae``, ``vae_low``, ``vae_high``, ``pca``, ``pca_low``, ``pca_high``.
    """
    if scores.empty:
        message = "there is no metric to draw; leave the figure out"
        raise DataError(message)
    ax = new_axes(5.6, 0.9 + 0.42 * len(scores)) if ax is None else ax
    for name, word, colour, marker, shift in (("vae", "VAE", ACCENT, "o", -0.13), ("pca", "PCA", MUTED, "D", 0.13)):
        y = np.arange(len(scores)) + shift
        ax.hlines(y, scores[f"{name}_low"], scores[f"{name}_high"], color=colour, linewidth=1.4)
        ax.scatter(scores[name], y, s=30, color=colour, marker=marker, label=word, zorder=3, gid=name)
    list_axis(ax, [str(metric) for metric in scores["metric"]])
    low = float(np.nanmin(scores[["vae_low", "pca_low", "vae", "pca"]].to_numpy(dtype=float)))
    ax.set(xlim=(min(0.0, low - 0.02), 1.02), xlabel="Value (1 is best)")
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2)
    return ax


@styled
def confusion_of_types(counts: ArrayLike, types: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """Square table of any number of types, rows the labels, columns the calls, shaded by the percent of the row.

    Raises
    ------
    DataError
        If the shape is not that of the types.
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.shape != (len(types), len(types)) or not len(types):
        message = f"the table has the shape {table.shape}, and there are {len(types)} types"
        raise DataError(message)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = 0.34 * len(types)
    longest = 0.07 * max(len(shortened(name, 26)) for name in types)
    ax = new_axes(1.3 + longest + side, 1.0 + longest + side) if ax is None else ax
    ax.imshow(share, cmap=SEQUENTIAL, vmin=0, vmax=1, gid="cells")
    for (row, column), value in np.ndenumerate(table):
        if value and len(types) <= 25:
            colour = "white" if share[row, column] > 0.45 else INK
            ax.text(column, row, f"{int(value):,}", ha="center", va="center", fontsize=6.5, color=colour)
    names = [shortened(name, 26) for name in types]
    at = np.arange(len(types))
    ax.set_xticks(at, names, rotation=90, color=INK)
    ax.set_yticks(at, [f"{n} ({int(k):,})" for n, k in zip(names, table.sum(axis=1), strict=True)], color=INK)
    ax.set(xlabel="Called", ylabel="Label")
    ax.tick_params(length=0, pad=4)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return ax


@styled
def loss_curves(
    histories: Mapping[str, pd.DataFrame], *, loss: str = "Validation loss", ax: Axes | None = None
) -> Axes:
    """Validation loss of each experiment by epoch, with a dot where it is lowest.

    The first tenth of the epochs may be far above the rest; the axis shows what comes after it.

    Parameters
    ----------
    histories
        Columns ``epoch`` and ``validation_loss`` of each experiment.
    """
    if not histories:
        message = "there is no experiment to draw; leave the figure out"
        raise DataError(message)
    ax = new_axes(7.2, 3.9) if ax is None else ax
    shown = []
    for i, (name, history) in enumerate(histories.items()):
        x, y = history["epoch"].to_numpy() + 1, history["validation_loss"].to_numpy()
        colour, dash = COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS) % len(DASHES)]
        ax.plot(x, y, color=colour, linestyle=dash, label=shortened(name), gid=f"loss-{name}")
        best = int(np.argmin(y))
        ax.scatter(x[best], y[best], s=22, color=colour, edgecolors="white", linewidths=0.6, zorder=4)
        shown.append(y[len(y) // 10 :])
    values = np.concatenate(shown)
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * max(high - low, 1e-9)
    ax.set(ylim=(low - margin, high + margin), xlabel="Epoch", ylabel=loss)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return ax
