"""Benchmark of perturbation predictors: every model beside every baseline, on folds that leave something new out.

A piece is one model on one fold: what it says of the test wells, and what it says when the drugs or the contexts of
these are exchanged.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd

from cellixir.data.audit.findings import Audit, check_allowed, require_clean
from cellixir.metrics.intervals import Interval
from cellixir.perturbation import report
from cellixir.perturbation.audit import audit_effects
from cellixir.perturbation.board import ABLATIONS, board_of, by_fold, ceiling_of, headline, scored, warnings_of
from cellixir.perturbation.controls import effects_of, fingerprint
from cellixir.perturbation.models import BASELINES, MODELS, ModelSpec, chosen_models
from cellixir.perturbation.scores import Truth
from cellixir.perturbation.screen import Screen, other_contexts, other_drugs
from cellixir.perturbation.splits import Fold, make_folds
from cellixir.runs import Found, Leaderboard, Outcomes, Piece, RunFolder, earlier

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellixir.perturbation.wells import Keys
    from cellixir.runs.piece import OnEpoch

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PerturbationResult:
    """What a benchmark found; ``folder`` holds the tables and the page.

    Attributes
    ----------
    board
        Models over all folds with intervals, and paired differences.
    leaderboard
        One row a model and fold.
    conditions
        One row a model and tested condition.
    ceiling
        Pearson of a replicate's effects with a well's, with its interval; NaN without replicates.
    """

    folder: Path
    board: Leaderboard
    leaderboard: pd.DataFrame
    conditions: pd.DataFrame
    ceiling: Interval
    audit: Audit
    failures: pd.DataFrame
    notes: list[str]
    headline: str


def benchmark(
    wells: ad.AnnData,
    keys: Keys,
    out: Path | str,
    *,
    split: str = "drug",
    models: Sequence[str] | Mapping[str, ModelSpec] | None = None,
    n_folds: int = 5,
    seed: int = 0,
    values: str = "auto",
    smiles: pd.Series | None = None,
    allow: Sequence[str] = (),
    device: str = "auto",
    jobs: int = 1,
    source: str = "your data",
    command: str = "",
    quiet: bool = True,
) -> PerturbationResult:
    """Judge predictors of perturbation effects and write tables and report to ``out``.

    Parameters
    ----------
    wells
        Wells x genes, as `effects_of` takes them.
    keys
        Columns of ``obs``.
    out
        Folder; if it holds a part of the same benchmark, the rest is done.
    split
        ``drug``, ``scaffold``, ``cell-line``, ``pair`` or ``plate``.
    models
        Names of ``cellixir.perturbation.models.MODELS``, None for all but the published VAE; or predictors by a name of
        your own. The baselines always run.
    values, smiles
        As of `effects_of`.
    allow
        Findings of the audit that do not stop the benchmark.
    jobs
        Processes at a time.

    Returns
    -------
    PerturbationResult
        Leaderboard, ceiling, audit and where they were written.

    Raises
    ------
    ConfigurationError, InvalidValues
        If the data or an option cannot work, or ``out`` holds another benchmark.
    Leakage
        If tested effects are known in training.

    Examples
    --------
    >>> benchmark(wells, Keys("pert_iname", ("DMSO",)), "my-benchmark").ceiling  # doctest: +SKIP
    """
    own = isinstance(models, Mapping)
    chosen = BASELINES | dict(models) if isinstance(models, Mapping) else chosen_models(models)
    check_allowed(allow)
    effects = effects_of(wells, keys, values=values, smiles=smiles)
    folds, dealt = make_folds(effects, split, n_folds=n_folds, seed=seed)
    screen = Screen(effects, split, folds, seed, chosen if own else MODELS, device)
    audit = audit_effects(effects, split, folds)
    require_clean(audit, allow)
    prints = {"effects": fingerprint(effects)}
    settings = {"split": split, "folds": len(folds), "seed": seed}
    what = "a benchmark of other data, split, folds or seed"
    with RunFolder(
        out, "perturb benchmark", settings | prints, data=prints, settings=settings, what=what, command=command
    ) as run:
        audit.write(run.path / "audit.json")
        there = {*chosen, *earlier(run.path, "model")}
        pieces = {name: _pieces(screen, name) for name in screen.specs if name in there}
        kept = [name for name in pieces if name in chosen or run.complete(pieces[name])]
        done = run.pieces([pieces[name][k] for k in range(len(folds)) for name in kept], jobs=jobs, quiet=quiet)
        notes = [*effects.uns["notes"], *dealt, *(finding.what for finding in audit.findings), *done.notes]
        return _write(run, screen, audit, done, notes, source)


def _pieces(screen: Screen, name: str) -> list[Piece]:
    settings = {"split": screen.split, "seed": screen.seed, "n_folds": len(screen.folds)}
    settings |= {"home": screen.specs[name].home, "parameters": dict(screen.specs[name].parameters)}
    return [
        Piece(
            {"model": name, "fold": fold.number}, settings, partial(_fitted, screen, name, fold),
            f"{name}, fold {fold.number + 1} of {len(screen.folds)}",
        )
        for fold in screen.folds
    ]  # fmt: skip


def _fitted(screen: Screen, name: str, fold: Fold, place: Path, on_epoch: OnEpoch) -> Found:
    """What a model that has not seen them says of the test wells, also asked for other drugs and in other contexts."""
    start = time.perf_counter()
    model = screen.specs[name].make(screen.split, screen.seed, screen.device)
    model.fit(screen.training(fold), checkpoint=place, on_epoch=on_epoch)
    asked = screen.question(fold)
    told = {"told": np.asarray(model.predict(asked).X)}
    seconds = time.perf_counter() - start
    for ablation, other in zip(ABLATIONS, (other_drugs(screen, asked), other_contexts(screen, asked)), strict=True):
        if other is not None:
            told[ablation] = np.asarray(model.predict(other).X)
    history = getattr(model, "history_", pd.DataFrame()).assign(model=name, fold=fold.number)
    return Found(told, {"history": history}, {"seconds": seconds})


def _write(
    run: RunFolder, screen: Screen, audit: Audit, done: Outcomes, notes: list[str], source: str
) -> PerturbationResult:
    """Score the pieces, write tables and page."""
    truth = Truth.of(screen.treated)
    conditions, clock, histories = scored(screen, truth, done)
    ceiling = ceiling_of(screen, truth)
    board = board_of(screen, truth, conditions, clock)
    folds = by_fold(screen, conditions, clock, ceiling)
    said = headline(board, ceiling[0])
    for name, table in (("leaderboard", folds), ("overall", board.table), ("paired", board.paired),
                        ("conditions.csv.gz", conditions), ("histories", histories)):  # fmt: skip
        run.table(name, table)
    told = [*notes, *warnings_of(board)]
    page = report.page_of(
        screen, board, folds, conditions, histories, ceiling[0], audit, done.failures, said, told, source, run.command
    )
    run.page(page)
    run.says(headline=said, metrics=board.metrics() | {"ceiling": ceiling[0].value}, notes=told)
    return PerturbationResult(run.path, board, folds, conditions, ceiling[0], audit, done.failures, told, said)
