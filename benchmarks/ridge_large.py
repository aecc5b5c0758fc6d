"""Time and memory of the ridge for each drug on a screen of any size, by the part that solves it.

Run ``python benchmarks/ridge_large.py --lines 1000 --drugs 2060 --genes 5000``.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from cellixir.response.models.linear import SharedRidge


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("lines", 1000), ("drugs", 2060), ("genes", 5000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((asked.lines, asked.genes)).astype(np.float32)
    line, drug = (part.ravel() for part in np.indices((asked.lines, asked.drugs)))
    measured = rng.random(len(line)) < 0.97
    line, drug = line[measured], drug[measured]
    start, processor = time.perf_counter(), time.process_time()
    model = SharedRidge().fit(x, line, drug, rng.standard_normal(len(line)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{len(line):,} pairs x {asked.genes:,} genes: fit {time.perf_counter() - start:.1f} s "
        f"({time.process_time() - processor:.1f} s of processor), peak memory {peak:.2f} GB, penalty {model.alpha_:g}"
    )


if __name__ == "__main__":
    main()
