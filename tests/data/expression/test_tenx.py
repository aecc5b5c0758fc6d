"""Counts as Cell Ranger writes them, version 2 and 3, HDF5 and Matrix Market."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from cellixir.data.expression import read_expression
from cellixir.exceptions import ConfigurationError, DuplicateIds, InvalidValues, ReadError

BARCODES = ["AAACCTGAGATAGGAG-1", "AAACCTGAGCGGCTTC-1", "AAACCTGAGGAATCGC-1"]
SYMBOLS = ["TP53", "ACTB", "MALAT1", "CD3"]
IDS = ["ENSG00000141510", "ENSG00000075624", "ENSG00000251562", "CD3_TotalSeqB"]
KINDS = ["Gene Expression"] * 3 + ["Antibody Capture"]
#: cells x features
X = np.array([[1, 0, 7, 30], [0, 2, 0, 40], [5, 0, 0, 50]])


def words(values: list[str]) -> np.ndarray:
    return np.array(values, dtype="S")


def write_h5(path: Path, *, version: int = 3, genomes: tuple[str, ...] = ("GRCh38",), **change) -> Path:
    x = sp.csr_matrix(X)
    arrays = {"data": x.data, "indices": x.indices.astype(np.int64), "indptr": x.indptr.astype(np.int64)}
    arrays |= {"shape": np.array(X.shape[::-1], dtype=np.int32), "barcodes": words(BARCODES)} | change
    with h5py.File(path, "w") as file:
        for name in ["matrix"] if version == 3 else genomes:
            group = file.create_group(name)
            for key, value in arrays.items():
                group[key] = value
            if version == 2:
                group["genes"], group["gene_names"] = words(IDS), words(SYMBOLS)
                continue
            features = {"id": IDS, "name": SYMBOLS, "feature_type": KINDS, "genome": ["GRCh38"] * 4}
            for key, values in features.items():
                group[f"features/{key}"] = words(values)
    return path


def write_mtx(folder: Path, *, prefix: str = "", packed: bool = True, version: int = 3, x: np.ndarray = X.T) -> Path:
    end = ".gz" if packed else ""
    folder.mkdir(exist_ok=True)
    scipy.io.mmwrite(folder / "plain.mtx", sp.coo_matrix(x), field="integer")
    columns = (IDS, SYMBOLS, KINDS) if version == 3 else (IDS, SYMBOLS)
    features = "".join("\t".join(row) + "\n" for row in zip(*columns, strict=True))
    texts = {
        "matrix.mtx": (folder / "plain.mtx").read_text(),
        "barcodes.tsv": "\n".join(BARCODES) + "\n",
        f"{'features' if version == 3 else 'genes'}.tsv": features,
    }
    (folder / "plain.mtx").unlink()
    for name, text in texts.items():
        (folder / f"{prefix}{name}{end}").write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return folder


def is_expected(cells, *, antibodies: bool) -> None:
    n = 4 if antibodies else 3
    assert isinstance(cells.X, sp.csr_matrix)
    assert cells.X.dtype == np.float32
    np.testing.assert_array_equal(cells.X.toarray(), X[:, :n])
    assert cells.obs_names.tolist() == BARCODES
    assert cells.var_names.tolist() == SYMBOLS[:n]
    assert cells.var["gene_id"].tolist() == IDS[:n]
    assert cells.uns["scale"] == "counts"
    left_out = "1 features that are not gene expression were left out (1 Antibody Capture)"
    assert cells.uns["notes"] == ([] if antibodies else [left_out])


def test_h5_of_version_3_leaves_antibodies_out(tmp_path) -> None:
    cells = read_expression(write_h5(tmp_path / "x.h5"))
    is_expected(cells, antibodies=False)
    assert cells.var["genome"].tolist() == ["GRCh38"] * 3


def test_h5_of_version_2(tmp_path) -> None:
    is_expected(read_expression(write_h5(tmp_path / "x.h5", version=2)), antibodies=True)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("version", [2, 3])
def test_mtx_folder(tmp_path, packed, version) -> None:
    folder = write_mtx(tmp_path / "run", packed=packed, version=version)
    is_expected(read_expression(folder), antibodies=version == 2)
    is_expected(read_expression(folder / f"matrix.mtx{'.gz' * packed}"), antibodies=version == 2)


def test_mtx_with_the_name_of_a_sample_before_it(tmp_path) -> None:
    write_mtx(tmp_path, prefix="GSM1_tumour_")
    is_expected(read_expression(tmp_path), antibodies=False)
    write_mtx(tmp_path, prefix="GSM2_blood.")
    is_expected(read_expression(tmp_path / "GSM2_blood.matrix.mtx.gz"), antibodies=False)
    with pytest.raises(ReadError, match=r"2 matrices \('GSM1_tumour_matrix.mtx.gz', 'GSM2_blood.*give one of them"):
        read_expression(tmp_path)


def test_mtx_of_cells_x_genes_is_seen(tmp_path) -> None:
    is_expected(read_expression(write_mtx(tmp_path / "run", x=X)), antibodies=False)


def test_mtx_that_does_not_fit_its_names(tmp_path) -> None:
    with pytest.raises(ReadError, match=r"is 5 x 3, but there are 4 features and 3 barcodes beside it"):
        read_expression(write_mtx(tmp_path / "run", x=np.ones((5, 3), dtype=int)))


@pytest.mark.parametrize("lost", ["barcodes.tsv.gz", "features.tsv.gz"])
def test_mtx_without_names(tmp_path, lost) -> None:
    folder = write_mtx(tmp_path / "run")
    (folder / lost).unlink()
    with pytest.raises(ReadError, match=rf"matrix.mtx.gz has no {lost[:8]}.* beside it; put '{lost[:8]}"):
        read_expression(folder)


@pytest.mark.parametrize("name", ["matrix.mtx.gz", "barcodes.tsv.gz", "features.tsv.gz"])
@pytest.mark.parametrize("how", ["cut", "page", "blank"])
def test_mtx_that_is_damaged(tmp_path, name, how) -> None:
    folder = write_mtx(tmp_path / "run")
    raw = (folder / name).read_bytes()
    broken = {"cut": raw[: len(raw) // 2], "page": b"<html>404</html>", "blank": gzip.compress(b"\n")}[how]
    (folder / name).write_bytes(broken)
    with pytest.raises(ReadError, match=r"cut off|web page|holds no names|is 3 x 4|is 4 x 3") as caught:
        read_expression(folder)
    assert "run" in str(caught.value)


def test_mtx_that_ends_too_early(tmp_path) -> None:
    folder = write_mtx(tmp_path / "run", packed=False)
    lines = (folder / "matrix.mtx").read_text().splitlines()
    (folder / "matrix.mtx").write_text("\n".join(lines[:-2]) + "\n")
    with pytest.raises(ReadError, match=r"matrix.mtx is not a Matrix Market file, or is cut off \("):
        read_expression(folder)


def test_repeated_symbols_are_added_up(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(globals(), "SYMBOLS", ["TP53", "ACTB", "TP53", "CD3"])
    cells = read_expression(write_h5(tmp_path / "x.h5"))
    assert cells.var_names.tolist() == ["TP53", "ACTB"]
    np.testing.assert_array_equal(cells.X.toarray(), [[8, 0], [0, 2], [5, 0]])
    assert cells.var["gene_id"].tolist() == IDS[:2]
    assert cells.uns["notes"][1] == "genes that stood more than once: 1 ('TP53'); their counts were added up"


def test_repeated_barcodes_are_refused(tmp_path) -> None:
    with pytest.raises(DuplicateIds, match=r"1 cell stands more than once"):
        read_expression(write_h5(tmp_path / "x.h5", barcodes=words([BARCODES[0]] * 2 + [BARCODES[2]])))


def test_negative_counts_are_no_counts(tmp_path) -> None:
    path = write_h5(tmp_path / "x.h5", data=np.array([1, 7, 30, -2, 40, 5, 50]))
    with pytest.raises(InvalidValues, match=f"gene 'ACTB' of cell '{BARCODES[1]}' is -2"):
        read_expression(path, scale="counts")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"indices": np.array([0, 2])}, "is not a 10x .h5 file, or is cut off"),
        ({"indices": np.array([0, 2, 9, 1, 3, 0, 3])}, "is not a 10x .h5 file, or is cut off"),
        ({"shape": np.array([4])}, "is not a 10x .h5 file, or is cut off"),
        ({"barcodes": words(BARCODES[:2])}, "for 2 barcodes and 4 features; it is damaged"),
    ],
)
def test_h5_that_is_inconsistent(tmp_path, change, message) -> None:
    with pytest.raises(ReadError, match=message):
        read_expression(write_h5(tmp_path / "x.h5", **change))


def test_h5_of_something_else(tmp_path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["weights"] = np.ones(3)
    with pytest.raises(ReadError, match=r"is no 10x .h5 file: it has no group 'matrix', but 'weights'$"):
        read_expression(path)
    with h5py.File(path, "w") as file:
        file["X"], file["obs"], file["var"] = 1, 2, 3
    with pytest.raises(ReadError, match=r"it looks like .h5ad, so name it that"):
        read_expression(path)
    path.write_bytes(write_h5(tmp_path / "y.h5").read_bytes()[:3000])
    with pytest.raises(ReadError, match=r"is not a 10x .h5 file, or is cut off .*truncated"):
        read_expression(path)


def test_h5_of_two_genomes(tmp_path) -> None:
    with pytest.raises(ReadError, match=r"the counts of 2 genomes \('hg19', 'mm10'\); write each"):
        read_expression(write_h5(tmp_path / "x.h5", version=2, genomes=("hg19", "mm10")))


def test_a_file_of_antibodies_only(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(globals(), "KINDS", ["Antibody Capture"] * 3 + ["Peaks"])
    with pytest.raises(ReadError, match=r"no feature of kind 'Gene Expression' \(3 Antibody Capture, 1 Peaks\)"):
        read_expression(write_h5(tmp_path / "x.h5"))


def test_they_cannot_stay_on_disk(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match=r"only .h5ad, zarr and .gctx can stay on disk"):
        read_expression(write_h5(tmp_path / "x.h5"), backed=True)


def test_a_large_matrix_agrees_with_scanpy(tmp_path) -> None:
    scanpy = pytest.importorskip("scanpy")
    rng = np.random.default_rng(0)
    x = sp.csr_matrix(rng.poisson(0.04, (300, 90)))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        matrix = {"data": x.data.astype(np.int32), "indices": x.indices, "indptr": x.indptr, "shape": [90, 300]}
        names = {"barcodes": [f"c{i}" for i in range(300)], "features/name": [f"g{i}" for i in range(90)]}
        names |= {"features/id": [f"e{i}" for i in range(90)], "features/feature_type": ["Gene Expression"] * 90}
        names |= {"features/genome": ["a"] * 90}
        for key, value in (matrix | {key: words(value) for key, value in names.items()}).items():
            file[f"matrix/{key}"] = value
    ours, theirs = read_expression(tmp_path / "x.h5"), scanpy.read_10x_h5(tmp_path / "x.h5")
    there = np.asarray(theirs.X.sum(axis=1)).ravel() > 0
    assert (ours.X != theirs.X[there]).nnz == 0
    assert ours.obs_names.equals(theirs.obs_names[there])


def test_quotes_around_names_are_no_part_of_them(tmp_path) -> None:
    folder = write_mtx(tmp_path / "mtx", packed=False)
    folder = folder if folder.is_dir() else folder.parent
    plain = read_expression(folder)
    for file in folder.glob("*.tsv"):
        lines = file.read_text().splitlines()
        file.write_text("".join("\t".join(f'"{word}"' for word in line.split("\t")) + "\n" for line in lines))
    found = read_expression(folder)
    assert found.obs_names.tolist() == plain.obs_names.tolist()
    assert found.var_names.tolist() == plain.var_names.tolist()
    assert found.var["gene_id"].tolist() == plain.var["gene_id"].tolist()
