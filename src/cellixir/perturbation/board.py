"""What the pieces of a benchmark found: scores of conditions, ceiling, leaderboard, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.metrics.intervals import Interval, interval_of_draws
from cellixir.perturbation.scores import (
    EFFECTS,
    LEADERBOARD,
    SAME,
    Truth,
    UnitMeans,
    activity,
    condition_scores,
    correlation,
)
from cellixir.perturbation.splits import split_units
from cellixir.perturbation.wells import conditions_of
from cellixir.runs import Leaderboard
from cellixir.runs.leaderboard import paired_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.perturbation.screen import Screen
    from cellixir.runs import Outcomes

METRIC = "pearson_delta"
HISTORY = ["model", "fold", "member", "epoch", "train_loss", "validation_loss", "learning_rate", "seconds"]
ABLATIONS = ("drug_shuffled", "context_shuffled")


def scored(screen: Screen, truth: Truth, done: Outcomes) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Scores of each model and condition, seconds of each model and fold, epochs."""
    tables, clock, histories = [], [], [pd.DataFrame(columns=HISTORY)]
    place = {row: at for at, row in enumerate(np.flatnonzero(~screen.effects.obs["is_control"].to_numpy(bool)))}
    for piece, found in done.whole("model"):
        name, number = str(piece.labels["model"]), int(piece.labels["fold"])
        rows = np.array([place[row] for row in screen.folds[number].test])
        table = condition_scores(truth, rows, np.asarray(found.arrays["told"], dtype=np.float64))
        for ablation in ABLATIONS:
            values = np.full(len(table), np.nan)
            if ablation in found.arrays:
                like = correlation(truth.effect[rows], np.asarray(found.arrays[ablation], dtype=np.float64))
                values = pd.Series(like).groupby(truth.condition[rows]).mean().to_numpy()
            table[ablation] = values
        said = truth.obs.iloc[table["condition"].to_numpy()].reset_index(drop=True)
        tables.append(pd.concat([said, table], axis=1).assign(model=name, fold=number))
        clock.append({"model": name, "fold": number, "seconds": found.facts["seconds"]})
        histories.append(found.tables["history"])
    history = pd.concat([h for h in histories if len(h)] or histories[:1], ignore_index=True)
    return pd.concat(tables, ignore_index=True), pd.DataFrame(clock), history


def units_of(screen: Screen, codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Unit of each condition."""
    units, condition = split_units(screen.treated, screen.split), conditions_of(screen.treated.obs)
    return units[np.unique(condition, return_index=True)[1]][codes]


def ceiling_of(screen: Screen, truth: Truth) -> tuple[Interval, pd.Series]:
    """Pearson of a replicate over conditions that are tested, and by condition."""
    other = truth.replicate()
    rows = np.flatnonzero(np.isfinite(other[:, 0]))
    by: pd.Series[float] = pd.Series(correlation(truth.effect[rows], other[rows])).groupby(truth.condition[rows]).mean()
    units = units_of(screen, by.index.to_numpy(np.int64))
    tested = units >= 0
    if not tested.any():
        return Interval(float("nan")), by
    return UnitMeans(units[tested], seed=screen.seed).interval(np.asarray(by, dtype=np.float64)[tested]), by


def board_of(screen: Screen, truth: Truth, conditions: pd.DataFrame, clock: pd.DataFrame) -> Leaderboard:
    """Models over all folds, with intervals over what the split leaves out, and paired differences."""
    rows, drawn = [], {}
    names = [name for name in screen.specs if name in set(conditions["model"])]
    for name in names:
        own = conditions[conditions["model"] == name].sort_values("condition")
        codes = own["condition"].to_numpy()
        means = UnitMeans(units_of(screen, codes), seed=screen.seed)
        row: dict[str, object] = {"model": name, "kind": screen.specs[name].kind}
        for metric in EFFECTS:
            if metric == "pearson_weighted":
                weighted = UnitMeans(units_of(screen, codes), activity(truth, codes), seed=screen.seed)
                told = weighted.interval(own[METRIC].to_numpy())
            else:
                told = means.interval(own[metric].to_numpy())
            row |= {metric: told.value, f"{metric}_low": told.low, f"{metric}_high": told.high}
        drawn[name] = means.draws(own[METRIC].to_numpy()), means.n
        rows.append(row | {"seconds": clock.loc[clock["model"] == name, "seconds"].sum()})
    table = pd.DataFrame(rows)
    best = table[table["kind"] == "baseline"].sort_values(METRIC, ascending=False)["model"]

    def difference(model: str, reference: str) -> Interval:
        apart = drawn[model][0] - drawn[reference][0]
        return interval_of_draws(float(apart[0]), apart[1:] if drawn[model][1] > 2 else apart[1:] * np.nan, 0.95)

    kinds = dict(zip(table["model"], table["kind"], strict=True))
    return Leaderboard(table, paired_table(kinds, list(best), difference, METRIC), METRIC, EFFECTS)


def by_fold(
    screen: Screen, conditions: pd.DataFrame, clock: pd.DataFrame, ceiling: tuple[Interval, pd.Series]
) -> pd.DataFrame:
    """One row a model and fold."""
    metrics = [name for name in EFFECTS if name in conditions]
    table = conditions.groupby(["model", "fold"], sort=False)[metrics].mean().reset_index()
    of_fold = conditions.drop_duplicates(["fold", "condition"]).assign(c=lambda t: t["condition"].map(ceiling[1]))
    table["ceiling"] = table["fold"].map(of_fold.groupby("fold")["c"].mean())
    sizes = {f.number: (len(f.train), len(f.test)) for f in screen.folds}
    table[["n_train", "n_test"]] = [sizes[number] for number in table["fold"]]
    table = table.merge(clock, on=["model", "fold"]).assign(split=screen.split)
    return table[[name for name in LEADERBOARD if name in table]]


def headline(board: Leaderboard, ceiling: Interval) -> str:
    """What the benchmark says in two sentences: the best model beside the best baseline, and beside a replicate."""
    said = board.headline()
    best = board.table.set_index("model").loc[board.best]
    if best["kind"] != "baseline" and best["alike"] > SAME:
        said += f" {board.best} says nearly one thing for all drugs."
    if np.isfinite(ceiling.value):
        said += f" A replicate of the same condition reaches {ceiling.value:.3f}"
        said += f" ({ceiling.low:.3f} to {ceiling.high:.3f})." if np.isfinite(ceiling.low) else "."
    return said.replace("-", "−") if "-0." in said or " -" in said else said


def warnings_of(board: Leaderboard) -> list[str]:
    """Models that say one thing for all drugs, or the same when asked for another drug."""
    found = []
    for row in board.table[board.table["kind"] != "baseline"].to_dict("records"):
        if row["alike"] > SAME:
            found.append(
                f"{row['model']} says nearly one thing for all drugs (predictions correlate by {row['alike']:.2f})."
            )
        elif row["drug_shuffled_high"] > row[METRIC] and row[METRIC] > 0:
            found.append(
                f"{row['model']} answers as well when it is asked for another drug ({row['drug_shuffled']:.3f} beside "
                f"{row[METRIC]:.3f}): it is not shown to use the drug."
            )
    return found
