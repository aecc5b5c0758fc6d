"""Benchmark of any table: which model predicts one column from the others, and whether it beats a naive guess.

The leakage audit runs first. A piece is one model on one fold.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from cellixir.data.audit.findings import Audit, check_allowed, require_clean
from cellixir.data.audit.table import audit_table
from cellixir.data.dealing import deal
from cellixir.exceptions import ConfigurationError
from cellixir.metrics.conformal import units_needed
from cellixir.runs import Found, Leaderboard, Outcomes, Piece, RunFolder, earlier
from cellixir.tables import report
from cellixir.tables.features import TableFeatures, chain_of
from cellixir.tables.goal import TaskName
from cellixir.tables.models import MODELS, chosen_models
from cellixir.tables.prepare import Prepared, fingerprint, prepare
from cellixir.tables.scores import Judging, Predictions, board_of, by_fold, long_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.runs.piece import OnEpoch

HISTORY = ["model", "fold", "member", "epoch", "train_loss", "validation_loss", "learning_rate", "seconds"]


@dataclass(frozen=True)
class TableResult:
    """What a benchmark of a table found; ``folder`` holds the tables and the page."""

    folder: Path
    task: TaskName
    board: Leaderboard
    leaderboard: pd.DataFrame
    audit: Audit
    excluded: pd.DataFrame
    failures: pd.DataFrame
    notes: list[str]
    headline: str

    @property
    def overall(self) -> pd.DataFrame:
        """One row a model over all folds, the best first."""
        return self.board.table


def benchmark(
    table: pd.DataFrame,
    target: str,
    out: Path | str,
    *,
    task: Literal["auto", "regression", "classification"] = "auto",
    group: str | None = None,
    fold: str | None = None,
    models: Sequence[str] | None = None,
    n_folds: int = 5,
    seed: int = 0,
    drop: Sequence[str] = (),
    allow: Sequence[str] = (),
    preprocess: str = "",
    interval: float | None = None,
    jobs: int = 1,
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
    fold
        Column of folds that are given, in place of ``n_folds``; it is no feature. The audit says what they part.
    models
        Names of ``cellixir.tables.models.MODELS``; None for all that can run. The baselines always run.
    drop, allow
        Columns to leave out, and findings of the audit to go on with (``KIND`` or ``KIND:column``).
    preprocess
        Steps for the numbers, learned within the fold; empty: ``impute=mean,standard``.
    interval
        Level of prediction intervals of a regression, calibrated on the other folds; None: none.
    jobs
        Processes at a time.

    Returns
    -------
    TableResult
        Leaderboard, audit, failures and where they were written.

    Raises
    ------
    Leakage
        If columns give the target away that neither ``drop`` nor ``allow`` names; ``audit.json`` is there then.
    ConfigurationError, InvalidValues
        If an option or the table cannot work, or ``out`` holds another benchmark.

    Examples
    --------
    >>> benchmark(table, "ic50", "my-benchmark", models=["ridge"]).overall  # doctest: +SKIP
    """
    check_allowed(allow)
    data = prepare(table, target, task=task, group=group, fold=fold, drop=drop)
    if data.folds is not None:
        n_folds = data.folds.nunique()
    names = chosen_models(models, data.goal.task)
    chain_of(preprocess)
    _check(data, n_folds, seed, interval)
    settings = {
        "target": target, "task": data.goal.task, "group": group, "folds": n_folds, "seed": seed,
        "preprocess": preprocess,
    } | ({} if fold is None else {"fold": fold})  # fmt: skip
    identity = settings | {"fingerprint": fingerprint(data)}
    with RunFolder(
        out, "table benchmark", identity, data={"table": fingerprint(data)}, settings=settings, command=command,
        what="a benchmark of another table, target, seed or chain",
    ) as run:  # fmt: skip
        audit = audit_table(_audited(data, group, fold), target, groups=group, folds=fold)
        audit.write(run.path / "audit.json")
        require_clean(audit, allow)
        judging = Judging(data, _fold_of(data, n_folds, seed), seed, interval)
        there = [name for name in earlier(run.path, "model") if name in MODELS and data.goal.task in MODELS[name].tasks]
        wanted = [name for name in MODELS if name in names]
        pieces = {name: _pieces(judging, name, preprocess) for name in MODELS if name in {*wanted, *there}}
        kept = [name for name in pieces if name in wanted or run.complete(pieces[name])]
        # fold by fold, so that the features of a fold are learned once for all models
        by_folds = [pieces[name][fold] for fold in range(n_folds) for name in kept]
        done = run.pieces(by_folds, jobs=jobs, quiet=quiet)
        return _write(run, judging, audit, done, _facts(data, table, settings, group))


def _check(data: Prepared, n_folds: int, seed: int, interval: float | None) -> None:
    n_units = len(np.unique(data.units)) if data.folds is None else n_folds
    if data.folds is not None and n_folds < 2:
        message = "all rows that are used stand in one fold: there is nothing to hold out; choose another --fold-key"
        raise ConfigurationError(message)
    if n_units < 2:
        message = "all rows that are used have one group: there is nothing to hold out; choose another --group-key"
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


