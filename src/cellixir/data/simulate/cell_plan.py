"""What simulated cells are drawn from: genes, types, batches and pathways, then counts a piece at a time.

Counts are gamma-Poisson, which is negative binomial (Splatter: Zappia et al., Genome Biology 18:174, 2017). A cell
``c`` of type ``t`` in batch ``b`` has of gene ``g`` the expected count::

    mean(c, g) = library(c) share(c, g),   share(c, .) = exp(log(c, .)) / sum over genes of exp(log(c, .))
    log(c, g)  = base(g) + type(t, g) + batch(b, g) + sum over active pathways p: activity(c, p) loading(g, p)

and the variance ``mean + dispersion(g) mean²``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import NDArray

from cellixir.data.simulate.counts import Floats, detected, gamma_poisson
from cellixir.data.simulate.ranges import is_number, wrong_counts, wrong_numbers
from cellixir.data.simulate.truth import refuse

BASE_SD = 1.5
#: Share of the genes that are markers of a type, up or down.
MARKERS = 0.2
DISPERSION, DISPERSION_SD = 0.3, 0.5
#: Share of the variance of an activity that lies between types.
BY_TYPE = 0.3
#: Share of a decoy's genes that are taken from one active pathway.
SHARED = 0.25
DENSITY, LIBRARY_SD = 0.07, 0.4
#: Cells drawn at once, from a generator of their own: blocks of any size hold the same counts.
PIECE = 500
PILOT = 200
LARGEST_LIBRARY = 2**24


@dataclass(frozen=True, kw_only=True)
class CellSettings:
    """What `simulate_cells` was asked for; its docstring says what each means."""

    n_cells: int = 1000
    n_genes: int = 500
    n_types: int = 5
    n_patients: int = 6
    n_batches: int = 2
    type_strength: float = 1.0
    batch_strength: float = 0.2
    library_size: tuple[float, float] | None = None
    density: float | None = None
    n_pathways: int = 50
    n_active: int = 10
    pathway_size: tuple[int, int] = (10, 40)
    pathway_strength: float = 0.8
    kind: Literal["counts", "log"] = "counts"
    unlabelled: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        refuse("cells", self._faults())

    def _faults(self) -> dict[str, bool]:
        counted = ("n_cells", "n_genes", "n_types", "n_patients", "n_batches")
        strengths = ("type_strength", "batch_strength", "pathway_strength")
        few = max(self.n_types, self.n_patients)
        low, high = self.pathway_size
        return {
            **wrong_counts(self, *counted),
            **wrong_numbers(self, *strengths),
            f"n_cells={self.n_cells}; {self.n_types} types and {self.n_patients} patients need at least {few}": (
                self.n_cells < few
            ),
            f"n_batches={self.n_batches}; a patient is in one batch, so {self.n_patients} patients fill at most "
            f"{self.n_patients}": self.n_batches > self.n_patients,
            f"n_active={self.n_active}; give 0 to n_pathways={self.n_pathways}": not (
                0 <= self.n_active <= self.n_pathways
            ),
            f"pathway_size={self.pathway_size}; give the least and the most genes of a pathway, from 1 to "
            f"n_genes={self.n_genes}": not 1 <= low <= high <= self.n_genes,
            "both library_size and density; each follows from the other, so give one": (
                self.library_size is not None and self.density is not None
            ),
            **no_library((1.0, 0.0) if self.library_size is None else self.library_size),
            f"density={self.density}; give a share of values above zero from 0.001 to 0.9": not (
                0.001 <= (DENSITY if self.density is None else self.density) <= 0.9
            ),
            f"unlabelled={self.unlabelled}; give a share from 0 to 1": not 0 <= self.unlabelled <= 1,
            f"kind={self.kind!r}; use 'counts' or 'log'": self.kind not in {"counts", "log"},
            **wrong_counts(self, "seed", least=0),
        }


def no_library(library_size: object) -> dict[str, bool]:
    """What to say where this is no library size, and whether it is none."""
    median, sd = library_size if isinstance(library_size, Sequence) and len(library_size) == 2 else (0.0, 0.0)
    text = (
        f"library_size={library_size}; give the median, above 0 and up to {LARGEST_LIBRARY:,}, and the SD "
        "of the log, 0 to 3"
    )
    return {text: not (is_number(median, most=LARGEST_LIBRARY, open_below=True) and is_number(sd, most=3))}


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells without their counts: numbers of type, patient and batch, activities and library sizes."""

    cell_type: NDArray[np.int64]
    patient: NDArray[np.int64]
    batch: NDArray[np.int64]
    labelled: NDArray[np.bool_]
    activities: Floats  # (n_cells, n_active)
    library: Floats


