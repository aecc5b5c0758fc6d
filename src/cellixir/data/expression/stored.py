"""Expression in the formats that hold an AnnData or its like: h5ad, zarr, loom."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
from anndata.abc import CSCDataset

from cellixir.data.expression.notes import add_notes
from cellixir.data.hdf5 import require_own
from cellixir.exceptions import ConfigurationError, MissingExtra, ReadError, UnknownIds, examples, reason

RAW = "raw"


def read_stored(path: Path, kind: str, *, layer: str | None = None) -> ad.AnnData:
    """All that an h5ad, zarr or loom file holds, in memory; ``layer`` takes the place of ``X``.

    Raises
    ------
    ReadError
        If the file is damaged or not what its name says, or holds no values.
    UnknownIds
        If there is no such layer.
    MissingExtra
        If it is a loom file and loompy is not installed.
    """
    try:
        cells = _read_loom(path) if kind == "loom" else _read_h5ad_or_zarr(path, kind)
    except (MissingExtra, ReadError):
        raise
    except Exception as error:  # anndata raises many kinds, some of them private
        raise _not_readable(path, kind, error) from error
    return cells if layer is None else _with_layer(cells, layer, path)


def _read_h5ad_or_zarr(path: Path, kind: str) -> ad.AnnData:
    if kind == "h5ad":
        require_own(path)
    try:
        return ad.read_h5ad(path) if kind == "h5ad" else ad.read_zarr(_zarr_group(path))
    except Exception as error:
        if not _is_of_another_writer(error):
            raise
        return _read_by_parts(h5py.File(path, "r") if kind == "h5ad" else _zarr_group(path))


def _is_of_another_writer(error: BaseException | None) -> bool:
    """Whether anndata knows no way to read an element; its class for that is private."""
    return error is not None and (type(error).__name__ == "IORegistryError" or _is_of_another_writer(error.__cause__))


def _read_by_parts(group: Any) -> ad.AnnData:
    """What can be read of a file; cells, genes, values and ``raw`` must be, of the rest a note says what was not."""
    from anndata.io import read_elem

    known: dict[str, Any] = {name: read_elem(group[name]) for name in ("X", "obs", "var", RAW) if name in group}
    notes: list[str] = []
    for name in ("layers", "obsm", "varm", "obsp", "varp", "uns"):
        known[name] = _readable(group[name], name, notes) if name in group else {}
    found = ad.AnnData(**known)
    add_notes(found.uns, notes)
    return found


def _readable(group: Any, name: str, notes: list[str]) -> dict[str, Any]:
    from anndata.io import read_elem

    found = {}
    for key in group:
        try:
            found[key] = read_elem(group[key])
        except Exception as error:
            if not _is_of_another_writer(error):
                raise
            notes.append(f"{name}['{key}'] is of a kind that this anndata cannot read, and was left out")
    return found


def _zarr_group(path: Path) -> Any:
    import zarr

    if path.is_file():
        return zarr.open_group(zarr.storage.ZipStore(path, mode="r"), mode="r")
    return zarr.open_group(path, mode="r")


def _read_loom(path: Path) -> ad.AnnData:
    if find_spec("loompy") is None:
        message = f"{path}: reading .loom needs loompy; pip install loompy, or save the data as .h5ad"
        raise MissingExtra(message)
    from anndata.io import read_loom

    require_own(path)
    return read_loom(path, sparse=True, X_name="")


def _with_layer(cells: ad.AnnData, layer: str, path: Path) -> ad.AnnData:
    if layer in cells.layers:
        cells.X = cells.layers.pop(layer)
        return cells
    if layer == RAW and cells.raw is not None:
        raw = cells.raw
        return ad.AnnData(raw.X, obs=cells.obs, var=raw.var, uns=cells.uns, obsm=dict(cells.obsm))
    raise _no_layer(layer, [*cells.layers, *([RAW] if cells.raw is not None else [])], path)


def open_stored(path: Path, kind: str, *, layer: str | None = None) -> ad.AnnData:
    """Names and annotation in memory, ``X`` and the layers on disk.

    Raises
    ------
    ReadError
        If the file is damaged or not what its name says, or holds no values.
    ConfigurationError
        If the matrix stands by column, so that a cell cannot be read alone.
    UnknownIds
        If there is no such layer.
    """
    from anndata.io import read_elem

    try:
        if kind == "h5ad":
            require_own(path, in_memory=False)
        group = h5py.File(path, "r") if kind == "h5ad" else _zarr_group(path)
        there = [*group.get("layers", ()), *([RAW] if RAW in group else [])]
        place = _place(group, layer)
        if place is not None:
            matrix = _on_disk(group[place])
            var = read_elem(group["raw/var" if place == "raw/X" else "var"])
            notes: list[str] = []
            known = {name: _readable(group[name], name, notes) for name in ("uns", "obsm") if name in group}
            known["obs"] = read_elem(group["obs"])
            if isinstance(known["obs"], np.ndarray):  # anndata 0.6: codes, whose categories stand in uns
                old = ad.read_h5ad(path, backed="r")
                known |= {"obs": old.obs, "uns": dict(old.uns), "obsm": dict(old.obsm)}
                var = old.var if place != "raw/X" else var
            if notes:
                add_notes(known.setdefault("uns", {}), notes)
            layers = {} if place == "raw/X" else _row_layers(group, layer)
            by_column = isinstance(matrix, CSCDataset)
            cells = None if by_column else ad.AnnData(matrix, var=var, layers=layers, **known)
    except ReadError:
        raise
    except Exception as error:  # anndata, h5py and zarr raise many kinds
        raise _not_readable(path, kind, error) from error
    if place is None:
        if layer is None:
            message = f"{path} holds no values in X; name a layer ({examples(there, 9) or 'it has none'})"
            raise ReadError(message)
        raise _no_layer(layer, there, path)
    if cells is None:
        message = (
            f"{path}: the matrix stands by column (csc), so that a cell cannot be read alone; read the file without "
            "backed, and write that: read_expression(path).write_h5ad(new_path)"
        )
        raise ConfigurationError(message)
    return cells


def _place(group: Any, layer: str | None) -> str | None:
    """Where the matrix that is asked for stands in the file."""
    if layer is None:
        return "X" if "X" in group else None
    if layer in group.get("layers", ()):
        return f"layers/{layer}"
    return "raw/X" if layer == RAW and RAW in group else None


def _on_disk(element: Any) -> Any:
    from anndata.io import sparse_dataset

    return sparse_dataset(element) if hasattr(element, "keys") else element


def _row_layers(group: Any, taken: str | None) -> dict[str, Any]:
    return {name: _on_disk(group[f"layers/{name}"]) for name in group.get("layers", ()) if name != taken}


def _no_layer(layer: str, there: list[str], path: Path) -> UnknownIds:
    holds = f"it has {examples(there, 9)}" if there else "it has none, only X"
    return UnknownIds(f"{path} has no layer {layer!r}; {holds}")


def _not_readable(path: Path, kind: str, error: Exception) -> ReadError:
    name = {"h5ad": "an .h5ad file", "zarr": "a zarr group of AnnData", "loom": "a loom file"}[kind]
    return ReadError(f"{path} is not {name}, or is cut off ({reason(error)}); write or download it again")
