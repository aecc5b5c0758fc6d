"""The leaderboard in a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd
    from rich.table import Table


def print_leaderboard(overall: pd.DataFrame, title: str) -> None:
    """Print one row a model with its intervals."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 120).print(leaderboard_table(overall, title))


def print_class_leaderboard(overall: pd.DataFrame, title: str) -> None:
    """Print one row a model with the intervals of its AUROC and AUPRC."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("model")
    for column in ("AUROC [95 %]", "per-drug AUROC", "AUPRC [95 %]", "balanced accuracy", "F1", "Brier", "seconds"):
        table.add_column(column, justify="right")
    for row in overall.to_dict(orient="records"):
        numbers = [_number(row[name]) for name in ("balanced_accuracy", "f1", "brier")]
        within, seconds = _number(row["per_drug_auroc"]), f"{row['seconds']:,.1f}"
        table.add_row(
            row["model"], _with_interval(row, "auroc"), within, _with_interval(row, "auprc"), *numbers, seconds
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def leaderboard_table(overall: pd.DataFrame, title: str) -> Table:
    """The leaderboard as a table for a terminal."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("model")
    for column in ("RMSE [95 %]", "R2", "normalised Pearson [95 %]", "per-drug Pearson", "seconds"):
        table.add_column(column, justify="right")
    for row in overall.to_dict(orient="records"):
        table.add_row(
            row["model"],
            f"{row['rmse']:.3f} [{row['rmse_low']:.3f}, {row['rmse_high']:.3f}]",
            f"{row['r2']:.3f}",
            _with_interval(row, "normalised_pearson"),
            _number(row["per_drug_pearson"]),
            f"{row['seconds']:,.1f}",
        )
    return table


def _with_interval(row: Mapping[Hashable, float], name: str) -> str:
    if row[name] != row[name]:
        return "-"
    return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"


def print_any_leaderboard(overall: pd.DataFrame, title: str) -> None:
    """Print the model and every metric of a table; a metric with an interval shows it."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    columns = [str(c) for c in overall.columns]
    shown = [c for c in columns if c not in ("model", "kind", "split", "fold") and not c.endswith(("_low", "_high"))]
    shown = [c for c in shown if overall[c].dtype.kind == "f" and overall[c].notna().any()][:8]
    table.add_column("model")
    for column in shown:
        table.add_column(column.replace("_", " "), justify="right")
    for row in overall.to_dict(orient="records"):
        cells = [_with_interval(row, c) if f"{c}_low" in columns else _number(row[c]) for c in shown]
        table.add_row(str(row["model"]), *cells)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