@dataclass(frozen=True, eq=False)
class CellPlan:
    """What all cells share; genes are numbered, logarithms natural.

    Attributes
    ----------
    sets
        Genes of each pathway.
    active
        Numbers of the pathways that act.
    base, dispersions
        Shape ``(n_genes,)``.
    type_effects, batch_effects
        Shapes ``(n_types, n_genes)`` and ``(n_batches, n_genes)``.
    loadings
        Shape ``(n_genes, n_active)``.
    type_activities
        Mean 0 and SD 1 over the types, shape ``(n_types, n_active)``.
    library_size
        Median, and SD of the log.
    by_type
        Share of the variance of an activity that lies between types.
    """

    settings: CellSettings
    sets: tuple[NDArray[np.int64], ...]
    active: NDArray[np.int64]
    base: Floats
    dispersions: Floats
    type_effects: Floats
    batch_effects: Floats
    loadings: Floats
    type_activities: Floats
    library_size: tuple[float, float]
    by_type: float

    def pieces(self) -> Iterator[tuple[sp.csr_matrix, Cells]]:
        """Counts (float32) and cells, `PIECE` at a time; every call draws the same."""
        for cells, rng in self.cell_pieces():
            counts = gamma_poisson(cells.library[:, None] * shares(self.log(cells)), self.dispersions, rng)
            yield sp.csr_matrix(counts, dtype=np.float32), cells

    def cell_pieces(self) -> Iterator[tuple[Cells, Generator]]:
        """Cells, `PIECE` at a time, and the generator that what else they need is drawn from."""
        for start in range(0, self.settings.n_cells, PIECE):
            rng = np.random.default_rng([self.settings.seed, 1, start])
            yield self.cells(start, min(start + PIECE, self.settings.n_cells), rng), rng

    def log(self, cells: Cells) -> Floats:
        """Log expression of each gene in these cells, up to a constant, shape ``(n_cells, n_genes)``."""
        log = self.base + self.type_effects[cells.cell_type] + self.batch_effects[cells.batch]
        return log + cells.activities @ self.loadings.T

    def cells(self, start: int, stop: int, rng: Generator) -> Cells:
        """Cells from number ``start`` to before ``stop``; types and patients are dealt out evenly."""
        asked, number = self.settings, np.arange(start, stop)
        cell_type = rng.permutation(number % asked.n_types)
        patient = rng.permutation(number % asked.n_patients)
        n_unlabelled = round(asked.unlabelled * stop) - round(asked.unlabelled * start)
        free = rng.normal(size=(len(number), len(self.active)))
        median, sd = self.library_size
        return Cells(
            cell_type,
            patient,
            patient % asked.n_batches,
            rng.permutation(len(number)) >= n_unlabelled,
            np.sqrt(self.by_type) * self.type_activities[cell_type] + np.sqrt(1 - self.by_type) * free,
            median * np.exp(rng.normal(scale=sd, size=len(number))),
        )


def shares(log: Floats) -> Floats:
    """Exponentials as shares of their row."""
    value = np.exp(log - log.max(axis=1, keepdims=True))
    return np.asarray(value / value.sum(axis=1, keepdims=True), dtype=np.float64)


