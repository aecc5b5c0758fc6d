"""Pieces of a response benchmark: one model, fitted on rows that are not test rows, and what it says of test rows."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from cellixir.exceptions import DataError
from cellixir.response.cross_validation.models import known_names, spec_of
from cellixir.response.network.predictor import ResponsePredictor
from cellixir.runs.own import accepted
from cellixir.runs.piece import CHECKPOINT, Found, Piece
from cellixir.runs.work import earlier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData
    from cellixir.data.splits import Fold
    from cellixir.response.cross_validation.labels import Labels
    from cellixir.response.cross_validation.models import ModelSpec, Options
    from cellixir.runs.folder import RunFolder
    from cellixir.runs.piece import OnEpoch
    from cellixir.runs.work import Outcomes

HISTORY = ["model", "fold", "member", "epoch", "train_loss", "validation_loss", "learning_rate", "seconds"]
#: The baseline that normalised scores are set against.
NEEDED = "mean_effects"


class Sides(NamedTuple):
    """What a piece learns from, the rows of that on which it stops, and what it is asked."""

    known: ResponseData
    validation: NDArray[np.int64]
    question: ResponseData


class Gathered(NamedTuple):
    """Predictions and half widths by model, one value a row of the data; history and seconds of each model and fold."""

    predictions: dict[str, NDArray[np.float64]]
    half_widths: dict[str, NDArray[np.float64]]
    histories: pd.DataFrame
    seconds: pd.DataFrame


def sides_of(data: ResponseData, fold: Fold, labels: Labels | None = None) -> Sides:
    """The rows that are not test rows, labelled where classes are told apart, and the test rows without responses."""
    rows = np.sort(np.concatenate([fold.train, fold.validation]))
    known = labels.transform(data.take(rows)) if labels else data.take(rows)
    return Sides(known, np.searchsorted(rows, fold.validation), data.take(fold.test).as_question())


def rows_digest(folds: Iterable[Fold]) -> str:
    """SHA-256 of the rows on every side of the folds."""
    digest = hashlib.sha256()
    for fold in folds:
        for rows in (fold.train, fold.validation, fold.test):
            digest.update(np.asarray(rows, dtype=np.int64).tobytes() + b"|")
    return digest.hexdigest()


def model_piece(
    spec: ModelSpec,
    sides: Callable[[], Sides],
    split: str,
    seed: int,
    options: Options,
    *,
    fold: int | None = None,
    called: str = "",
    **settings: str,
) -> Piece:
    """One model, fitted and asked.

    Parameters
    ----------
    sides
        Gives what it learns from and what it is asked.
    fold
        Number of the fold, where there are several.
    settings
        What the sides depend on besides the data: rows, labels.
    """
    # made once to be asked for its parameters, and again in the process that fits it
    made = spec.make(split, seed, options)
    level = options.interval if isinstance(made, ResponsePredictor) else None

    def work(place: Path, on_epoch: OnEpoch) -> Found:
        known, validation, question = sides()
        model = spec.make(split, seed, options)
        start = time.perf_counter()
        given = {"validation": validation, "checkpoint": place / CHECKPOINT, "on_epoch": on_epoch, "allow": None}
        model.fit(known, **accepted(model.fit, **given))
        arrays = {"predicted": np.asarray(model.predict(question))}
        if level is not None:
            arrays["half_width"] = model.half_width(question, level)
        seconds = time.perf_counter() - start
        history = getattr(model, "history_", pd.DataFrame())
        return Found(arrays, {"history": history} if len(history) else {}, {"seconds": seconds})

    facts = {"split": split, "seed": seed, "parameters": _parameters(made), "interval": level, "source": spec.source}
    facts |= settings
    # what a piece does not read stays out of its key, so that baselines outlive a change of options
    facts |= {"preprocess": "" if spec.kind == "baseline" else options.preprocess, "gene_sets": _sets(made, options)}
    labels: dict[str, str | int] = {"model": spec.name} | ({} if fold is None else {"fold": fold})
    return Piece(labels, facts, work, called or spec.name)


def fold_pieces(
    data: ResponseData,
    folds: Sequence[Fold],
    split: str,
    seed: int,
    options: Options,
    labels: Sequence[Labels] | None = None,
) -> Callable[[ModelSpec], list[Piece]]:
    """What makes the pieces of a model, one a fold; ``labels`` are those of each fold, where classes are told apart."""

    def piece(spec: ModelSpec, i: int, fold: Fold) -> Piece:
        rule = labels[i] if labels else None
        return model_piece(
            spec, lambda: sides_of(data, fold, rule), split, seed, options,
            fold=fold.number, called=f"{spec.name}, fold {fold.number + 1} of {len(folds)}",
            rows=rows_digest([fold]), labels=f"{rule.rule} {rule.sensitive}" if rule else "",
        )  # fmt: skip

    return lambda spec: [piece(spec, i, fold) for i, fold in enumerate(folds)]


def with_earlier(run: RunFolder, specs: Sequence[ModelSpec], of: Callable[[ModelSpec], list[Piece]]) -> list[Piece]:
    """Pieces ``of`` each wanted model, and of those that an earlier run has finished in the same folder."""
    wanted = {spec.name for spec in specs}
    there = [of(spec_of(name)) for name in earlier(run.path, "model") if name in known_names() - wanted]
    return [p for pieces in (*map(of, specs), *filter(run.complete, there)) for p in pieces]


def gather(outcomes: Outcomes, tests: Mapping[int, NDArray[np.int64]], n_rows: int) -> Gathered:
    """What the models said whose every piece was done; NaN where none tested a row.

    Parameters
    ----------
    tests
        Test rows by the number of the fold; pieces without one are of fold 0.

    Raises
    ------
    DataError
        If the baseline that scores are set against has failed.
    """
    failed = outcomes.failures.set_index("model")["error"]
    if NEEDED in failed:
        first = failed.loc[[NEEDED]].iloc[0]
        message = f"the naive baseline {NEEDED} failed, and scores are set against it: {first}; correct the data"
        raise DataError(message)
    predictions: dict[str, NDArray[np.float64]] = {}
    half_widths: dict[str, NDArray[np.float64]] = {}
    histories, seconds = [pd.DataFrame(columns=HISTORY)], []
    for piece, found in outcomes.whole("model"):
        model, fold = str(piece.labels["model"]), int(piece.labels.get("fold", 0))
        predictions.setdefault(model, np.full(n_rows, np.nan))[tests[fold]] = found.arrays["predicted"]
        if "half_width" in found.arrays:
            half_widths.setdefault(model, np.full(n_rows, np.nan))[tests[fold]] = found.arrays["half_width"]
        if "history" in found.tables:
            histories.append(found.tables["history"].assign(model=model, fold=fold)[HISTORY])
        seconds.append({"model": model, "fold": fold, "seconds": float(found.facts["seconds"])})
    history = pd.concat(histories[1:] or histories, ignore_index=True)
    return Gathered(predictions, half_widths, history, pd.DataFrame(seconds))


def left_out(outcomes: Outcomes) -> list[str]:
    """What the reader has to know of models that failed, if any did."""
    names = list(dict.fromkeys(outcomes.failures["model"]))
    return [f"Failed, and in no table: {', '.join(names)}"] if names else []


def _parameters(model: Any) -> dict[str, str]:
    """Parameters of a model as text, and what a network's come to; gene sets are digested elsewhere."""
    given = model.get_params(deep=False) if hasattr(model, "get_params") else {}
    known = {name: repr(value) for name, value in given.items() if name != "gene_sets"}
    return known | ({"preset": repr(model.preset)} if isinstance(model, ResponsePredictor) else {})


def _sets(model: Any, options: Options) -> str:
    """Digest of the gene sets that are tokens of a transformer; empty without."""
    network = isinstance(model, ResponsePredictor)
    if not network or not options.gene_sets or "transformer" not in model.preset.architecture.sample_encoder:
        return ""
    sets = {name: list(genes) for name, genes in options.gene_sets.items()}
    return hashlib.sha256(json.dumps(sets).encode()).hexdigest()
