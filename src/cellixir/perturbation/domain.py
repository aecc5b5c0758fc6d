"""What a model was trained on, and how far from it a question lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.perturbation.features import Parts, fingerprints, tanimoto

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: A training drug is less like its nearest neighbour than this share of them: so a new drug may be too.
UNLIKE = 0.1
#: A control profile this many times as far from training as training contexts lie apart is another context.
FARTHEST = 1.5
REACH = ["drugs_seen", "nearest_drug", "similarity", "dose_seen", "time_seen", "cell_line_seen", "context_distance"]


@dataclass(frozen=True, eq=False)
class Domain:
    """Drugs, doses, times and contexts of training.

    Attributes
    ----------
    drugs
        Names, in order.
    bits
        Morgan bits of these, shape ``(n_drugs, BITS)``.
    similarity
        Tanimoto similarity to the nearest training drug that a new drug must have.
    doses
        Least and greatest log10 dose (µM) of each drug, shape ``(n_drugs, 2)``; NaN where unknown.
    times
        Least and greatest hours; NaN where unknown.
    lines
        Cell line of each context.
    contexts
        Mean of the controls of each cell line and plate, shape ``(n_contexts, n_genes)``; no row without controls.
    distance
        Root mean square difference from the nearest training context that a new one may have; NaN of one context.
    """

    drugs: tuple[str, ...]
    bits: NDArray[np.uint8]
    similarity: float
    doses: Floats
    times: tuple[float, float]
    lines: tuple[str, ...]
    contexts: NDArray[np.float32]
    distance: float

    @classmethod
    def of(cls, wells: ad.AnnData, drugs: tuple[str, ...], smiles: pd.Series) -> Domain:
        """Of treated training wells."""
        parts = Parts.of(wells.obs)
        dose = pd.Series(parts.log_dose).groupby(parts.drug).agg(["min", "max"]).reindex(list(drugs))
        bits = fingerprints(drugs, smiles)
        like = tanimoto(bits, bits)
        np.fill_diagonal(like, -1.0)
        known = bits.any(axis=1)
        nearest = like[known].max(axis=1, initial=-1.0)
        lines, contexts = _contexts(wells)
        apart = _distances(contexts, contexts)
        np.fill_diagonal(apart, np.inf)
        time = wells.obs["time"].to_numpy(np.float64)
        times = (float(np.nanmin(time)), float(np.nanmax(time))) if np.isfinite(time).any() else (np.nan, np.nan)
        return cls(
            drugs, bits.astype(np.uint8), float(np.quantile(nearest, UNLIKE)) if known.sum() > 1 else 1.0,
            dose.to_numpy(np.float64), times, tuple(lines), contexts,
            FARTHEST * float(apart.min(axis=1).max()) if len(contexts) > 1 else float("nan"),
        )  # fmt: skip

    def profile(self, line: str) -> NDArray[np.float32] | None:
        """Mean control profile of a training cell line; None if there is none."""
        rows = [row for row, name in enumerate(self.lines) if name == line]
        return np.asarray(self.contexts[rows].mean(axis=0)) if rows and len(self.contexts) else None

    def reach(self, question: ad.AnnData, smiles: pd.Series) -> pd.DataFrame:
        """How far each row of a question lies from training, `REACH`, and ``in_domain`` with ``outside``: why not.

        Of a pair the drug that is farther from training counts.
        """
        parts, obs = Parts.of(question.obs), question.obs
        drugs = self._drugs(parts, smiles)
        drugs["row"] = parts.row
        by_row = drugs.sort_values("similarity", kind="stable").groupby("row")
        found = by_row.first()[["nearest_drug", "similarity"]]
        found.insert(0, "drugs_seen", by_row["seen"].sum())
        found["dose_seen"] = by_row["dose_seen"].all()
        time = obs["time"].to_numpy(np.float64)
        found["time_seen"] = ~((time < self.times[0] - 1e-9) | (time > self.times[1] + 1e-9))
        found["cell_line_seen"] = obs["cell_line"].astype(str).isin(self.lines).to_numpy()
        found["context_distance"] = self._distance(question)
        far = np.where(
            np.isfinite(found["context_distance"]) & np.isfinite(self.distance),
            found["context_distance"] > self.distance,
            ~found["cell_line_seen"],
        )
        why = {
            "structure unlike those of training": found["similarity"] < self.similarity,
            "dose outside those of training": ~found["dose_seen"],
            "time outside those of training": ~found["time_seen"],
            "control profile unlike those of training" if len(self.contexts) else "cell line not in training": far,
        }
        outside = [
            "; ".join(text for text, wrong in zip(why, row, strict=True) if wrong)
            for row in zip(*why.values(), strict=True)
        ]
        found["in_domain"], found["outside"] = [not text for text in outside], outside
        return found.set_axis(obs.index)

    def _drugs(self, parts: Parts, smiles: pd.Series) -> pd.DataFrame:
        """Nearest training drug of each drug that is asked for, and whether its dose lies within those of training."""
        names = sorted(set(parts.drug))
        like = tanimoto(fingerprints(names, smiles), self.bits.astype(np.float64))
        for row, name in enumerate(names):
            if name in self.drugs:
                like[row, self.drugs.index(name)] = 2.0
        at = np.searchsorted(names, parts.drug)
        nearest, similarity = like.argmax(axis=1)[at], like.max(axis=1)[at]
        seen = similarity > 1.5
        # a new drug has no doses of its own: those of all drugs count
        own = np.where(seen[:, None], self.doses[nearest], [np.nan, np.nan])
        every = [_ends(self.doses[:, 0], np.nanmin), _ends(self.doses[:, 1], np.nanmax)]
        low, high = np.where(np.isfinite(own), own, every).T
        with np.errstate(invalid="ignore"):
            dose_seen = ~((parts.log_dose < low - 0.05) | (parts.log_dose > high + 0.05))
        return pd.DataFrame(
            {"seen": seen.astype(int), "nearest_drug": np.array(self.drugs, dtype=object)[nearest],
             "similarity": np.minimum(similarity, 1.0), "dose_seen": dose_seen}
        )  # fmt: skip

    def _distance(self, question: ad.AnnData) -> Floats:
        if "control" not in question.layers or not len(self.contexts):
            return np.full(question.n_obs, np.nan)
        return np.asarray(_distances(np.asarray(question.layers["control"]), self.contexts).min(axis=1))


def _ends(values: Floats, end: np.ufunc | object) -> float:
    return float(end(values)) if np.isfinite(values).any() else float("nan")  # type: ignore[operator]


def _contexts(wells: ad.AnnData) -> tuple[list[str], NDArray[np.float32]]:
    if "control" not in wells.layers:
        lines = sorted(set(wells.obs["cell_line"].astype(str)))
        return lines, np.zeros((0, wells.n_vars), dtype=np.float32)
    names = pd.MultiIndex.from_frame(wells.obs[["cell_line", "plate"]].astype(str))
    code, places = names.factorize(sort=True)
    total = np.zeros((len(places), wells.n_vars))
    np.add.at(total, code, np.asarray(wells.layers["control"], dtype=np.float64))
    return [str(line) for line, _ in places], (total / np.bincount(code)[:, None]).astype(np.float32)


def _distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> Floats:
    """Root mean square differences, shape ``(n_a, n_b)``."""
    one, other = a.astype(np.float64), b.astype(np.float64)
    square = np.square(one).sum(1)[:, None] + np.square(other).sum(1) - 2 * one @ other.T
    return np.asarray(np.sqrt(np.maximum(square, 0) / max(a.shape[1], 1)))
