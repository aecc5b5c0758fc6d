"""Steps of a preprocessing chain: each learns from training rows and is applied to any rows.

scikit-learn does the learning. What it found is kept as a few plain arrays (`Stage`), so a fitted chain goes into a
bundle without pickle and gives the same bits when it comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.decomposition import PCA
from sklearn.feature_selection import (
    RFE,
    f_classif,
    f_regression,
    mutual_info_classif,
    mutual_info_regression,
)
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

from cellixir.exceptions import ConfigurationError, InvalidValues, counted, examples

Matrix = NDArray[np.float64]

NEIGHBOURS = 5
FLAT = 1e-10  # a spread below this part of the size is rounding; float32 data have none between 0 and 6e-8
TINY = float(np.finfo(np.float32).tiny)  # a spread that float32 cannot hold
MAX_QUANTILES = 1000
TAIL = 1e-7  # QuantileTransformer's: beyond the training range is this far from 0 or 1, 5.2 standard deviations
FULL_SVD_WORK = 1e9  # n × p × min(n, p); a full decomposition of 500 × 2,000 is half of this and takes 0.2 s
BLOCK = 1024  # columns at a time where NumPy would copy the matrix


@dataclass(frozen=True)
class Stage:
    """One fitted operation: its kind, a key of `APPLY`, and the numbers it needs."""

    kind: str
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    def apply(self, x: Matrix) -> Matrix:
        """Rows after this stage; each row depends on itself alone."""
        return APPLY[self.kind](x, **self.arrays)

    def of_columns(self, columns: NDArray[np.int64]) -> Stage:
        """Return the same operation on some columns; only for a kind in `COLUMNWISE`."""
        return Stage(self.kind, {name: np.ascontiguousarray(a[..., columns]) for name, a in self.arrays.items()})


def _select(x: Matrix, columns: NDArray[np.int64]) -> Matrix:
    return x[:, columns]


def _fill(x: Matrix, value: Matrix) -> Matrix:
    filled: Matrix = np.where(np.isnan(x), value, x)
    return filled


def _affine(x: Matrix, shift: Matrix, scale: Matrix) -> Matrix:
    moved = x - shift
    moved /= scale
    return moved


def _neighbours(x: Matrix, training: Matrix) -> Matrix:
    filled: Matrix = KNNImputer(n_neighbors=NEIGHBOURS).fit(training).transform(x)
    return filled


def _rank(x: Matrix) -> Matrix:
    if x.shape[1] == 1:
        return np.full_like(x, 0.5)
    ranks: Matrix = (rankdata(x, axis=1) - 1.0) / (x.shape[1] - 1.0)
    return ranks


def _quantile(x: Matrix, quantiles: Matrix) -> Matrix:
    """Normal scores as QuantileTransformer gives them: the mean of the two ways to read a run of equal quantiles."""
    references = np.linspace(0.0, 1.0, len(quantiles))
    levels = np.empty_like(x)
    for j in range(x.shape[1]):
        column, known = x[:, j], quantiles[:, j]
        upper = np.interp(column, known, references)
        lower = np.interp(-column, -known[::-1], -references[::-1])
        levels[:, j] = (upper - lower) / 2
        levels[column + TAIL > known[-1], j] = 1.0
        levels[column - TAIL < known[0], j] = 0.0
    score: Matrix = np.clip(ndtri(levels), ndtri(TAIL - np.spacing(1)), ndtri(1 - (TAIL - np.spacing(1))))
    return score


def _project(x: Matrix, mean: Matrix, components: Matrix) -> Matrix:
    projected: Matrix = (x - mean) @ components.T  # (n, p) @ (p, k)
    return projected


APPLY: dict[str, Callable[..., Matrix]] = {
    "select": _select,
    "fill": _fill,
    "affine": _affine,
    "neighbours": _neighbours,
    "rank": _rank,
    "quantile": _quantile,
    "project": _project,
}
COLUMNWISE = ("fill", "affine", "quantile")
FILLING = ("fill", "neighbours")


def selections_first(stages: list[Stage]) -> list[Stage]:
    """Stages that do the same, each selection moved before what treats every column by itself: less to do and keep."""
    kept: list[Stage] = []
    for stage in stages:
        at = len(kept)
        while stage.kind == "select" and at and kept[at - 1].kind in COLUMNWISE:
            at -= 1
        if stage.kind == "select":
            kept[at:] = [later.of_columns(stage.arrays["columns"]) for later in kept[at:]]
        if stage.kind == "select" and at and kept[at - 1].kind == "select":
            kept[at - 1] = kept[at - 1].of_columns(stage.arrays["columns"])
        else:
            kept.insert(at, stage)
    return kept


@dataclass
class Fitting:
    """Training rows on their way through a chain: matrix, names, target, and what was learned so far.

    ``y`` holds numbers, or codes of classes where ``classes`` says so.
    """

    x: Matrix
    names: list[str]
    y: NDArray[Any] | None = None
    classes: bool = False
    seed: int = 0
    stages: list[Stage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, **arrays: NDArray[Any]) -> None:
        """Apply a stage and keep it."""
        self.stages.append(Stage(kind, arrays))
        self.x = self.stages[-1].apply(self.x)

    def keep(self, columns: NDArray[np.intp]) -> None:
        """Go on with these columns."""
        if len(columns) < len(self.names):
            self.names = [self.names[j] for j in columns]
            self.add("select", columns=columns.astype(np.int64))

    def leave_out(self, out: NDArray[np.bool_], fault: str) -> None:
        """Go on without some columns, and note how many and which.

        Raises
        ------
        InvalidValues
            If none is left.
        """
        names = [self.names[j] for j in np.flatnonzero(out)]
        if len(names) == len(self.names):
            message = (
                f"no feature is left: {counted(len(names), 'feature')} ({examples(names)}) {fault} in "
                f"{counted(len(self.x), 'training row')}; leave this view out or give more rows"
            )
            raise InvalidValues(message)
        if names:
            verb = "was" if len(names) == 1 else "were"
            self.notes.append(f"{counted(len(names), f'{fault} feature')} {verb} left out: {examples(names)}")
            self.keep(np.flatnonzero(~out))

    def leave_out_constant(self) -> None:
        """Go on without the columns that tell the training rows nothing."""
        low, high = np.fmin.reduce(self.x, axis=0), np.fmax.reduce(self.x, axis=0)
        self.leave_out(high - low <= np.maximum(FLAT * np.maximum(np.abs(low), np.abs(high)), TINY), "constant")

    def standardised(self) -> Matrix:
        """Columns of mean 0 and variance 1, so that no score depends on a unit."""
        z: Matrix = StandardScaler().fit_transform(self.x)
        return z


def impute(work: Fitting, how: str) -> None:
    """Learn what stands for a missing value; ``drop`` leaves its column out."""
    missing: NDArray[np.int64] = np.isnan(work.x).sum(axis=0)
    if how == "drop":
        return work.leave_out(missing > 0, "incomplete")
    if missing.any():
        where = f"{np.count_nonzero(missing):,} of {counted(len(missing), 'feature')}"
        work.notes.append(f"{counted(int(missing.sum()), 'missing value')} in {where}: impute={how}")
    if how == "knn":
        n, p = work.x.shape
        work.notes.append(f"impute=knn keeps the {n:,} x {p:,} training values in the saved model")
        return work.add("neighbours", training=work.x.copy())
    return work.add("fill", value=_medians(work.x) if how == "median" else SimpleImputer().fit(work.x).statistics_)


def _medians(x: Matrix) -> Matrix:
    """Medians of what is there: SimpleImputer's, ten times as fast."""
    present, columns = np.count_nonzero(~np.isnan(x), axis=0), np.arange(x.shape[1])
    ordered = np.sort(x, axis=0)  # NaN comes last
    medians: Matrix = (ordered[(present - 1) // 2, columns] + ordered[present // 2, columns]) / 2
    return medians


def standard(work: Fitting, _: object) -> None:
    """Mean 0, variance 1."""
    work.leave_out_constant()
    scaler = StandardScaler().fit(work.x)
    work.add("affine", shift=scaler.mean_, scale=scaler.scale_)


def minmax(work: Fitting, _: object) -> None:
    """0 to 1 in training; other rows may lie outside."""
    work.leave_out_constant()
    scaler = MinMaxScaler().fit(work.x)
    work.add("affine", shift=scaler.data_min_, scale=scaler.data_range_)


def robust(work: Fitting, _: object) -> None:
    """Median 0, interquartile range 1; as in scikit-learn a range of 0 is not divided by."""
    work.leave_out_constant()
    scaler = RobustScaler().fit(work.x)
    suspects = work.x[:, scaler.scale_ == 1.0].T
    if narrow := sum(float(np.subtract(*np.nanpercentile(column, (75, 25)))) < 0.5 for column in suspects):
        work.notes.append(f"{counted(narrow, 'feature')} with interquartile range 0: robust centred, but did not scale")
    work.add("affine", shift=scaler.center_, scale=scaler.scale_)


def rank(work: Fitting, _: object) -> None:
    """Ranks of a row's features within the row, 0 to 1; nothing is learned."""
    work.add("rank")


def quantile(work: Fitting, _: object) -> None:
    """Normal score of each feature by its quantile in training."""
    work.leave_out_constant()
    transformer = QuantileTransformer(n_quantiles=min(MAX_QUANTILES, len(work.x)), subsample=None)
    work.add("quantile", quantiles=transformer.fit(work.x).quantiles_)


def variance(work: Fitting, k: int) -> None:
    """Keep the ``k`` features with the largest variance."""
    work.leave_out_constant()
    _keep_best(work, _variances(work.x), k, "variance")


def variance_above(work: Fitting, threshold: float) -> None:
    """Keep the features whose variance (of the population, as VarianceThreshold's) is larger than ``threshold``."""
    work.leave_out_constant()
    spread = _variances(work.x)
    if not (spread > threshold).any():
        message = f"no feature has a variance above {threshold:g}; the largest is {spread.max():.3g}"
        raise ConfigurationError(message)
    work.keep(np.flatnonzero(spread > threshold))


def _variances(x: Matrix) -> Matrix:
    blocks = (x[:, start : start + BLOCK] for start in range(0, x.shape[1], BLOCK))
    return np.concatenate([np.nanvar(block, axis=0) for block in blocks])


def anova(work: Fitting, k: int) -> None:
    """Keep the ``k`` features with the largest F, of a line (numbers) or between classes."""
    work.leave_out_constant()
    with np.errstate(divide="ignore", invalid="ignore"):
        score, _ = (f_classif if work.classes else f_regression)(work.standardised(), work.y)
    _keep_best(work, np.abs(score), k, "anova")  # a residual that is 0 can round below it


def mutual_info(work: Fitting, k: int) -> None:
    """Keep the ``k`` features with the largest mutual information (Kraskov; Ross); two values are two classes."""
    work.leave_out_constant()
    z, low, high = work.standardised(), work.x.min(axis=0), work.x.max(axis=0)
    two = ((work.x == low) | (work.x == high)).all(axis=0)
    z[:, two] = work.x[:, two] == high[two]
    estimate = mutual_info_classif if work.classes else mutual_info_regression
    _keep_best(work, estimate(z, work.y, discrete_features=two, random_state=work.seed), k, "mutual_info")


def rfe(work: Fitting, k: int) -> None:
    """Keep the ``k`` features left when ridge drops its smallest weights, a tenth of the features a round."""
    work.leave_out_constant()
    if k >= len(work.names):
        return _keep_best(work, np.ones(len(work.names)), k, "rfe")
    ridge = RidgeClassifier() if work.classes else Ridge()
    chosen = RFE(ridge, n_features_to_select=k, step=0.1).fit(work.standardised(), work.y)
    return work.keep(np.flatnonzero(chosen.support_))


def _keep_best(work: Fitting, score: Matrix, k: int, step: str) -> None:
    """Columns with the ``k`` largest scores, in their old order; of equal scores the first."""
    if k > len(score):
        work.notes.append(f"{step}={k} keeps all of {counted(len(score), 'feature')}: there are no more")
    best = np.argsort(-np.nan_to_num(score, nan=-np.inf), kind="stable")[:k]
    work.keep(np.sort(best))


def pca(work: Fitting, k: int) -> None:
    """Principal components ``pca_1`` ...; the largest loading of each is positive, which is scikit-learn's own sign."""
    work.leave_out_constant()
    n, p = work.x.shape
    if k > min(n - 1, p):
        message = (
            f"pca={k} asks for more components than {counted(n, 'training row')} (less one, for the mean) and "
            f"{counted(p, 'feature')} have; write pca={min(n - 1, p)} or less"
        )
        raise ConfigurationError(message)
    solver = "full" if n * p * min(n, p) <= FULL_SVD_WORK else "randomized"
    found = PCA(k, svd_solver=solver, random_state=work.seed).fit(work.x)
    real = int((found.singular_values_ > FLAT * found.singular_values_[0]).sum())
    if real < k:
        work.notes.append(f"pca={k} found {counted(real, 'component')}: training rows vary in no more directions")
    share = found.explained_variance_ratio_[:real].sum()
    work.notes.append(f"pca: {counted(real, 'component')}, {share:.1%} of the variance of {counted(p, 'feature')}")
    work.names = [f"pca_{i + 1}" for i in range(real)]
    work.add("project", mean=found.mean_, components=found.components_[:real])


LEARN: dict[str, Callable[[Fitting, Any], None]] = {
    "impute": impute,
    "standard": standard,
    "minmax": minmax,
    "robust": robust,
    "rank": rank,
    "quantile": quantile,
    "variance": variance,
    "variance>": variance_above,
    "anova": anova,
    "mutual_info": mutual_info,
    "rfe": rfe,
    "pca": pca,
}
