"""CTGAN or TVAE on the samples that `synthesis.py` gives, in an environment of its own.

    ctgan/bin/python benchmarks/synthesis_ctgan.py train.npz made.npz '{"kind": "ctgan", "epochs": 300, ...}'

`train.npz` holds `values` (samples x genes) and `column/NAME` for each discrete column; `made.npz` gets the same, as
many drawn samples, and the seconds of the fit, on the CPU.
"""

from __future__ import annotations

import inspect
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd


def main(train: Path, made: Path, settings: dict) -> None:
    import ctgan
    import torch

    warnings.simplefilter("ignore")
    with np.load(train, allow_pickle=False) as found:
        values = found["values"]
        columns = {name.removeprefix("column/"): found[name] for name in found if name.startswith("column/")}
    genes = [f"gene{i}" for i in range(values.shape[1])]
    frame = pd.DataFrame(values.astype(float), columns=genes).assign(**columns)
    kind = {"ctgan": ctgan.CTGAN, "tvae": ctgan.TVAE}[settings["kind"]]
    wanted = {"epochs": settings["epochs"], "batch_size": settings["batch_size"], "verbose": False}
    known = inspect.signature(kind).parameters
    wanted |= {"enable_gpu" if "enable_gpu" in known else "cuda": False}
    model = kind(**{name: value for name, value in wanted.items() if name in known})
    if hasattr(model, "set_random_state"):
        model.set_random_state(settings["seed"])
    np.random.seed(settings["seed"])  # noqa: NPY002 - the package draws from the global generator
    torch.manual_seed(settings["seed"])
    start = time.perf_counter()
    model.fit(frame, list(columns))
    seconds = time.perf_counter() - start
    drawn = model.sample(len(frame))
    kept = {f"column/{name}": drawn[name].to_numpy(str) for name in columns}
    np.savez(made, values=drawn[genes].to_numpy(np.float32), seconds=seconds, **kept)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
