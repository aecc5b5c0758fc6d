"""How well predicted effects agree with measured ones, well by well, beside what a replicate says.

Every metric is taken of each test well, averaged within its condition, then over conditions; intervals draw the units
that the split leaves out. The replicate's score is that of the mean of the other wells of the condition, taken as a
prediction: what repeating the experiment would give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.metrics.catalogue import INFINITE, SIGNED, Catalogue, Metric
from cellixir.metrics.intervals import N_BOOTSTRAP, Interval, bootstrap_weights, interval_of_draws
from cellixir.perturbation.wells import CONDITION, conditions_of

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TOP = 50  # genes of the largest effect
#: Predictions of different drugs that correlate more than this are one.
SAME = 0.95
EFFECTS: Catalogue = {
    "pearson_delta": Metric(
        "Pearson of effects", "effects", "high", "Correlation of a well's changes, over all genes.", SIGNED
    ),
    "spearman_delta": Metric("Spearman of effects", "effects", "high", "Correlation of their ranks.", SIGNED),
    "pearson_top": Metric(
        "Pearson, top 50", "effects", "high", "Over the 50 genes that the condition changes most.", SIGNED
    ),
    "sign_agreement": Metric("Sign agreement", "effects", "high", "Share of these genes that go the predicted way."),
    "rmse": Metric("RMSE", "effects", "low", "sqrt(mean((y - p)²)) of a well's changes.", INFINITE),
    "pearson_weighted": Metric(
        "Pearson, by activity", "effects", "high", "Conditions weighted by the size of their mean effect.", SIGNED
    ),
    "retrieval": Metric(
        "Retrieval", "effects", "high", "Share of the other test conditions in the cell line whose prediction is less "
        "like what was measured than the right one; .5 is chance."
    ),
    "centroid_accuracy": Metric(
        "Centroid accuracy", "effects", "high", "Share of the other test conditions in the cell line whose mean is "
        "farther from the prediction than the right one; .5 is chance.",
        source="Viñas Torné et al., Nat Biotechnol 2025",
    ),
    "other_compound": Metric(
        "Pearson, another compound", "effects", "low", "The prediction against what other test conditions in the cell "
        "line did: as high as for the right one means that it says nothing of the drug.", SIGNED,
    ),
    "drug_shuffled": Metric(
        "Pearson, drugs shuffled", "effects", "low", "The same model asked for another drug.", SIGNED
    ),
    "context_shuffled": Metric(
        "Pearson, contexts shuffled", "effects", "low", "The same model asked in another cell line.", SIGNED
    ),
    "alike": Metric("Alike", "effects", "low", "Mean correlation of what is predicted for different drugs.", SIGNED),
}  # fmt: skip
LEADERBOARD = [
    "split", "model", "fold", "n_train", "n_test", *EFFECTS, "ceiling", "seconds",
]  # fmt: skip
TOLD_APART = ("retrieval", "centroid_accuracy", "other_compound", "alike")
PER_WELL = ("pearson_delta", "spearman_delta", "pearson_top", "sign_agreement", "rmse")


@dataclass(frozen=True, eq=False)
class Truth:
    """What was measured of the treated wells.

    Attributes
    ----------
    effect
        Shape ``(n_wells, n_genes)``.
    condition
        Code of each well's condition.
    mean
        Of each condition, shape ``(n_conditions, n_genes)``.
    top
        Genes of the largest mean effect of each condition, shape ``(n_conditions, TOP)``.
    obs
        Of each condition.
    """

    effect: Floats
    condition: NDArray[np.int64]
    mean: Floats
    top: NDArray[np.int64]
    obs: pd.DataFrame

    @classmethod
    def of(cls, treated: ad.AnnData) -> Truth:
        """Of treated wells."""
        effect, condition = np.asarray(treated.X, dtype=np.float64), conditions_of(treated.obs)
        n = np.bincount(condition)
        mean = np.zeros((len(n), effect.shape[1]))
        np.add.at(mean, condition, effect)
        mean /= n[:, None]
        top = np.argsort(-np.abs(mean), axis=1)[:, :TOP]
        first = np.unique(condition, return_index=True)[1]
        return cls(effect, condition, mean, top, treated.obs.iloc[first][[*CONDITION, "plate"]].assign(n_wells=n))

    def replicate(self) -> Floats:
        """Mean of the other wells of each well's condition; NaN where there is no other."""
        n = np.bincount(self.condition)[self.condition][:, None].astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(n > 1, (n * self.mean[self.condition] - self.effect) / (n - 1), np.nan)


