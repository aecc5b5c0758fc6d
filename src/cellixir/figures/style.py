"""The look of every figure: thin spines, a light grid, a palette that colour-blind readers can tell apart."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

P = ParamSpec("P")
R = TypeVar("R")

INK = "#1f2733"
MUTED = "#5f6b7a"
GRID = "#e4e8ed"
ACCENT = "#1b6a9c"
WARM = "#c4572b"

#: One colour and one marker a kind of model: the marker says it again where colours fail.
KIND_COLOURS = {
    "network": ACCENT, "tree": "#d98a1f", "linear": "#2c9078", "baseline": "#8a93a0", "own": "#7a4fa3"
}  # fmt: skip
KIND_WORDS = {
    "network": "blue circles are networks",
    "tree": "orange squares trees",
    "linear": "green triangles linear models",
    "baseline": "grey diamonds naive baselines",
    "own": "purple pentagons models of one's own",
}
KIND_MARKERS = {"network": "o", "tree": "s", "linear": "^", "baseline": "D", "own": "p"}

SEQUENTIAL = LinearSegmentedColormap.from_list(
    "cellixir", ["#e2ecf2", "#a9cbdc", "#5f9fc0", "#2a6f9c", "#12466e", "#0a2440"]
)

#: Fonts with Chinese, Japanese and Korean letters, as systems bring them; those that are installed follow DejaVu Sans.
CJK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans CJK TC", "Noto Sans SC", "Noto Sans JP",
    "Noto Sans KR", "Noto Sans TC", "Source Han Sans SC", "Source Han Sans JP", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "Droid Sans Fallback", "PingFang SC", "Hiragino Sans GB", "Hiragino Sans", "Heiti TC",
    "Apple SD Gothic Neo", "Microsoft YaHei", "SimHei", "Yu Gothic", "MS Gothic", "Malgun Gothic", "IPAGothic",
    "NanumGothic", "Arial Unicode MS",
)  # fmt: skip


def families(installed: Iterable[str]) -> list[str]:
    """Families of the house, in the order in which a letter is looked for.

    >>> families(["DejaVu Sans", "Noto Sans CJK JP"])
    ['sans-serif', 'Noto Sans CJK JP']
    """
    there = set(installed)
    return ["sans-serif", *(name for name in CJK_FONTS if name in there)]


# Names of drugs and models may hold a dollar sign, so no text is read as mathematics.
RC: dict[str, Any] = {
    "font.family": families(font.name for font in fontManager.ttflist),
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "text.parse_math": False,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#aab3be",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.formatter.use_mathtext": False,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": "#aab3be",
    "ytick.color": "#aab3be",
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "legend.handlelength": 1.6,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "figure.dpi": 100,
    "svg.fonttype": "none",
    "svg.hashsalt": "cellixir",
}


@contextmanager
def house_style(missing: Literal["ignore", "error"] = "ignore") -> Iterator[None]:
    """The house style; a letter that no font has is passed over, as browsers find it in theirs, or is an error."""
    with rc_context(RC), warnings.catch_warnings():
        warnings.filterwarnings(missing, message="Glyph .* missing from font", category=UserWarning)
        yield


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """``draw`` run under the house style, leaving the reader's own settings alone."""

    @wraps(draw)
    def under_style(*args: P.args, **kwargs: P.kwargs) -> R:
        with house_style():
            return draw(*args, **kwargs)

    return under_style


@styled
def new_axes(width: float = 4.7, height: float = 3.7) -> Axes:
    """Empty Axes on a figure of ``width`` x ``height`` inches that pyplot does not keep alive."""
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def list_axis(ax: Axes, labels: list[str]) -> None:
    """Write one name a row, the first on top, without tick marks or lines between the rows."""
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0, pad=8, labelcolor=INK)
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)


def shortened(name: object, limit: int = 32) -> str:
    """``name`` as text, cut with an ellipsis when it is too long for an axis.

    >>> shortened("haematopoietic_and_lymphoid_tissue", 16)
    'haematopoietic_…'
    """
    text = str(name)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def kinds_legend(kinds: Iterable[str]) -> str:
    """What colour and marker each kind of model has that is there, as a sentence; empty for none."""
    there = set(kinds)
    text = ", ".join(words for kind, words in KIND_WORDS.items() if kind in there)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
