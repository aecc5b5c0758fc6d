"""One self-contained HTML page: sections, tables, figures and facts, with nothing fetched from anywhere.

Figures are turned into text when they are added, so a figure that fails leaves no half-written page behind.
"""

from __future__ import annotations

import base64
import io
import re
import secrets
import sys
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellixir.exceptions import ConfigurationError, DataError, examples
from cellixir.figures.style import house_style
from cellixir.metrics.intervals import Interval

#: Above this many characters of SVG a figure is embedded as PNG.
SVG_LIMIT = 400_000
#: Figures narrower than this (inches) have room for their caption beside them.
NARROW = 6.0
#: Text longer than this wraps within its cell of a table.
WRAP = 44

Format = str | Callable[[Any], str]


@dataclass(frozen=True)
class Cell:
    """What stands in one cell: text, the interval beside it, the number it sorts by and a colour dot."""

    text: str
    interval: str = ""
    number: float | None = None
    colour: str = ""


@dataclass
class Block:
    """A table, figure, paragraph or grid of facts, in the words of the template."""

    kind: str
    content: Any
    caption: str = ""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Section:
    """A heading, its anchor and what stands below it."""

    title: str
    anchor: str
    blocks: list[Block] = field(default_factory=list)


class Report:
    """A page that grows from top to bottom; every method returns the report itself.

    Parameters
    ----------
    title, subtitle
        Heading of the page and the line below it.

    Examples
    --------
    >>> page = Report("Three drugs").section("Result", "All of them work.").render()
    >>> "All of them work." in page
    True
    """

    def __init__(self, title: str, subtitle: str = "") -> None:
        self.title = title
        self.subtitle = subtitle
        self.sections: list[Section] = [Section("", "top")]
        self._figures = 0

    def section(self, title: str, text: str = "", anchor: str | None = None) -> Report:
        """Start a section; ``anchor`` is its place in the address, made from the title by default.

        Raises
        ------
        ConfigurationError
            If the anchor is taken or is not letters, digits and dashes.
        """
        taken = {section.anchor for section in self.sections}
        if anchor is None:
            anchor = _free(_slug(title), taken)
        elif anchor in taken or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", anchor):
            message = f"anchor {anchor!r} of section {title!r} is taken or has odd letters; choose another one"
            raise ConfigurationError(message)
        self.sections.append(Section(title, anchor))
        return self.text(text) if text else self

    def text(self, text: str) -> Report:
        """Add paragraphs, which an empty line separates."""
        return self._add(Block("text", [part.strip() for part in text.split("\n\n") if part.strip()]))

    def statement(self, text: str) -> Report:
        """Add one sentence in large type."""
        return self._add(Block("statement", text))

    def notes(self, sentences: list[str]) -> Report:
        """Add sentences that the reader has to know, set apart; none adds nothing."""
        return self._add(Block("notes", list(sentences))) if sentences else self

    def facts(self, facts: Mapping[str, object], *, large: bool = False) -> Report:
        """Add a grid of names and values; ``large`` sets the values as key numbers."""
        return self._add(Block("facts", {str(k): str(v) for k, v in facts.items()}, options={"large": large}))

    def table(
        self,
        frame: pd.DataFrame,
        caption: str = "",
        *,
        float_format: str = "{:.3f}",
        formats: Mapping[str, Format] | None = None,
        highlight: Collection[Hashable] = (),
        colours: Mapping[str, Mapping[str, str]] | None = None,
        collapsed: bool = False,
    ) -> Report:
        """Add a sortable table; the index is not shown.

        Parameters
        ----------
        frame
            Cells may hold :class:`Interval`.
        float_format, formats
            Format of real numbers, and of single columns: a format string or a function.
        highlight
            Labels of the index whose rows are set off.
        colours
            For a column, the colour of the dot before each of its values.
        collapsed
            Show only the caption until the reader opens it.

        Raises
        ------
        DataError
            If ``formats`` or ``colours`` name a column that is not there.
        """
        unknown = (set(formats or {}) | set(colours or {})) - set(frame.columns)
        if unknown:
            names = examples(frame.columns, 20)
            message = f"no column {examples(sorted(unknown))} to format; the table has {names}"
            raise DataError(message)
        columns = [_column(frame.iloc[:, i], formats, float_format, colours) for i in range(frame.shape[1])]
        marked = [label in set(highlight) for label in frame.index]
        rows = [(mark, [column[i] for column in columns]) for i, mark in enumerate(marked)]
        styles = [_style(column) for column in columns]
        options = {"header": list(zip(map(str, frame.columns), styles, strict=True)), "collapsed": collapsed}
        return self._add(Block("table", rows, caption, options))

    def figure(
        self,
        drawing: Axes | Figure,
        caption: str = "",
        alt: str = "",
        *,
        pair: bool = False,
        png: bool = False,
    ) -> Report:
        """Add a figure as SVG, or as PNG at twice the resolution, and close it.

        Parameters
        ----------
        drawing
            Axes, for the whole figure they stand on, or the figure.
        caption, alt
            Text below the figure, and what it shows for those who do not see it.
        pair
            Stand beside the next or previous figure that asks for the same, where the page is wide enough.
        png
            Embed a bitmap whatever the size; without it only an SVG above ``SVG_LIMIT`` becomes one. Where no font
            that is installed has the letters, only points and cells become a bitmap, and text stays text.
        """
        figure = drawing.get_figure(root=True) if isinstance(drawing, Axes) else drawing
        if figure is None:
            message = "these Axes stand on no figure any more; draw them again"
            raise ConfigurationError(message)
        self._figures += 1
        try:
            width = float(figure.get_size_inches()[0])
            image = (_png if png else _svg)(figure, f"f{self._figures}-", alt or caption)
        finally:
            _close(figure)
        options = {"alt": alt or caption, "width": round(width * 96), "pair": pair, "narrow": width < NARROW}
        return self._add(Block("figure", image, caption, options))

    def render(self) -> str:
        """Return the page as HTML."""
        source = (files("cellixir") / "templates" / "report.html").read_text(encoding="utf-8")
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        sections = [(section, _rows(section.blocks)) for section in self.sections]
        return environment.from_string(source).render(title=self.title, subtitle=self.subtitle, sections=sections)

    def write(self, path: str | Path) -> Path:
        """Write the page whole or not at all, and return where it is; missing folders are made."""
        path = Path(path)
        page = self.render()
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            temporary.write_text(page, encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return path

    def _add(self, block: Block) -> Report:
        self.sections[-1].blocks.append(block)
        return self


def _rows(blocks: list[Block]) -> list[list[Block]]:
    """Blocks as rows of the page: two paired figures in a row, everything else alone."""
    rows: list[list[Block]] = []
    for block in blocks:
        if block.options.get("pair") and rows and len(rows[-1]) == 1 and rows[-1][0].options.get("pair"):
            rows[-1].append(block)
        else:
            rows.append([block])
    return rows


def _column(
    values: pd.Series,
    formats: Mapping[str, Format] | None,
    float_format: str,
    colours: Mapping[str, Mapping[str, str]] | None,
) -> list[Cell]:
    form = (formats or {}).get(str(values.name), float_format)
    dots = (colours or {}).get(str(values.name), {})
    return [_cell(value, form, dots) for value in values]


def _style(cells: list[Cell]) -> str:
    """``"n"`` for numbers, ``"w"`` for text so long that it has to wrap."""
    if any(cell.number is not None for cell in cells):
        return "n"
    return "w" if any(len(cell.text) > WRAP for cell in cells) else ""


def _cell(value: object, form: Format, colours: Mapping[str, str]) -> Cell:
    if isinstance(value, Interval):
        known = bool(np.isfinite(value.low) and np.isfinite(value.high))
        interval = f"{_number(value.low, form)} to {_number(value.high, form)}" if known else ""
        return Cell(_number(value.value, form), interval, float(value.value))
    if value is None or value is pd.NA or value is pd.NaT:
        return Cell("–")
    if isinstance(value, (bool, np.bool_)):
        return Cell("yes" if value else "no")
    if isinstance(value, (int, np.integer)):
        return Cell(_number(int(value), form if callable(form) else "{:,}"), number=float(value))
    if isinstance(value, (float, np.floating)):
        return Cell(_number(float(value), form), number=float(value))
    return Cell(str(value), colour=colours.get(str(value), ""))


def _number(value: float, form: Format) -> str:
    if value != value:
        return "–"
    text = form(value) if callable(form) else form.format(value)
    if not text.startswith("-"):
        return text
    return text.replace("-", "−") if re.search("[1-9]", text) else text[1:]  # no minus before a rounded zero


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"


def _free(anchor: str, taken: set[str]) -> str:
    anchor = anchor if anchor[0].isalpha() else f"s-{anchor}"
    return next(a for a in [anchor, *(f"{anchor}-{i}" for i in range(2, len(taken) + 3))] if a not in taken)


def _svg(figure: Figure, prefix: str, alt: str) -> Markup:
    """Inline SVG of the figure, or a bitmap where that is too large."""
    text = _vector(figure)
    return _png(figure, prefix, alt) if len(text) > SVG_LIMIT else _inline(text, prefix)


def _vector(figure: Figure) -> str:
    buffer = io.StringIO()
    with house_style():
        figure.savefig(buffer, format="svg", dpi=190, transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def _inline(text: str, prefix: str) -> Markup:
    """SVG without metadata, name spaces or ids that another figure may have."""
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
    return Markup(re.sub(r"<[^<>]+>", lambda tag: _own_ids(tag.group(), prefix), text))


def _own_ids(tag: str, prefix: str) -> str:
    tag = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", tag)
    return re.sub(r'(\sid="|xlink:href="#|url\(#)', rf"\g<1>{prefix}", tag)


def _png(figure: Figure, prefix: str, alt: str) -> Markup:
    """Bitmap of the figure; where no font has its letters, SVG with bitmaps of the points and text as text."""
    buffer = io.BytesIO()
    try:
        with house_style(missing="error"):
            figure.savefig(buffer, format="png", dpi=192)
    except UserWarning:
        for ax in figure.axes:
            for artist in (*ax.collections, *ax.lines, *ax.images):
                artist.set_rasterized(True)
        return _inline(_vector(figure), prefix)
    data = base64.b64encode(buffer.getvalue()).decode()
    return Markup('<img alt="{}" src="data:image/png;base64,{}">').format(alt, data)


def _close(figure: Figure) -> None:
    """Free the figure; pyplot is asked only where somebody has loaded it."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(figure)
    figure.clear()
