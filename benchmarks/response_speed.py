"""Speed and memory of the network on one LPO fold of GDSC v17.

    python benchmarks/response_speed.py [--epochs 10] [--repeats 3]

Prints seconds an epoch, pairs a second, seconds and test RMSE of the whole fit, and the peak resident memory of
the process. One committee member, the 171,029 pairs that are not test pairs, two threads (OMP_NUM_THREADS).
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from cellixir import load_gdsc_v17, metrics
from cellixir.data.splits import make_folds
from cellixir.response.network.architecture import PRESETS
from cellixir.response.network.predictor import ResponsePredictor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    data = load_gdsc_v17()
    fold = make_folds(data, "LPO")[0]
    rows = np.sort(np.concatenate([fold.train, fold.validation]))
    known, validation = data.take(rows), np.searchsorted(rows, fold.validation)
    test = data.take(fold.test)
    training = replace(PRESETS["LPO"].training, max_epochs=arguments.epochs)
    print(f"{'repeat':>6} {'s/epoch':>8} {'pairs/s':>10} {'fit s':>7} {'test RMSE':>9} {'peak GB':>8}")
    for repeat in range(arguments.repeats):
        start = time.perf_counter()
        model = ResponsePredictor("LPO", training=training, members=1).fit(known, validation=validation)
        seconds = time.perf_counter() - start
        epoch = float(model.history_["seconds"].median())
        error = metrics.rmse(test.response, model.predict(test.as_question()))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        speed = len(fold.train) / epoch
        print(f"{repeat:>6} {epoch:>8.2f} {speed:>10,.0f} {seconds:>7.1f} {error:>9.4f} {peak:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
