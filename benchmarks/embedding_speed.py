"""Seconds an epoch of cellixir and of scVI on the same counts, in turn, and where the time goes.

    python benchmarks/embedding_speed.py --cells mouse_counts.h5ad --peer scvi/bin/python --rounds 3

Each program runs in its own process and environment (scVI: see `embedding_scvi.py`), alternating, with the same cells,
layer sizes (hidden 128, latent 10), batch size 128 and threads. The median epoch of each round is reported, the first
epoch left out; held-out ELBO is that of the same tenth of the cells.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SCVI = """
import json, sys, time, warnings
import anndata as ad, numpy as np, torch
warnings.simplefilter("ignore")
import scvi
from lightning.pytorch.callbacks import Callback
file, epochs, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
scvi.settings.seed = 0
cells = ad.read_h5ad(file)
test = cells.obs["test_0"].to_numpy()
training = cells[~test].copy()
scvi.model.SCVI.setup_anndata(training)
model = scvi.model.SCVI(training, n_hidden=128, n_latent=10, gene_likelihood="nb")
spent = []
class Clock(Callback):
    def on_train_epoch_start(self, *_): self.start = time.perf_counter()
    def on_train_epoch_end(self, *_): spent.append(time.perf_counter() - self.start)
model.train(max_epochs=epochs, train_size=1.0, accelerator="cpu", callbacks=[Clock()], enable_progress_bar=False,
            logger=False, batch_size=128)
with torch.no_grad():
    elbo = float(np.mean([float(model.get_elbo(cells[test].copy())) for _ in range(10)]))
print(json.dumps({"seconds": spent, "elbo": elbo}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=Path, required=True, help="Written by `embedding_quality.py prepare`.")
    parser.add_argument("--peer", type=Path, help="Python of the environment with scvi-tools.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=17)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--own", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--profile", action="store_true", help="Say where an epoch's time goes, and stop.")
    options = parser.parse_args()
    if options.own:
        print(json.dumps(own(options)))
    elif options.profile:
        where(options)
    else:
        compare(options)


def compare(options: argparse.Namespace) -> None:
    """Run both in turn and print a line a round and the ratio."""
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(options.threads)}
    numbers = [str(options.cells), str(options.epochs), str(options.threads)]
    ours = [sys.executable, __file__, "--own", "--cells", numbers[0], "--epochs", numbers[1], "--threads", numbers[2]]
    commands = {"cellixir": ours} | ({"scvi": [str(options.peer), "-c", SCVI, *numbers]} if options.peer else {})
    medians: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(options.rounds):
        for name, command in commands.items():
            out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
            found = json.loads(out.strip().splitlines()[-1])
            medians[name].append(float(np.median(found["seconds"][1:])))
            print(f"round {number + 1}  {name:9} {medians[name][-1]:.3f} s an epoch  held-out ELBO {found['elbo']:.2f}",
                  flush=True)  # fmt: skip
    if "scvi" in medians:
        ratios = np.array(medians["scvi"]) / np.array(medians["cellixir"])
        print(f"ratio by round: {', '.join(f'{r:.2f}' for r in ratios)}; median {np.median(ratios):.2f}")


def own(options: argparse.Namespace) -> dict[str, object]:
    """Fit ours; seconds an epoch hold the training steps and the validation cells."""
    import anndata as ad
    import torch

    from cellixir.embedding.vae import VAE

    torch.set_num_threads(options.threads)
    cells = ad.read_h5ad(options.cells)
    test = cells.obs["test_0"].to_numpy()
    model = VAE("nb", max_epochs=options.epochs).fit(cells[~test].copy())
    return {"seconds": list(model.history_["seconds"]), "elbo": float(model.elbo(cells[test].copy()).mean())}


def where(options: argparse.Namespace) -> None:
    """Print the operators that take most of four epochs, and the floor that the matrix products set."""
    import anndata as ad
    import torch
    from torch.profiler import ProfilerActivity, profile

    from cellixir.embedding.vae import VAE

    torch.set_num_threads(options.threads)
    cells = ad.read_h5ad(options.cells)
    VAE("nb", max_epochs=1).fit(cells)
    start = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        model = VAE("nb", max_epochs=4).fit(cells)
    print(f"{time.perf_counter() - start:.2f} s in all, epochs {model.history_['seconds'].round(3).tolist()}")
    print(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=40))


if __name__ == "__main__":
    main()
