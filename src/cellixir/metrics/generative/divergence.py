"""Distances of genes, library sizes and correlations of synthetic data from those of real data.

Everything takes matrices of samples x genes, dense or sparse. Two finite samples of one distribution differ too: the
value of real against held-out real data is what a generator can reach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.special import rel_entr
from scipy.stats import ks_2samp

from cellixir.exceptions import ConfigurationError, InvalidValues
from cellixir.metrics.generative.gene_tables import (
    GeneTable,
    gene_blocks,
    gene_tables,
    library_sizes,
    not_negative,
    sample_blocks,
)
from cellixir.metrics.regression import pearson, spearman

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

STATISTICS = ("mean", "variance", "zero_fraction")
N_CORRELATED = 500  # genes whose pairs are compared
ROUNDING = 1e-9  # a spread below this share of the mean is that of a constant gene: what a sum of 10^7 values loses


def jensen_shannon(p: ArrayLike, q: ArrayLike) -> float:
    """Jensen-Shannon divergence of two distributions, in nats: 0 if they are the same, ln 2 if they are disjoint.

    (KL(p, m) + KL(q, m)) / 2 with m = (p + q) / 2 (Lin, IEEE Trans Inf Theory 37:145, 1991).

    Parameters
    ----------
    p, q
        Weights or counts of the same bins, shape ``(n_bins,)``; each is divided by its sum.

    Raises
    ------
    InvalidValues
        If the shapes differ, a weight is negative or not finite, or all are 0.

    Examples
    --------
    >>> round(jensen_shannon([3, 1, 0], [0, 0, 9]), 6)
    0.693147
    """
    one, other = _weights(p, "p"), _weights(q, "q")
    if one.shape != other.shape:
        message = f"p has {len(one)} bins, q {len(other)}; count both in the same bins"
        raise InvalidValues(message)
    middle = (one + other) / 2
    divergence = float((rel_entr(one, middle) + rel_entr(other, middle)).sum() / 2)
    return min(max(divergence, 0.0), float(np.log(2)))


def gene_statistics(
    real_genes: GeneTable, synthetic_genes: GeneTable, genes: Sequence[str] | None = None
) -> pd.DataFrame:
    """Mean, variance and zero fraction of each gene, a row a gene, columns ``mean_real``, ``mean_synthetic``, ...

    The variance is the unbiased one. Sparse matrices stay sparse.

    Raises
    ------
    GeneMismatch, InvalidValues
        If the matrices or ``genes`` differ in width, or a matrix holds no number or fewer than two samples.
    """
    real, synthetic = gene_tables(real_genes, synthetic_genes)
    sides = {"real": _moments(real), "synthetic": _moments(synthetic)}
    columns = {f"{name}_{side}": values[name] for name in STATISTICS for side, values in sides.items()}
    if genes is not None and len(genes) != real.shape[1]:
        message = f"{len(genes):,} names for {real.shape[1]:,} genes; give one a gene"
        raise InvalidValues(message)
    return pd.DataFrame(columns, index=None if genes is None else pd.Index(genes, name="gene"))


class GeneDistances(NamedTuple):
    """Distances of what ``gene_statistics`` says, over genes; 0 is best, of the correlations 1.

    ``mean`` and ``variance`` are mean absolute differences of log2: 1 is twofold too high or low. A value of 0 counts
    as half of the least one above 0 in the real data. ``mean`` is NaN where one is below 0 (z-scores); what does not
    vary over genes has no correlation (NaN), and where no gene varies there is no distance of variances.
    """

    mean: float
    variance: float
    zero_fraction: float
    mean_spearman: float
    variance_spearman: float
    zero_fraction_spearman: float


def gene_distances(statistics: pd.DataFrame) -> GeneDistances:
    """Summary of a table of ``gene_statistics``."""
    mean, variance, zeros = (
        (statistics[f"{name}_real"].to_numpy(), statistics[f"{name}_synthetic"].to_numpy()) for name in STATISTICS
    )
    return GeneDistances(
        _log_distance(*mean),
        _log_distance(*variance),
        float(np.abs(np.subtract(*zeros)).mean()),
        spearman(*mean),
        spearman(*variance),
        spearman(*zeros),
    )


def library_size_distance(real_genes: GeneTable, synthetic_genes: GeneTable) -> float:
    """Kolmogorov-Smirnov statistic of the library sizes, 0 (same) to 1 (disjoint); logarithms would not change it.

    Raises
    ------
    GeneMismatch, InvalidValues
        If the matrices differ in width, hold a negative value or no number, or fewer than two samples.
    """
    real, synthetic = gene_tables(real_genes, synthetic_genes)
    not_negative(real, "real data")
    not_negative(synthetic, "synthetic data")
    # the asymptotic p-value is not used, but the exact one would take minutes
    return float(ks_2samp(library_sizes(real), library_sizes(synthetic), method="asymp").statistic)


class CorrelationDistance(NamedTuple):
    """How alike the correlations of pairs of genes are in real and synthetic data; 1 is best of both numbers.

    Attributes
    ----------
    similarity
        1 - mean abs(rho_real - rho_synthetic) / 2 over pairs, 0 to 1.
    agreement
        Pearson's correlation of rho_real and rho_synthetic over pairs; NaN if either does not vary.
    n_genes
        Genes compared.
    n_constant
        Of these, those that do not vary in the synthetic data; their correlations count as 0.
    """

    similarity: float
    agreement: float
    n_genes: int
    n_constant: int


def correlation_distance(
    real_genes: GeneTable, synthetic_genes: GeneTable, *, n_genes: int = N_CORRELATED
) -> CorrelationDistance:
    """Likeness of the correlations between the ``n_genes`` genes of most variance in the real data.

    Give values on a log scale: of counts, the genes of most variance are those with most counts. Memory: the square
    of ``n_genes``, and a block of samples.

    Raises
    ------
    ConfigurationError
        If fewer than two genes are asked for.
    GeneMismatch, InvalidValues
        If the matrices differ in width, hold no number, or fewer than two genes vary in the real data.
    """
    if n_genes < 2:
        message = f"n_genes={n_genes} has no pair; use 2 or more"
        raise ConfigurationError(message)
    real, synthetic = gene_tables(real_genes, synthetic_genes)
    variance = _moments(real)["variance"]
    chosen = np.argsort(-variance, kind="stable")[: min(n_genes, int((variance > 0).sum()))]
    if len(chosen) < 2:
        message = f"{len(chosen)} of {real.shape[1]:,} genes vary in the real data; correlations need at least 2"
        raise InvalidValues(message)
    (rho_real, _), (rho_synthetic, constant) = (_correlations(table[:, chosen]) for table in (real, synthetic))
    upper = np.triu_indices(len(chosen), k=1)
    one, other = rho_real[upper], rho_synthetic[upper]
    similarity = 1 - float(np.abs(one - other).mean()) / 2
    return CorrelationDistance(similarity, pearson(one, other), len(chosen), constant)


def _weights(values: ArrayLike, name: str) -> Floats:
    weights = np.asarray(values, dtype=np.float64)
    if weights.ndim != 1 or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        message = f"{name} is no distribution: give one finite weight of 0 or more a bin, and not all 0"
        raise InvalidValues(message)
    weights = weights / weights.max()  # the sum of huge weights would be infinite
    return np.asarray(weights / weights.sum())


def _moments(table: GeneTable) -> dict[str, Floats]:
    mean, variance, zeros = _sparse_moments(table) if sp.issparse(table) else _dense_moments(table)
    variance[variance <= np.square(ROUNDING * mean)] = 0
    return dict(zip(STATISTICS, (mean, variance, zeros), strict=True))


def _dense_moments(table: GeneTable) -> tuple[Floats, ...]:
    parts = [(b.mean(axis=0), b.var(axis=0, ddof=1), (b == 0).mean(axis=0)) for (b,) in gene_blocks(table)]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _sparse_moments(table: GeneTable) -> tuple[Floats, ...]:
    n, n_genes = table.shape
    entries, genes = table.data.astype(np.float64), table.indices
    mean = np.bincount(genes, entries, n_genes) / n
    stored, filled = (np.bincount(genes[at], minlength=n_genes) for at in (slice(None), entries != 0))
    # centred before they are squared: the difference of large sums would lose the variance
    squares = np.bincount(genes, np.square(entries - mean[genes]), n_genes) + (n - stored) * mean**2
    return mean, squares / (n - 1), 1 - filled / n


def _log_distance(real: Floats, synthetic: Floats) -> float:
    if (real < 0).any() or (synthetic < 0).any() or not (real > 0).any():
        return float("nan")
    least = real[real > 0].min() / 2
    return float(np.abs(np.log2(np.maximum(real, least)) - np.log2(np.maximum(synthetic, least))).mean())


def _correlations(table: GeneTable) -> tuple[Floats, int]:
    """Correlation of all pairs of genes, 0 for one that does not vary, and the number of those."""
    moments = _moments(table)
    varies = moments["variance"] > 0
    scale = np.where(varies, 1 / np.sqrt(np.where(varies, moments["variance"], 1)), 0)
    products = np.zeros((table.shape[1], table.shape[1]))
    for block in sample_blocks(table):
        standard = (block - moments["mean"]) * scale
        products += standard.T @ standard
    return products / (table.shape[0] - 1), int((~varies).sum())
