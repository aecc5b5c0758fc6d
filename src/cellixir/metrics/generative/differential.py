"""Differential expression between two groups, and how much of the known differences it finds again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student

from cellixir.exceptions import ConfigurationError, DuplicateIds, GeneMismatch, InvalidValues, examples
from cellixir.metrics.fdr import benjamini_hochberg
from cellixir.metrics.generative.gene_tables import GeneTable, gene_blocks, gene_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

FDR = 0.05
ROUNDING = 1e-12  # of the largest value of a gene: differences below it are none


def differential_expression(
    log_values: ArrayLike | GeneTable,
    group: ArrayLike,
    *,
    batch: ArrayLike | None = None,
    reference: str | None = None,
    genes: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Difference of each gene between two groups, a row a gene.

    Columns ``log2_fold_change, standard_error, df, t, p, fdr``.

    Ordinary least squares of the value on the group and, additively, the batch; t with the residual degrees of
    freedom, two-sided p, Benjamini-Hochberg over all genes. A gene that does not vary, or varies between batches
    only, has a fold change of 0 and p = 1. Memory: a block of genes.

    Parameters
    ----------
    log_values
        Samples x genes, on the log2 scale.
    group, batch
        Name of each sample's group (two of them) and batch.
    reference
        Group that the other is compared with; None: the first by name.
    genes
        Names of the rows; None: 0, 1, ...

    Raises
    ------
    InvalidValues
        If there are not two groups of two samples or more, names are missing, values are not finite or lengths differ.
    ConfigurationError
        If ``reference`` is not a group, or the batches leave no difference between the groups to be seen.
    """
    table = gene_table(log_values, "log values")
    if genes is not None and len(genes) != table.shape[1]:
        message = f"{len(genes):,} names for {table.shape[1]:,} genes; give one a gene"
        raise InvalidValues(message)
    design = _design(group, batch, reference, table.shape[0])
    fits = zip(*(_fit(block, design) for (block,) in gene_blocks(table)), strict=True)
    change, error, t = (np.concatenate(part) for part in fits)
    df = len(design) - design.shape[1]
    p = 2 * student.sf(np.abs(t), df)
    columns = {"log2_fold_change": change, "standard_error": error, "df": df, "t": t, "p": p}
    columns["fdr"] = benjamini_hochberg(p)
    return pd.DataFrame(columns, index=None if genes is None else pd.Index(genes, name="gene"))


class DERecovery(NamedTuple):
    """How much of the truly different genes was found; NaN where that is not defined.

    Attributes
    ----------
    precision, recall, f1
        Of the genes below the FDR against the truly different ones.
    jaccard
        Genes in both lists of up to ``k`` over those in either.
    slope
        Of found on true log2 fold changes, through the origin, over truly different genes: below 1 is attenuation.
    direction
        Share of the truly different genes whose fold change has the right sign.
    n_found, n_true, k
        Genes below the FDR, truly different genes, and the length of the lists.
    least
        Log2 fold change that genes had to exceed.
    """

    precision: float
    recall: float
    f1: float
    jaccard: float
    slope: float
    direction: float
    n_found: int
    n_true: int
    k: int
    least: float = 0.0


