"""Who was in the fit? Attacks on membership against how many samples and genes a generator has learned from.

    python benchmarks/synthesis_privacy.py
    python benchmarks/synthesis_privacy.py --models gaussian --samples 75 300 --genes 200

Simulated bulk counts (`simulate_bulk`, batch and group as conditions): of one simulation, `--samples` to learn from,
200 held out, 300 fresh ones for the row "real". 300 synthetic samples each. Prints Markdown: the area under the ROC
curve of both attacks (`reference_attack`, `membership_inference`; .5 is best), over seeds: mean and half of the 95 %
t-interval.
"""

from __future__ import annotations

import argparse

import anndata as ad
import numpy as np
from scipy.stats import t as student

from cellixir.data.expression.matrix import profile
from cellixir.data.expression.normalise import log_normalise
from cellixir.data.simulate import simulate_bulk
from cellixir.metrics.generative import membership_inference, reference_attack
from cellixir.synthesis import make_generator

HELD_OUT, DRAWN = 200, 300
CONDITION = ("batch", "group")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["gaussian", "copula", "cvae"])
    parser.add_argument("--samples", nargs="+", type=int, default=[75, 300, 1200])
    parser.add_argument("--genes", nargs="+", type=int, default=[200, 2_000, 10_000])
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    print("| generator | samples | " + " | ".join(f"{n:,} genes" for n in options.genes) + " |")
    print("| --- | ---: |" + " ---: |" * len(options.genes))
    for model in ["real", *options.models]:
        for n in options.samples:
            cells = [[attacked(model, n, genes, seed) for seed in range(options.seeds)] for genes in options.genes]
            print(f"| {model} | {n:,} | " + " | ".join(map(shown, cells)) + " |", flush=True)


def attacked(model: str, n: int, n_genes: int, seed: int) -> tuple[float, float]:
    """Both attacks on one fit."""
    cells = simulate_bulk(n_samples=n + HELD_OUT + DRAWN, seed=seed)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(cells.n_obs)
    genes = np.sort(rng.choice(cells.n_vars, n_genes, replace=False))
    train, holdout, fresh = (cells[part][:, genes].copy() for part in np.split(rows, [n, n + HELD_OUT]))
    made = fresh if model == "real" else make_generator(model, condition=CONDITION).fit(train).sample(DRAWN)
    library = float(np.median(profile(train).library_size))
    tables = [dense(log_normalise(side, library)) for side in (train, holdout, made)]
    return reference_attack(*tables, n=2).value, membership_inference(*tables)


def dense(cells: ad.AnnData) -> np.ndarray:
    return np.asarray(cells.X.toarray() if hasattr(cells.X, "toarray") else cells.X, dtype=np.float32)


def shown(found: list[tuple[float, float]]) -> str:
    table = np.array(found)
    reach = student.ppf(0.975, len(table) - 1) * table.std(axis=0, ddof=1) / np.sqrt(len(table))
    both = [f"{mean:.2f} ± {half:.2f}" for mean, half in zip(table.mean(axis=0), reach, strict=True)]
    return ", ".join(both)


if __name__ == "__main__":
    main()
