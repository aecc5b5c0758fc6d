"""Cross-study evaluation: models learn from one study and predict another.

Both are brought together first, what both have is taken out of training, and each model is fitted once: a piece is one
model. The order of rows, ids and genes in either study changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.data.audit.findings import require_clean
from cellixir.data.audit.response import audit_response
from cellixir.data.splits import Fold, split_off
from cellixir.response.cross_validation import evaluation
from cellixir.response.cross_validation.models import Options, chosen_models
from cellixir.response.cross_validation.option_checks import check_options
from cellixir.response.cross_validation.pieces import Sides, gather, left_out, model_piece, rows_digest, with_earlier
from cellixir.response.models.features import require_features
from cellixir.response.studies.harmonise import harmonised
from cellixir.response.studies.report import CrossStudySummary, cross_study_page
from cellixir.response.studies.scores import board_of
from cellixir.response.studies.studies import Genes, Remove, matches_table
from cellixir.runs.folder import RunFolder

if TYPE_CHECKING:
    from cellixir.data.response_data import ResponseData
    from cellixir.response.cross_validation.models import ModelSpec
    from cellixir.response.studies.studies import Studies
    from cellixir.runs.leaderboard import Leaderboard
    from cellixir.runs.piece import Piece
    from cellixir.runs.work import Outcomes

JOB = "response cross-study"


@dataclass(frozen=True)
class CrossStudyResult:
    """What a finished cross-study evaluation found.

    Attributes
    ----------
    folder
        Holds the tables, the page and the manifest.
    board
        Models on the external study, and their paired differences; none where measures differ.
    per_drug
        Means of each drug in both studies and, for the model that is drawn, Pearson and RMSE.
    predictions
        Test pairs of every model.
    overlap, notes
        What both studies have and what was left out, in numbers and in words.
    headline
        What was found in one sentence.
    failures
        Models that failed, with their errors.
    one_measure
        Whether both studies measured the same thing in the same unit.
    """

    folder: Path
    board: Leaderboard
    per_drug: pd.DataFrame
    predictions: pd.DataFrame
    overlap: dict[str, Any]
    notes: tuple[str, ...]
    headline: str
    failures: pd.DataFrame
    one_measure: bool = True

    @property
    def leaderboard(self) -> pd.DataFrame:
        """One row a model, the best first."""
        return self.board.table

    @property
    def paired(self) -> pd.DataFrame:
        """Differences between models on the same test pairs."""
        return self.board.paired


def cross_study(
    train: ResponseData,
    external: ResponseData,
    out: Path | str,
    *,
    models: Sequence[str] | None = None,
    split: str = "LCO",
    remove: Remove = "samples",
    genes: Genes = "shared",
    seed: int = 0,
    options: Options | None = None,
    allow: Collection[str] = (),
    jobs: int = 1,
    command: str = "",
    quiet: bool = True,
) -> CrossStudyResult:
    """Fit models on ``train``, predict ``external``; write leaderboard, predictions, overlap and report to ``out``.

    Parameters
    ----------
    train, external
        Measured pairs of two studies. Where measure or unit differ, only correlations are reported.
    out
        Folder; if it holds a part of the same evaluation, the rest is done.
    models
        Names of ``cellixir.response.cross_validation.models``; None for all that can run. The baselines always run.
    split
        Which side is new in the external study: LCO (samples), LTO (samples of other tissues), LDO (drugs), LPO
        (neither).
    remove
        What both studies have and training must not see. Anything but what the split calls new leaves test
        samples (or drugs) in training.
    genes
        ``shared``: both studies are cut to the features that both have. ``filled``: all training features, the
        external study's missing ones set to the training mean.
    options
        Preprocessing, encoders of the network, intervals (where both studies have one measure).
    jobs
        Models that are fitted at a time, each in a process of its own.
    command
        Shown in the report.

    Returns
    -------
    CrossStudyResult
        Leaderboard on the external study, predictions, overlap and where they were written.

    Raises
    ------
    ConfigurationError
        If options contradict each other, a view is in two scales, or ``out`` holds something else.
    UnknownIds
        If the studies share no drug (LDO: no sample), or nothing that can be predicted.
    GeneMismatch
        If a view shares no feature, or too few to be filled.
    DataError
        If nothing is left to learn from, every model fails, or the baseline that scores are set against.

    Examples
    --------
    >>> cross_study(gdsc, ccle, "gdsc-to-ccle", models=["ridge"]).headline  # doctest: +SKIP
    """
    specs = chosen_models(models, split)
    require_clean(audit_response(train, split), allow)
    studies = harmonised(train, external, split=split, remove=remove, genes=genes)
    if any(spec.kind != "baseline" for spec in specs):
        require_features(studies.train, split)
    options = options or Options()
    check_options(studies.train, specs, split, options)
    if not studies.one_measure:  # a width in another unit says nothing
        options = replace(options, interval=None)
    prints = {"training": studies.train.fingerprint, "external": studies.external.fingerprint}
    asked = {"split": split, "remove": remove, "genes": genes, "seed": seed}
    settings = asked | vars(options) | {"gene_sets": None}
    what = "a cross-study evaluation of other data or options"
    with RunFolder(out, JOB, asked | prints, data=prints, settings=settings, what=what, command=command) as run:
        fold = Fold(0, *split_off(studies.train, split, seed=seed), np.arange(len(studies.external)))

        def of(spec: ModelSpec) -> list[Piece]:
            return [model_piece(spec, sides, split, seed, options, rows=rows_digest([fold]))]

        def sides() -> Sides:
            return Sides(studies.train, fold.validation, studies.external.as_question())

        done = run.pieces(with_earlier(run, specs, of), jobs=jobs, quiet=quiet)
        facts = {"split": split, "removed from training": remove, "seed": str(seed)}
        return _write(run, studies, fold, done, split, seed, facts)


def _write(
    run: RunFolder, studies: Studies, fold: Fold, done: Outcomes, split: str, seed: int, facts: dict[str, str]
) -> CrossStudyResult:
    """Tables and page of what the models said of the external study."""
    found = gather(done, {0: fold.test}, len(studies.external))
    board = board_of(studies, fold, found, seed)
    long = evaluation.predictions_table(studies.external, [fold], found.predictions, found.half_widths)
    long = long.drop(columns="fold")
    notes = (*left_out(done), *studies.notes)
    summary = CrossStudySummary(studies, board, long, split, notes, facts, done.failures, run.command)
    tables = {"leaderboard": board.table, "paired": board.paired, "per_drug": summary.per_drug}
    for name, table in (tables | {"matches": matches_table(studies), "predictions.parquet": long}).items():
        run.table(name, table)
    run.json("overlap.json", studies.overlap | {"notes": list(studies.notes)})
    run.page(cross_study_page(summary))
    run.says(headline=summary.headline, metrics=board.metrics(), notes=notes)
    return CrossStudyResult(
        run.path, board, summary.per_drug, long, studies.overlap, notes, summary.headline, done.failures,
        studies.one_measure,
    )  # fmt: skip
