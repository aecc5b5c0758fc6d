r"""Ridge regression of effects on drugs and contexts, through kernels.

The kernel of two conditions is that of their drugs, summed over the drugs of a pair, times that of their contexts:
:math:`k = (\sum_{a \in A, b \in B} k_{drug}(a, b)\, k_{dose}(a, b)) \cdot k_{context} \cdot k_{time}`. With linear
parts this is the bilinear model of fingerprint x basal profile; with Tanimoto and Gaussian ones, kernel ridge. A share
of :math:`k_{drug}` is the same for all drugs: what any drug does at a dose, in a context. Share and penalty are chosen
by leaving out whole units of the split, in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cellixir.exceptions import ConfigurationError
from cellixir.perturbation.features import Parts, tanimoto
from cellixir.perturbation.model import PerturbationModel
from cellixir.perturbation.splits import inner_units

if TYPE_CHECKING:
    from pathlib import Path

    import anndata as ad
    from numpy.typing import NDArray

    from cellixir.estimator import OnEpoch
    from cellixir.perturbation.features import ConditionFeatures
    from cellixir.perturbation.model import Held

    Floats = NDArray[np.float64]

PENALTIES = np.logspace(-3, 4, 15)
#: Shares of the kernel of drugs that all drugs have in common.
SHARES = (0.0, 0.2, 0.8)
#: Conditions beyond which a kernel matrix would not fit; the mean of what is left out is no worse than a guess.
MOST = 12_000


class EffectRidge(PerturbationModel):
    """Kernel ridge regression of effects on structure, dose, context and time.

    Parameters
    ----------
    kernel
        ``linear``: bilinear in fingerprint and basal profile. ``tanimoto``: Tanimoto similarity of structures, Gaussian
        of log dose and of the basal profile, with products of the drugs of a pair.
    split
        What will be new when it is asked: the penalty is chosen by leaving out such units.

    Examples
    --------
    >>> EffectRidge("linear", split="pair")
    EffectRidge(kernel='linear', split='pair')
    """

    title = "Kernel ridge regression of effects"

    def __init__(self, kernel: Literal["linear", "tanimoto"] = "tanimoto", *, split: str = "drug") -> None:
        self.kernel = kernel
        self.split = split
        self.check_parameters()

    def check_parameters(self) -> None:
        """Refuse an unknown kernel."""
        if self.kernel not in ("linear", "tanimoto"):
            message = f"the kernel '{self.kernel}' is not known; choose linear or tanimoto"
            raise ConfigurationError(message)

    def _learn(
        self,
        conditions: ad.AnnData,
        wells: ad.AnnData,
        *,
        held: Held,
        checkpoint: Path | None,
        on_epoch: OnEpoch | None,
    ) -> None:
        if conditions.n_obs > MOST:
            message = (
                f"{conditions.n_obs:,} conditions are more than the {MOST:,} that a kernel can hold; leave some out"
            )
            raise ConfigurationError(message)
        self.described_ = Described.of(conditions, self.features_)
        y = np.asarray(conditions.X, dtype=np.float64) - self.mean_
        units = inner_units(conditions, self.split)
        best = np.inf
        for share in SHARES:
            k = self.described_.kernel(self.described_, self.kernel, share)
            scale = float(np.trace(k) / len(k)) or 1.0
            penalty, weights, error = fitted(k / scale, y, units)
            if error < best:
                best = error
                self.share_, self.scale_, self.penalty_, self.weights_ = share, scale, penalty, weights

    def _change(self, question: ad.AnnData) -> NDArray[Any]:
        asked = Described.of(question, self.features_)
        k = asked.kernel(self.described_, self.kernel, self.share_) / self.scale_
        return np.asarray(self.mean_ + k @ self.weights_)


def fitted(k: Floats, y: Floats, units: NDArray[np.int64]) -> tuple[float, Floats, float]:
    r"""Penalty of the least error on left-out units, the dual weights ``(n, n_targets)``, and that sum of squares.

    What a unit's rows are predicted without it is :math:`\hat y_u - y_u = (I - H_{uu})^{-1} (y - H y)_u`, with
    :math:`H = K (K + \lambda I)^{-1}`. Rows of no unit (-1) are never left out.
    """
    values, vectors = np.linalg.eigh(k)
    values = np.maximum(values, 0.0)
    turned = vectors.T @ y
    groups = [np.flatnonzero(units == unit) for unit in range(int(units.max(initial=-1)) + 1)]
    groups = [rows for rows in groups if 0 < len(rows) < len(k)] or [np.array([row]) for row in range(len(k))]
    errors = []
    for penalty in PENALTIES:
        shrink = values / (values + penalty)
        residual = y - vectors @ (shrink[:, None] * turned)
        error = 0.0
        for rows in groups:
            own = vectors[rows]
            hat = (own * shrink) @ own.T
            error += float(
                np.square(np.linalg.solve(np.eye(len(rows)) - hat + 1e-12 * np.eye(len(rows)), residual[rows])).sum()
            )
        errors.append(error)
    penalty = float(PENALTIES[int(np.argmin(errors))])
    return penalty, vectors @ (turned / (values + penalty)[:, None]), min(errors)


@dataclass(frozen=True, eq=False)
class Described:
    """Conditions as kernels compare them: of each drug of a row its number, name, bits and dose; of rows the rest."""

    n: int
    row: NDArray[np.int64]
    names: NDArray[np.str_]
    bits: Floats
    dose: Floats
    context: Floats
    time: Floats
    line: NDArray[np.str_]

    @classmethod
    def of(cls, data: ad.AnnData, known: ConditionFeatures) -> Described:
        """Drugs, doses and contexts of the rows of ``data``."""
        parts = Parts.of(data.obs)
        drugs = sorted(set(parts.drug))
        code = np.searchsorted(drugs, parts.drug)
        return cls(
            row=parts.row, n=data.n_obs, names=parts.drug, bits=known.known_bits(drugs, data.uns.get("smiles"))[code],
            dose=known.dose(parts), context=known.context(data), time=known.time(data.obs),
            line=data.obs["cell_line"].to_numpy(str),
        )  # fmt: skip

    def kernel(self, other: Described, kind: str, share: float = 0.0) -> Floats:
        """Kernel of all pairs of conditions, shape ``(n, n_other)``; ``share`` of that of drugs is common to all."""
        same = (self.names[:, None] == other.names).astype(np.float64)
        far = self.dose[:, None] - other.dose
        if kind == "linear":
            shared = self.bits @ other.bits.T / max(1.0, float(other.bits.sum(axis=1).mean()))
            drug = (share + (1 - share) * (shared + same)) * (1 + self.dose[:, None] * other.dose)
            context = 1 + self.context @ other.context.T + (self.line[:, None] == other.line)
            time = 1 + self.time[:, None] * other.time
        else:
            like = 0.5 * tanimoto(self.bits, other.bits) + 0.5 * same
            drug = (share + (1 - share) * like) * np.exp(-0.5 * np.square(far))
            lengths = [np.square(one.context).sum(axis=1) for one in (self, other)]
            squared = np.maximum(lengths[0][:, None] + lengths[1] - 2 * self.context @ other.context.T, 0.0)
            context = 0.5 + 0.5 * np.exp(-0.5 * squared) * (0.5 + 0.5 * (self.line[:, None] == other.line))
            time = np.exp(-0.5 * np.square((self.time[:, None] - other.time) / 0.3))
        drug = _by_row(_by_row(drug, self.row, self.n).T, other.row, other.n).T
        if kind == "tanimoto":
            drug = drug + 0.25 * np.square(drug)  # products of drugs: what a pair is beyond its sum
        return np.asarray(drug * context * time)


def _by_row(values: Floats, row: NDArray[np.int64], n: int) -> Floats:
    total = np.zeros((n, values.shape[1]))
    np.add.at(total, row, values)
    return total
