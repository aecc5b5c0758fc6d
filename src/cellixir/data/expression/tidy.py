"""Last step of every reader: names, scale, repeated genes, cells without counts, all of it told in notes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from cellixir.data.expression.checks import first_no_count
from cellixir.data.expression.matrix import Profile, is_backed, profile
from cellixir.data.expression.notes import notes_of
from cellixir.data.expression.scale import guessed_scale, recorded_scale
from cellixir.data.tables import refuse_duplicates
from cellixir.exceptions import DataError, InvalidValues, ReadError, examples, reason

#: Counts above this are not exact in float32.
EXACT = 2**24
#: Scales in which a cell of zeros is a cell in which nothing was seen.
_OF_COUNTS = {"counts", "log1p_cpm", "log2_tpm", "unknown"}


def tidied(cells: ad.AnnData, source: str, scale: str | None) -> ad.AnnData:
    """Cells x genes as all of cellixir expects them, with ``uns["scale"]``, ``["scale_guessed"]`` and ``["notes"]``.

    Raises
    ------
    DuplicateIds
        If two cells have the same name, or two genes of a matrix on disk.
    InvalidValues
        If a value is not finite, or not a count where counts were claimed.
    DataError
        If there is no gene, or no cell with a count.
    """
    notes = notes_of(cells.uns)
    on_disk = cells.X is not None and is_backed(cells.X)
    _name(cells, source)
    if not on_disk:
        _hold_as_float32(cells, source)
    seen = _profile(cells, source)
    found, guessed = _scale(cells, seen, scale, source, notes)
    if seen.maximum > EXACT and found == "counts":
        notes.append(f"counts above {EXACT:,} are not exact in float32 (up to {seen.maximum:,.0f})")
    cells = _without_repeats(cells, seen, found, source, notes, on_disk)
    if seen.minimum >= 0 and (found in _OF_COUNTS or seen.maximum == 0):
        cells = _without_empty(cells, seen.library_size > 0, source, notes, on_disk)
    cells.uns.update(scale=found, scale_guessed=guessed, notes=list(dict.fromkeys(notes)))
    return cells


@contextmanager
def repeats_allowed() -> Iterator[None]:
    """Silence AnnData about repeated names, which `tidied` merges or refuses."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* names are not unique")
        yield


def _name(cells: ad.AnnData, source: str) -> None:
    for what, table in (("cells", cells.obs), ("genes", cells.var)):
        names = pd.Index([str(name) for name in table.index], dtype=object)
        if len(names) and bool((names.str.strip() == "").any()):
            message = f"{source}: {int((names.str.strip() == '').sum())} {what} have no name; name or remove them"
            raise InvalidValues(message)
        table.index = names
    way_out = "make them unique (adata.obs_names_make_unique() for cells of several runs), or keep one of each"
    refuse_duplicates(cells.obs_names, source=source, what="cell", way_out=way_out)


def _hold_as_float32(cells: ad.AnnData, source: str) -> None:
    x = cells.X
    if x is None:
        message = f"{source} holds no values in X; name a layer ({examples(cells.layers, 9) or 'it has none'})"
        raise ReadError(message)
    if x.dtype.kind not in "biuf":
        message = f"{source}: the values are of type {x.dtype}, not numbers; write them as numbers"
        raise InvalidValues(message)
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
        if not sp.issparse(x):
            cells.X = np.ascontiguousarray(x, dtype=np.float32)
            return
        _refuse_damaged(x, source)
        held = sp.csr_matrix(x, dtype=np.float32)
    held.sum_duplicates()
    held.eliminate_zeros()
    cells.X = held


def _refuse_damaged(x: Any, source: str) -> None:
    """Refuse places that do not exist: SciPy would read and write beyond its arrays."""
    if x.format not in {"csr", "csc"}:
        return
    try:
        x.check_format(full_check=True)
    except ValueError as error:
        message = f"{source}: the sparse matrix is damaged ({reason(error)}); write or download it again"
        raise ReadError(message) from error


