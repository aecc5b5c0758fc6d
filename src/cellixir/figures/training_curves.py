"""Training of a generator: its losses, and how diverse what it draws is, with a mark where it has collapsed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from cellixir.exceptions import DataError, examples
from cellixir.figures.groups import PALETTE
from cellixir.figures.style import ACCENT, MUTED, WARM, styled

DIVERSITY = "diversity"
#: Below this share of the spread of real samples a generator has collapsed.
COLLAPSE = 0.3
_WIDTH, _LOSS, _BELOW = 6.4, 2.5, 1.7  # inches


@styled
def training_curves(
    history: pd.DataFrame, *, diversity: str = DIVERSITY, collapse: float = COLLAPSE, title: str = ""
) -> Figure:
    """Every loss by epoch, and below it the diversity with a red band over epochs of collapse.

    Parameters
    ----------
    history
        Column ``epoch`` and one or more that end in ``loss``; where known, the diversity: the spread of what is drawn
        as a share of that of the real samples, 1 at best.
    diversity
        Column of the diversity.
    collapse
        Diversity below which the generator counts as collapsed.

    Raises
    ------
    DataError
        If a column is missing, there is no row, or no loss is finite.
    """
    losses = _losses(history)
    there = diversity in history and np.isfinite(history[diversity].to_numpy(np.float64)).any()
    height = _LOSS + (_BELOW if there else 0.4)
    figure = Figure(figsize=(_WIDTH, height), layout=ConstrainedLayoutEngine())
    ratios = [_LOSS, _BELOW] if there else [1]
    axes = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios).ravel()
    _draw_losses(axes[0], history, losses, title)
    if there:
        _draw_diversity(axes[1], history, diversity, collapse)
    axes[-1].set_xlabel("Epoch")
    axes[-1].xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))
    return figure


def collapsed(history: pd.DataFrame, *, diversity: str = DIVERSITY, collapse: float = COLLAPSE) -> pd.Series:
    """Whether the generator has collapsed at the end of each epoch; an epoch without the number has not."""
    if diversity not in history:
        return pd.Series(data=False, index=history.index)
    return history[diversity].astype(np.float64).lt(collapse)


def _losses(history: pd.DataFrame) -> list[str]:
    if "epoch" not in history or not len(history):
        message = f"a history needs rows and a column 'epoch'; it has {len(history)} rows, {examples(history, 8)}"
        raise DataError(message)
    named = [str(name) for name in history if str(name).endswith("loss")]
    finite = [name for name in named if np.isfinite(history[name].to_numpy(np.float64)).any()]
    if not finite:
        message = f"no column that ends in 'loss' has a finite value (columns: {examples(history, 8)}); leave it out"
        raise DataError(message)
    return finite


def _draw_losses(ax: Axes, history: pd.DataFrame, losses: list[str], title: str) -> None:
    for i, name in enumerate(losses):
        word = name.replace("_", " ").removesuffix(" loss") or "loss"
        values = history[name].astype(np.float64).replace([np.inf, -np.inf], np.nan)
        ax.plot(history["epoch"], values, color=PALETTE[i % len(PALETTE)], label=word, gid=f"loss-{name}")
    ax.set(ylabel="Loss", title=title)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.2)


def _draw_diversity(ax: Axes, history: pd.DataFrame, diversity: str, collapse: float) -> None:
    epochs, values = history["epoch"].to_numpy(np.float64), history[diversity].to_numpy(np.float64)
    ax.plot(epochs, values, color=ACCENT, gid="diversity")
    ax.axhline(1.0, color=MUTED, linewidth=0.9, dashes=(4, 2), gid="real")
    ax.axhline(collapse, color=WARM, linewidth=0.9, dashes=(2, 1.5), gid="limit")
    low = collapsed(history, diversity=diversity, collapse=collapse).to_numpy()
    ax.set(ylabel="Diversity", ylim=(0.0, 1.08 * max(1.0, float(np.nanmax(values[np.isfinite(values)])))))
    if not low.any():
        return
    for start, end in _stretches(low):
        ax.axvspan(epochs[start] - 0.5, epochs[end] + 0.5, color=WARM, alpha=0.16, linewidth=0, gid=f"collapse-{start}")
    ax.text(1.01, collapse, f"collapsed in\n{int(low.sum()):,} of {len(low):,} epochs", color=WARM, va="center",
            transform=ax.get_yaxis_transform(), fontsize=8, gid="collapse")  # fmt: skip


def _stretches(marks: np.ndarray) -> list[tuple[int, int]]:
    """First and last place of each run of marks.

    >>> _stretches(np.array([True, True, False, True]))
    [(0, 1), (3, 3)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marks.astype(np.int8), [0]])))
    return [(int(start), int(end) - 1) for start, end in edges.reshape(-1, 2)]
