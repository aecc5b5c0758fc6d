"""Bulk RNA-seq counts with known truth.

Counts are negative binomial. That of gene ``g``, in module ``m``, in sample ``s`` of group ``k`` and batch ``b`` has::

    mean(s, g) = mean(g) size(s) 2 ** (fold(g, k) + shift(g, b)) factor(s, g)
    variance   = mean(s, g) + dispersion(g) mean(s, g)²

where ``size`` is the library size over its median and ``log2 factor`` is ``activity(s, m) loading(g)``, less what keeps
the mean of the factor at 1. The dispersion falls with the mean, ``low / mean(g) + high``, with log-normal scatter
around that trend (DESeq2: Love, Huber and Anders, Genome Biology 15:550, 2014; edgeR: McCarthy, Chen and Smyth,
Nucleic Acids Research 40:4288, 2012).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import ndtr, ndtri

from cellixir.data.simulate.bulk_settings import BulkSettings
from cellixir.data.simulate.counts import Floats, compact, gamma_poisson
from cellixir.data.simulate.truth import labels, numbered, refuse, with_truth

Integers = NDArray[np.int64]

#: SD of the true differences of genes that do not count as different, over their bound.
BASELINE_SD = 0.2
#: Mean excess of large batch shifts over the threshold, over the threshold.
SHIFT_EXCESS = 0.3
#: Samples drawn at once, so that the means of all are never in memory together.
PIECE = 500


def simulate_bulk(
    *,
    n_samples: int = 400,
    n_genes: int = 10_000,
    n_batches: int = 2,
    n_groups: int = 2,
    batch_shares: Sequence[float] | None = None,
    group_shares: Sequence[float] | None = None,
    n_de: int | None = None,
    n_up: int | None = None,
    mean_log2_fold_change: float = 2.0,
    min_log2_fold_change: float = 1.0,
    baseline_log2_fold_change: float = 0.25,
    batch_shift: float = 1.0,
    batch_shift_share: float = 0.1,
    batch_sd: float = 0.3,
    n_modules: int = 0,
    module_size: int = 50,
    module_sd: float = 0.5,
    base_sd: float = 1.7,
    dispersion: tuple[float, float] = (1.0, 0.1),
    dispersion_sd: float = 0.5,
    library_size: float = 1e7,
    library_sd: float = 0.3,
    seed: int = 0,
) -> ad.AnnData:
    """Simulated counts, samples x genes (float32; CSR where most are zero), with ``batch``, ``group`` and the truth.

    Truth of genes: ``var["mean"]`` (expected count in group 1 and batch 1 at the median library size), ``dispersion``,
    ``is_de`` (in any group), ``is_up`` (in the group where it differs most), ``is_shifted`` (in any batch), ``module``,
    ``module_loading``; ``varm["log2_fold_change"]`` by group and ``varm["log2_batch_shift"]`` by batch, against the
    first, whose column is 0. Of samples: ``obs["library_size"]`` and, with modules, ``obsm["module_activity"]``.
    The settings stand in ``uns["truth"]``.

    Parameters
    ----------
    n_samples, n_genes, n_batches, n_groups
        Sizes. Batches and groups are crossed.
    batch_shares, group_shares
        Relative sizes of the batches and of the groups; None: equal. Every combination comes as near to its share as
        whole samples allow.
    n_de, n_up
        Genes that differ from group 1 in each other group, and how many of them are higher there. None: a fifth of
        all, half of these.
    mean_log2_fold_change, min_log2_fold_change
        Of the genes that differ: the mean absolute log2 fold change, met in each group, and the least.
    baseline_log2_fold_change
        Bound of that of the others, which is normal with an SD of a fifth of the bound.
    batch_shift, batch_shift_share
        In each batch but the first this share of the genes has an absolute log2 shift of ``batch_shift`` or more; 0: no
        gene has any.
    batch_sd
        SD of the log2 shift of the others, which is normal within ``batch_shift``.
    n_modules, module_size, module_sd
        Groups of genes that rise and fall together; the mean SD of their log2 factor.
    base_sd
        SD of the natural log of the expression of genes.
    dispersion, dispersion_sd
        ``low`` and ``high`` of the trend, and the SD of the natural log around it.
    library_size, library_sd
        Median, and SD of the natural log, of the expected number of counts. The fold changes and shifts leave the
        total of a group or batch as it is where those up can make up for those down; counts per million then show the
        planted changes.
    seed
        Equal seeds give equal data.

    Raises
    ------
    ConfigurationError
        If a setting cannot be, or settings do not go together.
    """
    settings = BulkSettings(**locals())
    plan = _plan(settings, np.random.default_rng([seed, 0]))
    adata = ad.AnnData(_counts(plan, seed), obs=plan.obs(), var=plan.var())
    adata.varm.update({"log2_fold_change": plan.folds, "log2_batch_shift": plan.shifts})
    if n_modules:
        adata.obsm["module_activity"] = plan.activity
    adata.uns.update(name="simulated bulk", scale="counts", scale_guessed=False)
    return with_truth(adata, settings, kind="bulk", n_de=settings.different, n_up=settings.up)


@dataclass(frozen=True, eq=False)
class _Plan:
    """Everything but the counts; batches, groups and modules are numbered from 0, no module is -1."""

    settings: BulkSettings
    batch: Integers
    group: Integers
    library: Floats
    mean: Floats
    dispersion: Floats
    folds: Floats  # (n_genes, n_groups)
    shifts: Floats  # (n_genes, n_batches)
    module: Integers
    loading: Floats
    activity: Floats  # (n_samples, n_modules)

    def expected(self, rows: slice) -> Floats:
        """Expected counts, shape ``(n_rows, n_genes)``."""
        log = self.folds.T[self.group[rows]] + self.shifts.T[self.batch[rows]]
        inside = self.module >= 0
        loading = self.loading[inside]
        # The mean of 2 ** (loading z) is 2 ** (ln(2) loading² / 2).
        log[:, inside] += self.activity[rows][:, self.module[inside]] * loading - np.log(2) / 2 * loading**2
        size = self.library[rows, None] / self.settings.library_size
        return np.asarray(self.mean * size * np.exp2(log), dtype=np.float64)

    def obs(self) -> pd.DataFrame:
        """Batch, group and library size of each sample."""
        asked = self.settings
        columns = {
            "batch": labels(self.batch, numbered("batch", asked.n_batches)),
            "group": labels(self.group, numbered("group", asked.n_groups)),
            "library_size": self.library,
        }
        return pd.DataFrame(columns, index=numbered("sample", asked.n_samples, width=3))

    def var(self) -> pd.DataFrame:
        """Truth of each gene."""
        asked, genes = self.settings, np.arange(self.settings.n_genes)
        largest = self.folds[genes, np.abs(self.folds).argmax(axis=1)]
        is_de = np.abs(largest) > asked.baseline_log2_fold_change
        columns = {
            "mean": self.mean,
            "dispersion": self.dispersion,
            "is_de": is_de,
            "is_up": is_de & (largest > 0),
            "is_shifted": (np.abs(self.shifts) >= asked.batch_shift).any(axis=1),
            "module": labels(self.module + 1, ["none", *numbered("module", asked.n_modules)]),
            "module_loading": self.loading,
        }
        return pd.DataFrame(columns, index=numbered("GENE", asked.n_genes, width=5))


def _plan(settings: BulkSettings, rng: Generator) -> _Plan:
    n_genes, (low, high) = settings.n_genes, settings.dispersion
    batch, group = _design(settings, rng)
    library = settings.library_size * np.exp(rng.normal(scale=settings.library_sd, size=settings.n_samples))
    folds, shifts = _fold_changes(settings, rng), _batch_shifts(settings, rng)
    level = rng.normal(scale=settings.base_sd / np.log(2), size=n_genes)
    share = np.exp2(_balanced(level, np.hstack([folds[:, 1:], shifts[:, 1:]])))
    mean = settings.library_size * share / share.sum()
    dispersion = (low / mean + high) * np.exp(rng.normal(scale=settings.dispersion_sd, size=n_genes))
    module, loading = _modules(settings, rng)
    activity = rng.normal(size=(settings.n_samples, settings.n_modules))
    return _Plan(settings, batch, group, library, mean, dispersion, folds, shifts, module, loading, activity)


def _counts(plan: _Plan, seed: int) -> NDArray[np.float32] | sp.csr_matrix:
    """Counts of all samples; a piece has a generator of its own."""
    n_samples = len(plan.library)
    counts = np.empty((n_samples, len(plan.mean)), dtype=np.float32)
    for start in range(0, n_samples, PIECE):
        rng, rows = np.random.default_rng([seed, 1, start]), slice(start, start + PIECE)
        counts[rows] = gamma_poisson(plan.expected(rows), plan.dispersion, rng)
    return compact(counts)


def _design(settings: BulkSettings, rng: Generator) -> tuple[Integers, Integers]:
    """Batch and group of each sample: each goes where most is missing, then the order is shuffled."""
    shares = np.outer(
        _shares(settings.batch_shares, settings.n_batches), _shares(settings.group_shares, settings.n_groups)
    )
    dealt = np.zeros(shares.shape)
    chosen = np.empty(settings.n_samples, dtype=np.int64)
    for number in range(settings.n_samples):
        missing = (number + 1) * shares - dealt
        # Batches and groups count too: they come out even where the combinations cannot.
        chosen[number] = (missing + missing.sum(axis=0) + missing.sum(axis=1, keepdims=True)).argmax()
        dealt.flat[chosen[number]] += 1
    _even_out(chosen, dealt, settings.n_samples * shares)
    batch, group = (int(i) + 1 for i in np.unravel_index(dealt.argmin(), dealt.shape))
    refuse(
        "bulk samples",
        {
            f"n_samples={settings.n_samples}; none would be of group{group} in batch{batch}, so give more, or more "
            "even shares": dealt.min() == 0
        },
    )
    first, second = np.divmod(rng.permutation(chosen), settings.n_groups)
    return first, second


def _even_out(chosen: Integers, dealt: Floats, wanted: Floats) -> None:
    """Move samples between batches of one group, and between groups of one batch, until totals are within one.

    Dealing alone leaves 33 samples of 3 x 3 combinations in batches of 12, 11 and 10.
    """
    places = np.arange(dealt.size).reshape(dealt.shape)
    for table, aim, place in ((dealt, wanted, places), (dealt.T, wanted.T, places.T)):
        while np.ptp(total := (table - aim).sum(axis=1)) > 1 + 1e-9:
            most, least = int(total.argmax()), int(total.argmin())
            at = int(((table - aim)[most] - (table - aim)[least]).argmax())
            table[[most, least], at] += [-1, 1]
            chosen[np.flatnonzero(chosen == place[most, at])[-1]] = place[least, at]


def _shares(given: Sequence[float] | None, count: int) -> Floats:
    shares = np.ones(count) if given is None else np.asarray(given, dtype=np.float64)
    return np.asarray(shares / shares.sum(), dtype=np.float64)


def _fold_changes(settings: BulkSettings, rng: Generator) -> Floats:
    """Log2 fold changes against group 1, shape ``(n_genes, n_groups)``; each group has its own different genes."""
    bound, least = settings.baseline_log2_fold_change, settings.min_log2_fold_change
    n_different = settings.different
    folds = np.zeros((settings.n_genes, settings.n_groups))
    for column in range(1, settings.n_groups):
        folds[:, column] = _within(bound, BASELINE_SD * bound, settings.n_genes, rng)
        genes = rng.choice(settings.n_genes, n_different, replace=False)
        excess = rng.gamma(4.0, size=n_different)
        # Over their own mean, so that the asked one is met exactly.
        sizes = least + (settings.mean_log2_fold_change - least) * excess / (excess.sum() / max(n_different, 1))
        folds[genes, column] = np.where(np.arange(n_different) < settings.up, sizes, -sizes)
    return folds


def _batch_shifts(settings: BulkSettings, rng: Generator) -> Floats:
    """Log2 shifts against batch 1, shape ``(n_genes, n_batches)``; large ones have a random sign."""
    threshold, n_large = settings.batch_shift, round(settings.batch_shift_share * settings.n_genes)
    shifts = np.zeros((settings.n_genes, settings.n_batches))
    if not settings.batch_shift_share:  # who asks for no shifted gene wants no shift, not small ones in every gene
        return shifts
    for column in range(1, settings.n_batches):
        shifts[:, column] = _within(threshold, settings.batch_sd, settings.n_genes, rng)
        genes = rng.choice(settings.n_genes, n_large, replace=False)
        sizes = threshold * (1 + rng.exponential(SHIFT_EXCESS, size=n_large))
        shifts[genes, column] = sizes * rng.choice([-1.0, 1.0], size=n_large)
    return shifts


def _within(bound: float, sd: float, size: int, rng: Generator) -> Floats:
    """Normal numbers given that they lie between ``-bound`` and ``bound``."""
    if sd == 0 or bound == 0:
        return np.zeros(size)
    below = ndtr(-bound / sd)
    return np.asarray(sd * ndtri(rng.uniform(below, 1 - below, size)), dtype=np.float64)


def _balanced(level: Floats, effects: Floats) -> Floats:
    """Log2 levels, each moved against its effects so far that no effect changes the total, as far as that can be.

    An effect ``e`` takes a share between 0 and 1 of itself from the level: at about 1/2, genes that go up start as low
    as those that go down end. Without this the genes up would outweigh those down, and counts per million would show
    every other gene as going down.
    """
    if not effects.any():
        return level

    def excess(weight: Floats) -> Floats:
        share = np.exp2(level - effects @ weight)
        return np.asarray(np.log2(share @ np.exp2(effects) / share.sum()), dtype=np.float64)

    start = np.full(effects.shape[1], 0.5)
    return np.asarray(level - effects @ least_squares(excess, start, bounds=(0.0, 1.0)).x, dtype=np.float64)


def _modules(settings: BulkSettings, rng: Generator) -> tuple[Integers, Floats]:
    """Module of each gene, -1 for none, and its loading, 0.5 to 1.5 times the mean SD."""
    module, loading = np.full(settings.n_genes, -1), np.zeros(settings.n_genes)
    n_inside = settings.n_modules * settings.module_size
    genes = rng.choice(settings.n_genes, n_inside, replace=False)
    module[genes] = np.arange(n_inside) // settings.module_size
    loading[genes] = settings.module_sd * rng.uniform(0.5, 1.5, size=n_inside)
    return module, loading
