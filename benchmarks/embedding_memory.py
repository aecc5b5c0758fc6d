"""Peak memory and time of a fit that streams its cells from disk.

    python benchmarks/embedding_memory.py --cells 200000 --genes 2000 --epochs 2

Writes a simulated sparse h5ad in one process, fits a VAE on it, backed, in another, and prints what the system says of
the second: its peak resident memory, with Python, torch and all libraries.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=200_000)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--library-size", type=float, default=175, help="Counts of a cell; 175 fill 7 % of the values.")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--file", type=Path, help="An h5ad to use; written where it is not there.")
    parser.add_argument("--part", choices=("write", "fit"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        found = write(options) if options.part == "write" else fit(options)
        found["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        file = options.file or Path(folder) / "cells.h5ad"
        for part in ("write", "fit"):
            if part == "fit" or not file.exists():
                command = [sys.executable, __file__, "--part", part, "--file", str(file)]
                command += [f"--{name}={getattr(options, name)}" for name in ("cells", "genes", "epochs")]
                command += [f"--library-size={options.library_size}"]
                out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                print(part, out.strip().splitlines()[-1], flush=True)


def write(options: argparse.Namespace) -> dict[str, float]:
    from cellixir.data.simulate import simulate_single_cell

    start = time.perf_counter()
    size = (options.library_size, 0.4)
    simulate_single_cell(options.cells, options.genes, library_size=size, dropout=0).write_h5ad(options.file)
    return {"seconds": time.perf_counter() - start, "file_gb": options.file.stat().st_size / 2**30}


def fit(options: argparse.Namespace) -> dict[str, float]:
    import anndata as ad

    from cellixir.embedding.vae import VAE

    cells = ad.read_h5ad(options.file, backed="r")
    start = time.perf_counter()
    model = VAE(max_epochs=options.epochs).fit(cells)
    seconds = time.perf_counter() - start
    latent = model.transform(cells)
    losses = model.history_["validation_loss"]
    return {
        "fit_seconds": seconds,
        "epoch_seconds": float(model.history_["seconds"].median()),
        "first_loss": float(losses.iloc[0]),
        "last_loss": float(losses.iloc[-1]),
        "latents": latent.shape[0],
    }


if __name__ == "__main__":
    main()