def _profile(cells: ad.AnnData, source: str) -> Profile:
    try:
        return profile(cells)
    except DataError as error:
        message = f"{source}: {error}"
        raise type(error)(message) from None
    except (
        OSError,
        ValueError,
        RuntimeError,
        LookupError,
        TypeError,
    ) as error:  # what h5py and zarr raise in the middle of a file
        message = f"{source} is damaged ({reason(error)}); write or download it again"
        raise ReadError(message) from error


def _scale(cells: ad.AnnData, seen: Profile, given: str | None, source: str, notes: list[str]) -> tuple[str, bool]:
    """Scale and whether it is a guess."""
    recorded = recorded_scale(cells)
    claimed = given or recorded
    if claimed == "counts" and not (seen.whole and seen.minimum >= 0):
        who = "scale='counts' was given" if given else "the file records scale 'counts'"
        message = (
            f"{source}: {who}, but {first_no_count(cells)}; counts are whole and not below zero: pass another scale"
        )
        raise InvalidValues(message)
    if claimed is not None:
        return claimed, given is None and bool(cells.uns.get("scale_guessed", False))
    guess = guessed_scale(cells, seen)
    if guess == "unknown":
        values = f"from {seen.minimum:.3g} to {seen.maximum:.3g}{', whole' if seen.whole else ''}"
        notes.append(f"what the values are ({values}) could not be told; pass scale= (--scale) if it is known")
    return guess, True


def _without_repeats(
    cells: ad.AnnData, seen: Profile, scale: str, source: str, notes: list[str], on_disk: bool
) -> ad.AnnData:
    names = cells.var_names
    if names.is_unique:
        return cells
    if on_disk:
        way_out = (
            "read the file without backed, which merges them, and write that: read_expression(path).write_h5ad(new)"
        )
        refuse_duplicates(names, source=source, what="gene", way_out=way_out)
    repeated = names[names.duplicated()].unique()
    codes = pd.factorize(names)[0]
    if scale == "counts":
        keep, how = np.flatnonzero(~names.duplicated()), "their counts were added up"
        values = _summed(cells.X, codes)
    else:
        keep = np.sort(pd.Series(seen.mean).groupby(codes).idxmax().to_numpy())
        how, values = "the column with the highest mean was kept", cells.X[:, keep]
    lost = " (layers and raw were left out)" if len(cells.layers) or cells.raw is not None else ""
    notes.append(f"genes that stood more than once: {len(repeated):,} ({examples(repeated)}); {how}{lost}")
    return ad.AnnData(values, obs=cells.obs, var=cells.var.iloc[keep], uns=dict(cells.uns), obsm=dict(cells.obsm))


def _summed(x: Any, codes: NDArray[np.intp]) -> Any:
    """Columns of the same code added up, in the order in which the codes appear."""
    n = int(codes.max()) + 1
    if sp.issparse(x):
        ones = np.ones(len(codes), dtype=np.float32)
        return x @ sp.csr_matrix((ones, (np.arange(len(codes)), codes)), shape=(len(codes), n))
    found = np.zeros((x.shape[0], n), dtype=np.float32)
    for column, code in enumerate(codes):
        found[:, code] += x[:, column]
    return found


def _without_empty(
    cells: ad.AnnData, filled: NDArray[np.bool_], source: str, notes: list[str], on_disk: bool
) -> ad.AnnData:
    count = int((~filled).sum())
    if not count:
        return cells
    named = examples(cells.obs_names[~filled])
    if count == cells.n_obs:
        message = f"{source}: none of the {count:,} cells has any count ({named}); all values are zero"
        raise DataError(message)
    if on_disk:
        notes.append(f"without any count: {count:,} of {cells.n_obs:,} cells ({named}); a model leaves them out")
        return cells
    notes.append(f"left out, as they have no count: {count:,} of {cells.n_obs:,} cells ({named})")
    return cells[filled].copy()
