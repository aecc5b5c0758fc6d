"""Single cells with known truth: types, batches and pathways that a model should find again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cellixir.data.simulate.cell_plan import CellPlan, Cells, CellSettings, plan_cells, shares
from cellixir.data.simulate.counts import Floats
from cellixir.data.simulate.truth import labels, numbered

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, eq=False)
class CellTruth:
    """What was planted in simulated cells; logarithms are natural.

    Attributes
    ----------
    gene_sets
        Genes of every pathway, active or decoy, as `read_gene_sets` gives them.
    active
        Names of the pathways that act.
    activities
        Activity of each active pathway in each cell, mean 0 and SD 1 over many cells.
    loadings
        Change of a gene's log expression per unit of activity, genes x active pathways.
    base
        Log expression of each gene without any effect, up to a constant.
    type_effects, batch_effects
        What a type and a batch add to it, types or batches x genes.
    dispersions
        Of each gene: the variance of a count is ``mean + dispersion mean²``.
    library_sizes
        Expected number of counts of each cell.
    cell_types, batches
        Of each cell, also of the unlabelled ones.
    """

    gene_sets: dict[str, list[str]]
    active: tuple[str, ...]
    activities: pd.DataFrame
    loadings: pd.DataFrame
    base: pd.Series
    type_effects: pd.DataFrame
    batch_effects: pd.DataFrame
    dispersions: pd.Series
    library_sizes: pd.Series
    cell_types: pd.Series
    batches: pd.Series

    @property
    def type_means(self) -> pd.DataFrame:
        """Share of each gene in the counts of each type, types x genes: an average batch, activities of 0."""
        log = self.type_effects + self.base
        return pd.DataFrame(shares(log.to_numpy()), index=log.index, columns=log.columns)

    def expected_counts(self, cells: Sequence[str] | pd.Index | None = None) -> pd.DataFrame:
        """Expected count of each gene in these cells (None: all), cells x genes, dense."""
        chosen = self.activities.index if cells is None else pd.Index(cells)
        log = self.base.to_numpy() + self.type_effects.loc[self.cell_types[chosen]].to_numpy()
        log = log + self.batch_effects.loc[self.batches[chosen]].to_numpy()
        log = log + self.activities.loc[chosen].to_numpy() @ self.loadings.to_numpy().T
        mean = self.library_sizes[chosen].to_numpy()[:, None] * shares(log)
        return pd.DataFrame(mean, index=chosen, columns=self.base.index)


def simulate_cells(
    n_cells: int = 1000,
    n_genes: int = 500,
    *,
    n_types: int = 5,
    n_patients: int = 6,
    n_batches: int = 2,
    type_strength: float = 1.0,
    batch_strength: float = 0.2,
    library_size: tuple[float, float] | None = None,
    density: float | None = None,
    n_pathways: int = 50,
    n_active: int = 10,
    pathway_size: tuple[int, int] = (10, 40),
    pathway_strength: float = 0.8,
    kind: Literal["counts", "log"] = "counts",
    unlabelled: float = 0.0,
    seed: int = 0,
) -> tuple[ad.AnnData, CellTruth]:
    """Simulated cells x genes (CSR, float32) with ``cell_type``, ``patient`` and ``batch``, and the truth behind them.

    The formula stands at the top of ``data.simulate.cell_plan``, the distributions of its parts at `plan_cells`.

    Parameters
    ----------
    n_cells, n_genes, n_types, n_patients, n_batches
        Sizes. Types and patients are dealt out evenly and independently; each patient is in one batch.
    type_strength, batch_strength
        Standard deviation of the log effect of a type on its markers, and of a batch on every gene.
    library_size
        Median, and standard deviation of the log, of the expected number of counts of a cell. None: 0.4, and the
        median that gives `density`.
    density
        Share of the values above zero; None: 0.07, as in 10x data.
    n_pathways, n_active
        Gene sets in all, and those among them that act. Decoys share genes with active ones.
    pathway_size
        Least and most genes of a pathway; a gene can be in several.
    pathway_strength
        Mean change of a gene's log expression per standard deviation of activity.
    kind
        ``counts``, or ``log``: log1p of counts per million.
    unlabelled
        Share of the cells whose ``cell_type`` is missing.
    seed
        Equal seeds give equal data.

    Raises
    ------
    ConfigurationError
        If a size, a share or a strength cannot be, or sizes do not go together.
    """
    plan = plan_cells(CellSettings(**locals()))
    counts, pieces = zip(*plan.pieces(), strict=True)
    values, cells = sp.vstack(counts, format="csr"), joined(pieces)
    if kind == "log":
        values = _log1p_cpm(values)
    adata = ad.AnnData(values, obs=obs_of(plan, cells), var=pd.DataFrame(index=_names("GENE", n_genes)))
    adata.uns.update(name="simulated", scale="log1p_cpm" if kind == "log" else "counts", scale_guessed=False)
    return adata, truth_of(plan, cells)


def joined(pieces: Sequence[Cells]) -> Cells:
    """Cells of several pieces as one."""
    fields = ("cell_type", "patient", "batch", "labelled", "activities", "library")
    return Cells(*(np.concatenate([getattr(piece, field) for piece in pieces]) for field in fields))


def obs_of(plan: CellPlan, cells: Cells) -> pd.DataFrame:
    """Type (missing where unlabelled), patient and batch of each cell."""
    asked = plan.settings
    known = np.where(cells.labelled, cells.cell_type, -1)
    columns = {
        "cell_type": labels(known, numbered("type ", asked.n_types, width=1)),
        "patient": labels(cells.patient, numbered("patient ", asked.n_patients, width=1)),
        "batch": labels(cells.batch, numbered("batch ", asked.n_batches, width=1)),
    }
    return pd.DataFrame(columns, index=_names("CELL", len(cells.cell_type)))


def truth_of(plan: CellPlan, cells: Cells) -> CellTruth:
    """Truth of cells drawn from a plan, by name."""
    asked = plan.settings
    index, genes = _names("CELL", len(cells.cell_type)), _names("GENE", asked.n_genes)
    types, batches = _names("type ", asked.n_types, 1), _names("batch ", asked.n_batches, 1)
    pathways = _names("pathway ", asked.n_pathways, 2)
    active = pathways[plan.active]
    return CellTruth(
        {name: genes[members].tolist() for name, members in zip(pathways, plan.sets, strict=True)},
        tuple(active),
        _frame(cells.activities, index, active),
        _frame(plan.loadings, genes, active),
        pd.Series(plan.base, index=genes, name="base"),
        _frame(plan.type_effects, types, genes),
        _frame(plan.batch_effects, batches, genes),
        pd.Series(plan.dispersions, index=genes, name="dispersion"),
        pd.Series(cells.library, index=index, name="library_size"),
        pd.Series(types[cells.cell_type], index=index, name="cell_type"),
        pd.Series(batches[cells.batch], index=index, name="batch"),
    )


def _frame(values: Floats, index: pd.Index, columns: pd.Index) -> pd.DataFrame:
    return pd.DataFrame(values, index=index, columns=columns)


def _names(word: str, count: int, width: int = 4) -> pd.Index:
    """Names of one width, so that sorting as text keeps their order."""
    return pd.Index(numbered(word, count, width=width), dtype=object)


def _log1p_cpm(counts: sp.csr_matrix) -> sp.csr_matrix:
    """Natural log of 1 + counts per million; a cell without counts stays zero."""
    total = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
    million = counts.data * (1e6 / np.repeat(total, np.diff(counts.indptr)))
    return sp.csr_matrix((np.log1p(million).astype(np.float32), counts.indices, counts.indptr), counts.shape)
