"""Combinations of conditions (batch, group, cell type) that samples were seen in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from cellixir.exceptions import ConfigurationError, DataError, InvalidValues, UnknownIds, examples

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

#: Fewest samples a combination, on average: below that a column is an id or a measurement, not a condition.
MIN_MEAN_SAMPLES = 2
#: Below this what is drawn for a combination may be nearly one of its samples.
FEW = 5
#: Values or combinations that a message lists.
SHOWN = 8


@dataclass(frozen=True, eq=False)
class Conditions:
    """Combinations of values of some columns of ``obs``. A combination's number is its code.

    Without columns there is one combination, which holds all samples.

    Attributes
    ----------
    combinations
        Combinations that were seen, one row each, values as text, sorted.
    counts
        Samples of each combination, shape ``(n_combinations,)``.
    """

    combinations: pd.DataFrame
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, samples: ad.AnnData, columns: Sequence[str]) -> Self:
        """Combinations in which the samples stand.

        Raises
        ------
        UnknownIds
            If a column is not there.
        InvalidValues
            If a sample has no value.
        DataError
            If there are nearly as many combinations as samples.
        """
        texts = _texts(samples, check_columns(columns))
        if not len(texts.columns):
            return cls(pd.DataFrame(index=pd.RangeIndex(1)), np.array([samples.n_obs], dtype=np.int64))
        sizes = texts.groupby(list(texts.columns), sort=True).size()
        if len(sizes) * MIN_MEAN_SAMPLES > samples.n_obs:
            message = (
                f"{samples.n_obs} samples stand in {len(sizes)} combinations of {examples(texts.columns)}; a generator "
                f"needs {MIN_MEAN_SAMPLES} or more a combination on average: use fewer columns, or group their values"
            )
            raise DataError(message)
        return cls(sizes.index.to_frame(index=False), np.asarray(sizes, dtype=np.int64))

    # -- what there is -------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return the number of combinations."""
        return len(self.counts)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of ``obs``."""
        return tuple(self.combinations.columns)

    @property
    def frequency(self) -> NDArray[np.float64]:
        """Share of the samples in each combination."""
        return np.asarray(self.counts / self.counts.sum(), dtype=np.float64)

    @property
    def levels(self) -> dict[str, list[str]]:
        """Values seen of each column, sorted."""
        return {column: sorted(self.combinations[column].unique()) for column in self.columns}

    @property
    def width(self) -> int:
        """Columns of `one_hot`."""
        return sum(map(len, self.levels.values()))

    def warnings(self) -> list[str]:
        """A sentence if combinations are of so few samples that what is drawn for them may give these away."""
        rare = np.flatnonzero(self.counts < FEW)
        if not (len(rare) and self.columns):
            return []
        named = [f"{_pairs(self.combinations.iloc[i])}: {self.counts[i]}" for i in rare[:SHOWN]]
        listed = "; ".join(named) + ("; ..." if len(rare) > SHOWN else "")
        return [
            f"{len(rare)} of {len(self)} combinations of conditions have fewer than {FEW} samples ({listed}): what is "
            "drawn for them may show these very samples"
        ]

    # -- use -----------------------------------------------------------------------------------------------------------

    def codes(self, samples: ad.AnnData) -> NDArray[np.int64]:
        """Code of each sample's combination.

        Raises
        ------
        UnknownIds
            If a column is not there, or a value or combination was never seen.
        InvalidValues
            If a sample has no value.
        """
        texts = _texts(samples, self.columns)
        if not self.columns:
            return np.zeros(samples.n_obs, dtype=np.int64)
        for column, seen in self.levels.items():
            strange = sorted(set(texts[column]) - set(seen))
            if strange:
                raise _never_seen(column, strange[0], seen)
        known = pd.MultiIndex.from_frame(self.combinations)
        found = known.get_indexer(pd.MultiIndex.from_frame(texts)).astype(np.int64)
        if (found < 0).any():
            raise self._never_together(dict(texts.iloc[int(np.argmin(found))]))
        return found

    def matching(self, fixed: Mapping[str, str] | None) -> NDArray[np.int64]:
        """Codes of the combinations that have the values given.

        Raises
        ------
        ConfigurationError
            If a column is not one of the conditions.
        UnknownIds
            If a value, or the values together, were never seen.
        """
        wanted = {column: str(value) for column, value in (fixed or {}).items()}
        agree = np.ones(len(self), dtype=bool)
        for column, value in wanted.items():
            self._check(column, value)
            agree &= self.combinations[column].to_numpy() == value
        if not agree.any():
            raise self._never_together(wanted)
        return np.flatnonzero(agree)

    def draw(self, n: int, rng: np.random.Generator, fixed: Mapping[str, str] | None = None) -> NDArray[np.int64]:
        """Codes of ``n`` new samples.

        Columns that are not fixed follow the frequencies among the samples that have the fixed values.
        Raises what `matching` raises.
        """
        there = self.matching(fixed)
        share = self.counts[there] / self.counts[there].sum()
        return rng.choice(there, size=n, p=share).astype(np.int64)

    def frame(self, codes: NDArray[np.int64]) -> pd.DataFrame:
        """Values of each code as categories, one column a condition."""
        found = {
            column: pd.Categorical(self.combinations[column].to_numpy()[codes], categories=levels)
            for column, levels in self.levels.items()
        }
        return pd.DataFrame(found, index=pd.RangeIndex(len(codes)))

    def one_hot(self, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Ones at each column's value, column by column, shape ``(n, width)``."""
        table = [
            self.combinations[column].to_numpy()[:, None] == np.array(levels, dtype=object)[None, :]
            for column, levels in self.levels.items()
        ]
        if not table:
            return np.zeros((len(codes), 0), dtype=np.float32)
        return np.concatenate(table, axis=1).astype(np.float32)[codes]

    # -- bundle --------------------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """What JSON holds."""
        return {"combinations": self.combinations.to_dict("list"), "counts": self.counts.tolist()}

    @classmethod
    def from_state(cls, facts: Mapping[str, Any]) -> Self:
        """Rebuild what `facts` said."""
        counts = np.array(facts["counts"], dtype=np.int64)
        words = [value for column in facts["combinations"].values() for value in column]
        if counts.ndim != 1 or (counts < 1).any() or not all(isinstance(word, str) for word in words):
            message = "conditions must be words, each combination with a count from 1"
            raise ValueError(message)
        return cls(pd.DataFrame(facts["combinations"], index=pd.RangeIndex(len(counts)), dtype=object), counts)

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _check(self, column: str, value: str) -> None:
        if column not in self.columns:
            there = f"it knows {examples(self.columns, SHOWN)}" if self.columns else "it was fitted without any"
            message = f"{column!r} is not a condition of this generator; {there}"
            raise ConfigurationError(message)
        if value not in self.levels[column]:
            raise _never_seen(column, value, self.levels[column])

    def _never_together(self, values: Mapping[str, str]) -> UnknownIds:
        wanted = _pairs(values)
        pairs = [_pairs(row) for row in self.combinations.to_dict("records")]
        seen = "; ".join(pairs[:SHOWN]) + ("; ..." if len(pairs) > SHOWN else "")
        return UnknownIds(f"no sample of the fit had {wanted} together; seen were {seen}")


