"""What settings of several simulations are asked of: whole numbers, numbers within bounds, ranges."""

from __future__ import annotations

import math
from numbers import Integral, Real


def wrong_counts(settings: object, *names: str, least: int = 1) -> dict[str, bool]:
    """Whether each setting is something else than a whole number of ``least`` or more, by what to say of it."""
    given = {name: getattr(settings, name) for name in names}
    return {
        f"{name}={value!r}; give a whole number of {least} or more": not (
            isinstance(value, Integral) and int(value) >= least
        )
        for name, value in given.items()
    }


def wrong_numbers(settings: object, *names: str, most: float = math.inf, what: str = "a number") -> dict[str, bool]:
    """Whether each setting is something else than a finite number from 0 to ``most``, by what to say of it."""
    given = {name: getattr(settings, name) for name in names}
    bounds = f"from 0 to {most:g}" if most < math.inf else "of 0 or more"
    return {f"{name}={value!r}; give {what} {bounds}": not _within(value, 0, most) for name, value in given.items()}


def wrong_ranges(
    settings: object, *names: str, least: float = 0.0, most: float = math.inf, open_below: bool = False
) -> dict[str, bool]:
    """Whether each setting is something else than the least and the greatest of a range, by what to say of it.

    Parameters
    ----------
    settings
        Holds the settings that are named.
    names
        Of the settings.
    least, most
        What a range may reach.
    open_below
        Whether ``least`` itself is refused.
    """
    given = {name: getattr(settings, name) for name in names}
    bounds = f"above {least:g}" if open_below else f"{least:g} or more"
    bounds += f", up to {most:g}" if most < math.inf else ""
    return {
        f"{name}={value!r}; give the least and the greatest value, {bounds}": not (
            isinstance(value, tuple | list)
            and len(value) == 2
            and all(_within(v, least, most) for v in value)
            and value[0] <= value[1]
            and not (open_below and value[0] == least)
        )
        for name, value in given.items()
    }


def _within(value: object, least: float, most: float) -> bool:
    return isinstance(value, Real) and math.isfinite(value) and least <= float(value) <= most
