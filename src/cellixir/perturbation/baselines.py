"""Naive predictors, which run in every benchmark: no model is reported without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellixir.perturbation.features import Parts, tanimoto
from cellixir.perturbation.model import PerturbationModel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import anndata as ad
    from numpy.typing import NDArray

    from cellixir.estimator import OnEpoch
    from cellixir.perturbation.model import Held


class NoChange(PerturbationModel):
    """Nothing changes: the untreated state."""

    title = "No change"

    def _learn(
        self,
        conditions: ad.AnnData,
        wells: ad.AnnData,
        *,
        held: Held,
        checkpoint: Path | None,
        on_epoch: OnEpoch | None,
    ) -> None:
        pass

    def _change(self, question: ad.AnnData) -> NDArray[Any]:
        return np.zeros(question.shape)


class _Table(PerturbationModel):
    """Means over training conditions, looked up."""

    def _learn(
        self,
        conditions: ad.AnnData,
        wells: ad.AnnData,
        *,
        held: Held,
        checkpoint: Path | None,
        on_epoch: OnEpoch | None,
    ) -> None:
        parts = Parts.of(conditions.obs)
        self.effect_ = np.asarray(conditions.X, dtype=np.float32)
        self.names_ = conditions.obs["perturbation"].to_numpy(str)
        self.cell_lines_ = conditions.obs["cell_line"].to_numpy(str)
        first = np.unique(parts.row, return_index=True)[1]
        self.log_dose_ = parts.log_dose[first]

    def _mean_of(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        return np.asarray(self.effect_[rows].mean(axis=0) if len(rows) else self.mean_)

    def summed(
        self, question: ad.AnnData, instead: Mapping[str, str] | None = None, *, pooled: bool = False
    ) -> NDArray[Any]:
        """Effects of the drugs of each row, or of others ``instead``, added up (``pooled``: over doses, averaged)."""
        parts, lines = Parts.of(question.obs), question.obs["cell_line"].to_numpy(str)
        total = np.zeros(question.shape)
        known: dict[tuple[str, str, float], NDArray[Any]] = {}
        for row, drug, dose in zip(parts.row, parts.drug, parts.log_dose, strict=True):
            at = (instead or {}).get(drug, drug), lines[row], float("nan") if pooled else float(dose)
            key = (*at[:2], -99.0 if np.isnan(at[2]) else at[2])
            if key not in known:
                known[key] = self._mean_of(self._of_drug(*at))
            total[row] += known[key]
        return total / np.bincount(parts.row, minlength=len(total))[:, None] if pooled else total

    def _of_drug(self, name: str, cell_line: str, log_dose: float) -> NDArray[np.int64]:
        """Rows of a drug, in the same cell line if there are any, and of these at the nearest dose."""
        rows = np.flatnonzero(self.names_ == name)
        here = rows[self.cell_lines_[rows] == cell_line]
        rows = here if len(here) else rows
        far = np.abs(self.log_dose_[rows] - log_dose)
        return rows[far <= np.nanmin(far) + 1e-6] if len(rows) and np.isfinite(far).any() else rows


class MeanEffect(_Table):
    """The mean effect of all training conditions, whatever the drug (the perturbed centroid of Systema).

    Viñas Torné et al., Nature Biotechnology 2025.
    """

    title = "Global mean effect"

    def _change(self, question: ad.AnnData) -> NDArray[Any]:
        return np.tile(self.mean_, (question.n_obs, 1))


class CellLineMean(_Table):
    """The mean effect in the same cell line, whatever the drug."""

    title = "Cell line's mean effect"

    def _change(self, question: ad.AnnData) -> NDArray[Any]:
        known = {
            line: self._mean_of(np.flatnonzero(self.cell_lines_ == line)) for line in set(question.obs["cell_line"])
        }
        return np.stack([known[line] for line in question.obs["cell_line"]])


class DrugMean(_Table):
    """The mean effect of the same perturbation, of a cell line and dose as near as there are; else the global mean."""

    title = "Same drug's mean effect"

    def _change(self, question: ad.AnnData) -> NDArray[Any]:
        parts = Parts.of(question.obs)
        dose = parts.log_dose[np.unique(parts.row, return_index=True)[1]]
        asked = zip(question.obs["perturbation"].astype(str), question.obs["cell_line"].astype(str), dose, strict=True)
        return np.stack([self._mean_of(self._of_drug(*one)) for one in asked])


class NearestDrug(_Table):
    """The mean effect of the training drug with the most similar structure (Tanimoto of Morgan bits); pairs add."""

    title = "Nearest drug by structure"

    def _change(self, question: ad.AnnData) -> NDArray[Any]:
        return self.summed(question, self._nearest(question))

    def _nearest(self, question: ad.AnnData) -> dict[str, str]:
        singles = sorted(set(self.names_) & set(self.features_.drugs))
        asked = sorted(set(Parts.of(question.obs).drug))
        like = tanimoto(
            self.features_.known_bits(asked, question.uns.get("smiles")), self.features_.known_bits(singles)
        ) if singles else np.zeros((len(asked), 0))  # fmt: skip
        found = {name: singles[k] for name, k, s in zip(asked, like.argmax(1), like.max(1), strict=True) if s > 0} \
            if singles else {}  # fmt: skip
        return found | {name: name for name in asked if name in singles}


class Additive(_Table):
    """The sum of the effects of the single drugs, at the dose and in the cell line that come nearest.

    Ahlmann-Eltze, Huber and Anders, Nature Methods 2025: the baseline that seven deep models did not beat on pairs.
    """

    title = "Additive sum of singles"

    def _change(self, question: ad.AnnData) -> NDArray[Any]:
        return self.summed(question)


class StudyAverage(_Table):
    """As the anti-aging study had it: a drug's mean over plates, doses and times, and of a pair the mean of both.

    In the same cell line where it was seen there. Halving a sum is not adding up: kept to be compared with.
    """

    title = "Plate-mean difference, pairs averaged"

    def _change(self, question: ad.AnnData) -> NDArray[Any]:
        return self.summed(question, pooled=True)
