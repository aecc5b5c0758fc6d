"""Maximum mean discrepancy between two tables with a Gaussian kernel, unbiased, in blocks.

``MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y)``, with ``k(a, b) = exp(-|a - b|^2 / (2 s^2))`` and means over pairs of
different rows (Gretton et al., J Mach Learn Res 13:723, 2012, eq. 3). Two samples of one distribution have an MMD^2
of 0 on average: values below 0 are no error.

Up to ``FLOAT64_PAIRS`` pairs are summed in float64. More are in float32, centred: kernel values are then off by some
1e-7 at random, far less than what the draw of the samples changes. That error grows with the square of the distance
from the centre, so with a row more than ``FAR`` bandwidths away it is float64 again, and two such rows are subtracted.
Memory: a copy of each table and a tile, never all pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from cellixir.exceptions import ConfigurationError
from cellixir.metrics.generative.neighbours import as_pair, as_points, check_neighbours
from cellixir.metrics.generative.tiles import CHUNK, ahead, half_spans, spans

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from cellixir.metrics.generative.tiles import Floats, Points, Span

FLOAT64_PAIRS = 50_000_000
FAR = 30.0
MEDIAN_ROWS = 1000  # half a million pairs: the median moves by less than a percent from draw to draw


class MMD(NamedTuple):
    """MMD^2, its standard error, and the bandwidth of the kernel."""

    value: float
    error: float
    bandwidth: float


def mmd2(real: ArrayLike, synthetic: ArrayLike, *, bandwidth: float | Literal["median"] = "median") -> float:
    """Unbiased MMD^2 of two tables; see ``mmd2_with_error``, which gives its standard error too.

    Examples
    --------
    >>> round(mmd2([[0.0], [1.0]], [[0.0], [1.0]], bandwidth=1.0), 6)  # exp(-1/2) - 1: below 0, and no error
    -0.393469
    """
    return mmd2_with_error(real, synthetic, bandwidth=bandwidth).value


def mmd2_with_error(
    real: ArrayLike,
    synthetic: ArrayLike,
    *,
    bandwidth: float | Literal["median"] = "median",
    chunk: int = CHUNK,
) -> MMD:
    """Unbiased MMD^2 with its standard error.

    The squared error is that of the first-order term of the two-sample U-statistic: ``4 var(h) / n`` summed over both
    tables, where ``h`` is the mean kernel of a row with its own table less that with the other. Where both
    distributions are the same that term vanishes and the noise of ``h`` is left: too large an error rather than too
    small.

    Parameters
    ----------
    real, synthetic
        Points in the same coordinates, shapes ``(n, d)`` and ``(m, d)``; two rows or more each.
    bandwidth
        ``s`` of the kernel. "median" is ``median_bandwidth(real)``: of the real samples alone, so that every model,
        the ceiling and the floor are judged by one kernel. Over both tables it widens for a bad model and flatters it.
    chunk
        Rows compared at a time.

    Raises
    ------
    ConfigurationError
        If a table has one row, the bandwidth is no positive number, or the median is 0.
    InvalidValues
        If a table is empty, holds values that are not finite, or the widths differ.
    """
    x, y = as_pair(real, synthetic)
    check_neighbours(1, len(x) - 1, "real", "others")
    check_neighbours(1, len(y) - 1, "synthetic", "others")
    width = median_bandwidth(x) if bandwidth == "median" else _checked(bandwidth)
    x, y = _scaled(x, y, width)
    of_x, of_y = _sums_between(x, y, chunk)
    h_x = _sums_within(x, chunk) / (len(x) - 1) - of_x / len(y)
    h_y = _sums_within(y, chunk) / (len(y) - 1) - of_y / len(x)
    error = np.sqrt(4 * h_x.var(ddof=1) / len(x) + 4 * h_y.var(ddof=1) / len(y))
    return MMD(float(h_x.mean() + h_y.mean()), float(error), width)


def median_bandwidth(x: ArrayLike, *, limit: int = MEDIAN_ROWS, seed: int = 0) -> float:
    """Median distance between different rows of ``x``; of more than ``limit`` rows, between as many drawn at random.

    Raises
    ------
    ConfigurationError
        If there is one row, or half of the pairs or more are copies, so that the median is 0.
    InvalidValues
        If the table is empty or holds values that are not finite.
    """
    from scipy.spatial.distance import pdist

    points = as_points(x, "x")
    check_neighbours(1, len(points) - 1, "x", "others")
    if len(points) > limit:
        points = points[np.sort(np.random.default_rng(seed).choice(len(points), limit, replace=False))]
    median = float(np.median(pdist(points)))
    if median == 0:
        message = f"the median distance of {len(points):,} real samples is 0: most are copies; give bandwidth a number"
        raise ConfigurationError(message)
    return median


def _checked(bandwidth: object) -> float:
    if not isinstance(bandwidth, (int, float, np.integer, np.floating)) or not 0 < bandwidth < np.inf:
        message = f"bandwidth={bandwidth!r} is no width of a kernel; use a positive number or 'median'"
        raise ConfigurationError(message)
    return float(bandwidth)


def _scaled(x: Points, y: Points, width: float) -> tuple[Points, Points]:
    """Both tables in bandwidths from the centre of the first, in the precision that serves."""
    centre = x.mean(axis=0, dtype=np.float64)
    x, y = (x - centre) / width, (y - centre) / width
    furthest = max(np.einsum("nd,nd->n", t, t).max() for t in (x, y))
    if len(x) * len(y) <= FLOAT64_PAIRS or furthest > FAR**2:
        return x, y
    return x.astype(np.float32), y.astype(np.float32)


def _sums_between(x: Points, y: Points, chunk: int) -> tuple[Floats, Floats]:
    """Sum of the kernel of each row of ``x`` with all of ``y``, and of each row of ``y`` with all of ``x``."""
    of_x, of_y = np.zeros(len(x)), np.zeros(len(y))

    def sums(span: Span) -> tuple[Points, Points]:
        kernel = _kernel(x[span[0]], y[span[1]])
        return kernel.sum(axis=1), kernel.sum(axis=0)

    pieces = spans(len(x), len(y), chunk)
    for (rows, columns), (by_row, by_column) in zip(pieces, ahead(sums, pieces), strict=True):
        of_x[rows] += by_row
        of_y[columns] += by_column
    return of_x, of_y


def _sums_within(x: Points, chunk: int) -> Floats:
    """Sum of the kernel of each row with all other rows; each pair is taken once."""
    total = np.zeros(len(x))

    def sums(span: Span) -> tuple[Points, Points]:
        kernel = _kernel(x[span[0]], x[span[1]])
        if span[0] == span[1]:  # holds each pair twice, and each row with itself
            np.fill_diagonal(kernel, 0)
            return kernel.sum(axis=1), np.zeros_like(kernel[0])
        return kernel.sum(axis=1), kernel.sum(axis=0)

    pieces = half_spans(len(x), chunk)
    for (rows, columns), (by_row, by_column) in zip(pieces, ahead(sums, pieces), strict=True):
        total[rows] += by_row
        total[columns] += by_column
    return total


def _kernel(a: Points, b: Points) -> Points:
    """``exp(-|a - b|^2 / 2)`` of rows against rows, from one product: ``a'b - |a|^2 / 2 - |b|^2 / 2``.

    Of two far rows that is a small difference of large numbers: they are subtracted instead.
    """
    from scipy.spatial.distance import cdist

    half_a, half_b = (-0.5 * np.einsum("nd,nd->n", t, t) for t in (a, b))
    ones_a, ones_b = np.ones_like(half_a), np.ones_like(half_b)
    exponent = np.column_stack([a, half_a, ones_a]) @ np.column_stack([b, ones_b, half_b]).T
    far_a, far_b = (np.flatnonzero(half < -0.5 * FAR**2) for half in (half_a, half_b))
    if len(far_a) and len(far_b):
        exponent[np.ix_(far_a, far_b)] = -0.5 * cdist(a[far_a], b[far_b], "sqeuclidean")
    return np.asarray(np.exp(exponent, out=exponent))