def de_recovery(
    found: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    fdr: float = FDR,
    k: int | None = None,
    rank_by: Literal["p", "log2_fold_change"] = "p",
) -> DERecovery:
    """Agreement of differential expression in synthetic data with the truth.

    Where genes that do not count as different have small planted changes, any test against 0 finds them once the data
    are good enough. Genes are then tested against the largest such change, ``least``: whether theirs is beyond it
    (McCarthy and Smyth, Bioinformatics 25:765, 2009).

    Parameters
    ----------
    found
        Of ``differential_expression``; a table of another origin without ``standard_error`` and ``df`` is taken by its
        ``fdr``.
    truth
        A row for each gene of ``found``, in any order: ``log2_fold_change`` and ``is_de`` as planted, or what
        ``differential_expression`` says of real data, whose genes below ``fdr`` then are the truly different ones.
    k
        Length of the lists of the Jaccard index: the first genes of ``found`` by ``rank_by``, of those that changed
        at all, and the truly different genes with the largest fold changes. A list may be shorter. None: the number
        of truly different genes.
    rank_by
        Smallest p or largest absolute fold change.

    Raises
    ------
    GeneMismatch
        If the two tables do not hold the same genes.
    DuplicateIds
        If a gene stands twice.
    InvalidValues
        If a column is missing or a number is.
    ConfigurationError
        If ``k`` is not between 0 and the number of genes, ``fdr`` not between 0 and 1, or ``rank_by`` is not known.
    """
    seen, true = _matched(found, truth)
    if rank_by not in ("p", "log2_fold_change") or not 0 <= fdr <= 1:
        message = f"rank_by={rank_by!r}, fdr={fdr}: use 'p' or 'log2_fold_change', and a share between 0 and 1"
        raise ConfigurationError(message)
    different = true["is_de"].to_numpy(bool) if "is_de" in true else true["fdr"].to_numpy() < fdr
    least = _least(true, different) if {"standard_error", "df"} <= set(seen) else 0.0
    called = (_fdr_beyond(seen, least) if least else seen["fdr"].to_numpy()) < fdr
    length = int(different.sum()) if k is None else k
    if not 0 <= length <= len(seen):
        message = f"k={length} genes of {len(seen)}; use a number between them"
        raise ConfigurationError(message)
    change, true_change = (frame["log2_fold_change"].to_numpy(np.float64) for frame in (seen, true))
    largest = np.lexsort((-np.abs(true_change), ~different))[: min(length, int(different.sum()))]
    jaccard = _jaccard(_first(seen, rank_by)[:length], largest)
    slope, direction = _agreement(change[different], true_change[different])
    return DERecovery(
        *_rates(called, different), jaccard, slope, direction, int(called.sum()), int(different.sum()), length, least
    )


def _least(truth: pd.DataFrame, different: NDArray[np.bool_]) -> float:
    """Largest planted change of a gene that does not count as different; 0 where the truth was itself estimated."""
    if "is_de" not in truth or "fdr" in truth or different.all():
        return 0.0
    return float(truth["log2_fold_change"].abs().to_numpy()[~different].max())


def _fdr_beyond(found: pd.DataFrame, least: float) -> Floats:
    """FDR of each gene's change being larger than ``least`` up or down."""
    size, error, df = (found[name].abs().to_numpy() for name in ("log2_fold_change", "standard_error", "df"))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = student.sf((size - least) / error, df) + student.sf((size + least) / error, df)
    return benjamini_hochberg(np.where(error > 0, p, np.where(size > least, 0.0, 1.0)))


def _design(group: ArrayLike, batch: ArrayLike | None, reference: str | None, n: int) -> Floats:
    """Intercept, indicators of all batches but the first, and last that of the group that is not the reference."""
    code, groups = _levels(group, "group", n)
    sizes = np.bincount(code)
    if len(groups) != 2 or sizes.min() < 2:
        message = (
            f"{len(groups)} groups ({examples(groups)}) of {examples(sizes.tolist())} samples; "
            "two groups of at least 2 samples are compared"
        )
        raise InvalidValues(message)
    if reference is not None and reference not in groups:
        message = f"reference {reference!r} is not a group; use one of {examples(groups)}"
        raise ConfigurationError(message)
    other = code == (0 if reference is not None and reference == groups[1] else 1)
    columns = [np.ones(n)]
    if batch is not None:
        batch_code, batches = _levels(batch, "batch", n)
        columns += [batch_code == at for at in range(1, len(batches))]
    design = np.column_stack([*columns, other]).astype(np.float64)
    if np.linalg.matrix_rank(design) < design.shape[1] or n <= design.shape[1]:
        message = (
            f"groups {examples(groups)} cannot be told from the batches in {n} samples; "
            "at least one batch must hold both groups, and there must be more samples than batches and groups"
        )
        raise ConfigurationError(message)
    return design


