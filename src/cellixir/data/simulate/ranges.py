"""Checks of settings that simulations share: whole numbers, numbers within bounds, ranges."""

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


def wrong_numbers(
    settings: object, *names: str, most: float = math.inf, open_below: bool = False, what: str = "a number"
) -> dict[str, bool]:
    """Whether each setting is something else than a finite number from 0 to ``most``, by what to say of it.

    Parameters
    ----------
    settings
        Holds the settings that are named.
    names
        Of the settings.
    most
        The greatest number.
    open_below
        Whether 0 itself is refused.
    what
        The number is, such as ``"a share of the pairs"``.
    """
    given = {name: getattr(settings, name) for name in names}
    bounds = f"above 0 and up to {most:,}" if open_below else f"from 0 to {most:,}"
    if most == math.inf:
        bounds = "above 0" if open_below else "of 0 or more"
    return {
        f"{name}={value!r}; give {what} {bounds}": not is_number(value, 0, most, open_below=open_below)
        for name, value in given.items()
    }


def wrong_ranges(settings: object, *names: str, most: float = math.inf, open_below: bool = False) -> dict[str, bool]:
    """Whether each setting is something else than the least and the greatest of a range, by what to say of it.

    Parameters
    ----------
    settings
        Holds the settings that are named.
    names
        Of the settings.
    most
        The greatest number that a range may reach; the least is 0.
    open_below
        Whether 0 itself is refused.
    """
    given = {name: getattr(settings, name) for name in names}
    bounds = "above 0" if open_below else "0 or more"
    bounds += f", up to {most:,}" if most < math.inf else ""
    return {
        f"{name}={value!r}; give the least and the greatest value, {bounds}": not (
            isinstance(value, tuple | list)
            and len(value) == 2
            and all(is_number(v, 0, most, open_below=open_below) for v in value)
            and value[0] <= value[1]
        )
        for name, value in given.items()
    }


def is_number(value: object, least: float = 0, most: float = math.inf, *, open_below: bool = False) -> bool:
    """Whether it is a finite number from ``least`` to ``most``, without ``least`` itself if that end is open.

    >>> is_number(0), is_number(0, open_below=True), is_number(2, most=1), is_number("1"), is_number(float("nan"))
    (True, False, False, False, False)
    """
    if not (isinstance(value, Real) and math.isfinite(value)):
        return False
    return least <= float(value) <= most and not (open_below and value == least)
