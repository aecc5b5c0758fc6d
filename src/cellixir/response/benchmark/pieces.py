"""Pieces of a benchmark: one model on one fold, fitted, judged on its test rows and written once it is done."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from cellixir.exceptions import ConfigurationError
from cellixir.files import whole
from cellixir.response.benchmark.models import ModelSpec, Options, known_names, spec_of
from cellixir.response.network.predictor import ResponsePredictor
from cellixir.runs.own import accepted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData
    from cellixir.data.splits import Fold
    from cellixir.response.benchmark.labels import Labels
    from cellixir.training import Bars

HISTORY = ["model", "fold", "member", "epoch", "train_loss", "validation_loss", "learning_rate", "seconds"]


class Sides(NamedTuple):
    """What a piece learns from, the rows of that on which it stops, and what it is asked."""

    known: ResponseData
    validation: NDArray[np.int64]
    question: ResponseData


class Done(NamedTuple):
    """What a piece found on its test rows."""

    predicted: NDArray[np.float64]
    history: pd.DataFrame
    seconds: float
    half_width: NDArray[np.float64] | None  # of the interval, where one was asked for and the model has any


class Gathered(NamedTuple):
    """What all pieces found: predictions and half widths by model, one value a row of the data."""

    predictions: dict[str, NDArray[np.float64]]
    half_widths: dict[str, NDArray[np.float64]]
    histories: pd.DataFrame
    seconds: pd.DataFrame  # model, fold, seconds


@dataclass(frozen=True)
class Piece:
    """One model on one fold: where its result stands once it is there."""

    spec: ModelSpec
    fold: Fold
    split: str
    seed: int
    options: Options
    folder: Path
    labels: Labels | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What the result depends on besides the data and the fold."""
        model = self.spec.make(self.split, self.seed, self.options)
        preset = repr(model.preset) if isinstance(model, ResponsePredictor) else ""
        preset += "" if self.spec.kind == "baseline" else self.options.preprocess
        facts = {"model": self.spec.name, "fold": self.fold.number, "seed": self.seed, "settings": preset}
        if isinstance(model, ResponsePredictor):
            facts |= {"interval": self.options.interval, "gene_sets": self._gene_sets(model)}
        facts |= {"source": self.spec.source} if self.spec.source else {}
        return facts | ({"labels": str(self.labels.rule)} if self.labels else {})

    def _gene_sets(self, model: ResponsePredictor) -> str | None:
        """Digest of the gene sets that are tokens of a transformer; None without."""
        if not self.options.gene_sets or "transformer" not in model.preset.architecture.sample_encoder:
            return None
        sets = {name: list(genes) for name, genes in self.options.gene_sets.items()}
        return hashlib.sha256(json.dumps(sets).encode()).hexdigest()

    def read(self) -> Done | None:
        """What was found; None if the piece is still to be done."""
        settings = self.settings
        try:
            facts = json.loads((self.folder / "piece.json").read_text())
            predicted = np.load(self.folder / "predicted.npy", allow_pickle=False)
            half = np.load(self.folder / "half_width.npy", allow_pickle=False) if facts.get("interval") else None
        except (OSError, ValueError, EOFError):  # not there, or damaged: to be done
            return None
        if {k: facts.get(k) for k in settings} != settings or len(predicted) != len(self.fold.test):
            return None
        return Done(predicted, pd.DataFrame(facts["history"], columns=HISTORY), float(facts["seconds"]), half)

    def sides(self, data: ResponseData) -> Sides:
        """The rows that are not test rows, labelled where classes are told apart, and the test rows."""
        rows = np.sort(np.concatenate([self.fold.train, self.fold.validation]))
        known = self.labels.transform(data.take(rows)) if self.labels else data.take(rows)
        return Sides(known, np.searchsorted(rows, self.fold.validation), data.take(self.fold.test).as_question())

    def run(self, data: ResponseData, bars: Bars) -> None:
        """Fit on the rows that are not test rows, predict the test rows, write the piece; ``piece.json`` is last."""
        known, validation, question = self.sides(data)
        model = self.spec.make(self.split, self.seed, self.options)
        start = time.perf_counter()
        place = self.folder / "checkpoint"
        given = {"validation": validation, "checkpoint": place, "on_epoch": bars.epoch, "allow": None}
        model.fit(known, **accepted(model.fit, **given))
        predicted = model.predict(question)
        if isinstance(model, ResponsePredictor) and self.options.interval:
            with whole(self.folder / "half_width.npy") as file:
                np.save(file, model.half_width(question, self.options.interval))
        seconds = time.perf_counter() - start
        history = getattr(model, "history_", pd.DataFrame()).assign(model=self.spec.name, fold=self.fold.number)
        with whole(self.folder / "predicted.npy") as file:
            np.save(file, predicted)
        facts = self.settings | {"seconds": seconds, "history": history.to_dict(orient="list")}
        with whole(self.folder / "piece.json") as file:
            file.write_text(json.dumps(facts))
        shutil.rmtree(self.folder / "checkpoint", ignore_errors=True)


