"""Parts that simulations share: names, labels, the refusal of settings, and the place of the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.exceptions import ConfigurationError

#: Kinds of simulated data, as the command line calls them.
NAMES = ("bulk", "single-cell", "cohort", "perturbation", "aging")


def with_truth(adata: ad.AnnData, settings: object, **planted: object) -> ad.AnnData:
    """The same AnnData, with the settings (and their seed) and what else was planted in ``uns["truth"]``.

    Tuples and lists become arrays, nested dataclasses dictionaries; what is None is left out. All of it survives
    ``write_h5ad``.

    Parameters
    ----------
    adata
        Simulated data; it is changed.
    settings
        A dataclass: one entry a field.
    planted
        More entries, such as ``kind="bulk"``.

    Raises
    ------
    TypeError
        If the settings are no dataclass, or a value is nothing that a .h5ad file can hold.
    """
    if not is_dataclass(settings) or isinstance(settings, type):
        message = f"settings must be an instance of a dataclass, not {settings!r}"
        raise TypeError(message)
    adata.uns["truth"] = {**_storable(settings, "settings"), **_storable(planted, "planted")}
    return adata


def numbered(word: str, count: int, *, width: int = 0) -> list[str]:
    """Names of ``count`` things; with a width they sort as text in their order.

    >>> numbered("batch", 2), numbered("GENE", 2, width=5)
    (['batch1', 'batch2'], ['GENE00001', 'GENE00002'])
    """
    width = max(width, len(str(count))) if width else 0
    return [f"{word}{number:0{width}d}" for number in range(1, count + 1)]


def labels(codes: NDArray[np.int64], names: Sequence[str]) -> pd.Categorical:
    """The name of each code, which counts from 0.

    >>> labels(np.array([1, 0, 1]), numbered("batch", 2)).tolist()
    ['batch2', 'batch1', 'batch2']
    """
    return pd.Categorical.from_codes(codes.tolist(), pd.Index(names, dtype=object))


def refuse(what: str, faults: Mapping[str, bool]) -> None:
    """Nothing, if no fault is true; the first one that is becomes the message.

    >>> refuse("bulk samples", {"n_genes=0; give at least 1": True})
    Traceback (most recent call last):
    cellixir.exceptions.ConfigurationError: bulk samples cannot be simulated with n_genes=0; give at least 1
    """
    fault = next((text for text, wrong in faults.items() if wrong), None)
    if fault:
        message = f"{what} cannot be simulated with {fault}"
        raise ConfigurationError(message)


def _storable(value: Any, name: str) -> Any:
    """Value as a .h5ad file holds it."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _storable(item, f"{name}.{key}") for key, item in value.items() if item is not None}
    if isinstance(value, Enum | PurePath):
        return str(value.value if isinstance(value, Enum) else value)
    if isinstance(value, list | tuple):
        return np.asarray(value)
    if isinstance(value, bool | int | float | str | np.generic | np.ndarray) or hasattr(value, "columns"):
        return value
    message = f"{name} is {value!r}, which a .h5ad file cannot hold"
    raise TypeError(message)
