"""Expression from any of the usual files, the tables of published studies included."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellixir.data.expression import read
from cellixir.data.expression.read import CellsAre, Layout
from cellixir.sources.melanoma import is_gse72056, is_gse115978, read_gse72056, read_gse115978

if TYPE_CHECKING:
    import anndata as ad

#: Layouts of published tables that are recognised, in the order in which they are tried.
LAYOUTS = {
    "gse72056": Layout(is_gse72056, read_gse72056),
    "gse115978": Layout(is_gse115978, read_gse115978),
}


def read_expression(
    path: str | Path,
    *,
    layer: str | None = None,
    backed: bool = False,
    scale: str | None = None,
    cells_are: CellsAre = "auto",
    layout: str | None = None,
) -> ad.AnnData:
    """Cells x genes of a file, as `cellixir.data.expression.read_expression` reads it.

    Parameters
    ----------
    path, layer, backed, scale, cells_are
        See `cellixir.data.expression.read_expression`.
    layout
        Published layout of a table: ``gse72056`` or ``gse115978``. Both are also recognised.

    Returns
    -------
    AnnData
        Cells x genes, float32; ``uns["scale"]`` says what the values are.

    Raises
    ------
    ReadError, InvalidValues, DuplicateIds, DataError, UnknownIds, ConfigurationError
        As `cellixir.data.expression.read_expression`.

    Examples
    --------
    >>> read_expression("GSE72056_melanoma_single_cell_revised_v2.txt.gz").obs["cell_type"]  # doctest: +SKIP
    """
    return read.read_expression(
        path, layer=layer, backed=backed, scale=scale, cells_are=cells_are, layout=layout, layouts=LAYOUTS
    )
