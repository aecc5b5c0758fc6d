"""GCT and GCTX: the published files, round trips, slices, metadata of 2017 and 2020."""

from __future__ import annotations

import gzip
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import cellixir
from cellixir.data.expression import profile
from cellixir.data.gctx.kind import gct_kind
from cellixir.data.gctx.stored import StoredMatrix
from cellixir.data.omics import read_view
from cellixir.exceptions import ConfigurationError, DuplicateIds, InvalidValues, UnknownIds

N, GENES = 23, ["TP53", "ACTB", "GAPDH", "KRAS", "ZNF1", "ZNF2", "MYC"]


def wells(dtype: str = "f4") -> ad.AnnData:
    obs = pd.DataFrame(
        {
            "pert_iname": ["DMSO", "vorinostat", "10 µM, β"] * 7 + ["DMSO", np.nan],
            "pert_dose": [np.nan, 10.0, 0.37] * 7 + [1.0, 2.0],
            "pert_time": np.arange(N),
            "rna_well": pd.Categorical([f"A{i:02d}" for i in range(N)]),
        },
        index=[f"PLATE_X{i % 2}:{i}" for i in range(N)],
    )
    var = pd.DataFrame({"pr_gene_symbol": GENES, "pr_is_lmark": [1, 0] * 3 + [1]}, index=[str(i) for i in range(7)])
    return ad.AnnData(np.random.default_rng(0).normal(size=(N, 7)).astype(dtype), obs=obs, var=var)


def same(found: ad.AnnData, wanted: ad.AnnData) -> None:
    np.testing.assert_array_equal(found.X, wanted.X)
    assert found.obs_names.tolist() == wanted.obs_names.tolist()
    plain = wanted.obs.assign(**{c: wanted.obs[c].astype(object) for c in ("rna_well",) if c in wanted.obs})
    pd.testing.assert_frame_equal(found.obs, plain, check_index_type=False, check_like=True)
    pd.testing.assert_frame_equal(found.var, wanted.var, check_index_type=False, check_like=True)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gctx") / "wells.gctx"
    cellixir.write_gctx(wells(), path)
    return path


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", ["w.gctx", "w.gct", "w.gct.gz"])
def test_round_trip(tmp_path: Path, name: str, dtype: str) -> None:
    made = wells(dtype)
    cellixir.write_gctx(made, tmp_path / name)
    found = cellixir.read_gctx(tmp_path / name)
    assert found.X.dtype == (dtype if name == "w.gctx" else "f8")
    found.X = found.X.astype(dtype)
    same(found, made)


def test_sparse_and_backed_matrices_are_written(tmp_path: Path, written: Path) -> None:
    made = wells()
    cellixir.write_gctx(ad.AnnData(sp.csr_matrix(made.X), obs=made.obs, var=made.var), tmp_path / "s.gctx")
    same(cellixir.read_gctx(tmp_path / "s.gctx"), made)
    cellixir.write_gctx(cellixir.read_gctx(written, backed=True), tmp_path / "again.gctx")
    same(cellixir.read_gctx(tmp_path / "again.gctx"), made)


def test_what_is_written_is_packed_in_the_layout_of_the_format(written: Path) -> None:
    with h5py.File(written) as file:
        matrix = file["0/DATA/0/matrix"]
        assert (matrix.shape, matrix.compression, matrix.shuffle) == ((N, 7), "gzip", True)
        assert file.attrs["version"] == b"GCTX1.0"
        assert file["0/META/COL/id"].dtype.kind == "S"
        assert file["0/META/COL/pert_iname"][-1] == b"-666"


def test_gct_without_metadata_is_version_1_2(tmp_path: Path) -> None:
    made = wells()
    plain = ad.AnnData(made.X, obs=made.obs[[]], var=pd.DataFrame({"Description": GENES}, index=made.var_names))
    cellixir.write_gctx(plain, tmp_path / "w.gct")
    assert (tmp_path / "w.gct").read_bytes().startswith(b"#1.2\n7\t23\nName\tDescription\tPLATE_X0:0\t")
    found = cellixir.read_gctx(tmp_path / "w.gct")
    found.X = found.X.astype("f4")
    same(found, plain)


def layout(path: Path, x: np.ndarray, **storage: object) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("0/DATA/0/matrix", data=x, **storage)
        file["0/META/COL/id"] = np.arange(x.shape[0])
        file["0/META/ROW/id"] = np.arange(x.shape[1]).astype("S")
    return path


@given(data=st.data())
@settings(max_examples=25)
def test_any_slice_is_that_of_numpy(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 30))
    x = np.random.default_rng(0).normal(size=(40, 30)).astype(data.draw(st.sampled_from(["f4", "f8"])))
    storage = {"chunks": (height, width)} if data.draw(st.booleans()) else {}
    columns = np.array(data.draw(st.lists(st.integers(0, 39), unique=True, min_size=1)))
    rows = np.array(data.draw(st.lists(st.integers(0, 29), unique=True, min_size=1)))
    with h5py.File("slice", "w", driver="core", backing_store=False) as file:
        matrix = StoredMatrix(file.create_dataset("x", data=x, **storage), Path("slice"))
        found = matrix.read(columns, rows)
    assert found.dtype == x.dtype
    np.testing.assert_array_equal(found, x[np.ix_(columns, rows)])


