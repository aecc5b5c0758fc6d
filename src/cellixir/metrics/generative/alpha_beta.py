"""α-precision, β-recall and authenticity: are synthetic samples typical, varied, and not copies.

After Alaa et al., How faithful is your synthetic data?, ICML 2022 (arXiv 2102.08921), in the coordinates given: there
is no one-class network before them. Both scores are ``1 - 2 integral |P(q) - q| dq`` over q from 0 to 1, with ``P(q)``

* for α-precision, the share of synthetic samples that are no further from the centre (mean) of the real ones than the
  q-quantile of the real samples' distances from it (``q`` = α);
* for β-recall, the share of real samples ``x`` whose nearest synthetic sample ``y*`` is no further than ``NN_k(x)``,
  the distance from ``x`` to its ``k``-th nearest other real sample, and no further from the synthetic centre than the
  q-quantile of ``|y* - centre|`` over the nearest samples of all ``x`` (``q`` = β), as the authors' program has it.
  With the quantile over all synthetic samples, new samples of the same distribution score low in 50 dimensions: samples
  that are somebody's nearest lie further in than others.

The integral is exact, since ``P`` is a step function: with ``u`` the value of ``q`` from which a sample counts (1 if it
never does), sorted, it is the sum over ``i = 1..n`` of the integral of ``|u_i - q|`` from ``(i - 1)/n`` to ``i/n``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellixir.metrics.generative.neighbours import as_pair, nearest, squared_in_itself
from cellixir.metrics.generative.tiles import CHUNK

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from cellixir.metrics.generative.tiles import Floats, Points


def alpha_precision(real: ArrayLike, synthetic: ArrayLike) -> float:
    """α-precision, 0 to 1: near 1 if synthetic samples lie as far from the centre of the real ones as those do.

    It falls when they are nearer (shrunken: no rare samples) and when they are further (exploded), to 0 when none is as
    near as any real sample, or all are nearer than each. It sees distances only, not directions. 1 - 1/n for ``n`` real
    samples against themselves if no two are equally far; 0 if all are, since then none is typical or rare.

    Parameters
    ----------
    real, synthetic
        Points in the same coordinates, shapes ``(n, d)`` and ``(m, d)``.

    Raises
    ------
    InvalidValues
        If a table is empty, holds values that are not finite, or the widths differ.

    Examples
    --------
    >>> alpha_precision([[-1.0], [1.0], [-2.0], [2.0]], [[0.0], [0.0]])
    0.0
    """
    x, y = as_pair(real, synthetic)
    centre = x.mean(axis=0, dtype=np.float64)
    return _score(_share_nearer(_from(centre, x), _from(centre, y)))


def beta_recall(real: ArrayLike, synthetic: ArrayLike, *, k: int = 1, chunk: int = CHUNK) -> float:
    """β-recall, 0 to 1: how much of the real samples, typical and rare, has a synthetic one close by.

    For as many new samples of the same distribution it is about ``1 - 2^-k``, so .5 at the ``k = 1`` of the authors'
    program: read it beside that of other real samples.

    Parameters
    ----------
    real, synthetic
        Points in the same coordinates, shapes ``(n, d)`` and ``(m, d)``.
    k
        The real neighbour that a synthetic sample must not be further away than.
    chunk
        Rows compared at a time; it changes no result.

    Raises
    ------
    ConfigurationError
        If there are not more than ``k`` real samples.
    InvalidValues
        If a table is empty, holds values that are not finite, or the widths differ.
    """
    x, y = as_pair(real, synthetic)
    reach = np.sqrt(squared_in_itself(x, k, "real", chunk)[:, -1])
    distance, row = nearest(x, y, chunk=chunk)
    from_centre = _from(y.mean(axis=0, dtype=np.float64), y)[row[:, 0]]
    return _score(np.where(distance[:, 0] <= reach, _share_nearer(from_centre, from_centre), 1.0))


def authenticity(real: ArrayLike, synthetic: ArrayLike, *, chunk: int = CHUNK) -> float:
    """Share of synthetic samples that are no copies: 0 if all are memorised.

    A sample ``y`` is authentic if ``d(y, x*) > d(x*, nearest other real sample)``, where ``x*`` is the real sample
    nearest to ``y``. New samples of the same distribution do not reach 1: .4 in two dimensions, .8 in fifty of equal
    variance. So read it beside that of other real samples: well below, samples stand too close to the real ones.

    Parameters
    ----------
    real, synthetic
        Points in the same coordinates, shapes ``(n, d)`` and ``(m, d)``; ``real`` are those that the model saw.
    chunk
        Rows compared at a time; it changes no result.

    Raises
    ------
    ConfigurationError
        If there are not two real samples or more.
    InvalidValues
        If a table is empty, holds values that are not finite, or the widths differ.

    Examples
    --------
    >>> authenticity([[0.0], [1.0], [5.0]], [[0.0], [0.9], [3.1], [20.0]])
    0.25
    """
    x, y = as_pair(real, synthetic)
    spacing = np.sqrt(squared_in_itself(x, 1, "real", chunk)[:, 0])
    distance, row = nearest(y, x, chunk=chunk)
    return float(np.mean(distance[:, 0] > spacing[row[:, 0]]))


def _from(centre: Floats, points: Points) -> Floats:
    return np.asarray(np.linalg.norm(points - centre, axis=1))


def _share_nearer(reference: Floats, distances: Floats) -> Floats:
    """Share of the reference that is nearer: the least quantile of the reference that holds each distance."""
    return np.asarray(np.searchsorted(np.sort(reference), distances) / len(reference))


def _score(u: Floats) -> float:
    """``1 - 2 integral |P(q) - q| dq`` of the share ``P(q)`` of ``u`` that is at most ``q``; ``u`` is from 0 to 1."""
    edges = np.arange(len(u) + 1) / len(u)
    above = edges[1:] - np.sort(u)
    below = edges[:-1] - np.sort(u)
    return 1 - float(np.sum(above * np.abs(above) - below * np.abs(below)))
