"""A toy job: a model, two pieces, one section. Everything else is the shell's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from cellixir.metrics import mse, rmse
from cellixir.metrics.catalogue import REGRESSION
from cellixir.report.page import Report
from cellixir.report.sections import facts_section, failures_section, headline_section, leaderboard_section
from cellixir.runs import Found, Leaderboard, Piece, RunFolder

KINDS = {"mean": "baseline", "line": "linear", "broken": "linear"}


def predict(model: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if model == "broken":
        message = "this model does not work"
        raise ValueError(message)
    return np.full(len(x), y.mean()) if model == "mean" else np.polyval(np.polyfit(x, y, 1), x)


def piece(model: str, x: np.ndarray, y: np.ndarray) -> Piece:
    return Piece({"model": model}, {}, lambda place, on_epoch: Found({"predicted": predict(model, x, y)}))


def run_toy(out: Path, models: list[str], *, seed: int = 0, command: str = "", quiet: bool = True) -> Leaderboard:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=50)
    y = x + rng.normal(size=50) / 10
    with RunFolder(out, "toy", {"seed": seed}, data={"points": str(seed)}, command=command) as run:
        done = run.pieces([piece(model, x, y) for model in models], quiet=quiet)
        scores = {str(p.labels["model"]): found.arrays["predicted"] for p, found in done.found}
        rows = [{"model": m, "kind": KINDS[m], "rmse": rmse(y, p), "mse": mse(y, p)} for m, p in scores.items()]
        board = Leaderboard(pd.DataFrame(rows), pd.DataFrame(), "rmse", REGRESSION)
        page = Report("Toy", "Two models on a line.")
        headline_section(page, board.headline(), notes=done.notes)
        leaderboard_section(page, board, forests={"rmse": ""})
        page.section("Line", "The one section of its own.")
        failures_section(page, done.failures)
        facts_section(page, {"points": 50}, command=command)
        run.table("leaderboard", board.ranked)
        run.page(page)
        run.says(headline=board.headline(), metrics=board.metrics(), notes=done.notes)
    return board


app = typer.Typer()


@app.command()
def toy(out: Annotated[Path, typer.Option()], models: str = "mean,line") -> None:
    typer.echo(run_toy(out, models.split(","), quiet=False).headline())
