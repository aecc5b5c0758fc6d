"""Independent calls, in this process or in several."""

from __future__ import annotations

import builtins
import time

import numpy as np

from cellixir.compute import compute


def grown(index: int) -> int:
    """Keep 400 MB for ever, which joblib takes for a leak: the process is replaced once it looks, after a second."""
    builtins.kept = [*getattr(builtins, "kept", []), np.ones(50_000_000)]  # type: ignore[attr-defined]
    time.sleep(1.1)
    return index


def test_a_process_that_joblib_replaces_loses_no_call() -> None:
    calls = [lambda index=index: grown(index) for index in range(5)]
    assert sorted(outcome.value for outcome in compute(calls, jobs=2)) == [0, 1, 2, 3, 4]
