"""Expression of strangers: no other file is read, no more is believed than is stored."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from cellixir.data.expression import read_expression
from cellixir.exceptions import DataError

ATTRIBUTES = {"encoding-type": "array", "encoding-version": "0.2.0"}
CELLS = ad.AnnData(np.random.default_rng(0).poisson(2, (60, 30)).astype("float32"))


def refused(path: Path, **options: bool) -> str:
    with pytest.raises(DataError) as caught:
        read_expression(path, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def hostile(folder: Path, kind: str) -> Path:
    path, secret = folder / f"{kind}.h5ad", folder / "secret.txt"
    CELLS.write_h5ad(path)
    secret.write_bytes(b"not a matrix " * 200)
    with h5py.File(path, "r+") as file:
        del file["X"]
        if kind == "external raw storage":
            file.create_dataset("X", shape=(60, 30), dtype="u1", external=[(str(secret), 0, 1800)])
        elif kind == "external link":
            CELLS.write_h5ad(folder / "linked.h5ad")
            file["X"] = h5py.ExternalLink("linked.h5ad", "/X")
            return path
        elif kind == "virtual":
            CELLS.write_h5ad(folder / "linked.h5ad")
            layout = h5py.VirtualLayout(shape=(60, 30), dtype="f4")
            layout[:] = h5py.VirtualSource(folder / "linked.h5ad", "X", shape=(60, 30))
            file.create_virtual_dataset("X", layout)
        elif kind == "unwritten":
            file.create_dataset("X", shape=(40_000, 30_000), dtype="f4", chunks=(100, 100))
        elif kind == "another shape":
            file.create_dataset("X", data=np.ones((59, 30), "f4"))
        elif kind == "circle":
            file.create_dataset("X", data=np.ones((60, 30), "f4"))
            file["uns/again"] = file["/"]
        file["X"].attrs.update(ATTRIBUTES)
    return path


@pytest.mark.parametrize("backed", [False, True])
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("external raw storage", "X keeps its values in another file"),
        ("external link", "X is a link to another file"),
        ("virtual", "X is put together from other files"),
        ("unwritten", "X has .* and grows to 4.8 GB or more, above 200 times its size"),
        ("another shape", "must have as many rows as `X` has rows"),
        ("circle", "groups deep"),
    ],
)
def test_hostile_h5ad(tmp_path: Path, kind: str, why: str, backed: bool) -> None:
    with pytest.raises(DataError, match=why):
        read_expression(hostile(tmp_path, kind), backed=backed)


def test_groups_that_multiply_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    CELLS.write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "r+") as file:
        below = file.create_group("uns/g0")
        for level in range(1, 8):  # 10^7 ways down
            group = file.create_group(f"uns/g{level}")
            for i in range(10):
                group[str(i)] = below
            below = group
    monkeypatch.setenv("CELLIXIR_MAX_OBJECTS", "5000")
    assert "more than 5,000 objects" in refused(tmp_path / "a.h5ad")


def test_backed_files_that_are_damaged(tmp_path: Path) -> None:
    cells = CELLS.copy()
    cells.X = sp.csr_matrix(cells.X)
    cells.write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "r+") as file:
        file["X/indices"][5] = 10**6
    assert "damaged" in refused(tmp_path / "a.h5ad", backed=True)
    cells.write_h5ad(tmp_path / "b.h5ad")
    with h5py.File(tmp_path / "b.h5ad", "r+") as file:
        del file["X/indptr"]
    assert "is damaged" in refused(tmp_path / "b.h5ad", backed=True)


def tenx(folder: Path, matrix: str) -> Path:
    (folder / "matrix.mtx").write_text(matrix)
    (folder / "genes.tsv").write_text("G1\tG1\nG2\tG2\nG3\tG3\n")
    (folder / "barcodes.tsv").write_text("C1\nC2\n")
    return folder


@pytest.mark.parametrize("promised", [7, 10**11, 10**30])
def test_a_matrix_market_file_that_promises_more_than_it_has(tmp_path: Path, promised: int) -> None:
    folder = tenx(tmp_path, f"%%MatrixMarket matrix coordinate integer general\n3 2 {promised}\n1 1 5\n")
    assert "promises" in refused(folder) or "is not a Matrix Market file" in refused(folder)


def test_a_matrix_market_file_of_another_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    folder = tenx(tmp_path, "%%MatrixMarket matrix coordinate integer general\n300000 200000 1\n1 1 5\n")
    assert "is 300000 x 200000, but there are 3 features and 2 barcodes" in refused(folder)


def test_text_with_a_nul_or_blank_lines_without_end(tmp_path: Path) -> None:
    rows = "".join(f"cell{i},{i},2.5\n" for i in range(4000))
    (tmp_path / "a.csv").write_bytes(f"cell,TP53,ACTB\n{rows}".encode() + b"x,1,1.\x0025\n")
    assert "line 4002 holds a NUL byte" in refused(tmp_path / "a.csv")
    with gzip.open(tmp_path / "a.csv.gz", "wb") as file:
        file.write(b"cell,TP53,ACTB\nc,1,2\n" + b"\n" * 2_000_000)
    assert "more than 1,000,000 blank lines" in refused(tmp_path / "a.csv.gz")


def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5ad")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    assert "is no ordinary file" in refused(tmp_path / "pipe.h5ad")
    assert "is no ordinary file" in refused(tmp_path / "zero.csv")


def test_a_10x_file_whose_features_have_no_name(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("matrix")
        group["data"], group["indices"], group["indptr"] = [1], [0], [0, 1]
        group["shape"], group["barcodes"], group["features/id"] = [1, 1], [b"A-1"], [b"ENSG1"]
    assert "is not a 10x .h5 file" in refused(tmp_path / "a.h5")