def bisect(rising: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Where a rising function takes the value that is wanted, between ``low`` and ``high``.

    >>> round(bisect(lambda x: x**2, 2.0, 0.0, 4.0), 6)
    1.414214
    """
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return middle


def plan_cells(settings: CellSettings) -> CellPlan:
    """Genes, types, batches and pathways of simulated cells, drawn from the seed.

    Base values are normal (SD 1.5), dispersions log-normal (median 0.3, SD of the log 0.5). A gene is a marker of a
    type with probability 0.2, with a normal effect. Batch effects are normal for all genes and sum to zero over the
    batches. Genes of an active pathway have loadings of 0.5 to 1.5 times the strength. A decoy has a quarter of its
    genes from one active pathway, the others from anywhere.
    """
    rng = np.random.default_rng([settings.seed, 0])
    n, n_types, n_batches = settings.n_genes, settings.n_types, settings.n_batches
    base = rng.normal(scale=BASE_SD, size=n)
    dispersions = DISPERSION * np.exp(rng.normal(scale=DISPERSION_SD, size=n))
    type_effects = (rng.random((n_types, n)) < MARKERS) * rng.normal(scale=settings.type_strength, size=(n_types, n))
    batch_effects = rng.normal(scale=settings.batch_strength, size=(n_batches, n))
    sets, active = _pathways(settings, rng)
    loadings = np.zeros((n, len(active)))
    for column, pathway in enumerate(active):
        loadings[sets[pathway], column] = settings.pathway_strength * rng.uniform(0.5, 1.5, len(sets[pathway]))
    plan = CellPlan(
        settings,
        sets,
        active,
        base,
        dispersions,
        type_effects,
        batch_effects - batch_effects.mean(axis=0),
        loadings,
        _standardised(rng.normal(size=(n_types, len(active)))),
        settings.library_size or (1.0, LIBRARY_SD),
        BY_TYPE if n_types > 1 else 0.0,
    )
    return plan if settings.library_size else _with_density(plan, settings.density or DENSITY, rng)


def _pathways(settings: CellSettings, rng: Generator) -> tuple[tuple[NDArray[np.int64], ...], NDArray[np.int64]]:
    """Genes of each pathway, and which pathways act."""
    sizes = rng.integers(*settings.pathway_size, size=settings.n_pathways, endpoint=True)
    active = np.sort(rng.choice(settings.n_pathways, settings.n_active, replace=False)).astype(np.int64)
    sets = {int(p): rng.choice(settings.n_genes, sizes[p], replace=False) for p in active}
    for number, pathway in enumerate(p for p in range(settings.n_pathways) if p not in sets):
        shared = np.empty(0, dtype=np.int64)
        if len(active):
            host = sets[int(active[number % len(active)])]
            shared = rng.choice(host, min(round(SHARED * sizes[pathway]), len(host)), replace=False)
        others = np.setdiff1d(np.arange(settings.n_genes), shared)
        sets[pathway] = np.append(shared, rng.choice(others, sizes[pathway] - len(shared), replace=False))
    return tuple(np.sort(sets[p]) for p in range(settings.n_pathways)), active


def _standardised(values: Floats) -> Floats:
    centred = values - values.mean(axis=0)
    sd = centred.std(axis=0)
    return np.asarray(centred / np.where(sd > 0, sd, 1), dtype=np.float64)


def _with_density(plan: CellPlan, density: float, rng: Generator) -> CellPlan:
    """Same plan with the median library size at which a share ``density`` of the values is above zero.

    The median is found over cells that are not used again.
    """
    cells = plan.cells(0, max(PILOT, plan.settings.n_types), rng)
    mean = cells.library[:, None] * shares(plan.log(cells))
    median = bisect(
        lambda log: float(detected(np.exp(log) * mean, plan.dispersions).mean()),
        density,
        0.0,
        np.log(1000.0 * mean.shape[1]),  # from 1 count to 1,000 a gene
    )
    return replace(plan, library_size=(float(np.exp(median)), plan.library_size[1]))
