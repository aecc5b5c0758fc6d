"""Where the latents of training samples lie: a mixture of Gaussians for each combination of conditions.

A decoder is only as good as the latents it is given. Draws from the standard normal prior fall between the cells'
clusters; a density fitted to the posterior afterwards does not (Ghosh et al., ICLR 2020, "ex-post density estimation").
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.estimator import Arrays

    Floats = NDArray[np.float64]

#: Numbers of components that are tried; the lowest BIC wins.
COMPONENTS = (1, 2, 4, 8, 16, 24)
#: Points a dimension that a component with a covariance of its own needs, and points of one that shares it.
POINTS_A_DIMENSION, MIN_POINTS = 4, 10
#: Points that a mixture is fitted to, at most.
MOST = 20_000


@dataclass(frozen=True, eq=False)
class Mixture:
    """One mixture: shares ``(k,)``, means ``(k, d)`` and Cholesky factors of the covariances ``(k, d, d)``."""

    share: Floats
    mean: Floats
    factor: Floats

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """``n`` points ``(n, d)``."""
        which = rng.choice(len(self.share), size=n, p=self.share)
        noise = rng.standard_normal((n, self.mean.shape[1]))
        return np.asarray(self.mean[which] + np.einsum("nij,nj->ni", self.factor[which], noise))


@dataclass(frozen=True, eq=False)
class Mixtures:
    """A mixture for each combination; small ones share that of all samples, moved to their own mean."""

    of: dict[int, Mixture]

    @classmethod
    def learn(cls, points: Floats, codes: NDArray[np.int64], n_codes: int, seed: int) -> Mixtures:
        """Fit to ``points`` ``(n, d)`` of these combinations."""
        found = {}
        means = np.stack([points[codes == code].mean(axis=0) for code in range(n_codes)])
        common: Mixture | None = None
        for code in range(n_codes):
            own = points[codes == code]
            if len(own) >= POINTS_A_DIMENSION * points.shape[1]:
                found[code] = fitted(own, seed)
                continue
            if common is None:
                common = fitted(points - means[codes], seed)
            found[code] = Mixture(common.share, common.mean + means[code], common.factor)
        return cls(found)

    def draw(self, codes: NDArray[np.int64], rng: np.random.Generator) -> Floats:
        """One point for each combination's code."""
        d = next(iter(self.of.values())).mean.shape[1]
        points = np.empty((len(codes), d))
        for code in np.unique(codes):
            rows = np.flatnonzero(codes == code)
            points[rows] = self.of[int(code)].draw(len(rows), rng)
        return points

    def arrays(self) -> Arrays:
        """All arrays."""
        return {
            f"{code}/{part}": getattr(m, part) for code, m in self.of.items() for part in ("share", "mean", "factor")
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Mixtures:
        """Rebuild from `arrays`."""
        codes = sorted({int(name.split("/")[0]) for name in arrays})
        parts = ("share", "mean", "factor")
        return cls({code: Mixture(*(arrays[f"{code}/{part}"] for part in parts)) for code in codes})


def fitted(points: Floats, seed: int) -> Mixture:
    """Mixture with the lowest BIC: covariances of their own where there are points enough, or one for all."""
    rng = np.random.default_rng(seed)
    seen = points if len(points) <= MOST else points[rng.permutation(len(points))[:MOST]]
    best = (np.inf, Mixture(np.ones(1), np.zeros((1, points.shape[1])), np.zeros((1, *points.shape[1:] * 2))))
    for covariance in ("full", "tied"):
        last = np.inf
        for k in COMPONENTS:
            own = covariance == "full" or k == 1
            if k > 1 and len(seen) < k * (POINTS_A_DIMENSION * seen.shape[1] if own else MIN_POINTS):
                break
            score, mixture = _one(seen, k, covariance, seed)
            best = min(best, (score, mixture), key=lambda found: found[0])
            if score >= last:
                break
            last = score
    return best[1]


def _one(seen: Floats, k: int, covariance: str, seed: int) -> tuple[float, Mixture]:
    """BIC and mixture of ``k`` components."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    floor = 1e-3 * float(seen.var(axis=0).mean()) + 1e-9
    model: Any = GaussianMixture(k, covariance_type=covariance, reg_covar=floor, random_state=seed, max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # BIC judges where it stopped
        model.fit(seen)
    factor = np.linalg.cholesky(model.covariances_)
    factor = np.broadcast_to(factor, (k, *factor.shape[-2:])).copy()
    return float(model.bic(seen)), Mixture(model.weights_, model.means_, factor)
