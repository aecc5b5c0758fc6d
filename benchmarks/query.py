"""Many queries against a large reference on disk: seconds, peak memory, and whether the right compounds come first.

    python benchmarks/query.py speed --signatures 100000 --queries 1000
    python benchmarks/query.py simulated
    python benchmarks/query.py a375

`speed` writes a GCTX of 978 landmark genes with planted compounds, if it is not there, and runs the whole query in a
process of its own. `simulated`: rank of the planted drug. `a375`: each well of a real plate as a query against all
others; mean rank of the other wells of its drug, as a share (0 first, .5 chance), over drugs.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from cellixir import read_gctx, write_gctx
from cellixir.data.simulate import simulate_perturbation
from cellixir.metrics.intervals import bootstrap_weights
from cellixir.perturbation import Keys, effects_of, query
from cellixir.perturbation.queries import of_signatures
from cellixir.perturbation.query_genes import ReferenceGenes
from cellixir.sources.registry import fetch


def reference_file(n: int, n_genes: int) -> Path:
    """Signatures of 2,000 compounds in 10 cell lines: noise and a planted effect each."""
    file = Path(tempfile.gettempdir()) / f"query_{n}x{n_genes}.gctx"
    if not file.exists():
        rng = np.random.default_rng(0)
        effect = rng.normal(size=(2000, n_genes)).astype(np.float32)
        compound = np.arange(n) % 2000
        x = effect[compound] + 1.5 * rng.standard_normal((n, n_genes), dtype=np.float32)
        obs = pd.DataFrame(
            {"pert_iname": np.char.add("compound ", compound.astype(str)),
             "cell_id": np.char.add("line ", (np.arange(n) // 2000 % 10).astype(str))},
            index=np.char.add("s", np.arange(n).astype(str)),
        )  # fmt: skip
        write_gctx(ad.AnnData(x, obs, pd.DataFrame(index=[f"G{g}" for g in range(n_genes)])), file)
    return file


def speed(n: int, n_queries: int) -> None:
    file = reference_file(n, 978)
    rng = np.random.default_rng(0)
    effect = rng.normal(size=(2000, 978)).astype(np.float32)[:n_queries]
    signatures = pd.DataFrame(
        effect, index=[f"compound {k}" for k in range(n_queries)], columns=[f"G{g}" for g in range(978)]
    )
    reference = read_gctx(file, backed=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    found = query(reference, of_signatures(signatures, ReferenceGenes(reference.var), source="planted"), top=10)
    spent, cpu = time.perf_counter() - start, time.process_time() - cpu
    best = found.compounds[(found.compounds["direction"] == "mimics") & (found.compounds["rank"] == 1)]
    first = float((best["query"] == best["perturbation"]).mean())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("| signatures | queries | s | CPU s | peak MB (before) | planted compound first |\n|---|---|---|---|---|---|")
    print(
        f"| {n:,} | {n_queries:,} | {spent:.0f} | {cpu:.0f} | {peak / 1024:.0f} ({before / 1024:.0f}) | {first:.3f} |"
    )


def simulated(n_seeds: int) -> None:
    """Each drug's true effect against wells of the simulated screen."""
    first = []
    for seed in range(n_seeds):
        wells = simulate_perturbation(n_pairs=0, seed=seed)
        effects = effects_of(wells, Keys("perturbation", ("DMSO",), plate="plate", dose="dose"))
        treated = effects[~effects.obs["is_control"].to_numpy(bool)]
        truth = pd.DataFrame(wells.varm["drug_effect"].T, index=wells.uns["drugs"].index, columns=wells.var_names)
        truth = truth[(truth > 0.1).any(axis=1) & (truth < -0.1).any(axis=1)]
        asked = of_signatures(truth, ReferenceGenes(treated.var), source="truth")
        found = query(treated, asked, perturbation_key="perturbation", top=1).compounds
        mimics = found[found["direction"] == "mimics"]
        first += list((mimics["query"] == mimics["perturbation"]).astype(float))
    print(f"planted drug first: {told(np.array(first))} of {len(first)} drugs in {n_seeds} screens")


def a375() -> None:
    """Each treated well against all the others, by drug."""
    wells = read_gctx(fetch("l1000-a375-gctx", progress=False))
    treated = wells[(wells.obs["pert_type"] == "trt_cp").to_numpy()].copy()
    drug = treated.obs["pert_iname"].to_numpy(str)
    table = treated.to_df()
    asked = of_signatures(table, ReferenceGenes(treated.var), source="A375")
    found = query(treated, asked, top=0).signatures
    ncs = found.pivot_table(index="query", columns="signature", values="ncs", fill_value=0.0)
    ncs = ncs.reindex(index=table.index, columns=table.index, fill_value=0.0).to_numpy()
    np.fill_diagonal(ncs, np.nan)
    ranks = pd.DataFrame(-ncs).rank(axis=1).to_numpy() / (len(ncs) - 1)
    shares = []
    for name in np.unique(drug):
        rows = np.flatnonzero(drug == name)
        if len(rows) > 1:
            own = ranks[np.ix_(rows, rows)]
            shares.append(np.nanmean(own))
    print(f"mean rank of a drug's other doses, .5 by chance: {told(np.array(shares))} over {len(shares)} drugs")


def told(values: np.ndarray) -> str:
    weights = np.concatenate(list(bootstrap_weights(len(values), 2000, 0)))
    drawn = weights @ values / weights.sum(axis=1)
    return f"{values.mean():.3f} [{np.quantile(drawn, 0.025):.3f}, {np.quantile(drawn, 0.975):.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "simulated", "a375"))
    parser.add_argument("--signatures", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    if given.what == "speed":
        speed(given.signatures, given.queries)
    elif given.what == "simulated":
        simulated(given.seeds)
    else:
        a375()


if __name__ == "__main__":
    main()
