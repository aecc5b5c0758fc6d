"""From what models predicted to the tables and the page of a benchmark's folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.data.splits import folds_table, split_groups
from cellixir.metrics.catalogue import CLASSIFICATION, REGRESSION
from cellixir.metrics.conformal import coverage
from cellixir.response.cross_validation import classes, evaluation
from cellixir.response.cross_validation.noise import noise_ceiling
from cellixir.response.cross_validation.report import benchmark_page
from cellixir.response.cross_validation.summary import BenchmarkSummary, label_of
from cellixir.runs.leaderboard import Leaderboard

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData
    from cellixir.data.splits import Fold
    from cellixir.response.cross_validation.labels import Labels
    from cellixir.response.cross_validation.models import Options
    from cellixir.response.cross_validation.pieces import Gathered
    from cellixir.runs.folder import RunFolder


@dataclass(frozen=True)
class BenchmarkResult:
    """What a finished benchmark found.

    Attributes
    ----------
    folder
        Holds the tables, the page and the manifest.
    board
        Models over all folds with intervals (``board.table``), and their paired differences (``board.paired``).
    leaderboard
        One row a model and fold.
    histories
        Epochs of the networks.
    headline
        What they say in one sentence.
    failures
        Pieces that failed, by model and fold; their models stand in no table.
    coverage, interval
        Of intervals, over all pairs and by drug, where they were asked for, and how much they are to hold.
    notes
        What has to be known beside the notes of the data.
    """

    folder: Path
    board: Leaderboard
    leaderboard: pd.DataFrame
    histories: pd.DataFrame
    headline: str
    failures: pd.DataFrame
    coverage: pd.DataFrame | None = None
    interval: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def overall(self) -> pd.DataFrame:
        """One row a model over all folds, the best first."""
        return self.board.table

    @property
    def paired(self) -> pd.DataFrame:
        """Differences between models on the same test rows."""
        return self.board.paired


@dataclass(frozen=True)
class Judged:
    """Tables of one task: models over all folds, one row a model and fold, test pairs, coverage of intervals."""

    board: Leaderboard
    folds: pd.DataFrame
    predictions: pd.DataFrame
    coverage: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class Question:
    """What was asked, of which data."""

    data: ResponseData
    split: str
    folds: list[Fold]
    seed: int
    options: Options

    @property
    def facts(self) -> dict[str, str]:
        """What a reader needs to repeat it."""
        data, options = self.data, self.options
        return {
            "data": data.source or "user files",
            "measurements": f"{len(data):,}",
            "samples": f"{len(data.samples):,}",
            "drugs": f"{len(data.drugs):,}",
            "views": ", ".join(f"{n} ({v.n_vars:,})" for n, v in data.views.items()) or "none",
            "measure": f"{data.measure} ({data.unit})" if data.unit else data.measure,
            "seed": str(self.seed),
            "data fingerprint (SHA-256)": data.fingerprint,
            "preprocess": options.preprocess,
            "encoder": options.encoder if options.encoder != "dense" else "",
            "drug encoder": options.drug_encoder if options.drug_encoder != "fingerprint" else "",
        }

    @property
    def fold_sizes(self) -> pd.DataFrame:
        """Pairs on each side of each fold, and units held out."""
        groups = split_groups(self.data, self.split)
        sizes = [
            {
                "fold": fold.number,
                "n_train": len(fold.train),
                "n_validation": len(fold.validation),
                "n_test": len(fold.test),
                "groups_test": len(np.unique(groups[fold.test])),
            }
            for fold in self.folds
        ]
        return pd.DataFrame(sizes)


def judge_numbers(asked: Question, found: Gathered) -> Judged:
    """Tables of a regression."""
    data, split, folds = asked.data, asked.split, asked.folds
    table = evaluation.overall(data, split, folds, found.predictions, found.seconds, seed=asked.seed)
    paired = evaluation.paired(data, split, found.predictions, table, seed=asked.seed)
    return Judged(
        Leaderboard(table, paired, "rmse", REGRESSION),
        evaluation.leaderboard(data, split, folds, found.predictions, found.seconds),
        evaluation.predictions_table(data, folds, found.predictions, found.half_widths),
        _coverage(asked, found),
    )


def judge_classes(asked: Question, found: Gathered, y: NDArray[np.float64]) -> Judged:
    """Tables of sensitive against resistant; predictions are clipped to probabilities."""
    data, split, folds, seed = asked.data, asked.split, asked.folds, asked.seed
    predictions = {model: np.clip(p, 0.0, 1.0) for model, p in found.predictions.items()}
    draws = classes.class_bootstrap(data, split, folds, predictions, y, seed=seed)
    table = classes.class_overall(data, split, folds, predictions, y, found.seconds, seed=seed, draws=draws)
    paired = classes.class_paired(data, split, folds, predictions, y, seed=seed, draws=draws)
    return Judged(
        Leaderboard(table, paired, "auroc", CLASSIFICATION),
        classes.class_leaderboard(data, split, folds, predictions, y, found.seconds),
        classes.class_predictions_table(data, folds, predictions, y),
    )


def write_benchmark(
    run: RunFolder,
    asked: Question,
    judged: Judged,
    *,
    histories: pd.DataFrame,
    failures: pd.DataFrame,
    notes: list[str],
    labels: Sequence[Labels] = (),
) -> BenchmarkResult:
    """Write tables, predictions, split and page, and say what was found in the manifest."""
    data, board, covered = asked.data, judged.board, judged.coverage
    tables = {"leaderboard": judged.folds, "overall": board.table, "paired": board.paired, "histories": histories}
    tables |= {"coverage": covered} if len(covered) else {}
    tables |= {"split.csv.gz": folds_table(data, asked.folds), "predictions.parquet": judged.predictions}
    for name, table in tables.items():
        run.table(name, table)
    learned = dict.fromkeys(note for fold in labels for note in fold.notes)
    ceiling = None if labels else noise_ceiling(data)  # of classes it would be another one
    summary = BenchmarkSummary(
        source=data.source or "your data",
        split=asked.split,
        board=board,
        folds=judged.folds,
        predictions=judged.predictions,
        samples=data.samples,
        drugs=data.drugs,
        histories=histories,
        label=label_of(data.measure, data.unit),
        facts=asked.facts,
        notes=[*data.notes, *notes, *learned, *([ceiling.sentence(data.unit)] if ceiling else [])],
        fold_sizes=asked.fold_sizes,
        rule=labels[0].describe() if labels else "",
        coverage=covered,
        interval=asked.options.interval or 0.0,
        failures=failures,
        command=run.command,
    )
    run.page(benchmark_page(summary))
    said, intervals, told = board.headline(), covered if len(covered) else None, tuple(summary.notes[len(data.notes) :])
    run.says(headline=said, metrics=board.metrics(), notes=summary.notes)
    return BenchmarkResult(run.path, board, judged.folds, histories, said, failures, intervals, summary.interval, told)


def _coverage(asked: Question, found: Gathered) -> pd.DataFrame:
    """How often the intervals held what was measured, over all rows and for each drug."""
    data, parts = asked.data, []
    units = split_groups(data, asked.split)
    drugs = data.drugs.index.to_numpy(str)[data.drug_index]
    for model, half in found.half_widths.items():
        p = found.predictions[model]
        table = coverage(data.response, p - half, p + half, drugs, units, level=asked.options.interval or 0.9)
        parts.append(table.rename_axis("drug").reset_index().assign(model=model))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
