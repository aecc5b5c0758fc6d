"""The tables of docs/benchmarks/response.md, from the folders that `cellixir response benchmark` wrote.

python benchmarks/response_table.py runs/LPO runs/LCO runs/LDO > tables.md
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd


def markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def with_interval(row: dict[str, float], name: str) -> str:
    if pd.isna(row[name]):
        return "–"
    return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"


def plain(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.3f}"


def leaderboard(folder: Path) -> str:
    overall = pd.read_csv(folder / "overall.csv")
    folds = pd.read_csv(folder / "leaderboard.csv").groupby("model")[["rmse", "r2"]].mean()
    header = [
        "model",
        "RMSE [95 %]",
        "R2",
        "mean of folds RMSE / R2",
        "normalised Pearson [95 %]",
        "per-drug Pearson",
    ]
    rows = [
        [
            row["model"],
            with_interval(row, "rmse"),
            plain(row["r2"]),
            f"{folds.loc[row['model'], 'rmse']:.3f} / {folds.loc[row['model'], 'r2']:.3f}",
            with_interval(row, "normalised_pearson"),
            plain(row["per_drug_pearson"]),
        ]
        for row in overall.to_dict(orient="records")
    ]
    return markdown(header, rows)


def differences(folder: Path) -> str:
    table = pd.read_csv(folder / "paired.csv")
    rows = [
        [row["model"], row["reference"], f"{row['rmse_difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"]
        for row in table.to_dict(orient="records")
    ]
    return markdown(["model", "less", "difference of RMSE [95 %]"], rows)


def main() -> None:
    for folder in map(Path, sys.argv[1:]):
        split = pd.read_csv(folder / "leaderboard.csv")["split"].iloc[0]
        print(f"## {split}\n\n{leaderboard(folder)}\n\n{differences(folder)}\n")


if __name__ == "__main__":
    main()
