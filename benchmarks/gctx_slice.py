"""Time and peak memory of writing a GCTX and of reading a slice of it.

    python benchmarks/gctx_slice.py --wells 50000 --genes 978 --slice 1000

Every step runs in a process of its own; the peak is the resident memory that the system says of it, with Python and
all libraries. ``import`` is a process that only imports the reader. The matrix is written as `write_gctx` does (chunks,
gzip) and as cmapPy does (contiguous). The baseline is h5py and a fancy index, after reading nothing but the ids.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PARTS = (
    "write packed", "write plain", "import", "packed: run", "packed: scattered", "packed: scattered, 100 genes",
    "packed: whole", "plain: run", "plain: scattered", "plain: scattered, 100 genes", "plain: whole",
    "packed: scattered, h5py", "plain: scattered, h5py",
)  # fmt: skip


def main() -> None:
    """Run each part and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wells", type=int, default=50_000)
    parser.add_argument("--genes", type=int, default=978)
    parser.add_argument("--slice", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="Where the files stand and stay.")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        seconds, size = do(options)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        print(json.dumps([seconds, peak, size]))
        return
    print("| step | seconds | peak memory, MB | what |\n|---|--:|--:|---|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        for part in PARTS:
            command = [sys.executable, __file__, "--part", part, "--folder", str(folder)]
            command += [f"--{name}={getattr(options, name)}" for name in ("wells", "genes", "slice")]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            seconds, peak, what = json.loads(out.strip().splitlines()[-1])
            print(f"| {part} | {seconds:.2f} | {peak:.0f} | {what} |", flush=True)


def do(options: argparse.Namespace) -> tuple[float, str]:
    """Seconds of one part without imports, and what came of it."""
    import h5py
    import numpy as np

    import cellixir

    read = cellixir.read_gctx
    storage, _, what = options.part.rpartition(" ") if options.part.startswith("write") else ("", "", options.part)
    if storage:
        return write(options, options.folder / f"{what}.gctx")
    if what == "import":
        return 0.0, ""
    storage, _, what = what.partition(": ")
    path = options.folder / f"{storage}.gctx"
    rng = np.random.default_rng(1)
    places = np.arange(options.slice) + options.wells // 3
    if "scattered" in what:
        places = rng.permutation(options.wells)[: options.slice]
    columns = None if what == "whole" else [f"PLATE{i // 384}:{i % 384}" for i in places]
    rows = list(rng.permutation(options.genes)[:100]) if "100 genes" in what else None

    def by_h5py() -> np.ndarray:
        with h5py.File(path) as file:
            at = {name.decode(): i for i, name in enumerate(file["0/META/COL/id"][:])}
            wanted = np.array([at[name] for name in columns or ()])
            order = np.argsort(wanted)
            return file["0/DATA/0/matrix"][wanted[order]][np.argsort(order)]

    work: Callable[[], np.ndarray] = by_h5py if "h5py" in what else lambda: read(path, rows, columns).X
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, f"{found.shape[0]:,} x {found.shape[1]:,}"


def write(options: argparse.Namespace, path: Path) -> tuple[float, str]:
    """Seconds of writing wells of normal numbers, from a matrix on disk, and the size."""
    import anndata as ad
    import h5py
    import numpy as np
    import pandas as pd

    import cellixir

    obs = pd.DataFrame(index=[f"PLATE{i // 384}:{i % 384}" for i in range(options.wells)])
    var = pd.DataFrame(index=[str(i) for i in range(options.genes)])
    rng = np.random.default_rng(0)
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        x = file.create_dataset("x", (options.wells, options.genes), "f4")
        for at in range(0, options.wells, 5000):
            x[at : at + 5000] = rng.normal(8, 2, x[at : at + 5000].shape)
        start = time.perf_counter()
        if path.name.startswith("packed"):
            cellixir.write_gctx(ad.AnnData(x, obs=obs, var=var), path)
        else:
            with h5py.File(path, "w") as plain:
                matrix = plain.create_dataset("0/DATA/0/matrix", x.shape, "f4")
                for side, table in (("COL", obs), ("ROW", var)):
                    plain[f"0/META/{side}/id"] = table.index.to_numpy(str).astype("S")
                for at in range(0, options.wells, 5000):
                    matrix[at : at + 5000] = x[at : at + 5000]
        return time.perf_counter() - start, f"{path.stat().st_size / 1e6:,.0f} MB"


if __name__ == "__main__":
    main()