def well_scores(truth: Truth, rows: NDArray[np.int64], told: Floats) -> pd.DataFrame:
    """Metrics of each test well, one row a well, columns `PER_WELL`.

    Parameters
    ----------
    rows
        Numbers of the wells.
    told
        What was said of them, shape ``(n_rows, n_genes)``; a row of NaN scores NaN.
    """
    y, top = truth.effect[rows], truth.top[truth.condition[rows]]
    at = np.arange(len(rows))[:, None]
    y_top, p_top = y[at, top], told[at, top]
    known = np.isfinite(told).all(axis=1)
    ranks = [pd.DataFrame(values).rank(axis=1).to_numpy() for values in (y, told)]
    with np.errstate(invalid="ignore"):
        found = {
            "pearson_delta": correlation(y, told),
            "spearman_delta": correlation(*ranks),
            "pearson_top": correlation(y_top, p_top),
            # what is not moved at all has no sign: half right
            "sign_agreement": np.where(p_top == 0, 0.5, np.sign(p_top) == np.sign(y_top)).mean(axis=1),
            "rmse": np.sqrt(np.square(y - told).mean(axis=1)),
        }
    return pd.DataFrame({name: np.where(known, values, np.nan) for name, values in found.items()})


def correlation(a: Floats, b: Floats) -> Floats:
    """Pearson correlation row by row; 0 where a side is constant: such a prediction says nothing."""
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    told = size > 1e-12 * np.sqrt(a.shape[1])
    return np.asarray(np.divide((a * b).sum(axis=1), size, out=np.zeros(len(a)), where=told))


def standard_rows(values: Floats) -> Floats:
    """Rows centred and of length 1; constant rows are 0."""
    centred = values - values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-12))


def condition_scores(truth: Truth, rows: NDArray[np.int64], told: Floats) -> pd.DataFrame:
    """Metrics of each test condition: means of its wells, and how it is told from the others in its cell line.

    Returns
    -------
    DataFrame
        ``condition``, `PER_WELL`, ``retrieval``, ``centroid_accuracy``, ``other_compound``, ``alike`` (these need
        another test condition of another drug in the cell line, else NaN).
    """
    table = well_scores(truth, rows, told).assign(condition=truth.condition[rows]).groupby("condition").mean()
    codes = table.index.to_numpy()
    first = {code: at for at, code in reversed(list(enumerate(truth.condition[rows])))}
    p = told[[first[code] for code in codes]]
    obs = truth.obs.iloc[codes]
    extra = pd.DataFrame(np.nan, index=table.index, columns=list(TOLD_APART))
    lines, drugs = obs["cell_line"].to_numpy(str), obs["perturbation"].to_numpy(str)
    y_std, p_std = standard_rows(truth.mean[codes]), standard_rows(p)
    for line in np.unique(lines):
        here = np.flatnonzero(lines == line)
        other = drugs[here][:, None] != drugs[here]
        some = other.any(axis=1)
        if not some.any():
            continue
        like = y_std[here] @ p_std[here].T  # measured x predicted
        own = np.diag(like)[:, None]
        n = np.maximum(other.sum(axis=1), 1)
        less = (np.where(np.isclose(like, own, atol=1e-12), 0.5, like < own) * other).sum(axis=1) / n
        far = _distances(p[here], truth.mean[codes][here])
        farther = (np.where(np.isclose(far, np.diag(far)[:, None]), 0.5, far > np.diag(far)[:, None]) * other).sum(
            axis=1
        ) / n
        mutual = p_std[here] @ p_std[here].T
        values = (less, farther, (like.T * other).sum(axis=1) / n, (mutual * other).sum(axis=1) / n)
        for name, value in zip(TOLD_APART, values, strict=True):
            extra.loc[codes[here][some], name] = value[some]
    return table.join(extra).reset_index()


def _distances(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T)


def activity(truth: Truth, codes: NDArray[np.int64]) -> Floats:
    """Size of the mean effect of conditions (root mean square over genes), the weight of `pearson_weighted`."""
    return np.asarray(np.sqrt(np.square(truth.mean[codes]).mean(axis=1)))


class UnitMeans:
    """Means of a column over conditions, and the same on draws of units (cluster bootstrap).

    Parameters
    ----------
    units
        Unit of each condition.
    weights
        Of each condition; 1 by default.
    """

    def __init__(self, units: NDArray[np.int64], weights: Floats | None = None, *, seed: int = 0) -> None:
        self.code, self.weights = np.unique(units, return_inverse=True)[1], weights
        self.n, self.seed = int(self.code.max(initial=-1)) + 1, seed

    def draws(self, values: Floats) -> Floats:
        """The mean, and then its replicates; conditions without a value do not count."""
        weight = np.where(np.isfinite(values), 1.0 if self.weights is None else self.weights, 0.0)
        sums = np.bincount(self.code, np.nan_to_num(values) * weight, self.n), np.bincount(self.code, weight, self.n)
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = [w @ sums[0] / (w @ sums[1]) for w in bootstrap_weights(self.n, N_BOOTSTRAP, self.seed)]
            return np.concatenate([[sums[0].sum() / sums[1].sum()], *drawn])

    def interval(self, values: Floats, *, level: float = 0.95) -> Interval:
        """Mean with its interval; none of fewer than three units."""
        drawn = self.draws(values)
        return interval_of_draws(float(drawn[0]), drawn[1:] if self.n > 2 else drawn[1:] * np.nan, level)
