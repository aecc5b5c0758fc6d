"""Numbers as the sentences of a page have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellixir.report.page import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping


def estimate(row: Mapping[str, float], metric: str) -> Estimate:
    """A metric of a row with its interval, NaN where it has none."""
    nan = float("nan")
    return Estimate(row.get(metric, nan), row.get(f"{metric}_low", nan), row.get(f"{metric}_high", nan))


def spelled(value: float) -> str:
    """Three decimals, with a true minus sign."""
    return f"{value:.3f}".replace("-", "−")


def between(low: float, high: float) -> str:
    """`` (low to high)``, or nothing where there is no interval."""
    return f" ({spelled(low)} to {spelled(high)})" if np.isfinite(low) and np.isfinite(high) else ""
