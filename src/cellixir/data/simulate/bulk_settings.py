"""What bulk samples are simulated from, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cellixir.data.simulate.ranges import wrong_counts, wrong_numbers
from cellixir.data.simulate.truth import refuse

LARGEST_LIBRARY = 1e9


@dataclass(frozen=True, kw_only=True)
class BulkSettings:
    """What `simulate_bulk` was asked for; its docstring says what each means."""

    n_samples: int = 400
    n_genes: int = 10_000
    n_batches: int = 2
    n_groups: int = 2
    batch_shares: Sequence[float] | None = None
    group_shares: Sequence[float] | None = None
    n_de: int | None = None
    n_up: int | None = None
    mean_log2_fold_change: float = 2.0
    min_log2_fold_change: float = 1.0
    baseline_log2_fold_change: float = 0.25
    batch_shift: float = 1.0
    batch_shift_share: float = 0.1
    batch_sd: float = 0.3
    n_modules: int = 0
    module_size: int = 50
    module_sd: float = 0.5
    base_sd: float = 1.7
    dispersion: tuple[float, float] = (1.0, 0.1)
    dispersion_sd: float = 0.5
    library_size: float = 1e7
    library_sd: float = 0.3
    seed: int = 0

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
        return wrong_numbers(
            self, "mean_log2_fold_change", "min_log2_fold_change", "baseline_log2_fold_change", "batch_sd",
            "module_sd", "base_sd", "dispersion_sd", "library_sd",
        )  # fmt: skip

    def _wrong_sizes(self) -> dict[str, bool]:
        combinations = self.n_batches * self.n_groups
        return {
            f"n_samples={self.n_samples}; {self.n_batches} batches x {self.n_groups} groups need at least one sample "
            f"each, {combinations}": self.n_samples < combinations,
            **_wrong_shares("batch_shares", self.batch_shares, self.n_batches),
            **_wrong_shares("group_shares", self.group_shares, self.n_groups),
            f"n_de={self.n_de}; more than there are genes, so give at most n_genes={self.n_genes}": (
                self.different > self.n_genes
            ),
            f"n_de={self.n_de} and n_groups=1; genes differ between groups, so give n_groups=2 or n_de=0": (
                self.different > 0 and self.n_groups == 1
            ),
            f"n_up={self.n_up}; more than differ, so give at most n_de={self.different}": self.up > self.different,
            f"n_modules={self.n_modules} and module_size={self.module_size}; modules do not share genes, and there "
            f"are n_genes={self.n_genes}": self.n_modules * self.module_size > self.n_genes,
            f"library_size={self.library_size}; give a median above 0 and up to {LARGEST_LIBRARY:,.0f}": not (
                0 < self.library_size <= LARGEST_LIBRARY
            ),
        }

    def _wrong_effects(self) -> dict[str, bool]:
        mean, least = self.mean_log2_fold_change, self.min_log2_fold_change
        return {
            f"mean_log2_fold_change={mean}; it cannot be below min_log2_fold_change={least}": mean < least,
            f"min_log2_fold_change={least}; genes that differ must do so by more than "
            f"baseline_log2_fold_change={self.baseline_log2_fold_change}": (
                self.different > 0 and least <= self.baseline_log2_fold_change
            ),
            f"batch_shift={self.batch_shift}; give a threshold above 0, or n_batches=1 for no shift": not (
                0 < self.batch_shift < math.inf
            ),
            f"batch_shift_share={self.batch_shift_share}; give a share from 0 to 1": not (
                0 <= self.batch_shift_share <= 1
            ),
            f"dispersion={self.dispersion}; give two numbers: what is divided by the mean, 0 or more, and the "
            "dispersion of highly expressed genes, above 0": not (
                len(self.dispersion) == 2 and 0 <= self.dispersion[0] < math.inf and 0 < self.dispersion[1] < math.inf
            ),
        }


def _wrong_shares(name: str, shares: Sequence[float] | None, count: int) -> dict[str, bool]:
    if shares is None:
        return {}
    return {
        f"{name}={tuple(shares)}; give one number for each of {count}": len(shares) != count,
        f"{name}={tuple(shares)}; give numbers above 0": not all(0 < share < math.inf for share in shares),
    }
