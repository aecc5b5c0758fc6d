"""Benchmark of any table: which model predicts one column from the others, and whether it beats a naive guess.

The leakage audit runs first. A piece is one model on one fold; it is written when it is done, so a run that was stopped
goes on where it was, and a model can be added later.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import cellixir
from cellixir.data.audit.response import Audit, check_allowed, require_clean
from cellixir.data.audit.table import audit_table
from cellixir.data.tables import read_table, refuse_duplicates
from cellixir.exceptions import ConfigurationError, InvalidValues, examples
from cellixir.files import claim, whole
from cellixir.metrics.conformal import units_needed
from cellixir.tables import report as table_report
from cellixir.tables.models import (
    MODELS,
    Codes,
    Floats,
    Goal,
    Rows,
    TableFeatures,
    TaskName,
    chain_of,
    chosen_models,
    deal,
)
from cellixir.training import Bars

MAX_CLASSES = 50
ID_LIKE = 0.8  # share of rows with a text of their own, from which a column names rows
HISTORY = ["model", "fold", "member", "epoch", "train_loss", "validation_loss", "learning_rate", "seconds"]


@dataclass(frozen=True)
class TableResult:
    """Tables of a finished benchmark, the folder that holds them, and what they say in one sentence."""

    folder: Path
    task: TaskName
    leaderboard: pd.DataFrame
    overall: pd.DataFrame
    audit: Audit
    excluded: pd.DataFrame
    notes: list[str]
    headline: str


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

    @property
    def units(self) -> Codes:
        """What is drawn for intervals: the group of each row, or the row."""
        known = np.arange(len(self.y)) if self.groups is None else pd.factorize(self.groups)[0]
        return np.asarray(known, dtype=np.int64)

    @property
    def observed(self) -> NDArray[Any]:
        """Target as it is written: numbers, or names of classes."""
        return np.array(self.goal.classes, dtype=object)[self.y.astype(int)] if self.goal.classes else self.y

    def rows(self, features: TableFeatures, part: Codes) -> Rows:
        """Some rows as the models read them; what is predicted is not among it."""
        table = self.table.iloc[part]
        groups = None if self.groups is None else self.units[part]
        return Rows(features.transform(table), table, groups)


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
    drop: Sequence[str] = (),
) -> Prepared:
    """Rows and columns that a benchmark can use; what it cannot use is counted with its reason.

    Left out: rows without target or group, classes with one member, columns dropped by name, those that are empty,
    constant, dates, or names of rows (nearly as many texts as rows, or all whole numbers from one to another).

    Raises
    ------
    ConfigurationError
        If a column or task does not exist, or the target is also dropped or the group.
    InvalidValues
        If the target has one value or none, is text in a regression, or nothing is left to predict from.
    """
    table = table.set_axis(table.columns.map(str), axis=1).reset_index(drop=True)
    refuse_duplicates(table.columns, source="the table", what="column names stand", way_out="rename or drop one")
    require_columns(table, [target, *([group] if group else []), *drop], "the table")
    if target == group or target in drop or group in drop:
        message = f"{target!r} is the target and {group!r} the group: neither can be the other, nor be dropped"
        raise ConfigurationError(message)
    out: list[tuple[str, str, int, str]] = []
    values = _target(table[target], task)
    _leave_out(out, "rows", "no target, or an infinite one", int(values.isna().sum()))
    unknown = values.isna() if group is None else values.isna() | table[group].isna()
    _leave_out(out, "rows", "no group", int((unknown & values.notna()).sum()))
    values = values[~unknown]
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
    kept = table.loc[values.index].drop(columns=[target, *drop, *([group] if group else [])])
    features = _usable(kept, out, notes)
    if features.empty:
        gone = "; ".join(f"{n}: {reason}" for what, reason, n, _ in out if what == "columns")
        message = f"no column is left to predict {target!r} from; left out: {gone or 'none, there is no other'}"
        raise InvalidValues(message)
    groups = None if group is None else table.loc[values.index, group].astype(str)
    return Prepared(
        features, y, goal, target, groups, pd.DataFrame(out, columns=["what", "reason", "n", "names"]), notes
    )


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


def benchmark_table(
    table: pd.DataFrame,
    target: str,
    out: Path | str,
    *,
    task: Literal["auto", "regression", "classification"] = "auto",
    group: str | None = None,
    models: Sequence[str] | None = None,
    n_folds: int = 5,
    seed: int = 0,
    drop: Sequence[str] = (),
    allow: Sequence[str] = (),
    preprocess: str = "",
    interval: float | None = None,
    command: str = "",
    quiet: bool = True,
) -> TableResult:
    """Judge models that predict ``target`` from the other columns, and write tables and report to ``out``.

    Parameters
    ----------
    table
        Numbers and categories, one row an observation.
    target
        Column to be predicted.
    out
        Folder; if it holds a part of the same benchmark, the rest is done.
    task
        ``auto``: classification if the target is text, true/false or has two values, else regression.
    group
        Column whose values come into one fold with all their rows; it is no feature.
    models
        Names of ``cellixir.tables.models.MODELS``; None for all that can run. The baselines always run.
    drop, allow
        Columns to leave out, and findings of the audit to go on with (``KIND`` or ``KIND:column``).
    preprocess
        Steps for the numbers, learned within the fold; empty: ``impute=mean,standard``.
    interval
        Level of prediction intervals of a regression, calibrated on the other folds; None: none.

    Raises
    ------
    Leakage
        If columns give the target away that neither ``drop`` nor ``allow`` names; ``audit.json`` is there then.
    ConfigurationError, InvalidValues
        If an option or the table cannot work, or ``out`` holds another benchmark.
    """
    folder = Path(out)
    check_allowed(allow)
    data = prepare(table, target, task=task, group=group, drop=drop)
    names = chosen_models(models, data.goal.task)
    chain_of(preprocess)
    _check(data, n_folds, seed, interval)
    settings = {"target": target, "task": data.goal.task, "group": group, "folds": n_folds, "seed": seed}
    facts = settings | {"preprocess": preprocess, "fingerprint": fingerprint(data)}
    begun = (folder / "pieces").is_dir()  # what stopped before a model was fitted, at a leak perhaps, may start anew
    claim(folder / "benchmark.json", facts, "a benchmark of another table, target, seed or chain", begun=begun)
    audit = audit_table(_audited(data, group), target, groups=group)
    audit.write(folder / "audit.json")
    require_clean(audit, allow)
    fold_of = deal(len(data.y), n_folds, seed, data.y.astype(int) if data.goal.classes else None,
                   None if group is None else data.units)  # fmt: skip
    names = [n for n in MODELS if n in names or _is_done(folder, n, fold_of, data)]
    _run(folder, data, names, fold_of, preprocess, seed, quiet)
    run = table_report.Run(
        data.goal, data.target, data.table, data.y, data.observed, data.groups, data.units, fold_of, audit,
        data.excluded, data.notes, seed, interval,
        _facts(data, table, facts, group, command),
    )  # fmt: skip
    return _write(folder, run, names)


def _check(data: Prepared, n_folds: int, seed: int, interval: float | None) -> None:
    n_units = len(np.unique(data.units))
    if n_units < 2:
        message = "all rows that are used have one group: there is nothing to hold out; choose another --group"
        raise ConfigurationError(message)
    if not 2 <= n_folds <= n_units or seed < 0:
        what = "rows" if data.groups is None else "groups"
        message = f"{n_units} {what} cannot be dealt into {n_folds} folds with seed {seed}; take 2 to {n_units} folds, "
        message += "and a seed from 0 up"
        raise ConfigurationError(message)
    if interval is not None:
        units_needed(interval)
        if data.goal.classes:
            message = f"--interval {interval:g} is for a regression; a classification tells probabilities: leave it out"
            raise ConfigurationError(message)


def fingerprint(data: Prepared) -> str:
    """SHA-256 of what models see, the target and the groups."""
    parts = data.table.assign(**{"\x1ftarget": data.observed, "\x1fgroup": data.groups})
    digest = hashlib.sha256("\x1f".join(parts.columns).encode())
    for name in parts:
        column = parts[name]
        text = column if column.dtype.kind == "f" else column.astype(str)
        digest.update(pd.util.hash_pandas_object(text).to_numpy().tobytes())
    return digest.hexdigest()


def _audited(data: Prepared, group: str | None) -> pd.DataFrame:
    """What models see, with the target and the group: nothing else can leak."""
    named = {data.target: data.observed} | ({} if group is None else {group: data.groups})
    return data.table.assign(**named)


def _place(folder: Path, name: str, fold: int) -> Path:
    return folder / "pieces" / name / f"fold-{fold}"


def _read(place: Path, n: int, width: int) -> tuple[Floats, pd.DataFrame, float] | None:
    """Predictions of the test rows, history and seconds of a piece; None if it is still to be done."""
    try:
        facts = json.loads((place / "piece.json").read_text())
        predicted = np.load(place / "predicted.npy", allow_pickle=False)
        history = pd.DataFrame(facts["history"], columns=HISTORY)
    except (OSError, ValueError, EOFError, KeyError):  # not there, or damaged: to be done
        return None
    return (predicted, history, float(facts["seconds"])) if predicted.shape == (n, width) else None


def _is_done(folder: Path, name: str, fold_of: Codes, data: Prepared) -> bool:
    if data.goal.task not in MODELS[name].tasks:
        return False
    sizes = enumerate(np.bincount(fold_of))
    return all(_read(_place(folder, name, f), int(n), data.goal.width) is not None for f, n in sizes)


def _run(
    folder: Path, data: Prepared, names: list[str], fold_of: Codes, preprocess: str, seed: int, quiet: bool
) -> None:
    """Do the pieces that are not there; ``piece.json`` is written last."""
    folds = range(int(fold_of.max()) + 1)
    with Bars("table benchmark", len(names) * len(folds), quiet=quiet) as bars:
        for fold in folds:
            train, test = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
            parts: tuple[Rows, Rows] | None = None
            for name in names:
                bars.starts(f"{name}, fold {fold + 1} of {len(folds)}")
                place = _place(folder, name, fold)
                if _read(place, len(test), data.goal.width) is None:
                    if parts is None:
                        features = TableFeatures(data.goal, preprocess, seed).fit(data.table.iloc[train], data.y[train])
                        parts = data.rows(features, train), data.rows(features, test)
                    start = time.perf_counter()
                    model = MODELS[name].make(data.goal, seed)
                    model.fit(parts[0], data.y[train])
                    predicted = model.predict(parts[1])
                    seconds = time.perf_counter() - start
                    history = getattr(model, "history_", pd.DataFrame()).assign(model=name, fold=fold)
                    _write_piece(place, predicted, {"seconds": seconds, "history": history.to_dict(orient="list")})
                bars.done()


def _write_piece(place: Path, predicted: Floats, facts: dict[str, Any]) -> None:
    with whole(place / "predicted.npy") as file:
        np.save(file, predicted)
    with whole(place / "piece.json") as file:
        file.write_text(json.dumps(facts))


def _facts(
    data: Prepared, table: pd.DataFrame, facts: dict[str, Any], group: str | None, command: str
) -> dict[str, str]:
    words = data.table.select_dtypes(exclude="number").shape[1]
    shown = {
        "rows used": f"{len(data.y):,} of {len(table):,}",
        "columns used": f"{data.table.shape[1] - words:,} numbers, {words:,} categories of {table.shape[1]:,} columns",
        "target": data.target,
        "task": data.goal.task,
        "kept together": group or "nothing: rows are dealt one by one",
        "folds": str(facts["folds"]),
        "seed": str(facts["seed"]),
        "chain of the numbers": facts["preprocess"] or "impute=mean,standard",
        "data fingerprint (SHA-256)": facts["fingerprint"],
        "cellixir": cellixir.__version__,
    }
    return shown | ({"command": command} if command else {})


def _write(folder: Path, run: table_report.Run, names: list[str]) -> TableResult:
    """Gather the pieces into the tables and the report."""
    predictions: dict[str, Floats] = {}
    histories, clock = [pd.DataFrame(columns=HISTORY)], []
    for name in names:
        predictions[name] = np.full((len(run.y), run.goal.width), np.nan)
        for fold in range(int(run.fold_of.max()) + 1):
            test = np.flatnonzero(run.fold_of == fold)
            done = _read(_place(folder, name, fold), len(test), run.goal.width)
            if done is None:
                message = f"{_place(folder, name, fold)} was changed while the benchmark ran; run the command again"
                raise ConfigurationError(message)
            predictions[name][test] = done[0]
            histories.append(done[1])
            clock.append({"model": name, "fold": fold, "seconds": done[2]})
    known = [h for h in histories if len(h)] or histories[:1]
    tables = table_report.tables_of(run, predictions, pd.DataFrame(clock), pd.concat(known, ignore_index=True))
    for name in ("leaderboard", "overall", "histories"):
        with whole(folder / f"{name}.csv") as file:
            getattr(tables, name).to_csv(file, index=False)
    with whole(folder / "predictions.parquet") as file:
        tables.predictions.to_parquet(file, index=False)
    said = table_report.write_table_report(folder / "report.html", run, tables)
    return TableResult(
        folder, run.goal.task, tables.leaderboard, tables.overall, run.audit, run.excluded, run.notes, said
    )
