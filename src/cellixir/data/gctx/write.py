"""Samples x genes written as GCTX or GCT."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from cellixir.data.gctx.metadata import NULL
from cellixir.data.gctx.stored import MATRIX
from cellixir.data.hdf5 import Disk
from cellixir.exceptions import ConfigurationError, DuplicateIds, InvalidValues, examples, repeated
from cellixir.files import whole

#: Bytes of a chunk: small enough that a few scattered wells do not unpack the file, large enough to be packed well.
_CHUNK, _BLOCK = 2**16, 2**24


def write_gctx(adata: ad.AnnData, path: str | Path) -> Path:
    """Write samples x genes as GCTX (``.gctx``: chunked, gzip with shuffle) or GCT text (``.gct``, ``.gct.gz``).

    ``obs`` becomes the metadata of the columns, ``var`` that of the rows; missing fields are written as -666. The
    matrix stays float64 if it is, else it is float32; a matrix on disk is passed through block by block. Text is GCT
    1.3, or 1.2 where there is no metadata beside ``var["Description"]``. cmapPy and cmapR read these files.

    Parameters
    ----------
    adata
        Names of ``obs`` and ``var`` are the ids. Words, numbers, categories and truth values (as 0 and 1) are written.
    path
        The file; it appears whole or not at all.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ConfigurationError
        If the suffix is another.
    DuplicateIds
        If an id stands more than once.
    InvalidValues
        If there is no matrix, or a field cannot be written: its name holds a slash or is ``id``, or its values are of
        another kind or hold a tab or the end of a line (GCT).
    WriteError
        If the place cannot be written or is full.

    Examples
    --------
    >>> write_gctx(wells, "wells.gctx")  # doctest: +SKIP
    """
    file = Path(path)
    if adata.X is None or 0 in adata.shape:
        message = f"there is nothing to write ({adata.n_obs} samples x {adata.n_vars} genes); give at least one, and X"
        raise InvalidValues(message)
    for side, ids in (("sample", adata.obs_names), ("gene", adata.var_names)):
        twice = ids[ids.duplicated()].unique()
        if len(twice):
            message = f"{file}: {repeated(len(twice), side)} ({examples(twice)}); make the names unique"
            raise DuplicateIds(message)
    obs, var = _fields(adata.obs, "obs"), _fields(adata.var, "var")
    name = file.name.lower()
    if name.endswith(".gctx"):
        _write_stored(adata, file, obs, var)
    elif name.endswith((".gct", ".gct.gz")):
        _write_text(adata, file, obs, var)
    else:
        message = f"{file} must end in .gctx, .gct or .gct.gz, such as {file.with_suffix('.gctx').name}"
        raise ConfigurationError(message)
    return file


def _blocks(x: Any) -> Iterator[tuple[int, NDArray[np.floating]]]:
    dtype = _dtype(x)
    height = max(1, _BLOCK // (x.shape[1] * dtype.itemsize))
    for start in range(0, x.shape[0], height):
        block = x[start : start + height]
        yield start, np.asarray(block.toarray() if sp.issparse(block) else block, dtype=dtype)


def _dtype(x: Any) -> np.dtype[np.floating]:
    return np.dtype(np.float64 if x.dtype == np.float64 else np.float32)


def _fields(table: pd.DataFrame, side: str) -> dict[str, NDArray[Any]]:
    """Arrays of numbers or of text (object), -666 where a value is missing."""
    fields = {}
    for name in table.columns:
        if str(name) in {"id", ""} or set("/\t\r\n") & set(str(name)):
            message = f"{side}[{str(name)!r}] cannot be a field of a GCTX; rename the column"
            raise InvalidValues(message)
        fields[str(name)] = _field(table[name], f"{side}[{str(name)!r}]")
    return fields


def _field(column: pd.Series, place: str) -> NDArray[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype if not column.isna().any() else object)
    if pd.api.types.is_bool_dtype(column.dtype) and not column.isna().any():
        return column.to_numpy(np.int8)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.fillna(NULL).to_numpy() if column.isna().any() else column.to_numpy()
    odd = [value for value in pd.unique(column.dropna()) if not isinstance(value, str | int | float | np.number)]
    if odd:
        message = f"{place} holds {examples([type(odd[0]).__name__])}, not words or numbers; write it as text"
        raise InvalidValues(message)
    return column.astype(object).map(str, na_action="ignore").fillna(str(NULL)).to_numpy(object)


def _write_stored(adata: ad.AnnData, path: Path, obs: dict[str, Any], var: dict[str, Any]) -> None:
    with whole(path) as partial, Disk(partial) as disk:
        with h5py.File(disk, "w") as file:
            file.attrs["version"] = np.bytes_("GCTX1.0")
            file.attrs["src"] = path.name
            for side, ids, fields in (("COL", adata.obs_names, obs), ("ROW", adata.var_names, var)):
                group = file.create_group(f"0/META/{side}")
                for name, values in {"id": np.array(ids, dtype=object), **fields}.items():
                    stored = np.char.encode(values.astype(str), "utf-8") if values.dtype == object else values
                    group.create_dataset(name, data=stored, compression="gzip", shuffle=True)
            _write_matrix(file, adata.X)
        if disk.error is not None:
            raise disk.error


def _write_matrix(file: h5py.File, x: Any) -> None:
    dtype = _dtype(x)
    width = min(x.shape[1], 4096)
    height = min(x.shape[0], max(1, _CHUNK // (width * dtype.itemsize)))
    matrix = file.create_dataset(
        MATRIX, shape=x.shape, dtype=dtype, chunks=(height, width), compression="gzip", shuffle=True
    )
    for start, block in _blocks(x):
        matrix[start : start + len(block)] = block


def _write_text(adata: ad.AnnData, path: Path, obs: dict[str, Any], var: dict[str, Any]) -> None:
    old = not obs and set(var) <= {"Description"}
    if old:
        var = var or {"Description": np.array(adata.var_names, dtype=object)}
    sizes = [adata.n_vars, adata.n_obs, *([] if old else [len(var), len(obs)])]
    text = io.StringIO(newline="")
    text.write(f"#1.{2 if old else 3}\n" + "\t".join(map(str, sizes)) + "\n")
    corner = ["Name" if old else "id", *var]
    _line(text, [*corner, *adata.obs_names])
    for name, values in obs.items():
        _line(text, [name, *(["na"] * len(var)), *values.tolist()])
    x = np.concatenate([block for _, block in _blocks(adata.X)])
    for at, gene in enumerate(adata.var_names):
        _line(text, [gene, *(values[at] for values in var.values()), *x[:, at]])
    raw = text.getvalue().encode()
    with whole(path) as partial:
        partial.write_bytes(gzip.compress(raw, mtime=0) if path.name.lower().endswith(".gz") else raw)


def _line(text: io.StringIO, cells: list[Any]) -> None:
    words = [str(cell) for cell in cells]
    bad = [word for word in words if set("\t\r\n") & set(word)]
    if bad:
        message = f"{bad[0]!r} holds a tab or the end of a line, which GCT text cannot; write .gctx, or change it"
        raise InvalidValues(message)
    text.write("\t".join(words) + "\n")
