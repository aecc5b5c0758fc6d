"""The benchmark: every model on every fold.

A piece is one model on one fold; a model can be added to a folder later. Test responses are read here and by the
metrics, never by a model.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from cellixir.data.audit.findings import check_allowed, require_clean
from cellixir.data.audit.response import audit_response
from cellixir.data.splits import make_folds
from cellixir.exceptions import ConfigurationError
from cellixir.response.cross_validation.labels import fold_labels
from cellixir.response.cross_validation.models import Models, Options, chosen_models
from cellixir.response.cross_validation.option_checks import check_options
from cellixir.response.cross_validation.output import (
    BenchmarkResult,
    Question,
    judge_classes,
    judge_numbers,
    write_benchmark,
)
from cellixir.response.cross_validation.pieces import fold_pieces, gather, left_out, rows_digest, with_earlier
from cellixir.response.models.features import require_features
from cellixir.runs.folder import RunFolder

if TYPE_CHECKING:
    from cellixir.data.response_data import ResponseData
    from cellixir.data.splits import Fold

Task = Literal["regression", "classification"]
JOB = "response benchmark"


def benchmark(
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
    jobs: int = 1,
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
        Names of ``cellixir.response.cross_validation.models.MODELS``, ``module:Class``, or models of one's own, which a
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
    jobs
        Pieces that are done at a time, each in a process of its own.
    command
        Shown in the report.

    Returns
    -------
    BenchmarkResult
        Leaderboard, paired differences, failures and where they were written.

    Raises
    ------
    ConfigurationError
        If a model or split is unknown, or ``out`` holds another benchmark.
    Leakage
        If the audit finds that test rows are known in training.
    DataError
        If every piece fails, or the baseline that scores are set against; any other model that fails on a fold is
        listed in ``failures.csv`` and stands in no table.

    Examples
    --------
    >>> benchmark(data, "LCO", "my-benchmark", models=["ridge"]).overall  # doctest: +SKIP
    """
    options = options or Options()
    specs = chosen_models(models, split)
    if any(spec.kind != "baseline" for spec in specs):
        require_features(data, split)
    _check_task(task, options)
    lacking = check_options(data, specs, split, options)
    check_allowed(allow)
    folds = folds or make_folds(data, split, n_folds=n_folds, seed=seed)
    y, labels = fold_labels(data, folds, rule, sensitive=sensitive) if task == "classification" else (None, None)
    audit = audit_response(data, split, folds)
    require_clean(audit, allow)
    # all that can be refused has been refused: from here on there is a folder
    prints = {"responses": data.fingerprint}
    same = {"split": split, "seed": seed, "rows": rows_digest(folds), "task": task} | prints
    same |= {"label": rule, "sensitive": sensitive} if labels else {}
    settings = {"split": split, "folds": len(folds), "seed": seed, "task": task} | vars(options) | {"gene_sets": None}
    settings |= {"label": rule, "sensitive": sensitive} if labels else {}
    what = "a benchmark of other data, split, folds, labels or seed"
    with RunFolder(out, JOB, same, data=prints, settings=settings, what=what, command=command) as run:
        audit.write(run.path / "audit.json")
        of = fold_pieces(data, folds, split, seed, options, labels)
        done = run.pieces(with_earlier(run, specs, of), jobs=jobs, quiet=quiet)
        found = gather(done, {fold.number: fold.test for fold in folds}, len(data))
        asked = Question(data, split, folds, seed, options)
        judged = judge_numbers(asked, found) if y is None else judge_classes(asked, found, y)
        notes = [*left_out(done), *lacking, *(f.what for f in audit.findings)]
        return write_benchmark(
            run, asked, judged, histories=found.histories, failures=done.failures, notes=notes, labels=labels or ()
        )


def _check_task(task: str, options: Options) -> None:
    if task not in get_args(Task):
        message = f"there is no task '{task}'; choose one of {', '.join(get_args(Task))}"
        raise ConfigurationError(message)
    if task == "classification" and options.interval is not None:
        message = "--interval is for regression: a class has a probability instead; leave one of the two out"
        raise ConfigurationError(message)
