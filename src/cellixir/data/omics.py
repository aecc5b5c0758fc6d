"""Omics of samples as AnnData, with their scale and the order of their features."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.data.gctx.kind import gct_kind
from cellixir.data.gctx.read import read_gctx
from cellixir.data.hdf5 import require_own
from cellixir.data.known_columns import RUN_IDS, SAMPLE_IDS
from cellixir.data.missing_marks import refuse_marks
from cellixir.data.tables import numeric_block, read_table, refuse_duplicates
from cellixir.data.view_tables import Known, ViewTable, view_table
from cellixir.exceptions import (
    ConfigurationError,
    DataError,
    GeneMismatch,
    InvalidValues,
    ReadError,
    examples,
)

SCALES = ("binary", "counts", "log2_tpm", "log1p_cpm", "zscore", "fraction", "unknown")

_DEPMAP_GENE = re.compile(r"(.+) \((\d+)\)")


def read_view(
    path: str | Path,
    *,
    name: str = "omics",
    samples: Iterable[object] | None = None,
    scale: str | None = None,
    gaps: Literal["refuse", "keep"] = "refuse",
    features: Iterable[object] | None = None,
    restore_genes: bool = False,
) -> ad.AnnData:
    """One omics view: samples in rows, features in columns, float32 and dense.

    ``uns["scale"]`` says what the numbers are (one of `SCALES`), ``uns["scale_guessed"]`` whether
    `guess_scale` said so, ``uns["name"]`` the name of the view, ``uns["notes"]`` what was left out or assumed, if
    anything was. GDSC factors and known words about samples (tissue, cell-line name, medium) go to ``obs``; responses
    (``Drug_<id>_IC50``) that stand beside features are left out. The Entrez ids of DepMap headers, ``SYMBOL (1234)``,
    go to ``var["entrez"]``.

    Parameters
    ----------
    path
        A table with a column of sample ids (see `read_table`), the first one unless another holds those that are
        known; or ``.h5ad``, GCT 1.3 or GCTX, whatever their suffix (see `cellixir.read_gctx`).
    name
        Name of the view.
    samples
        Ids of the samples that have responses, in any spelling. A table that has them as columns (genes in rows) is
        transposed.
    scale
        What the numbers are, when it is known.
    gaps
        Whether missing values are refused, or kept as NaN for whoever imputes them.
    features
        Features that are known, by which genes in rows are seen where no samples are.
    restore_genes
        Map genes that a spreadsheet turned to dates (``2-Sep``) back where that is clear; else they are refused.

    Raises
    ------
    ReadError
        If a gene, or a sample, is called by a date.
    InvalidValues
        If a feature holds text, an infinity or, unless they are kept, a missing value.
    DuplicateIds
        If a sample or a feature stands more than once.
    UnknownIds
        If `samples` is given and neither the rows nor the columns are any of them.
    """
    if scale is not None and scale not in SCALES:
        message = f"scale {scale!r} is not known; use one of {', '.join(SCALES)}"
        raise ConfigurationError(message)
    known, source = Known.of(samples, features), str(path)
    if source.lower().endswith(".h5ad"):
        view = _from_anndata(Path(path), known)
    elif gct_kind(Path(path)) in {"gct 1.3", "gctx"}:
        view = _from_anndata(Path(path), known, partial(read_gctx, gaps="keep"))
    else:
        table = read_table(path, dates="keep", dtype_text=set(SAMPLE_IDS) | RUN_IDS)
        view = _as_view(view_table(table, source, known, restore=restore_genes), source)
    _check_values(pd.DataFrame(view.X, index=view.obs_names, columns=view.var_names, copy=False), source, gaps)
    view.uns.update(name=name, **_scale_record(view, scale))
    return view


def _scale_record(view: ad.AnnData, given: str | None) -> dict[str, object]:
    """Scale that was given, else the one an .h5ad file records, else the guess."""
    recorded = str(view.uns.get("scale", ""))
    if given is not None:
        return {"scale": given, "scale_guessed": False}
    if recorded in SCALES:
        return {"scale": recorded, "scale_guessed": bool(view.uns.get("scale_guessed", False))}
    return {"scale": guess_scale(np.nan_to_num(view.X)), "scale_guessed": True}


def guess_scale(values: NDArray[Any]) -> str:
    """Most likely scale of the numbers of a matrix (samples x features), or ``unknown``.

    ``binary`` holds nothing but 0 and 1, ``counts`` whole numbers from 0 up, ``fraction`` numbers from 0
    to 1. ``log1p_cpm`` and whole-transcriptome ``log2_tpm`` have rows that sum to one million once undone;
    some genes of ``log2_tpm`` are known by zeros, a maximum of 9 to 20 and sums of at most one million.
    ``zscore`` has feature means about 0 and standard deviations about 1.

    >>> guess_scale(np.array([[0.0, 7.0], [3.0, 0.0]]))
    'counts'
    """
    low, high = float(values.min()), float(values.max())
    if low >= 0 and np.array_equal(values, np.rint(values)):
        return "binary" if high <= 1 else "counts"
    if low >= 0 and high <= 1:
        return "fraction"
    if low >= 0 and high <= 20:
        return _guess_log(values, low, high)
    return "zscore" if low < 0 and _is_standardised(values) else "unknown"


def _guess_log(values: NDArray[Any], low: float, high: float) -> str:
    tpm = np.exp2(values, dtype=np.float64).sum(axis=1) - values.shape[1]
    if np.allclose(tpm, 1e6, rtol=0.02):
        return "log2_tpm"
    if np.allclose(np.exp(values, dtype=np.float64).sum(axis=1) - values.shape[1], 1e6, rtol=0.02):
        return "log1p_cpm"
    return "log2_tpm" if low < 0.5 and high > 9 and tpm.max() <= 1.02e6 else "unknown"


def _is_standardised(values: NDArray[Any]) -> bool:
    mean, deviation = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    usual = (np.abs(mean) < 0.1) & (np.abs(deviation - 1) < 0.25)
    return len(values) > 2 and bool(usual[deviation > 0].mean() > 0.9)


def align_features(
    view: ad.AnnData, names: Sequence[str], *, missing: Literal["refuse", "zero"] = "refuse", source: str = ""
) -> tuple[NDArray[np.float32], list[str]]:
    """Matrix (samples x `names`), features matched by name, and the names that were filled with zero.

    Parameters
    ----------
    view
        Samples x features, in any order.
    names
        Features that are wanted, in the order that is wanted.
    missing
        What to do with features that the view has not: refuse, or fill with zero and return their names.
    source
        What the view is, for the message.

    Raises
    ------
    GeneMismatch
        If features are missing and `missing` is ``refuse``.
    """
    if missing not in {"refuse", "zero"}:
        message = f"missing={missing!r} is not known; use 'refuse' or 'zero'"
        raise ConfigurationError(message)
    place = source or str(view.uns.get("name", "the view"))
    refuse_duplicates(view.var_names, source=place, what="feature", way_out="keep one of each")
    position = view.var_names.get_indexer(pd.Index(list(names), dtype=object))
    absent = [name for name, at in zip(names, position, strict=True) if at < 0]
    if absent and missing == "refuse":
        message = (
            f"{len(absent)} of {len(names)} features are missing in {place} ({examples(absent)}; it has "
            f"{examples(view.var_names)}); add them, use the same kind of names, or fill them "
            f'(missing="zero", --missing mean or zero)'
        )
        raise GeneMismatch(message)
    values = np.zeros((view.n_obs, len(names)), dtype=np.float32)
    there = position >= 0
    values[:, there] = _dense(view.X)[:, position[there]]
    return values, absent


def _dense(values: Any) -> NDArray[np.float32]:
    dense = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    return dense.astype(np.float32, copy=False)


def _from_anndata(path: Path, known: Known, read: Callable[[Path], ad.AnnData] | None = None) -> ad.AnnData:
    if not path.is_file() or path.stat().st_size == 0:
        message = f"{path} is missing or empty; check the path, or write it again"
        raise ReadError(message)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".* names are not unique")
            view = (read or _own_h5ad)(path)
    except DataError:
        raise
    except Exception as error:  # anndata raises many kinds, some of them private
        message = f"{path} is not an .h5ad file, or is cut off ({error}); write or download it again"
        raise ReadError(message) from error
    if view.X is None or 0 in view.shape:
        message = f"{path} holds no values in X (shape {view.shape}); write it with X set"
        raise ReadError(message)
    _refuse_repeats(view.obs_names, view.var_names, str(path))
    if known.columns_are_samples(known.count(view.obs_names), view.var_names, view.obs_names, str(path)):
        view = view.T
    view.X = _dense(view.X)
    refuse_marks(pd.DataFrame(view.X, index=view.obs_names, columns=view.var_names, copy=False), source=str(path))
    return view


def _own_h5ad(path: Path) -> ad.AnnData:
    require_own(path)
    return ad.read_h5ad(path)


def _as_view(table: ViewTable, source: str) -> ad.AnnData:
    values, obs = table.values, table.obs
    if values.shape[1] == 0:
        message = f"{source} holds no feature column; give a table of samples x features"
        raise ReadError(message)
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
        values = values.astype(np.float32)
    var = _genes([str(column) for column in values.columns])
    obs.index = pd.Index(values.index.astype(str), name=None)
    _refuse_repeats(obs.index, var.index, source)
    return ad.AnnData(X=values.to_numpy(), obs=obs, var=var, uns={"notes": table.notes} if table.notes else None)


def _genes(names: list[str]) -> pd.DataFrame:
    matches = [_DEPMAP_GENE.fullmatch(name) for name in names]
    if sum(map(bool, matches)) * 2 <= len(names):
        return pd.DataFrame(index=names)
    symbols = [m[1] if m else name for m, name in zip(matches, names, strict=True)]
    return pd.DataFrame({"entrez": [m[2] if m else "" for m in matches]}, index=symbols)


def _check_values(block: pd.DataFrame, source: str, gaps: str) -> None:
    """Raise `InvalidValues` for the first infinite value of a float32 table, or the first missing one."""
    missing = np.isnan(block.to_numpy())
    if missing.any() and gaps == "refuse":
        column, row = divmod(int(np.argmax(missing.T)), len(block))
        message = (
            f"{source}: feature {str(block.columns[column])!r} of sample {str(block.index[row])!r} "
            f"is missing ({missing.sum()} missing values in {missing.any(axis=0).sum()} of "
            f"{block.shape[1]} features); drop these features or samples, or impute them before"
        )
        raise InvalidValues(message)
    if np.isinf(block.to_numpy()).any():
        numeric_block(block, source=source)


def _refuse_repeats(samples: pd.Index, features: pd.Index, source: str) -> None:
    refuse_duplicates(samples, source=source, what="sample", way_out="keep one row a sample")
    refuse_duplicates(features, source=source, what="feature", way_out="merge or drop the repeats")
