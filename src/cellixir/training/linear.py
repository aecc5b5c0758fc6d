"""Linear models that networks start at and end with: probabilistic PCA, and logistic regression of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Folds that a penalty is chosen in, and points of all of them at most.
FOLDS, FOLDED = 5, 5_000


@dataclass(frozen=True, eq=False)
class LinearStart:
    """Leading principal axes of a table, the maximum-likelihood fit of probabilistic PCA (Tipping and Bishop 1999).

    Attributes
    ----------
    axes
        Orthonormal, shape ``(n_columns, latent)``.
    sd
        Of the rows along each axis, shape ``(latent,)``.
    residual
        Variance of each column that the axes leave, shape ``(n_columns,)``.
    """

    axes: NDArray[Any]
    sd: NDArray[Any]
    residual: NDArray[Any]

    @classmethod
    def of(cls, x: NDArray[Any], latent: int, seed: int) -> LinearStart:
        """Fit to a centred table (randomised SVD; Halko et al. 2011); latents without an axis are left empty."""
        from sklearn.utils.extmath import randomized_svd

        k = min(latent, min(x.shape))
        _, values, found = randomized_svd(x, k, n_iter=4, random_state=seed)
        axes = np.zeros((x.shape[1], latent), dtype=x.dtype)
        sd = np.full(latent, 1e-3, dtype=x.dtype)
        axes[:, :k], sd[:k] = found.T, np.maximum(values / np.sqrt(max(len(x) - 1, 1)), 1e-3)
        variance = x.var(axis=0)
        residual = np.maximum(variance - (axes**2 * sd**2).sum(axis=1), 1e-3 * variance + 1e-6)
        return cls(axes, sd, residual.astype(x.dtype))

    @property
    def precision(self) -> NDArray[Any]:
        """Of each latent's posterior beyond that of its prior, 1; shape ``(latent,)``."""
        found: NDArray[Any] = (self.axes**2 * self.sd**2 / self.residual[:, None]).sum(axis=0)
        return found


def softmax_regression(
    points: NDArray[np.float64], codes: NDArray[np.int64], strengths: Sequence[float] = (1.0,)
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Weight ``(d, n_codes)`` and bias ``(n_codes,)`` of the logits of two or more classes ``0, 1, ...``.

    scikit-learn's logistic regression of standardised points, written for the points as they are.

    Parameters
    ----------
    strengths
        Inverse strengths of the penalty; of several the one is taken with the best log loss in five folds.
    """
    centre, spread = points.mean(axis=0), np.maximum(points.std(axis=0), 1e-6)
    standard = (points - centre) / spread
    # not LogisticRegressionCV: it starts each penalty at the weights of the last and so ends elsewhere, and it
    # weighs a fold without one of the classes as much as any other
    losses = [_log_loss(standard, codes, c) if len(strengths) > 1 else 0.0 for c in strengths]
    model = _logistic(strengths[int(np.argmin(losses))]).fit(standard, codes)
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:  # of two classes: logits of the second
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weight = (weight / spread).T
    return weight, bias - centre @ weight


def _log_loss(points: NDArray[np.float64], codes: NDArray[np.int64], strength: float) -> float:
    """Mean negative log probability of the true class of each point in five folds; a class not seen counts as 1e-6."""
    order = np.random.default_rng(0).permutation(len(points))[:FOLDED]
    losses = []
    for held in np.array_split(order, min(FOLDS, len(order))):
        kept = np.setdiff1d(order, held)
        seen = np.unique(codes[kept])
        if len(seen) < 2:
            continue
        p = np.zeros((len(held), int(codes.max()) + 1))
        p[:, seen] = _logistic(strength).fit(points[kept], codes[kept]).predict_proba(points[held])
        losses.append(-np.log(np.maximum(p[np.arange(len(held)), codes[held]], 1e-6)))
    return float(np.concatenate(losses).mean()) if losses else 0.0


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=2000)
