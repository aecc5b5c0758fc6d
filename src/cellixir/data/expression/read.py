"""Expression of cells or bulk samples from any of the usual files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import anndata as ad
import pandas as pd

from cellixir.data.expression.delimited import TextMatrix, open_text, stacked
from cellixir.data.expression.formats import format_of
from cellixir.data.expression.gene_names import Side, named_by_symbol, side_of_cells
from cellixir.data.expression.stored import open_stored, read_stored
from cellixir.data.expression.tenx import read_10x_h5, read_10x_mtx
from cellixir.data.expression.tidy import repeats_allowed, tidied
from cellixir.data.gctx.read import read_gctx
from cellixir.data.omics import SCALES
from cellixir.exceptions import ConfigurationError

CellsAre = Side | Literal["auto"]
#: What a file may say about its X, and which is not about a layer.
_ABOUT_X = ("scale", "scale_guessed", "log1p")


class Layout(NamedTuple):
    """Published layout of a text table: how it is recognised, and how it is read."""

    recognised: Callable[[TextMatrix, Path], bool]
    read: Callable[[TextMatrix, Path], ad.AnnData]


def read_expression(
    path: str | Path,
    *,
    layer: str | None = None,
    backed: bool = False,
    scale: str | None = None,
    cells_are: CellsAre = "auto",
    layout: str | None = None,
    layouts: Mapping[str, Layout] | None = None,
) -> ad.AnnData:
    """Cells x genes of a file: float32, CSR or dense, names as text.

    ``uns["scale"]`` says what the values are (one of `cellixir.data.omics.SCALES`), ``uns["scale_guessed"]`` whether
    that is a guess, and ``uns["notes"]`` what was left out, merged or assumed. Genes that stand more than once are
    added up if they are counts, else the one with the highest mean is kept. Cells without any count are left out.

    Parameters
    ----------
    path
        ``.h5ad``, a zarr folder (or ``.zarr.zip``), 10x ``.h5``, a 10x folder or its ``matrix.mtx``, ``.loom`` (needs
        loompy), GCTX or GCT (told by their content, see `cellixir.read_gctx`; genes are called by their symbols, with
        ``gene_id`` in ``var``), or ``.csv``, ``.tsv``, ``.txt``; ``.mtx``, ``.gct`` and text also as ``.gz``.
    layer
        Layer of an AnnData that takes the place of ``X``; ``raw`` is its ``raw``.
    backed
        Leave the matrix on disk (.h5ad and zarr, stored by row, and GCTX); names and annotation are in memory.
    scale
        What the values are, when it is known.
    cells_are
        Whether the cells of a table are its rows or columns; ``auto`` tells by known gene names, or refuses.
    layout
        Name of the layout of a table, one of ``layouts``; None: the first that recognises it, if any does.
    layouts
        Layouts of published tables by name (`cellixir.sources.expression` has those of the studies it knows).

    Raises
    ------
    ReadError
        If the file is missing, empty, cut off, ragged or not what its name says.
    InvalidValues
        If a value is text, missing or infinite, or not a count where counts were claimed.
    DuplicateIds
        If two cells have the same name, or two genes of a matrix on disk.
    DataError
        If there is no gene, or no cell with a count.
    UnknownIds
        If there is no such layer.
    ConfigurationError
        If an option does not go with the file, or the sides of a table cannot be told.
    """
    file = Path(path)
    layouts = layouts or {}
    _check_words(scale, cells_are, layout, layouts)
    kind = format_of(file)
    _check_options(kind, file, layer=layer, backed=backed, cells_are=cells_are, layout=layout)
    with repeats_allowed():
        if kind == "text":
            cells = _read_text(file, cells_are, layout, layouts)
        elif kind in {"gct", "gctx"}:
            cells = named_by_symbol(read_gctx(file, backed=backed))
        elif kind in {"mtx", "10x h5"}:
            cells = {"mtx": read_10x_mtx, "10x h5": read_10x_h5}[kind](file)
        else:
            read: Callable[..., Any] = open_stored if backed else read_stored
            cells = read(file, kind, layer=layer)
        if layer is not None:
            for key in _ABOUT_X:
                cells.uns.pop(key, None)
        return tidied(cells, str(file), scale)


def _read_text(file: Path, cells_are: CellsAre, layout: str | None, layouts: Mapping[str, Layout]) -> ad.AnnData:
    table = open_text(file)
    layout = layout or next((name for name, known in layouts.items() if known.recognised(table, file)), None)
    if layout is not None:
        return layouts[layout].read(table, file)
    rows, parts = table.read()
    side, note = side_of_cells(rows, table.columns, source=str(file)) if cells_are == "auto" else (cells_are, "")
    cells, genes = (rows, table.columns) if side == "rows" else (table.columns, rows)
    obs, var = pd.DataFrame(index=cells), pd.DataFrame(index=genes)
    return ad.AnnData(stacked(parts, turned=side == "columns"), obs=obs, var=var, uns={"notes": [note] if note else []})


def _check_words(scale: str | None, cells_are: str, layout: str | None, layouts: Mapping[str, Layout]) -> None:
    sides = (*get_args(Side), "auto")
    for name, value, allowed in (
        ("scale", scale, SCALES),
        ("cells_are", cells_are, sides),
        ("layout", layout, tuple(layouts)),
    ):
        if value is not None and value not in allowed:
            message = f"{name}={value!r} is not known; use one of {', '.join(allowed)}"
            raise ConfigurationError(message)


def _check_options(
    kind: str, file: Path, *, layer: str | None, backed: bool, cells_are: str, layout: str | None
) -> None:
    if kind != "text" and (layout is not None or cells_are != "auto"):
        message = f"{file}: cells_are and layout are for .csv, .tsv and .txt; this file says itself what its cells are"
        raise ConfigurationError(message)
    if kind in {"text", "mtx", "10x h5", "gct", "gctx"} and layer is not None:
        message = f"{file}: only .h5ad, zarr and loom files have layers; leave layer={layer!r} out"
        raise ConfigurationError(message)
    if kind not in {"h5ad", "zarr", "gctx"} and backed:
        message = (
            f"{file}: only .h5ad, zarr and .gctx can stay on disk; convert the file once, in memory, and read that: "
            f"read_expression({file.name!r}).write_h5ad('{file.name.split('.')[0]}.h5ad')"
        )
        raise ConfigurationError(message)
