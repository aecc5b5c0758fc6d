"""Pharmacogenomic ANOVA: which mutations and copy-number changes go with response, beyond tissue and MSI.

The analysis of Iorio et al., Cell 2016, 166, 740, and of gdsctools (Cokelaer et al., Bioinformatics 2018, 34, 1226).
"""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.exceptions import ConfigurationError, InvalidValues, examples
from cellixir.metrics.fdr import method_named
from cellixir.response.association.design import MIN_MSI, Design, make_design
from cellixir.response.association.scan import Scan, joined, scan
from cellixir.response.association.table import PANCANCER, anova_table, described_drugs

#: Lines that a feature needs on each side, among those measured with a drug.
MIN_LINES = 3
#: What GDSC calls a hit: a false discovery rate below 25 % and a p-value below .001.
MAX_FDR, MAX_P = 25.0, 1e-3


@dataclass(frozen=True)
class AnovaResult:
    """What an analysis found, and what it left out.

    Attributes
    ----------
    table
        One row a tested pair, 22 columns, the smallest p-value first; ``fdr`` in percent.
    exclusions
        One row a reason: ``reason``, ``tests``, ``features``, ``drugs`` (how many) and ``examples``. The tests here
        and the p-values of the table add up to features x drugs.
    notes
        Sentences that the reader has to know.
    model
        The model as a formula.
    n_lines, n_drugs, n_features
        What went in.
    min_lines, fdr, per_drug
        What was asked for.
    """

    table: pd.DataFrame
    exclusions: pd.DataFrame
    notes: list[str]
    model: str
    n_lines: int
    n_drugs: int
    n_features: int
    min_lines: int
    fdr: str
    per_drug: bool

    @property
    def n_tests(self) -> int:
        """Tests of a feature that have a p-value."""
        return int(self.table["feature_pval"].notna().sum())

    def hits(self, max_fdr: float = MAX_FDR, max_p: float = MAX_P) -> pd.DataFrame:
        """Rows of the table below a false discovery rate (percent) and a p-value."""
        return self.table[(self.table["fdr"] < max_fdr) & (self.table["feature_pval"] < max_p)]


def anova(
    pairs: pd.DataFrame,
    features: ad.AnnData,
    *,
    drugs: pd.DataFrame | None = None,
    tissue: pd.Series | None = None,
    medium: pd.Series | None = None,
    only_tissue: str | None = None,
    min_lines: int = MIN_LINES,
    fdr: str = "bh",
    per_drug: bool = False,
    screening_set: str = "",
) -> AnovaResult:
    """Every test of ``response ~ tissue + MSI + medium + feature``, one for each drug and feature.

    Sums of squares are sequential, over the residual variance of the whole model. What is not known of the lines, or is
    the same for all, is left out of the model; MSI also for a drug with fewer than two lines on a side. The T test
    assumes equal variances; the effect size is Cohen's d (the difference of means over the pooled standard
    deviation), without sign.

    Parameters
    ----------
    pairs
        Columns ``sample``, ``drug`` and ``response`` (ln IC50); replicates are averaged.
    features
        0 and 1, samples x features; ``obs`` may hold ``tissue``, ``msi`` (0 or 1) and ``medium``.
    drugs
        By drug id: any of ``name``, ``targets``, ``pathway``.
    tissue, medium
        By sample id: what `features` does not say. `medium` goes before that of `features`.
    only_tissue
        Use the lines of this tissue alone.
    min_lines
        Lines that a feature needs on each side, among those measured with the drug; 2 at least.
    fdr, per_drug
        ``bh`` (Benjamini-Hochberg) or ``storey``, over all tests or for each drug on its own.
    screening_set
        What the last column says.

    Returns
    -------
    AnovaResult
        ``table`` has one row a tested pair, ``exclusions`` what was not tested.

    Raises
    ------
    UnknownIds
        If no sample has features, or is of the tissue, or has a medium; or no drug is in `drugs`.
    InvalidValues
        If a feature is not binary, or no pair has `min_lines` lines on each side.
    ConfigurationError
        If an option cannot work.

    Examples
    --------
    >>> from cellixir.data.simulate import simulate_cohort
    >>> data = simulate_cohort(n_samples=30, n_drugs=6, n_genes=20, n_mutations=8, n_targets=2).response_data()
    >>> found = anova(data.responses, data.views["mutations"])
    >>> found.table.shape == (found.n_tests, 22)
    True
    """
    if min_lines < 2:
        message = f"min_lines={min_lines} leaves no variance on a side; use 2 or more"
        raise ConfigurationError(message)
    method_named(fdr)
    notes: list[str] = []
    samples = pd.Index(pairs["sample"].unique())
    design = make_design(samples, features, tissue=tissue, medium=medium, only_tissue=only_tissue, note=notes.append)
    responses = _matrix(pairs, design.lines, notes)
    listed, unlisted = described_drugs(responses.columns, drugs)
    if drugs is not None and unlisted:
        count = f"{len(unlisted)} of {len(listed)} drugs"
        notes.append(f"not in the drug list, and called by their id: {count} ({examples(unlisted)})")
    result = _scanned(responses, design)
    tested = np.minimum(result.n_pos, result.n_neg) >= min_lines
    if not tested.any():
        message = f"no feature has {min_lines} lines on each side among the {len(design.lines)} lines of any drug"
        raise InvalidValues(message + "; give more lines, or lower min_lines (--min-lines)")
    notes += _notes_on_model(responses, design)
    table = anova_table(
        result,
        tested,
        design.features.columns,
        listed,
        fdr=fdr,
        per_drug=per_drug,
        tissue_type=only_tissue or PANCANCER,
        screening_set=screening_set,
    )
    return AnovaResult(
        table=table,
        exclusions=_exclusions(result, tested, design, responses.columns, min_lines),
        notes=notes,
        model=design.model,
        n_lines=len(design.lines),
        n_drugs=responses.shape[1],
        n_features=design.features.shape[1],
        min_lines=min_lines,
        fdr=fdr,
        per_drug=per_drug,
    )


