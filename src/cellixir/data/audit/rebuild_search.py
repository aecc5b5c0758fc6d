"""Search for columns that rebuild a target: alone, together, in another form or by trees; findings say how.

Columns are searched on a sample of the rows, drawn with a fixed seed; what is found is judged on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellixir.data.audit.findings import SHOWN, Finding
from cellixir.data.audit.rebuild_fits import (
    MAX_ROUNDS,
    MIN_ROWS,
    NEARLY,
    SEARCH_ROWS,
    boosted_fit,
    column_r2,
    complete_parts,
    fewest_columns,
    follows,
    held_out_fit,
    log_of,
    most_rank_r2,
    pair_r2,
    part_of,
    ranks_of,
    sample_rows,
)
from cellixir.exceptions import examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

EXACTLY = 1 - 1e-9
NEAR = 0.99  # explained variance of one column that is worth a look, though a predictor may reach it
MAX_PAIR_COLUMNS, MAX_FORM_COLUMNS, MAX_TREE_COLUMNS = 1_000, 300, 60
_Formula = Callable[[Sequence[str], "Floats", float, float], str]
_FORMS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "{0} * {1}": lambda a, b: a * b,
    "{0} / {1}": lambda a, b: a / b,
    "{1} / {0}": lambda a, b: b / a,
    "max({0}, {1})": np.maximum,
    "min({0}, {1})": np.minimum,
    "|{0} - {1}|": lambda a, b: np.abs(a - b),
    "sqrt({0}^2 + {1}^2)": np.hypot,
}


@dataclass(frozen=True)
class Goal:
    """What is to be rebuilt: the target, or whether it is one of its classes."""

    name: str
    y: Floats


class RebuildSearch:
    """Columns that rebuild one goal: alone, in a sum, in a product of powers, in another form, by a tree."""

    def __init__(self, goal: Goal, names: Sequence[str], values: Floats) -> None:
        self.goal, self.names, self.values = goal, names, values
        self.alone: set[str] = set()
        self.left = list(range(len(names)))  # columns that are not yet part of a finding

    def formulas(self) -> list[Finding]:
        """What rebuilds the goal by a formula; what one search finds is left out of the next."""
        y = self.goal.y
        with np.errstate(all="ignore"):
            found = [*self._alone(self.values, y, "copy"), *self._combined(self.values, y, _sum)]
            logs, log_y = log_of(self.values), log_of(y)
            rows = np.isfinite(log_y)
            powers = rows.mean() > 0.9 and len(np.unique(y)) > 10
            if powers:
                some = logs if rows.all() else logs[rows]
                found += [*self._alone(some, log_y[rows], "monotone"), *self._combined(some, log_y[rows], _product)]
            if len(self.left) <= MAX_PAIR_COLUMNS:
                found += [*self._alone(logs, y, "monotone"), *self._combined(logs, y, _logarithms)]
            if powers and len(self.left) <= MAX_PAIR_COLUMNS:
                found += self._combined(self.values[rows], log_y[rows], _exponential)
            del logs
            return [*found, *self._forms()]

    def _alone(self, values: Floats, y: Floats, kind: str) -> Iterator[Finding]:
        """Columns that are the goal, up to a line or up to any increasing or decreasing function."""
        rows = sample_rows(len(y), 20_000)
        ranks = ranks_of(y[rows])
        likely: list[int] = []
        for block in (self.left[i : i + 256] for i in range(0, len(self.left), 256)):
            x = part_of(values, rows, block)
            linear = column_r2(x, y[rows])
            likely += [block[i] for i in np.flatnonzero(linear > 0.99)]
            if kind == "monotone":  # of logarithms: their ranks were compared as values
                continue
            monotone = column_r2(x_ranks := ranks_of(x), ranks) / most_rank_r2(x_ranks, ranks)
            likely += [block[i] for i in np.flatnonzero((linear <= 0.99) & (monotone > 0.98))]
        for column in likely:
            r2, line, n = follows(values[:, column], y, len(self.names))
            if r2 > NEARLY:
                self.alone.add(self.names[column])
                self.left.remove(column)
                how = "is, shifted and scaled," if line and kind == "copy" else "is a monotone function or a power of"
                what = f"'{self.names[column]}' {how} {self.goal.name} (R2 {_shown(r2)}, {n:,} rows): leave it out"
                yield Finding(kind if line else "monotone", "leak", what, (str(self.names[column]),), 1)
            elif r2 > NEAR and kind == "copy" and len(np.unique(y)) > 10:
                what = f"'{self.names[column]}' follows {self.goal.name} (R2 {_shown(r2)}, {n:,} rows)"
                way_out = "leave it out if it was computed from it"
                yield Finding("near-copy", "warning", f"{what}: {way_out}", (str(self.names[column]),), 1)

    def _combined(self, values: Floats, y: Floats, formula: _Formula) -> Iterator[Finding]:
        """Fewest columns of which the goal is a linear combination: first pairs, then any number."""
        for pair in self._pairs(values, y):
            yield self._rebuilt(values, y, pair, formula)
        for _ in range(MAX_ROUNDS):
            columns = self._joint(values, y)
            if not columns or held_out_fit(values[:, columns], y)[0] <= NEARLY:
                return
            yield self._rebuilt(values, y, columns, formula)

    def _rebuilt(self, values: Floats, y: Floats, columns: Sequence[int], formula: _Formula) -> Finding:
        self.left = [column for column in self.left if column not in columns]
        names = tuple(str(self.names[column]) for column in columns)
        r2, factors, constant, n = held_out_fit(values[:, columns], y)
        tolerance = 1e-4 if r2 > EXACTLY else 0.01
        constant = constant if abs(constant) > tolerance * y.std() else 0.0
        text = formula(names, factors, constant, tolerance) if len(names) <= 4 else _many(names)
        sign = "=" if r2 > EXACTLY else "≈"
        signed = formula in (_product, _exponential) and self.goal.y.min() < 0  # these tell the size alone
        goal = f"|{self.goal.name}|" if signed else self.goal.name
        what = f"{goal} {sign} {text} (R2 {_shown(r2)} on {n:,} held-out rows)"
        return Finding("rebuild", "leak", f"{what}: leave out one of {examples(names, 4)}", names[:SHOWN], len(names))

    def _pairs(self, values: Floats, y: Floats) -> Iterator[tuple[int, int]]:
        columns = self._likeliest(values, y, MAX_PAIR_COLUMNS)
        rows = sample_rows(len(y), SEARCH_ROWS if len(columns) <= 300 else SEARCH_ROWS // 2)
        r2 = np.triu(pair_r2(part_of(values, rows, columns), y[rows]), 1)
        first, second = np.nonzero(r2 > NEARLY)
        best = np.argsort(-r2[first, second], kind="stable")[:100]
        used: set[int] = set()
        for pair in ((columns[first[k]], columns[second[k]]) for k in best):
            # of pairs that share a column only exact ones are told: one strong column goes with any other
            judged = held_out_fit(values[:, pair], y)[0]
            if judged > (EXACTLY if used & set(pair) else NEARLY) and len(used) < SHOWN:
                used |= set(pair)
                yield pair

    def _joint(self, values: Floats, y: Floats) -> list[int]:
        for rows, columns in complete_parts(values, self.left, len(y)):
            if found := fewest_columns(values, y[rows], rows, columns):
                return found
        return []

    def _likeliest(self, values: Floats, y: Floats, limit: int) -> list[int]:
        if len(self.left) <= limit:
            return self.left
        blocks = (self.left[i : i + 256] for i in range(0, len(self.left), 256))
        rows = sample_rows(len(y), SEARCH_ROWS)
        r2 = np.concatenate([column_r2(part_of(values, rows, block), y[rows]) for block in blocks])
        return [self.left[k] for k in np.sort(np.argsort(-r2, kind="stable")[:limit])]

    def _forms(self) -> Iterator[Finding]:
        """Pairs of columns whose product, ratio, larger, smaller, distance or length is the goal."""
        y, columns = self.goal.y, self._likeliest(self.values, self.goal.y, MAX_FORM_COLUMNS)
        rows = sample_rows(len(y), min(SEARCH_ROWS // 2, 200 + 2_000_000 // len(columns) ** 2) if columns else 0)
        x = part_of(self.values, rows, columns)
        for text, form in _FORMS.items():
            for i, column in enumerate(columns[:-1]):
                r2 = column_r2(form(x[:, [i]], x[:, i + 1 :]), y[rows])
                for other in (columns[i + 1 + k] for k in np.flatnonzero(r2 > NEARLY)):
                    built = form(self.values[:, column], self.values[:, other])[:, None]
                    judged, _, _, n = held_out_fit(built, y)
                    if judged > NEARLY and {column, other} <= set(self.left):
                        self.left = [c for c in self.left if c not in (column, other)]
                        names = str(self.names[column]), str(self.names[other])
                        what = f"{self.goal.name} is, shifted and scaled, {text.format(*names)}"
                        what += f" (R2 {_shown(judged)} on {n:,} held-out rows): leave out one of {examples(names)}"
                        yield Finding("rebuild", "leak", what, names, 2)

    def trees(self, without: Collection[str]) -> Iterator[Finding]:
        """Whether boosted trees, or a linear model and trees, compute the goal on held-out rows."""
        self.left = [column for column in self.left if self.names[column] not in without]
        columns = self._likeliest(self.values, self.goal.y, MAX_TREE_COLUMNS)
        rows = sample_rows(len(self.goal.y), 5 * SEARCH_ROWS)
        if not columns or len(rows) < 5 * MIN_ROWS:
            return
        with np.errstate(all="ignore"):
            r2, share = boosted_fit(part_of(self.values, rows, columns), self.goal.y[rows])
        if r2 > NEARLY:
            top = [k for k in np.argsort(-share)[:5] if share[k] > 0.01 * share.max()]
            names = tuple(str(self.names[columns[k]]) for k in top)
            what = f"{self.goal.name} is computed by a boosted tree, above all from {examples(names, 5)}"
            what += f" (R2 {_shown(r2)} on {len(rows) // 2:,} held-out rows)"
            yield Finding("nearly-rebuilt", "warning", f"{what}: ask what these columns are made of", names, len(names))


def _shown(r2: float) -> str:
    return "1" if r2 > EXACTLY else f"{r2:.6f}"


def _sum(names: Sequence[str], factors: Floats, constant: float, tolerance: float) -> str:
    """Formula of a linear combination.

    >>> _sum(["a", "b"], np.array([1.0, -2.0]), 0.0, 1e-4)
    'a - 2 b'
    """
    digits = 3 if tolerance > 1e-3 else 6
    sizes = ["" if abs(abs(f) - 1) < tolerance else f"{abs(f):.{digits}g} " for f in factors]
    terms = [f"{'-' if f < 0 else '+'} {size}{name}" for f, size, name in zip(factors, sizes, names, strict=True)]
    terms += [f"{'-' if constant < 0 else '+'} {abs(constant):.{digits}g}"] if constant else []
    return " ".join(terms).removeprefix("+ ")


def _product(names: Sequence[str], factors: Floats, constant: float, tolerance: float) -> str:
    """Formula of a product of powers.

    >>> _product(["a", "b"], np.array([1.0, -1.0]), 0.0, 1e-4)
    'a * b^-1'
    """
    powers = [n if abs(f - 1) < tolerance else f"{n}^{f:.3g}" for n, f in zip(names, factors, strict=True)]
    return " * ".join([f"{np.exp(constant):.3g}"] * bool(constant) + powers)


def _logarithms(names: Sequence[str], factors: Floats, constant: float, tolerance: float) -> str:
    return _sum([f"log |{name}|" for name in names], factors, constant, tolerance)


def _exponential(names: Sequence[str], factors: Floats, constant: float, tolerance: float) -> str:
    return f"exp({_sum(names, factors, constant, tolerance)})"


def _many(names: Sequence[str]) -> str:
    return f"a combination of {len(names):,} columns, {examples(names, 4)}"
