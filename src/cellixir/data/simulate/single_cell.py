"""Simulated single cells of types, batches and groups, with their truth."""

from __future__ import annotations

from collections.abc import Sequence

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from cellixir.data.simulate.counts import Floats
from cellixir.data.simulate.single_cell_plan import Block, SingleCellPlan, plan_single_cells, shares
from cellixir.data.simulate.single_cell_settings import SingleCellSettings
from cellixir.data.simulate.truth import labels, numbered, with_truth
from cellixir.exceptions import ConfigurationError


def simulate_single_cell(
    n_cells: int = 2000,
    n_genes: int = 1000,
    *,
    n_types: int = 4,
    n_batches: int = 2,
    n_groups: int = 2,
    library_size: tuple[float, float] = (2000.0, 0.4),
    type_strength: float = 1.0,
    batch_strength: float = 0.2,
    n_de: int | None = None,
    n_up: int | None = None,
    mean_log2_fold_change: float = 1.5,
    de_by_type: bool = False,
    n_modules: int = 5,
    module_size: int = 20,
    module_strength: float = 0.8,
    dropout: float | None = None,
    dropout_midpoint: float | None = None,
    dropout_steepness: float = 1.0,
    keep_before: bool = False,
    seed: int = 0,
) -> ad.AnnData:
    """Simulated counts of cells x genes (CSR, float32) with ``cell_type``, ``batch`` and ``group``, and their truth.

    Counts are gamma-Poisson with the formula of ``data.simulate.single_cell_plan`` and then thinned by the logistic
    dropout of ``data.simulate.dropout``. All truth but ``n_dropped`` is about counts before dropout:

    * ``var``: ``mean`` (expected count in type, batch and group 1, activities of 0, at the median library size),
      ``dispersion`` (the variance is ``mean + dispersion mean²``), ``is_de`` (in any group and type), ``is_up`` (where
      it differs most), ``module`` or "none";
    * ``varm``: ``log2_fold_change`` by group, ``log2_batch_shift`` by batch and ``log2_type_shift`` by type, each
      against the first, whose column is 0; ``log2_module_loading``, the change per unit of activity;
      with `de_by_type` also ``log2_fold_change_type1`` and so on, whose mean over the types is ``log2_fold_change``;
    * ``obs``: ``library_size`` (expected sum of counts), ``n_dropped`` (values above zero that were lost);
    * ``obsm["module_activity"]``, mean 0 and SD 1 over many cells;
    * ``uns["truth"]``: the settings, with ``dropout`` (expected share that is lost) and ``dropout_midpoint``.

    `expected_counts` puts them together.

    Parameters
    ----------
    n_cells, n_genes, n_types, n_batches, n_groups
        Sizes. Types, batches and groups are dealt out evenly and independently.
    library_size
        Median, and standard deviation of the log, of the expected number of counts of a cell.
    type_strength, batch_strength
        Standard deviation of the log effect of a type on its markers, and of a batch on every gene.
    n_de, n_up
        Genes that differ between a group and the first, and those of them that rise. None: a tenth of all, and half of
        these. Each group has its own.
    mean_log2_fold_change
        Mean absolute log2 fold change of these genes.
    de_by_type
        Whether each type has its own genes that differ, instead of the same changes in all.
    n_modules, module_size
        Sets of genes that go together, and the genes of each; no gene is in two.
    module_strength
        Mean change of a gene's log expression per unit of activity of its module.
    dropout
        Expected share of the counts above zero that is lost, 0 for none. None: 0.2, or what the midpoint gives.
    dropout_midpoint, dropout_steepness
        Natural log of the mean at which half is lost, and the slope there on the logit scale. None: from `dropout`.
    keep_before
        Whether ``layers["counts_before_dropout"]`` is kept.
    seed
        Equal seeds give equal data.

    Raises
    ------
    ConfigurationError
        If a size, a share or a strength cannot be, or sizes do not go together.
    """
    plan = plan_single_cells(SingleCellSettings(**locals()))
    blocks = list(plan.blocks())
    adata = ad.AnnData(
        sp.vstack([block.counts for block in blocks], format="csr"),
        obs=_obs(plan, blocks),
        var=_var(plan),
        obsm={"module_activity": np.concatenate([block.cells.activities for block in blocks])},
        varm=_varm(plan),
        uns={"name": "simulated", "scale": "counts", "scale_guessed": False},
    )
    if keep_before:
        adata.layers["counts_before_dropout"] = sp.vstack([block.before for block in blocks], format="csr")
    asked = plan.settings
    return with_truth(adata, asked, kind="single-cell", n_de=asked.different, n_up=asked.up, **_dropout(plan))


