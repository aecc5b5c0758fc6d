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
