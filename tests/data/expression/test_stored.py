"""h5ad, zarr and loom: in memory and on disk, layers, names, and files that are not what they say."""

from __future__ import annotations

import gzip
import shutil
import warnings
import zipfile
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr

from cellixir.data.expression import is_backed, profile, take
from cellixir.data.expression.labels import join_labels
from cellixir.exceptions import (
    ConfigurationError,
    DataError,
    DuplicateIds,
    InvalidValues,
    MissingExtra,
    ReadError,
    UnknownIds,
)
from cellixir.sources.expression import read_expression

KINDS = ["x.h5ad", "x.zarr"]


def counts(n_cells: int = 30, n_genes: int = 8, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).poisson(0.8, (n_cells, n_genes)).astype(np.float32)
    x[:, 0] += 1
    return x


def make(x=None, **more) -> ad.AnnData:
    x = sp.csr_matrix(counts()) if x is None else x
    obs = pd.DataFrame({"patient": ["p1", "p2"] * (x.shape[0] // 2)}, index=[f"c{i}" for i in range(x.shape[0])])
    return ad.AnnData(x, obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(x.shape[1])]), **more)


def write(cells: ad.AnnData, folder: Path, name: str = "x.h5ad", zarr_format: int = 2) -> Path:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*names are not unique")
        warnings.filterwarnings("ignore", message="Writing zarr v2|zarr v3 autosharding|Consolidated metadata")
        if name.endswith(".h5ad"):
            cells.write_h5ad(folder / name)
        else:
            with ad.settings.override(zarr_write_format=zarr_format):
                cells.write_zarr(folder / name)
    return folder / name


def dense(x) -> np.ndarray:
    rows = take(x, np.arange(x.shape[0]))
    return rows.toarray() if sp.issparse(rows) else rows


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("backed", [False, True])
@pytest.mark.parametrize("form", [sp.csr_matrix, np.asarray, lambda x: sp.csr_matrix(x.astype(np.int32))])
def test_what_was_written_is_read(tmp_path, name, backed, form) -> None:
    written = make(form(counts()), obsm={"X_pca": np.ones((30, 2))})
    cells = read_expression(write(written, tmp_path, name), backed=backed)
    assert is_backed(cells.X) is backed
    np.testing.assert_array_equal(dense(cells.X), counts())
    assert cells.obs["patient"].tolist() == ["p1", "p2"] * 15
    assert cells.obs_names.tolist() == written.obs_names.tolist()
    assert cells.var_names.tolist() == written.var_names.tolist()
    assert cells.obsm["X_pca"].shape == (30, 2)
    assert (cells.uns["scale"], cells.uns["scale_guessed"], cells.uns["notes"]) == ("counts", True, [])
    assert profile(cells).fingerprint == profile(written).fingerprint
    if not backed:
        assert cells.X.dtype == np.float32


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("backed", [False, True])
def test_zarr_in_a_zip(tmp_path, zarr_format, backed) -> None:
    folder = write(make(), tmp_path, "x.zarr", zarr_format)
    with zipfile.ZipFile(tmp_path / "y.zarr.zip", "w") as packed:
        for file in folder.rglob("*"):
            packed.write(file, file.relative_to(folder))
    np.testing.assert_array_equal(dense(read_expression(tmp_path / "y.zarr.zip", backed=backed).X), counts())


@pytest.mark.parametrize("form", [sp.csc_matrix, sp.csr_array, lambda x: sp.csr_matrix(x.astype(np.float64))])
def test_in_memory_all_forms_become_rows_in_float32(tmp_path, form) -> None:
    cells = read_expression(write(make(form(counts())), tmp_path))
    assert isinstance(cells.X, sp.csr_matrix)
    assert cells.X.dtype == np.float32
    np.testing.assert_array_equal(cells.X.toarray(), counts())


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("backed", [False, True])
def test_layers_and_raw(tmp_path, name, backed) -> None:
    whole, wide = sp.csr_matrix(counts(seed=1)), make(sp.csr_matrix(counts(n_genes=11, seed=2)))
    cells = make(sp.csr_matrix(np.log1p(counts())), layers={"counts": whole, "other": whole * 0.5})
    cells.raw, cells.uns = wide, {"scale": "log1p_cpm", "log1p": {}}
    path = write(cells, tmp_path, name)
    assert read_expression(path, backed=backed).uns["scale"] == "log1p_cpm"
    taken = read_expression(path, layer="counts", backed=backed)
    np.testing.assert_array_equal(dense(taken.X), whole.toarray())
    assert (taken.uns["scale"], taken.uns["scale_guessed"]) == ("counts", True)
    assert list(taken.layers) == ["other"]
    raw = read_expression(path, layer="raw", backed=backed)
    np.testing.assert_array_equal(dense(raw.X), wide.X.toarray())
    assert raw.var_names.tolist() == wide.var_names.tolist()
    assert raw.uns["scale"] == "counts"
    with pytest.raises(UnknownIds, match=r"no layer 'umi'; it has 'counts', 'other', 'raw'"):
        read_expression(path, layer="umi", backed=backed)


@pytest.mark.parametrize("backed", [False, True])
def test_no_layers_at_all(tmp_path, backed) -> None:
    with pytest.raises(UnknownIds, match=r"no layer 'counts'; it has none, only X"):
        read_expression(write(make(), tmp_path), layer="counts", backed=backed)


def test_layers_stay_on_disk(tmp_path) -> None:
    cells = read_expression(write(make(layers={"counts": sp.csr_matrix(counts())}), tmp_path), backed=True)
    assert is_backed(cells.layers["counts"])


@pytest.mark.parametrize("name", KINDS)
def test_a_matrix_by_column_cannot_stay_on_disk(tmp_path, name) -> None:
    path = write(make(sp.csc_matrix(counts())), tmp_path, name)
    with pytest.raises(ConfigurationError, match=r"by column \(csc\).*write_h5ad\(new_path\)"):
        read_expression(path, backed=True)
    read_expression(path).write_h5ad(tmp_path / "new.h5ad")
    np.testing.assert_array_equal(dense(read_expression(tmp_path / "new.h5ad", backed=True).X), counts())


@pytest.mark.parametrize("backed", [False, True])
def test_a_recorded_scale_is_kept_and_checked(tmp_path, backed) -> None:
    half = make(sp.csr_matrix(counts() / 2), uns={"scale": "log2_tpm", "scale_guessed": True, "notes": ["earlier"]})
    cells = read_expression(write(half, tmp_path), backed=backed)
    assert (cells.uns["scale"], cells.uns["scale_guessed"], cells.uns["notes"]) == ("log2_tpm", True, ["earlier"])
    half.uns = {"scale": "counts"}
    path = write(half, tmp_path, "claimed.h5ad")
    with pytest.raises(InvalidValues, match=r"the file records scale 'counts', but gene 'g\d' of cell 'c0' is \d?\.5;"):
        read_expression(path, backed=backed)
    assert read_expression(path, backed=backed, scale="unknown").uns["scale"] == "unknown"


def test_notes_survive_writing_and_are_not_said_twice(tmp_path) -> None:
    x = counts()
    x[4] = 0
    path, again = write(make(sp.csr_matrix(x / 2 + x)), tmp_path), tmp_path / "again.h5ad"
    first = read_expression(path)
    first.write_h5ad(again)
    assert read_expression(again).uns["notes"] == first.uns["notes"]
    assert first.uns["notes"][-1] == "left out, as they have no count: 1 of 30 cells ('c4')"


def test_a_note_that_comes_again_is_kept_once(tmp_path) -> None:
    first = read_expression(write(make(sp.csr_matrix(counts() * 2**22 * 3)), tmp_path))
    first.write_h5ad(tmp_path / "again.h5ad")
    notes = read_expression(tmp_path / "again.h5ad").uns["notes"]
    assert notes == first.uns["notes"]
    assert len(notes) == 1


@pytest.mark.parametrize("name", KINDS)
def test_cells_without_counts_stay_on_disk_and_are_told(tmp_path, name) -> None:
    x = counts()
    x[[4, 7]] = 0
    path = write(make(sp.csr_matrix(x)), tmp_path, name)
    assert read_expression(path).n_obs == 28
    cells = read_expression(path, backed=True)
    assert cells.n_obs == 30
    assert cells.uns["notes"] == ["without any count: 2 of 30 cells ('c4', 'c7'); a model leaves them out"]


def test_repeated_genes(tmp_path) -> None:
    cells = make(layers={"counts": sp.csr_matrix(counts())}, obsm={"X_pca": np.ones((30, 2))})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*names are not unique")
        cells.var_names = ["a", "b", "a", "c", "d", "e", "a", "b"]
        path = write(cells, tmp_path)
    with pytest.raises(DuplicateIds, match=r"2 genes stand more than once \('a', 'b'\); read the file without backed"):
        read_expression(path, backed=True)
    found = read_expression(path)
    assert found.var_names.tolist() == ["a", "b", "c", "d", "e"]
    x = counts()
    np.testing.assert_array_equal(dense(found.X)[:, 0], x[:, [0, 2, 6]].sum(axis=1))
    np.testing.assert_array_equal(dense(found.X)[:, 2:], x[:, 3:6])
    assert found.obsm["X_pca"].shape == (30, 2)
    note = "genes that stood more than once: 2 ('a', 'b'); their counts were added up (layers and raw were left out)"
    assert found.uns["notes"] == [note]


@pytest.mark.parametrize("backed", [False, True])
def test_repeated_cells_are_refused(tmp_path, backed) -> None:
    cells = make()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*names are not unique")
        cells.obs_names = ["c"] * 2 + [f"d{i}" for i in range(28)]
    with pytest.raises(DuplicateIds, match=r"1 cell stands more than once \('c'\); make them unique"):
        read_expression(write(cells, tmp_path), backed=backed)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("backed", [False, True])
def test_wrong_values_are_named_with_the_file(tmp_path, name, backed) -> None:
    x = counts()
    x[5, 3] = np.nan
    path = write(make(x), tmp_path, name)
    with pytest.raises(InvalidValues, match=rf"{path}: the value of gene 'g3' in cell 'c5' is nan"):
        read_expression(path, backed=backed)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DataError, match=r"the matrix is empty \(0 cells x 8 genes\)"):
        read_expression(write(make(counts()[:0]), tmp_path, name), backed=backed)


