"""Variational autoencoders that generate: one that is told the conditions, and one that draws them itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

from cellixir.estimator import under
from cellixir.nn.conditional_vae import ConditionalVAE, ConditionalVAEShape
from cellixir.synthesis.generator import Generator
from cellixir.synthesis.labels import Labels, draw_until
from cellixir.synthesis.mixture import Mixtures
from cellixir.synthesis.representation import written_out
from cellixir.synthesis.vae_task import WIDE, GeneratorTask, Samples, enough_latents, start_at_linear
from cellixir.training import (
    TrainingConfig,
    derived_seed,
    network_of,
    pick_device,
    require_within,
    threads_for,
    train,
    weights_of,
)

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

    from cellixir.data.expression.matrix import Rows
    from cellixir.estimator import Arrays
    from cellixir.synthesis.generator import Fit

TRAINING = TrainingConfig(learning_rate=2e-3, weight_decay=1e-6, patience=12, precision="full")
#: Steps of a fit where the number of epochs is not given, and the bounds of that number.
STEPS, EPOCHS = 3000, (30, 200)
MOST_LATENTS = 16
BOUNDS = {
    **dict.fromkeys(("latent", "hidden", "max_epochs"), (1, inf)),
    "dropout": (0, 0.99), "batch_size": (2, inf), "learning_rate": (1e-12, inf),
}  # fmt: skip


class ConditionalVAEGenerator(Generator):
    """Conditional variational autoencoder (Sohn et al., NeurIPS 2015): encoder and decoder are told the conditions.

    Counts are drawn from a negative binomial around the decoded mean (Lopez et al., Nature Methods 2018), other values
    from a normal distribution with a variance for each gene. Training starts at a low-rank Gaussian around the mean of
    each condition. Latents of new samples, and their log library sizes, come from a mixture of Gaussians fitted to
    the posterior of the training samples of the same combination (`cellixir.synthesis.mixture`).

    Parameters
    ----------
    condition, seed
        See `cellixir.synthesis.generator.Generator`.
    latent, hidden, dropout
        Sizes of the network. By default twice as many latents as principal components stand above noise, 2 to 16.
    max_epochs
        Default: about 3,000 steps, from 30 to 200 epochs; the epoch with the best loss on a tenth of the samples is
        kept.
    batch_size, learning_rate
        Of the training; a batch is a fifth of the samples at most.
    device
        Of the training; ``auto`` is the GPU when there is one.

    Examples
    --------
    >>> import anndata as ad
    >>> counts = np.random.default_rng(0).poisson(20.0, (40, 6)).astype("float32")
    >>> cells = ad.AnnData(counts, obs={"group": ["a", "b"] * 20}, uns={"scale": "counts"})
    >>> model = ConditionalVAEGenerator(condition=["group"], latent=2, hidden=8, max_epochs=2).fit(cells)
    >>> model.sample(3, given={"group": "a"}).X.shape
    (3, 6)
    """

    name = "cvae"
    title = "Conditional variational autoencoder"
    min_samples, min_genes = 20, 2
    #: Whether the network is told the conditions; otherwise it draws them.
    told = True

    def __init__(
        self,
        *,
        condition: Sequence[str] = (),
        latent: int | None = None,
        hidden: int = 128,
        dropout: float = 0.1,
        max_epochs: int | None = None,
        batch_size: int = 128,
        learning_rate: float = 2e-3,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        super().__init__(condition=condition, seed=seed)
        self.latent, self.hidden, self.dropout = latent, hidden, dropout
        self.max_epochs, self.batch_size, self.learning_rate = max_epochs, batch_size, learning_rate
        self.device = device
        self.check_parameters()

    def check_parameters(self) -> None:
        """Refuse parameters that cannot work."""
        super().check_parameters()
        given = {name: getattr(self, name) for name in BOUNDS if getattr(self, name) is not None}
        require_within(given, {name: BOUNDS[name] for name in given})

    # -- fit -----------------------------------------------------------------------------------------------------------

    def _encode(self, samples: ad.AnnData) -> Samples:
        table: NDArray[np.float32] = super()._encode(samples)
        counts = None
        if self.scale_ == "counts":
            assert self.representation_ is not None
            varying = np.flatnonzero(np.isnan(self.representation_.constant))
            counts = samples.X[:, varying].tocsr() if sp.issparse(samples.X) else written_out(samples.X[:, varying])
        return Samples(table, counts, self.conditions_.one_hot(self.conditions_.codes(samples)))

    def _learn(self, table: Samples, codes: NDArray[np.int64], fit: Fit) -> None:
        train_rows, validation = fit.parts(len(codes)) or self._parts(len(codes))
        self.network_ = self._started(table, train_rows).to(pick_device(self.device))
        config = self._config(len(train_rows))
        history = train(
            GeneratorTask(self.network_, table, train_rows, validation),
            config,
            seed=derived_seed(self.seed, 2),
            checkpoint=fit.checkpoint,
            signature=fit.signature,
            on_epoch=fit.heard(config.max_epochs),
        )
        self.network_.cpu()
        self.history_ = pd.DataFrame([asdict(epoch) for epoch in history])
        self._learn_latents(self._points(table), codes)

    def _parts(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows to learn from, and a tenth that chooses the epoch."""
        rows, held = np.random.default_rng(derived_seed(self.seed, 1)).permutation(n), max(n // 10, 2)
        return np.sort(rows[held:]), np.sort(rows[:held])

    def _learn_latents(self, points: NDArray[np.float64], codes: NDArray[np.int64]) -> None:
        """Learn where latents of each combination lie."""
        self.mixtures_ = Mixtures.learn(points, codes, len(self.conditions_), derived_seed(self.seed, 4))

    def _started(self, samples: Samples, rows: NDArray[np.int64]) -> ConditionalVAE:
        assert self.representation_ is not None
        width = samples.table.shape[1]
        n_genes = width - (samples.counts is not None)
        latent = self.latent or enough_latents(samples, rows, told=self.told, most=MOST_LATENTS)
        shape = ConditionalVAEShape(
            width,
            n_genes,
            latent=min(latent, n_genes, len(rows) - 1),
            hidden=self.hidden,
            dropout=self.dropout,
            n_given=samples.one_hot.shape[1] if self.told else 0,
        )
        with torch.random.fork_rng():
            torch.manual_seed(derived_seed(self.seed, 0))
            network = ConditionalVAE(shape)
        spread = np.ones(n_genes) if samples.counts is None else self.representation_.sd[:n_genes]
        start_at_linear(network, samples, rows, spread, derived_seed(self.seed, 3))
        return network

    def _config(self, n_train: int) -> TrainingConfig:
        size = min(self.batch_size, max(n_train // 5, 2))
        epochs = self.max_epochs or int(np.clip(STEPS * size // n_train, *EPOCHS))
        return replace(TRAINING, max_epochs=epochs, batch_size=size, learning_rate=self.learning_rate)

    @torch.no_grad()
    def _points(self, samples: Samples) -> NDArray[np.float64]:
        """One draw of each sample's posterior, in `_units`, and for counts its log library size, standardised."""
        self.network_.eval()
        parts = np.array_split(np.arange(len(samples.table)), -(-len(samples.table) // WIDE))
        with threads_for(self.network_, len(parts[0])):
            found = [
                self.network_.encode(torch.from_numpy(samples.table[rows]), samples.given(rows, self.network_))
                for rows in parts
            ]
        mean, log_variance = (torch.cat(tensors).numpy() for tensors in zip(*found, strict=True))
        noise = np.random.default_rng(derived_seed(self.seed, 5)).standard_normal(mean.shape)
        points = (mean + noise * np.exp(0.5 * log_variance)) * self._units()
        return points if samples.counts is None else np.hstack([points, samples.table[:, -1:]])

    def _units(self) -> NDArray[np.float64]:
        """What a unit of each latent does to the decoded genes: clusters are looked for where it shows."""
        weight = self.network_.decoder_line.weight[:, : self.network_.shape.latent].detach()
        length = np.asarray(weight.norm(dim=0), dtype=np.float64)
        return np.asarray(np.maximum(length, 1e-3 * length.max() + 1e-12))

    # -- sample --------------------------------------------------------------------------------------------------------

    def _draw(self, codes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        given = torch.from_numpy(self.conditions_.one_hot(codes)[:, : self.network_.shape.n_given])
        return self._values(self.mixtures_.draw(codes, rng), given, rng)

    @torch.no_grad()
    def _values(
        self, points: NDArray[np.float64], given: torch.Tensor, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Counts of the genes that vary, or standardised values, with their noise."""
        latent = self.network_.shape.latent
        z = torch.from_numpy((points[:, :latent] / self._units()).astype(np.float32))
        with threads_for(self.network_, len(z)):
            out = self.network_.decode(z, given)
        scale = self.network_.log_scale.numpy().astype(np.float64)
        if self.scale_ != "counts":
            return np.asarray(out.numpy() + np.exp(scale) * rng.standard_normal(out.shape), dtype=np.float32)
        mean = out.softmax(dim=1).numpy() * self._library(points[:, -1:])
        theta = np.exp(scale)
        return rng.poisson(rng.gamma(theta, mean / theta)).astype(np.float32)

    def _library(self, column: NDArray[np.float64]) -> NDArray[np.float64]:
        """Library sizes from their standardised logarithms, within the range seen, less the genes that do not vary."""
        seen = self.representation_
        assert seen is not None
        log = np.clip(column * seen.sd[-1] + seen.mean[-1], np.log(seen.library[0]), np.log(seen.library[2]))
        return np.asarray(np.maximum(np.exp(log) - np.nansum(seen.constant), 1))

    def _decode(self, table: NDArray[np.float32], rng: np.random.Generator) -> Rows:
        assert self.representation_ is not None
        if self.scale_ != "counts":
            return super()._decode(table, rng)
        constant = self.representation_.constant
        found = np.broadcast_to(constant, (len(table), len(constant))).copy()
        found[:, np.isnan(constant)] = table
        return found

    def _calibrate(self, samples: ad.AnnData) -> None:
        if self.scale_ != "counts":  # these are drawn as counts
            super()._calibrate(samples)

    # -- bundle --------------------------------------------------------------------------------------------------------

    def _arrays(self) -> Arrays:
        return weights_of(self.network_) | {
            f"mixtures/{name}": array for name, array in self.mixtures_.arrays().items()
        }

    def _facts(self) -> dict[str, Any]:
        return {"shape": asdict(self.network_.shape)}

    def _restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        self.network_ = network_of(lambda: ConditionalVAE(ConditionalVAEShape(**facts["shape"])), arrays)
        self.mixtures_ = Mixtures.from_arrays(under("mixtures", arrays))

    def _describe(self) -> list[str]:
        sizes = f"{self.network_.shape.latent} latents, a hidden layer of {self.hidden}"
        k = [len(mixture.share) for mixture in self.mixtures_.of.values()]
        return [f"{sizes}; latents are drawn from mixtures of {min(k)} to {max(k)} Gaussians"]


class VAEGenerator(ConditionalVAEGenerator):
    """Variational autoencoder that is told nothing: the combination of a new sample is read off its latents.

    Latents come from one mixture, and the combination from a logistic regression of the training samples' combinations
    on theirs. Conditions that are asked for are met by drawing until there are enough such samples.

    Parameters
    ----------
    condition, seed, latent, hidden, dropout, max_epochs, batch_size, learning_rate, device
        See `ConditionalVAEGenerator`.

    Examples
    --------
    >>> import anndata as ad
    >>> counts = np.random.default_rng(0).poisson(20.0, (40, 6)).astype("float32")
    >>> cells = ad.AnnData(counts, uns={"scale": "counts"})
    >>> VAEGenerator(latent=2, hidden=8, max_epochs=2).fit(cells).sample(3).X.shape
    (3, 6)
    """

    name = "vae"
    title = "Variational autoencoder"
    told = False

    def _learn_latents(self, points: NDArray[np.float64], codes: NDArray[np.int64]) -> None:
        self.mixtures_ = Mixtures.learn(points, np.zeros_like(codes), 1, derived_seed(self.seed, 4))
        self.labels_ = Labels.learn(points, codes)

    def _draw_labelled(
        self, n: int, rng: np.random.Generator, fixed: Mapping[str, str] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        def draw(size: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
            points = self.mixtures_.draw(np.zeros(size, dtype=np.int64), rng)
            return points, self.labels_.draw(points, rng)

        points, codes = draw_until(n, draw, self.conditions_.matching(fixed), self.conditions_)
        return codes, self._values(points, torch.zeros(n, 0), rng)

    def _arrays(self) -> Arrays:
        return super()._arrays() | {"labels/weight": self.labels_.weight, "labels/bias": self.labels_.bias}

    def _restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        super()._restore(arrays, facts)
        self.labels_ = Labels(arrays["labels/weight"], arrays["labels/bias"])
