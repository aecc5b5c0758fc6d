"""The network of the response job."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch

from cellixir.data.response_data import ResponseData
from cellixir.data.splits import split_groups, split_off
from cellixir.estimator import Arrays, Estimator
from cellixir.exceptions import ConfigurationError, NotFitted
from cellixir.nn import DenseEncoder, Tower, TwoTower
from cellixir.response.card import model_card
from cellixir.response.features import DrugFeatures, SampleFeatures, require_features
from cellixir.response.model import Known
from cellixir.response.pair_task import Pairs, PairTask
from cellixir.response.wide import Wide
from cellixir.training import Epoch, TrainingConfig, derived_seed, pick_device, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

PREDICT_ROWS = 1 << 16
MIN_HELD_OUT = 20
_DATA_FACTS = ("fingerprint", "measure", "unit", "n_pairs", "n_samples", "scales")


@dataclass(frozen=True)
class Architecture:
    """Widths and dropout of the two towers.

    Parameters
    ----------
    latent
        Width in which samples and drugs meet.
    encoder
        Hidden width of each encoder.
    head
        Hidden width of the head; 0 leaves the inner product alone.
    """

    latent: int = 64
    encoder: int = 256
    head: int = 256
    dropout: float = 0.2
    input_dropout: float = 0.2


class Preset(NamedTuple):
    """Defaults of one question, chosen on inner validation rows of GDSC v17 (docs/benchmarks/response.md)."""

    architecture: Architecture
    training: TrainingConfig
    members: int


PRESETS: dict[str, Preset] = {
    "LPO": Preset(Architecture(), TrainingConfig(max_epochs=25, patience=6), members=4),
    "LCO": Preset(
        Architecture(encoder=256, head=0, dropout=0.6, input_dropout=0.7),
        TrainingConfig(max_epochs=15, learning_rate=3e-4, batch_size=8192),
        members=5,
    ),
    "LDO": Preset(
        Architecture(latent=8, encoder=256, head=0, dropout=0.5, input_dropout=0.5),
        TrainingConfig(max_epochs=8, learning_rate=1e-4, batch_size=8192),
        members=5,
    ),
}
PRESETS["LTO"] = PRESETS["LCO"]


@dataclass
class Member:
    """One network of the committee; ``gain``, from 0 to 1, is how much of it its validation rows confirm."""

    gain: float
    network: TwoTower


class ResponsePredictor(Estimator):
    """Two-tower network for drug response, a committee of ``members``.

    Wide and deep. The wide part (naive effects, and a linear model where one side is new) is solved in closed form;
    the deep part learns what it leaves of rows that it has not seen: a sample tower and a drug tower meet in an inner
    product and a small head. Ids that were seen in training also carry a learned embedding where the question allows
    it. Each member stops on an inner validation part of its own, so that the committee learns from all rows (Krogh and
    Vedelsby, NIPS 1994).

    Parameters
    ----------
    split
        The question: LPO (known samples and drugs), LCO (new samples), LDO (new drugs), LTO (new tissues).
    architecture, training, members
        None: the preset of the split.
    seed
        Makes fit and prediction repeatable to the bit on one machine.
    device
        ``auto``, ``cpu``, ``cuda``.

    Attributes
    ----------
    members_ : list of Member
    history_ : DataFrame
        ``member, epoch, train_loss, validation_loss, learning_rate, seconds``; losses are mean squared errors
        of what the wide part leaves, in units of its variance: 1 is the wide part alone.
    """

    def __init__(
        self,
        split: str = "LCO",
        *,
        architecture: Architecture | None = None,
        training: TrainingConfig | None = None,
        members: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.split = split
        self.architecture = architecture
        self.training = training
        self.members = members
        self.seed = seed
        self.device = device

    @property
    def preset(self) -> Preset:
        """What the parameters come to for this split."""
        Known.under(self.split)
        if self.seed < 0 or (self.members is not None and self.members < 1):
            message = f"members must be at least 1 and seed at least 0, not {self.members} and {self.seed}"
            raise ConfigurationError(message)
        base = PRESETS[self.split]
        return Preset(
            self.architecture or base.architecture,
            self.training or base.training,
            base.members if self.members is None else self.members,
        )

    def fit(
        self,
        data: ResponseData,
        validation: NDArray[np.int64] | None = None,
        *,
        checkpoint: Path | None = None,
        on_epoch: Callable[[int, Epoch], None] | None = None,
    ) -> Self:
        """Learn from ``data``.

        Parameters
        ----------
        data
            Training pairs; its sample and drug tables may hold more ids than its pairs.
        validation
            Rows on which the first member stops; None cuts them off along the split, as the other members do.
        checkpoint
            Folder for the state after each epoch; a killed fit goes on from there and ends the same.
        on_epoch
            Called with the member's number and the epoch.

        Raises
        ------
        ConfigurationError
            If there is nothing to learn a new sample or drug from.
        """
        self._learn_features(data)
        self.members_: list[Member] = []
        self.fingerprint_, self.measure_, self.unit_ = data.fingerprint, data.measure, data.unit
        self.n_pairs_, self.n_samples_ = len(data), len(np.unique(data.sample_index))
        self.scales_ = {name: str(view.uns.get("scale", "unknown")) for name, view in data.views.items()}
        self.drugs_ = data.drugs.iloc[np.unique(data.drug_index)]
        known = Known.under(self.split)
        self.wide_, without = Wide.fit(data, known, self.sample_features_, self.drug_features_)
        left = data.response - without
        self.scale_ = float(left.std()) or 1.0
        pairs = self._pairs(data, left / self.scale_)
        history, missed = [], []
        for number in range(self.preset.members):
            train_rows, stop_rows = self._parts(data, validation, number)
            file = checkpoint / f"member-{number}.safetensors" if checkpoint else None
            signature = repr((self.split, self.preset, self.seed, number, self.fingerprint_, _digest(stop_rows)))
            stop = pairs.subset(stop_rows)
            network, epochs = self._train(number, pairs.subset(train_rows), stop, file, signature, on_epoch)
            deep = _forward(network, stop)
            gain = _confirmed(stop, deep, split_groups(data, self.split)[stop_rows])
            self.members_.append(Member(gain, network))
            missed.append((stop_rows, stop.target.cpu().numpy() - gain * deep))
            history += [{"member": number, **asdict(epoch)} for epoch in epochs]
        self.history_ = pd.DataFrame(history)
        rows, errors = (np.concatenate(part) for part in zip(*missed, strict=True))
        self.typical_error_ = _typical_error(data.responses[self._known_side].iloc[rows], errors * self.scale_)
        return self

    @property
    def _known_side(self) -> str:
        """Column whose ids have a typical error: those that will be known when a pair is predicted."""
        return "drug" if Known.under(self.split).drugs else "sample"

    def typical_error(self, data: ResponseData) -> NDArray[np.float64]:
        """Root mean square error of each row's drug (under LDO: sample) on rows held out of training, ``(n_pairs,)``.

        One standard deviation, roughly, of what will be missed; the mean over all where the id has few such rows.
        """
        self.check_fitted()
        ids = data.responses[self._known_side]
        return np.asarray(ids.map(self.typical_error_).fillna(self.typical_error_[""]), dtype=np.float64)

    def _learn_features(self, data: ResponseData) -> None:
        known = Known.under(self.split)
        require_features(data, self.split)
        self.sample_features_ = SampleFeatures().fit(data)
        self.drug_features_ = DrugFeatures().fit(data)
        self.known_samples_ = _seen(data.samples.index, data.sample_index) if known.samples else pd.Index([])
        self.known_drugs_ = _seen(data.drugs.index, data.drug_index) if known.drugs else pd.Index([])

    def _parts(
        self, data: ResponseData, validation: NDArray[np.int64] | None, number: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if number == 0 and validation is not None:
            validation = np.arange(len(data))[validation]  # row numbers, also from a mask
            return np.setdiff1d(np.arange(len(data)), validation), validation
        return split_off(data, self.split, seed=derived_seed(self.seed, 1000 + number))

    def _train(
        self,
        number: int,
        rows: Pairs,
        stop: Pairs,
        checkpoint: Path | None,
        signature: str,
        on_epoch: Callable[[int, Epoch], None] | None,
    ) -> tuple[TwoTower, list[Epoch]]:
        seed = derived_seed(self.seed, number)
        network = self._network(seed).to(pick_device(self.device))
        epochs = train(
            PairTask(network, rows, stop),
            self.preset.training,
            seed=seed,
            checkpoint=checkpoint,
            signature=signature,
            on_epoch=(lambda epoch: on_epoch(number, epoch)) if on_epoch else None,
        )
        return network, epochs

    def _network(self, seed: int) -> TwoTower:
        shape = self.preset.architecture
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            sample = Tower(self._encoder(len(self.sample_features_.names)), len(self.known_samples_), shape.latent)
            drug = Tower(self._encoder(len(self.drug_features_.names)), len(self.known_drugs_), shape.latent)
            return TwoTower(sample, drug, hidden=shape.head, dropout=shape.dropout)

    def _encoder(self, n_features: int) -> DenseEncoder | None:
        shape = self.preset.architecture
        if not n_features:
            return None
        return DenseEncoder(
            n_features,
            shape.encoder,
            shape.latent + 1,
            dropout=shape.dropout,
            input_dropout=shape.input_dropout,
        )

    def _pairs(self, data: ResponseData, target: NDArray[np.float64] | None = None, *, missing: str = "error") -> Pairs:
        device = pick_device(self.device)
        return Pairs(
            torch.from_numpy(self.sample_features_.transform(data, missing=missing)).to(device),
            torch.from_numpy(self.drug_features_.transform(data.drugs)).to(device),
            torch.from_numpy(self.known_samples_.get_indexer(data.samples.index) + 1).to(device),
            torch.from_numpy(self.known_drugs_.get_indexer(data.drugs.index) + 1).to(device),
            torch.from_numpy(data.sample_index).to(device),
            torch.from_numpy(data.drug_index).to(device),
            torch.from_numpy(np.zeros(len(data)) if target is None else target).float().to(device),
        )

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Mean of the members' predictions for each row of ``data``, shape ``(n_pairs,)``."""
        return np.asarray(self.predict_members(data).mean(axis=0))

    def predict_members(self, data: ResponseData, *, missing: str = "error") -> NDArray[np.float64]:
        """Prediction of each member, shape ``(n_members, n_pairs)``; they differ in their deep parts only.

        Raises
        ------
        GeneMismatch
            If features of the model are not in ``data`` and ``missing`` is not ``'zero'``.
        """
        self.check_fitted()
        pairs = self._pairs(data, missing=missing)
        wide = self.wide_.predict(data, *pairs.feature_arrays())
        return np.stack([wide + m.gain * self.scale_ * _forward(m.network, pairs) for m in self.members_])

    def check_fitted(self) -> None:
        """Refuse what needs a fitted model."""
        if not hasattr(self, "members_"):
            message = "fit the ResponsePredictor, or load a bundle, before it predicts or is saved"
            raise NotFitted(message)

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """Arrays and facts of the fitted model."""
        self.check_fitted()
        arrays, features = self.sample_features_.state()
        arrays = {f"features/{n}": a for n, a in arrays.items()}
        wide, wide_facts = self.wide_.state()
        arrays |= {f"wide/{n}": a for n, a in wide.items()}
        for i, member in enumerate(self.members_):
            weights = member.network.state_dict()
            arrays |= {f"member{i}/network/{n}": t.cpu().numpy() for n, t in weights.items()}
        return arrays, {
            "parameters": {
                "split": self.split,
                "architecture": asdict(self.preset.architecture),
                "training": asdict(self.preset.training),
                "members": self.preset.members,
                "seed": self.seed,
            },
            "data": {name: getattr(self, f"{name}_") for name in _DATA_FACTS},
            "sample_features": features,
            "drug_features": self.drug_features_.state(),
            "known_samples": list(self.known_samples_),
            "known_drugs": list(self.known_drugs_),
            "drugs": json.loads(self.drugs_.to_json(orient="split")),
            "wide": wide_facts,
            "scale": self.scale_,
            "typical_error": self.typical_error_,
            "gains": [member.gain for member in self.members_],
            "history": self.history_.to_dict(orient="list"),
        }

    @classmethod
    def from_state(cls, arrays: Arrays, facts: dict[str, Any]) -> Self:
        """Rebuild the fitted model."""
        parameters = dict(facts["parameters"])
        parameters["architecture"] = Architecture(**parameters["architecture"])
        parameters["training"] = TrainingConfig(**parameters["training"])
        model = cls(**parameters)
        for name in _DATA_FACTS:
            setattr(model, f"{name}_", facts["data"][name])
        model.history_ = pd.DataFrame(facts["history"])
        model.typical_error_ = facts["typical_error"]
        model.sample_features_ = SampleFeatures.from_state(_under(arrays, "features/"), facts["sample_features"])
        model.drug_features_ = DrugFeatures.from_state(facts["drug_features"])
        model.known_samples_, model.known_drugs_ = (
            pd.Index(facts["known_samples"]),
            pd.Index(facts["known_drugs"]),
        )
        model.drugs_ = pd.DataFrame(**facts["drugs"])
        model.wide_, model.scale_ = Wide.from_state(_under(arrays, "wide/"), facts["wide"]), facts["scale"]
        model.members_ = [model._member(i, arrays, gain) for i, gain in enumerate(facts["gains"])]
        return model

    def _member(self, i: int, arrays: Arrays, gain: float) -> Member:
        network = self._network(0)
        weights = _under(arrays, f"member{i}/network/")
        network.load_state_dict({n: torch.from_numpy(a) for n, a in weights.items()})
        return Member(gain, network.to(pick_device(self.device)).eval())

    def card(self) -> str:
        """Model card in Markdown."""
        self.check_fitted()
        return model_card(self)


