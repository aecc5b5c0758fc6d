"""Audit of a table: a target that can be computed from the other columns, or read off another row.

Columns are searched on a sample of the rows, drawn with a fixed seed; what is found is judged on all of them: fitted on
one half, explained variance on the other, so that many columns on few rows prove nothing. *Rebuilt* means that more
than `NEARLY` of the variance is explained, and nearly as much among the middle nine tenths of the target, lest one
outlier decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.data.audit.findings import SHOWN, Audit, Finding, sorted_audit
from cellixir.data.audit.profiles import MOST_CLASSES
from cellixir.data.audit.rebuild_fits import MIN_ROWS, NEARLY, follows, ranks_of
from cellixir.data.audit.rebuild_search import Goal, RebuildSearch
from cellixir.data.dealing import with_unit
from cellixir.exceptions import ConfigurationError, DuplicateIds, InvalidValues, examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MAX_CLASSES = 5


def audit_table(table: pd.DataFrame, target: str, *, groups: str | None = None, folds: str | None = None) -> Audit:
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
        feature. ``A+B``: what two columns name together, in either order, such as a pair of drugs.
    folds
        A column of folds that are given. It is no feature; groups that stand in several of its folds are a leak.

    Returns
    -------
    Audit
        Findings, leaks first, and what was looked at, with counts.

    Raises
    ------
    ConfigurationError
        If a column is not there.
    DuplicateIds
        If two columns have one name.
    InvalidValues
        If the target is missing everywhere, or has one value.

    Examples
    --------
    >>> table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["age", "ic50"])
    >>> [finding.kind for finding in audit_table(table.assign(twice=2 * table["ic50"]), "ic50").leaks()]
    ['copy']
    """
    table = with_unit(table, groups)
    known, goals = _goals(table, target, groups, folds)
    looks, row_codes = _looks(table, [c for c in table.columns if c not in (target, groups, folds)], known)
    together = None if groups is None else pd.factorize(table[groups].iloc[known])[0]
    findings = [*_parted(table.iloc[known], groups, folds, looks), *_constant(looks), *_repeated_columns(looks)]
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
        search = RebuildSearch(goal, names, values)
        cut = list(_cut_classes(table, known, looks, goal))
        findings += [*search.formulas(), *cut]
        told = search.alone | {name for finding in cut for name in finding.ids}
        others = [look for look in looks if look.name not in told]
        determined = list(_determined(table, known, others, goal, together))
        findings += [*determined, *search.trees({name for finding in determined for name in finding.ids})]
    once = {(finding.kind, finding.ids): finding for finding in reversed(findings)}  # several classes tell the same
    return sorted_audit(reversed(once.values()), checks | {"columns searched for what rebuilds the target": len(names)})


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


def _goals(
    table: pd.DataFrame, target: str, groups: str | None, folds: str | None
) -> tuple[NDArray[np.int64], list[Goal]]:
    """Rows whose target is known, and the target as numbers: itself, or one 0/1 vector for each class."""
    for column in (target, groups, folds):
        if column is not None and column not in table:
            message = f"the table has no column {column!r}; it has {examples(table.columns, 30)}"
            raise ConfigurationError(message)
    if not table.columns.is_unique:
        repeated = table.columns[table.columns.duplicated()]
        message = f"columns stand more than once ({examples(repeated)}); rename or drop one of each"
        raise DuplicateIds(message)
    named = [column for column in (target, groups, folds) if column is not None]
    if len(set(named)) < len(named):
        twice = next(column for column in named if named.count(column) > 1)
        message = f"{twice!r} is named twice: a column is the target, the groups or the folds; name another column"
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
        return known, [Goal(target, np.asarray(values, dtype=np.float64))]
    classes = values.value_counts().index[: 1 if values.nunique() == 2 else MAX_CLASSES]
    return known, [Goal(f"[{target} is {c}]", (values == c).to_numpy(np.float64)) for c in classes]


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


def _parted(table: pd.DataFrame, groups: str | None, folds: str | None, looks: Sequence[_Look]) -> Iterator[Finding]:
    """Values that stand in several of the folds that are given: of the groups, or of each column of words."""
    if folds is None:
        return
    names = [groups] if groups is not None else [look.name for look in looks if not look.numeric and look.distinct > 1]
    told = {}
    for name in names:
        spread = table.groupby(name, observed=True)[folds].nunique()
        told[str(name)] = spread.index[spread > 1].astype(str), len(spread)
    parted = {name: ids for name, (ids, _) in told.items() if len(ids)}
    if groups is not None and parted:
        ids = parted[groups]
        what = f"{len(ids):,} of {told[groups][1]:,} values of '{groups}' stand in several folds of '{folds}'"
        way_out = "leave the fold column out, and folds that keep them together are dealt"
        yield Finding("unit-on-two-sides", "leak", f"{what} ({examples(ids)}): {way_out}", tuple(ids[:SHOWN]), len(ids))
    elif parted:
        counts = "; ".join(f"{len(ids):,} of {told[name][1]:,} values of '{name}'" for name, ids in parted.items())
        way_out = "name what must stay together (--group-key)"
        yield Finding(
            "unit-on-two-sides", "warning", f"in several folds of '{folds}' stand {counts}: {way_out}",
            tuple(parted)[:SHOWN], len(parted),
        )  # fmt: skip


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
    way_out = "drop the repeats, or keep such rows together (--group-key COLUMN)"
    what += f", for example rows {examples(ids[:2])}{'' if leak else '; with so few values that is to be expected'}"
    yield Finding("duplicate-rows", "leak" if leak else "warning", f"{what}: {way_out}", ids[:SHOWN], len(ids))


def _is_fine(y: Floats) -> bool:
    return len(np.unique(y)) > 10


def _cut_classes(table: pd.DataFrame, rows: NDArray[np.int64], looks: Sequence[_Look], goal: Goal) -> Iterator[Finding]:
    """Columns of words whose classes are stretches of the target, such as sensitive and resistant."""
    for look in looks if _is_fine(goal.y) else ():
        if not look.numeric and 2 <= look.distinct <= MOST_CLASSES:
            classes = table[look.name].iloc[rows].astype(object)
            means = pd.Series(goal.y).groupby(classes.to_numpy()).mean().rank()
            r2, _, n = follows(np.asarray(classes.map(means), dtype=np.float64), goal.y, len(looks))
            if r2 > NEARLY:
                what = f"the classes of '{look.name}' are stretches of {goal.name} ({n:,} rows): leave it out"
                yield Finding("monotone", "leak", what, (str(look.name),), look.distinct)


def _determined(
    table: pd.DataFrame,
    rows: NDArray[np.int64],
    looks: Sequence[_Look],
    goal: Goal,
    together: NDArray[np.int64] | None,
) -> Iterator[Finding]:
    """Columns within whose values the target hardly varies, beside how it varies between them (ranks)."""
    ranks = ranks_of(goal.y)
    usual = goal.y == pd.Series(goal.y).mode()[0]
    for look in looks:
        if 2 <= look.distinct <= len(rows) / 2:
            column = _numbers(table[look.name])
            codes = pd.factorize(table[look.name].iloc[rows] if column is None else column[rows])[0]
            share = _within(codes, ranks, usual, together)
            if share < 1 - NEARLY:
                what = f"the {look.distinct:,} values of '{look.name}' determine {goal.name}"
                what += f" ({share:.2%} of its variance lies within them)"
                way_out = f"leave it out, or keep its rows together (--group-key {look.name})"
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