@pytest.mark.parametrize("chunks", [None, (8, 100)])
def test_a_slice_reads_only_what_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunks: tuple[int, int] | None
) -> None:
    path = layout(tmp_path / "x.gctx", np.zeros((4000, 300), "f4"), chunks=chunks)
    touched = 0
    read = h5py.Dataset.__getitem__

    def counting(self: h5py.Dataset, where: object, **more: object) -> object:
        nonlocal touched
        found = read(self, where, **more)
        touched += found.size if found.ndim == 2 else 0
        return found

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counting)
    cellixir.read_gctx(path, columns=[3999, 5, 6, 2001])
    assert touched <= 4 * 300 * (1 if chunks is None else 8)


def test_ids_are_given_as_text_or_numbers(written: Path) -> None:
    found = cellixir.read_gctx(written, rows=[3, "0"], columns=["PLATE_X0:4", "PLATE_X1:1"])
    np.testing.assert_array_equal(found.X, wells().X[np.ix_([4, 1], [3, 0])])
    assert cellixir.read_gctx(written, rows=5).shape == (N, 1)


def test_what_is_asked_for_wrongly_is_one_sentence(written: Path) -> None:
    with pytest.raises(UnknownIds, match=r"does not hold 2 of the 3 samples asked for .*'a', 'b'; its columns are"):
        cellixir.read_gctx(written, columns=["a", "PLATE_X0:0", "b"])
    with pytest.raises(DuplicateIds, match="rows: 1 gene stands more than once"):
        cellixir.read_gctx(written, rows=[1, "1"])
    with pytest.raises(ConfigurationError, match="columns names no sample"):
        cellixir.read_gctx(written, columns=[])
    with pytest.raises(ConfigurationError, match="only a whole GCTX can stay on disk"):
        cellixir.read_gctx(written, rows=[1], backed=True)


def test_an_id_twice_is_refused_where_it_is_read(tmp_path: Path) -> None:
    path = layout(tmp_path / "x.gctx", np.ones((4, 3), "f4"))
    with h5py.File(path, "r+") as file:
        file["0/META/COL/id"][:] = [7, 7, 8, 9]
    assert cellixir.read_gctx(path, columns=[8, 9]).shape == (2, 3)
    with pytest.raises(DuplicateIds, match="1 sample stands more than once \\('7'\\)"):
        cellixir.read_gctx(path)


@pytest.mark.parametrize("name", ["x.gctx", "x.gct"])
@pytest.mark.parametrize("mark", [np.nan, -666.0])
def test_missing_values(tmp_path: Path, name: str, mark: float) -> None:
    made = wells()
    made.X[3, 2] = mark
    cellixir.write_gctx(made, tmp_path / name)
    with pytest.raises(InvalidValues, match=r"gene '2' of sample 'PLATE_X1:3' is missing \(1 such value\)"):
        cellixir.read_gctx(tmp_path / name)
    assert np.argwhere(np.isnan(cellixir.read_gctx(tmp_path / name, gaps="keep").X)).tolist() == [[3, 2]]
    assert cellixir.read_gctx(tmp_path / name, rows=[1, 3]).shape == (N, 2)


INFO_2017 = pd.DataFrame(
    {"inst_id": wells().obs_names, "pert_iname": ["x", "-666"] + ["y"] * 21, "pert_dose": ["-666", 3.0] + [1] * 21}
)
INFO_2020 = INFO_2017.rename(columns={"inst_id": "sample_id", "pert_iname": "cmap_name"}).assign(cell_iname="A549")


@pytest.mark.parametrize("info", [INFO_2017, INFO_2020, INFO_2017.set_index("inst_id")])
@pytest.mark.parametrize("as_file", [False, True])
def test_metadata_of_2017_and_2020_have_the_same_names(
    tmp_path: Path, written: Path, info: pd.DataFrame, as_file: bool
) -> None:
    table: pd.DataFrame | Path = info
    if as_file:
        table = tmp_path / "info.txt"
        info.iloc[::-1].to_csv(table, sep="\t", index=info.index.name is not None)
    found = cellixir.read_gctx(written, metadata=table, columns=["PLATE_X1:1", "PLATE_X0:0"]).obs
    assert found["pert_iname"].isna().tolist() == [True, False]
    assert found["pert_dose"].fillna(-1).tolist() == [3.0, -1.0]
    assert found["rna_well"].tolist() == ["A01", "A00"]
    assert "cmap_name" not in found
    assert ("cell_id" in found) == ("cell_iname" in info)


