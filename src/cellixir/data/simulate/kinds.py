"""Simulated data by the name of their kind."""

from __future__ import annotations

from typing import Any

import cellixir.data.simulate as simulators
from cellixir.exceptions import ConfigurationError

KINDS = ("aging", "bulk", "cohort", "perturbation", "single_cell")


def simulate(kind: str, **settings: Any) -> Any:
    """Simulated data of a kind, with their truth.

    Parameters
    ----------
    kind
        ``bulk``, ``single_cell``, ``perturbation`` or ``aging`` (an AnnData with ``uns["truth"]``), or ``cohort`` (a
        `ResponseData` and its truth).
    settings
        Those of ``cellixir.data.simulate.simulate_<kind>``, such as ``seed``.

    Returns
    -------
    AnnData, or tuple of ResponseData and truth

    Raises
    ------
    ConfigurationError
        If there is no such kind, or a setting cannot work.

    Examples
    --------
    >>> simulate("bulk", n_samples=20, n_genes=50, n_de=5, seed=0).shape
    (20, 50)
    """
    if kind not in KINDS:
        message = f"there is no kind {kind!r} of simulated data; choose one of {', '.join(KINDS)}"
        raise ConfigurationError(message)
    return getattr(simulators, f"simulate_{kind}")(**settings)
