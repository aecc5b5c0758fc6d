"""Precision and recall of a generator from balls around samples; density and coverage, which outliers move less.

With ``NN_k(p)`` the distance from a sample to the ``k``-th nearest other sample of its own table, over real samples
``x_i``, ``i = 1..n``, and synthetic ones ``y_j``, ``j = 1..m``::

    precision = mean_j 1[exists i: d(y_j, x_i) < NN_k(x_i)]
    recall    = mean_i 1[exists j: d(x_i, y_j) < NN_k(y_j)]
    density   = sum_j sum_i 1[d(y_j, x_i) < NN_k(x_i)] / (k m)
    coverage  = mean_i 1[min_j d(x_i, y_j) < NN_k(x_i)]

Precision and recall: Kynkäänniemi et al., NeurIPS 2019; density and coverage: Naeem et al., ICML 2020.
Balls are open in all four, as in the authors' program of the second: a sample on the edge is outside, and the ball of
one with ``k`` copies, whose radius is 0, is empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cellixir.metrics.generative.neighbours import as_pair, squared_in_itself
from cellixir.metrics.generative.tiles import CHUNK, Tiles, ahead

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from cellixir.metrics.generative.tiles import Rows, Span


class PRDC(NamedTuple):
    """Shares between 0 and 1; density may be above 1 where synthetic samples crowd among the real ones."""

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: ArrayLike, synthetic: ArrayLike, *, k: int = 5, chunk: int = CHUNK) -> PRDC:
    """Precision, recall, density and coverage of synthetic samples; see the module for the formulas.

    They depend on the numbers of samples: compare models, ceiling (other real samples) and floor at equal numbers. For
    as many new samples of the same distribution, coverage is about ``1 - 2^-k`` (.97 at ``k = 5``) and density about 1.

    Parameters
    ----------
    real, synthetic
        Points in the same coordinates, shapes ``(n, d)`` and ``(m, d)``.
    k
        The neighbour that gives a ball its radius.
    chunk
        Rows compared at a time; it changes no result. Memory: that of the tables and of a few tiles.

    Raises
    ------
    ConfigurationError
        If a table has not more than ``k`` samples.
    InvalidValues
        If a table is empty, holds values that are not finite, or the widths differ.

    Examples
    --------
    >>> prdc([[0.0], [1.0], [2.0]], [[0.5], [1.5], [9.0]], k=1)
    PRDC(precision=0.6666666666666666, recall=1.0, density=1.3333333333333333, coverage=1.0)
    """
    x, y = as_pair(real, synthetic)
    of_real = squared_in_itself(x, k, "real", chunk)[:, -1]
    of_synthetic = squared_in_itself(y, k, "synthetic", chunk)[:, -1]
    precise, recalled, covered, inside = np.zeros(len(y), bool), np.zeros(len(x), bool), np.zeros(len(x), bool), 0
    tiles = Tiles(x, y, chunk)

    def pairs(span: Span) -> tuple[Rows, Rows, Rows]:
        tile, (rows, columns) = tiles.tile(span), span
        return *tile.closer(of_real[rows, None]), tile.closer(of_synthetic[None, columns])[0]

    for i, j, near_synthetic in ahead(pairs, tiles.spans):
        covered[i], precise[j], recalled[near_synthetic] = True, True, True
        inside += len(i)
    return PRDC(float(precise.mean()), float(recalled.mean()), inside / (k * len(y)), float(covered.mean()))
