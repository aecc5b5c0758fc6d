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
    for column in ("AUROC [95 %]", "per-drug\nAUROC", "AUPRC [95 %]", "balanced\naccuracy", "F1", "Brier", "seconds"):
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
            _number(row["r2"]),
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
    """Print the model and the metrics of a table; the first and the paired difference show intervals."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    columns = [str(c) for c in overall.columns]
    hidden = ("model", "kind", "split", "fold", "mse", "spearman")  # the file and the report have the last two
    shown = [c for c in columns if c not in hidden and not c.endswith(("_low", "_high"))]
    shown = [c for c in shown if overall[c].dtype.kind == "f" and overall[c].notna().any()][:7]
    table.add_column("model")
    banded = [c for c in shown if f"{c}_low" in columns and c in (shown[0], "difference")]
    for column in shown:
        table.add_column(column.replace("_", "\n") + (" [95 %]" if column in banded else ""), justify="right")
    for row in overall.to_dict(orient="records"):
        cells = [_with_interval(row, c) if c in banded else _number(row[c]) for c in shown]
        table.add_row(str(row["model"]), *cells)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