P = TypeVar("P", bound=Piece)


def make_pieces(
    folder: Path,
    specs: Sequence[ModelSpec],
    folds: Sequence[Fold],
    split: str,
    seed: int,
    options: Options,
    labels: Sequence[Labels] | None = None,
) -> list[Piece]:
    """Pieces of the models that are wanted, and of those that an earlier run has finished in the same folder."""

    def of(spec: ModelSpec, place: Path) -> list[Piece]:
        return [
            Piece(spec, fold, split, seed, options, place / f"fold-{fold.number}", labels[i] if labels else None)
            for i, fold in enumerate(folds)
        ]

    return pieces_in(folder, specs, of)


def pieces_in(folder: Path, specs: Sequence[ModelSpec], of: Callable[[ModelSpec, Path], list[P]]) -> list[P]:
    """Pieces ``of`` each wanted model and of each that is finished in ``folder``; every model has a place there."""
    found: list[P] = []
    wanted = {spec.name for spec in specs}
    earlier = {place.name.replace("+", ":") for place in (folder / "pieces").glob("*")} & known_names()
    for spec in [*specs, *(spec_of(name) for name in sorted(earlier - wanted))]:
        pieces = of(spec, folder / "pieces" / spec.name.replace(":", "+"))
        if spec.name in wanted or all(piece.read() is not None for piece in pieces):
            found += pieces
    return found


def run_pieces(pieces: Sequence[P], data: ResponseData, bars: Bars, called: Callable[[P], str]) -> None:
    """Run the pieces that are still to be done; ``called`` says which is at work."""
    for piece in pieces:
        bars.starts(called(piece))
        if piece.read() is None:
            piece.run(data, bars)
        bars.done()


def gather(pieces: Sequence[Piece], n_rows: int) -> Gathered:
    """All pieces put together; NaN where none tested a row.

    Raises
    ------
    ConfigurationError
        If a piece is not there any more.
    """
    predictions: dict[str, NDArray[np.float64]] = {}
    half_widths: dict[str, NDArray[np.float64]] = {}
    histories, seconds = [], []
    for piece in pieces:
        done = piece.read()
        if done is None:
            message = f"{piece.folder} was changed while the benchmark ran; run the same command again"
            raise ConfigurationError(message)
        name = piece.spec.name
        predictions.setdefault(name, np.full(n_rows, np.nan))[piece.fold.test] = done.predicted
        if done.half_width is not None:
            half_widths.setdefault(name, np.full(n_rows, np.nan))[piece.fold.test] = done.half_width
        histories.append(done.history)
        seconds.append({"model": name, "fold": piece.fold.number, "seconds": done.seconds})
    history = pd.concat([h for h in histories if len(h)] or histories[:1], ignore_index=True)
    return Gathered(predictions, half_widths, history, pd.DataFrame(seconds))
