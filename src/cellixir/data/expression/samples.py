"""Samples as an AnnData, whichever table they came in."""

from __future__ import annotations

from typing import Any, TypeAlias

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from cellixir.exceptions import ConfigurationError, InvalidValues, examples

#: Samples x genes: an AnnData, a table with a row a sample, or a matrix, whose genes are then gene_0, gene_1, ...
Samples: TypeAlias = "ad.AnnData | pd.DataFrame | NDArray[Any] | sp.spmatrix | sp.sparray"


def as_anndata(samples: Samples) -> ad.AnnData:
    """Samples x genes as an AnnData; one is returned as it is.

    >>> as_anndata(pd.DataFrame({"TP53": [1.0, 2.0], "KRAS": [0.5, 0.0]}, index=["a", "b"])).var_names.tolist()
    ['TP53', 'KRAS']

    Raises
    ------
    InvalidValues
        If a column of a table is not of numbers.
    ConfigurationError
        If this is no table of two dimensions.
    """
    if isinstance(samples, ad.AnnData):
        return samples
    if isinstance(samples, pd.DataFrame):
        return _of_table(samples)
    if not (isinstance(samples, np.ndarray) or sp.issparse(samples)) or samples.ndim != 2:
        kind = f"{type(samples).__name__}" + (f" of shape {samples.shape}" if isinstance(samples, np.ndarray) else "")
        message = f"give samples x genes as an AnnData, a table or a matrix, not a {kind}"
        raise ConfigurationError(message)
    values = sp.csr_matrix(samples, dtype=np.float32) if sp.issparse(samples) else samples.astype(np.float32)
    names = [f"gene_{i}" for i in range(samples.shape[1])]
    return ad.AnnData(values, obs=_numbered(samples.shape[0]), var=pd.DataFrame(index=names))


def _of_table(table: pd.DataFrame) -> ad.AnnData:
    words = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    if words:
        message = f"{len(words):,} columns are not of numbers ({examples(words)}); give samples x genes alone"
        raise InvalidValues(message)
    obs = pd.DataFrame(index=table.index.astype(str)) if table.index.is_unique else _numbered(len(table))
    genes = pd.DataFrame(index=table.columns.astype(str))
    return ad.AnnData(table.to_numpy(np.float32), obs=obs, var=genes)


def _numbered(n: int) -> pd.DataFrame:
    return pd.DataFrame(index=pd.RangeIndex(n).astype(str))
