"""Conditional Wasserstein GAN with gradient penalty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cellixir.estimator import under
from cellixir.nn.gan import GANShape
from cellixir.synthesis.gan_base import AdversarialGenerator, check_sizes
from cellixir.synthesis.gan_components import Components
from cellixir.synthesis.gan_task import Wasserstein
from cellixir.synthesis.moments import Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.estimator import Arrays
    from cellixir.synthesis.generator import Fit


class WGANGPGenerator(AdversarialGenerator):
    """Conditional WGAN-GP (Gulrajani et al., arXiv 1704.00028) on leading principal components.

    Both players are given the one-hot conditions. They play on whitened principal components of what the training
    table has beyond the mean of each combination of conditions: on its genes, a critic of 10,000 columns and a few
    hundred samples tells every one of them by noise alone, and clusters far apart would leave no resolution within
    them. What the components leave of each gene is added as Gaussian noise of that gene when samples are drawn.
    Samples come from an exponential moving average of the generator's weights (Yazici et al., arXiv 1806.04498).

    Parameters
    ----------
    condition, seed
        See `cellixir.synthesis.generator.Generator`.
    n_components
        Principal components that the players see. Default: those above noise (Gavish and Donoho), 4 to 64.
    noise, hidden, n_layers
        Width of the generator's noise; width and number of hidden layers of both players.
    n_critic, penalty
        Steps of the critic for one of the generator; weight of the gradient penalty.
    average
        Share of the averaged weights that stays in a step.
    learning_rate, batch_size
        Of both players; Adam with betas 0 and .9.
    max_epochs, patience
        Epochs of 25 steps of the generator at most, and after the best one.
    device
        ``auto`` is the GPU when there is one.

    Examples
    --------
    >>> import anndata as ad
    >>> counts = np.random.default_rng(0).poisson(20.0, (30, 8)).astype("float32")
    >>> model = WGANGPGenerator(hidden=8, max_epochs=1).fit(ad.AnnData(counts, uns={"scale": "counts"}))
    >>> model.sample(3).X.shape
    (3, 8)
    """

    name = "wgan-gp"
    title = "Conditional Wasserstein GAN with gradient penalty"

    def __init__(
        self,
        *,
        condition: Sequence[str] = (),
        n_components: int | None = None,
        noise: int = 64,
        hidden: int = 128,
        n_layers: int = 2,
        n_critic: int = 5,
        penalty: float = 10.0,
        average: float = 0.99,
        learning_rate: float = 1e-3,
        batch_size: int = 128,
        max_epochs: int = 80,
        patience: int = 20,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        super().__init__(condition=condition, seed=seed)
        self.n_components = n_components
        self.noise, self.hidden, self.n_layers = noise, hidden, n_layers
        self.n_critic, self.penalty, self.average = n_critic, penalty, average
        self.learning_rate, self.batch_size = learning_rate, batch_size
        self.max_epochs, self.patience, self.device = max_epochs, patience, device
        self.check_parameters()

    def check_parameters(self) -> None:
        """Refuse parameters that cannot work."""
        super().check_parameters()
        bounds = {"penalty": (0, math.inf), "average": (0, 0.99999), "n_critic": (1, math.inf)}
        check_sizes(vars(self), bounds=bounds | {"n_components": (1, math.inf)})

    def _learn(self, table: NDArray[np.float32], codes: NDArray[np.int64], fit: Fit) -> None:
        self.centre_ = Moments.of(table, codes, len(self.conditions_)).mean.astype(np.float32)
        beyond = table - self.centre_[codes]
        self.components_ = Components.learn(beyond, self.n_components)
        sd = torch.from_numpy(self.components_.sd)
        self._play(
            self.components_.scores(beyond),
            codes,
            lambda scores: scores * sd.to(scores.device),
            fit,
            decay=self.average,
        )

    def _draw(self, codes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        rows = self._generate(self.conditions_.one_hot(codes), rng)
        return self.centre_[codes] + self.components_.table(rows[:, : self.network_.shape.width], rng)

    def _shape(self, width: int) -> GANShape:
        levels = tuple(len(values) for values in self.conditions_.levels.values())
        return GANShape(width, levels, noise=self.noise, hidden=self.hidden, n_layers=self.n_layers)

    def _rules(self) -> Wasserstein:
        return Wasserstein(self.penalty, self.n_critic)

    def _arrays(self) -> Arrays:
        components = {f"components/{n}": a for n, a in self.components_.arrays().items()}
        return super()._arrays() | components | {"centre": self.centre_}

    def _restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        super()._restore(arrays, facts)
        self.components_, self.centre_ = Components.from_arrays(under("components", arrays)), arrays["centre"]

    def _describe(self) -> list[str]:
        n, width = self.components_.axes.shape
        explained = 1 - np.square(self.components_.residual).sum() / width
        told = f"plays on {n} principal components of {width:,} columns ({explained:.0%} of their variance)"
        return [told, *super()._describe()]
