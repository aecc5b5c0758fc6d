"""From the pieces of a benchmark to its folder: tables, predictions, the split and the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import cellixir
from cellixir.data.splits import folds_table, split_groups
from cellixir.files import whole
from cellixir.metrics.conformal import coverage
from cellixir.report.page import Report
from cellixir.response.benchmark import class_report, classes, evaluation
from cellixir.response.benchmark.models import Options
from cellixir.response.benchmark.report import write_response_report
from cellixir.response.benchmark.summary import BenchmarkSummary, headline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData
    from cellixir.data.splits import Fold
    from cellixir.response.benchmark.labels import Labels
    from cellixir.response.benchmark.pieces import Gathered


@dataclass(frozen=True)
class BenchmarkResult:
    """Tables of a finished benchmark, the folder that holds them, and what they say in one sentence."""

    folder: Path
    leaderboard: pd.DataFrame
    overall: pd.DataFrame
    paired: pd.DataFrame
    histories: pd.DataFrame
    headline: str = ""
    coverage: pd.DataFrame | None = None  # of intervals: model, group, n, covered, ..., where they were asked for


@dataclass(frozen=True)
class Run:
    """What was run, and where its results go."""

    folder: Path
    data: ResponseData
    split: str
    folds: list[Fold]
    seed: int
    command: str
    options: Options
    findings: list[str] = field(default_factory=list)

    @property
    def facts(self) -> dict[str, str]:
        """What a reader needs to repeat it."""
        data, options = self.data, self.options
        chosen = {
            "preprocess": options.preprocess,
            "encoder": options.encoder if options.encoder != "dense" else "",
            "drug encoder": options.drug_encoder if options.drug_encoder != "fingerprint" else "",
            "command": self.command,
        }
        return {
            "data": data.source or "user files",
            "measurements": f"{len(data):,}",
            "samples": f"{len(data.samples):,}",
            "drugs": f"{len(data.drugs):,}",
            "views": ", ".join(f"{n} ({v.n_vars:,})" for n, v in data.views.items()) or "none",
            "measure": f"{data.measure} ({data.unit})" if data.unit else data.measure,
            "seed": str(self.seed),
            "data fingerprint (SHA-256)": data.fingerprint,
            "cellixir": cellixir.__version__,
        } | {name: value for name, value in chosen.items() if value}

    def write(self, tables: dict[str, pd.DataFrame], predictions: pd.DataFrame) -> None:
        """Every table as csv, predictions as parquet, and the split."""
        for name, table in (tables | {"split": folds_table(self.data, self.folds)}).items():
            with whole(self.folder / (f"{name}.csv.gz" if name == "split" else f"{name}.csv")) as file:
                table.to_csv(file, index=False)
        with whole(self.folder / "predictions.parquet") as file:
            predictions.to_parquet(file, index=False)


def write_regression(run: Run, found: Gathered) -> BenchmarkResult:
    """Gather what was found into the tables and the report."""
    data, split, folds = run.data, run.split, run.folds
    table = evaluation.overall(data, split, folds, found.predictions, found.seconds, seed=run.seed)
    board = evaluation.leaderboard(data, split, folds, found.predictions, found.seconds)
    paired = evaluation.paired(data, split, found.predictions, table, seed=run.seed)
    covered = _coverage(run, found)
    long = evaluation.predictions_table(data, folds, found.predictions, found.half_widths)
    tables = {"leaderboard": board, "overall": table, "paired": paired, "histories": found.histories}
    run.write(tables | ({"coverage": covered} if len(covered) else {}), long)
    summary = BenchmarkSummary(
        title=f"Drug response: {data.source or 'your data'}",
        split=split,
        leaderboard=board,
        overall=table,
        paired=paired,
        predictions=long,
        samples=data.samples,
        drugs=data.drugs,
        histories=found.histories,
        measure=data.measure,
        unit=data.unit,
        facts=run.facts,
        notes=[*data.notes, *run.findings],
        fold_sizes=_fold_sizes(run),
        coverage=covered,
        interval=run.options.interval or 0.0,
    )
    write_response_report(run.folder / "report.html", summary)
    said = headline(summary)
    return BenchmarkResult(run.folder, board, table, paired, found.histories, said, covered if len(covered) else None)


def write_classes(run: Run, found: Gathered, y: NDArray[np.float64], labels: Sequence[Labels]) -> BenchmarkResult:
    """The same for sensitive against resistant; predictions are clipped to probabilities."""
    data, split, folds = run.data, run.split, run.folds
    predictions = {model: np.clip(p, 0.0, 1.0) for model, p in found.predictions.items()}
    draws = classes.class_bootstrap(data, split, folds, predictions, y, seed=run.seed)
    table = classes.class_overall(data, split, folds, predictions, y, found.seconds, seed=run.seed, draws=draws)
    board = classes.class_leaderboard(data, split, folds, predictions, y, found.seconds)
    paired = classes.class_paired(data, split, folds, predictions, y, seed=run.seed, draws=draws)
    long = classes.class_predictions_table(data, folds, predictions, y)
    run.write({"leaderboard": board, "overall": table, "paired": paired, "histories": found.histories}, long)
    notes = [*data.notes, *run.findings, *dict.fromkeys(note for fold in labels for note in fold.notes)]
    summary = class_report.ClassSummary(table, board, paired, long, data.drugs, labels[0].describe(), notes)
    report = Report(
        f"Sensitive or resistant: {data.source or 'your data'}",
        f"{len(table)} models tell sensitive from resistant under {split}, over {len(folds)} folds.",
    )
    class_report.write_class_sections(report, summary)
    report.section("Data and reproducibility").facts(run.facts)
    report.write(run.folder / "report.html")
    return BenchmarkResult(run.folder, board, table, paired, found.histories, class_report.class_headline(table))


def _coverage(run: Run, found: Gathered) -> pd.DataFrame:
    """How often the intervals held what was measured, over all rows and for each drug."""
    data, parts = run.data, []
    units = split_groups(data, run.split)
    drugs = data.drugs.index.to_numpy(str)[data.drug_index]
    for model, half in found.half_widths.items():
        p = found.predictions[model]
        table = coverage(data.response, p - half, p + half, drugs, units, level=run.options.interval or 0.9)
        parts.append(table.rename_axis("drug").reset_index().assign(model=model))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _fold_sizes(run: Run) -> pd.DataFrame:
    groups = split_groups(run.data, run.split)
    sizes = [
        {
            "fold": fold.number,
            "n_train": len(fold.train),
            "n_validation": len(fold.validation),
            "n_test": len(fold.test),
            "groups_test": len(np.unique(groups[fold.test])),
        }
        for fold in run.folds
    ]
    return pd.DataFrame(sizes)
