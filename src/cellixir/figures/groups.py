"""Cells as groups: names, counts and colours that a colour-blind reader can tell apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from cellixir.exceptions import DataError, InvalidValues, examples
from cellixir.figures.names import natural_key, shortened_apart
from cellixir.figures.style import ACCENT

#: The first ten differ by 0.1 or more in OKLab for normal, red-, green- and blue-blind readers (models of
#: Machado et al. 2009, IEEE TVCG 15, 1291); the ten that follow by less. Found by exchange of one colour at a time.
PALETTE = (
    ACCENT, "#da8f1f", "#0da28f", "#932c5b", "#a27dec", "#7dda7d", "#451f7d", "#7d6a0d", "#eca2ff", "#6a1f0d",
    "#c78fc7", "#8fb47d", "#7d450d", "#da6a45", "#b45757", "#6a7db4", "#4545a2", "#573257", "#c7c732", "#7dc7da",
)  # fmt: skip
MISSING, OTHER = "#dfe2e6", "#8a93a0"
MISSING_WORD = "missing"


@dataclass(frozen=True)
class Groups:
    """One group a cell.

    ``codes`` has the shape ``(n_cells,)`` and points into ``names`` and ``colours``; -1 is a cell without a group.
    ``merged`` is the number of small groups that the last name stands for, 0 where each has a name of its own.
    """

    codes: NDArray[np.int64]
    names: list[str]
    colours: list[str]
    merged: int = 0

    @property
    def counts(self) -> NDArray[np.int64]:
        """Cells of each group."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.names))

    @property
    def n_missing(self) -> int:
        """Cells without a group."""
        return int((self.codes < 0).sum())

    @property
    def named(self) -> list[int]:
        """Codes of the groups with a name of their own."""
        return list(range(len(self.names) - bool(self.merged)))

    def of(self, rows: NDArray[np.bool_]) -> Groups:
        """Groups of some of the cells, names and colours as before."""
        return Groups(self.codes[rows], self.names, self.colours, self.merged)

    def handles(self, limit: int = 30) -> list[Line2D]:
        """One entry of a legend for each group that has a cell, with its count, and one for missing values."""
        short = shortened_apart(self.names, limit)
        entries = list(zip(short, self.colours, self.counts.tolist(), strict=True))
        entries.append((MISSING_WORD, MISSING, self.n_missing))
        return [legend_dot(f"{name} ({count:,})", colour) for name, colour, count in entries if count]


def as_groups(values: pd.Series, *, colours: Mapping[str, str] | None = None, most: int = 20) -> Groups:
    """Groups of the cells in the order of their categories, or else by name.

    Parameters
    ----------
    values
        Categories, text, booleans or codes; missing values are no group.
    colours
        Colour of each name; names that are not among them take theirs from `PALETTE`, by their place.
    most
        Of more groups, the biggest ``most - 1`` keep their names, the rest is merged.

    Raises
    ------
    InvalidValues
        If every value is missing.
    """
    names, codes = _names(values)
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    if not counts.sum():
        message = f"none of {len(values):,} cells has a value of {_heading(values)}; colour by another column"
        raise InvalidValues(message)
    there = np.flatnonzero(counts)
    if len(there) <= most:
        return _renumbered(codes, names, there, 0, colours)
    biggest = there[np.argsort(-counts[there], kind="stable")][: most - 1]
    return _renumbered(codes, names, np.sort(biggest), len(there) - len(biggest), colours)


def as_column(values: Any, n: int, index: pd.Index | None = None) -> pd.Series:
    """One value a cell in the order of the cells, by name where both sides have names.

    Raises
    ------
    InvalidValues
        If the length is not ``n``.
    DataError
        If the names are those of other cells.
    """
    if hasattr(values, "toarray"):
        values = values.toarray()
    if not isinstance(values, (pd.Series, pd.Index, pd.Categorical)):
        values = np.ravel(values) if isinstance(values, (np.ndarray, np.matrix)) else list(values)
    column = pd.Series(values)
    if len(column) != n:
        message = f"{len(column):,} values for {n:,} cells; give one value a cell"
        raise InvalidValues(message)
    if not isinstance(values, pd.Series) or index is None or column.index.equals(index):
        return column
    if isinstance(index, pd.RangeIndex) or isinstance(column.index, pd.RangeIndex):
        return column
    if not (index.is_unique and column.index.is_unique and index.isin(column.index).all()):
        strange = index[~index.isin(column.index)] if index.is_unique else index[index.duplicated()]
        message = (
            f"the values of {_heading(column)} are those of other cells: {examples(strange)} has none or stands twice; "
            "give them for the same cells, or without names in the order of the cells"
        )
        raise DataError(message)
    return column.reindex(index)


def is_numbers(values: pd.Series) -> bool:
    """Whether the values are amounts rather than groups."""
    if isinstance(values.dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(values.dtype):
        return False
    if pd.api.types.is_numeric_dtype(values.dtype):
        return True
    return pd.api.types.infer_dtype(values, skipna=True) in {"integer", "floating", "mixed-integer-float", "decimal"}


def as_numbers(values: pd.Series) -> NDArray[np.float64]:
    """Values as numbers, NaN where one is missing or infinite.

    Raises
    ------
    InvalidValues
        If a value is text, or none is finite.
    """
    try:
        numbers = pd.to_numeric(values.astype(object)).to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        message = f"the values of {_heading(values)} are not numbers: {error}; show them as groups"
        raise InvalidValues(message) from error
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    if np.isnan(numbers).all():
        message = f"none of {len(values):,} cells has a finite value of {_heading(values)}; colour by another column"
        raise InvalidValues(message)
    return numbers


def _names(values: pd.Series) -> tuple[list[str], NDArray[np.int64]]:
    """Names in order and the place of each cell's name, -1 for none."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return [_text(name) for name in values.cat.categories], np.asarray(values.cat.codes, dtype=np.int64)
    known = values.notna().to_numpy()
    texts = np.array([_text(value) for value in values[known]], dtype=object)
    names = sorted(set(texts), key=natural_key)
    place = {name: i for i, name in enumerate(names)}
    codes = np.full(len(values), -1, dtype=np.int64)
    codes[known] = [place[text] for text in texts]
    return names, codes


def _text(value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _renumbered(
    codes: NDArray[np.int64],
    names: list[str],
    kept: NDArray[np.intp],
    merged: int,
    colours: Mapping[str, str] | None,
) -> Groups:
    """Groups ``kept`` under new codes, all others under one more."""
    new = np.full(len(names) + 1, len(kept) if merged else -1, dtype=np.int64)
    new[kept] = np.arange(len(kept))
    new[-1] = -1  # the code of a missing value, -1, points here
    chosen = [names[i] for i in kept]
    paint = [(colours or {}).get(name, PALETTE[i % len(PALETTE)]) for i, name in enumerate(chosen)]
    if merged:
        chosen, paint = [*chosen, f"{merged:,} other groups"], [*paint, OTHER]
    return Groups(new[codes], chosen, paint, merged)


def legend_dot(label: str, colour: str) -> Line2D:
    """Entry of a legend: a dot and what it says."""
    return Line2D([], [], linestyle="none", marker="o", markersize=5.5, color=colour, markeredgewidth=0, label=label)


def _heading(values: pd.Series) -> str:
    return "the colour" if values.name is None else repr(values.name)
