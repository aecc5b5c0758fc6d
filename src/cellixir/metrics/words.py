"""Numbers in sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cellixir.metrics.intervals import Interval


def numbers_of(row: Mapping[Any, Any]) -> dict[str, float]:
    """Numbers of a row of a table, by column."""
    return {str(key): float(value) for key, value in row.items() if isinstance(value, int | float | np.number)}


def estimate(row: Mapping[str, float], metric: str) -> Interval:
    """A metric of a row with its interval, NaN where it has none."""
    nan = float("nan")
    return Interval(row.get(metric, nan), row.get(f"{metric}_low", nan), row.get(f"{metric}_high", nan))


def banded(name: str, interval: Interval) -> dict[str, float]:
    """A metric with the ends of its interval, as three columns of a row.

    >>> banded("rmse", Interval(1.0, 0.9, 1.1))
    {'rmse': 1.0, 'rmse_low': 0.9, 'rmse_high': 1.1}
    """
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def spelled(value: float, decimals: int = 3) -> str:
    """A number with a true minus sign, and none before a rounded zero; a dash where there is none.

    >>> spelled(-1.5), spelled(-0.0001), spelled(float("nan"))
    ('−1.500', '0.000', '–')
    """
    if value != value:
        return "–"
    text = f"{value:.{decimals}f}"
    return text.replace("-", "−") if text.strip("-0.") else text.lstrip("-")


def between(low: float, high: float) -> str:
    """`` (low to high)``, or nothing where there is no interval."""
    return f" ({spelled(low)} to {spelled(high)})" if np.isfinite(low) and np.isfinite(high) else ""


def bracketed(interval: Interval, decimals: int = 3) -> str:
    """A number with its interval in brackets, where it has one.

    >>> bracketed(Interval(1.0, 0.9, 1.1)), bracketed(Interval(1.0))
    ('1.000 [0.900, 1.100]', '1.000')
    """
    value, low, high = (spelled(v, decimals) for v in interval)
    return f"{value} [{low}, {high}]" if np.isfinite(interval.low) and np.isfinite(interval.high) else value
