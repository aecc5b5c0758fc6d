"""Plan of simulated single cells: genes, types, batches, groups and modules, then counts a block at a time.

Counts are gamma-Poisson, which is negative binomial (Splatter: Zappia et al., Genome Biology 18:174, 2017). A cell
``c`` of type ``t`` in batch ``b`` and group ``k`` has of gene ``g`` the expected count::

    mean(c, g) = library(c) share(c, g),   share(c, .) = exp(log(c, .)) / sum over genes of exp(log(c, .))
    log(c, g)  = base(g) + type(t, g) + batch(b, g) + fold(g, k, t) + sum over modules m: activity(c, m) loading(g, m)

and the variance ``mean + dispersion(g) mean²``, before dropout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import NDArray

from cellixir.data.simulate.counts import Floats, gamma_poisson
from cellixir.data.simulate.dropout import Dropout, dropout_of
from cellixir.data.simulate.single_cell_settings import SingleCellSettings

BASE_SD = 1.5
#: Share of the genes that are markers of a type, up or down.
MARKERS = 0.2
DISPERSION, DISPERSION_SD = 0.3, 0.5
#: Cells drawn at once, from a generator of their own.
BLOCK = 500
PILOT = 200


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells without their counts: numbers of type, batch and group, activities and library sizes."""

    cell_type: NDArray[np.int64]
    batch: NDArray[np.int64]
    group: NDArray[np.int64]
    activities: Floats  # (n_cells, n_modules)
    library: Floats


@dataclass(frozen=True, eq=False)
class Block:
    """Some cells and their counts, how many values each has lost, and the counts before that where they are kept."""

    cells: Cells
    counts: sp.csr_matrix
    n_dropped: NDArray[np.int64]
    before: sp.csr_matrix | None


@dataclass(frozen=True, eq=False)
class SingleCellPlan:
    """What all cells share; logarithms are natural.

    Attributes
    ----------
    base, dispersions
        Shape ``(n_genes,)``.
    type_effects, batch_effects
        Shapes ``(n_types, n_genes)`` and ``(n_batches, n_genes)``.
    group_effects
        Against group 1, shape ``(n_types, n_groups, n_genes)``.
    modules
        Genes of each module, shape ``(n_modules, module_size)``.
    loadings
        Shape ``(n_genes, n_modules)``.
    dropout
        None: nothing is lost.
    """

    settings: SingleCellSettings
    base: Floats
    dispersions: Floats
    type_effects: Floats
    batch_effects: Floats
    group_effects: Floats
    modules: NDArray[np.int64]
    loadings: Floats
    dropout: Dropout | None = None

    def blocks(self) -> Iterator[Block]:
        """Cells and counts (float32) a block at a time; every call draws the same."""
        n_cells = self.settings.n_cells
        for start in range(0, n_cells, BLOCK):
            rng = np.random.default_rng([self.settings.seed, 1, start])
            cells = self.cells(start, min(start + BLOCK, n_cells), rng)
            mean = self.mean(cells)
            before = sp.csr_matrix(gamma_poisson(mean, self.dispersions, rng), dtype=np.float32)
            counts, n_dropped = before, np.zeros(len(mean), dtype=np.int64)
            if self.dropout:
                counts, n_dropped = self.dropout.lose(before, mean, rng)
            yield Block(cells, counts, n_dropped, before if self.settings.keep_before else None)

    def cells(self, start: int, stop: int, rng: Generator) -> Cells:
        """Cells from number ``start`` to before ``stop``; types, batches and groups are dealt out evenly."""
        asked, number = self.settings, np.arange(start, stop)
        median, sd = asked.library_size
        cell_type = rng.permutation(number % asked.n_types)
        batch = rng.permutation(number % asked.n_batches)
        activities = rng.normal(size=(len(number), asked.n_modules))
        rng.permutation(len(number))  # of no use, but without it a seed would draw other cells than it always has
        library = median * np.exp(rng.normal(scale=sd, size=len(number)))
        group = rng.permutation(np.arange(len(number)) % asked.n_groups)
        return Cells(cell_type, batch, group, activities, library)

    def mean(self, cells: Cells) -> Floats:
        """Expected count of each gene before dropout, shape ``(n_cells, n_genes)``."""
        log = self.base + self.type_effects[cells.cell_type] + self.batch_effects[cells.batch]
        log = log + cells.activities @ self.loadings.T + self.group_effects[cells.cell_type, cells.group]
        return cells.library[:, None] * shares(log)

    def pilot(self, rng: Generator) -> Floats:
        """Expected counts of cells that are not used again."""
        return self.mean(self.cells(0, max(PILOT, self.settings.n_types), rng))