def _fold_of(data: Prepared, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Fold of each row, as given or dealt, shape ``(n_rows,)``."""
    if data.folds is not None:
        return np.asarray(pd.factorize(data.folds, sort=True)[0], dtype=np.int64)
    strata = data.y.astype(int) if data.goal.classes else None
    groups = None if data.groups is None else data.units
    return deal(len(data.y), n_folds, seed, strata=strata, groups=groups, even=True)


def _audited(data: Prepared, group: str | None, fold: str | None) -> pd.DataFrame:
    """What models see, with the target, the group and the folds: nothing else can leak."""
    keys = {group: data.groups, fold: data.folds}
    return data.table.assign(**{data.target: data.observed}, **{k: v for k, v in keys.items() if k is not None})


def _pieces(judging: Judging, name: str, preprocess: str) -> list[Piece]:
    """A model on every fold."""
    settings = {"task": judging.data.goal.task, "preprocess": preprocess, "seed": judging.seed}
    return [
        Piece(
            {"model": name, "fold": fold},
            settings | {"n_folds": judging.n_folds},
            partial(_fitted, judging, name, preprocess, fold),
            f"{name}, fold {fold + 1} of {judging.n_folds}",
        )
        for fold in range(judging.n_folds)
    ]


def _fitted(judging: Judging, name: str, preprocess: str, fold: int, place: Path, on_epoch: OnEpoch) -> Found:
    """Predictions of the test rows by a model that has not seen them."""
    del place, on_epoch  # a fold takes seconds
    data = judging.data
    train, test = np.flatnonzero(judging.fold_of != fold), np.flatnonzero(judging.fold_of == fold)
    features, groups = _features(judging, preprocess, fold), None if data.groups is None else data.units[train]
    start = time.perf_counter()
    model = MODELS[name].make(data.goal, judging.seed, preprocess)
    model.fit(data.table.iloc[train], data.observed[train], groups=groups, features=features)
    asked = data.table.iloc[test]
    predicted = model.predict_proba(asked) if data.goal.classes else model.predict(asked)[:, None]
    seconds = time.perf_counter() - start
    history = getattr(model, "history_", pd.DataFrame()).assign(model=name, fold=fold)
    assert len(predicted) == len(test)
    return Found({"predicted": predicted}, {"history": history}, {"seconds": seconds})


@lru_cache(maxsize=2)
def _features(judging: Judging, preprocess: str, fold: int) -> TableFeatures:
    """Features of a fold, learned from its training rows."""
    data, train = judging.data, np.flatnonzero(judging.fold_of != fold)
    return TableFeatures(data.goal, preprocess, judging.seed).fit(data.table.iloc[train], data.y[train])


def _facts(data: Prepared, table: pd.DataFrame, settings: Mapping[str, object], group: str | None) -> dict[str, str]:
    words = data.table.select_dtypes(exclude="number").shape[1]
    return {
        "rows used": f"{len(data.y):,} of {len(table):,}",
        "columns used": f"{data.table.shape[1] - words:,} numbers, {words:,} categories of {table.shape[1]:,} columns",
        "target": data.target,
        "task": data.goal.task,
        "kept together": group or "nothing: rows are dealt one by one",
        "folds": f"{settings['folds']}, " + (f"of column {settings['fold']!r}" if "fold" in settings else "dealt"),
        "seed": str(settings["seed"]),
        "chain of the numbers": str(settings["preprocess"] or "impute=mean,standard"),
        "data fingerprint (SHA-256)": fingerprint(data),
    }


def _write(run: RunFolder, judging: Judging, audit: Audit, done: Outcomes, facts: dict[str, str]) -> TableResult:
    """Gather the pieces into the tables and the page."""
    found = done.whole("model")
    predictions: Predictions = {}
    histories, clock = [pd.DataFrame(columns=HISTORY)], []
    for piece, result in found:
        name, fold = str(piece.labels["model"]), int(piece.labels["fold"])
        rows = predictions.setdefault(name, np.full((len(judging.data.y), judging.data.goal.width), np.nan))
        rows[judging.fold_of == fold] = result.arrays["predicted"]
        histories.append(result.tables["history"])
        clock.append({"model": name, "fold": fold, "seconds": result.facts["seconds"]})
    history = pd.concat([h for h in histories if len(h)] or histories[:1], ignore_index=True)
    bounds, seconds = judging.bounds(predictions), pd.DataFrame(clock)
    board = board_of(judging, predictions, seconds, bounds)
    folds, long = by_fold(judging, predictions, seconds), long_table(judging, predictions, bounds)
    run.table("leaderboard", folds)
    run.table("overall", board.table)
    run.table("histories", history)
    run.table("predictions.parquet", long)
    said = board.headline(f" for {judging.data.target}")
    notes = [*judging.data.notes, *done.notes]
    page = report.page_of(judging, board, folds, long, history, audit, done.failures, said, notes, facts, run.command)
    run.page(page)
    run.says(headline=said, metrics=board.metrics(), notes=notes)
    return TableResult(
        run.path, judging.data.goal.task, board, folds, audit, judging.data.excluded, done.failures, notes, said
    )