@pytest.mark.parametrize("backed", [False, True])
def test_no_values(tmp_path, backed) -> None:
    nothing = ad.AnnData(obs=make().obs, var=make().var, layers={"counts": sp.csr_matrix(counts())})
    path = write(nothing, tmp_path)
    with pytest.raises(ReadError, match=r"holds no values in X; name a layer \('counts'\)"):
        read_expression(path, backed=backed)
    assert read_expression(path, layer="counts", backed=backed).shape == (30, 8)


@pytest.mark.parametrize("backed", [False, True])
def test_files_that_are_not_what_they_say(tmp_path, backed) -> None:
    whole = write(make(), tmp_path, "whole.h5ad").read_bytes()
    wrong = {
        "cut.h5ad": (whole[: len(whole) // 2], "is not an .h5ad file, or is cut off .*truncated"),
        "page.h5ad": (b"<!DOCTYPE html>\n<html>404</html>", "is a web page, not data"),
        "words.h5ad": (b"cell,gene\n", "is not an .h5ad file, or is cut off"),
        "packed.h5ad": (gzip.compress(whole), "is packed with gzip; unpack it first"),
        "packed.h5ad.gz": (gzip.compress(whole), "is an archive; unpack it first"),
        "empty.h5ad": (b"", r"is empty \(0 bytes\)"),
        "x.zarr.zip": (b"PK\x03\x04" + whole[:100], "is not a zarr group of AnnData, or is cut off"),
        "x.rds": (b"x", "the suffix '.rds' is not known; use .h5ad, .zarr"),
    }
    for name, (raw, message) in wrong.items():
        path = tmp_path / name
        path.write_bytes(raw)
        with pytest.raises(ReadError, match=message) as caught:
            read_expression(path, backed=backed and "zarr" not in name and name.endswith("h5ad"))
        assert str(path) in str(caught.value)


def test_what_is_not_there(tmp_path) -> None:
    for name in ("x.h5ad", "x.zarr", "x.csv", "x.h5", "x.mtx", "x.rds", "folder"):
        with pytest.raises(ReadError, match=r"cannot be read .No such file or directory.; check the path"):
            read_expression(tmp_path / name)


def test_folders_that_are_neither(tmp_path) -> None:
    with pytest.raises(ReadError, match=r"neither a zarr group nor a 10x folder with matrix.mtx \(it holds nothing\)"):
        read_expression(tmp_path)
    (tmp_path / "notes.md").write_text("x")
    (tmp_path / "filtered").mkdir()
    (tmp_path / "filtered" / "matrix.mtx.gz").write_text("x")
    with pytest.raises(ReadError, match=r"it holds 'filtered', 'notes.md'\); .*filtered is a 10x folder, give that"):
        read_expression(tmp_path)


@pytest.mark.parametrize("backed", [False, True])
def test_a_zarr_group_of_something_else(tmp_path, backed) -> None:
    other = zarr.open_group(tmp_path / "other.zarr", mode="w", zarr_format=2)
    other.create_array("X", data=counts())
    with pytest.raises(ReadError, match=r"is not a zarr group of AnnData, or is cut off"):
        read_expression(tmp_path / "other.zarr", backed=backed)
    path = write(make(), tmp_path, "x.zarr")
    shutil.rmtree(path / "var")  # what zarr lacks, it fills
    with pytest.raises(InvalidValues, match=r"8 genes have no name"):
        read_expression(path, backed=backed)


@pytest.mark.parametrize("backed", [False, True])
@pytest.mark.parametrize(("part", "value"), [("indices", 8), ("indices", -1), ("indptr", 10**6)])
def test_places_that_do_not_exist_are_refused(tmp_path, backed, part, value) -> None:
    path = write(make(), tmp_path)
    with h5py.File(path, "r+") as file:
        file[f"X/{part}"][7] = value
    with pytest.raises(DataError, match=r"damaged|cut off") as caught:
        read_expression(path, backed=backed)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("backed", [False, True])
def test_a_block_of_the_file_that_is_damaged(tmp_path, backed) -> None:
    path = tmp_path / "x.h5ad"
    make(sp.csr_matrix(counts(4000))).write_h5ad(path, compression="gzip")
    with h5py.File(path) as file:
        block = file["X/data"].id.get_chunk_info(1)
    raw = bytearray(path.read_bytes())
    raw[block.byte_offset : block.byte_offset + block.size] = b"\1" * block.size
    path.write_bytes(raw)
    with pytest.raises(ReadError, match=r"damaged|cut off") as caught:
        read_expression(path, backed=backed)
    assert str(path) in str(caught.value)


def test_loom_needs_loompy(tmp_path) -> None:
    shutil.copy(write(make(), tmp_path), tmp_path / "x.loom")
    with pytest.raises(MissingExtra, match=r"needs loompy; pip install loompy, or save"):
        read_expression(tmp_path / "x.loom")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": "tpm"}, "scale='tpm' is not known; use one of binary, counts"),
        ({"cells_are": "row"}, "cells_are='row' is not known; use one of rows, columns, auto"),
        ({"layout": "gse1"}, "layout='gse1' is not known; use one of gse72056, gse115978"),
        ({"cells_are": "rows"}, "this file says itself what its cells are"),
        ({"layout": "gse72056"}, "cells_are and layout are for .csv"),
    ],
)
def test_options_that_cannot_be(tmp_path, options, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_expression(write(make(), tmp_path), **options)


def test_only_some_formats_have_layers_or_stay_on_disk(tmp_path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b",c1\nACTB,2\n"))
    with pytest.raises(ConfigurationError, match=r"only .h5ad, zarr and loom files have layers"):
        read_expression(path, layer="counts")
    with pytest.raises(ConfigurationError, match=r"read_expression\('x.csv.gz'\).write_h5ad\('x.h5ad'\)"):
        read_expression(path, backed=True)


