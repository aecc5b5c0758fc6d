"""Omics of samples as AnnData, with their scale and the order of their features."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.data.tables import id_index, numeric_block, read_table, refuse_duplicates
from cellixir.exceptions import (
    ConfigurationError,
    GeneMismatch,
    InvalidValues,
    ReadError,
    UnknownIds,
    examples,
)

SCALES = ("binary", "counts", "log2_tpm", "log1p_cpm", "zscore", "fraction", "unknown")

_MSI = ("msi_factor", "ms_instability_factor_value")
_OBS_NAMES = {
    "tissue_factor": "tissue",
    "tissue_factor_value": "tissue",
    "media_factor": "medium",
    "sample_name": "cell_line_name",
}
# Words, identifiers and bookkeeping of samples: never features, even where they are written as numbers.
_ANNOTATIONS = {
    "tissue",
    "cancer_type",
    "cancer",
    "primary_site",
    "site_primary",
    "primary_disease",
    "disease",
}
_ANNOTATIONS |= {"lineage", "histology", "subtype", "tcga_desc", "tcga_code", "cell_line_name", "cell_line"}
_ANNOTATIONS |= {
    "ccle_name",
    "stripped_cell_line_name",
    "medium",
    "growth_properties",
    "sex",
    "gender",
    "batch",
}
_ANNOTATIONS |= {
    "cosmic_id",
    "depmap_id",
    "depmapid",
    "sanger_model_id",
    "model_id",
    "modelid",
    "sequencingid",
}
_ANNOTATIONS |= {"modelconditionid", "profileid", "isdefaultentryformodel", "isdefaultentryformc"}
_GDSC_DRUG = re.compile(r"drug_\w+_ic50", re.IGNORECASE)
_DEPMAP_GENE = re.compile(r"(.+) \((\d+)\)")


def read_view(
    path: str | Path,
    *,
    name: str = "omics",
    samples: Iterable[object] | None = None,
    scale: str | None = None,
    gaps: Literal["refuse", "keep"] = "refuse",
) -> ad.AnnData:
    """One omics view: samples in rows, features in columns, float32 and dense.

    ``uns["scale"]`` says what the numbers are (one of `SCALES`), ``uns["scale_guessed"]`` whether
    `guess_scale` said so, ``uns["name"]`` the name of the view. GDSC factors and known words about samples
    (tissue, cell-line name, medium) go to ``obs``; responses (``Drug_<id>_IC50``) that stand beside features
    are left out. The Entrez ids of DepMap headers, ``SYMBOL (1234)``, go to ``var["entrez"]``.

    Parameters
    ----------
    path
        A table whose first column holds the sample ids (see `read_table`), or ``.h5ad``.
    name
        Name of the view.
    samples
        Ids of the samples that have responses. A table that has them as columns (genes in rows) is
        transposed.
    scale
        What the numbers are, when it is known.
    gaps
        Whether missing values are refused, or kept as NaN for whoever imputes them.

    Raises
    ------
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
    wanted = None if samples is None else {str(sample) for sample in samples}
    source = str(path)
    is_h5ad = source.lower().endswith(".h5ad")
    view = _from_h5ad(Path(path), wanted) if is_h5ad else _from_table(read_table(path), source, wanted)
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
    refuse_duplicates(view.var_names, source=place, what="features stand", way_out="keep one of each")
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


def _from_h5ad(path: Path, wanted: set[str] | None) -> ad.AnnData:
    if not path.is_file() or path.stat().st_size == 0:
        message = f"{path} is missing or empty; check the path, or write it again"
        raise ReadError(message)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".* names are not unique")
            view = ad.read_h5ad(path)
    except Exception as error:  # anndata raises many kinds, some of them private
        message = f"{path} is not an .h5ad file, or is cut off ({error}); write or download it again"
        raise ReadError(message) from error
    if view.X is None or 0 in view.shape:
        message = f"{path} holds no values in X (shape {view.shape}); write it with X set"
        raise ReadError(message)
    _refuse_repeats(view.obs_names, view.var_names, str(path))
    view = view.T if _columns_are_samples(view.obs_names, view.var_names, wanted, str(path)) else view
    view.X = _dense(view.X)
    return view


def _from_table(frame: pd.DataFrame, source: str, wanted: set[str] | None) -> ad.AnnData:
    first, *others = frame.columns
    rows = id_index(frame[first], source=source, what="sample")
    block = frame[others].set_index(rows)
    if _columns_are_samples(rows, block.columns, wanted, source):
        return _as_view(numeric_block(block, source=source).T, pd.DataFrame(index=block.columns), source)
    plain = {column: re.sub(r"[^a-z0-9]+", "_", column.casefold()).strip("_") for column in others}
    words = {column: _OBS_NAMES.get(p, p) for column, p in plain.items() if p in _ANNOTATIONS | set(_OBS_NAMES)}
    drugs = [column for column in others if _GDSC_DRUG.fullmatch(column)]
    features = block.drop(columns=[*words, *drugs])
    features = features.rename(columns={column: "MSI_FACTOR" for column, p in plain.items() if p in _MSI})
    obs = block[list(words)].rename(columns=words)
    obs = obs.loc[:, ~obs.columns.duplicated()]
    values = numeric_block(features, source=source)
    if "MSI_FACTOR" in values:
        obs["msi"] = values["MSI_FACTOR"]
    return _as_view(values, obs, source)


def _columns_are_samples(rows: pd.Index, columns: pd.Index, wanted: set[str] | None, source: str) -> bool:
    if wanted is None:
        return False
    in_rows, in_columns = rows.isin(wanted).sum(), columns.isin(wanted).sum()
    if not in_rows and not in_columns:
        message = (
            f"{source}: none of its {len(rows)} rows ({examples(rows)}) or {len(columns)} columns "
            f"({examples(columns)}) is one of the {len(wanted)} sample ids known "
            f"({examples(sorted(wanted))}); use the same kind of sample ids in both"
        )
        raise UnknownIds(message)
    return bool(in_columns > in_rows)


def _as_view(values: pd.DataFrame, obs: pd.DataFrame, source: str) -> ad.AnnData:
    if values.shape[1] == 0:
        message = f"{source} holds no feature column; give a table of samples x features"
        raise ReadError(message)
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
        values = values.astype(np.float32)
    var = _genes([str(column) for column in values.columns])
    obs.index = pd.Index(values.index.astype(str), name=None)
    _refuse_repeats(obs.index, var.index, source)
    return ad.AnnData(X=values.to_numpy(), obs=obs, var=var)


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
    refuse_duplicates(samples, source=source, what="samples stand", way_out="keep one row a sample")
    refuse_duplicates(features, source=source, what="features stand", way_out="merge or drop the repeats")
