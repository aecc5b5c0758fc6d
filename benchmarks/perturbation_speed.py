"""Seconds an epoch of the published VAE (800-800, latent 100) beside a plain torch loop, in turn.

    python benchmarks/perturbation_speed.py --wells 3000 --genes 8113 --rounds 3

Both train on the same wells, with batches of 80, Adam, dropout and validation after each epoch, in one process and
with the same number of threads. The first epoch of each round is left out.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time

import anndata as ad
import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from cellixir.perturbation import Keys, effects_of
from cellixir.perturbation.models import MODELS


def wells_of(n: int, n_genes: int) -> ad.AnnData:
    """A tenth DMSO, 200 drugs with planted effects of rank 20."""
    rng = np.random.default_rng(0)
    drug = rng.integers(0, 200, n)
    control = np.arange(n) % 10 == 0
    axes = rng.normal(size=(20, n_genes)).astype(np.float32) / 4
    effect = rng.normal(size=(200, 20)).astype(np.float32)[drug] @ axes * ~control[:, None]
    x = 8 + rng.normal(size=n_genes).astype(np.float32) + effect + rng.normal(size=(n, n_genes)).astype(np.float32) / 2
    names = np.where(control, "DMSO", np.char.add("drug ", drug.astype(str)))
    obs = pd.DataFrame({"drug": names, "plate": (np.arange(n) // 300).astype(str)}, index=[f"w{k}" for k in range(n)])
    return ad.AnnData(x.astype(np.float32), obs)


class Plain(nn.Module):
    """The study's network as one would write it."""

    def __init__(self, n_genes: int) -> None:
        super().__init__()

        def layers(*sizes: int) -> list[nn.Module]:
            return [
                part
                for a, b in itertools.pairwise(sizes)
                for part in (nn.Linear(a, b), nn.BatchNorm1d(b), nn.LeakyReLU(0.2), nn.Dropout(0.06))
            ]

        self.encoder = nn.Sequential(*layers(n_genes, 800, 800), nn.Linear(800, 200))
        self.decoder = nn.Sequential(*layers(100, 800, 800), nn.Linear(800, n_genes))

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        """Sum of squares and KL divergence."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        error = (self.decoder(z) - x).square().sum(dim=1)
        return (error + 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)).mean()


def plain_epochs(x: torch.Tensor, n_epochs: int) -> list[float]:
    held = len(x) // 10
    network = Plain(x.shape[1])
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    loader = DataLoader(TensorDataset(x[held:]), batch_size=80, shuffle=True)
    spent = []
    for _ in range(n_epochs):
        start = time.perf_counter()
        network.train()
        for (batch,) in loader:
            optimiser.zero_grad()
            network.loss(batch).backward()
            optimiser.step()
        network.eval()
        with torch.no_grad():
            network.loss(x[:held])
        spent.append(time.perf_counter() - start)
    return spent[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wells", type=int, default=3000)
    parser.add_argument("--genes", type=int, default=8113)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    effects = effects_of(wells_of(given.wells, given.genes), Keys("drug", ("DMSO",), plate="plate"))
    profiles = np.asarray(effects.X) + np.asarray(effects.layers["control"])
    x = torch.from_numpy((profiles - profiles.mean(axis=0)) / profiles.std(axis=0))
    own, plain = [], []
    for _ in range(given.rounds):
        model = MODELS["vae_published"].given({"epochs": given.epochs}).make("drug", 0, "cpu")
        start = time.perf_counter()
        model.fit(effects)
        fitted = time.perf_counter() - start
        own.append(np.median(model.history_["seconds"][1:]))
        plain.append(np.median(plain_epochs(x, given.epochs)))
        print(f"own {own[-1]:.2f} s an epoch, plain loop {plain[-1]:.2f} s", flush=True)
    start = time.perf_counter()
    model.predict(effects)
    spent = time.perf_counter() - start
    print(f"fit of {given.epochs} epochs {fitted:.1f} s, predict of {effects.n_obs:,} wells {spent:.1f} s")
    print(f"ratio own / plain {np.median(np.divide(own, plain)):.2f}, threads {given.threads}, peak "
          f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")  # fmt: skip


if __name__ == "__main__":
    main()
