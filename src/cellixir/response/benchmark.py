"""The benchmark: every model on every fold, piece by piece.

A piece is one model on one fold. It is written when it is done, so a run that was stopped goes on where it was,
and a model can be added later. Test responses are read here and by the metrics, never by a model.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import cellixir
from cellixir.data.splits import folds_table, make_folds, split_groups
from cellixir.exceptions import ConfigurationError
from cellixir.files import whole
from cellixir.response import evaluation
from cellixir.response.features import require_features
from cellixir.response.models import MODELS, ModelSpec, chosen_models
from cellixir.response.predictor import ResponsePredictor
from cellixir.response.report import write_response_report
from cellixir.response.summary import BenchmarkSummary, headline
from cellixir.training import Bars, Epoch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData
    from cellixir.data.splits import Fold

HISTORY = ["model", "fold", "member", "epoch", "train_loss", "validation_loss", "learning_rate", "seconds"]


@dataclass(frozen=True)
class BenchmarkResult:
    """Tables of a finished benchmark, the folder that holds them, and what they say in one sentence."""

    folder: Path
    leaderboard: pd.DataFrame
    overall: pd.DataFrame
    paired: pd.DataFrame
    histories: pd.DataFrame
    headline: str = ""


@dataclass(frozen=True)
class Piece:
    """One model on one fold: where its result stands once it is there."""

    spec: ModelSpec
    fold: Fold
    split: str
    seed: int
    folder: Path

    @property
    def settings(self) -> dict[str, Any]:
        """What the result depends on besides the data and the fold."""
        model = self.spec.make(self.split, self.seed)
        preset = repr(model.preset) if isinstance(model, ResponsePredictor) else ""
        return {"model": self.spec.name, "fold": self.fold.number, "seed": self.seed, "settings": preset}

    def read(self) -> tuple[NDArray[np.float64], pd.DataFrame, float] | None:
        """Predictions of the test rows, history and seconds; None if the piece is still to be done."""
        try:
            facts = json.loads((self.folder / "piece.json").read_text())
            predicted = np.load(self.folder / "predicted.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError):  # not there, or damaged: to be done
            return None
        if {k: facts.get(k) for k in self.settings} != self.settings or len(predicted) != len(self.fold.test):
            return None
        return predicted, pd.DataFrame(facts["history"], columns=HISTORY), float(facts["seconds"])

    def run(self, data: ResponseData, bars: Bars) -> None:
        """Fit on the rows that are not test rows, predict the test rows, write the piece; ``piece.json`` is last."""
        rows = np.sort(np.concatenate([self.fold.train, self.fold.validation]))
        known, validation = data.take(rows), np.searchsorted(rows, self.fold.validation)
        model = self.spec.make(self.split, self.seed)
        start = time.perf_counter()
        if isinstance(model, ResponsePredictor):
            limit = model.preset.training.max_epochs

            def show(member: int, epoch: Epoch) -> None:
                bars.epoch(member, epoch, limit)

            model.fit(known, validation, checkpoint=self.folder / "checkpoint", on_epoch=show)
        else:
            model.fit(known, validation)
        predicted = model.predict(data.take(self.fold.test).as_question())
        seconds = time.perf_counter() - start
        history = getattr(model, "history_", pd.DataFrame()).assign(model=self.spec.name, fold=self.fold.number)
        with whole(self.folder / "predicted.npy") as file:
            np.save(file, predicted)
        facts = self.settings | {"seconds": seconds, "history": history.to_dict(orient="list")}
        with whole(self.folder / "piece.json") as file:
            file.write_text(json.dumps(facts))
        shutil.rmtree(self.folder / "checkpoint", ignore_errors=True)


def run_benchmark(
    data: ResponseData,
    split: str,
    out: Path | str,
    *,
    models: Sequence[str] | None = None,
    n_folds: int = 5,
    seed: int = 0,
    folds: list[Fold] | None = None,
    command: str = "",
    quiet: bool = True,
) -> BenchmarkResult:
    """Judge models under ``split`` and write leaderboard, predictions, split and report to ``out``.

    Parameters
    ----------
    data
        Measured pairs.
    split
        LPO, LCO, LDO or LTO.
    out
        Folder; if it holds a part of the same benchmark, the rest is done.
    models
        Names of ``cellixir.response.models.MODELS``; None for all that can run. The baselines always run.
    folds
        Given instead of ``n_folds``, for example from ``read_folds``.
    command
        Shown in the report.

    Raises
    ------
    ConfigurationError
        If a model or split is unknown, or ``out`` holds another benchmark.
    """
    folder = Path(out)
    specs = chosen_models(models, split)
    if any(spec.kind != "baseline" for spec in specs):
        require_features(data, split)
    folds = folds or make_folds(data, split, n_folds=n_folds, seed=seed)
    _claim(folder, data, split, folds, seed)
    pieces = _pieces(folder, specs, folds, split, seed)
    with Bars(f"{split} benchmark", len(pieces), quiet=quiet) as bars:
        for piece in pieces:
            bars.starts(f"{piece.spec.name}, fold {piece.fold.number + 1} of {len(folds)}")
            if piece.read() is None:
                piece.run(data, bars)
            bars.done()
    return _write(folder, data, split, folds, pieces, seed, command)


def _pieces(folder: Path, specs: list[ModelSpec], folds: list[Fold], split: str, seed: int) -> list[Piece]:
    """Pieces of the models that are wanted, and of those that an earlier run has finished in the same folder."""
    found = []
    for spec in MODELS.values():
        places = [(fold, folder / "pieces" / spec.name / f"fold-{fold.number}") for fold in folds]
        pieces = [Piece(spec, fold, split, seed, place) for fold, place in places]
        if spec in specs or all(piece.read() is not None for piece in pieces):
            found += pieces
    return found


def _claim(folder: Path, data: ResponseData, split: str, folds: list[Fold], seed: int) -> None:
    """Refuse a folder that holds another benchmark or other files; else mark it as this one's."""
    facts = {
        "split": split,
        "seed": seed,
        "fingerprint": data.fingerprint,
        "test_rows": [int(np.sum(fold.test * (fold.number + 1))) for fold in folds],
    }
    file = folder / "benchmark.json"
    if file.is_file():
        if file.read_text() != json.dumps(facts):
            message = f"{folder} holds a benchmark of other data, split, folds or seed; choose another --out"
            raise ConfigurationError(message)
    elif folder.exists() and (folder.is_file() or any(folder.iterdir())):
        message = f"{folder} exists and holds other things; choose another --out"
        raise ConfigurationError(message)
    else:
        with whole(file) as partial:
            partial.write_text(json.dumps(facts))


