"""Counts as Cell Ranger writes them: HDF5, and a folder with a Matrix Market file."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sp

from cellixir.data.hdf5 import require_own
from cellixir.data.opening import GZIP, content, require_file
from cellixir.exceptions import ReadError, examples, reason
from cellixir.limits import limit, require_growth, require_memory

EXPRESSION = "Gene Expression"
# What h5py and SciPy raise on damaged files.
_DAMAGED = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, EOFError)
_UNREADABLE = (ValueError, EOFError, OSError, zlib.error, OverflowError, TypeError)
#: Bytes of the shortest entry of a Matrix Market file ("1 1" and the end of its line), and of one in memory.
_ENTRY, _HELD = 4, 24
_LINE, _OF_NUMBERS = 1 << 22, b"0123456789+-.eE \t\r\n"


def read_10x_h5(path: Path) -> ad.AnnData:
    """Cells x genes, float32 and sparse, of a 10x ``.h5`` file in the layout of Cell Ranger 2 or 3.

    Genes are named by symbol; ``var["gene_id"]`` holds the ids. Features of other kinds (antibodies, guides) are left
    out and counted in ``uns["notes"]``.

    Raises
    ------
    ReadError
        If the file is damaged or not of this layout.
    """
    try:
        require_own(path)
        with h5py.File(path, "r") as file:
            group = _matrix_group(file, path)
            counts, barcodes = _counts(group), _words(group["barcodes"])
            features = _features(group)
    except ReadError:
        raise
    except _DAMAGED as error:
        message = f"{path} is not a 10x .h5 file, or is cut off ({reason(error)}); write or download it again"
        raise ReadError(message) from error
    return _cells(counts, barcodes, features, str(path))


def _matrix_group(file: Any, path: Path) -> Any:
    if "matrix" in file:
        return file["matrix"]
    genomes = [name for name in file if isinstance(file[name], h5py.Group) and "gene_names" in file[name]]
    if len(genomes) == 1:
        return file[genomes[0]]
    if genomes:
        message = (
            f"{path} holds the counts of {len(genomes)} genomes ({examples(genomes)}); write each to a file of its own"
        )
        raise ReadError(message)
    hint = "; it looks like .h5ad, so name it that" if "obs" in file and "var" in file else ""
    message = f"{path} is no 10x .h5 file: it has no group 'matrix', but {examples(file, 5) or 'nothing'}{hint}"
    raise ReadError(message)


def _counts(group: Any) -> sp.csr_matrix:
    # columns of the file are cells: the same three arrays are rows of cells
    n_genes, n_cells = (int(n) for n in group["shape"][:])
    arrays = group["data"][:].astype(np.float32), group["indices"][:], group["indptr"][:]
    counts = sp.csr_matrix(arrays, shape=(n_cells, n_genes))
    counts.check_format(full_check=True)
    return counts


def _features(group: Any) -> pd.DataFrame:
    if "features" not in group:
        return pd.DataFrame({"gene_id": _words(group["genes"]), "name": _words(group["gene_names"])})
    features = group["features"]
    columns = {"gene_id": "id", "name": "name", "kind": "feature_type", "genome": "genome"}
    named = {name: _words(features[key]) for name, key in columns.items() if key in features or name == "name"}
    return pd.DataFrame(named)


def _words(dataset: Any) -> list[str]:
    return [word.decode() if isinstance(word, bytes) else str(word) for word in dataset[:]]


def read_10x_mtx(path: Path) -> ad.AnnData:
    """Cells x genes, float32 and sparse, of a Matrix Market file with ``barcodes`` and ``features`` or ``genes`` by it.

    Parameters
    ----------
    path
        The ``matrix.mtx`` (also ``.gz``, also with the name of a sample before it), or the folder that holds it.

    Raises
    ------
    ReadError
        If one of the three files is missing, damaged, or they do not fit each other.
    """
    matrix = _matrix_file(path) if path.is_dir() else path
    barcodes = _names(_companion(matrix, "barcodes"))[0].tolist()
    features = _feature_names(_names(_companion(matrix, "features", "genes")))
    shape = _promised_shape(matrix)
    if shape not in {(len(features), len(barcodes)), (len(barcodes), len(features))}:
        message = (
            f"{matrix} is {shape[0]} x {shape[1]}, but there are {len(features)} features and "
            f"{len(barcodes)} barcodes beside it; they are not of one run"
        )
        raise ReadError(message)
    _check_body(matrix)
    counts = _matrix_market(matrix)
    counts = counts.T if shape == (len(features), len(barcodes)) else counts
    return _cells(sp.csr_matrix(counts, dtype=np.float32), barcodes, features, str(path))


def _matrix_file(folder: Path) -> Path:
    found = sorted(f for f in folder.iterdir() if f.name.lower().endswith(("matrix.mtx", "matrix.mtx.gz")))
    if len(found) != 1:
        message = f"{folder} holds {len(found)} matrices ({examples([f.name for f in found])}); give one of them"
        raise ReadError(message)
    return found[0]


def _companion(matrix: Path, *words: str) -> Path:
    start = matrix.name.lower().rfind("matrix.mtx")
    prefix = matrix.name[:start] if start >= 0 else ""
    wanted = [matrix.with_name(f"{prefix}{word}.tsv{end}") for word in words for end in ("", ".gz")]
    for file in wanted:
        if file.is_file():
            return file
    message = f"{matrix} has no {' or '.join(words)} beside it; put {examples([f.name for f in wanted], 4)} there"
    raise ReadError(message)


def _names(path: Path) -> pd.DataFrame:
    try:
        text = content(path, named_right=False).decode()
    except UnicodeDecodeError as error:
        message = f"{path} cannot be read ({error}); download it again"
        raise ReadError(message) from error
    rows = [[_unquoted(word) for word in line.split("\t")] for line in text.splitlines() if line.strip()]
    width = min((len(row) for row in rows), default=0)
    if not width:
        message = f"{path} holds no names; download it again"
        raise ReadError(message)
    return pd.DataFrame([row[:width] for row in rows])


def _unquoted(word: str) -> str:
    """A name without the quotes that R's ``write.table`` puts around it."""
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] == '"' else word


