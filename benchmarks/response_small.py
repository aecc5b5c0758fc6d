"""The network on small screens, beside the parts that it is made of; simulated cohorts of 12 drugs, LCO.

python benchmarks/response_small.py --sizes 40,80,160,300,500 --seeds 10 --folds 3 > small.md

A row is a size: mean RMSE over the seeds, and the network's less that of each other model, with the 95 % interval of
Student's t over the seeds (a seed is a cohort).
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy import stats

from cellixir.data.simulate import simulate_cohort
from cellixir.data.splits import make_folds
from cellixir.response.models.baselines import EffectsBaseline, GroupMean
from cellixir.response.models.ridge import RidgePerDrug
from cellixir.response.network.predictor import ResponsePredictor

PARTS = ("drug mean", "tissue, shrunken", "ridge", "linear part")


def errors(n_samples: int, seed: int, n_folds: int) -> dict[str, float]:
    """RMSE by model over the test rows of all folds of one cohort."""
    data = simulate_cohort(n_samples=n_samples, n_drugs=12, seed=seed).response_data()
    told: dict[str, np.ndarray] = {name: np.zeros(len(data)) for name in ("network", *PARTS)}
    for fold in make_folds(data, "LCO", n_folds=n_folds, seed=0):
        known = data.take(np.sort(np.concatenate([fold.train, fold.validation])))
        question = data.take(fold.test).as_question()
        network = ResponsePredictor("LCO", seed=0).fit(known, allow=None)
        told["network"][fold.test] = network.predict(question)
        told["linear part"][fold.test] = network.wide_.predict(question, *network.inputs_.matrices(question))
        plain = (GroupMean("drug"), EffectsBaseline(samples=False, tissue=True), RidgePerDrug())
        for name, model in zip(PARTS, plain, strict=False):
            told[name][fold.test] = model.fit(known).predict(question)
    return {name: float(np.sqrt(np.mean(np.square(p - data.response)))) for name, p in told.items()}


def difference(values: np.ndarray) -> str:
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.3f} [{values.mean() - half:+.3f}, {values.mean() + half:+.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="40,80,160,300,500")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--folds", type=int, default=3)
    given = parser.parse_args()
    print("| cell lines | network | " + " | ".join(f"{part}; network less it" for part in PARTS) + " | s |")
    print("|---|" + "---|" * (len(PARTS) + 2), flush=True)
    for size in map(int, given.sizes.split(",")):
        start = time.process_time()
        found = [errors(size, seed, given.folds) for seed in range(given.seeds)]
        by = {name: np.array([one[name] for one in found]) for name in found[0]}
        cells = [f"{by[part].mean():.3f}; {difference(by['network'] - by[part])}" for part in PARTS]
        spent = time.process_time() - start
        print(f"| {size} | {by['network'].mean():.3f} | " + " | ".join(cells) + f" | {spent:.0f} |", flush=True)


if __name__ == "__main__":
    main()
