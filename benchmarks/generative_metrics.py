"""Time and peak memory of PRDC and MMD on many points, as a Markdown table, and neighbours beside trees.

    python benchmarks/generative_metrics.py [--points 100000] [--dimensions 50] [--trees 20000]

Real and synthetic points are as many, drawn from one normal distribution whose standard deviation falls from component
to component as 1 / sqrt(i), about as that of principal components of expression. Each metric runs in a fresh process;
its peak resident memory holds Python, all libraries and the points. The number of threads is that of the BLAS
(OMP_NUM_THREADS). With --trees, the five nearest neighbours in a set are also found by scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

METRICS = ("points alone", "prdc", "mmd2", "authenticity")
SEARCHES = ("knn_distances", "brute", "kd_tree", "ball_tree")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=50)
    parser.add_argument(
        "--trees", type=int, default=0, metavar="POINTS", help="Compare searches for neighbours instead."
    )
    parser.add_argument("--only", nargs="*", default=METRICS, choices=METRICS)
    parser.add_argument("--part", choices=METRICS + SEARCHES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(measured(options.part, options.points, options.dimensions)))
        return
    n, parts = (options.trees, SEARCHES) if options.trees else (options.points, options.only)
    print(f"{n:,} x {options.dimensions} points, {os.environ.get('OMP_NUM_THREADS', os.cpu_count())} threads\n")
    print("| what | seconds | of processor | peak memory, GB | value |\n| --- | ---: | ---: | ---: | --- |")
    for part in parts:
        command = [
            sys.executable,
            __file__,
            "--part",
            part,
            "--points",
            str(n),
            "--dimensions",
            str(options.dimensions),
        ]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        row = f"{found['wall']:.1f} | {found['cpu']:.1f} | {found['gb']:.2f} | {found['value']}"
        print(f"| {part} | {row} |", flush=True)


def measured(part: str, n: int, d: int) -> dict[str, object]:
    """Seconds of the wall clock and of the processor, peak memory of this process, and what came out."""
    work = (search if part in SEARCHES else metric)(part, *drawn(n, d))
    wall, cpu = time.perf_counter(), time.process_time()
    value = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall, "cpu": cpu, "gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "value": value}


def drawn(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    spread = (1 / np.sqrt(np.arange(1, d + 1))).astype(np.float32)
    real, synthetic = (rng.standard_normal((n, d), dtype=np.float32) * spread for _ in range(2))
    return real, synthetic


def metric(name: str, real: np.ndarray, synthetic: np.ndarray) -> Callable[[], str]:
    """A metric, not yet computed; its value as text."""
    from cellixir.metrics.generative import authenticity, mmd2_with_error, prdc

    return {
        "points alone": lambda: "",
        "prdc": lambda: ", ".join(f"{k} {v:.3f}" for k, v in prdc(real, synthetic)._asdict().items()),
        "mmd2": lambda: "{:.2e} ± {:.1e}".format(*mmd2_with_error(real, synthetic)),
        "authenticity": lambda: f"{authenticity(real, synthetic):.3f}",
    }[name]


def search(name: str, real: np.ndarray, _: np.ndarray) -> Callable[[], str]:
    """A search for the five nearest neighbours; the mean distance to the fifth as text."""
    from sklearn.neighbors import NearestNeighbors

    from cellixir.metrics.generative import knn_distances

    if name == "knn_distances":
        return lambda: f"{knn_distances(real, k=5)[:, -1].mean():.6f}"
    return lambda: f"{NearestNeighbors(n_neighbors=5, algorithm=name).fit(real).kneighbors()[0][:, -1].mean():.6f}"


if __name__ == "__main__":
    main()
