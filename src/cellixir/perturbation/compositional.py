"""The compositional VAE as a predictor: for unseen drugs, cell lines and pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cellixir.data.dealing import hold_out
from cellixir.estimator import Arrays
from cellixir.nn.compositional import CompositionalShape, CompositionalVAE, Treatments
from cellixir.nn.likelihoods import kl_to_standard
from cellixir.nn.vae import Activation, VAEShape
from cellixir.perturbation.features import ConditionFeatures, Parts
from cellixir.perturbation.model import PerturbationModel, control_of
from cellixir.perturbation.networks import check_network, history_of
from cellixir.perturbation.splits import inner_units
from cellixir.perturbation.wells import conditions_of
from cellixir.training import TrainingConfig, derived_seed, pick_device, train
from cellixir.training.linear import LinearStart
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

#: Weight of the control state's reconstruction beside the change.
CONTROL_WEIGHT = 0.1


class CompositionalPredictor(PerturbationModel):
    """Control state + sum of drug effects with dose curves + interaction of pairs, decoded to a change.

    A drug is its fingerprint and, where drugs were seen, a vector of its own; a context is its control profile and,
    where it was seen, its cell line. A committee of ``members``, each stopped on held-out units of the split; what they
    say of these also decides how far the committee goes from the mean effect (0 to 1, `share_`).

    Parameters
    ----------
    latent, hidden, n_layers, dropout, activation
        Of encoder and decoder.
    beta
        Weight of the KL divergence.
    max_epochs, batch_size, learning_rate, weight_decay
        Of AdamW.
    members
        Networks.
    split
        What will be new: ``drug``, ``scaffold``, ``cell-line``, ``pair`` or ``plate``.
    seed, device
        As everywhere.
    """

    title = "Compositional VAE"

    def __init__(
        self,
        latent: int = 24,
        hidden: int = 128,
        n_layers: int = 1,
        dropout: float = 0.1,
        activation: Activation = "relu",
        beta: float = 0.01,
        max_epochs: int = 120,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-2,
        members: int = 3,
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
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.members = members
        self.split = split
        self.seed = seed
        self.device = device
        self.check_parameters()

    def check_parameters(self) -> None:
        """Refuse what no network can be."""
        check_network(vars(self), ("members",))

    def _learn(
        self,
        conditions: ad.AnnData,
        wells: ad.AnnData,
        *,
        held: Held,
        checkpoint: Path | None,
        on_epoch: OnEpoch | None,
    ) -> None:
        y = np.asarray(conditions.X, dtype=np.float32)
        control = control_of(conditions)
        self.centre_ = control.mean(axis=0)
        self.spread_ = np.maximum(control.std(axis=0), float(control.std(axis=0).mean()) + 1e-3)
        self.scale_ = float(y.std()) or 1.0
        self.named_ = self.split not in ("drug", "scaffold")  # new drugs have no vector of their own
        self.reader_ = _Reader.of(self.features_, named=self.named_, lined=self.split != "cell-line")
        weight = np.sqrt(conditions.obs["n_wells"].to_numpy(np.float32))
        given = self._inputs(conditions)
        target = torch.from_numpy(y / self.scale_)
        self._networks: list[CompositionalVAE] = []
        epochs, held_rows, held_told = [], [], []
        for number in range(self.members):
            own = self._held_out(conditions, number) if held is None else _held_conditions(wells, held)
            network = self._new(derived_seed(self.seed, number))
            self._start(network, conditions, ~own, y / self.scale_)
            task = _Training(network, given, target, torch.from_numpy(weight / weight.mean()), own, self.beta)
            epochs.append(self._train(task, number, checkpoint, on_epoch))
            self._networks.append(network)
            held_rows.append(np.flatnonzero(own))
            held_told.append(self._told(network, given)[own])
        self.history_ = history_of(epochs)
        rows, told = np.concatenate(held_rows), np.concatenate(held_told) * self.scale_
        self.share_ = _share(y[rows] - self.mean_, told - self.mean_)

    def _held_out(self, conditions: ad.AnnData, number: int) -> NDArray[np.bool_]:
        """Conditions that a member stops on: about an eighth of the units that the split leaves out."""
        units = inner_units(conditions, self.split)
        rng = np.random.default_rng([self.seed, number])
        codes = np.unique(units[units >= 0])
        chosen = codes[hold_out(len(codes), max(1, round(len(codes) / 8)), rng)]
        return np.isin(units, chosen)

    def _shape(self) -> CompositionalShape:
        vae = VAEShape(
            len(self.genes_), self.latent, self.hidden, self.n_layers, self.dropout, self.activation
        )  # fmt: skip
        n_drugs = len(self.features_.drugs) if self.named_ else 0
        n_lines = len(self.features_.lines) if self.split != "cell-line" else 0
        return CompositionalShape(vae, len(self.features_.bits), n_drugs, n_lines if n_lines > 1 else 0)

    def _new(self, seed: int) -> CompositionalVAE:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return CompositionalVAE(self._shape()).to(pick_device(self.device))

    def _start(
        self, network: CompositionalVAE, conditions: ad.AnnData, kept: NDArray[np.bool_], y: NDArray[np.float32]
    ) -> None:
        """Begin at the main axes of the training effects, and at each drug's mean place on them."""
        start = LinearStart.of(y[kept], self.latent, self.seed)
        scale = max(float(start.sd.mean()), 1e-6)
        with torch.no_grad():
            output = network.vae.output
            output.weight.mul_(0.1)
            output.weight[:, self.hidden :] = torch.from_numpy(start.axes * scale)
            if self.named_:
                place = y @ start.axes / scale
                parts = Parts.of(conditions.obs)
                code = {name: k + 1 for k, name in enumerate(self.features_.drugs)}
                single = np.bincount(parts.row, minlength=len(y))[parts.row] == 1
                for drug, number in code.items():
                    rows = parts.row[(parts.drug == drug) & single]
                    rows = rows[kept[rows]]
                    if len(rows):
                        network.drugs.weight[number] = torch.from_numpy(1.5 * place[rows].mean(axis=0))

    def _train(self, task: _Training, number: int, checkpoint: Path | None, on_epoch: OnEpoch | None) -> list[Any]:
        config = TrainingConfig(
            max_epochs=self.max_epochs, batch_size=self.batch_size, learning_rate=self.learning_rate,
            weight_decay=self.weight_decay, patience=max(10, self.max_epochs // 4),
        )  # fmt: skip
        return train(
            task, config, seed=derived_seed(self.seed, number),
            checkpoint=checkpoint / f"member-{number}.safetensors" if checkpoint else None,
            signature=f"{self!r}{number}", on_epoch=(lambda epoch: on_epoch(number, epoch, self.max_epochs)) if on_epoch
            else None,
        )  # fmt: skip

    def _inputs(self, data: ad.AnnData) -> _Inputs:
        control = ((control_of(data) - self.centre_) / self.spread_).astype(np.float32)
        return self.reader_.inputs(self.features_, data, control)

    def _told(self, network: CompositionalVAE, given: _Inputs) -> NDArray[Any]:
        device = next(network.parameters()).device
        network.eval()
        with torch.no_grad():
            rows = torch.split(torch.arange(len(given.control)), 2048)
            parts = [network(*given.rows(part, device))[0].cpu() for part in rows]
        return np.asarray(torch.cat(parts).numpy())

    def _change(self, question: ad.AnnData) -> NDArray[Any]:
        return np.asarray(self.predict_members(question).mean(axis=0))

    def predict_members(self, question: ad.AnnData) -> NDArray[Any]:
        """Change by each member of the committee, shape ``(n_members, n, n_genes)``."""
        given = self._inputs(question)
        told = np.stack([self._told(network, given) for network in self._networks]) * self.scale_
        return np.asarray(self.mean_ + self.share_ * (told - self.mean_))

    def spread(self, question: ad.AnnData) -> NDArray[np.float64]:
        """Standard deviation between the members, shape ``(n, n_genes)``."""
        return np.asarray(self.predict_members(question).std(axis=0), dtype=np.float64)

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """Weights beside what stands in attributes."""
        arrays, facts = super().state()
        for number, network in enumerate(self._networks):
            arrays |= weights_of(network, f"member-{number}")
        return arrays, facts

    def _rebuild(self, arrays: Arrays) -> None:
        self._networks = [
            network_of(lambda: CompositionalVAE(self._shape()), arrays, f"member-{number}")
            for number in range(self.members)
        ]

    def describe(self) -> list[str]:
        """What was learned, and how far the committee trusts it."""
        return [*super().describe(), f"goes {self.share_:.2f} of the way from the mean effect to what the networks say"]


class _Reader:
    """How conditions become tensors: which drugs and cell lines have vectors of their own."""

    def __init__(self, *, drugs: list[str], lines: list[str]) -> None:
        self.drugs, self.lines = drugs, lines

    @classmethod
    def of(cls, known: ConditionFeatures, *, named: bool, lined: bool) -> _Reader:
        return cls(drugs=list(known.drugs) if named else [], lines=list(known.lines) if lined else [])

    def inputs(self, known: ConditionFeatures, data: ad.AnnData, control: NDArray[np.float32]) -> _Inputs:
        parts = Parts.of(data.obs)
        drug = {name: k for k, name in enumerate(self.drugs)}
        line = {name: k for k, name in enumerate(self.lines if len(self.lines) > 1 else [])}
        names = sorted(set(parts.drug))
        bits = known.known_bits(names, data.uns.get("smiles"))[np.searchsorted(names, parts.drug)]
        return _Inputs(
            torch.from_numpy(control),
            parts.row,
            torch.tensor([drug.get(name, -1) for name in parts.drug], dtype=torch.int64),
            torch.from_numpy(bits.astype(np.float32)),
            torch.from_numpy(known.dose(parts).astype(np.float32)),
            torch.tensor([line.get(name, -1) for name in data.obs["cell_line"]], dtype=torch.int64),
        )


class _Inputs:
    """Tensors of conditions; a part of the rows at a time."""

    def __init__(
        self, control: Tensor, row: NDArray[np.int64], drug: Tensor, bits: Tensor, dose: Tensor, line: Tensor
    ) -> None:
        self.control, self.drug, self.bits, self.dose, self.line = control, drug, bits, dose, line
        n = len(control)
        first = np.searchsorted(row, np.arange(n))  # parts stand in the order of their rows, one or two a row
        self._first = torch.from_numpy(first)
        self._pair = torch.from_numpy(np.bincount(row, minlength=n) > 1)

    def rows(self, rows: Tensor, device: torch.device) -> tuple[Tensor, Treatments, Tensor]:
        """Control profiles, treatments and lines of some rows."""
        pair = self._pair[rows]
        part = torch.cat([self._first[rows], self._first[rows][pair] + 1])
        at = torch.cat([torch.arange(len(rows)), torch.arange(len(rows))[pair]])
        treated = Treatments(*(t.to(device) for t in (at, self.drug[part], self.bits[part], self.dose[part])))
        return self.control[rows].to(device), treated, self.line[rows].to(device)


class _Training(Task):
    """Squared error of the change, and of the control state, and the KL divergence of the control state."""

    def __init__(
        self,
        network: CompositionalVAE,
        given: _Inputs,
        target: Tensor,
        weight: Tensor,
        held: NDArray[np.bool_],
        beta: float,
    ) -> None:
        self.network, self.given, self.beta = network, given, beta
        self._device = next(network.parameters()).device
        self.target, self.weight = target, weight
        self.train, self.held = torch.from_numpy(np.flatnonzero(~held)), torch.from_numpy(np.flatnonzero(held))

    def n_batches(self, config: TrainingConfig) -> int:
        """Steps an epoch."""
        return max(1, len(self.train) // config.batch_size)

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> Iterator[Any]:
        """Conditions in random order, in batches of equal size."""
        order = self.train[torch.randperm(len(self.train), generator=generator)]
        yield from order.tensor_split(self.n_batches(config))

    def loss(self, batch: Tensor) -> Tensor:
        """Of some conditions."""
        control, treated, line = self.given.rows(batch, self._device)
        change, decoded, posterior = self.network(control, treated, line)
        target, weight = self.target[batch].to(self._device), self.weight[batch].to(self._device)
        error = (weight * (change - target).square().mean(dim=1)).mean()
        state = CONTROL_WEIGHT * (decoded - control).square().mean()
        return torch.add(error, state + self.beta * kl_to_standard(*posterior).mean())

    def validation_loss(self) -> float:
        """Error of the change of held-out conditions."""
        control, treated, line = self.given.rows(self.held, self._device)
        change = self.network(control, treated, line)[0]
        weight = self.weight[self.held].to(self._device)
        return float((weight * (change - self.target[self.held].to(self._device)).square().mean(dim=1)).mean())


def _held_conditions(wells: ad.AnnData, held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Conditions of which a well is held out."""
    treated = ~wells.obs["is_control"].to_numpy(bool)
    return np.bincount(conditions_of(wells.obs[treated]), held[treated]) > 0


def _share(y: NDArray[Any], told: NDArray[Any]) -> float:
    """Least-squares share of what networks say beyond the mean effect, on rows they did not see, within 0 and 1."""
    square = float(np.square(told).sum())
    return float(np.clip((y * told).sum() / square, 0.0, 1.0)) if square > 0 else 0.0