def _write(
    folder: Path,
    data: ResponseData,
    split: str,
    folds: list[Fold],
    pieces: list[Piece],
    seed: int,
    command: str,
) -> BenchmarkResult:
    """Gather the pieces into the tables and the report."""
    predictions: evaluation.Predictions = {}
    histories, seconds = [], []
    for piece in pieces:
        done = piece.read()
        if done is None:
            message = f"{piece.folder} was changed while the benchmark ran; run the same command again"
            raise ConfigurationError(message)
        predicted = predictions.setdefault(piece.spec.name, np.full(len(data), np.nan))
        predicted[piece.fold.test] = done[0]
        histories.append(done[1])
        seconds.append({"model": piece.spec.name, "fold": piece.fold.number, "seconds": done[2]})
    clock = pd.DataFrame(seconds)
    table = evaluation.overall(data, split, folds, predictions, clock, seed=seed)
    result = BenchmarkResult(
        folder,
        evaluation.leaderboard(data, split, folds, predictions, clock),
        table,
        evaluation.paired(data, split, predictions, table, seed=seed),
        pd.concat([h for h in histories if len(h)] or histories[:1], ignore_index=True),
    )
    long = evaluation.predictions_table(data, folds, predictions)
    with whole(folder / "leaderboard.csv") as file:
        result.leaderboard.to_csv(file, index=False)
    for name in ("overall", "paired", "histories"):
        with whole(folder / f"{name}.csv") as file:
            getattr(result, name).to_csv(file, index=False)
    with whole(folder / "split.csv.gz") as file:
        folds_table(data, folds).to_csv(file, index=False)
    with whole(folder / "predictions.parquet") as file:
        long.to_parquet(file, index=False)
    summary = _summary(data, split, folds, result, long, seed, command)
    write_response_report(folder / "report.html", summary)
    return replace(result, headline=headline(summary))


def _summary(
    data: ResponseData,
    split: str,
    folds: list[Fold],
    result: BenchmarkResult,
    long: pd.DataFrame,
    seed: int,
    command: str,
) -> BenchmarkSummary:
    groups = split_groups(data, split)
    sizes = [
        {
            "fold": fold.number,
            "n_train": len(fold.train),
            "n_validation": len(fold.validation),
            "n_test": len(fold.test),
            "groups_test": len(np.unique(groups[fold.test])),
        }
        for fold in folds
    ]
    facts = {
        "data": data.source or "user files",
        "measurements": f"{len(data):,}",
        "samples": f"{len(data.samples):,}",
        "drugs": f"{len(data.drugs):,}",
        "views": ", ".join(f"{n} ({v.n_vars:,})" for n, v in data.views.items()) or "none",
        "measure": f"{data.measure} ({data.unit})" if data.unit else data.measure,
        "seed": str(seed),
        "data fingerprint (SHA-256)": data.fingerprint,
        "cellixir": cellixir.__version__,
    } | ({"command": command} if command else {})
    return BenchmarkSummary(
        title=f"Drug response: {data.source or 'your data'}",
        split=split,
        leaderboard=result.leaderboard,
        overall=result.overall,
        paired=result.paired,
        predictions=long,
        samples=data.samples,
        drugs=data.drugs,
        histories=result.histories,
        measure=data.measure,
        unit=data.unit,
        facts=facts,
        notes=list(data.notes),
        fold_sizes=pd.DataFrame(sizes),
    )
