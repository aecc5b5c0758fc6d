"""Genes that stand out in each group of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from cellixir.data.expression.matrix import blocks, profile

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import ArrayLike, NDArray

FEWEST = 3  # cells of a group that has markers


def group_means(cells: ad.AnnData, groups: ArrayLike, *, counts: bool) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Mean and variance of log expression, genes x groups, and the number of cells of each group.

    Counts are first scaled to the median library size and logged, log(1 + x). Cells without a group are left out, and
    so are groups of fewer than three cells.
    """
    named = pd.Series(np.asarray(groups, dtype=object))
    sizes = named.value_counts()
    names = sorted(sizes.index[sizes >= FEWEST].astype(str))
    code = pd.Index(names).get_indexer(named.where(named.isna(), named.astype(str)))
    factor = _factors(cells) if counts else np.ones(cells.n_obs)
    total, squares = np.zeros((2, len(names), cells.n_vars))
    for start, block in blocks(cells.X):
        rows = slice(start, start + block.shape[0])
        part = sp.csr_matrix(block).multiply(factor[rows, None]).tocsr()
        part = part.log1p() if counts else part
        at = np.flatnonzero(code[rows] >= 0)
        member = sp.csr_matrix((np.ones(len(at)), (code[rows][at], at)), shape=(len(names), block.shape[0]))
        total += (member @ part).toarray()
        squares += (member @ part.power(2)).toarray()
    n = np.bincount(code[code >= 0], minlength=len(names))
    mean = total / n[:, None]
    variance = np.maximum(squares / n[:, None] - mean**2, 0)
    first, second = (pd.DataFrame(v.T, index=cells.var_names, columns=names) for v in (mean, variance))
    return first, second, pd.Series(n, index=names)


def marker_genes(cells: ad.AnnData, groups: ArrayLike, *, counts: bool, n: int = 5) -> pd.DataFrame:
    """The ``n`` genes that are most raised in each group: Welch's t of its cells against all others.

    Returns
    -------
    DataFrame
        Columns ``group``, ``gene``, ``mean``, ``mean_others``, ``difference`` (of log expression) and ``t``. The groups
        may themselves come from these values, so t ranks genes and is no test.
    """
    mean, variance, size = group_means(cells, groups, counts=counts)
    parts = []
    for name in mean.columns if len(mean.columns) > 1 else []:
        others = [other for other in mean.columns if other != name]
        share = size[others] / size[others].sum()
        rest = mean[others] @ share
        spread = (variance[others] + mean[others].pow(2)) @ share - rest**2
        error = np.sqrt(variance[name] / size[name] + spread.clip(lower=0) / size[others].sum())
        difference = mean[name] - rest
        # a gene that does not vary in either has no error: a floor keeps it from going first
        t = difference / (error + 0.05 * float(error[error > 0].median() if (error > 0).any() else 1))
        best = t.sort_values(ascending=False, kind="stable").head(n)
        best = best[best > 0]
        parts.append(
            pd.DataFrame(
                {
                    "group": name,
                    "gene": best.index,
                    "mean": mean.loc[best.index, name].to_numpy(),
                    "mean_others": rest[best.index].to_numpy(),
                    "difference": difference[best.index].to_numpy(),
                    "t": best.to_numpy(),
                }
            )
        )
    columns = ["group", "gene", "mean", "mean_others", "difference", "t"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def log_expression(cells: ad.AnnData, genes: list[str], *, counts: bool) -> pd.DataFrame:
    """Cells x genes: log(1 + x) of counts scaled to the median library size, other values as they are."""
    columns = cells.var_names.get_indexer(pd.Index(genes))
    factor = _factors(cells) if counts else np.ones(cells.n_obs)
    found = np.empty((cells.n_obs, len(genes)), dtype=np.float32)
    for start, block in blocks(cells.X):
        rows = slice(start, start + block.shape[0])
        part: Any = block[:, columns]
        values = (part.toarray() if sp.issparse(part) else part) * factor[rows, None]
        found[rows] = np.log1p(values) if counts else values
    return pd.DataFrame(found, index=cells.obs_names, columns=genes)


def _factors(cells: ad.AnnData) -> NDArray[np.float64]:
    library: NDArray[Any] = profile(cells).library_size
    return float(np.median(library[library > 0])) / np.where(library > 0, library, 1.0)
