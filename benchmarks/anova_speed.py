"""Speed, memory and agreement of the pharmacogenomic ANOVA on the whole of GDSC v17, beside one regression a pair.

    pip install statsmodels
    python benchmarks/anova_speed.py [--pairs 300] [--formulas 60] [--repeats 7]

Runs alternate: all tests at once; then, on a random sample of pairs and the 20 with the smallest p-values, statsmodels
``OLS(y, X).fit()`` with ``X`` all but made, by pseudo-inverse (its default) and by QR; then, on some of them,
``ols("y ~ C(tissue) + C(msi) + feature")`` with ``anova_lm(typ=1)``. One thread. Prints medians of the processor time
(what a busy neighbour disturbs least) and of the wall clock, the largest relative difference of the p-values, and the
peak resident memory of a fresh process that reads the files, runs and holds the table.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import anndata as ad
import numpy as np
import pandas as pd

from cellixir.data.omics import read_view
from cellixir.data.responses import read_responses
from cellixir.response.association import AnovaResult, anova
from cellixir.response.association.scan import Factor, scan
from cellixir.sources.registry import fetch


class Regressions:
    """One pair at a time, with statsmodels; what does not depend on the feature is made beforehand."""

    def __init__(self, pairs: pd.DataFrame, view: ad.AnnData) -> None:
        self.features = view.to_df().astype(float)
        self.measured = {drug: rows.set_index("sample")["response"] for drug, rows in pairs.groupby("drug")}
        self.obs = view.obs
        self.designs = {drug: self._design(y.index) for drug, y in self.measured.items()}

    def _design(self, lines: pd.Index) -> np.ndarray:
        obs = self.obs.loc[lines]
        tissue = pd.get_dummies(obs["tissue"], drop_first=True, dtype=float).to_numpy()
        return np.column_stack([np.ones(len(lines)), tissue, obs["msi"].to_numpy(float)])

    def lean(self, drug: str, feature: str, method: str = "pinv") -> tuple[float, ...]:
        """p-value of the feature, and no more."""
        from statsmodels.api import OLS

        y = self.measured[drug]
        x = np.column_stack([self.designs[drug], self.features.loc[y.index, feature].to_numpy()])
        return (float(OLS(y.to_numpy(), x).fit(method=method).pvalues[-1]),)

    def qr(self, drug: str, feature: str) -> tuple[float, ...]:
        """p-value of the feature, by QR."""
        return self.lean(drug, feature, "qr")

    def formula(self, drug: str, feature: str) -> tuple[float, ...]:
        """p-values of feature, tissue and MSI: the table of sequential sums of squares."""
        from statsmodels.formula.api import ols
        from statsmodels.stats.anova import anova_lm

        y = self.measured[drug]
        frame = self.obs.loc[y.index, ["tissue", "msi"]].assign(y=y, feature=self.features.loc[y.index, feature])
        table = anova_lm(ols("y ~ C(tissue) + C(msi) + feature", frame).fit(), typ=1)["PR(>F)"]
        return float(table["feature"]), float(table["C(tissue)"]), float(table["C(msi)"])


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the processor and of the wall clock."""
    start, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - start, time.perf_counter() - wall


def only_scan(pairs: pd.DataFrame, view: ad.AnnData) -> Callable[[], object]:
    """The arithmetic alone, without reading, table or false discovery rate."""
    responses = pairs.pivot(index="sample", columns="drug", values="response").reindex(view.obs_names).to_numpy()
    features = view[:, view.var_names != "MSI_FACTOR"].to_df().to_numpy(float)
    tissue = pd.factorize(view.obs["tissue"])[0].astype(np.int64)
    msi = Factor("MSI", view.obs[["msi"]].to_numpy(float), 2)
    return lambda: list(scan(responses, features, tissue, [msi]))


def sampled(result: AnovaResult, n: int, seed: int) -> list[tuple[str, str]]:
    rows = np.random.default_rng(seed).choice(len(result.table), n, replace=False)
    chosen = pd.concat([result.table.head(20), result.table.iloc[rows]])
    return list(zip(chosen["Drug ID"], chosen["Feature Name"], strict=True))


def difference(result: AnovaResult, pairs: list[tuple[str, str]], found: list[tuple[float, ...]]) -> float:
    columns = ["feature_pval", "tissue_pval", "msi_pval"][: len(found[0])]
    ours = result.table.set_index(["Drug ID", "Feature Name"]).loc[pairs, columns].to_numpy()
    return float(np.nanmax(np.abs(ours / np.array(found) - 1)))


def peak_gb() -> float:
    """Peak memory of a fresh process that reads, runs and holds the table."""
    command = [sys.executable, __file__, "--memory"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def read() -> tuple[pd.DataFrame, ad.AnnData]:
    return read_responses(fetch("gdsc-v17-ic50")).pairs, read_view(fetch("gdsc-v17-features"))


def show(result: AnovaResult, seconds: dict[str, list[tuple[float, float]]], gaps: dict[str, float]) -> None:
    """Print the table, medians with the range."""
    whole = np.median(seconds["`anova`"], axis=0)
    print(f"{result.n_tests:,} tests, {result.n_drugs} drugs, {result.n_features} features, medians\n")
    print("| what | processor, s | wall, s | a test, ms | times `anova` (processor, wall) | p differs by at most |")
    print("|---|---|---|---|---|---|")
    for name, values in seconds.items():
        cpu, wall = np.median(values, axis=0)
        low, high = min(v[0] for v in values), max(v[0] for v in values)
        gap = f"{gaps[name]:.1e}" if name in gaps else ""
        times = f"{cpu / whole[0]:,.1f}, {wall / whole[1]:,.1f}"
        each = f"{1e3 * cpu / result.n_tests:.4f}"
        print(f"| {name} | {cpu:,.2f} ({low:,.2f}-{high:,.2f}) | {wall:,.2f} | {each} | {times} | {gap} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--formulas", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    pairs, view = read()
    result = anova(pairs, view)
    if arguments.memory:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
        return
    one = Regressions(pairs, view)
    sample = sampled(result, arguments.pairs, seed=0)
    few = [sample[i] for i in np.linspace(0, len(sample) - 1, arguments.formulas).astype(int)]
    work = {"`OLS`, pinv": (one.lean, sample), "`OLS`, qr": (one.qr, sample), "`ols`, `anova_lm`": (one.formula, few)}
    found = {name: [regress(*pair) for pair in chosen] for name, (regress, chosen) in work.items()}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ("`anova`", "`scan` alone", *work)}
    arithmetic = only_scan(pairs, view)
    for _ in range(arguments.repeats):
        seconds["`anova`"].append(timed(lambda: anova(pairs, view)))
        seconds["`scan` alone"].append(timed(arithmetic))
        for name, (regress, chosen) in work.items():
            took = np.array(timed(lambda r=regress, c=chosen: [r(*pair) for pair in c]))  # type: ignore[misc]
            seconds[name].append(tuple(took / len(chosen) * result.n_tests))
    show(result, seconds, {name: difference(result, work[name][1], p) for name, p in found.items()})
    print(f"\npeak memory of a fresh process: {peak_gb():.2f} GB")


if __name__ == "__main__":
    main()