def test_metadata_that_does_not_fit(written: Path) -> None:
    with pytest.raises(UnknownIds, match="describes none of the 23 samples of the file"):
        cellixir.read_gctx(written, metadata=pd.DataFrame({"sig_id": ["no"]}))
    with pytest.raises(DuplicateIds, match="1 sample stands more than once in column inst_id"):
        cellixir.read_gctx(written, metadata=INFO_2017.iloc[[0, 0, 1]])
    found = cellixir.read_gctx(written, metadata=INFO_2017.iloc[:5], genes=pd.DataFrame({"gene_id": [3], "src": ["n"]}))
    assert found.uns["notes"] == [
        "metadata does not describe 18 samples ('PLATE_X0:10', 'PLATE_X0:12', 'PLATE_X0:14', ...)",
        "metadata does not describe 6 genes ('0', '1', '2', ...)",
    ]
    assert found.var["src"].notna().tolist() == [False, False, False, True, False, False, False]


@pytest.mark.parametrize("field", ["a/b", "id"])
def test_fields_that_cannot_be_written(tmp_path: Path, field: str) -> None:
    made = wells()
    made.obs[field] = 1
    with pytest.raises(InvalidValues, match="cannot be a field"):
        cellixir.write_gctx(made, tmp_path / "x.gctx")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written(tmp_path: Path) -> None:
    made = wells()
    with pytest.raises(ConfigurationError, match="must end in"):
        cellixir.write_gctx(made, tmp_path / "x.h5ad")
    made.obs["pert_iname"] = "a\tb"
    with pytest.raises(InvalidValues, match="holds a tab"):
        cellixir.write_gctx(made, tmp_path / "x.gct")
    made.obs_names = ["x"] * N
    with pytest.raises(DuplicateIds, match="1 sample stands more than once"):
        cellixir.write_gctx(made, tmp_path / "x.gctx")


@pytest.mark.parametrize("name", ["w.gctx", "w.gct"])
@pytest.mark.parametrize("suffix", ["gctx", "gct", "h5", "csv", "dat"])
def test_expression_is_read_by_content_whatever_the_suffix(tmp_path: Path, name: str, suffix: str) -> None:
    made = wells()
    cellixir.write_gctx(made, tmp_path / name)
    path = (tmp_path / name).rename(tmp_path / f"x.{suffix}")
    cells = cellixir.read_expression(path)
    np.testing.assert_array_equal(cells.X, made.X)
    assert cells.var_names.tolist() == GENES
    assert cells.var["gene_id"].tolist() == [str(i) for i in range(7)]
    assert "genes are called by pr_gene_symbol" in cells.uns["notes"]
    view = read_view(path, samples=made.obs_names)
    np.testing.assert_array_equal(view.X, made.X)
    if name == "w.gctx":
        on_disk = cellixir.read_expression(path, backed=True)
        assert profile(on_disk).fingerprint == profile(cells).fingerprint


@pytest.mark.real_data
def test_published_files_are_the_numbers_of_h5py(data_dir: Path) -> None:
    for name in ("test_l1000_highprecision.gctx", "modzs_n25x50.gctx", "test_parse_gctx_rid_entrez_id.gctx"):
        found = cellixir.read_gctx(data_dir / name)
        with h5py.File(data_dir / name) as file:
            raw, ids = file["0/DATA/0/matrix"][:], file["0/META/ROW/id"][:]
        assert found.X.dtype == raw.dtype
        np.testing.assert_array_equal(found.X, raw)
        assert found.var_names.tolist() == [i.decode() if isinstance(i, bytes) else str(i) for i in ids]
        part = cellixir.read_gctx(data_dir / name, rows=found.var_names[[3, 0]], columns=found.obs_names[[4, 1, 2]])
        np.testing.assert_array_equal(part.X, raw[np.ix_([4, 1, 2], [3, 0])])
    assert cellixir.read_gctx(data_dir / "modzs_n25x50.gctx").obs["pert_idose"].iloc[0] == "10 µM"


@pytest.mark.real_data
def test_text_that_is_named_gctx(data_dir: Path) -> None:
    assert gct_kind(data_dir / "test_l1000_is_text.gctx") == "gct 1.3"
    found = cellixir.read_gctx(data_dir / "test_l1000_is_text.gctx")
    stored = cellixir.read_gctx(data_dir / "test_l1000_highprecision.gctx")
    assert found.obs_names.equals(stored.obs_names)
    assert found.obs["pert_dose"].equals(stored.obs["pert_dose"])
    assert found.obs["pert_iname"].equals(stored.obs["pert_iname"])
    assert found.var["pr_gene_id"].equals(stored.var["pr_gene_id"])
    lines = (data_dir / "test_l1000_is_text.gctx").read_text().splitlines()
    np.testing.assert_array_equal(found.X[:, 0], [float(cell) for cell in lines[40].split("\t")[12:]])


def test_packed_gctx_says_to_unpack(tmp_path: Path, written: Path) -> None:
    packed = tmp_path / "w.gctx.gz"
    packed.write_bytes(gzip.compress(written.read_bytes()))
    for read in (cellixir.read_gctx, cellixir.read_expression):
        with pytest.raises(ValueError, match="unpack it first"):
            read(packed)
