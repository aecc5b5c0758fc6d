"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from anndata.tests.helpers import assert_equal

from cellixir.data.expression.write import write_cells
from cellixir.exceptions import ConfigurationError, WriteError
from cellixir.files import alone, beside, whole


def test_the_file_is_there_after_the_block_and_not_before(tmp_path):
    target = tmp_path / "table.csv"
    with whole(target) as partial:
        partial.write_text("new")
        assert partial.parent == target.parent
        assert partial != target
        assert not target.exists()
    assert target.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_file_alone(tmp_path, error):
    target = tmp_path / "table.csv"
    target.write_text("old")

    def fail() -> None:
        with whole(target) as partial:
            partial.write_text("half of the n")
            raise error

    with pytest.raises(error):
        fail()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_a_block_that_fails_leaves_nothing_where_nothing_was(tmp_path):
    def fail() -> None:
        with whole(str(tmp_path / "table.csv")) as partial:
            partial.touch()
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(WriteError, match=r"cannot write .*table\.csv"), whole(target):
        pass
    assert target.read_text() == "old"


def test_readers_of_the_suffix_see_the_right_one_and_folders_are_made(tmp_path):
    target = tmp_path / "new" / "folder" / "table.csv.gz"
    table = pd.DataFrame({"x": [1, 2]})
    with whole(target) as partial:
        table.to_csv(partial, index=False)
    assert target.read_bytes()[:2] == b"\x1f\x8b"
    pd.testing.assert_frame_equal(pd.read_csv(target), table)


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    code = f"""
        import os, signal
        from cellixir.files import alone, beside, whole
        with whole({str(target)!r}) as partial:
            partial.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".table.csv")
    others = tmp_path / f".{os.getpid()}@elsewhere.table.csv"
    others.touch()  # of a machine that shares the disk: it may be at work
    with whole(target) as partial:
        partial.write_text("new")
    assert {file.name for file in tmp_path.iterdir()} == {"table.csv", others.name}
    os.utime(others, (0, 0))
    with whole(target) as partial:
        partial.write_text("newer")
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_an_old_folder_that_was_moved_aside_by_a_killed_process_comes_back(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1, text=True, check=True)
    machine = beside(tmp_path / "x").name.split("@")[1].removesuffix(".x")
    (tmp_path / f".{dead.stdout.strip()}@{machine}+old.bundle").mkdir()
    beside(tmp_path / "bundle")
    assert [file.name for file in tmp_path.iterdir()] == ["bundle"]


def test_a_place_is_held_by_one_process_and_free_when_that_is_killed(tmp_path: Path) -> None:
    code = f"""
        import time
        from pathlib import Path
        from cellixir.files import alone
        with alone(Path({str(tmp_path / "bundle")!r})):
            print("held", flush=True)
            time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ConfigurationError, match="another process is at work on"), alone(tmp_path / "bundle"):
            pass
        other.kill()
    with alone(tmp_path / "bundle"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bytes_left", [0, 1000, 30_000, 100_000])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, bytes_left: int) -> None:
    code = f"""
        import resource, signal
        import anndata as ad, numpy as np
        from pathlib import Path
        from cellixir.data.expression.write import write_cells
        from cellixir.embedding.pca import PCA
        from cellixir.exceptions import ConfigurationError, WriteError
        from cellixir.files import write_csv
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        cells = ad.AnnData(np.random.default_rng(0).poisson(2, (2000, 500)).astype("f4"))
        model = PCA(2).fit(np.random.default_rng(0).normal(size=(9, 50_000)))
        resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes_left}, {bytes_left}))
        writers = {{
            "cells.h5ad": lambda path: write_cells(cells, path, compression="gzip"),
            "cells.csv": lambda path: write_csv(cells.to_df(), path),
            "bundle": model.save,
        }}
        for name, write in writers.items():
            try:
                write(Path(name))
            except WriteError as error:
                assert f"cannot write {{name}} (" in str(error) and "File too large" in str(error), error
            else:
                raise AssertionError(name)
            assert list(Path().iterdir()) == []
        print("alive")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


def test_cells_are_written_as_anndata_writes_them(tmp_path: Path) -> None:
    cells = ad.AnnData(
        np.random.default_rng(0).poisson(2, (30, 20)).astype("f4"),
        obs=pd.DataFrame({"kind": ["x", "y"] * 15}, index=[f"c{i}" for i in range(30)]),
        uns={"notes": ["a"], "scale": "counts"},
        obsm={"X_pca": np.ones((30, 2))},
        layers={"log": np.ones((30, 20), dtype="f4")},
    )
    cells.raw = cells[:, :10].copy()
    write_cells(cells, tmp_path / "ours.h5ad", compression="gzip", attributes={"written-by": "us"})
    cells.write_h5ad(tmp_path / "theirs.h5ad", compression="gzip")
    ours, theirs = (ad.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("ours", "theirs"))
    assert_equal(ours, theirs)
    with h5py.File(tmp_path / "ours.h5ad") as file:
        assert file.attrs["written-by"] == "us"
