"""What simulated single cells of groups are drawn from: the plan of `simulate_cells`, groups, modules and dropout.

To the log expression of ``cellixir.data.simulate.cell_plan`` a group ``k`` adds the planted change of a gene in a cell
of type ``t``, and modules stand in the place of pathways::

    log(c, g) = base(g) + type(t, g) + batch(b, g) + ln(2) fold(g, k, t) + activity(c, m) loading(g, m)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import NDArray

from cellixir.data.simulate.cell_plan import (
    PILOT,
    CellPlan,
    Cells,
    CellSettings,
    no_library,
    plan_cells,
    shares,
)
from cellixir.data.simulate.counts import Floats, gamma_poisson
from cellixir.data.simulate.dropout import Dropout, dropout_of
from cellixir.data.simulate.ranges import is_number, wrong_counts, wrong_numbers
from cellixir.data.simulate.truth import refuse

#: Share of the genes that differ between groups, and of the counts above zero that are lost, where nothing is asked.
DIFFERENT, LOST = 0.1, 0.2
#: Of log changes; exponentials of more overflow.
LARGEST_CHANGE = 20


@dataclass(frozen=True, kw_only=True)
class SingleCellSettings:
    """What `simulate_single_cell` was asked for; its docstring says what each means."""

    n_cells: int
    n_genes: int
    n_types: int
    n_batches: int
    n_groups: int
    library_size: tuple[float, float]
    type_strength: float
    batch_strength: float
    n_de: int | None
    n_up: int | None
    mean_log2_fold_change: float
    de_by_type: bool
    n_modules: int
    module_size: int
    module_strength: float
    dropout: float | None
    dropout_midpoint: float | None
    dropout_steepness: float
    keep_before: bool
    seed: int

    def __post_init__(self) -> None:
        # Numbers first: what follows compares them.
        refuse("single cells", {**self._not_whole(), **self._not_numbers()})
        refuse("single cells", self._wrong_sizes())

    @property
    def different(self) -> int:
        """Number of genes that differ between a group and the first."""
        usual = round(DIFFERENT * self.n_genes) if self.n_groups > 1 else 0
        return usual if self.n_de is None else self.n_de

    @property
    def up(self) -> int:
        """Number of those that rise."""
        return self.different // 2 if self.n_up is None else self.n_up

    @property
    def lost(self) -> float:
        """Expected share of the counts above zero that is lost, where no midpoint says so."""
        return LOST if self.dropout is None else self.dropout

    @property
    def core(self) -> CellSettings:
        """The part of them that `simulate_cells` knows too."""
        return CellSettings(
            n_cells=self.n_cells,
            n_genes=self.n_genes,
            n_types=self.n_types,
            n_patients=self.n_batches,
            n_batches=self.n_batches,
            type_strength=self.type_strength,
            batch_strength=self.batch_strength,
            library_size=self.library_size,
            n_pathways=0,
            n_active=0,
            pathway_size=(1, 1),
            seed=self.seed,
        )

    def _not_whole(self) -> dict[str, bool]:
        given = [name for name in ("n_de", "n_up") if getattr(self, name) is not None]
        return {
            **wrong_counts(self, "n_cells", "n_genes", "n_types", "n_batches", "n_groups", "module_size"),
            **wrong_counts(self, "n_modules", "seed", *given, least=0),
        }

    def _not_numbers(self) -> dict[str, bool]:
        strengths = ("type_strength", "batch_strength", "mean_log2_fold_change", "module_strength")
        given = () if self.dropout is None else ("dropout",)
        share, midpoint = "the share of the counts above zero that is lost,", self.dropout_midpoint
        return {
            **wrong_numbers(self, *strengths, most=LARGEST_CHANGE),
            **no_library(self.library_size),
            **wrong_numbers(self, *given, most=0.95, what=share),
            **wrong_numbers(self, "dropout_steepness", most=100, open_below=True),
            f"dropout_midpoint={midpoint!r}; give the natural log of a mean": not (
                midpoint is None or is_number(midpoint, -math.inf)
            ),
        }

    def _wrong_sizes(self) -> dict[str, bool]:
        few = max(self.n_types, self.n_batches, self.n_groups)
        return {
            f"n_cells={self.n_cells}; {self.n_types} types, {self.n_batches} batches and {self.n_groups} groups need "
            f"at least {few}": self.n_cells < few,
            f"n_de={self.n_de}; n_genes={self.n_genes} genes allow at most that many": self.different > self.n_genes,
            f"n_de={self.n_de} and n_groups=1; genes differ between groups, so give n_groups=2 or n_de=0": (
                self.n_groups < 2 and self.different > 0
            ),
            f"n_up={self.n_up}; give 0 to n_de={self.different}": self.up > self.different,
            f"n_modules={self.n_modules} and module_size={self.module_size}; modules share no genes, so they need "
            f"n_genes={self.n_modules * self.module_size}": self.n_modules * self.module_size > self.n_genes,
            "both dropout and dropout_midpoint; each follows from the other, so give one": (
                self.dropout is not None and self.dropout_midpoint is not None
            ),
        }


@dataclass(frozen=True, eq=False)
class Piece:
    """Some cells and their counts, how many values each has lost, and the counts before that where they are kept."""

    cells: Cells
    group: NDArray[np.int64]
    counts: sp.csr_matrix
    n_dropped: NDArray[np.int64]
    before: sp.csr_matrix | None


@dataclass(frozen=True, eq=False)
class SingleCellPlan:
    """What all cells share; logarithms are natural.

    Attributes
    ----------
    core
        Genes, types and batches; its pathways are the modules, all of them active.
    group_effects
        Against group 1, shape ``(n_types, n_groups, n_genes)``.
    dropout
        None: nothing is lost.
    """

    settings: SingleCellSettings
    core: CellPlan
    group_effects: Floats
    dropout: Dropout | None = None

    def pieces(self) -> Iterator[Piece]:
        """Cells and counts (float32) a piece at a time; every call draws the same."""
        for cells, rng in self.core.cell_pieces():
            group = self._groups(len(cells.batch), rng)
            mean = self.mean(cells, group)
            before = sp.csr_matrix(gamma_poisson(mean, self.core.dispersions, rng), dtype=np.float32)
            counts, n_dropped = before, np.zeros(len(group), dtype=np.int64)
            if self.dropout:
                counts, n_dropped = self.dropout.lose(before, mean, rng)
            yield Piece(cells, group, counts, n_dropped, before if self.settings.keep_before else None)

    def mean(self, cells: Cells, group: NDArray[np.int64]) -> Floats:
        """Expected count of each gene before dropout, shape ``(n_cells, n_genes)``."""
        log = self.core.log(cells) + self.group_effects[cells.cell_type, group]
        return cells.library[:, None] * shares(log)

    def pilot(self, rng: Generator) -> Floats:
        """Expected counts of cells that are not used again."""
        cells = self.core.cells(0, max(PILOT, self.settings.n_types), rng)
        return self.mean(cells, self._groups(len(cells.batch), rng))

    def _groups(self, n_cells: int, rng: Generator) -> NDArray[np.int64]:
        return rng.permutation(np.arange(n_cells) % self.settings.n_groups)


def plan_single_cells(settings: SingleCellSettings) -> SingleCellPlan:
    """Genes, types, batches, modules, groups and dropout of simulated single cells, drawn from the seed.

    Genes, types and batches are those of `plan_cells`. Modules share no genes; their activities do not depend on the
    type, and their genes have loadings of 0.5 to 1.5 times the strength. Log2 fold changes are 0.5 to 1.5 times their
    mean; which genes rise is chosen so that what some gain of a library the others lose.
    """
    rng = np.random.default_rng([settings.seed, 2])
    core = _with_modules(plan_cells(settings.core), settings, rng)
    plan = SingleCellPlan(settings, core, _group_effects(settings, shares(core.base + core.type_effects), rng))
    if settings.dropout_midpoint is not None:
        return replace(plan, dropout=Dropout(settings.dropout_midpoint, settings.dropout_steepness))
    if not settings.lost:
        return plan
    pilot = plan.pilot(rng)
    return replace(plan, dropout=dropout_of(settings.lost, pilot, core.dispersions, settings.dropout_steepness))


def _with_modules(core: CellPlan, settings: SingleCellSettings, rng: Generator) -> CellPlan:
    n_modules, size = settings.n_modules, settings.module_size
    genes = rng.permutation(settings.n_genes)[: n_modules * size].reshape(n_modules, size)
    loadings = np.zeros((settings.n_genes, n_modules))
    loadings[genes, np.arange(n_modules)[:, None]] = settings.module_strength * rng.uniform(0.5, 1.5, genes.shape)
    return replace(
        core,
        sets=tuple(np.sort(members) for members in genes),
        active=np.arange(n_modules),
        loadings=loadings,
        type_activities=np.zeros((settings.n_types, n_modules)),
        by_type=0.0,
    )


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
