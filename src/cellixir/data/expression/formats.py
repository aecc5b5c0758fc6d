"""Formats of expression files, told from the path."""

from __future__ import annotations

from pathlib import Path

from cellixir.data.gctx.kind import gct_kind
from cellixir.data.opening import require_file, unreadable
from cellixir.exceptions import ReadError, examples

TEXT = (".csv", ".tsv", ".txt")
KNOWN = (
    ".h5ad, .zarr (a folder, or .zarr.zip), 10x .h5, a 10x folder with matrix.mtx, .mtx, .loom, .gctx, .gct, or .csv, "
    ".tsv, .txt (.mtx, .gct and text also .gz)"
)
_PACKED = (".gz", ".zip", ".tar", ".tgz", ".bz2", ".xz")
_ZARR_MARKS = (".zgroup", ".zattrs", "zarr.json")


def format_of(path: Path) -> str:
    """``h5ad``, ``zarr``, ``10x h5``, ``mtx``, ``loom``, ``gctx``, ``gct`` or ``text``; GCT and GCTX by content.

    Raises
    ------
    ReadError
        If nothing is there, it is empty, a web page, packed, or of no known kind.
    """
    if path.is_dir():
        return _of_folder(path)
    if (kind := gct_kind(path)) is not None:
        return kind[:4].strip()
    found = _of_name(path)
    start = _first_bytes(path)
    if start.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        message = f"{path} is a web page, not data; the download failed, get the file again"
        raise ReadError(message)
    if found in {"h5ad", "10x h5", "loom", "gctx"} and start[:2] == b"\x1f\x8b":
        message = f"{path} is packed with gzip; unpack it first (rename it to {path.name}.gz, then gunzip)"
        raise ReadError(message)
    return found


def _of_folder(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir())
    if any(mark in names for mark in _ZARR_MARKS):
        return "zarr"
    if any(name.lower().endswith(("matrix.mtx", "matrix.mtx.gz")) for name in names):
        return "mtx"
    below = [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and _is_tenx(entry)]
    hint = f"; {below[0]} is a 10x folder, give that" if below else ""
    holds = examples(names, 5) if names else "nothing"
    message = f"{folder} is neither a zarr group nor a 10x folder with matrix.mtx (it holds {holds}){hint}"
    raise ReadError(message)


def _is_tenx(folder: Path) -> bool:
    return any(any(folder.glob(pattern)) for pattern in ("*matrix.mtx", "*matrix.mtx.gz"))


def _of_name(path: Path) -> str:
    name = path.name.lower()
    if name.endswith(".zarr.zip"):
        return "zarr"
    plain = Path(name.removesuffix(".gz")).suffix
    if plain in TEXT:
        return "text"
    if plain == ".mtx":
        return "mtx"
    suffix = Path(name).suffix
    by_suffix = {".h5ad": "h5ad", ".h5": "10x h5", ".hdf5": "10x h5", ".loom": "loom", ".zarr": "zarr"}
    by_suffix |= {".gctx": "gctx", ".gct": "gct"}
    if suffix in by_suffix:
        return by_suffix[suffix]
    _first_bytes(path)
    if suffix in _PACKED:
        message = f"{path} is an archive; unpack it first and give what was in it ({KNOWN})"
    else:
        message = f"{path}: the suffix {suffix!r} is not known; use {KNOWN}"
    raise ReadError(message)


def _first_bytes(path: Path) -> bytes:
    require_file(path)
    try:
        with path.open("rb") as stream:
            return stream.read(512)
    except OSError as error:
        raise unreadable(path, error) from error
