"""Sections of a page that every job shares: headline, leaderboard, paired differences, learning curves, facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir import __version__
from cellixir.figures.curves import learning_curves
from cellixir.figures.leaderboard import forest
from cellixir.figures.style import KIND_COLOURS, kinds_legend
from cellixir.metrics.catalogue import Catalogue, heading_of
from cellixir.metrics.intervals import Interval
from cellixir.metrics.words import estimate, spelled

if TYPE_CHECKING:
    from cellixir.report.page import Report
    from cellixir.runs.leaderboard import Leaderboard

SECONDS = "{:,.1f}"


def headline_section(
    page: Report,
    said: str,
    *,
    numbers: Mapping[str, str] | None = None,
    text: str = "",
    notes: Sequence[str] = (),
) -> None:
    """One sentence in large type, key numbers, and what the reader has to know."""
    page.section("Headline").statement(said)
    if numbers:
        page.facts(numbers, large=True)
    if text:
        page.text(text)
    page.notes([note if note.endswith((".", "!", "?")) else f"{note}." for note in notes])


def key_numbers(board: Leaderboard, metrics: Iterable[str], model: str = "") -> dict[str, str]:
    """Numbers of a model (the best by default) in large type, those that it has."""
    row = board.numbers(model or board.best)
    known = [name for name in metrics if np.isfinite(row.get(name, np.nan))]
    return {heading_of(name, board.catalogue): spelled(row[name]) for name in known}


def leaderboard_section(
    page: Report,
    board: Leaderboard,
    *,
    forests: Mapping[str, str],
    shown: Sequence[str] = (),
    more: Sequence[str] = (),
    scope: str = "All folds together",
    unit: str = "",
    caption: str = "",
    question: str = "",
    folds: pd.DataFrame | None = None,
) -> None:
    """Models and their scores with intervals: drawn, as a table, in paired differences and fold by fold.

    Parameters
    ----------
    forests
        Metrics that are drawn, each with what its caption adds; two stand side by side.
    shown, more
        Metrics of the table, and of a second one that opens on demand; default: all that the leaderboard has.
    scope, unit
        What the scores are of, and what their intervals are over, such as ``cell lines``.
    caption, question
        Added to the caption of the table, and set at the head of the section.
    folds
        One row a model and fold.
    """
    table = board.ranked
    page.section("Leaderboard", question)
    if board.naive is not None:
        kinds = kinds_legend(table["kind"])
        page.text(f"Dashed: the strongest naive baseline, {board.naive}, which a model has to beat. {kinds}")
    for metric, added in forests.items():
        _forest(page, board, metric, added)
    dots = {"Model": {str(m): KIND_COLOURS.get(str(k), "") for m, k in zip(table["model"], table["kind"], strict=True)}}
    names = shown or [c for c in map(str, table) if c not in ("model", "kind") and not c.endswith(("_low", "_high"))]
    over = f" over {unit}" if unit else ""
    text = f"{scope}, with {board.level:.0%} intervals{over}. {caption}".strip()
    frame = estimates(table, names, board.catalogue)
    page.table(frame, text, formats=_formats(frame, SECONDS), highlight=[0], colours=dots)
    if more:
        frame = estimates(table, more, board.catalogue)
        page.table(frame, "More scores", formats=_formats(frame, SECONDS), colours=dots, collapsed=True)
    paired_section(page, board)
    if folds is not None and len(folds):
        each = folds.drop(columns=["split", "kind"], errors="ignore").dropna(axis=1, how="all")
        each = each.rename(columns={c: heading_of(str(c), board.catalogue) for c in each})
        page.table(each, "Each fold", formats=_formats(each, SECONDS), collapsed=True)


def estimates(table: pd.DataFrame, columns: Iterable[str], catalogue: Catalogue) -> pd.DataFrame:
    """Models and the columns that have a value, headed in words, each number with its interval where it has one."""
    rows: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
    cells: dict[str, list[Any]] = {"Model": list(table["model"])}
    for name in columns:
        if name in table and table[name].notna().any():
            banded = f"{name}_low" in table
            cells[heading_of(name, catalogue)] = [estimate(row, name) if banded else row[name] for row in rows]
    return pd.DataFrame(cells)


def paired_section(page: Report, board: Leaderboard) -> None:
    """Paired differences, which open on demand; nothing where there are none."""
    if board.paired.empty:
        return
    column, words = f"{board.metric}_difference", heading_of(board.metric, board.catalogue)
    rows = board.paired.sort_values(column, ascending=board.lower_is_better, kind="stable")
    gaps = [Interval(*map(float, row)) for row in rows[[column, "low", "high"]].to_numpy()]
    frame = pd.DataFrame({"Model": rows["model"], "Reference": rows["reference"], f"{words} − reference": gaps})
    side = "below" if board.lower_is_better else "above"
    caption = f"Paired differences of {words} on the same test rows; {side} zero the model is better"
    page.table(frame, caption, collapsed=True)


def learning_section(page: Report, histories: pd.DataFrame, *, order: Sequence[str] = (), loss: str = "Loss") -> None:
    """Learning curves of every network, nothing where none was trained.

    Parameters
    ----------
    histories
        ``model, fold, member, epoch, train_loss, validation_loss``.
    order
        Models, the first one first.
    loss
        What the loss is, for the axis.
    """
    if histories.empty:
        return
    page.section(
        "Learning curves",
        "A thin line is one run, the bold line their mean as far as half of the runs went. Dots mark the lowest "
        "validation loss of each run, whose weights are kept; a line ends where its training stopped.",
    )
    present = set(histories["model"])
    for model in [name for name in order if name in present] or sorted(present):
        axes = learning_curves(histories[histories["model"] == model], title=str(model), loss=loss)
        page.figure(axes, alt=f"Training and validation loss of {model} by epoch", pair=True)


def failures_section(page: Report, failures: pd.DataFrame) -> None:
    """Pieces that failed, each with its error; nothing where none did."""
    if len(failures):
        page.section("What failed").table(
            failures.rename(columns={c: heading_of(str(c)) for c in failures}),
            "Pieces that failed; the numbers of this page are without them.",
        )


def facts_section(page: Report, facts: Mapping[str, object], *, command: str = "") -> None:
    """What a reader needs to repeat the run: facts, version, command."""
    known = {name: value for name, value in facts.items() if value not in ("", None)}
    known |= {"cellixir": __version__} | ({"command": command} if command else {})
    page.section("Data and reproducibility").facts(known)


def _forest(page: Report, board: Leaderboard, metric: str, added: str) -> None:
    table = board.ranked
    if metric not in table or not table[metric].notna().any():
        return
    about = board.catalogue[metric]
    undefined = [] if metric == board.metric else list(table.loc[table[metric].isna(), "model"])
    drawn = table[table[metric].notna()] if undefined else table
    axes = forest(drawn, metric=metric, label=about.words, lower_is_better=about.lower_is_better, reference=board.naive)
    spread = f" with its {board.level:.0%} interval" if f"{metric}_low" in table else ""
    caption = f"{about.words}{spread}; {'lower' if about.lower_is_better else 'higher'} is better. {added}".strip()
    if undefined:
        caption += f" Without one, as they give all samples the same: {', '.join(map(str, undefined))}."
    page.figure(axes, caption, pair=True)


def _formats(frame: pd.DataFrame, seconds: str) -> dict[str, str]:
    return {"Seconds": seconds} if "Seconds" in frame else {}
