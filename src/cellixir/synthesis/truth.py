"""Which genes truly differ between the groups: as planted, or as the real training data say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.exceptions import GeneMismatch, InvalidValues, examples
from cellixir.metrics.generative.differential import FDR, de_recovery
from cellixir.metrics.intervals import Interval
from cellixir.synthesis.scores import Scores, effects, known

if TYPE_CHECKING:
    import anndata as ad

    from cellixir.synthesis.yardstick import Side

MIN_GROUP = 3
#: Least log2 fold change of a truly different gene, where the truth does not say of which group it is.
PLANTED = 0.5
NOTHING = {"de_precision": 0.0, "de_recall": 0.0, "de_f1": 0.0, "de_jaccard": 0.0, "lfc_slope": 0.0}


@dataclass(frozen=True, eq=False)
class Contrast:
    """One group against the reference: log2 fold changes that were planted, if any, and those of real data.

    ``truth`` has the columns ``log2_fold_change`` and ``is_de``, ``real`` those of ``differential_expression`` and
    ``is_de``, both a row a gene.
    """

    group: str
    reference: str
    truth: pd.DataFrame
    real: pd.DataFrame
    planted: bool

    def recovery(self, found: pd.DataFrame | None) -> Scores:
        """How much of the truth was found; nothing where a group was not there to be compared."""
        if found is None:
            return {name: known(0.0) for name in (*NOTHING, *(["lfc_slope_real"] if self.planted else []))}
        seen = de_recovery(found, self.truth, fdr=FDR)
        values = (seen.precision, seen.recall, seen.f1, seen.jaccard, seen.slope)
        numbers = dict(zip(NOTHING, values, strict=True))
        if np.isnan(seen.precision):  # nothing was found
            numbers["de_precision"] = 0.0
        if self.planted:
            numbers["lfc_slope_real"] = de_recovery(found, self.real, fdr=FDR).slope
        return {name: known(value) for name, value in numbers.items()}


def contrasts(
    train: Side, holdout: Side, genes: pd.Index, to_log2: float, planted: pd.DataFrame | None
) -> list[Contrast]:
    """Every group with enough real samples against the first one by name, where any gene truly differs."""
    sizes = [pd.Series(side.columns["group"]).value_counts() for side in (train, holdout)]
    groups = sorted(str(name) for name, n in sizes[0].items() if min(n, sizes[1].get(name, 0)) >= MIN_GROUP)
    found = []
    for group in groups[1:]:
        real = effects(train, group, groups[0], genes, to_log2)
        if real is None:
            continue
        change = _planted(planted, group, groups[0])
        different = real["fdr"] < FDR if change is None else _different(planted, change)
        real = real.assign(is_de=different)
        truth = real if change is None else pd.DataFrame({"log2_fold_change": change, "is_de": different})
        if different.any():
            found.append(Contrast(group, groups[0], truth, real, planted=change is not None))
    return found


def recovered(found: list[Contrast], side: Side, genes: pd.Index, to_log2: float) -> Scores:
    """Mean over the contrasts of what each recovers."""
    scores = [c.recovery(effects(side, c.group, c.reference, genes, to_log2)) for c in found]
    return {name: _mean([score[name] for score in scores if name in score]) for name in (scores[0] if scores else {})}


def fold_changes(found: list[Contrast], synthetic: Side, genes: pd.Index, to_log2: float) -> pd.DataFrame:
    """A row a contrast and gene: ``contrast, gene, real, synthetic, planted, is_de``."""
    parts = []
    for contrast in found:
        seen = effects(synthetic, contrast.group, contrast.reference, genes, to_log2)
        columns = {
            "contrast": f"{contrast.group} against {contrast.reference}",
            "gene": genes.to_numpy(),
            "real": contrast.real["log2_fold_change"].to_numpy(),
            "synthetic": np.nan if seen is None else seen["log2_fold_change"].to_numpy(),
            "planted": contrast.truth["log2_fold_change"].to_numpy() if contrast.planted else np.nan,
            "is_de": contrast.truth["is_de"].to_numpy(bool),
        }
        parts.append(pd.DataFrame(columns))
    columns_of_none = ["contrast", "gene", "real", "synthetic", "planted", "is_de"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns_of_none)


def planted_in(samples: ad.AnnData, contrast_key: str) -> pd.DataFrame | None:
    """Planted log2 fold changes, a row a gene and a column a group, and ``is_de``; None if nothing was planted.

    Simulated data bring them as ``varm["log2_fold_change"]`` and ``var["is_de"]``.
    """
    if "truth" not in samples.uns or "log2_fold_change" not in samples.varm or contrast_key not in samples.obs:
        return None
    change = samples.varm["log2_fold_change"]
    values = np.asarray(change, dtype=np.float64)
    named = list(map(str, change.columns)) if isinstance(change, pd.DataFrame) else None
    names = named or [f"group{i + 1}" for i in range(values.shape[1])]
    if not set(samples.obs[contrast_key].astype(str)) <= set(names):
        return None
    table = pd.DataFrame(values, index=samples.var_names, columns=names)
    return table.assign(is_de=samples.var["is_de"].to_numpy(bool)) if "is_de" in samples.var else table


def checked_truth(truth: pd.DataFrame, genes: pd.Index) -> pd.DataFrame:
    """The table in the order of the genes.

    Raises
    ------
    GeneMismatch
        If a gene has no row.
    InvalidValues
        If a number is missing.
    """
    missing = genes.difference(truth.index)
    if len(missing):
        message = f"the truth has no row for {len(missing):,} of {len(genes):,} genes ({examples(missing)}); add them"
        raise GeneMismatch(message)
    table = truth.loc[genes]
    if not table.index.is_unique or table.isna().to_numpy().any():
        message = "the truth holds missing values or a gene twice; give one finite log2 fold change a gene and group"
        raise InvalidValues(message)
    return table


def _planted(planted: pd.DataFrame | None, group: str, reference: str) -> pd.Series | None:
    if planted is None:
        return None
    if "log2_fold_change" in planted:
        return planted["log2_fold_change"]
    if group not in planted:
        return None
    base = planted[reference] if reference in planted else 0.0
    return planted[group] - base


def _different(planted: pd.DataFrame | None, change: pd.Series) -> pd.Series:
    """Genes that are called different; of several groups, those whose own change is large enough."""
    if planted is None or "is_de" not in planted:
        return change.abs() >= PLANTED
    marked = planted["is_de"].astype(bool)
    return marked if "log2_fold_change" in planted else marked & (change.abs() >= PLANTED)


def _mean(values: list[Interval]) -> Interval:
    return known(float(np.mean([value.value for value in values])))
