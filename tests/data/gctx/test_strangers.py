"""Damaged and hostile GCT and GCTX files: one sentence each, no other file read."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest

import cellixir
from cellixir.exceptions import DataError

WELLS = ad.AnnData(np.random.default_rng(0).normal(size=(60, 30)).astype("f4"))
WELLS.obs["cell_id"] = "A375"
MATRIX = "0/DATA/0/matrix"


def refused(path: Path, match: str, **asked: object) -> None:
    for read in (cellixir.read_gctx, cellixir.read_expression):
        with pytest.raises(DataError, match=match) as caught:
            read(path, **(asked if read is cellixir.read_gctx else {}))
        assert "\n" not in str(caught.value)


def hostile(folder: Path, kind: str) -> Path:
    path = folder / "x.gctx"
    cellixir.write_gctx(WELLS, path)
    cellixir.write_gctx(WELLS, folder / "other.gctx")
    with h5py.File(path, "r+") as file:
        if kind == "external link":
            del file[MATRIX]
            file[MATRIX] = h5py.ExternalLink("other.gctx", MATRIX)
        elif kind == "external root":
            del file["0"]
            file["0"] = h5py.ExternalLink("other.gctx", "/0")
        elif kind == "unwritten":
            del file[MATRIX]
            file.create_dataset(MATRIX, shape=(40_000, 30_000), dtype="f4", chunks=(100, 100))
        elif kind == "small unwritten":
            del file[MATRIX]
            file.create_dataset(MATRIX, shape=(60, 30), dtype="f4", chunks=(10, 10))
        elif kind == "part written":
            del file[MATRIX]
            file.create_dataset(MATRIX, shape=(60, 30), dtype="f4", chunks=(10, 10))[:10] = 1
        elif kind == "contiguous unwritten":
            del file[MATRIX]
            file.create_dataset(MATRIX, shape=(60, 30), dtype="f4")
        elif kind == "another shape":
            del file[MATRIX]
            file[MATRIX] = np.ones((59, 30), "f4")
        elif kind == "no ids":
            del file["0/META/ROW/id"]
        elif kind == "words":
            del file[MATRIX]
            file[MATRIX] = np.full((60, 30), b"x")
        elif kind == "infinite":
            file[MATRIX][3, 4] = np.inf
    return path


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("external link", "matrix is a link to another file"),
        ("external root", "0 is a link to another file"),
        ("unwritten", "grows to 4.8 GB or more, above 200 times its size"),
        ("small unwritten", "0 of 18 blocks of its matrix were written"),
        ("part written", "3 of 18 blocks of its matrix were written"),
        ("contiguous unwritten", "0 of 7,200 bytes of its matrix were written"),
        ("another shape", r"0/META/COL/cell_id is not one word or number for each of 59 \(\(60,\)\)"),
        ("no ids", "no ids at 0/META/ROW/id"),
        ("words", "holds no matrix of numbers at 0/DATA/0/matrix"),
        ("infinite", "gene '4' of sample '3' is inf"),
    ],
)
def test_hostile_gctx(tmp_path: Path, kind: str, why: str) -> None:
    refused(hostile(tmp_path, kind), why)


def test_a_cut_gctx(tmp_path: Path) -> None:
    cellixir.write_gctx(WELLS, tmp_path / "x.gctx")
    raw = (tmp_path / "x.gctx").read_bytes()
    for share in (0.3, 0.99):
        (tmp_path / "x.gctx").write_bytes(raw[: int(len(raw) * share)])
        refused(tmp_path / "x.gctx", "is not a GCTX file, or is cut off")
    (tmp_path / "x.gctx").write_bytes(b"")
    refused(tmp_path / "x.gctx", "is empty")
    refused(tmp_path / "no.gctx", "cannot be read")


def test_limit_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cellixir.write_gctx(WELLS, tmp_path / "x.gctx")
    monkeypatch.setenv("CELLIXIR_MAX_MEMORY", "14kB")
    assert cellixir.read_gctx(tmp_path / "x.gctx", columns=range(20)).shape == (20, 30)
    with pytest.raises(DataError, match=r"gives 60 samples x 30 genes, which needs about .* CELLIXIR_MAX_MEMORY"):
        cellixir.read_gctx(tmp_path / "x.gctx")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"30\t60", b"31\t60", "line 35 is not there"),
        (b"30\t60", b"29\t60", "holds more than the 29 rows"),
        (b"30\t60", b"30\t61", "line 3 has 61 cells, and by the second line it has 62"),
        (b"30\t60\t0\t1", b"30\t60", "the second line must count rows, columns, fields"),
        (b"30\t60\t0\t1", b"1e9\t60\t0\t1", "the second line must count rows, columns, fields"),
        (b"\n7\t", b"\n7\tx", "gene '7' of sample '0' is 'x.*', not a number"),
        (b"\n7\t", b"\n7\t1_", "gene '7' of sample '0' is '1_.*', not a number"),
        (b"\n7\t", b"\n7\t\0", "line 12 holds a NUL byte"),
        (b"\n7\t", b"\n6\t", "1 gene stands more than once"),
        (b"\n7\t", b"\n\t", "1 ids are empty"),
    ],
)
def test_damaged_text(tmp_path: Path, old: bytes, new: bytes, why: str) -> None:
    cellixir.write_gctx(WELLS, tmp_path / "x.gct")
    raw = (tmp_path / "x.gct").read_bytes()
    assert raw.count(old) == 1
    (tmp_path / "x.gct").write_bytes(raw.replace(old, new))
    refused(tmp_path / "x.gct", why)
    (tmp_path / "x.gct").write_bytes(raw[: len(raw) // 2])
    refused(tmp_path / "x.gct", "the file is cut off there")


def test_a_web_page_named_gctx(tmp_path: Path) -> None:
    (tmp_path / "x.gctx").write_text("<html>404</html>")
    refused(tmp_path / "x.gctx", "web page|not a GCTX")
