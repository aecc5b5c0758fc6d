"""Means of marker genes in groups of cells, put in the order in which they are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.exceptions import DataError, GeneMismatch, InvalidValues, examples
from cellixir.figures.groups import as_column, as_groups

Floats = NDArray[np.float64]

MOST_GROUPS = 40


@dataclass(frozen=True)
class MarkerMeans:
    """What a marker heat map shows.

    ``z`` and ``share`` have a row for each of ``groups`` and a column for each of ``genes``; ``blocks`` has a name and
    a number of genes for each run of columns. ``absent`` are markers that are no genes of the table, ``n_left_out``
    groups that are too small to be shown, ``lowest`` the smallest value of all.
    """

    groups: list[str]
    counts: list[int]
    genes: list[str]
    blocks: list[tuple[str, int]]
    z: Floats
    share: Floats
    absent: list[str]
    n_left_out: int
    lowest: float


def marker_means(expression: Any, groups: Any, markers: Mapping[str, Sequence[str]]) -> MarkerMeans:
    """Mean of each marker in each group, as z-scores over the groups, and the share of cells above 0.

    Raises
    ------
    GeneMismatch
        If no marker is a gene of the table.
    DataError
        If lengths differ, or fewer than two groups have a cell.
    """
    names, cells, n = _axes(expression)
    membership = as_groups(as_column(groups, n, cells), most=MOST_GROUPS + 1)
    if len(membership.named) < 2:
        message = f"all cells are in the group {membership.names[0]!r}: markers tell two groups or more apart"
        raise DataError(message)
    genes, blocks, absent = _there(names, markers)
    table = _columns(expression, [names.index(gene) for gene in dict.fromkeys(genes)])
    table.columns = pd.Index(list(dict.fromkeys(genes)))
    rows = membership.codes
    means = table.groupby(rows).mean().reindex(membership.named)[genes].to_numpy(np.float64)
    share = (table > 0).groupby(rows).mean().reindex(membership.named)[genes].to_numpy(np.float64)
    z = z_scores(means)
    order = _order([membership.names[i] for i in membership.named], blocks, z)
    counts = membership.counts
    return MarkerMeans(
        groups=[membership.names[i] for i in order],
        counts=[int(counts[i]) for i in order],
        genes=genes,
        blocks=blocks,
        z=z[order],
        share=share[order],
        absent=absent,
        n_left_out=membership.merged,
        lowest=float(np.nanmin(table.to_numpy())),
    )


def z_scores(means: Floats) -> Floats:
    """Columns with mean 0 and standard deviation 1 over the rows; NaN where a column does not vary."""
    centred = means - np.nanmean(means, axis=0)
    spread = np.sqrt(np.nanmean(centred**2, axis=0))
    small = spread <= 1e-9 * np.maximum(1.0, np.abs(means).max(axis=0, initial=0.0))
    z: Floats = centred / np.where(small, np.nan, spread)
    return z


def _axes(expression: Any) -> tuple[list[str], pd.Index, int]:
    """Names of genes and cells, and the number of cells."""
    if isinstance(expression, pd.DataFrame):
        return [str(name) for name in expression.columns], expression.index, len(expression)
    if hasattr(expression, "var_names") and hasattr(expression, "obs_names"):
        return [str(name) for name in expression.var_names], expression.obs_names, int(expression.n_obs)
    message = f"expression is {type(expression).__name__}; give a DataFrame of cells x genes or an AnnData"
    raise DataError(message)


def _there(
    names: list[str], markers: Mapping[str, Sequence[str]]
) -> tuple[list[str], list[tuple[str, int]], list[str]]:
    """Markers that are genes of the table, in blocks, and those that are not."""
    known, genes, blocks, absent = set(names), list[str](), list[tuple[str, int]](), list[str]()
    for group, wanted in markers.items():
        wanted = [wanted] if isinstance(wanted, str) else list(dict.fromkeys(wanted))
        found = [gene for gene in wanted if gene in known]
        absent += [gene for gene in wanted if gene not in known]
        genes += found
        if found:
            blocks.append((str(group), len(found)))
    if not genes:
        message = (
            f"none of {len(absent)} markers ({examples(absent) or 'none given'}) is among the {len(names):,} genes "
            f"({examples(names)}); use the same kind of names for both"
        )
        raise GeneMismatch(message)
    return genes, blocks, list(dict.fromkeys(absent))


def _columns(expression: Any, places: list[int]) -> pd.DataFrame:
    """Few columns of the table in memory, as numbers."""
    if isinstance(expression, pd.DataFrame):
        chosen = expression.iloc[:, places]
    else:
        view = expression[:, places]
        chosen = (view.to_memory() if getattr(expression, "isbacked", False) else view).to_df()
    try:
        numbers = chosen.reset_index(drop=True).astype(np.float64)
    except (TypeError, ValueError) as error:
        message = f"the expression holds something that is no number: {error}"
        raise InvalidValues(message) from error
    finite = np.isfinite(numbers.to_numpy())
    if not finite.any():
        message = f"none of {numbers.shape[1]} markers has a finite value; leave the figure out"
        raise InvalidValues(message)
    return numbers.where(finite)


def _order(names: list[str], blocks: list[tuple[str, int]], z: Floats) -> list[int]:
    """Rows in the order of the blocks that bear their names; the others by the block that is highest in them."""
    titles = [title for title, _ in blocks]
    edges = np.cumsum([0, *(n for _, n in blocks)])
    height = np.column_stack([np.nan_to_num(z[:, a:b]).mean(axis=1) for a, b in pairwise(edges)])
    own = [titles.index(name) if name in titles else len(titles) for name in names]
    return sorted(range(len(names)), key=lambda i: (own[i], int(height[i].argmax())))
