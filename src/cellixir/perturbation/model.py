"""What every predictor of perturbation effects can do."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import anndata as ad
import numpy as np
import pandas as pd

from cellixir.estimator import Estimator, OnEpoch, stopping_rows
from cellixir.exceptions import GeneMismatch, counted, examples
from cellixir.perturbation.controls import consensus
from cellixir.perturbation.domain import Domain
from cellixir.perturbation.features import ConditionFeatures, Parts

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellixir.perturbation.calibration import Calibration

    Floats = NDArray[np.float64]
    #: Mask over wells that a network stops on; None: it holds out its own.
    Held = NDArray[np.bool_] | None


class PerturbationModel(Estimator):
    """A predictor of what conditions change: ``fit(effects)``, ``predict(conditions)``.

    A subclass learns in `_learn` from one row a condition and says changes in `_change`.
    """

    limits: ClassVar[str] = (
        "Effects are of the assay and cells of training. A predicted change of a gene is small beside the noise of one "
        "well: read the benchmark's replicate agreement and the plain means beside it. For research; not validated for "
        "clinical decisions."
    )
    learned: ClassVar[str] = "n_conditions_"

    def fit(
        self,
        X: ad.AnnData,
        y: Any = None,
        *,
        validation: NDArray[Any] | None = None,
        checkpoint: Path | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> Self:
        """Learn from effects of treated wells, as of `effects_of`; control wells among them show the untreated state.

        Parameters
        ----------
        X
            Effects of wells.
        y
            Not used.
        validation
            Wells that a network stops on; None: conditions that it holds out itself. Other models do without.
        checkpoint, on_epoch
            Of networks.
        """
        del y
        treated = X[~X.obs["is_control"].to_numpy(bool)]
        conditions = consensus(treated)
        self.genes_ = list(map(str, X.var_names))
        self.values_ = str(X.uns.get("values", "delta"))
        self.features_ = ConditionFeatures.fit(conditions)
        self.domain_ = Domain.of(treated, self.features_.drugs, self.features_.smiles)
        self.calibration_: Calibration | None = None
        self.mean_ = np.asarray(conditions.X, dtype=np.float64).mean(axis=0)
        rows = stopping_rows(validation, X.n_obs)
        held = None if rows is None else np.isin(np.arange(X.n_obs), rows)
        self._learn(conditions, X, held=held, checkpoint=checkpoint, on_epoch=on_epoch)
        self.n_conditions_ = conditions.n_obs
        return self

    @abstractmethod
    def _learn(
        self,
        conditions: ad.AnnData,
        wells: ad.AnnData,
        *,
        held: Held,
        checkpoint: Path | None,
        on_epoch: OnEpoch | None,
    ) -> None:
        """Learn from the mean effects of conditions, and where it helps from all wells; ``held`` are to stop on."""

    @abstractmethod
    def _change(self, question: ad.AnnData) -> NDArray[Any]:
        """Change of each gene in each row of ``question``, shape ``(n, n_genes)``."""

    def spread(self, question: ad.AnnData) -> NDArray[np.float64]:
        """Standard deviation between the members of a committee, shape ``(n, n_genes)``; 0 of a single model."""
        return np.zeros((question.n_obs, len(self.genes_)))

    def reach(self, question: ad.AnnData) -> pd.DataFrame:
        """How far conditions lie from those of training, as of `Domain.reach`."""
        self.check_is_fitted()
        smiles = question.uns.get("smiles")
        known = self.features_.smiles
        if smiles is not None:
            known = pd.concat([smiles, known[~known.index.isin(smiles.index)]])
        return self.domain_.reach(question, known)

    def predict(self, conditions: ad.AnnData, *, level: float | None = None) -> ad.AnnData:
        """Effects of conditions.

        Parameters
        ----------
        conditions
            ``obs`` as of `effects_of`, and the layer ``control`` where effects are set against controls; ``X`` is not
            looked at.
        level
            Probability with which the layers ``low`` and ``high`` hold the mean change of a condition, of a model that
            was calibrated; None: no intervals.

        Returns
        -------
        AnnData
            ``X``: predicted change; layer ``profile``: control and change, where controls are known.

        Raises
        ------
        GeneMismatch
            If the genes are not those of the fit.
        """
        self.check_is_fitted()
        conditions = self._with_genes(conditions)
        change = self.finite(np.asarray(self._change(conditions), dtype=np.float32))
        found = ad.AnnData(change, conditions.obs.copy(), conditions.var.copy())
        if "control" in conditions.layers:
            found.layers["control"] = conditions.layers["control"]
            found.layers["profile"] = np.asarray(conditions.layers["control"]) + change
        if level is not None and self.calibration_ is not None:
            half = self.calibration_.half_width(self.genes_, self.spread(conditions), level)
            found.layers["low"], found.layers["high"] = (change + sign * half.astype(np.float32) for sign in (-1, 1))
        return found

    def _with_genes(self, conditions: ad.AnnData) -> ad.AnnData:
        """The genes of the fit, in its order."""
        names = list(map(str, conditions.var_names))
        if names == self.genes_:
            return conditions
        missing = [gene for gene in self.genes_ if gene not in set(names)]
        if missing:
            message = (
                f"the conditions lack {len(missing):,} of the {len(self.genes_):,} genes of the fit "
                f"({examples(missing)}); give them all"
            )
            raise GeneMismatch(message)
        return conditions[:, self.genes_]

    def try_out(self) -> None:
        """Ask for every training drug once."""
        drugs = list(self.domain_.drugs)
        if not drugs:
            message = "no drug was in training"
            raise ValueError(message)
        known = {"perturbation": drugs, "cell_line": self.domain_.lines[0], "plate": "", "smiles": ""}
        numbers = {"dose_1": 1.0, "dose_2": np.nan, "time": self.domain_.times[0], "is_control": False}
        obs = pd.DataFrame(known | numbers, index=list(map(str, range(len(drugs)))))
        asked = ad.AnnData(np.zeros((len(drugs), len(self.genes_)), np.float32), obs, pd.DataFrame(index=self.genes_))
        if len(self.domain_.contexts):
            asked.layers["control"] = np.repeat(self.domain_.contexts[:1], len(drugs), axis=0)
        self.predict(asked, level=0.9)
        self.reach(asked)

    def features(self, data: ad.AnnData) -> tuple[NDArray[np.float64], list[str]]:
        """Fingerprint bits and log10 doses summed over a row's drugs, time, and the context, ``(n, n_features)``."""
        self.check_is_fitted()
        return flat_features(self.features_, self._with_genes(data))

    def describe(self) -> list[str]:
        """What was learned from."""
        sizes = {"drug": len(self.features_.drugs), "cell line": len(self.features_.lines), "gene": len(self.genes_)}
        drugs, lines, genes = (counted(n, what) for what, n in sizes.items())
        said = [f"learned from {counted(self.n_conditions_, 'condition')} of {drugs} in {lines}, {genes}"]
        if self.calibration_ is not None:
            said.append(self.calibration_.said())
        return said


def flat_features(known: ConditionFeatures, data: ad.AnnData) -> tuple[NDArray[np.float64], list[str]]:
    """As `PerturbationModel.features`."""
    parts, context = Parts.of(data.obs), known.context(data)
    drugs = sorted(set(parts.drug))
    bits = known.known_bits(drugs, data.uns.get("smiles"))[np.searchsorted(drugs, parts.drug)]
    by_row = np.zeros((data.n_obs, bits.shape[1] + 2))
    np.add.at(by_row, parts.row, np.column_stack([bits, known.dose(parts), np.ones(len(parts.row))]))
    names = [*(f"bit {bit}" for bit in known.bits), "log10 dose", "drugs", "log10 time"]
    names += [f"context {axis + 1}" for axis in range(context.shape[1])]
    return np.column_stack([by_row, known.time(data.obs), context]), names


def control_of(wells: ad.AnnData) -> NDArray[np.float32]:
    """Profile of the controls of each well; zeros where values are differences already."""
    known = "control" in wells.layers
    return np.asarray(wells.layers["control"], np.float32) if known else np.zeros(wells.shape, np.float32)
