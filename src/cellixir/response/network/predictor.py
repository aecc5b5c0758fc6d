"""The network of the response job."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch

from cellixir.data.audit.response import audit_response, require_clean
from cellixir.data.response_data import ResponseData
from cellixir.data.splits import split_groups, split_off
from cellixir.estimator import Arrays, Estimator
from cellixir.exceptions import ConfigurationError, NotFitted
from cellixir.metrics.conformal import Conformal
from cellixir.nn import TargetGraphEncoder, Tower, TwoTower
from cellixir.response.models.drug_features import DrugFeatures
from cellixir.response.models.features import SampleFeatures, require_features
from cellixir.response.models.model import Known
from cellixir.response.network.architecture import PRESETS, Architecture, Preset
from cellixir.response.network.card import model_card
from cellixir.response.network.committee import confirmed, forward
from cellixir.response.network.domain import Domain
from cellixir.response.network.encoders import DrugEncoding, SampleEncoding, Shape
from cellixir.response.network.pair_task import Pairs, PairTask, SideTable
from cellixir.response.network.wide import Wide
from cellixir.training import Epoch, TrainingConfig, derived_seed, pick_device, train

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from numpy.typing import NDArray

    from cellixir.nn import GraphBatch
    from cellixir.response.network.encoders import GeneSets

MIN_HELD_OUT = 20
_DATA_FACTS = ("fingerprint", "measure", "unit", "n_pairs", "n_samples", "scales")


class Inputs(NamedTuple):
    """Features of every sample and of every drug."""

    samples: NDArray[np.float32]
    drugs: NDArray[np.float32]


class ResponsePredictor(Estimator):
    """Two-tower network for drug response, a committee of ``members``.

    Wide and deep. The wide part (naive effects, and a linear model where one side is new) is solved in closed form.
    The deep part learns what the effects leave: a sample tower and a drug tower meet in an inner product and a small
    head. Ids that were seen in training also carry a learned embedding where the question allows it. Each member stops
    on an inner validation part of its own, so that the committee learns from all rows (Krogh and Vedelsby, NIPS 1994);
    what all members say of those parts decides how much the deep part counts beside the linear one.

    Parameters
    ----------
    split
        The question: LPO (known samples and drugs), LCO (new samples), LDO (new drugs), LTO (new tissues).
    architecture, training, members
        None: the preset of the split.
    preprocess
        Steps for the views, learned from training samples, for example ``variance=500,standard``; empty: standardised.
    gene_sets
        Genes by pathway, for ``transformer`` encoders; None: tokens of genes that stand together.
    seed
        Makes fit and prediction repeatable to the bit on one machine.
    device
        ``auto``, ``cpu``, ``cuda``.

    Attributes
    ----------
    members_ : list of TwoTower
    share_ : float
        From 0, the linear part alone, to 1, the deep part in its place.
    history_ : DataFrame
        ``member, epoch, train_loss, validation_loss, learning_rate, seconds``; losses are mean squared errors
        of what the effects leave, in units of its variance: 1 is the effects alone.
    """

    def __init__(
        self,
        split: str = "LCO",
        *,
        architecture: Architecture | None = None,
        training: TrainingConfig | None = None,
        members: int | None = None,
        preprocess: str = "",
        gene_sets: GeneSets | None = None,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.split = split
        self.architecture = architecture
        self.training = training
        self.members = members
        self.preprocess = preprocess
        self.gene_sets = gene_sets
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
        allow: Collection[str] | None = (),
        checkpoint: Path | None = None,
        on_epoch: Callable[[int, Epoch], None] | None = None,
    ) -> Self:
        """Learn from ``data``, after an audit for leaks.

        Parameters
        ----------
        data
            Training pairs; its sample and drug tables may hold more ids than its pairs.
        validation
            Rows on which the first member stops; None cuts them off along the split, as the other members do.
        allow
            Findings of the leakage audit that do not stop the fit, ``KIND`` or ``KIND:ID``; None: audited already.
        checkpoint
            Folder for the state after each epoch; a killed fit goes on from there and ends the same.
        on_epoch
            Called with the member's number and the epoch.

        Raises
        ------
        ConfigurationError
            If there is nothing to learn a new sample or drug from.
        Leakage
            If a feature is the response, for example.
        """
        if allow is not None:
            require_clean(audit_response(data, self.split), allow)
        self._learn_features(data)
        self.members_: list[TwoTower] = []
        self.fingerprint_, self.measure_, self.unit_ = data.fingerprint, data.measure, data.unit
        self.n_pairs_, self.n_samples_ = len(data), len(np.unique(data.sample_index))
        self.scales_ = {name: str(view.uns.get("scale", "unknown")) for name, view in data.views.items()}
        self.drugs_ = data.drugs.iloc[np.unique(data.drug_index)]
        known, linear = Known.under(self.split), self.preset.architecture.linear
        fitted = Wide.fit(data, known, self.sample_features_, self.drug_features_, linear=linear)
        self.wide_ = fitted.wide
        blocks = fitted.block_weights if fitted.wide.new_samples else np.ones(len(self.sample_features_.widths))
        self.view_gain_ = np.sqrt(blocks)
        left = data.response - fitted.effects
        self.scale_ = float(left.std()) or 1.0
        pairs = self._pairs(data, self._inputs(data), left / self.scale_)
        held_out = self._train_members(data, pairs, validation, checkpoint, on_epoch)
        rows, deep = (np.concatenate(part) for part in zip(*held_out, strict=True))
        units = split_groups(data, self.split)[rows]
        self.share_ = confirmed(left[rows], fitted.linear[rows], deep * self.scale_, units)
        said = (1 - self.share_) * fitted.linear[rows] + self.share_ * deep * self.scale_
        self._learn_errors(data, rows, left[rows] - said, units)
        return self

    def _train_members(
        self,
        data: ResponseData,
        pairs: Pairs,
        validation: NDArray[np.int64] | None,
        checkpoint: Path | None,
        on_epoch: Callable[[int, Epoch], None] | None,
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Train the committee; the rows that each member did not see, and what it says of them."""
        learned = self.fingerprint_ + "".join(_digest(a) for a in self.sample_encoding_.layouts.values())
        history, held_out = [], []
        for number in range(self.preset.members):
            train_rows, stop_rows = self._parts(data, validation, number)
            file = checkpoint / f"member-{number}.safetensors" if checkpoint else None
            signature = repr((self.split, self.preset, self.preprocess, self.seed, number, learned, _digest(stop_rows)))
            stop = pairs.subset(stop_rows)
            network, epochs = self._train(number, pairs.subset(train_rows), stop, file, signature, on_epoch)
            self.members_.append(network)
            held_out.append((stop_rows, forward(network, stop)))
            history += [{"member": number, **asdict(epoch)} for epoch in epochs]
        self.history_ = pd.DataFrame(history)
        return held_out

    def _learn_errors(
        self, data: ResponseData, rows: NDArray[np.int64], errors: NDArray[np.float64], units: NDArray[np.int64]
    ) -> None:
        """What was missed of rows that were held out: typical errors and intervals; and what is far from training."""
        ids = data.responses[self.known_side].iloc[rows]
        self.typical_error_ = _typical_error(ids, errors)
        self.conformal_ = Conformal.fit(errors, ids.to_numpy(str), units=units)
        self.domain_ = Domain.fit(self.sample_features_, self.drug_features_, data, Known.under(self.split))

    def half_width(self, data: ResponseData, level: float = 0.9) -> NDArray[np.float64]:
        """Half the width of each row's interval, which holds the response with probability ``level``, ``(n_pairs,)``.

        Split-conformal, from errors of rows that members did not see; infinite where too few were held out.
        """
        self.check_fitted()
        return self.conformal_.half_width(data.responses[self.known_side].to_numpy(str), level)

    @property
    def known_side(self) -> str:
        """Column whose ids have a typical error: those that will be known when a pair is predicted."""
        return "drug" if Known.under(self.split).drugs else "sample"

    @property
    def new_side(self) -> str:
        """What may be new when a pair is predicted: ``sample`` or, under LDO, ``drug``."""
        return "sample" if Known.under(self.split).drugs else "drug"

    def in_domain(self, data: ResponseData, *, missing: str = "error") -> NDArray[np.bool_]:
        """Whether each row's sample (under LDO drug) is like those of training, shape ``(n_pairs,)``."""
        self.check_fitted()
        return self.domain_.inside(self.sample_features_.transform(data, missing=missing), data)

    def typical_error(self, data: ResponseData) -> NDArray[np.float64]:
        """Root mean square error of each row's drug (under LDO: sample) on rows held out of training, ``(n_pairs,)``.

        One standard deviation, roughly, of what will be missed; the mean over all where the id has few such rows.
        """
        self.check_fitted()
        ids = data.responses[self.known_side]
        return np.asarray(ids.map(self.typical_error_).fillna(self.typical_error_[""]), dtype=np.float64)

    def _learn_features(self, data: ResponseData) -> None:
        known = Known.under(self.split)
        require_features(data, self.split)
        shape = self.preset.architecture
        seen_samples, seen_drugs = np.unique(data.sample_index), np.unique(data.drug_index)
        self.sample_features_ = SampleFeatures(self.preprocess).fit(data)
        self.drug_features_ = DrugFeatures().fit(data)
        flat = self.sample_features_.transform(data)[seen_samples]
        self.sample_encoding_ = SampleEncoding.fit(self.sample_features_, flat, shape.sample_encoder, self.gene_sets)
        self.drug_encoding_ = DrugEncoding.fit(self.drug_features_, data.drugs.iloc[seen_drugs], shape.drug_encoder)
        self._drug_rows = seen_drugs
        self.notes_ = self.sample_features_.notes + self.drug_encoding_.notes(data.drugs.iloc[seen_drugs])
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
        network = self._network(seed)
        for encoder, block in zip(network.drug.encoders, rows.drugs.blocks, strict=True):
            if isinstance(encoder, TargetGraphEncoder) and isinstance(block, torch.Tensor):
                encoder.connect(block[torch.from_numpy(self._drug_rows)])
        network = network.to(pick_device(self.device))
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
        a = self.preset.architecture
        shape = Shape(a.encoder, a.latent + 1, a.dropout, a.input_dropout)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            samples, drugs = self.sample_encoding_.modules(shape), self.drug_encoding_.modules(shape)
            sample = Tower(samples, len(self.known_samples_), a.latent, block_dropout=a.view_dropout)
            drug = Tower(drugs, len(self.known_drugs_), a.latent)
            return TwoTower(sample, drug, hidden=a.head, dropout=a.dropout)

    def _pairs(self, data: ResponseData, inputs: Inputs, target: NDArray[np.float64] | None = None) -> Pairs:
        device = pick_device(self.device)
        sample_blocks = self.sample_encoding_.blocks(inputs.samples, self.view_gain_)
        drug_blocks = self.drug_encoding_.blocks(data.drugs, inputs.drugs)
        here = self.drug_encoding_.present(data.drugs, len(drug_blocks))
        return Pairs(
            _side_table(sample_blocks, self.sample_features_.present(data), self.known_samples_, data.samples, device),
            _side_table(drug_blocks, here, self.known_drugs_, data.drugs, device),
            torch.from_numpy(data.sample_index).to(device),
            torch.from_numpy(data.drug_index).to(device),
            torch.from_numpy(np.zeros(len(data)) if target is None else target).float().to(device),
        )

    def _inputs(self, data: ResponseData, *, missing: str = "error") -> Inputs:
        samples = self.sample_features_.transform(data, missing=missing)
        return Inputs(samples, self.drug_features_.transform(data.drugs))

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
        inputs = self._inputs(data, missing=missing)
        pairs, effects = self._pairs(data, inputs), self.wide_.effects.predict(data)
        start = effects + (1 - self.share_) * self.wide_.linear(data, *inputs)
        return np.stack([start + self.share_ * self.scale_ * forward(network, pairs) for network in self.members_])

    def check_fitted(self) -> None:
        """Refuse what needs a fitted model."""
        if not hasattr(self, "members_"):
            message = "fit the ResponsePredictor, or load a bundle, before it predicts or is saved"
            raise NotFitted(message)

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """Arrays and facts of the fitted model."""
        self.check_fitted()
        arrays, features = self.sample_features_.state()
        layouts, sample_encoding = self.sample_encoding_.state()
        arrays = {f"features/{n}": a for n, a in arrays.items()} | {f"layout/{n}": a for n, a in layouts.items()}
        wide, wide_facts = self.wide_.state()
        arrays |= {f"wide/{n}": a for n, a in wide.items()}
        conformal, conformal_facts = self.conformal_.state()
        domain, domain_facts = self.domain_.state()
        arrays |= {f"conformal/{n}": a for n, a in conformal.items()} | {f"domain/{n}": a for n, a in domain.items()}
        for i, member in enumerate(self.members_):
            weights = member.state_dict()
            arrays |= {f"member{i}/network/{n}": t.cpu().numpy() for n, t in weights.items()}
        return arrays, {
            "parameters": {
                "split": self.split,
                "architecture": asdict(self.preset.architecture),
                "training": asdict(self.preset.training),
                "members": self.preset.members,
                "preprocess": self.preprocess,
                "seed": self.seed,
            },
            "data": {name: getattr(self, f"{name}_") for name in _DATA_FACTS},
            "sample_features": features,
            "drug_features": self.drug_features_.state(),
            "sample_encoding": sample_encoding,
            "drug_encoding": self.drug_encoding_.state(),
            "notes": self.notes_,
            "known_samples": list(self.known_samples_),
            "known_drugs": list(self.known_drugs_),
            "drugs": json.loads(self.drugs_.to_json(orient="split")),
            "wide": wide_facts,
            "scale": self.scale_,
            "typical_error": self.typical_error_,
            "share": self.share_,
            "view_gain": [float(gain) for gain in self.view_gain_],
            "conformal": conformal_facts,
            "domain": domain_facts,
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
        model.sample_encoding_ = SampleEncoding.from_state(_under(arrays, "layout/"), facts["sample_encoding"])
        model.drug_encoding_, model.notes_ = DrugEncoding.from_state(facts["drug_encoding"]), facts["notes"]
        model.known_samples_, model.known_drugs_ = (
            pd.Index(facts["known_samples"]),
            pd.Index(facts["known_drugs"]),
        )
        model.drugs_ = pd.DataFrame(**facts["drugs"])
        model.wide_, model.scale_ = Wide.from_state(_under(arrays, "wide/"), facts["wide"]), facts["scale"]
        model.share_, model.view_gain_ = facts["share"], np.array(facts["view_gain"])
        model.conformal_ = Conformal.from_state(_under(arrays, "conformal/"), facts["conformal"])
        model.domain_ = Domain.from_state(_under(arrays, "domain/"), facts["domain"])
        model.members_ = [model._member(i, arrays) for i in range(parameters["members"])]
        return model

    def _member(self, i: int, arrays: Arrays) -> TwoTower:
        network = self._network(0)
        weights = _under(arrays, f"member{i}/network/")
        network.load_state_dict({n: torch.from_numpy(a) for n, a in weights.items()})
        return network.to(pick_device(self.device)).eval()

    def card(self) -> str:
        """Model card in Markdown."""
        self.check_fitted()
        return model_card(self)


def _side_table(
    blocks: tuple[torch.Tensor | GraphBatch, ...],
    present: NDArray[np.bool_],
    known: pd.Index,
    table: pd.DataFrame,
    device: torch.device,
) -> SideTable:
    identity = torch.from_numpy(known.get_indexer(table.index) + 1).to(device)
    here = torch.from_numpy(present.astype(np.float32)).to(device)
    return SideTable(tuple(block.to(device) for block in blocks), here, identity)


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