@pytest.mark.real_data
@pytest.mark.parametrize("backed", [False, True])
@pytest.mark.parametrize(
    ("name", "shape", "scale"),
    [
        ("derived/mouse_10x_counts_10000x1000.h5ad", (10000, 1000), "counts"),
        ("derived/puram_GSE103322_180cells.h5ad", (180, 7943), "log2_tpm"),
        ("derived/tirosh_immune_3256x100.h5ad", (3256, 100), "log2_tpm"),
        ("derived/tirosh_mel80_480cells_91genes.h5ad", (480, 91), "unknown"),
        ("l1000_ht115_demo.h5ad", (681, 978), "unknown"),
    ],
)
def test_published_files(data_dir, name, shape, scale, backed) -> None:
    cells = read_expression(data_dir / name, backed=backed)
    empty = 0 if backed else sum("no count" in note for note in cells.uns["notes"])
    assert (cells.n_obs + empty, cells.n_vars) == shape
    assert cells.uns["scale"] == scale


@pytest.mark.parametrize("backed", [False, True])
def test_the_layout_of_anndata_0_6(tmp_path, backed) -> None:
    """Annotation as compound tables of codes, whose categories stand in ``uns``."""
    x = counts()
    with h5py.File(tmp_path / "x.h5ad", "w") as file:
        file["X"] = x
        obs = np.array([(f"c{i}".encode(), i % 2) for i in range(30)], dtype=[("index", "S4"), ("ct", "i1")])
        var = np.array([(f"g{i}".encode(), float(i)) for i in range(8)], dtype=[("index", "S4"), ("n", "f8")])
        file["obs"], file["var"] = obs, var
        file["uns/ct_categories"] = np.array(["B", "T"], dtype=h5py.string_dtype())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cells = read_expression(tmp_path / "x.h5ad", backed=backed)
    assert cells.obs["ct"].tolist() == ["B", "T"] * 15
    assert cells.obs_names[:2].tolist() == ["c0", "c1"]
    np.testing.assert_array_equal(dense(cells.X), x)


