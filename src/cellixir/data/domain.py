"""Domain of applicability: how like the training data a new sample, or a new drug, is.

An interval holds for what is like the training data; this says what is not. A sample is far away where its nearest
training samples are far among the leading principal components, or where much of it is not among them at all (score
and orthogonal distance: Hubert, Rousseeuw and Vanden Branden, Technometrics 47:64, 2005; nearest neighbours: Ramaswamy,
Rastogi and Shim, SIGMOD 2000). A drug is far away where no training drug has a similar structure (Tanimoto similarity
to the nearest neighbour: Sheridan et al., J Chem Inf Comput Sci 44:1912, 2004).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.linalg import eigh
from scipy.spatial.distance import cdist

from cellixir.exceptions import InvalidValues

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Space = tuple[Floats, Floats]  # mean (p,), components (d, p)

NEIGHBOURS = 5
MAX_COMPONENTS = 50
ROWS_A_COMPONENT = 10
MAX_ROWS = 5000  # of more training rows, this many, evenly spaced, stand for all
PARTS = 10
TRAINING_INSIDE = 0.99
DRUGS_OUTSIDE = 0.05
LEAST_SIMILARITY = 0.2  # Morgan fingerprints of two drugs drawn at random reach it in 5 % of pairs
_NOTHING = 1e-3  # a distance below this part of a typical row's length is rounding
_CHUNK = 1024


@dataclass(frozen=True)
class FeatureDomain:
    """Where the training rows lie in feature space.

    A score is the larger of two distances, each in units of what is typical for a row that was left out: the mean
    distance to the ``NEIGHBOURS`` nearest training rows among the principal components, and the length of what the
    components do not hold. 1 is typical; what is outside exceeds ``limit``, the 99th percentile of the training rows'
    own scores, each row without itself (of fewer than 100 rows, the largest).

    Parameters
    ----------
    mean, components
        Shapes ``(p,)`` and ``(d, p)``, float32; ``d`` is a tenth of the rows, at most ``MAX_COMPONENTS``.
    rows
        Training rows among the components, shape ``(n, d)``, float32.
    units
        Typical distance to neighbours and typical remainder.
    limit
        Infinite where a single row was seen.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    rows: NDArray[np.float32]
    units: tuple[float, float]
    limit: float

    @classmethod
    def fit(cls, x: ArrayLike) -> Self:
        """Learn from training rows, shape ``(n, p)``, each sample once, columns on comparable scales.

        Time is that of an eigendecomposition of side ``min(n, p)``, eleven times; ``n`` is at most ``MAX_ROWS``.

        Raises
        ------
        InvalidValues
            If there is no row or no column, or a value is not finite.
        """
        seen = _matrix(x, None)
        seen = seen[np.linspace(0, len(seen) - 1, min(len(seen), MAX_ROWS)).astype(int)]
        mean, components = _space(seen)
        near, rest = _left_out(seen)
        units = _units(seen, mean, near, rest)
        scores = np.maximum(near / units[0], rest / units[1])
        limit = max(float(np.quantile(scores, TRAINING_INSIDE, method="higher")), _NOTHING)
        stored = [np.asarray(a, dtype=np.float32) for a in (mean, components, (seen - mean) @ components.T)]
        return cls(stored[0], stored[1], stored[2], units, limit if len(seen) > 1 else np.inf)

    def score(self, x: ArrayLike) -> Floats:
        """How far each new row is from the training rows, shape ``(n_new,)``; 1 is typical, never NaN.

        Raises
        ------
        InvalidValues
            If the number of columns is another, or a value is not finite.
        """
        new = _matrix(x, len(self.mean))
        space = self.mean.astype(np.float64), self.components.astype(np.float64)
        near, rest = _distances(new, space, self.rows.astype(np.float64))
        return np.maximum(near / self.units[0], rest / self.units[1])

    def outside(self, x: ArrayLike) -> NDArray[np.bool_]:
        """Whether each new row is farther away than 99 % of the training rows are from the others."""
        return np.asarray(self.score(x) > self.limit)


@dataclass(frozen=True)
class MoleculeDomain:
    """Structures of the training drugs.

    Parameters
    ----------
    fingerprints
        Bits of the drugs whose structure is known, shape ``(n, n_bits)``, uint8.
    limit
        Least similarity to a training drug of what is inside: the 5th percentile of the training drugs' own, each
        without itself, and not below ``LEAST_SIMILARITY``.
    """

    fingerprints: NDArray[np.uint8]
    limit: float

    @classmethod
    def fit(cls, fingerprints: ArrayLike) -> Self:
        """Learn from bits of training drugs, shape ``(n, n_bits)``; a drug without a bit has no structure.

        Raises
        ------
        InvalidValues
            If the bits are not a table of 0 and 1.
        """
        bits = _bits(fingerprints, None)
        known = bits[bits.any(axis=1)]
        limit = LEAST_SIMILARITY
        if len(known) > 1:
            similarity = _tanimoto(known, known)
            np.fill_diagonal(similarity, -1.0)
            limit = max(limit, float(np.quantile(similarity.max(axis=1), DRUGS_OUTSIDE)))
        return cls(known, limit)

    def similarity(self, fingerprints: ArrayLike) -> Floats:
        """Highest Tanimoto similarity to a training drug, shape ``(n_new,)``; NaN for a drug without structure.

        0 where no training drug has a structure.

        Raises
        ------
        InvalidValues
            If the bits are not 0 and 1, or not as many as in training.
        """
        bits = _bits(fingerprints, self.fingerprints.shape[1])
        nearest = _tanimoto(bits, self.fingerprints).max(axis=1, initial=0.0)
        return np.where(bits.any(axis=1), nearest, np.nan)

    def outside(self, fingerprints: ArrayLike) -> NDArray[np.bool_]:
        """Whether no training drug is similar to each new drug; False where that is unknown."""
        return np.asarray(self.similarity(fingerprints) < self.limit)