def expected_counts(adata: ad.AnnData) -> Floats:
    """Expected counts before dropout of simulated single cells, shape ``(n_cells, n_genes)``, dense.

    Parameters
    ----------
    adata
        What `simulate_single_cell` gave, or some of its cells; all genes, since a count is a share of a library.

    Raises
    ------
    ConfigurationError
        If it has no such truth, or genes were taken away.
    """
    truth = adata.uns.get("truth", {})
    if truth.get("kind") != "single-cell" or truth["n_genes"] != adata.n_vars:
        known = f"{truth['n_genes']} genes" if "n_genes" in truth else "nothing"
        message = (
            f"expected counts need all genes of simulated single cells; these data have {adata.n_vars}, and their "
            f"truth (uns['truth']) knows {known}; give what simulate_single_cell gave, or some of its cells"
        )
        raise ConfigurationError(message)
    cell_type, batch, group = (_numbers(adata.obs[column]) for column in ("cell_type", "batch", "group"))
    log2 = adata.obsm["module_activity"] @ adata.varm["log2_module_loading"].T
    log2 = log2 + adata.varm["log2_type_shift"].T[cell_type] + adata.varm["log2_batch_shift"].T[batch]
    log2 = log2 + _fold_changes(adata, truth["n_types"])[cell_type, group]
    with np.errstate(divide="ignore"):  # a mean too small for a number is zero
        log = np.log(2) * log2 + np.log(adata.var["mean"].to_numpy())
    return np.asarray(adata.obs["library_size"].to_numpy()[:, None] * shares(log))


def _numbers(labels: pd.Series) -> NDArray[np.int64]:
    """Position of each label, such as 1 of "batch2"; codes are not that where cells were taken away."""
    return np.asarray(labels.astype(str).str.extract(r"(\d+)$", expand=False), dtype=np.int64) - 1


def _fold_changes(adata: ad.AnnData, n_types: int) -> Floats:
    """Log2 fold changes by type and group, shape ``(n_types, n_groups, n_genes)``."""
    of_types = [f"log2_fold_change_{name}" for name in numbered("type", n_types)]
    return np.stack([adata.varm.get(name, adata.varm["log2_fold_change"]).T for name in of_types])


def _obs(plan: SingleCellPlan, blocks: Sequence[Block]) -> pd.DataFrame:
    asked, cells = plan.settings, [block.cells for block in blocks]
    columns = {
        "cell_type": labels(np.concatenate([some.cell_type for some in cells]), numbered("type", asked.n_types)),
        "batch": labels(np.concatenate([some.batch for some in cells]), numbered("batch", asked.n_batches)),
        "group": labels(np.concatenate([some.group for some in cells]), numbered("group", asked.n_groups)),
        "library_size": np.concatenate([some.library for some in cells]),
        "n_dropped": np.concatenate([block.n_dropped for block in blocks]),
    }
    return pd.DataFrame(columns, index=pd.Index(numbered("CELL", asked.n_cells, width=4), dtype=object))


def _var(plan: SingleCellPlan) -> pd.DataFrame:
    effects = plan.group_effects
    first = plan.base + plan.type_effects[0] + plan.batch_effects[0]
    module = np.zeros(len(first), dtype=np.int64)
    module[plan.modules] = np.arange(1, len(plan.modules) + 1)[:, None]
    columns = {
        "mean": plan.settings.library_size[0] * shares(first[None])[0],
        "dispersion": plan.dispersions,
        "is_de": (effects != 0).any(axis=(0, 1)),
        "is_up": effects.max(axis=(0, 1)) > -effects.min(axis=(0, 1)),
        "module": labels(module, ["none", *numbered("module", len(plan.modules))]),
    }
    return pd.DataFrame(columns, index=pd.Index(numbered("GENE", len(first), width=4), dtype=object))


def _varm(plan: SingleCellPlan) -> dict[str, Floats]:
    """Shifts in log2, genes in rows."""
    folds = plan.group_effects.transpose(0, 2, 1) / np.log(2)
    by_type = zip(numbered("type", len(folds)), folds, strict=True) if plan.settings.de_by_type else ()
    return {
        "log2_fold_change": folds.mean(axis=0),
        **{f"log2_fold_change_{name}": values for name, values in by_type},
        "log2_batch_shift": (plan.batch_effects - plan.batch_effects[0]).T / np.log(2),
        "log2_type_shift": (plan.type_effects - plan.type_effects[0]).T / np.log(2),
        "log2_module_loading": plan.loadings / np.log(2),
    }


def _dropout(plan: SingleCellPlan) -> dict[str, float]:
    """Expected share that is lost and, where there is dropout, its midpoint."""
    if plan.dropout is None:
        return {"dropout": 0.0}
    share = plan.settings.lost
    if plan.settings.dropout_midpoint is not None:
        pilot = plan.pilot(np.random.default_rng([plan.settings.seed, 3]))
        share = plan.dropout.share(pilot, plan.dispersions)
    return {"dropout_midpoint": plan.dropout.midpoint, "dropout": share}
