"""Every long command, killed at random moments and given again, beside a run that nobody disturbed.

::

    python benchmarks/kills.py                    # 63 kills, the table in Markdown
    python benchmarks/kills.py --kills 2 --only "embed fit,simulate"

SIGKILL comes after a random share of the time that the undisturbed run takes, once to three times in a row; then the
command is given once more and must end well. What it has written is compared with the undisturbed run: the last byte of
arrays and weights, every number of tables and JSON but times; and nothing half-written may be left.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

CLI = [sys.executable, "-m", "cellixir.cli.app"]
SCREEN = "--response screen/responses.csv --omics expression=screen/expression.csv --samples screen/samples.csv"
OTHER = "--external-response other/responses.csv --external-omics expression=other/expression.csv"
COMMANDS = {
    "response benchmark": f"response benchmark {SCREEN} --split LCO --folds 2 --models ridge,network",
    "response cross-study": f"response cross-study {SCREEN} {OTHER} --models ridge --overlap none",
    "response fit": f"response fit {SCREEN} --members 2",
    "table benchmark": "table benchmark table.csv --target y --folds 3 --models ridge",
    "embed fit": "embed fit cells.h5ad --label-key kind --folds 2 --no-maps --latent 2 --hidden 8 --epochs 20",
    "embed compare": "embed compare two.toml cells.h5ad --no-maps",
    "synthesize fit": "synthesize fit cells.h5ad --model cvae --condition kind --epochs 200",
    "synthesize benchmark": "synthesize benchmark cells.h5ad --models gaussian,copula --contrast-key kind",
    "simulate": "simulate bulk --n-datasets 6 --n-samples 300 --n-genes 3000",
}
#: Times, and where and by whom it was run, differ between any two runs.
CLOCK = re.compile("seconds|per_gene|started|ended|host|pid|command|memory|_mb")
#: Pages hold times and figures; what they show stands in the tables. A folder of work that is done is nobody's.
PASSED_OVER = re.compile(r"\.html$|\.png$|\.svg$|\.lock$|\.md$|^failures\.csv$|/piece\.json$|/seconds")


def main() -> None:
    """Run, kill, run again, compare, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=7, help="kills of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="names of commands, with commas")
    given = parser.parse_args()
    wanted = [name for name in COMMANDS if not given.only or name in given.only.split(",")]
    rng, bad = np.random.default_rng(given.seed), 0
    print(
        "| command | undisturbed (s) | kills | while it worked | differences | left behind |\n|---|--:|--:|--:|--:|--:|"
    )
    with tempfile.TemporaryDirectory(prefix="kills-") as scratch:
        os.chdir(scratch)
        make_inputs()
        total = np.zeros(4, dtype=int)
        for name in wanted:
            seconds, counts = torment(name, given.kills, rng)
            print(f"| {name} | {seconds:.1f} | " + " | ".join(map(str, counts)) + " |", flush=True)
            total += counts
            bad += int(counts[2] + counts[3])
        print("| all |  | " + " | ".join(map(str, total)) + " |")
    sys.exit(bool(bad))


def make_inputs() -> None:
    """Small data, with enough work in them that a kill finds something under way."""
    for name, seed in (("screen", 0), ("other", 1)):
        size = "--n-samples 40 --n-drugs 8 --n-genes 30 --n-mutations 9 --n-targets 3"
        subprocess.run(
            [*CLI, *shlex.split(f"simulate cohort {size} --seed {seed} --out {name}")], check=True, stdout=-3
        )
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(90, 3)), columns=["a", "b", "c"])
    table.assign(y=table["a"] + rng.normal(size=90)).to_csv("table.csv", index=False)
    obs = pd.DataFrame({"kind": ["x", "y"] * 60}, index=[f"cell{i}" for i in range(120)])
    counts = rng.poisson(2.0 + 3.0 * (np.arange(120) % 2)[:, None] * (np.arange(20) < 5), (120, 20))
    ad.AnnData(counts.astype(np.float32), obs=obs, uns={"scale": "counts"}).write_h5ad("cells.h5ad")
    text = "[defaults]\nhidden = 8\nepochs = 20\n[experiment.a]\nlatent = 2\n[experiment.b]\nlatent = 3\n"
    Path("two.toml").write_text(text)


def torment(name: str, kills: int, rng: np.random.Generator) -> tuple[float, np.ndarray[Any, Any]]:
    """Seconds undisturbed; kills, kills that found it at work, results that differ, and what is left behind."""
    command = [*CLI, *shlex.split(COMMANDS[name]), "--out", "out"]
    begin = time.monotonic()
    run(command)
    seconds = time.monotonic() - begin
    sound, files = contents(Path("out")), {path.name for path in Path().iterdir()}
    clear()
    counts = np.zeros(4, dtype=int)
    while counts[0] < kills:
        for _ in range(min(int(rng.integers(1, 4)), kills - counts[0])):
            process = subprocess.Popen(command, stdout=-3, stderr=-3, start_new_session=True)
            # most of the first second is imports
            time.sleep(float(rng.uniform(min(0.5, seconds / 2), 0.85 * seconds)))
            counts[1] += process.poll() is None
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with the processes that it has started
            process.wait()
            counts[0] += 1
        run(command)
        counts[2] += differing(name, sound, contents(Path("out")))
        left = [file for file in {path.name for path in Path().iterdir()} - files if file != "out"]
        left += [str(file) for file in Path("out").rglob(".*") if "@" in file.name]
        for file in left:
            print(f"{name}: left behind: {file}", file=sys.stderr)
        counts[3] += len(left)
        clear()
    return seconds, counts


def run(command: list[str]) -> None:
    """Run to the end; whatever goes wrong ends this benchmark."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{shlex.join(command)} ended with {done.returncode}: {done.stderr}")


def clear() -> None:
    """Remove what the command has written."""
    for path in Path().glob("*"):
        if path.name not in {"screen", "other", "table.csv", "cells.h5ad", "two.toml"}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in Path().glob(".*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def contents(folder: Path) -> dict[str, Any]:
    """What each file says, by its place."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    names = {file.relative_to(folder).as_posix(): file for file in files}
    return {name: said(file) for name, file in names.items() if not PASSED_OVER.search(name)}


def said(file: Path) -> Any:
    """Content without times."""
    if file.suffix in {".csv", ".parquet", ".gz"}:
        table = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
        for column in ("metric", "name"):
            if column in table:
                table = table[~table[column].astype(str).str.contains(CLOCK)]
        return table[[c for c in table if not CLOCK.search(str(c))]].to_csv()
    if file.suffix == ".json":
        return _timeless(json.loads(file.read_text()))
    if file.suffix == ".h5ad":
        cells = ad.read_h5ad(file)
        x = cells.X.toarray() if hasattr(cells.X, "toarray") else np.asarray(cells.X)
        return (
            x.tobytes(),
            cells.obs.to_csv(),
            cells.var.to_csv(),
            {k: np.asarray(v).tobytes() for k, v in cells.obsm.items()},
        )
    return file.read_bytes()


def _timeless(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _timeless(value) for key, value in content.items() if not CLOCK.search(key)}
    return [_timeless(value) for value in content] if isinstance(content, list) else content


def differing(name: str, one: dict[str, Any], other: dict[str, Any]) -> int:
    """How many files differ or are on one side only; each is named."""
    bad = [file for file in sorted(one.keys() | other.keys()) if one.get(file, 0) != other.get(file, 1)]
    for file in bad:
        print(f"{name}: differs: {file}", file=sys.stderr)
    return len(bad)


if __name__ == "__main__":
    main()