def _matrix(pairs: pd.DataFrame, lines: pd.Index, notes: list[str]) -> pd.DataFrame:
    """Responses, ``(n_lines, n_drugs)``, NaN where none was measured; drugs in the order they came."""
    n_drugs = pairs["drug"].nunique()
    pairs = pairs[pairs["sample"].isin(lines) & pairs["response"].notna()]
    if np.isinf(pairs["response"].to_numpy(np.float64)).any():
        message = "a response is infinite; correct it, or drop the pair"
        raise InvalidValues(message)
    repeated = int(pairs.duplicated(["sample", "drug"]).sum())
    if repeated:
        notes.append(f"{repeated:,} responses are replicates of a pair: averaged")
        pairs = pairs.groupby(["sample", "drug"], sort=False)["response"].mean().reset_index()
    names, drug = pd.factorize(pairs["drug"])[::-1]
    if len(names) < n_drugs:
        notes.append(f"{n_drugs - len(names):,} of {n_drugs:,} drugs were measured in none of the lines: left out")
    values = np.full((len(lines), len(names)), np.nan)
    values[lines.get_indexer(pd.Index(pairs["sample"])), drug] = pairs["response"].to_numpy(np.float64)
    return pd.DataFrame(values, index=lines, columns=pd.Index(names, dtype=object))


def _scanned(responses: pd.DataFrame, design: Design) -> Scan:
    values = design.features.to_numpy()
    return joined([part for _, part in scan(responses.to_numpy(), values, design.tissue, design.factors)])


def _notes_on_model(responses: pd.DataFrame, design: Design) -> list[str]:
    """What the reader has to know of tissues with one line, and of drugs whose model has no MSI."""
    notes, measured = [], responses.notna().to_numpy().astype(np.float64)
    single = int((np.bincount(design.tissue) == 1).sum())
    if single:
        notes.append(f"{single} tissues have one line: it counts in the T test, and not for the feature in the model")
    for factor in (f for f in design.factors if f.name == "MSI"):
        unstable = factor.columns[:, 0] @ measured
        few = np.flatnonzero(np.minimum(unstable, measured.sum(axis=0) - unstable) < MIN_MSI)
        if len(few):
            names = examples(responses.columns[few])
            notes.append(
                f"{len(few)} drugs have fewer than {MIN_MSI} lines on a side of MSI: not in their model ({names})"
            )
    return notes


def _exclusions(
    result: Scan, tested: NDArray[np.bool_], design: Design, drugs: pd.Index, min_lines: int
) -> pd.DataFrame:
    """Why a pair of feature and drug has no p-value: how many, and of which."""
    values = design.features.to_numpy()
    rare = np.minimum(values.sum(axis=0), len(values) - values.sum(axis=0))[:, None]
    factors = design.model.removeprefix("response ~ ").removesuffix("feature").removesuffix(" + ")
    no_p = np.isnan(result.pvalue)
    reasons = {
        "the feature is the same in all lines": (rare == 0) & ~tested,
        f"fewer than {min_lines} lines on a side": (rare > 0) & (rare < min_lines) & ~tested,
        f"fewer than {min_lines} lines on a side among those measured with the drug": (rare >= min_lines) & ~tested,
        f"{factors or 'the mean'} determines the feature (in the table, without p-value)": tested & result.determined,
        "nothing is left to explain or no degree of freedom (in the table, without p-value)": (
            tested & ~result.determined & no_p
        ),
    }
    rows = [_reason(reason, mask, design.features.columns, drugs) for reason, mask in reasons.items() if mask.any()]
    return pd.DataFrame(rows, columns=["reason", "tests", "features", "drugs", "examples"])


def _reason(reason: str, mask: NDArray[np.bool_], features: pd.Index, drugs: pd.Index) -> dict[str, object]:
    of_feature, of_drug = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    few_features = len(of_feature) <= len(of_drug) or bool(mask.all(axis=0).any())
    names = features[of_feature] if few_features else drugs[of_drug]
    return {
        "reason": reason,
        "tests": int(mask.sum()),
        "features": len(of_feature),
        "drugs": len(of_drug),
        "examples": examples(map(str, names)).replace("'", ""),
    }