def _seen(ids: pd.Index, code: NDArray[np.int64]) -> pd.Index:
    return ids[np.unique(code)]


def _under(arrays: Arrays, prefix: str) -> Arrays:
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}


def _typical_error(ids: pd.Series, errors: NDArray[np.float64]) -> dict[str, float]:
    """Root mean square by id, for ids with ``MIN_HELD_OUT`` errors, and under ``''`` over all."""
    squares = pd.Series(np.square(errors)).groupby(ids.to_numpy()).agg(["mean", "size"])
    enough = squares.loc[squares["size"] >= MIN_HELD_OUT, "mean"]
    return {"": float(np.sqrt(np.mean(np.square(errors))))} | {str(i): float(v) ** 0.5 for i, v in enough.items()}


def _digest(rows: NDArray[np.int64]) -> str:
    return hashlib.sha256(rows.tobytes()).hexdigest()


def _confirmed(stop: Pairs, deep: NDArray[np.float64], units: NDArray[np.int64]) -> float:
    """Share of the deep part, in [0, 1], that the validation rows confirm.

    The share of least squared error, less one standard error over the units that were held out (cluster-robust):
    a few new drugs confirm little.
    """
    left, code = stop.target.cpu().numpy().astype(np.float64), np.unique(units, return_inverse=True)[1]
    cross, power = np.bincount(code, left * deep), np.bincount(code, deep * deep)
    if not power.sum() > 0:
        return 0.0
    share = cross.sum() / power.sum()
    error = np.sqrt(np.square(cross - share * power).sum()) / power.sum()
    return float(np.clip(share - error, 0.0, 1.0))


def _forward(network: TwoTower, pairs: Pairs) -> NDArray[np.float64]:
    """Output for all pairs: both towers run once, pairs go through the head in blocks."""
    network.eval()
    with torch.inference_mode():
        blocks = [network(*pairs.block(rows)) for rows in torch.split(torch.arange(len(pairs)), PREDICT_ROWS)]
        return torch.cat(blocks).cpu().numpy().astype(np.float64)