def shares(log: Floats) -> Floats:
    """Exponentials as shares of their row."""
    value = np.exp(log - log.max(axis=1, keepdims=True))
    return np.asarray(value / value.sum(axis=1, keepdims=True), dtype=np.float64)


def plan_single_cells(settings: SingleCellSettings) -> SingleCellPlan:
    """Genes, types, batches, modules, groups and dropout of simulated single cells, drawn from the seed.

    Base values are normal (SD 1.5), dispersions log-normal (median 0.3, SD of the log 0.5). A gene is a marker of a
    type with probability 0.2, with a normal effect. Batch effects are normal for all genes and sum to zero over the
    batches. Modules share no genes; their activities do not depend on the type, and their genes have loadings of 0.5
    to 1.5 times the strength. Log2 fold changes are 0.5 to 1.5 times their mean; which genes rise is chosen so that
    what some gain of a library the others lose.
    """
    rng = np.random.default_rng([settings.seed, 0])
    n, n_types, n_batches = settings.n_genes, settings.n_types, settings.n_batches
    base = rng.normal(scale=BASE_SD, size=n)
    dispersions = DISPERSION * np.exp(rng.normal(scale=DISPERSION_SD, size=n))
    type_effects = (rng.random((n_types, n)) < MARKERS) * rng.normal(scale=settings.type_strength, size=(n_types, n))
    batch_effects = rng.normal(scale=settings.batch_strength, size=(n_batches, n))
    rng = np.random.default_rng([settings.seed, 2])
    modules, loadings = _modules(settings, rng)
    plan = SingleCellPlan(
        settings,
        base,
        dispersions,
        type_effects,
        batch_effects - batch_effects.mean(axis=0),
        _group_effects(settings, shares(base + type_effects), rng),
        modules,
        loadings,
    )
    if settings.dropout_midpoint is not None:
        return replace(plan, dropout=Dropout(settings.dropout_midpoint, settings.dropout_steepness))
    if not settings.lost:
        return plan
    return replace(plan, dropout=dropout_of(settings.lost, plan.pilot(rng), dispersions, settings.dropout_steepness))


def _modules(settings: SingleCellSettings, rng: Generator) -> tuple[NDArray[np.int64], Floats]:
    """Genes of each module, shape ``(n_modules, module_size)``, and their loadings, ``(n_genes, n_modules)``."""
    n_modules, size = settings.n_modules, settings.module_size
    genes = rng.permutation(settings.n_genes)[: n_modules * size].reshape(n_modules, size)
    loadings = np.zeros((settings.n_genes, n_modules))
    loadings[genes, np.arange(n_modules)[:, None]] = settings.module_strength * rng.uniform(0.5, 1.5, genes.shape)
    return genes, loadings


def _group_effects(settings: SingleCellSettings, share: Floats, rng: Generator) -> Floats:
    """Planted changes against group 1, ``(n_types, n_groups, n_genes)``, given the share of each gene in each type."""
    effects = np.zeros((settings.n_types, settings.n_groups, settings.n_genes))
    for group in range(1, settings.n_groups):
        if settings.de_by_type:
            effects[:, group] = [_changes(settings, row, rng) for row in share]
        else:
            effects[:, group] = _changes(settings, share.mean(axis=0), rng)
    return effects


def _changes(settings: SingleCellSettings, share: Floats, rng: Generator) -> Floats:
    """Changes of a group, and in a type where each has its own, shape ``(n_genes,)``."""
    genes = rng.permutation(settings.n_genes)[: settings.different]
    size = np.log(2) * settings.mean_log2_fold_change * rng.uniform(0.5, 1.5, len(genes))
    rises = _rising(share[genes] * np.expm1(size), -share[genes] * np.expm1(-size), settings.up)
    changes = np.zeros(settings.n_genes)
    changes[genes] = np.where(rises, size, -size)
    return changes


def _rising(gain: Floats, loss: Floats, n_up: int) -> NDArray[np.bool_]:
    """Which genes rise, so that together they gain about what the others lose.

    Counts are shares of a library: if the genes that rise gained more, all others would seem to fall. From the largest
    down, each gene goes where the sum stays nearest to zero, while both ways are open.

    >>> _rising(np.array([4.0, 2.0, 1.0, 1.0]), np.array([2.0, 1.0, 0.5, 0.5]), 2).tolist()
    [False, True, False, True]
    """
    rises, balance, n_down = np.zeros(len(gain), dtype=np.bool_), 0.0, len(gain) - n_up
    for gene in np.argsort(-gain, kind="stable"):
        up, down = balance + gain[gene], balance - loss[gene]
        rises[gene] = n_up > 0 and (n_down == 0 or abs(up) < abs(down))
        balance = up if rises[gene] else down
        n_up, n_down = n_up - int(rises[gene]), n_down - int(not rises[gene])
    return rises
