"""Page of a perturbation benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.figures.style import KIND_COLOURS, new_axes
from cellixir.perturbation.splits import SPLIT_MEANING
from cellixir.report.page import Report
from cellixir.report.sections import (
    facts_section,
    failures_section,
    headline_section,
    key_numbers,
    leaderboard_section,
    learning_section,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellixir.data.audit.findings import Audit
    from cellixir.metrics.intervals import Interval
    from cellixir.perturbation.screen import Screen
    from cellixir.runs import Leaderboard

FIRST = ("pearson_delta", "spearman_delta", "pearson_top", "sign_agreement", "rmse", "retrieval")
MORE = (
    "pearson_weighted",
    "centroid_accuracy",
    "other_compound",
    "drug_shuffled",
    "context_shuffled",
    "alike",
    "seconds",
)


def page_of(
    screen: Screen,
    board: Leaderboard,
    folds: pd.DataFrame,
    conditions: pd.DataFrame,
    histories: pd.DataFrame,
    ceiling: Interval,
    audit: Audit,
    failures: pd.DataFrame,
    said: str,
    notes: Sequence[str],
    source: str,
    command: str,
) -> Report:
    """The page: headline, leaderboard, ablation, the best model by condition, learning curves, audit, facts."""
    treated = ~screen.effects.obs["is_control"].to_numpy(bool)
    page = Report(
        "What drugs do to the transcriptome",
        f"{len(board.table)} predictors of the change of {screen.effects.n_vars:,} genes in {treated.sum():,} wells; "
        f"{SPLIT_MEANING[screen.split]}.",
    )
    replicate = {"Replicate": f"{ceiling.value:.3f}"} if np.isfinite(ceiling.value) else {}
    numbers = key_numbers(board, ("pearson_delta", "sign_agreement", "retrieval")) | replicate
    headline_section(page, said, numbers=numbers, notes=notes)
    beside = f" A replicate reaches {ceiling.value:.3f}." if np.isfinite(ceiling.value) else ""
    leaderboard_section(
        page, board, forests={"pearson_delta": beside, "rmse": ""}, shown=FIRST, more=MORE, folds=folds,
        unit=f"{screen.split.replace('-', ' ')}s",
    )  # fmt: skip
    _ablation(page, screen, board)
    _by_condition(page, board, conditions)
    learning_section(page, histories, loss="Loss of each network")
    _audit(page, audit)
    failures_section(page, failures)
    facts_section(page, _facts(screen, source), command=command)
    return page


def _ablation(page: Report, screen: Screen, board: Leaderboard) -> None:
    """How much of each model's score stays when it is asked for another drug, or in another cell line."""
    text = (
        "The same fitted model, asked for another drug or in another cell line: what stays is not owed to that input."
    )
    page.section("Ablation", text)
    table = board.ranked[["model", "pearson_delta", "drug_shuffled", "context_shuffled", "other_compound"]]
    ax = new_axes(8.2, 0.8 + 0.3 * len(table))
    place = np.arange(len(table))[::-1]
    marks = {
        "pearson_delta": ("o", "as asked"),
        "drug_shuffled": ("x", "another drug"),
        "context_shuffled": ("+", "another cell line"),
    }
    colours = [KIND_COLOURS.get(screen.specs[name].kind, "0.3") for name in table["model"]]
    for column, (mark, label) in marks.items():
        if table[column].notna().any():
            ax.scatter(table[column], place, marker=mark, c=colours, label=label, zorder=3)
    ax.axvline(0, color="0.7", lw=0.8)
    ax.set_yticks(place, table["model"])
    ax.set_xlabel("Pearson of effects")
    ax.legend(loc="lower right", frameon=False)
    page.figure(ax, "Pearson of effects as asked (●), with the drugs exchanged (×), with the cell lines exchanged (+).")


def _by_condition(page: Report, board: Leaderboard, conditions: pd.DataFrame) -> None:
    """Conditions that the best model predicts best and worst."""
    own = conditions[conditions["model"] == board.best].sort_values("pearson_delta", ascending=False)
    names = {
        "perturbation": "Perturbation", "dose_1": "Dose, µM", "dose_2": "Dose 2, µM", "time": "Hours",
        "cell_line": "Cell line", "n_wells": "Wells", "pearson_delta": "Pearson",
        "sign_agreement": "Sign agreement", "retrieval": "Retrieval",
    }  # fmt: skip
    table = own[list(names)].rename(columns=names).dropna(axis=1, how="all")
    page.section("By condition", f"What {board.best} predicts best and worst, of {len(own):,} tested conditions.")
    shown = pd.concat([table.head(10), table.tail(10)]) if len(table) > 20 else table
    page.table(shown)


def _audit(page: Report, audit: Audit) -> None:
    page.section("Leakage audit", "Whether a tested effect stands in training under another name.")
    found = [("allowed leak" if f.severity == "leak" else f.severity, f.kind, f.what) for f in audit.findings]
    if found:
        page.table(pd.DataFrame(found, columns=["Severity", "Kind", "What was found"]))
    else:
        looked = ", ".join(f"{name}: {count:,}" for name, count in audit.checks.items())
        page.text(f"Nothing was found ({looked}).")


def _facts(screen: Screen, source: str) -> dict[str, str]:
    obs = screen.effects.obs
    treated = obs[~obs["is_control"].to_numpy(bool)]
    return {
        "data": source,
        "treated wells": f"{len(treated):,}",
        "control wells": f"{len(obs) - len(treated):,}",
        "genes": f"{screen.effects.n_vars:,}",
        "perturbations": f"{treated['perturbation'].nunique():,}",
        "cell lines": f"{treated['cell_line'].nunique():,}",
        "plates": f"{treated['plate'].nunique():,}",
        "structures known": f"{len(screen.effects.uns['smiles']):,}",
        "split": screen.split,
        "folds": str(len(screen.folds)),
        "seed": str(screen.seed),
    }