def check_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """Names of condition columns; one name may stand alone.

    Raises
    ------
    ConfigurationError
        If a column is named twice.
    """
    names = (columns,) if isinstance(columns, str) else tuple(columns)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"condition column {twice[0]!r} is named twice; name each column once"
        raise ConfigurationError(message)
    return names


def _texts(samples: ad.AnnData, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of ``obs`` as text, without row names."""
    absent = [column for column in columns if column not in samples.obs]
    if absent:
        there = f"there are {examples(samples.obs.columns, SHOWN)}" if len(samples.obs.columns) else "there is none"
        message = f"there is no column {absent[0]!r} about the samples (adata.obs); {there}"
        raise UnknownIds(message)
    for column in columns:
        lacking = samples.obs_names[samples.obs[column].isna().to_numpy()]
        if len(lacking):
            message = (
                f"column {column!r} has no value for {len(lacking)} of {samples.n_obs} samples ({examples(lacking)}); "
                "fill it in, or leave these samples out"
            )
            raise InvalidValues(message)
    found = {column: [str(value) for value in samples.obs[column]] for column in columns}
    return pd.DataFrame(found, index=pd.RangeIndex(samples.n_obs), dtype=object)


def _pairs(values: Any) -> str:
    return ", ".join(f"{column}={value}" for column, value in values.items())


def _never_seen(column: str, value: str, seen: Sequence[str]) -> UnknownIds:
    return UnknownIds(f"no sample of the fit had {column}={value}; seen were {examples(seen, SHOWN)}")
