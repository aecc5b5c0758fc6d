"""A run that was killed goes on: every job, by SIGKILL at a piece or an epoch, ends as one that nobody disturbed."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cellixir.cli.app import app
from cellixir.runs import read_manifest

SCREEN = "--response screen/responses.csv --omics expression=screen/expression.csv --samples screen/samples.csv"
OTHER = "--external-response other/responses.csv --external-omics expression=other/expression.csv"
SMALL = "--latent 2 --hidden 8 --epochs 3"


class Job(NamedTuple):
    """A command, the pieces or epochs after which it is killed, and the results that are compared."""

    command: str
    pieces: int | None
    epochs: int | None
    results: tuple[str, ...]


JOBS = {
    "response benchmark": Job(
        f"response benchmark {SCREEN} --split LCO --folds 2 --models ridge", 5, None, ("leaderboard.csv", "overall.csv")
    ),
    "response cross-study": Job(
        f"response cross-study {SCREEN} {OTHER} --models ridge --overlap none", 4, None, ("leaderboard.csv",)
    ),
    "response fit": Job(f"response fit {SCREEN} --members 2", None, 3, ("weights.safetensors", "model.json")),
    "table benchmark": Job("table benchmark table.csv --target y --folds 2 --models ridge", 3, None, ("overall.csv",)),
    "embed fit": Job(
        f"embed fit cells.h5ad --label-key kind --folds 2 --no-maps {SMALL}", None, 7, ("metrics.json", "history.csv")
    ),
    "embed compare": Job("embed compare two.toml cells.h5ad --no-maps", None, 4, ("experiments.csv", "histories.csv")),
    "synthesize fit": Job(
        "synthesize fit cells.h5ad --model cvae --condition kind --epochs 4", None, 2, ("weights.safetensors",)
    ),
    "synthesize benchmark": Job(
        "synthesize benchmark cells.h5ad --models gaussian,copula --contrast-key kind --holdout .4",
        1, None, ("results.csv",),
    ),
}  # fmt: skip
#: A process of its own: after a fork, threads that a product of matrices waits for would not be there.
DRIVER = """
import os, runpy, shlex, signal, sys
from cellixir.cli.app import app
from cellixir.runs.piece import Piece
from cellixir.training import loop

where, left, command, conftest = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
if command.startswith(("embed fit", "synthesize benchmark")):  # those that draw much
    runpy.run_path(conftest)["few_draws"](setattr)
call = Piece.run if where == "piece" else loop.write_checkpoint

def counted(*given, **named):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return call(*given, **named)

if where == "piece":
    Piece.run = counted
else:
    loop.write_checkpoint = counted
app(shlex.split(command))
"""
CONFTEST = str(Path(__file__).parent / "conftest.py")
CLOCK = ("seconds", "per_gene")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    for name, seed in (("screen", 0), ("other", 1)):
        command = "simulate cohort --n-samples 30 --n-drugs 6 --n-genes 12 --n-mutations 9 --n-targets 3"
        run(f"{command} --seed {seed} --out {folder / name}")
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    table.assign(y=table["a"] + rng.normal(size=60)).to_csv(folder / "table.csv", index=False)
    obs = pd.DataFrame({"kind": ["x", "y"] * 30}, index=[f"cell{i}" for i in range(60)])
    counts = rng.poisson(2.0 + 3.0 * (np.arange(60) % 2)[:, None] * (np.arange(20) < 5), (60, 20))
    ad.AnnData(counts.astype(np.float32), obs=obs, uns={"scale": "counts"}).write_h5ad(folder / "cells.h5ad")
    text = "[defaults]\nhidden = 8\nepochs = 3\n[experiment.a]\nlatent = 2\n[experiment.b]\nlatent = 3\n"
    (folder / "two.toml").write_text(text)
    return folder


def run(command: str) -> None:
    done = CliRunner().invoke(app, shlex.split(command))
    assert done.exit_code == 0, (command, done.output, done.exception)


def killed(command: str, *, pieces: int | None = None, epochs: int | None = None) -> None:
    """Run the command in a process that kills itself in place of its ``n + 1``-th piece, or its epoch's checkpoint."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, "epoch" if epochs else "piece", str(epochs or pieces), command, CONFTEST],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, f"the run ended before it was killed: {done.stdout} {done.stderr}"


def result(file: Path) -> object:
    """What a file says, without the times."""
    if file.suffix == ".csv":
        table = pd.read_csv(file)
        if "metric" in table:
            table = table[~table["metric"].str.contains("|".join(CLOCK))]
        return table[[c for c in table if not any(word in c for word in CLOCK)]].to_dict("list").__repr__()
    if file.suffix == ".json":
        return untimed(json.loads(file.read_text(encoding="utf-8")))
    return file.read_bytes()


def untimed(value: Any) -> Any:
    """The value without what is named after a time."""
    if isinstance(value, dict):
        return {name: untimed(part) for name, part in value.items() if not any(word in name for word in CLOCK)}
    return [untimed(part) for part in value] if isinstance(value, list) else value


@pytest.mark.usefixtures("small_numbers")
@pytest.mark.parametrize("job", JOBS)
def test_a_killed_run_goes_on_and_ends_the_same(
    job: str, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(inputs)
    command, pieces, epochs, results = JOBS[job]
    run(f"{command} --out {tmp_path / 'whole'}")
    if pieces is not None:
        killed(f"{command} --out {tmp_path / 'killed'}", pieces=pieces)
        assert read_manifest(tmp_path / "killed")["state"] == "stopped"
    if epochs is not None:
        killed(f"{command} --out {tmp_path / 'killed'}", epochs=epochs)
    if job.endswith("fit") and not job.startswith("embed"):
        assert not (tmp_path / "killed").exists()  # a bundle is there whole or not at all
    run(f"{command} --out {tmp_path / 'killed'}")
    for name in results:
        assert result(tmp_path / "killed" / name) == result(tmp_path / "whole" / name), name
    left = [f for f in (tmp_path / "killed").rglob("*") if "checkpoint" in f.name or f.name.startswith(".")]
    assert left == []
    assert {f.name for f in tmp_path.iterdir()} == {"whole", "killed"}
    if (tmp_path / "killed" / "run.json").exists():
        manifest = read_manifest(tmp_path / "killed")
        assert (manifest["state"], manifest["job"]) == ("done", job)
