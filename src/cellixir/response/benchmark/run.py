"""The benchmark: every model on every fold, piece by piece.

A piece is one model on one fold. It is written when it is done, so a run that was stopped goes on where it was,
and a model can be added later. Test responses are read here and by the metrics, never by a model.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from cellixir.data.audit.findings import check_allowed, require_clean
from cellixir.data.audit.response import audit_response
from cellixir.data.splits import make_folds
from cellixir.exceptions import ConfigurationError
from cellixir.files import claim
from cellixir.response.benchmark.labels import fold_labels
from cellixir.response.benchmark.models import Models, Options, chosen_models
from cellixir.response.benchmark.option_checks import check_options
from cellixir.response.benchmark.output import BenchmarkResult, Run, write_classes, write_regression
from cellixir.response.benchmark.pieces import gather, make_pieces, run_pieces
from cellixir.response.models.features import require_features
from cellixir.training import Bars

if TYPE_CHECKING:
    from cellixir.data.response_data import ResponseData
    from cellixir.data.splits import Fold

Task = Literal["regression", "classification"]


def run_benchmark(
    data: ResponseData,
    split: str,
    out: Path | str,
    *,
    models: Models | None = None,
    n_folds: int = 5,
    seed: int = 0,
    folds: list[Fold] | None = None,
    options: Options | None = None,
    task: str = "regression",
    rule: str = "median",
    sensitive: str = "below",
    allow: Collection[str] = (),
    command: str = "",
    quiet: bool = True,
) -> BenchmarkResult:
    """Judge models under ``split`` and write leaderboard, predictions, split, audit and report to ``out``.

    Parameters
    ----------
    data
        Measured pairs.
    split
        LPO, LCO, LDO or LTO.
    out
        Folder; if it holds a part of the same benchmark, the rest is done.
    models
        Names of ``cellixir.response.benchmark.models.MODELS``, ``module:Class``, or models of one's own, which a
        mapping names; None for all of the list that can run. The baselines always run.
    folds
        Given instead of ``n_folds``, for example from ``read_folds``.
    options
        Preprocessing, encoders of the network, intervals.
    task
        ``regression``, or ``classification`` of sensitive (1) and resistant (0).
    rule, sensitive
        What is sensitive: ``median`` or ``zscore=-1`` of the drug's training responses, or ``threshold=VALUE``;
        ``below`` it or ``above``.
    allow
        Findings of the leakage audit that do not stop the benchmark, ``KIND`` or ``KIND:ID``.
    command
        Shown in the report.

    Raises
    ------
    ConfigurationError
        If a model or split is unknown, or ``out`` holds another benchmark.
    Leakage
        If the audit finds that test rows are known in training.
    """
    folder, options = Path(out), options or Options()
    specs = chosen_models(models, split)
    if any(spec.kind != "baseline" for spec in specs):
        require_features(data, split)
    _check_task(task, options)
    lacking = check_options(data, specs, split, options)
    check_allowed(allow)
    folds = folds or make_folds(data, split, n_folds=n_folds, seed=seed)
    labels = fold_labels(data, folds, rule, sensitive=sensitive) if task == "classification" else None
    audit = audit_response(data, split, folds)
    require_clean(audit, allow)
    facts = _facts(data, split, folds, seed, f"{task} {rule} {sensitive}" if labels else "")
    claim(folder / "benchmark.json", facts, "a benchmark of other data, split, folds, labels or seed")
    audit.write(folder / "audit.json")
    pieces = make_pieces(folder, specs, folds, split, seed, options, labels[1] if labels else None)
    with Bars(f"{split} benchmark", len(pieces), quiet=quiet) as bars:
        run_pieces(pieces, data, bars, lambda piece: f"{piece.spec.name}, fold {piece.fold.number + 1} of {len(folds)}")
    run = Run(folder, data, split, folds, seed, command, options, [*lacking, *(f.what for f in audit.findings)])
    found = gather(pieces, len(data))
    return write_classes(run, found, *labels) if labels else write_regression(run, found)


def _check_task(task: str, options: Options) -> None:
    if task not in get_args(Task):
        message = f"there is no task '{task}'; choose one of {', '.join(get_args(Task))}"
        raise ConfigurationError(message)
    if task == "classification" and options.interval is not None:
        message = "--interval is for regression: a class has a probability instead; leave one of the two out"
        raise ConfigurationError(message)


def _facts(data: ResponseData, split: str, folds: list[Fold], seed: int, labels: str) -> dict[str, Any]:
    """What makes two benchmarks the same, so that one can go on where the other was stopped."""
    return {
        "split": split,
        "seed": seed,
        "fingerprint": data.fingerprint,
        "test_rows": [int(np.sum(fold.test * (fold.number + 1))) for fold in folds],
    } | ({"labels": labels} if labels else {})
