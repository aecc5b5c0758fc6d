"""Two processes on one --out: the second is refused, whatever the command."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

CLI = [sys.executable, "-m", "cellixir.cli.app"]
COMMANDS = {
    "embed fit": "embed fit cells.h5ad --no-maps --latent 2 --epochs 100000 --out out",
    "synthesize fit": "synthesize fit cells.h5ad --model cvae --epochs 100000 --out out",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_second_process_is_refused_and_the_first_goes_on(command: str, tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(2.0, (60, 20)).astype("f4")
    ad.AnnData(counts, uns={"scale": "counts"}).write_h5ad(tmp_path / "cells.h5ad")
    words = [*CLI, *shlex.split(COMMANDS[command])]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as first:
        try:
            wait_for_lock(tmp_path, first)
            os.kill(first.pid, signal.SIGSTOP)  # it would be done before the second has begun
            second = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
            assert second.returncode == 2
            assert "error: another process is at work" in second.stderr
            assert second.stderr.count("\n") == 1
            assert first.poll() is None
        finally:
            os.kill(first.pid, signal.SIGKILL)


def wait_for_lock(folder: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while not (list(folder.glob(".out.lock")) or (folder / "out" / ".run.lock").exists()):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
