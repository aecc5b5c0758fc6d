"""False discovery rate over many tests: Benjamini-Hochberg, and Storey's q-values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import false_discovery_control

from cellixir.exceptions import ConfigurationError, InvalidValues, examples

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LAMBDAS = tuple(float(x) for x in np.arange(5, 100, 5) / 100)


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values, a fraction in ``[0, 1]``, in the order of `p`; NaN stays NaN and is not counted.

    The value of the test of rank i of m is the least ``p_j m / j`` over the ranks j from i on (Benjamini and
    Hochberg, J R Stat Soc B 57:289, 1995).

    Raises
    ------
    InvalidValues
        If a p-value is below 0 or above 1.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.02, 0.5]).round(3).tolist()
    [0.03, 0.03, 0.5]
    """
    values = _checked(p)
    known = ~np.isnan(values)  # scipy refuses missing ones
    adjusted = np.full(len(values), np.nan)
    adjusted[known] = false_discovery_control(values[known])
    return adjusted


def true_null_share(p: ArrayLike) -> float:
    """Share of tests without an effect (pi0), in ``(0, 1]``; NaN if no p-value is known.

    ``pi0(l) = #{p >= l} / (m (1 - l))`` for l = .05, .1, ..., .95. Of these the one with the least estimated mean
    squared error is taken (Storey, Taylor and Siegmund, J R Stat Soc B 66:187, 2004); its bootstrap has a closed
    form, so nothing is drawn. Where no p-value lies above l, one is counted: pi0 is never 0.

    Raises
    ------
    InvalidValues
        If a p-value is below 0 or above 1.
    """
    values = _checked(p)
    values = np.sort(values[~np.isnan(values)])
    if not len(values):
        return float("nan")
    m, cuts = len(values), np.array(LAMBDAS)
    above = np.maximum(m - np.searchsorted(values, cuts, side="left"), 1)
    share = above / (m * (1 - cuts))
    error = above / (m * (1 - cuts)) ** 2 * (1 - above / m) + (share - np.quantile(share, 0.1)) ** 2
    return min(1.0, float(share[np.argmin(error)]))


def storey(p: ArrayLike) -> NDArray[np.float64]:
    """q-values, a fraction in ``[0, 1]``, in the order of `p`; NaN stays NaN and is not counted.

    The Benjamini-Hochberg values times `true_null_share` (Storey, J R Stat Soc B 64:479, 2002). Below some hundred
    tests the share is too uncertain to be of use.

    Raises
    ------
    InvalidValues
        If a p-value is below 0 or above 1.
    """
    return benjamini_hochberg(p) * true_null_share(p)


METHODS: dict[str, Callable[[ArrayLike], NDArray[np.float64]]] = {"bh": benjamini_hochberg, "storey": storey}


def method_named(name: str) -> Callable[[ArrayLike], NDArray[np.float64]]:
    """The correction called ``bh`` or ``storey``.

    Raises
    ------
    ConfigurationError
        If there is none of this name.
    """
    if name not in METHODS:
        message = f"false discovery rate {name!r} is not known; use {' or '.join(METHODS)}"
        raise ConfigurationError(message)
    return METHODS[name]


def _checked(p: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(p, dtype=np.float64).ravel()
    bad = values[(values < 0) | (values > 1)]
    if len(bad):
        message = f"{len(bad)} p-values lie outside 0 to 1 ({examples(bad.tolist())}); correct them before"
        raise InvalidValues(message)
    return values
