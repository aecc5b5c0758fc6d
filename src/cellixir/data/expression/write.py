"""Cells x genes to a file that appears whole or not at all, also on a disk that is full."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import anndata as ad
import h5py
from anndata.io import write_elem

from cellixir.data.hdf5 import Disk
from cellixir.files import whole


def write_cells(
    cells: ad.AnnData, path: Path, *, compression: str | None = None, attributes: Mapping[str, str] | None = None
) -> None:
    """Write an .h5ad file.

    Parameters
    ----------
    compression
        Such as ``gzip``.
    attributes
        Of the file itself, beside those of anndata.

    Raises
    ------
    WriteError
        If the place cannot be written or is full.
    """
    cells.strings_to_categoricals()
    with whole(path) as partial, Disk(partial) as disk:
        with h5py.File(disk, "w") as file:
            write_elem(file, "/", cells, dataset_kwargs={"compression": compression} if compression else {})
            file.attrs.update(attributes or {})
        if disk.error is not None:
            raise disk.error