@pytest.mark.parametrize("backed", [False, True])
def test_an_element_of_another_writer_is_left_out_with_a_note(tmp_path, backed) -> None:
    path = write(make(uns={"mine": 3}, obsm={"X_pca": np.ones((30, 2))}), tmp_path)
    with h5py.File(path, "r+") as file:
        for place in ("uns/strange", "obsm/strange"):
            group = file.create_group(place)
            group.attrs["encoding-type"], group.attrs["encoding-version"] = "from-the-future", "9.9"
    cells = read_expression(path, backed=backed)
    assert (cells.uns["mine"], cells.obsm["X_pca"].shape) == (3, (30, 2))
    for name in ("uns", "obsm"):
        assert f"{name}['strange'] is of a kind that this anndata cannot read, and was left out" in cells.uns["notes"]
    np.testing.assert_array_equal(dense(cells.X), counts())


def test_columns_about_cells_from_a_table(tmp_path) -> None:
    cells = make()
    (tmp_path / "labels.csv").write_text("cell,type,dose\n" + "".join(f"c{i},t{i % 3},{i}\n" for i in range(29)))
    join_labels(cells, tmp_path / "labels.csv")
    assert cells.obs["type"].tolist()[:29] == [f"t{i % 3}" for i in range(29)]
    assert cells.obs["type"].isna().tolist() == [False] * 29 + [True]
    assert cells.obs["dose"].iloc[7] == 7
    assert "1 of 30 cells have no row in labels.csv, and no label" in cells.uns["notes"]
    for text, error, words in (
        ("cell,type\nx,1\n", UnknownIds, r"none of its ids \('x'\) is that of a cell"),
        ("cell,type\nc1,1\nc1,2\n", DuplicateIds, "1 cell .*'c1'.*keep one row each"),
        ("cell\nc1\n", UnknownIds, "has one column"),
    ):
        (tmp_path / "wrong.csv").write_text(text)
        with pytest.raises(error, match=words):
            join_labels(make(), tmp_path / "wrong.csv")