def _feature_names(names: pd.DataFrame) -> pd.DataFrame:
    columns = {"gene_id": names[0], "name": names[min(1, names.shape[1] - 1)]}
    return pd.DataFrame(columns | ({"kind": names[2]} if names.shape[1] > 2 else {}))


def _promised_shape(path: Path) -> tuple[int, int]:
    """Shape by the header, once it promises no more numbers than the file, its shape and memory can hold."""
    packed, size = _is_packed(path), require_file(path)
    try:
        n_rows, n_columns, promised = (int(n) for n in scipy.io.mminfo(path)[:3])
    except _UNREADABLE as error:
        raise _no_market(path, error) from error
    most = size * limit("CELLIXIR_MAX_RATIO") if packed else size
    if promised > n_rows * n_columns or promised * _ENTRY > most:
        message = (
            f"{path} promises {promised:,} numbers for {n_rows:,} x {n_columns:,} places, and has {size:,} bytes"
            f"{' packed' if packed else ''}; it is damaged, download it again"
        )
        raise ReadError(message)
    require_memory(_HELD * promised, path, f"holds {promised:,} numbers")
    return n_rows, n_columns


def _is_packed(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == GZIP


def _check_body(path: Path) -> None:
    """Refuse a body of anything but numbers: SciPy's parser crashes on some of it."""
    size, total = require_file(path), 0
    try:
        with gzip.open(path) if _is_packed(path) else path.open("rb") as stream:
            while (line := stream.readline(_LINE)).startswith(b"%") or not line.strip(b" \r\n"):
                if not line:
                    return
            while part := stream.read(_LINE):
                total += len(part)
                require_growth(total, size, path)
                strange = part.translate(None, _OF_NUMBERS)
                if strange:
                    message = f"{path} holds {strange[:9]!r} among its numbers; it is damaged, download it again"
                    raise ReadError(message)
    except _UNREADABLE as error:
        if isinstance(error, ReadError):
            raise
        raise _no_market(path, error) from error


def _matrix_market(path: Path) -> sp.coo_matrix:
    try:
        return sp.coo_matrix(scipy.io.mmread(path))
    except _UNREADABLE as error:
        raise _no_market(path, error) from error


def _no_market(path: Path, error: Exception) -> ReadError:
    return ReadError(f"{path} is not a Matrix Market file, or is cut off ({reason(error)}); write or download it again")


def _cells(counts: Any, barcodes: list[str], features: pd.DataFrame, source: str) -> ad.AnnData:
    if counts.shape != (len(barcodes), len(features)):
        message = (
            f"{source}: {counts.shape} counts for {len(barcodes)} barcodes and {len(features)} features; it is damaged"
        )
        raise ReadError(message)
    notes: list[str] = []
    if "kind" in features:
        counts, features, notes = _expression_only(counts, features, source)
    var = features.set_index(pd.Index(features.pop("name"), name=None))
    return ad.AnnData(counts, obs=pd.DataFrame(index=barcodes), var=var, uns={"notes": notes})


def _expression_only(counts: Any, features: pd.DataFrame, source: str) -> tuple[Any, pd.DataFrame, list[str]]:
    kinds = features.pop("kind")
    keep = (kinds == EXPRESSION).to_numpy()
    if keep.all():
        return counts, features, []
    others = kinds[~keep].value_counts()
    named = ", ".join(f"{count:,} {kind}" for kind, count in others.items())
    if not keep.any():
        message = f"{source} holds no feature of kind '{EXPRESSION}' ({named}); give the file with the genes"
        raise ReadError(message)
    note = f"{(~keep).sum():,} features that are not gene expression were left out ({named})"
    return counts[:, keep], features[keep], [note]
