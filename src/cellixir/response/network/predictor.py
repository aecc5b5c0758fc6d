"""The network of the response job."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import torch

from cellixir.data.audit.findings import require_clean
from cellixir.data.audit.response import audit_response
from cellixir.data.splits import SPLIT_MEANING, split_groups, split_off
from cellixir.estimator import Arrays, OnEpoch
from cellixir.exceptions import ConfigurationError
from cellixir.metrics.conformal import Conformal
from cellixir.response.models.features import require_features
from cellixir.response.models.model import Known, ResponseModel
from cellixir.response.network.architecture import PRESETS, Architecture, Preset
from cellixir.response.network.committee import confirmed, connect, forward, typical_errors
from cellixir.response.network.domain import Domain
from cellixir.response.network.experience import experience
from cellixir.response.network.inputs import Inputs
from cellixir.response.network.pair_task import PairTask
from cellixir.response.network.wide import Wide
from cellixir.training import Epoch, TrainingConfig, derived_seed, pick_device, train
from cellixir.training.weights import network_of, weights_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.missing_genes import Missing
    from cellixir.data.response_data import ResponseData
    from cellixir.nn import TwoTower
    from cellixir.response.network.pair_task import Pairs


class ResponsePredictor(ResponseModel):
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
    inputs_ : Inputs
        Features and encodings of samples and drugs.
    share_ : float
        From 0, the linear part alone, to 1, the deep part in its place.
    history_ : DataFrame
        ``member, epoch, train_loss, validation_loss, learning_rate, seconds``; losses are mean squared errors
        of what the effects leave, in units of its variance: 1 is the effects alone.

    Examples
    --------
    >>> from cellixir.data.simulate import simulate_cohort
    >>> data = simulate_cohort(n_samples=30, n_drugs=6, n_genes=20, n_mutations=8, n_targets=2).response_data()
    >>> model = ResponsePredictor("LCO", members=1, training=TrainingConfig(max_epochs=2)).fit(data)
    >>> model.predict(data).shape == (len(data),)
    True
    """

    title = "Drug response: two-tower network"
    limits = (
        "Rank drugs for samples that resemble the training samples. Predicted differences are small beside the "
        "differences between drugs: read a prediction beside the drug's own mean, and `cellixir response benchmark` "
        "for how well the question can be answered at all. Cell lines are not patients. Samples unlike those of "
        "training, flagged in the column `in_domain`, may be missed by more than the typical error. The training data "
        "keep their own terms (GDSC: no commercial use)."
    )
    learned = "domain_"

    def __init__(
        self,
        split: str = "LCO",
        *,
        architecture: Architecture | None = None,
        training: TrainingConfig | None = None,
        members: int | None = None,
        preprocess: str = "",
        gene_sets: Mapping[str, Sequence[str]] | None = None,
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
        self.check_parameters()

    def check_parameters(self) -> None:
        """Refuse an unknown split, a seed below 0 and a committee without members."""
        Known.under(self.split)
        if self.seed < 0 or (self.members is not None and self.members < 1):
            message = f"members must be at least 1 and seed at least 0, not {self.members} and {self.seed}"
            raise ConfigurationError(message)

    @property
    def preset(self) -> Preset:
        """What the parameters come to for this split."""
        base = PRESETS[self.split]
        return Preset(
            self.architecture or base.architecture,
            self.training or base.training,
            base.members if self.members is None else self.members,
        )

    # -- fit -----------------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: ResponseData,
        y: Any = None,
        *,
        validation: NDArray[Any] | None = None,
        checkpoint: Path | None = None,
        on_epoch: OnEpoch | None = None,
        allow: Collection[str] | None = (),
    ) -> Self:
        """Learn from measured pairs, after an audit for leaks.

        Parameters
        ----------
        X
            Training pairs; its sample and drug tables may hold more ids than its pairs.
        y
            Not used: the responses stand in ``X``.
        validation
            Rows on which the first member stops; None cuts them off along the split, as the other members do.
        checkpoint
            Folder for the state after each epoch; a killed fit goes on from there and ends the same.
        on_epoch
            Called with the member's number, the epoch and the most epochs.
        allow
            Findings of the leakage audit that do not stop the fit, ``KIND`` or ``KIND:ID``; None: audited already.

        Raises
        ------
        ConfigurationError
            If there is nothing to learn a new sample or drug from.
        Leakage
            If a feature is the response, for example.
        """
        if allow is not None:  # a benchmark has audited all its folds at once
            require_clean(audit_response(X, self.split), allow)
        require_features(X, self.split)
        self.preset_, shape = self.preset, self.preset.architecture
        self.inputs_ = Inputs.fit(X, self.split, shape, self.preprocess, self.gene_sets)
        self._describe_data(X)
        samples, drugs = self.inputs_.samples, self.inputs_.drugs
        fitted = Wide.fit(X, Known.under(self.split), samples, drugs, linear=shape.linear)
        self.wide_ = fitted.wide
        if self.wide_.new_samples:  # a view that only adds noise to the linear part is small for the deep part too
            self.inputs_.gains = np.sqrt(fitted.block_weights)
        left = X.response - fitted.effects
        self.scale_ = float(left.std()) or 1.0
        pairs = self._pairs(X, target=left / self.scale_)
        rows, deep = self._train_members(X, pairs, validation, checkpoint, on_epoch)
        # from here on every number is about rows that the part which says it has not seen
        units = split_groups(X, self.split)[rows]
        self.share_ = confirmed(left[rows], fitted.linear[rows], deep * self.scale_, units)
        told = (1 - self.share_) * fitted.linear[rows] + self.share_ * deep * self.scale_
        errors, ids = left[rows] - told, X.responses[self.known_side].iloc[rows]
        self.typical_error_ = typical_errors(ids, errors)
        self.experience_ = experience(X.responses["drug"], X.response, rows, X.response[rows] - errors)
        self.conformal_ = Conformal.fit(errors, ids.to_numpy(str), units=units)
        self.domain_ = Domain.fit(samples, drugs, X, Known.under(self.split))
        return self

    def _describe_data(self, data: ResponseData) -> None:
        self.fingerprint_, self.measure_, self.unit_ = data.fingerprint, data.measure, data.unit
        self.n_pairs_, self.n_samples_ = len(data), len(np.unique(data.sample_index))
        self.scales_ = {name: str(view.uns.get("scale", "unknown")) for name, view in data.views.items()}
        self.drugs_ = data.drugs.iloc[np.unique(data.drug_index)]
        self.notes_ = self.inputs_.samples.notes + self.inputs_.drug_encoding.notes(self.drugs_)

    def _train_members(
        self,
        data: ResponseData,
        pairs: Pairs,
        validation: NDArray[Any] | None,
        checkpoint: Path | None,
        on_epoch: OnEpoch | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Train the committee; the rows that each member did not see, and what it says of them."""
        layouts = self.inputs_.sample_encoding.layouts.values()
        learned = self.fingerprint_ + "".join(_digest(a) for a in layouts)
        self._networks: list[TwoTower] = []
        history, held_out = [], []
        for number in range(self.preset_.members):
            train_rows, stop_rows = self._parts(data, validation, number)
            file = checkpoint / f"member-{number}.safetensors" if checkpoint else None
            settings = (self.split, self.preset_, self.preprocess, self.seed, number, learned, _digest(stop_rows))
            stop = pairs.subset(stop_rows)
            network, epochs = self._train(number, pairs.subset(train_rows), stop, file, repr(settings), on_epoch)
            self._networks.append(network)
            held_out.append((stop_rows, forward(network, stop)))
            history += [{"member": number, **asdict(epoch)} for epoch in epochs]
        self.history_ = pd.DataFrame(history)
        rows, told = (np.concatenate(part) for part in zip(*held_out, strict=True))
        return rows, told

    def _parts(
        self, data: ResponseData, validation: NDArray[Any] | None, number: int
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
        on_epoch: OnEpoch | None,
    ) -> tuple[TwoTower, list[Epoch]]:
        seed, training = derived_seed(self.seed, number), self.preset_.training
        network = self.inputs_.network(self.preset_.architecture, seed)
        connect(network, rows, stop)
        network = network.to(pick_device(self.device))
        epochs = train(
            PairTask(network, rows, stop),
            training,
            seed=seed,
            checkpoint=checkpoint,
            signature=signature,
            on_epoch=(lambda epoch: on_epoch(number, epoch, training.max_epochs)) if on_epoch else None,
        )
        return network, epochs

    # -- use -----------------------------------------------------------------------------------------------------------

    @property
    def members_(self) -> list[TwoTower]:
        """Networks of the committee."""
        return self._networks

    def predict(self, data: ResponseData) -> NDArray[np.float64]:
        """Mean of the members' predictions for each row of ``data``, shape ``(n_pairs,)``."""
        return np.asarray(self.predict_members(data).mean(axis=0))

    def predict_members(self, data: ResponseData, *, missing: Missing = "refuse") -> NDArray[np.float64]:
        """Prediction of each member, shape ``(n_members, n_pairs)``; they differ in their deep parts only.

        Raises
        ------
        GeneMismatch
            If features of the model are not in ``data`` and ``missing`` is ``'refuse'``.
        """
        self.check_is_fitted()
        matrices = self.inputs_.matrices(data, missing)
        pairs = self.inputs_.pairs(data, matrices, pick_device(self.device))
        start = self.wide_.effects.predict(data) + (1 - self.share_) * self.wide_.linear(data, *matrices)
        deep = [self.share_ * self.scale_ * forward(network, pairs) for network in self._networks]
        return self.finite(np.stack([start + part for part in deep]))

    def features(self, data: ResponseData) -> tuple[NDArray[np.float32], list[str]]:
        """Features of each row's sample and drug, shape ``(n_pairs, n_features)``, and their names.

        Encoders of graphs, SMILES and targets read the drugs themselves; ids with an embedding are no feature.
        """
        self.check_is_fitted()
        samples, drugs = self.inputs_.matrices(data)
        return np.hstack([samples[data.sample_index], drugs[data.drug_index]]), self.inputs_.names

    def half_width(self, data: ResponseData, level: float = 0.9) -> NDArray[np.float64]:
        """Half the width of each row's interval, which holds the response with probability ``level``, ``(n_pairs,)``.

        Split-conformal, from errors of rows that members did not see; infinite where too few were held out.
        """
        self.check_is_fitted()
        return self.conformal_.half_width(data.responses[self.known_side].to_numpy(str), level)

    @property
    def known_side(self) -> str:
        """Column whose ids have a typical error: those that will be known when a pair is predicted."""
        return "drug" if Known.under(self.split).drugs else "sample"

    @property
    def new_side(self) -> str:
        """What may be new when a pair is predicted: ``sample`` or, under LDO, ``drug``."""
        return "sample" if Known.under(self.split).drugs else "drug"

    def in_domain(self, data: ResponseData, *, missing: Missing = "refuse") -> NDArray[np.bool_]:
        """Whether each row's sample (under LDO drug) is like those of training, shape ``(n_pairs,)``."""
        self.check_is_fitted()
        return self.domain_.inside(self.inputs_.samples.transform(data, missing=missing), data)

    def typical_error(self, data: ResponseData) -> NDArray[np.float64]:
        """Root mean square error of each row's drug (under LDO: sample) on rows held out of training, ``(n_pairs,)``.

        One standard deviation, roughly, of what will be missed; the mean over all where the id has few such rows.
        """
        self.check_is_fitted()
        ids = data.responses[self.known_side]
        return np.asarray(ids.map(self.typical_error_).fillna(self.typical_error_[""]), dtype=np.float64)

    def _pairs(self, data: ResponseData, target: NDArray[np.float64] | None = None) -> Pairs:
        return self.inputs_.pairs(data, self.inputs_.matrices(data), pick_device(self.device), target)

    # -- bundle --------------------------------------------------------------------------------------------------------

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """What was learned, and the weights of each member."""
        self.check_is_fitted()
        arrays, facts = super().state()
        for i, network in enumerate(self._networks):
            arrays |= weights_of(network, f"member{i}")
        return arrays, facts

    def restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        """Take back what `state` gave; a model of a machine with a GPU is loaded on one without."""
        super().restore(arrays, facts)
        if not torch.cuda.is_available():
            self.device = "cpu" if self.device == "cpu" else "auto"
        self._check_parts()
        self._networks = []
        for i in range(self.preset_.members):
            network = network_of(lambda: self.inputs_.network(self.preset_.architecture, 0), arrays, f"member{i}")
            self._networks.append(network.to(pick_device(self.device)))

    def _check_parts(self) -> None:
        """Refuse parts of a bundle that would fail in the middle of a prediction."""
        inputs, wide = self.inputs_, self.wide_
        inputs.drugs.transform(pd.DataFrame(index=["of no structure"]))
        samples, effects = inputs.samples, wide.effects
        for table in (effects.sample, effects.drug, effects.deviation, effects.count):
            table.to_numpy(dtype=np.float64)
        names = (samples if wide.new_samples else inputs.drugs).names
        linear = not len(wide.models) or wide.weights.shape == (len(names), len(wide.models))
        if not linear or not {*samples.views, *samples.onehot.levels} <= samples.blocks.gain.keys():
            message = (
                f"{len(names):,} features and {len(samples.views)} views for a linear part of {wide.weights.shape}"
            )
            raise ValueError(message)

    def describe(self) -> list[str]:
        """Sentences for the card."""
        shape, training, unit = self.preset_.architecture, self.preset_.training, self.unit_
        samples, encoders = self.inputs_.samples, self.inputs_.sample_encoding.encoders.items()
        views = ", ".join(f"{name} ({len(view.inputs):,} features)" for name, view in samples.views.items())
        losses = [f"{part['validation_loss'].min():.3f}" for _, part in self.history_.groupby("member")]
        ninety = self.conformal_.half_width(np.array(["any"]), 0.9)[0]
        return [
            f"question: {self.split}: {SPLIT_MEANING[self.split]}",
            f"predicts {self.measure_}{f' ({unit})' if unit else ''}",
            f"learned from {self.n_pairs_:,} measurements of {self.n_samples_:,} samples, {len(self.drugs_):,} drugs",
            f"data fingerprint: `{self.fingerprint_}`",
            f"views: {views or 'none'}; annotation: {', '.join(samples.onehot.levels) or 'none'}",
            f"drug features: {len(self.inputs_.drugs.names):,} columns",
            f"encoders of samples: {', '.join(f'{view} {name}' for view, name in encoders) or 'none'}",
            f"encoder of drugs: {self.inputs_.drug_encoding.encoder}",
            f"network: latent {shape.latent}, encoder {shape.encoder}, head {shape.head}, {len(losses)} members",
            f"training: at most {training.max_epochs} epochs, batch {training.batch_size}, seed {self.seed}",
            f"validation loss of each member: {', '.join(losses)} (1 is the naive effects alone)",
            f"share of the deep part beside the linear one: {self.share_:.2f}",
            f"typical error on rows held out of training (root mean square): {self.typical_error_['']:.3f} {unit}",
            f"half width of a 90 % interval: {ninety:.2f} {unit}, for a {self.known_side} without errors of its own",
        ]


def _digest(rows: NDArray[np.int64]) -> str:
    return hashlib.sha256(rows.tobytes()).hexdigest()
