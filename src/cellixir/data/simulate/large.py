"""Simulated cells that need not fit in memory, written to disk a block at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata.io import write_elem

from cellixir.data.simulate.cell_plan import PIECE, Cells, CellSettings, plan_cells
from cellixir.data.simulate.cells import CellTruth, joined, obs_of, truth_of
from cellixir.exceptions import ConfigurationError
from cellixir.files import whole

#: Values in a chunk of the file.
CHUNK = 2**16


def write_large_h5ad(
    path: str | Path, n_cells: int, n_genes: int, *, density: float = 0.07, seed: int = 0, block: int = 5000
) -> CellTruth:
    """Truth of the cells that were written to ``path`` (.h5ad, CSR on disk), drawn and appended in blocks.

    The counts are those of ``simulate_cells(n_cells, n_genes, density=density, seed=seed)``, whatever the block.

    Parameters
    ----------
    path
        Takes its place only when it is whole.
    n_cells, n_genes, density, seed
        As in `simulate_cells`.
    block
        Cells that are held before they are written; rounded to whole pieces of 500.

    Raises
    ------
    ConfigurationError
        If a size cannot be.
    WriteError
        If the file cannot be written.
    """
    if block < 1:
        message = f"block={block}; give at least 1 cell"
        raise ConfigurationError(message)
    plan = plan_cells(CellSettings(n_cells=n_cells, n_genes=n_genes, density=density, seed=seed))
    waiting: list[sp.csr_matrix] = []
    drawn: list[Cells] = []
    with whole(path) as partial, h5py.File(partial, "w") as file:
        group = _begin(file, (n_cells, n_genes))
        for counts, some in plan.pieces():
            waiting.append(counts)
            drawn.append(some)
            if len(waiting) >= max(round(block / PIECE), 1):
                _append(group, waiting)
        _append(group, waiting)
        cells = joined(drawn)
        truth = truth_of(plan, cells)
        _finish(file, obs_of(plan, cells), pd.DataFrame(index=truth.base.index))
    return truth


def _begin(file: h5py.File, shape: tuple[int, int]) -> h5py.Group:
    """Empty CSR matrix that can grow, in the layout of AnnData 0.1.0 on disk."""
    file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    group = file.create_group("X")
    group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": np.array(shape)})
    for name, kind in (("data", np.float32), ("indices", np.int32)):
        group.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(CHUNK,))
    group.create_dataset("indptr", data=np.zeros(1, dtype=np.int64), maxshape=(None,), chunks=(CHUNK,))
    return group


def _append(group: h5py.Group, waiting: list[sp.csr_matrix]) -> None:
    """Write the rows that wait, and forget them."""
    if not waiting:
        return
    rows = sp.vstack(waiting, format="csr")
    waiting.clear()
    n_values = group["data"].shape[0]
    _extend(group["data"], rows.data)
    _extend(group["indices"], rows.indices)
    _extend(group["indptr"], rows.indptr[1:].astype(np.int64) + n_values)


def _extend(dataset: Any, values: Any) -> None:
    start = dataset.shape[0]
    dataset.resize((start + len(values),))
    dataset[start:] = values


def _finish(file: h5py.File, obs: pd.DataFrame, var: pd.DataFrame) -> None:
    write_elem(file, "obs", obs)
    write_elem(file, "var", var)
    write_elem(file, "uns", {"name": "simulated", "scale": "counts", "scale_guessed": False})
    for part in ("layers", "obsm", "obsp", "varm", "varp"):
        write_elem(file, part, {})
