"""The truth survives a file; the package has the five simulations."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import cellixir.data.simulate as simulate
from cellixir.data.simulate.truth import NAMES, numbered, refuse, with_truth
from cellixir.exceptions import ConfigurationError


@dataclass(frozen=True)
class Inner:
    share: float = 0.5


@dataclass(frozen=True)
class Settings:
    shares: tuple[float, ...] = (0.25, 0.75)
    words: tuple[str, ...] = ("a", "b")
    nothing: float | None = None
    none_of: tuple[float, ...] = ()
    inner: Inner = Inner()
    flag: bool = True
    seed: int = 7


def test_settings_survive_a_file(tmp_path: Path) -> None:
    table = pd.DataFrame({"effect": [1.5]}, index=["GENE1"])
    adata = with_truth(ad.AnnData(np.ones((2, 2), np.float32)), Settings(), kind="bulk", table=table)
    adata.write_h5ad(tmp_path / "a.h5ad")
    truth = ad.read_h5ad(tmp_path / "a.h5ad").uns["truth"]
    assert set(truth) == {"shares", "words", "none_of", "inner", "flag", "seed", "kind", "table"}
    assert truth["shares"].tolist() == [0.25, 0.75]
    assert truth["words"].tolist() == ["a", "b"]
    assert len(truth["none_of"]) == 0
    assert (truth["inner"], truth["flag"], truth["seed"], truth["kind"]) == ({"share": 0.5}, True, 7, "bulk")
    pd.testing.assert_frame_equal(truth["table"], table)


def test_what_a_file_cannot_hold_is_named() -> None:
    adata = ad.AnnData(np.ones((1, 1), np.float32))
    with pytest.raises(TypeError, match=r"planted\.rng"):
        with_truth(adata, Settings(), rng=np.random.default_rng(0))
    with pytest.raises(TypeError, match="dataclass"):
        with_truth(adata, {"seed": 0})


def test_numbers_of_one_width_sort_as_text() -> None:
    assert numbered("batch", 11)[::10] == ["batch1", "batch11"]
    names = numbered("GENE", 1234, width=3)
    assert names == sorted(names)
    assert names[0] == "GENE0001"
    assert numbered("module", 0) == []


def test_the_first_fault_is_the_message() -> None:
    refuse("samples", {"a": False})
    with pytest.raises(ConfigurationError, match=r"^samples cannot be simulated with b$"):
        refuse("samples", {"a": False, "b": True, "c": True})


def test_the_five_simulations_are_there() -> None:
    functions = {f"simulate_{name.replace('-', '_')}" for name in NAMES}
    assert functions <= set(simulate.__all__) <= set(dir(simulate))
    assert all(callable(getattr(simulate, name)) for name in functions)
    with pytest.raises(AttributeError, match="simulate_blood"):
        simulate.simulate_blood  # noqa: B018


def test_the_package_imports_nothing_before_use() -> None:
    code = "import sys, cellixir.data.simulate; print(sorted({'numpy', 'anndata', 'rdkit'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
