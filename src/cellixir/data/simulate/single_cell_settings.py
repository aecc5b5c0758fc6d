"""Settings of simulated single cells, and the refusal of those that cannot be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cellixir.data.simulate.ranges import is_number, wrong_counts, wrong_numbers
from cellixir.data.simulate.truth import refuse

#: Share of the genes that differ between groups, and of the counts above zero that are lost, where nothing is asked.
DIFFERENT, LOST = 0.1, 0.2
#: Of log changes; exponentials of more overflow.
LARGEST_CHANGE = 20
LARGEST_LIBRARY = 2**24


@dataclass(frozen=True, kw_only=True)
class SingleCellSettings:
    """What `simulate_single_cell` was asked for; its docstring says what each means."""

    n_cells: int
    n_genes: int
    n_types: int
    n_batches: int
    n_groups: int
    library_size: tuple[float, float]
    type_strength: float
    batch_strength: float
    n_de: int | None
    n_up: int | None
    mean_log2_fold_change: float
    de_by_type: bool
    n_modules: int
    module_size: int
    module_strength: float
    dropout: float | None
    dropout_midpoint: float | None
    dropout_steepness: float
    keep_before: bool
    seed: int

    def __post_init__(self) -> None:
        # Numbers first: what follows compares them.
        refuse("single cells", {**self._not_whole(), **self._not_numbers()})
        refuse("single cells", self._wrong_sizes())

    @property
    def different(self) -> int:
        """Number of genes that differ between a group and the first."""
        usual = round(DIFFERENT * self.n_genes) if self.n_groups > 1 else 0
        return usual if self.n_de is None else self.n_de

    @property
    def up(self) -> int:
        """Number of those that rise."""
        return self.different // 2 if self.n_up is None else self.n_up

    @property
    def lost(self) -> float:
        """Expected share of the counts above zero that is lost, where no midpoint says so."""
        return LOST if self.dropout is None else self.dropout

    def _not_whole(self) -> dict[str, bool]:
        given = [name for name in ("n_de", "n_up") if getattr(self, name) is not None]
        return {
            **wrong_counts(self, "n_cells", "n_genes", "n_types", "n_batches", "n_groups", "module_size"),
            **wrong_counts(self, "n_modules", "seed", *given, least=0),
        }

    def _not_numbers(self) -> dict[str, bool]:
        strengths = ("type_strength", "batch_strength", "mean_log2_fold_change", "module_strength")
        given = () if self.dropout is None else ("dropout",)
        share, midpoint = "the share of the counts above zero that is lost,", self.dropout_midpoint
        return {
            **wrong_numbers(self, *strengths, most=LARGEST_CHANGE),
            **_no_library(self.library_size),
            **wrong_numbers(self, *given, most=0.95, what=share),
            **wrong_numbers(self, "dropout_steepness", most=100, open_below=True),
            f"dropout_midpoint={midpoint!r}; give the natural log of a mean": not (
                midpoint is None or is_number(midpoint, -math.inf)
            ),
        }

    def _wrong_sizes(self) -> dict[str, bool]:
        few = max(self.n_types, self.n_batches, self.n_groups)
        return {
            f"n_cells={self.n_cells}; {self.n_types} types, {self.n_batches} batches and {self.n_groups} groups need "
            f"at least {few}": self.n_cells < few,
            f"n_de={self.n_de}; n_genes={self.n_genes} genes allow at most that many": self.different > self.n_genes,
            f"n_de={self.n_de} and n_groups=1; genes differ between groups, so give n_groups=2 or n_de=0": (
                self.n_groups < 2 and self.different > 0
            ),
            f"n_up={self.n_up}; give 0 to n_de={self.different}": self.up > self.different,
            f"n_modules={self.n_modules} and module_size={self.module_size}; modules share no genes, so they need "
            f"n_genes={self.n_modules * self.module_size}": self.n_modules * self.module_size > self.n_genes,
            "both dropout and dropout_midpoint; each follows from the other, so give one": (
                self.dropout is not None and self.dropout_midpoint is not None
            ),
        }


def _no_library(library_size: object) -> dict[str, bool]:
    """What to say where this is no library size, and whether it is none."""
    median, sd = library_size if isinstance(library_size, Sequence) and len(library_size) == 2 else (0.0, 0.0)
    text = (
        f"library_size={library_size}; give the median, above 0 and up to {LARGEST_LIBRARY:,}, and the SD "
        "of the log, 0 to 3"
    )
    return {text: not (is_number(median, most=LARGEST_LIBRARY, open_below=True) and is_number(sd, most=3))}
