"""Preparation of a table: which column is predicted, from which others, and what cannot be used."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.data.dealing import with_unit
from cellixir.data.tables import read_table, refuse_duplicates
from cellixir.exceptions import ConfigurationError, InvalidValues, examples
from cellixir.tables.goal import Codes, Floats, Goal

MAX_CLASSES = 50
ID_LIKE = 0.8  # share of rows with a text of their own, from which a column names rows


@dataclass(frozen=True)
class Prepared:
    """Rows and columns that can be used, and what was left out.

    ``table`` holds numbers (float64) and categories (objects); its index numbers the rows of what was read from 0.
    ``excluded`` has the columns ``what`` (rows or columns), ``reason``, ``n`` and ``names``.
    """

    table: pd.DataFrame
    y: Floats
    goal: Goal
    target: str
    groups: pd.Series | None
    excluded: pd.DataFrame
    notes: list[str]
    folds: pd.Series | None = None

    @property
    def units(self) -> Codes:
        """What is drawn for intervals: the group of each row, or the row."""
        known = np.arange(len(self.y)) if self.groups is None else pd.factorize(self.groups)[0]
        return np.asarray(known, dtype=np.int64)

    @property
    def observed(self) -> NDArray[Any]:
        """Target as it is written: numbers, or names of classes."""
        return np.array(self.goal.classes, dtype=object)[self.y.astype(int)] if self.goal.classes else self.y


def read_target_table(path: str | Path, target: str) -> pd.DataFrame:
    """Table of a file in which the column ``target`` stands; text that is nothing but numbers becomes numbers.

    Raises
    ------
    ReadError
        If the file cannot be read as a table.
    ConfigurationError
        If the column is not there; names similar ones.
    """
    table = read_table(path)
    require_columns(table, [target], str(path))
    parsed = {str(name): _numbers(table[name]) for name in table if table[name].dtype == object}
    return table.assign(**{name: column for name, column in parsed.items() if column is not None})


def require_columns(table: pd.DataFrame, names: Sequence[str], source: str) -> None:
    """Refuse a column that is not there, with what may have been meant."""
    known = {str(name).casefold(): str(name) for name in table.columns}
    for name in names:
        if name not in table.columns:
            like = [known[k] for k in get_close_matches(name.casefold(), known, n=3, cutoff=0.5)]
            like += [n for k, n in known.items() if name.casefold() in k and n not in like][:3]
            way_out = f"did you mean {examples(like)}?" if like else f"it has {examples(table.columns, 12)}"
            message = f"{source} has no column {name!r}; {way_out}"
            raise ConfigurationError(message)


def _numbers(column: pd.Series) -> pd.Series | None:
    """Column as float64, infinity as missing; None if it holds words or dates."""
    if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype.kind in "mM":
        return None
    parsed = pd.to_numeric(column, errors="coerce").astype("float64")
    if (parsed.isna() & column.notna()).any() or (parsed.isna().all() and column.dtype == object):
        return None
    return parsed.where(np.isfinite(parsed))


def prepare(
    table: pd.DataFrame,
    target: str,
    *,
    task: Literal["auto", "regression", "classification"] = "auto",
    group: str | None = None,
    fold: str | None = None,
    drop: Sequence[str] = (),
) -> Prepared:
    """Rows and columns that a benchmark can use; what it cannot use is counted with its reason.

    Left out: rows without target, group or fold, classes with one member, columns dropped by name, those that are
    empty, constant, dates, or names of rows (nearly as many texts as rows, or all whole numbers from one to another).

    Raises
    ------
    ConfigurationError
        If a column or task does not exist, or one column is two of target, group, fold and dropped.
    InvalidValues
        If the target has one value or none, is text in a regression, or nothing is left to predict from.
    """
    table = with_unit(table.set_axis(table.columns.map(str), axis=1).reset_index(drop=True), group)
    refuse_duplicates(table.columns, source="the table", what="column name", way_out="rename or drop one")
    keys = {what: key for what, key in (("group", group), ("fold", fold)) if key is not None}
    named = [target, *keys.values(), *dict.fromkeys(drop)]
    require_columns(table, named, "the table")
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        message = f"{twice!r} is named twice: a column is the target, the group, the fold or dropped"
        raise ConfigurationError(message)
    out: list[tuple[str, str, int, str]] = []
    values = _target(table[target], task)
    _leave_out(out, "rows", "no target, or an infinite one", int(values.isna().sum()))
    values = values[values.notna()]
    for what, key in keys.items():
        known = table.loc[values.index, key].notna()
        _leave_out(out, "rows", f"no {what}", int((~known).sum()))
        values = values[known]
    if not len(values) or values.nunique() < 2:
        seen = f"is {examples(values.unique())} in each row" if len(values) else "is missing everywhere"
        message = f"the target {target!r} {seen}: there is nothing to predict; name another column"
        raise InvalidValues(message)
    goal, notes = Goal("regression"), []
    if values.dtype == object:
        members = values.map(values.value_counts())
        alone = sorted(values[members < 2])
        _leave_out(out, "rows", "the only member of its class", len(alone), alone)
        values = values[members > 1]
        goal = Goal("classification", tuple(sorted(values.unique(), key=_order)))
        if not 2 <= len(goal.classes) <= MAX_CLASSES:
            message = f"the target {target!r} has {len(goal.classes)} classes with two members or more; "
            message += f"2 to {MAX_CLASSES} can be told apart: name another column, or join rare classes"
            raise InvalidValues(message)
        y = pd.Categorical(values, categories=list(goal.classes)).codes.astype(np.float64)
    else:
        y = values.to_numpy(np.float64)
        if len(np.unique(y)) <= 10:
            notes.append(f"The target has {len(np.unique(y))} different numbers; if they are classes, say so (--task).")
    _leave_out(out, "columns", "dropped by name", len(drop), drop)
    kept = table.loc[values.index].drop(columns=named)
    features = _usable(kept, out, notes)
    if features.empty:
        gone = "; ".join(f"{n}: {reason}" for what, reason, n, _ in out if what == "columns")
        message = f"no column is left to predict {target!r} from; left out: {gone or 'none, there is no other'}"
        raise InvalidValues(message)
    excluded = pd.DataFrame(out, columns=["what", "reason", "n", "names"])
    of = {what: table.loc[values.index, key].astype(str) for what, key in keys.items()}
    return Prepared(features, y, goal, target, of.get("group"), excluded, notes, of.get("fold"))


def _order(name: str) -> tuple[bool, float, str]:
    """Classes that are numbers go by value, before words."""
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name


def _target(column: pd.Series, task: str) -> pd.Series:
    """Target as float64 for a regression, as names of classes for a classification."""
    if task not in ("auto", "regression", "classification"):
        message = f"there is no task '{task}'; choose auto, regression or classification"
        raise ConfigurationError(message)
    numbers = _numbers(column)
    classes = numbers is None or column.dtype == bool or numbers.nunique() == 2
    if numbers is not None and (task == "regression" or (task == "auto" and not classes)):
        return numbers
    if task == "regression" and column.notna().any():
        wrong = pd.to_numeric(column, errors="coerce").isna() & column.notna()
        first = f"{column[wrong].iloc[0]!r} in row {np.flatnonzero(wrong)[0] + 1}" if wrong.any() else "dates"
        message = (
            f"the target {column.name!r} is not a number: {first} ({wrong.sum():,} such rows); correct it, or use "
        )
        message += "--task classification"
        raise InvalidValues(message)
    if numbers is not None and column.dtype != bool:
        return numbers.astype(object).map(lambda v: str(int(v)) if v == int(v) else repr(v), na_action="ignore")
    return column.astype(object).map(lambda value: str(value).strip(), na_action="ignore")


def _leave_out(out: list[tuple[str, str, int, str]], what: str, reason: str, n: int, names: Sequence[str] = ()) -> None:
    """Count what is left out, if anything is."""
    if n:
        out.append((what, reason, n, examples(names, 12)))


def _usable(table: pd.DataFrame, out: list[tuple[str, str, int, str]], notes: list[str]) -> pd.DataFrame:
    """Columns that models can read, as float64 or objects."""
    kept, reasons = {}, dict.fromkeys(table.columns, "")
    for i, name in enumerate(table.columns):
        column, numbers = table[name], _numbers(table[name])
        if numbers is not None:
            if np.isinf(pd.to_numeric(column, errors="coerce").astype("float64")).any():
                notes.append(f"Infinite values of {name!r} count as missing.")
            column = numbers
        distinct, known = column.nunique(), int(column.notna().sum())
        if not known:
            reasons[name] = "no value in any row that is used"
        elif distinct < 2:
            reasons[name] = "one value in all rows"
        elif numbers is None and column.dtype.kind in "mM":
            reasons[name] = "dates: give a number of days or years instead"
        elif numbers is None and distinct > ID_LIKE * known:
            reasons[name] = "names of rows: nearly as many texts as rows"
        elif numbers is not None and known > 2 and distinct == known and _is_numbering(column, first=i == 0):
            reasons[name] = "numbers of rows: every row has a whole number of its own"
        else:
            kept[name] = column if numbers is not None else column.astype(object).map(str, na_action="ignore")
        if numbers is None and known and column.dtype == object:
            words = pd.to_numeric(column, errors="coerce").isna() & column.notna()
            if words.sum() < 0.5 * known:
                seen = examples(column[words].unique(), 2)
                notes.append(f"{name!r} holds words among numbers ({seen}) and is taken as a category; correct it.")
    for reason in dict.fromkeys(r for r in reasons.values() if r):
        names = [name for name, why in reasons.items() if why == reason]
        _leave_out(out, "columns", reason, len(names), names)
    return pd.DataFrame(kept, index=table.index)


def _is_numbering(column: pd.Series, *, first: bool) -> bool:
    values = column.dropna()
    return bool((values % 1 == 0).all() and (first or values.max() - values.min() == len(values) - 1))


def fingerprint(data: Prepared) -> str:
    """SHA-256 of what models see, the target and the groups."""
    parts = data.table.assign(**{"\x1ftarget": data.observed, "\x1fgroup": data.groups})
    if data.folds is not None:
        parts["\x1ffold"] = data.folds
    digest = hashlib.sha256("\x1f".join(parts.columns).encode())
    for name in parts:
        column = parts[name]
        text = column if column.dtype.kind == "f" else column.astype(str)
        digest.update(pd.util.hash_pandas_object(text).to_numpy().tobytes())
    return digest.hexdigest()
