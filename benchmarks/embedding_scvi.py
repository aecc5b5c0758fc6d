"""scVI on the cells that `embedding_quality.py` judges, in an environment of its own (scvi-tools wants other pins).

    python -m venv scvi && scvi/bin/pip install torch==2.13.0 scvi-tools==1.4.2 scanpy==1.11.5
    scvi/bin/python benchmarks/embedding_scvi.py --cells prepared/ --out scvi/

`prepared/` is what `embedding_quality.py prepare` writes. Each run is skipped if its file is there.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import torch

EPOCHS_SHOWN = (17, 50, 100, 200, 400)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-epochs", type=int, default=400)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    for file in sorted(options.cells.glob("*.h5ad")):
        for seed in range(options.seeds):
            target = options.out / f"{file.stem}-{seed}.npz"
            if not target.exists() and file.stem.startswith(options.only):
                run(file, seed, target, options.max_epochs)


def run(file: Path, seed: int, target: Path, max_epochs: int) -> None:
    """Fit scVI on the training cells of ``seed``; write latents of all cells and ELBO and time by epoch."""
    import scvi
    from lightning.pytorch.callbacks import Callback

    warnings.simplefilter("ignore")
    scvi.settings.seed = seed
    cells = ad.read_h5ad(file)
    test = cells.obs[f"test_{seed}"].to_numpy()
    training = cells[~test].copy()
    likelihood = {"counts": "nb", "log": "normal"}[cells.uns["kind"]]
    scvi.model.SCVI.setup_anndata(training)
    model = scvi.model.SCVI(training, n_hidden=128, n_latent=10, gene_likelihood=likelihood)
    held_out = cells[test].copy()
    curve: list[dict[str, float]] = []

    class Judge(Callback):
        def __init__(self) -> None:
            self.spent, self.start = 0.0, 0.0

        def on_train_epoch_start(self, *_: object) -> None:
            self.start = time.perf_counter()

        def on_train_epoch_end(self, trainer: object, *_: object) -> None:
            self.spent += time.perf_counter() - self.start
            epoch = trainer.current_epoch + 1  # type: ignore[attr-defined]
            if epoch in EPOCHS_SHOWN or epoch == max_epochs:
                model.is_trained_ = True
                model.module.eval()
                curve.append({"epoch": epoch, "elbo": elbo(model, held_out), "seconds": self.spent})
                model.module.train()

    model.train(max_epochs=max_epochs, train_size=1.0, accelerator="cpu", callbacks=[Judge()],
                enable_progress_bar=False, logger=False)  # fmt: skip
    latent = model.get_latent_representation(cells)
    facts = {"version": scvi.__version__, "likelihood": likelihood, "threads": torch.get_num_threads(), "curve": curve}
    with target.open("wb") as out:
        np.savez(out, latent=latent, facts=json.dumps(facts))
    print(target.name, curve[-1], flush=True)


def elbo(model: object, cells: ad.AnnData, n_draws: int = 10) -> float:
    """Mean ELBO a cell, with the full KL, over ``n_draws`` of the latent space."""
    with torch.no_grad():
        draws = [float(model.get_elbo(cells)) for _ in range(n_draws)]  # type: ignore[attr-defined]
    return float(np.mean(draws))


if __name__ == "__main__":
    main()