def _levels(names: ArrayLike, what: str, n: int) -> tuple[NDArray[np.intp], list[str]]:
    values = np.asarray(names, dtype=object)
    if values.shape != (n,) or pd.isna(values).any():
        missing = int(pd.isna(values).sum())
        message = f"{what} has the shape {values.shape}, {missing} missing; give a name for each of {n:,} samples"
        raise InvalidValues(message)
    code, levels = pd.factorize(values, sort=True)
    return code, list(levels)


def _fit(values: Floats, design: Floats) -> tuple[Floats, Floats, Floats]:
    """Coefficient of the last column of the design, its standard error and its t, of each gene."""
    q, r = np.linalg.qr(design)
    effects = q.T @ values  # (k, genes)
    # r is triangular: its last row alone gives the last coefficient, whose variance is that of the residual / r_kk^2
    change = effects[-1] / r[-1, -1]
    residual = np.square(values - q @ effects).sum(axis=0) / (len(design) - design.shape[1])
    noise = ROUNDING * np.abs(values).max(axis=0)
    change[np.abs(change) <= noise] = 0
    error = np.sqrt(residual) / abs(r[-1, -1])
    exact = np.sqrt(residual) <= noise
    t = np.divide(change, error, out=np.sign(change), where=~exact)
    t[exact & (change != 0)] *= np.inf
    return change, np.where(exact, 0.0, error), t


def _matched(found: pd.DataFrame, truth: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    decides = "is_de" if "is_de" in truth else "fdr"
    for what, frame, columns in (
        ("found", found, ["log2_fold_change", "p", "fdr"]),
        ("truth", truth, ["log2_fold_change", decides]),
    ):
        missing = [name for name in columns if name not in frame]
        if missing or not len(frame) or not np.isfinite(frame[columns].to_numpy(np.float64)).all():
            message = f"{what}: needs finite numbers in the columns {', '.join(columns)}, of at least one gene"
            raise InvalidValues(message)
        if not frame.index.is_unique:
            message = (
                f"{what}: genes stand twice ({examples(frame.index[frame.index.duplicated()])}); keep one row each"
            )
            raise DuplicateIds(message)
    apart = found.index.symmetric_difference(truth.index)
    if len(apart):
        message = f"{len(apart):,} genes are in one of the tables only ({examples(apart)}); compare the same genes"
        raise GeneMismatch(message)
    return found, truth.loc[found.index]


def _first(found: pd.DataFrame, rank_by: str) -> NDArray[np.intp]:
    """Order of the genes that changed at all; p-values too small to differ are parted by t and by the fold change."""
    size = -found["log2_fold_change"].abs().to_numpy()
    t = -found["t"].abs().to_numpy() if "t" in found else size
    keys = (size,) if rank_by == "log2_fold_change" else (size, t, found["p"].to_numpy())
    order = np.lexsort(keys)
    return np.asarray(order[size[order] < 0])


def _jaccard(one: NDArray[np.intp], other: NDArray[np.intp]) -> float:
    both = len(np.intersect1d(one, other))
    either = len(one) + len(other) - both
    return both / either if either else float("nan")


def _rates(called: NDArray[np.bool_], different: NDArray[np.bool_]) -> tuple[float, float, float]:
    hits, n_called, n_true = (int(v.sum()) for v in (called & different, called, different))
    pairs = ((hits, n_called), (hits, n_true), (2 * hits, n_called + n_true))
    precision, recall, f1 = (a / b if b else float("nan") for a, b in pairs)
    return precision, recall, f1


def _agreement(change: Floats, true_change: Floats) -> tuple[float, float]:
    squares = float(true_change @ true_change)
    if not squares:
        return float("nan"), float("nan")
    right = np.sign(change) == np.sign(true_change)
    return float(change @ true_change) / squares, float(right[true_change != 0].mean())
