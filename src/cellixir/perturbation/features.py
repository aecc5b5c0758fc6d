"""What models read of a condition: the structures and doses of its drugs, and the controls of its cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.data.drugs import morgan_fingerprints
from cellixir.perturbation.wells import drugs_of, parts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BITS = 1024
#: Principal axes of the controls that tell contexts apart, at most.
AXES = 16


@dataclass(frozen=True, eq=False)
class Parts:
    """Drugs of conditions, one row a drug: a pair has two.

    Attributes
    ----------
    row
        Condition of each, shape ``(n_parts,)``.
    drug
        Names, shape ``(n_parts,)``.
    log_dose
        log10 of µM, NaN where unknown.
    """

    row: NDArray[np.int64]
    drug: NDArray[np.str_]
    log_dose: Floats

    @classmethod
    def of(cls, obs: pd.DataFrame) -> Parts:
        """Drugs of the rows of ``obs`` in their order."""
        split = [parts_of(name) for name in obs["perturbation"]]
        row = np.repeat(np.arange(len(split)), [len(parts) for parts in split])
        doses = obs[["dose_1", "dose_2"]].to_numpy(np.float64)
        at = np.concatenate([np.arange(len(parts)) for parts in split]) if split else np.empty(0, np.int64)
        dose = doses[row, at]
        with np.errstate(divide="ignore", invalid="ignore"):
            log_dose = np.where(dose > 0, np.log10(dose), np.nan)
        return cls(row, np.array([name for parts in split for name in parts], dtype=str), log_dose)


@dataclass(frozen=True, eq=False)
class ConditionFeatures:
    """Features of drugs and contexts, learned from training rows.

    Attributes
    ----------
    drugs
        Names of the training drugs, in order.
    bits
        Fingerprint bits that tell training drugs apart.
    centre, axes
        Mean of the control profiles, and directions in which contexts differ, each scaled to unit spread.
    lines
        Cell lines of training.
    dose_centre, time_centre
        Means of log10 dose and log10 time; what is unknown counts as these.
    smiles
        Structures that are known.
    """

    drugs: tuple[str, ...]
    bits: NDArray[np.int64]
    centre: Floats
    axes: Floats
    lines: tuple[str, ...]
    dose_centre: float
    time_centre: float
    smiles: pd.Series

    @classmethod
    def fit(cls, effects: ad.AnnData) -> ConditionFeatures:
        """Learn from treated training rows."""
        obs, smiles = effects.obs, effects.uns["smiles"]
        drugs = drugs_of(obs["perturbation"])
        prints = fingerprints(drugs, smiles)
        share = prints.mean(axis=0)
        bits = np.flatnonzero((share > 0) & (share < 1)) if len(drugs) > 1 else np.empty(0, np.int64)
        centre, axes = _context_axes(effects)
        parts = Parts.of(obs)
        dose, time = parts.log_dose, _log_time(obs)
        return cls(
            tuple(drugs), bits, centre, axes, tuple(sorted(set(obs["cell_line"].astype(str)))),
            float(np.nanmean(dose)) if np.isfinite(dose).any() else 0.0,
            float(np.nanmean(time)) if np.isfinite(time).any() else 0.0, smiles,
        )  # fmt: skip

    def known_bits(self, drugs: Sequence[str], smiles: pd.Series | None = None) -> Floats:
        """Fingerprints of drugs on the bits of training, shape ``(n_drugs, n_bits)``."""
        known = (
            self.smiles if smiles is None else pd.concat([self.smiles, smiles[~smiles.index.isin(self.smiles.index)]])
        )
        return fingerprints(drugs, known)[:, self.bits]

    def dose(self, parts: Parts) -> Floats:
        """log10 dose less its training mean; 0 where unknown."""
        return np.nan_to_num(parts.log_dose - self.dose_centre)

    def time(self, obs: pd.DataFrame) -> Floats:
        """log10 hours less their training mean; 0 where unknown."""
        return np.nan_to_num(_log_time(obs) - self.time_centre)

    def context(self, effects: ad.AnnData) -> Floats:
        """Coordinates of the controls of each row, shape ``(n, n_axes)``; no axis where there are no controls."""
        if "control" not in effects.layers:
            return np.zeros((effects.n_obs, 0))
        return (np.asarray(effects.layers["control"], dtype=np.float64) - self.centre) @ self.axes


def fingerprints(drugs: Sequence[str], smiles: pd.Series) -> Floats:
    """Morgan bits of drugs, shape ``(n_drugs, BITS)``; none set where the structure is unknown."""
    return morgan_fingerprints(smiles.reindex(list(drugs)), n_bits=BITS).astype(np.float64)


def tanimoto(a: Floats, b: Floats) -> Floats:
    """Shared bits over bits of either, shape ``(n_a, n_b)``; 0 where one has none."""
    common = a @ b.T
    either = a.sum(axis=1)[:, None] + b.sum(axis=1) - common
    return np.asarray(np.divide(common, either, out=np.zeros_like(common), where=either > 0))


def _log_time(obs: pd.DataFrame) -> Floats:
    time = obs["time"].to_numpy(np.float64)
    return np.log10(np.where(time > 0, time, np.nan))


def _context_axes(effects: ad.AnnData) -> tuple[Floats, Floats]:
    """Mean of the control profiles of the cell lines, and the axes along which they differ; no axis for one line."""
    if "control" not in effects.layers:
        return np.zeros(effects.n_vars), np.zeros((effects.n_vars, 0))
    lines = pd.factorize(effects.obs["cell_line"].astype(str))[0]
    n = np.bincount(lines)
    means = np.zeros((len(n), effects.n_vars))
    np.add.at(means, lines, np.asarray(effects.layers["control"], dtype=np.float64))
    means /= n[:, None]
    centre = means.mean(axis=0)
    if len(n) < 2:
        return centre, np.zeros((effects.n_vars, 0))
    _, values, directions = np.linalg.svd(means - centre, full_matrices=False)
    k = min(AXES, len(n) - 1)
    # one scale for all axes: a direction in which lines hardly differ stays small
    return centre, directions[:k].T / max(values[0] / np.sqrt(len(n)), 1e-12)
