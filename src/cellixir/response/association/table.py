"""The table of the pharmacogenomic ANOVA: the 22 columns of GDSC's PANCANCER_ANOVA export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from cellixir.exceptions import UnknownIds, examples
from cellixir.files import whole
from cellixir.metrics.fdr import method_named
from cellixir.response.association.scan import Scan

#: In the order of the export.
COLUMNS = (
    "Drug name", "Drug ID", "Drug target", "Target Pathway", "Feature Name", "n_feature_pos", "n_feature_neg",
    "ic50_effect_size", "log_ic50_mean_pos", "log_ic50_mean_neg", "log_max_conc_tested", "log_max_conc_tested_2",
    "feature_ic50_t_pval", "feature_delta_mean_ic50", "feature_pos_ic50_var", "feature_neg_ic50_var", "feature_pval",
    "tissue_pval", "msi_pval", "fdr", "Tissue Type", "Screening Set",
)  # fmt: skip
PANCANCER = "PANCANCER"


def anova_table(
    scan: Scan,
    tested: NDArray[np.bool_],
    features: pd.Index,
    drugs: pd.DataFrame,
    *,
    fdr: str,
    per_drug: bool,
    tissue_type: str,
    screening_set: str,
) -> pd.DataFrame:
    """One row a tested pair, the smallest p-value of the feature first, pairs without one last.

    Parameters
    ----------
    scan
        Statistics, ``(n_features, n_drugs)``.
    tested
        Which pairs stand in the table, of the same shape.
    features, drugs
        Names of the features, and one row a drug: ``name``, ``targets``, ``pathway``.
    fdr, per_drug
        ``bh`` or ``storey``, over all tests or over those of one drug. In percent, as GDSC's threshold of 25 is.
    """
    drug, feature = np.nonzero(tested.T)
    order = np.argsort(scan.pvalue[feature, drug], kind="stable")
    drug, feature = drug[order], feature[order]

    def take(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values[feature, drug]

    pvalue = take(scan.pvalue)
    missing = np.full(len(drug), np.nan)
    columns = (
        drugs["name"].to_numpy()[drug], drugs.index.to_numpy()[drug], drugs["targets"].to_numpy()[drug],
        drugs["pathway"].to_numpy()[drug], features.to_numpy()[feature],
        take(scan.n_pos).astype(np.int64), take(scan.n_neg).astype(np.int64), take(scan.effect_size),
        take(scan.mean_pos), take(scan.mean_neg), missing, missing, take(scan.t_pvalue),
        take(scan.mean_pos - scan.mean_neg), take(scan.var_pos), take(scan.var_neg), pvalue,
        take(scan.tissue_pvalue), take(scan.factor_pvalue["MSI"]) if "MSI" in scan.factor_pvalue else missing,
        100 * _corrected(pvalue, drug if per_drug else np.zeros_like(drug), fdr),
        np.full(len(drug), tissue_type, dtype=object), np.full(len(drug), screening_set, dtype=object),
    )  # fmt: skip
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def _corrected(pvalue: NDArray[np.float64], family: NDArray[np.int64], fdr: str) -> NDArray[np.float64]:
    """False discovery rate within each family of tests, a fraction."""
    method = method_named(fdr)
    result = np.full(len(pvalue), np.nan)
    order = np.argsort(family, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(family[order])) + 1):
        result[rows] = method(pvalue[rows])
    return result


def described_drugs(ids: pd.Index, known: pd.DataFrame | None) -> tuple[pd.DataFrame, list[str]]:
    """``name``, ``targets`` and ``pathway`` of each id, and the ids that `known` has not, which are their own name.

    A drug is looked up by id, then by name in any case.

    Raises
    ------
    UnknownIds
        If none of the ids is in the list.
    """
    listed = pd.DataFrame(columns=["name"]) if known is None else known
    by_name = {str(n).casefold(): i for i, n in zip(listed.index[::-1], listed.get("name", [])[::-1], strict=False)}
    keys = [i if i in listed.index else by_name.get(str(i).casefold()) for i in ids]
    unknown = [str(i) for i, key in zip(ids, keys, strict=True) if key is None]
    if known is not None and len(unknown) == len(ids):
        message = f"none of the {len(ids)} drugs ({examples(ids)}) is in the drug list ({examples(known.index)})"
        raise UnknownIds(message + "; use the same ids or names in both")
    found = listed.reindex(pd.Index(keys, dtype=object)).reindex(columns=["name", "targets", "pathway"]).set_axis(ids)
    return found.assign(name=found["name"].fillna(pd.Series(ids.astype(str), index=ids))), unknown


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write the table as CSV, whole or not at all, numbers so that they are read back exactly.

    Raises
    ------
    WriteError
        If the place cannot be written to.
    """
    with whole(path) as partial:
        pa_csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), partial)
