"""Columns about cells from a table of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellixir.data.expression.notes import add_notes
from cellixir.data.tables import read_table
from cellixir.exceptions import DuplicateIds, UnknownIds, examples, repeated

if TYPE_CHECKING:
    import anndata as ad


def join_labels(cells: ad.AnnData, path: Path) -> None:
    """Add the columns of a table to ``obs``, by the ids in its first column; what does not fit is noted.

    Raises
    ------
    UnknownIds
        If no cell, or no column, is found in the table.
    DuplicateIds
        If a cell stands twice in it.
    ReadError
        If it cannot be read.
    """
    table = read_table(path)
    if table.shape[1] < 2:
        message = f"{path} has one column; give the ids of the cells, and beside them what is known of each"
        raise UnknownIds(message)
    table = table.set_index(table.columns[0])
    table.index = table.index.astype(str)
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()].unique()
        message = f"{path}: {repeated(len(twice), 'cell')} ({examples(twice)}); keep one row each"
        raise DuplicateIds(message)
    known = cells.obs_names.isin(table.index)
    if not known.any():
        message = (
            f"{path}: none of its ids ({examples(table.index)}) is that of a cell ({examples(cells.obs_names)}); "
            "its first column must hold the ids of the cells"
        )
        raise UnknownIds(message)
    notes = []
    if not known.all():
        notes.append(f"{int((~known).sum()):,} of {cells.n_obs:,} cells have no row in {path.name}, and no label")
    if taken := [name for name in table.columns if name in cells.obs]:
        notes.append(f"columns {examples(taken)} of {path.name} take the place of those in the file")
    for name in table.columns:
        cells.obs[name] = table[name].reindex(cells.obs_names).to_numpy()
    add_notes(cells.uns, notes)
