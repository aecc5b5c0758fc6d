"""Latent arithmetic done right: decode(z_control + shift) - decode(z_control), shifts from training wells alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from cellixir.data.dealing import hold_out
from cellixir.estimator import Arrays
from cellixir.exceptions import ConfigurationError
from cellixir.nn.likelihoods import kl_to_standard
from cellixir.nn.vae import Activation, VAENetwork, VAEShape
from cellixir.perturbation.baselines import DrugMean
from cellixir.perturbation.kernels import EffectRidge
from cellixir.perturbation.model import PerturbationModel, control_of
from cellixir.perturbation.networks import check_network, history_of
from cellixir.perturbation.wells import conditions_of
from cellixir.training import TrainingConfig, derived_seed, pick_device, train
from cellixir.training.loop import Task
from cellixir.training.weights import network_of, weights_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import anndata as ad
    from numpy.typing import NDArray
    from torch import Tensor

    from cellixir.estimator import OnEpoch
    from cellixir.perturbation.model import Held


class LatentArithmetic(PerturbationModel):
    """A VAE of profiles; a drug is a shift of the posterior mean, and the shifts of a pair add up.

    Parameters
    ----------
    latent, hidden, n_layers, dropout, activation
        Of the network.
    beta
        Weight of the KL divergence.
    rule
        ``mean``: the mean shift of the same drug (of all drugs for a new one). ``ridge``: kernel ridge regression of
        shifts on structure, dose and context.
    max_epochs, batch_size, learning_rate
        Of Adam; training stops when held-out conditions get no better for six epochs.
    split
        For ``ridge``: what will be new.
    seed, device
        As everywhere.

    Examples
    --------
    >>> LatentArithmetic(hidden=800, n_layers=2, latent=100).hidden
    800
    """

    title = "VAE latent arithmetic"

    def __init__(
        self,
        latent: int = 32,
        hidden: int = 256,
        n_layers: int = 1,
        dropout: float = 0.06,
        activation: Activation = "leaky_relu",
        beta: float = 1.0,
        rule: Literal["mean", "ridge"] = "ridge",
        max_epochs: int = 100,
        batch_size: int = 80,
        learning_rate: float = 1e-3,
        split: str = "drug",
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.latent = latent
        self.hidden = hidden
        self.n_layers = n_layers
        self.dropout = dropout
        self.activation = activation
        self.beta = beta
        self.rule = rule
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.split = split
        self.seed = seed
        self.device = device
        self.check_parameters()

    def check_parameters(self) -> None:
        """Refuse sizes below 1 and an unknown rule."""
        check_network(vars(self))
        if self.rule not in ("mean", "ridge"):
            message = f"the rule '{self.rule}' is not known; choose mean or ridge"
            raise ConfigurationError(message)

    def _shape(self) -> VAEShape:
        return VAEShape(
            len(self.genes_), self.latent, self.hidden, self.n_layers, self.dropout, self.activation
        )  # fmt: skip

    def _learn(
        self,
        conditions: ad.AnnData,
        wells: ad.AnnData,
        *,
        held: Held,
        checkpoint: Path | None,
        on_epoch: OnEpoch | None,
    ) -> None:
        profiles = control_of(wells) + np.asarray(wells.X)
        self.centre_ = profiles.mean(axis=0)
        self.sd_ = np.maximum(profiles.std(axis=0), 1e-3)
        x = torch.from_numpy(((profiles - self.centre_) / self.sd_).astype(np.float32))
        code = conditions_of(wells.obs)
        if held is None:
            held = hold_out(len(x), max(1, len(x) // 10), np.random.default_rng(self.seed), groups=code)
        with torch.random.fork_rng():
            torch.manual_seed(derived_seed(self.seed, 0))
            self._network = VAENetwork(self._shape()).to(pick_device(self.device))
        config = TrainingConfig(
            max_epochs=self.max_epochs, batch_size=self.batch_size, learning_rate=self.learning_rate, weight_decay=0.0,
            optimiser="adam", schedule="constant", patience=6,
        )  # fmt: skip
        file = checkpoint / "vae.safetensors" if checkpoint else None
        epochs = train(
            _VAETask(self._network, x[~held], x[held], self.beta), config, seed=self.seed, checkpoint=file,
            signature=f"{self!r}", on_epoch=(lambda e: on_epoch(0, e, self.max_epochs)) if on_epoch else None,
        )  # fmt: skip
        self.history_ = history_of([epochs])
        self._learn_shifts(conditions, wells)

    def _learn_shifts(self, conditions: ad.AnnData, wells: ad.AnnData) -> None:
        """Shift of the posterior mean of each training well, and how shifts go with conditions."""
        import anndata

        treated = wells[~wells.obs["is_control"].to_numpy(bool)]
        control = control_of(treated)
        shift = self._encode(control + np.asarray(treated.X)) - self._encode(control)
        names = [f"z{k + 1}" for k in range(self.latent)]
        shifts = anndata.AnnData(shift.astype(np.float32), treated.obs.copy(), uns={"smiles": treated.uns["smiles"]})
        shifts.var_names = names
        model: Any = DrugMean() if self.rule == "mean" else EffectRidge("tanimoto", split=self.split)
        if "control" in treated.layers:
            shifts.layers["control"] = self._encode(control).astype(np.float32)
        self.shifts_ = model.fit(shifts)

    def _change(self, question: ad.AnnData) -> NDArray[Any]:
        import anndata

        control = control_of(question)
        z = self._encode(control)
        asked = anndata.AnnData(np.zeros((question.n_obs, self.latent), np.float32), question.obs.copy())
        asked.var_names, asked.uns["smiles"] = self.shifts_.genes_, question.uns.get("smiles")
        if "control" in question.layers:
            asked.layers["control"] = z.astype(np.float32)
        shift = self._shift(asked)
        return np.asarray((self._decode(z + shift) - self._decode(z)) * self.sd_)

    def _shift(self, asked: ad.AnnData) -> NDArray[Any]:
        """Shifts of the rows; under ``mean`` those of the drugs of a pair add up."""
        if self.rule == "ridge":
            return np.asarray(self.shifts_._change(asked))
        return np.asarray(self.shifts_.summed(asked))

    def _encode(self, profiles: NDArray[Any]) -> NDArray[np.float64]:
        x = torch.from_numpy(((profiles - self.centre_) / self.sd_).astype(np.float32)).to(self._at)
        with torch.no_grad():
            return np.asarray(self._network.encode(x).mean.double().cpu().numpy())

    def _decode(self, z: NDArray[Any]) -> NDArray[np.float64]:
        given = torch.from_numpy(z.astype(np.float32)).to(self._at)
        with torch.no_grad():
            return np.asarray(self._network.decode(given, given.new_ones(len(given), 1))[0].double().cpu().numpy())

    @property
    def _at(self) -> torch.device:
        return next(self._network.parameters()).device

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """Weights beside what stands in attributes."""
        arrays, facts = super().state()
        return arrays | weights_of(self._network), facts

    def _rebuild(self, arrays: Arrays) -> None:
        self._network = network_of(lambda: VAENetwork(self._shape()), arrays)


class _VAETask(Task):
    """Sum of squares of a profile and KL divergence, as the study trained."""

    network: VAENetwork

    def __init__(self, network: VAENetwork, train: Tensor, held: Tensor, beta: float) -> None:
        device = next(network.parameters()).device
        self.network, self.train, self.held, self.beta = network, train.to(device), held.to(device), beta

    def n_batches(self, config: TrainingConfig) -> int:
        """Steps an epoch; a last batch of one row cannot be normalised and is passed over."""
        return max(1, (len(self.train) + config.batch_size - 2) // config.batch_size)

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> Iterator[Any]:
        """Profiles in random order."""
        order = torch.randperm(len(self.train), generator=generator)
        yield from (self.train[part] for part in torch.split(order, config.batch_size)[: self.n_batches(config)])

    def loss(self, batch: Tensor) -> Tensor:
        """Of a batch of profiles."""
        posterior = self.network.encode(batch)
        z = posterior.draw() if self.network.training else posterior.mean
        told = self.network.decode(z, z.new_ones(len(z), 1))[0]
        error = (told - batch).square().sum(dim=1) + self.beta * kl_to_standard(*posterior).sum(dim=1)
        return torch.mean(error)

    def validation_loss(self) -> float:
        """Of held-out conditions, at the posterior mean."""
        return float(self.loss(self.held))
