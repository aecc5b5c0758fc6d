"""Settings of simulated bulk samples, checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cellixir.data.simulate.ranges import is_number, wrong_counts, wrong_numbers
from cellixir.data.simulate.truth import refuse

LARGEST_LIBRARY = 10**9
#: Of log2 changes; more overflow.
LARGEST_CHANGE = 20


@dataclass(frozen=True, kw_only=True)
class BulkSettings:
    """What `simulate_bulk` was asked for; its docstring says what each means."""

    n_samples: int
    n_genes: int
    n_batches: int
    n_groups: int
    batch_shares: Sequence[float] | None
    group_shares: Sequence[float] | None
    n_de: int | None
    n_up: int | None
    mean_log2_fold_change: float
    min_log2_fold_change: float
    baseline_log2_fold_change: float
    batch_shift: float
    batch_shift_share: float
    batch_sd: float
    n_modules: int
    module_size: int
    module_sd: float
    base_sd: float
    dispersion: tuple[float, float]
    dispersion_sd: float
    library_size: float
    library_sd: float
    seed: int

    def __post_init__(self) -> None:
        # Numbers first: what follows compares them.
        refuse("bulk samples", {**self._not_whole(), **self._not_numbers()})
        refuse("bulk samples", {**self._wrong_sizes(), **self._wrong_effects()})

    @property
    def different(self) -> int:
        """Number of genes that differ between a group and the first."""
        usual = self.n_genes // 5 if self.n_groups > 1 else 0
        return usual if self.n_de is None else self.n_de

    @property
    def up(self) -> int:
        """Number of those that are higher there."""
        return self.different // 2 if self.n_up is None else self.n_up

    def _not_whole(self) -> dict[str, bool]:
        given = [name for name in ("n_de", "n_up") if getattr(self, name) is not None]
        return {
            **wrong_counts(self, "n_samples", "n_genes", "n_batches", "n_groups", "module_size"),
            **wrong_counts(self, "n_modules", "seed", *given, least=0),
        }

    def _not_numbers(self) -> dict[str, bool]:
        changes = (
            "mean_log2_fold_change",
            "min_log2_fold_change",
            "baseline_log2_fold_change",
            "batch_sd",
            "module_sd",
        )
        shift = "a threshold (n_batches=1 for no shift)"
        return {
            **wrong_numbers(self, *changes, most=LARGEST_CHANGE),
            **wrong_numbers(self, "batch_shift", most=LARGEST_CHANGE, open_below=True, what=shift),
            **wrong_numbers(self, "batch_shift_share", most=1, what="a share of the genes"),
            **wrong_numbers(self, "base_sd", "dispersion_sd", "library_sd", most=5, what="a standard deviation"),
            **wrong_numbers(self, "library_size", most=LARGEST_LIBRARY, open_below=True, what="a median"),
            **_wrong_shares("batch_shares", self.batch_shares, self.n_batches),
            **_wrong_shares("group_shares", self.group_shares, self.n_groups),
            **_wrong_dispersion(self.dispersion),
        }

    def _wrong_sizes(self) -> dict[str, bool]:
        combinations = self.n_batches * self.n_groups
        return {
            f"n_samples={self.n_samples}; {self.n_batches} batches x {self.n_groups} groups need at least one sample "
            f"each, {combinations}": self.n_samples < combinations,
            f"n_de={self.n_de}; more than there are genes, so give at most n_genes={self.n_genes}": (
                self.different > self.n_genes
            ),
            f"n_de={self.n_de} and n_groups=1; genes differ between groups, so give n_groups=2 or n_de=0": (
                self.different > 0 and self.n_groups == 1
            ),
            f"n_up={self.n_up}; more than differ, so give at most n_de={self.different}": self.up > self.different,
            f"n_modules={self.n_modules} and module_size={self.module_size}; modules do not share genes, and there "
            f"are n_genes={self.n_genes}": self.n_modules * self.module_size > self.n_genes,
        }

    def _wrong_effects(self) -> dict[str, bool]:
        mean, least = self.mean_log2_fold_change, self.min_log2_fold_change
        return {
            f"mean_log2_fold_change={mean}; it cannot be below min_log2_fold_change={least}": mean < least,
            f"min_log2_fold_change={least}; genes that differ must do so by more than "
            f"baseline_log2_fold_change={self.baseline_log2_fold_change}": (
                self.different > 0 and least <= self.baseline_log2_fold_change
            ),
        }


def _wrong_shares(name: str, shares: object, count: int) -> dict[str, bool]:
    if shares is None:
        return {}
    values = list(shares) if isinstance(shares, Iterable) else []
    right = len(values) == count and all(is_number(value, open_below=True) for value in values)
    return {f"{name}={shares!r}; give a number above 0 for each of {count}": not right}


def _wrong_dispersion(given: object) -> dict[str, bool]:
    low, high = given if isinstance(given, tuple | list) and len(given) == 2 else (None, None)
    text = "give two numbers: what is divided by the mean, 0 or more, and the dispersion of high means, above 0"
    return {f"dispersion={given!r}; {text}": not (is_number(low) and is_number(high, open_below=True))}