def _space(x: Floats) -> Space:
    """Mean and leading principal components of the rows, orthonormal; none along which the rows do not differ."""
    mean = x.mean(axis=0)
    centred = x - mean
    wide = x.shape[1] > len(x)
    square = centred @ centred.T if wide else centred.T @ centred
    d = min(MAX_COMPONENTS, max(1, len(x) // ROWS_A_COMPONENT), len(square))
    values, vectors = eigh(square, subset_by_index=(len(square) - d, len(square) - 1), check_finite=False)
    some = values > max(1e-10 * values[-1], len(x) * _rounding(mean) ** 2)
    leading = vectors[:, some]
    return mean, ((centred.T @ leading) / np.sqrt(values[some]) if wide else leading).T


def _rounding(mean: Floats) -> float:
    """Distance that storing a row as float32 may add."""
    return float(np.finfo(np.float32).eps * np.linalg.norm(mean))


def _left_out(x: Floats) -> tuple[Floats, Floats]:
    """Distances of each row from a space that was learned without it, in ``PARTS`` parts; 0 for a single row."""
    turned = _turned(x)
    part = np.random.default_rng(0).permutation(len(x)) % PARTS
    near, rest = np.zeros(len(x)), np.zeros(len(x))
    for number in range(min(PARTS, len(x)) if len(x) > 1 else 0):
        new, seen = part == number, turned[part != number]
        space = _space(seen)
        near[new], rest[new] = _distances(turned[new], space, (seen - space[0]) @ space[1].T)
    return near, rest


def _units(x: Floats, mean: Floats, near: Floats, rest: Floats) -> tuple[float, float]:
    """Typical distances; where most are nothing (equal rows, few columns), the length of a row or the other one."""
    length = float(np.sqrt(np.square(x - mean).sum(axis=1).mean()))
    nothing = max(_NOTHING * length, _rounding(mean))
    candidates = (float(np.median(near)), length, float(np.linalg.norm(mean)), 1.0)
    unit = next(u for u in candidates if u > nothing)
    return unit, float(np.median(rest)) if np.median(rest) > nothing else unit


def _turned(x: Floats) -> Floats:
    """Rows in ``min(n, p)`` coordinates that keep all distances between them."""
    if x.shape[1] <= len(x):
        return x
    centred = x - x.mean(axis=0)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _distances(new: Floats, space: Space, rows: Floats) -> tuple[Floats, Floats]:
    """Mean distance to the nearest ``rows`` among the components, and length of what they do not hold."""
    mean, components = space
    near, rest = np.empty(len(new)), np.empty(len(new))
    k = min(NEIGHBOURS, len(rows))
    for start in range(0, len(new), _CHUNK):
        block = slice(start, start + _CHUNK)
        centred = np.clip(new[block] - mean, -1e100, 1e100)  # squares stay finite
        inside = centred @ components.T
        rest[block] = np.sqrt(np.square(centred - inside @ components).sum(axis=1))
        near[block] = np.partition(cdist(inside, rows), k - 1, axis=1)[:, :k].mean(axis=1)
    return near, rest


def _tanimoto(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Floats:
    """Bits in both over bits in either, shape ``(len(a), len(b))``; 0 where neither has a bit."""
    x, y = a.astype(np.float32), b.astype(np.float32)
    both = (x @ y.T).astype(np.float64)
    either = x.sum(axis=1, dtype=np.float64)[:, None] + y.sum(axis=1, dtype=np.float64) - both
    return np.asarray(both / np.maximum(either, 1.0))


def _matrix(x: ArrayLike, n_columns: int | None) -> Floats:
    array = np.asarray(x, dtype=np.float64)
    if array.ndim != 2 or not array.shape[1] or (n_columns is None and not len(array)):
        message = f"features of shape {array.shape} have no domain; give rows x columns, one or more of each"
        raise InvalidValues(message)
    if n_columns is not None and array.shape[1] != n_columns:
        message = (
            f"the domain was learned from {n_columns:,} columns, here are {array.shape[1]:,}; give the same features"
        )
        raise InvalidValues(message)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        row, column = bad[0]
        message = f"{len(bad):,} features are not finite, the first in row {row}, column {column}; impute them first"
        raise InvalidValues(message)
    return array


def _bits(fingerprints: ArrayLike, n_bits: int | None) -> NDArray[np.uint8]:
    array = np.asarray(fingerprints)
    if array.ndim != 2 or not array.shape[1] or not np.isin(array, (0, 1)).all():
        message = f"fingerprints are a table of 0 and 1, drugs x bits; shape {array.shape} with other values is not"
        raise InvalidValues(message)
    if n_bits is not None and array.shape[1] != n_bits:
        message = (
            f"the domain was learned from {n_bits:,} bits, here are {array.shape[1]:,}; make the same fingerprints"
        )
        raise InvalidValues(message)
    return array.astype(np.uint8)
