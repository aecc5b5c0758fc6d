"""Samples x genes of a GCT or GCTX file, or of a part of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.data.gctx.kind import Axis, Opened, gct_kind
from cellixir.data.gctx.metadata import NULL, join, table_of, words
from cellixir.data.gctx.stored import StoredMatrix, open_stored
from cellixir.data.gctx.text import open_text
from cellixir.data.opening import GZIP, require_file
from cellixir.exceptions import (
    ConfigurationError,
    DuplicateIds,
    InvalidValues,
    ReadError,
    UnknownIds,
    counted,
    examples,
    repeated,
)

Ids = Iterable[object] | str | int | None


def read_gctx(
    path: str | Path,
    rows: Ids = None,
    columns: Ids = None,
    *,
    metadata: str | Path | pd.DataFrame | None = None,
    genes: str | Path | pd.DataFrame | None = None,
    gaps: Literal["refuse", "keep"] = "refuse",
    backed: bool = False,
) -> ad.AnnData:
    """Samples x genes of a GCT 1.2, GCT 1.3 or GCTX file: its columns are ``obs``, its rows ``var``.

    The content decides which format it is, not the suffix. Of a GCTX nothing but the rows and columns asked for is
    read: a slice of a file of 150 GB takes as long as its own numbers. Ids are text, also where the file holds
    integers. Words are UTF-8, or Latin-1 as R writes them; words of metadata that all are numbers become numbers.

    The names of metadata are those of CMap 2017, also where the file or the table has those of LINCS 2020:
    ``pert_iname`` (``cmap_name``), ``cell_id`` (``cell_iname``), ``inst_id`` (``sample_id``), ``distil_id``
    (``distil_ids``), ``distil_cc_q75`` (``cc_q75``), ``distil_nsample`` (``nsample``), ``pr_gene_id`` (``gene_id``),
    ``pr_gene_symbol`` (``gene_symbol``), ``pr_gene_title`` (``gene_title``); others stay as they are.

    -666 is the format's mark of a missing word or number in metadata, and is read as missing. In the matrix the
    format marks missing values by NaN; -666 is no expression and no z-score, and is taken for missing there, too.

    Parameters
    ----------
    path
        ``.gctx``, or ``.gct`` (also ``.gct.gz``).
    rows, columns
        Ids of genes and of samples, in the order wanted (text or integers); None: all.
    metadata
        Table about samples, a file or a frame, joined into ``obs`` by its column ``sig_id``, ``inst_id``,
        ``distil_id``, ``id`` or ``cid``, or by its index; fields of the same name are replaced.
    genes
        Table about genes, joined into ``var`` by ``pr_gene_id``, ``id``, ``rid``, ``pr_id``, ``pr_gene_symbol`` or
        ``ensembl_id``.
    gaps
        Whether missing values of the matrix are refused, or kept as NaN.
    backed
        Leave the matrix of a GCTX on disk as ``X``, to be read by blocks; its values are not looked at here.

    Returns
    -------
    AnnData
        Shape ``(n_columns, n_rows)``; float32 or float64 as stored, float64 from text. ``uns["notes"]`` says what a
        table did not describe.

    Raises
    ------
    ReadError
        If the file is missing, cut off, damaged, of another kind, or larger than the limits allow.
    UnknownIds
        If an id that is asked for is not in the file, or a table describes no id of it.
    DuplicateIds
        If an id that is read stands more than once.
    InvalidValues
        If a value is infinite, text or, unless gaps are kept, missing.
    ConfigurationError
        If nothing is asked for, or a part or a text is to stay on disk.

    Examples
    --------
    >>> wells = read_gctx("level3.gctx", columns=ids, metadata="instinfo_beta.txt")  # doctest: +SKIP
    """
    file = Path(path)
    kind = _kind(file)
    if backed and (kind != "gctx" or rows is not None or columns is not None):
        message = f"{file}: only a whole GCTX can stay on disk; leave backed out, or rows and columns"
        raise ConfigurationError(message)
    if kind != "gctx":
        return _taken(open_text(file), file, rows, columns, metadata, genes, gaps, backed=False)
    handle, opened = open_stored(file)
    try:
        return _taken(opened, file, rows, columns, metadata, genes, gaps, backed=backed)
    finally:
        if not backed:
            handle.close()


def _kind(path: Path) -> str:
    require_file(path)
    kind = gct_kind(path)
    if kind is not None:
        return kind
    with path.open("rb") as stream:
        packed = stream.read(2) == GZIP
    if packed:
        message = f"{path} is packed with gzip and is no GCT text; unpack it first (gunzip), and give the .gctx"
        raise ReadError(message)
    if path.suffix.lower() == ".gctx":  # cut off, or with links to other files: said by the reader
        return "gctx"
    message = (
        f"{path} is neither GCTX (HDF5 with 0/DATA) nor GCT (text that begins with #1.2 or #1.3); read other formats "
        "by read_expression"
    )
    raise ReadError(message)


def _taken(
    opened: Opened, path: Path, rows: Ids, columns: Ids, metadata: Any, genes: Any, gaps: str, *, backed: bool
) -> ad.AnnData:
    notes: list[str] = []
    at_rows, at_columns = _places(opened.rows, rows, path, "gene"), _places(opened.columns, columns, path, "sample")
    obs, var = _about(opened.columns, at_columns), _about(opened.rows, at_rows)
    obs = obs if metadata is None else join(obs, metadata, "sample", notes)
    var = var if genes is None else join(var, genes, "gene", notes)
    values: Any
    if backed and isinstance(opened.matrix, StoredMatrix):
        values = opened.matrix.matrix
    else:
        values = opened.matrix.read(at_columns, at_rows)
        _check(values, obs.index, var.index, path, gaps)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* names are not unique")
        return ad.AnnData(values, obs=obs, var=var, uns={"notes": notes})


def _about(axis: Axis, places: NDArray[np.intp]) -> pd.DataFrame:
    return table_of({name: values[places] for name, values in axis.fields.items()}, axis.ids[places])


def _places(axis: Axis, asked: Ids, path: Path, side: str) -> NDArray[np.intp]:
    """Places of the ids asked for, in their order."""
    ids = pd.Index(axis.ids, dtype=object)
    what = {"gene": "rows", "sample": "columns"}[side]
    if asked is None:
        _refuse_repeats(ids, f"{path}", side)
        return np.arange(len(ids))
    wanted = pd.Index(words([asked] if isinstance(asked, str | int) else list(asked)), dtype=object)
    if not len(wanted):
        message = f"{what} names no {side}; leave it out for all, or name at least one"
        raise ConfigurationError(message)
    _refuse_repeats(wanted, what, side)
    _refuse_repeats(ids[ids.isin(wanted)], f"{path}", side)
    found = pd.Series(np.arange(len(ids)), index=ids)[ids.isin(wanted)].reindex(wanted)
    if found.isna().any():
        absent = wanted[found.isna().to_numpy()]
        message = (
            f"{path} does not hold {len(absent):,} of the {counted(len(wanted), side)} asked for ({examples(absent)}; "
            f"its {what} are {examples(ids)}); leave them out, or use the ids of the file"
        )
        raise UnknownIds(message)
    return found.to_numpy(np.intp)


def _refuse_repeats(ids: pd.Index, source: str, side: str) -> None:
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        message = f"{source}: {repeated(len(twice), side)} ({examples(twice)}); keep one of each"
        raise DuplicateIds(message)


def _check(values: NDArray[np.floating], samples: pd.Index, genes: pd.Index, path: Path, gaps: str) -> None:
    """Refuse what is no number; -666 becomes NaN where gaps are kept."""
    values[values == NULL] = np.nan
    bad = ~np.isfinite(values) if gaps == "refuse" else np.isinf(values)
    if not bad.any():
        return
    row, column = divmod(int(np.argmax(bad)), values.shape[1])
    value = values[row, column]
    which, way_out = ("missing", ', or pass gaps="keep"') if np.isnan(value) else (f"{value:g}", "")
    message = (
        f"{path}: gene {genes[column]!r} of sample {samples[row]!r} is {which} ({counted(int(bad.sum()), 'such value')}"
        f"); read without such rows or columns{way_out}"
    )
    raise InvalidValues(message)
