"""Fit one predictor to all wells, with intervals from folds that leave something out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from cellixir.exceptions import ConfigurationError
from cellixir.perturbation.calibration import Calibration
from cellixir.perturbation.controls import consensus, effects_of, fingerprint
from cellixir.perturbation.models import model_named
from cellixir.perturbation.splits import make_folds, split_units

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import anndata as ad
    import pandas as pd

    from cellixir.estimator import OnEpoch
    from cellixir.perturbation.model import PerturbationModel
    from cellixir.perturbation.wells import Keys

    OnFold = Callable[[int, int], None]


def fit(
    wells: ad.AnnData,
    keys: Keys,
    *,
    model: str = "kernel_ridge",
    parameters: Mapping[str, Any] | None = None,
    split: str = "drug",
    n_folds: int = 5,
    values: str = "auto",
    smiles: pd.Series | None = None,
    seed: int = 0,
    device: str = "auto",
    checkpoint: Path | None = None,
    on_epoch: OnEpoch | None = None,
    on_fold: OnFold | None = None,
) -> PerturbationModel:
    """Predictor of what drugs do, fitted to all wells.

    Parameters
    ----------
    wells, keys, values, smiles
        As of `effects_of`.
    model, parameters
        Name of ``cellixir.perturbation.models.MODELS``, and what is not its default.
    split
        What will be new when it is asked: intervals are made for that, and networks stop on it.
    n_folds
        Of the calibration; 0: no intervals.
    checkpoint, on_epoch
        Where networks keep their state, of these data alone, and go on from; called after each of their epochs.
    on_fold
        Called before each fit with its number and how many there are, the last one on all wells.

    Returns
    -------
    PerturbationModel
        Ready to `predict` and `save`; ``notes_`` says what was left out.

    Raises
    ------
    ConfigurationError, InvalidValues
        As of `effects_of`, or if the model or a parameter is not known.

    Examples
    --------
    >>> fit(wells, Keys("pert_iname", ("DMSO",)), model="compositional").save("mine.bundle")  # doctest: +SKIP
    """
    if n_folds == 1 or n_folds < 0:
        message = f"n_folds must be 2 or more, or 0 for no intervals, not {n_folds}"
        raise ConfigurationError(message)
    made = model_named(model).given(parameters or {}).make(split, seed, device)
    effects = effects_of(wells, keys, values=values, smiles=smiles)
    place = checkpoint / fingerprint(effects)[:16] if checkpoint else None  # other data do not go on from here
    options: dict[str, Any] = {"seed": seed, "checkpoint": place, "on_epoch": on_epoch, "on_fold": on_fold}
    calibration = calibrated(made, effects, split, n_folds=n_folds, **options) if n_folds else None
    if on_fold:
        on_fold(n_folds, n_folds + 1)
    made.fit(effects, checkpoint=place, on_epoch=on_epoch)
    made.calibration_, made.notes_ = calibration, list(effects.uns["notes"])
    return made


def calibrated(
    model: PerturbationModel, effects: ad.AnnData, split: str, *, n_folds: int = 5, seed: int = 0,
    checkpoint: Path | None = None, on_epoch: OnEpoch | None = None, on_fold: OnFold | None = None,
) -> Calibration:  # fmt: skip
    """Errors of models like ``model`` on conditions of folds that they have not seen."""
    folds, _ = make_folds(effects, split, n_folds=n_folds, seed=seed)
    control, units = np.flatnonzero(effects.obs["is_control"]), split_units(effects, split)
    found = []
    for fold in folds:
        if on_fold:
            on_fold(fold.number, n_folds + 1)
        known = effects[np.sort(np.concatenate([fold.train, control]))].copy()
        place = checkpoint / f"fold-{fold.number}" if checkpoint else None
        own = clone(model).fit(known, checkpoint=place, on_epoch=on_epoch)
        tested = effects[fold.test].copy()
        tested.obs["unit"] = units[fold.test]
        question = consensus(tested)
        told = np.asarray(own.predict(question).X, dtype=np.float64)
        mean = np.broadcast_to(own.mean_, told.shape)
        found.append((np.asarray(question.X), told, mean, own.spread(question), question.obs["unit"].to_numpy()))
    measured, told, mean, spread, unit = (np.concatenate(part) for part in zip(*found, strict=True))
    return Calibration.of(split, list(map(str, effects.var_names)), measured, told, mean, spread, unit, seed)
