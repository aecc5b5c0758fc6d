"""Whether the target of a table can be computed from its other columns, or read off another row.

Columns are searched on a sample of the rows, drawn with a fixed seed; what is found is judged on all of them: fitted on
one half, explained variance on the other, so that many columns on few rows prove nothing. *Rebuilt* means that more
than `NEARLY` of the variance is explained, and nearly as much among the middle nine tenths of the target, lest one
outlier decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.linalg import lstsq
from scipy.special import gammaln

from cellixir.data.audit import SHOWN, Audit, Finding, sorted_audit
from cellixir.exceptions import ConfigurationError, DuplicateIds, InvalidValues, examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NEARLY = 0.999  # explained variance from which the target counts as rebuilt
EXACTLY = 1 - 1e-9
MIN_ROWS = 40
SEARCH_ROWS = 4_000
MAX_PAIR_COLUMNS, MAX_JOINT_COLUMNS, MAX_FORM_COLUMNS, MAX_TREE_COLUMNS = 1_000, 800, 300, 60
MAX_CLASSES, MAX_ROUNDS, MAX_STEPS = 5, 4, 15
_FORMS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "{0} * {1}": lambda a, b: a * b,
    "{0} / {1}": lambda a, b: a / b,
    "{1} / {0}": lambda a, b: b / a,
    "max({0}, {1})": np.maximum,
    "min({0}, {1})": np.minimum,
    "|{0} - {1}|": lambda a, b: np.abs(a - b),
    "sqrt({0}^2 + {1}^2)": np.hypot,
}


def audit_table(table: pd.DataFrame, target: str, *, groups: str | None = None) -> Audit:
    """What lets the target be known without a model: columns that give it, and rows that stand twice.

    Parameters
    ----------
    table
        Numbers and categories, one row an observation. Missing values are passed over pair by pair, infinities count
        as missing, rows without target are left out.
    target
        The column to be predicted: numbers or classes.
    groups
        A column whose values the split keeps together, so that rows of one value never stand on two sides. It is no
        feature.

    Raises
    ------
    ConfigurationError
        If a column is not there.
    DuplicateIds
        If two columns have one name.
    InvalidValues
        If the target is missing everywhere, or has one value.
    """
    known, goals = _goals(table, target, groups)
    looks, row_codes = _looks(table, [c for c in table.columns if c not in (target, groups)], known)
    together = None if groups is None else pd.factorize(table[groups].iloc[known])[0]
    findings = [*_constant(looks), *_repeated_columns(looks)]
    findings += _repeated_rows(row_codes, looks, goals[0].y, together, table.index[known])
    checks = {"rows": len(known), "columns": len(looks), "numeric columns": sum(look.numeric for look in looks)}
    if len(known) < MIN_ROWS:
        what = f"{len(known)} rows are too few to tell whether columns rebuild the target ({MIN_ROWS} are needed)"
        findings.append(Finding("few-rows", "warning", f"{what}: judge by eye", (), len(known)))
        return sorted_audit(findings, checks)
    names = list({look.values_key: look.name for look in looks[::-1] if look.numeric and look.distinct > 1}.values())[
        ::-1
    ]
    values = _matrix(table, names, known)
    for goal in goals:
        search = _Search(goal, names, values)
        findings += search.formulas()
        others = [look for look in looks if look.name not in search.alone]
        determined = list(_determined(table, known, others, goal, together))
        findings += [*determined, *search.trees({name for finding in determined for name in finding.ids})]
    once = {(finding.kind, finding.ids): finding for finding in reversed(findings)}  # several classes tell the same
    return sorted_audit(reversed(once.values()), checks | {"columns searched for what rebuilds the target": len(names)})


@dataclass(frozen=True)
class _Goal:
    """What is to be rebuilt: the target, or whether it is one of its classes."""

    name: str
    y: Floats


@dataclass(frozen=True)
class _Look:
    """What one look at a column tells.

    ``key`` is the same for columns that part the rows alike, ``values_key`` for those that hold the same values;
    ``surprise`` is the negative log probability that two rows agree.
    """

    name: str
    numeric: bool
    distinct: int
    key: int
    values_key: int
    surprise: float


def _goals(table: pd.DataFrame, target: str, groups: str | None) -> tuple[NDArray[np.int64], list[_Goal]]:
    """Rows whose target is known, and the target as numbers: itself, or one 0/1 vector for each class."""
    for column in (target, groups):
        if column is not None and column not in table:
            message = f"the table has no column {column!r}; it has {examples(table.columns, 30)}"
            raise ConfigurationError(message)
    if not table.columns.is_unique:
        repeated = table.columns[table.columns.duplicated()]
        message = f"columns stand more than once ({examples(repeated)}); rename or drop one of each"
        raise DuplicateIds(message)
    if groups == target:
        message = f"{target!r} cannot be both the target and the groups; name another column"
        raise ConfigurationError(message)
    numbers = _numbers(table[target])
    values = table[target] if numbers is None else pd.Series(numbers)
    known = np.flatnonzero(values.notna())
    values = values.iloc[known]
    if values.nunique() < 2:
        seen = f"is {examples(values.unique())} in each row" if len(values) else "is missing everywhere"
        message = f"the target {target!r} {seen}: there is nothing to predict; name another column"
        raise InvalidValues(message)
    if numbers is not None:
        return known, [_Goal(target, np.asarray(values, dtype=np.float64))]
    classes = values.value_counts().index[: 1 if values.nunique() == 2 else MAX_CLASSES]
    return known, [_Goal(f"[{target} is {c}]", (values == c).to_numpy(np.float64)) for c in classes]


def _numbers(column: pd.Series) -> Floats | None:
    """Column as float64 with NaN for what is missing or infinite; None if it holds words."""
    if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_datetime64_any_dtype(column):
        return None
    if not pd.api.types.is_numeric_dtype(column):
        parsed = pd.to_numeric(column, errors="coerce")
        if (parsed.isna() & column.notna()).any() or parsed.isna().all():
            return None
        column = parsed
    values = column.to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan) + 0.0  # -0.0 becomes 0.0


def _matrix(table: pd.DataFrame, names: Sequence[str], rows: NDArray[np.int64]) -> Floats:
    values = np.empty((len(rows), len(names)), order="F")
    for number, name in enumerate(names):
        column = _numbers(table[name])
        values[:, number] = np.nan if column is None else column[rows]
    return values


def _looks(
    table: pd.DataFrame, columns: Sequence[str], rows: NDArray[np.int64]
) -> tuple[list[_Look], NDArray[np.uint64]]:
    """A look at each column, and a code of each row that is the same for rows with the same features.

    Columns of nothing but different words or whole numbers are ids of the rows and do not count in the code.
    """
    rng = np.random.default_rng(0)
    looks, code = [], np.zeros(len(rows), dtype=np.uint64)
    for name in columns:
        numbers = _numbers(table[name])
        column = table[name].iloc[rows] if numbers is None else numbers[rows]
        codes, levels = pd.factorize(column)
        counts = np.bincount(codes + 1, minlength=1)[1:]
        distinct, n = len(counts), int(counts.sum())
        whole = numbers is None or bool((column == np.rint(column))[codes >= 0].all())
        if not (whole and distinct == n > 1):
            code += (codes + 1).astype(np.uint64) * rng.integers(1, 2**63, dtype=np.uint64)
        values_key = (
            hash("\x1f".join([str(codes.tolist()), *map(str, levels)])) if numbers is None else hash(column.tobytes())
        )
        key = hash(codes.tobytes()) if 2 * distinct <= n else values_key
        surprise = -np.log(((counts / max(len(rows), 1)) ** 2).sum()) if n else 0.0
        looks.append(_Look(name, numbers is not None, distinct, key, values_key, surprise))
    return looks, code


def _constant(looks: Sequence[_Look]) -> Iterator[Finding]:
    names = tuple(str(look.name) for look in looks if look.distinct < 2)
    if names:
        what = f"{len(names):,} columns hold one value or none ({examples(names)}) and say nothing: drop them"
        yield Finding("constant", "warning", what, names[:SHOWN], len(names))


def _repeated_columns(looks: Sequence[_Look]) -> Iterator[Finding]:
    first: dict[int, str] = {}
    repeated = [
        (str(look.name), str(first[look.key]))
        for look in looks
        if look.distinct > 1 and first.setdefault(look.key, look.name) != look.name
    ]
    if repeated:
        pairs = ", ".join(f"'{name}' as '{other}'" for name, other in repeated[:3])
        what = f"{len(repeated):,} columns part the rows as an earlier one does ({pairs}): drop one of each"
        yield Finding("duplicate-columns", "warning", what, tuple(n for n, _ in repeated[:SHOWN]), len(repeated))


def _repeated_rows(
    codes: NDArray[np.uint64], looks: Sequence[_Look], y: Floats, together: NDArray[np.int64] | None, labels: pd.Index
) -> Iterator[Finding]:
    """Rows with the features of another row; a leak if they agree by more than chance would let them.

    Chance is that of columns with more than ten values, taken as independent; fewer values prove nothing.
    """
    table = pd.DataFrame(
        {"code": pd.factorize(codes)[0], "y": y, "group": np.arange(len(y)) if together is None else together}
    )
    apart = table.groupby("code")["group"].transform("nunique") > 1
    repeated = table[apart]
    if repeated.empty or not codes.any():
        return
    same = repeated.duplicated(["code", "y"], keep=False)
    telling = sum({look.key: look.surprise for look in looks if look.distinct > 10}.values())
    chance = np.log(len(y)) * 2 - telling - np.log(len(repeated))
    chance_same = chance + np.log(((table["y"].value_counts() / len(y)) ** 2).sum())
    leak = chance < np.log(0.01) or (same.any() and _is_fine(y) and chance_same < np.log(0.01))
    ids = tuple(str(label) for label in labels[repeated.sort_values("code", kind="stable").index])
    what = f"{len(ids):,} rows have the features of another row ({int(same.sum()):,} of them its target too)"
    way_out = "drop the repeats, or keep such rows together (--group COLUMN)"
    what += f", for example rows {examples(ids[:2])}{'' if leak else '; with so few values that is to be expected'}"
    yield Finding("duplicate-rows", "leak" if leak else "warning", f"{what}: {way_out}", ids[:SHOWN], len(ids))


def _is_fine(y: Floats) -> bool:
    return len(np.unique(y)) > 10


def _determined(
    table: pd.DataFrame,
    rows: NDArray[np.int64],
    looks: Sequence[_Look],
    goal: _Goal,
    together: NDArray[np.int64] | None,
) -> Iterator[Finding]:
    """Columns within whose values the target hardly varies, beside how it varies between them (ranks)."""
    ranks = _ranks(goal.y)
    usual = goal.y == pd.Series(goal.y).mode()[0]
    for look in looks:
        if 2 <= look.distinct <= len(rows) / 2:
            column = _numbers(table[look.name])
            codes = pd.factorize(table[look.name].iloc[rows] if column is None else column[rows])[0]
            share = _within(codes, ranks, usual, together)
            if share < 1 - NEARLY:
                what = f"the {look.distinct:,} values of '{look.name}' determine {goal.name}"
                what += f" ({share:.2%} of its variance lies within them)"
                way_out = f"leave it out, or keep its rows together (--group {look.name})"
                yield Finding("determined", "leak", f"{what}: {way_out}", (str(look.name),), look.distinct)


def _within(codes: NDArray[np.int64], y: Floats, usual: NDArray[np.bool_], together: NDArray[np.int64] | None) -> float:
    """Mean square of y within codes over that of y, among codes with several rows; 1 where that proves nothing."""
    if together is not None and len(set(zip(codes, together, strict=True))) == len(set(codes)):
        return 1.0  # the split keeps the rows of each value together
    counts = np.bincount(codes + 1)
    counts[0] = 0
    several = counts[codes + 1] > 1
    codes, y, n_groups = codes[several], y[several], int((counts > 1).sum())
    freedom = len(y) - n_groups
    if freedom < MIN_ROWS // 2 or n_groups < 2 or (~usual[several]).sum() < MIN_ROWS // 4:
        return 1.0
    y = y - y.mean()
    total = (y**2).sum()
    sums = np.bincount(codes, y)
    within = total - (sums**2 / np.maximum(np.bincount(codes), 1)).sum()
    return float(within / freedom / (total / (len(y) - 1))) if total > 0 else 1.0


class _Search:
    """Columns that rebuild one goal: alone, in a sum, in a product of powers, in another form, by a tree."""

    def __init__(self, goal: _Goal, names: Sequence[str], values: Floats) -> None:
        self.goal, self.names, self.values = goal, names, values
        self.alone: set[str] = set()
        self.left = list(range(len(names)))  # columns that are not yet part of a finding

    def formulas(self) -> list[Finding]:
        """What rebuilds the goal by a formula; what one search finds is left out of the next."""
        y = self.goal.y
        with np.errstate(all="ignore"):
            found = [*self._alone(self.values, y, "copy"), *self._combined(self.values, y, _sum)]
            logs, log_y = _log(self.values), _log(y)
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
        rows = _sample(len(y), 20_000)
        ranks = _ranks(y[rows])
        likely: list[int] = []
        for block in (self.left[i : i + 256] for i in range(0, len(self.left), 256)):
            x = _part(values, rows, block)
            linear = _column_r2(x, y[rows])
            likely += [block[i] for i in np.flatnonzero(linear > 0.99)]
            if kind == "monotone":  # of logarithms: their ranks were compared as values
                continue
            monotone = _column_r2(x_ranks := _ranks(x), ranks) / _most(x_ranks, ranks)
            likely += [block[i] for i in np.flatnonzero((linear <= 0.99) & (monotone > 0.98))]
        for column in likely:
            r2, line, n = _follows(values[:, column], y, len(self.names))
            if r2 > NEARLY:
                self.alone.add(self.names[column])
                self.left.remove(column)
                how = "is, shifted and scaled," if line and kind == "copy" else "is a monotone function or a power of"
                what = f"'{self.names[column]}' {how} {self.goal.name} (R2 {_shown(r2)}, {n:,} rows): leave it out"
                yield Finding(kind if line else "monotone", "leak", what, (str(self.names[column]),), 1)

    def _combined(self, values: Floats, y: Floats, formula: _Formula) -> Iterator[Finding]:
        """Fewest columns of which the goal is a linear combination: first pairs, then any number."""
        for pair in self._pairs(values, y):
            yield self._rebuilt(values, y, pair, formula)
        for _ in range(MAX_ROUNDS):
            columns = self._joint(values, y)
            if not columns or _judged(values[:, columns], y)[0] <= NEARLY:
                return
            yield self._rebuilt(values, y, columns, formula)

    def _rebuilt(self, values: Floats, y: Floats, columns: Sequence[int], formula: _Formula) -> Finding:
        self.left = [column for column in self.left if column not in columns]
        names = tuple(str(self.names[column]) for column in columns)
        r2, factors, constant, n = _judged(values[:, columns], y)
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
        rows = _sample(len(y), SEARCH_ROWS if len(columns) <= 300 else SEARCH_ROWS // 2)
        r2 = np.triu(_pair_r2(_part(values, rows, columns), y[rows]), 1)
        first, second = np.nonzero(r2 > NEARLY)
        best = np.argsort(-r2[first, second], kind="stable")[:100]
        used: set[int] = set()
        for pair in ((columns[first[k]], columns[second[k]]) for k in best):
            # of pairs that share a column only exact ones are told: one strong column goes with any other
            judged = _judged(values[:, pair], y)[0]
            if judged > (EXACTLY if used & set(pair) else NEARLY) and len(used) < SHOWN:
                used |= set(pair)
                yield pair

    def _joint(self, values: Floats, y: Floats) -> list[int]:
        for rows, columns in _complete(values, self.left, len(y)):
            if found := _fewest(values, y[rows], rows, columns):
                return found
        return []

    def _likeliest(self, values: Floats, y: Floats, limit: int) -> list[int]:
        if len(self.left) <= limit:
            return self.left
        blocks = (self.left[i : i + 256] for i in range(0, len(self.left), 256))
        rows = _sample(len(y), SEARCH_ROWS)
        r2 = np.concatenate([_column_r2(_part(values, rows, block), y[rows]) for block in blocks])
        return [self.left[k] for k in np.sort(np.argsort(-r2, kind="stable")[:limit])]

    def _forms(self) -> Iterator[Finding]:
        """Pairs of columns whose product, ratio, larger, smaller, distance or length is the goal."""
        y, columns = self.goal.y, self._likeliest(self.values, self.goal.y, MAX_FORM_COLUMNS)
        rows = _sample(len(y), min(SEARCH_ROWS // 2, 200 + 2_000_000 // len(columns) ** 2) if columns else 0)
        x = _part(self.values, rows, columns)
        for text, form in _FORMS.items():
            for i, column in enumerate(columns[:-1]):
                r2 = _column_r2(form(x[:, [i]], x[:, i + 1 :]), y[rows])
                for other in (columns[i + 1 + k] for k in np.flatnonzero(r2 > NEARLY)):
                    built = form(self.values[:, column], self.values[:, other])[:, None]
                    judged, _, _, n = _judged(built, y)
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
        rows = _sample(len(self.goal.y), 5 * SEARCH_ROWS)
        if not columns or len(rows) < 5 * MIN_ROWS:
            return
        with np.errstate(all="ignore"):
            r2, share = _boosted(_part(self.values, rows, columns), self.goal.y[rows])
        if r2 > NEARLY:
            top = [k for k in np.argsort(-share)[:5] if share[k] > 0.01 * share.max()]
            names = tuple(str(self.names[columns[k]]) for k in top)
            what = f"{self.goal.name} is computed by a boosted tree, above all from {examples(names, 5)}"
            what += f" (R2 {_shown(r2)} on {len(rows) // 2:,} held-out rows)"
            yield Finding("nearly-rebuilt", "warning", f"{what}: ask what these columns are made of", names, len(names))


_Formula = Callable[[Sequence[str], "Floats", float, float], str]


def _shown(r2: float) -> str:
    return "1" if r2 > EXACTLY else f"{r2:.6f}"


def _sample(n: int, size: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(0).permutation(n)[:size])


def _part(values: Floats, rows: NDArray[np.int64], columns: Sequence[int]) -> Floats:
    return values[:, columns] if len(rows) == len(values) else values[np.ix_(rows, np.asarray(columns, dtype=np.int64))]


def _ranks(values: Floats) -> Floats:
    """Ranks down each column; missing stays missing."""
    return np.asarray(pd.DataFrame(values).rank().to_numpy().reshape(values.shape), dtype=np.float64)


def _log(values: Floats) -> Floats:
    logs = np.log(np.abs(values))
    logs[~np.isfinite(logs)] = np.nan
    return logs


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


def _r2(y: Floats, fit: Floats) -> float:
    """Explained variance; what is explained of the middle nine tenths, if that is much less."""
    low, high = np.quantile(y, [0.05, 0.95])
    middle = (y >= low) & (y <= high)
    whole, inner = (1 - ((y - fit)[k] ** 2).sum() / ((y[k] - y[k].mean()) ** 2).sum() for k in (slice(None), middle))
    return float(whole if inner > 0.99 or np.ptp(y[middle]) == 0 else min(whole, inner))


def _column_r2(x: Floats, y: Floats) -> Floats:
    """Squared correlation of each column with y over the rows where it is known; 0 where too few are."""
    known = np.isfinite(x)
    y, n = y - y.mean(), known.sum(axis=0)
    x = np.where(known, x, 0.0)
    x = np.where(known, x - x.sum(axis=0) / n, 0.0)
    scale = np.abs(x).max(axis=0, initial=0.0)
    x = x / np.where(scale > 0, scale, 1.0)
    of_y, of_y2 = y @ known, y**2 @ known
    r2 = (y @ x) ** 2 / ((x**2).sum(axis=0) * (of_y2 - of_y**2 / n))
    return np.where((n >= MIN_ROWS // 2) & np.isfinite(r2), r2, 0.0)


def _tied(values: Floats) -> bool:
    return len(np.unique(values)) <= len(values) / 10


def _most(x_ranks: Floats, ranks: Floats) -> Floats:
    """Largest squared rank correlation with y that the ties on one side allow, for each column."""
    if _tied(ranks):
        return np.full(x_ranks.shape[1], max(np.corrcoef(np.sort(ranks), np.arange(len(ranks)))[0, 1] ** 2, 1e-3))
    filled = np.sort(np.where(np.isnan(x_ranks), np.nanmean(x_ranks, axis=0), x_ranks), axis=0)
    return np.maximum(_column_r2(filled, np.sort(ranks)), 1e-3)


def _follows(x: Floats, y: Floats, n_columns: int) -> tuple[float, bool, int]:
    """How well x explains y, whether by a line, and the number of rows with both."""
    both = np.isfinite(x)
    x, y = x[both], y[both]
    if len(y) < MIN_ROWS // 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0, False, len(y)
    line = _judged(x[:, None], y)[0]
    if line > NEARLY:
        return line, True, len(y)
    ranks = _ranks(np.column_stack([x, y]))
    r2, most = _correlation(ranks) ** 2, 1.0
    if _tied(x) != _tied(y):
        counts = np.unique(x if _tied(x) else y, return_counts=True)[1]
        orders = gammaln(len(y) + 1) - gammaln(counts + 1).sum()  # log number of ways to part the rows so
        most = _correlation(np.sort(ranks, axis=0)) ** 2 if orders > np.log(1e6 * n_columns) else 1.0
    return float(r2 / most), False, len(y)


def _correlation(pair: Floats) -> float:
    return float(np.corrcoef(pair[:, 0], pair[:, 1])[0, 1])


def _judged(x: Floats, y: Floats) -> tuple[float, Floats, float, int]:
    """R2 on half of the complete rows of a linear fit to the others; its slopes, constant, number of held-out rows."""
    complete = np.isfinite(x).all(axis=1)
    x, y = x[complete], y[complete]
    width = x.shape[1]
    order = np.random.default_rng(1).permutation(len(y))
    fit, held = order[: len(y) // 2], order[len(y) // 2 :]
    if len(fit) < max(MIN_ROWS // 4, 2 * width) or np.ptp(y[held]) == 0:
        return 0.0, np.zeros(width), 0.0, len(held)
    center, scale = x[fit].mean(axis=0), x[fit].std(axis=0)
    scale[scale == 0] = 1.0
    slopes = _fitted((x[fit] - center) / scale, y[fit] - y[fit].mean()) / scale
    constant = float(y[fit].mean() - center @ slopes)
    return _r2(y[held], x[held] @ slopes + constant), slopes, constant, len(held)


def _pair_r2(x: Floats, y: Floats) -> Floats:
    """In-sample R2 of y on each two columns, over the rows where both are known, shape ``(p, p)``."""
    known = np.isfinite(x).astype(np.float64)
    y = (y - y.mean()) / y.std()
    x = np.where(known > 0, x - np.nanmean(x, axis=0), 0.0)
    x /= np.maximum(np.sqrt((x**2).mean(axis=0)), np.finfo(float).tiny)
    n = known.T @ known
    sx, sy = x.T @ known, (known * y[:, None]).T @ known
    xx = (x**2).T @ known - sx**2 / n
    xz = x.T @ x - sx * sx.T / n
    xy = (x * y[:, None]).T @ known - sx * sy / n
    yy = (known * y[:, None] ** 2).T @ known - sy**2 / n
    left = xx * xx.T - xz**2
    r2 = (xy**2 * xx.T + xy.T**2 * xx - 2 * xy * xy.T * xz) / (left * yy)
    return np.where((n >= MIN_ROWS // 2) & (left > 1e-9 * xx * xx.T) & np.isfinite(r2), r2, 0.0)


def _complete(values: Floats, columns: Sequence[int], n: int) -> Iterator[tuple[NDArray[np.int64], list[int]]]:
    """Rows and columns without gaps: for each common pattern of gaps, the columns known in most of its rows."""
    rows = _sample(n, max(SEARCH_ROWS, 4 * min(len(columns), MAX_JOINT_COLUMNS)))
    known = np.isfinite(values)[np.ix_(rows, np.asarray(columns, dtype=np.int64))]
    patterns = pd.Series([hash(column.tobytes()) for column in np.ascontiguousarray(known.T)])
    for pattern in patterns.value_counts().index[: MAX_ROUNDS + 1]:
        seed = known[:, np.flatnonzero(patterns == pattern)[0]]
        share = known[seed].mean(axis=0) if seed.any() else np.zeros(len(columns))
        for least in (0.9, 1.0):
            chosen = np.flatnonzero(share >= least)
            there = rows[seed & known[:, chosen].all(axis=1)]
            if len(chosen) > 1 and len(there) >= MIN_ROWS:
                yield there, [columns[int(k)] for k in chosen]
                break


def _fewest(values: Floats, y: Floats, rows: NDArray[np.int64], columns: Sequence[int]) -> list[int]:
    """Few of the columns of which y is a linear combination on held-out rows; none if there are not."""
    order = np.random.default_rng(2).permutation(len(y))
    fit, held = order[: len(y) // 2], order[len(y) // 2 :]
    if np.ptp(y[fit]) == 0 or np.ptp(y[held]) == 0:
        return []
    y = (y - y[fit].mean()) / y.std()
    many = len(columns) > min(MAX_JOINT_COLUMNS, 0.7 * len(fit))
    columns = _pursued(values, y[fit], rows[fit], columns) if many else columns
    x = _part(values, rows, columns)
    scale = x[fit].std(axis=0)
    x = (x - x[fit].mean(axis=0)) / np.where(scale > 0, scale, np.inf)

    def gap(chosen: Sequence[int]) -> float:
        part = x[:, chosen]
        return 1 - _r2(y[held], part[held] @ _fitted(part[fit], y[fit]))

    ranked = list(range(len(columns)))
    if not many:
        ranked = list(np.argsort(-np.abs(_fitted(x[fit], y[fit])), kind="stable"))
    least = gap(ranked)
    if not least < 1 - NEARLY:
        return []
    enough = min(1 - NEARLY, max(10 * least, 1e-9))
    sizes = [k for k in (*range(1, 9), 12, 16, 24, 32, 64, 128, 256, 512) if k < len(ranked)]
    ranked = next((ranked[:k] for k in sizes if gap(ranked[:k]) <= enough), ranked)
    while 1 < len(ranked) <= 24:
        without = min(([c for c in ranked if c != out] for out in ranked), key=gap)
        if gap(without) > enough:
            break
        ranked = without
    return sorted(columns[column] for column in ranked)


def _fitted(x: Floats, y: Floats) -> Floats:
    return np.asarray(lstsq(x, y, lapack_driver="gelsy")[0], dtype=np.float64)


def _pursued(values: Floats, y: Floats, rows: NDArray[np.int64], columns: Sequence[int]) -> list[int]:
    """Columns by orthogonal matching pursuit (Pati et al., Asilomar 1993): each the best for what is left over."""
    x = np.empty((len(rows), len(columns)), dtype=np.float32)
    for start in range(0, len(columns), 1000):
        part = _part(values, rows, columns[start : start + 1000])
        scale = part.std(axis=0)
        x[:, start : start + 1000] = (part - part.mean(axis=0)) / np.where(scale > 0, scale, np.inf)
    chosen: list[int] = []
    rest = y - y.mean()
    while len(chosen) < MAX_STEPS and rest.var() > 1e-10:
        chosen.append(int(np.argmax(np.abs(rest.astype(np.float32) @ x))))
        part = x[:, chosen].astype(np.float64)
        rest = y - y.mean() - part @ _fitted(part, y - y.mean())
    return [columns[k] for k in dict.fromkeys(chosen)]


def _boosted(x: Floats, y: Floats) -> tuple[float, Floats]:
    """Held-out R2 of trees, alone or on what a linear model leaves over; what is lost when a column is shuffled."""
    order = np.random.default_rng(3).permutation(len(y))
    fit, held = order[: len(y) // 2], order[len(y) // 2 :]
    ways = [(False, False), (True, False), *([(True, True)] if y.min() > 0 else [])]
    for linear, logarithm in ways:
        for n_trees in (50, 400):
            predict = _trees(x[fit], y[fit], n_trees, linear=linear, logarithm=logarithm)
            r2 = _r2(y[held], predict(x[held]))
            if not r2 > 0.98:
                break  # far from rebuilt: more trees are not worth their time
        if r2 > NEARLY:
            return r2, np.array([r2 - _r2(y[held], predict(_shuffled(x[held], k))) for k in range(x.shape[1])])
    return 0.0, np.zeros(x.shape[1])


def _shuffled(x: Floats, column: int) -> Floats:
    x = x.copy()
    x[:, column] = np.random.default_rng(4).permutation(x[:, column])
    return x


def _trees(x: Floats, y: Floats, n_trees: int, *, linear: bool, logarithm: bool) -> Callable[[Floats], Floats]:
    from sklearn.ensemble import HistGradientBoostingRegressor

    def terms(x: Floats) -> Floats:
        both = (np.hstack([x, _log(x)]) - center) / scale
        return np.hstack([np.where(np.isfinite(both), both, 0.0), np.ones((len(x), 1))])

    both = pd.DataFrame(np.hstack([x, _log(x)]))
    center, scale = both.mean().to_numpy(), both.std().to_numpy()
    y = np.log(y) if logarithm else y
    slopes = _fitted(terms(x), y) * linear
    trees = HistGradientBoostingRegressor(max_iter=n_trees, early_stopping=False, random_state=0)
    trees.fit(x, y - terms(x) @ slopes)

    def predict(x: Floats) -> Floats:
        fitted = terms(x) @ slopes + trees.predict(x)
        return np.asarray(np.exp(fitted) if logarithm else fitted, dtype=np.float64)

    return predict
