"""Tables of strangers: damaged, hostile and huge files are refused in one sentence, wide ones read in seconds."""

from __future__ import annotations

import gzip
import io
import os
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cellixir.data.drugs import morgan_fingerprints, read_drugs
from cellixir.data.gene_sets import read_gene_sets
from cellixir.data.molecules import molecule_graphs, tokenize_smiles
from cellixir.data.spreadsheets import first_sheet
from cellixir.data.tables import WIDE, as_text, read_table
from cellixir.exceptions import InvalidValues, ReadError

SHEET = "xl/worksheets/sheet1.xml"


def refused(path: Path) -> str:
    with pytest.raises(ReadError) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_nul_beyond_the_first_64_kb_is_no_end_of_a_number(tmp_path: Path) -> None:
    rows = "sample,drug,LN_IC50\n" + "".join(f"S{i:05d},D1,1.25\n" for i in range(6000))
    (tmp_path / "a.csv").write_bytes(rows.encode() + b"Y1,D1,1.\x0025\n")
    assert "not UTF-8 text" in refused(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_bytes(rows.encode() + b"Y1,D1,1.25\n")
    assert read_table(tmp_path / "a.csv")["LN_IC50"].eq(1.25).all()


def test_levels_of_a_parquet_index_are_columns(tmp_path: Path) -> None:
    index = pd.MultiIndex.from_product([[f"S{i}" for i in range(30)], ["D1", "D2"]], names=["sample", "drug"])
    pd.Series(np.arange(60.0), index=index, name="ln_ic50").to_frame().to_parquet(tmp_path / "a.parquet")
    found = read_table(tmp_path / "a.parquet")
    assert list(found.columns) == ["sample", "drug", "ln_ic50"]
    assert found.iloc[3].tolist() == ["S1", "D2", 3.0]


def test_gzip_that_grows_is_refused_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with gzip.open(tmp_path / "a.csv.gz", "wb") as file:
        file.write(b"sample,drug,LN_IC50\nS1,D1,1.0\n")
        for _ in range(300):
            file.write(b"\n" * (1 << 20))
    assert "above 200 times its size" in refused(tmp_path / "a.csv.gz")
    monkeypatch.setenv("CELLIXIR_MAX_RATIO", "100000")
    monkeypatch.setenv("CELLIXIR_MAX_MEMORY", "50MB")
    assert "the limit is 50 MB" in refused(tmp_path / "a.csv.gz")


def test_a_limit_that_is_no_size_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    monkeypatch.setenv("CELLIXIR_MAX_MEMORY", "much")
    with pytest.raises(ValueError, match="CELLIXIR_MAX_MEMORY is 'much'; give it a number, or a size such as 8GB"):
        read_table(tmp_path / "a.csv")


@pytest.mark.parametrize("read", [read_table, read_gene_sets])
def test_pipes_and_devices_are_not_waited_for(tmp_path: Path, read: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    for name in ("pipe.csv", "zero.csv"):
        with pytest.raises(ReadError, match="is no ordinary file"):
            read(tmp_path / name)


def workbook(path: Path, change: Callable[[bytes], bytes]) -> Path:
    book, buffer = openpyxl.Workbook(), io.BytesIO()
    for row in [("sample", "drug", "LN_IC50"), *((f"S{i}", "D1", 1.5 + i) for i in range(30))]:
        book.active.append(row)
    book.save(buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.namelist():
            data = old.read(item)
            new.writestr(item, change(data) if item == SHEET else data)
    return path


def test_far_cells_of_a_sheet_cost_nothing(tmp_path: Path) -> None:
    far = workbook(
        tmp_path / "far.xlsx", lambda d: d.replace(b'r="C31"', b'r="XFD1048576"').replace(b'r="31"', b'r="1048576"')
    )
    start = time.monotonic()
    found = read_table(far)
    assert time.monotonic() - start < 30
    assert found.shape == (30, 4)
    assert found.iloc[28, :3].tolist() == ["S28", "D1", 29.5]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d.replace(b'r="31"', b'r="90000000"').replace(b'"A31"', b'"A90000000"'), "more than 1,048,576 rows"),
        (lambda d: d[: len(d) // 2] + b"<<" + d[len(d) // 2 :], "is not an Excel workbook, or is damaged"),
        (lambda d: d.replace(b't="inlineStr"><is><t>S3</t></is>', b't="s"><v>999999</v>'), "is damaged"),
        (lambda d: d.replace(b'r="C31"', b'r="ZZZZZZZ31"'), "is damaged"),
        (lambda d: d.replace(b"<v>1.5</v>", b"<v>one</v>"), "is damaged"),
    ],
)
def test_workbooks_that_are_damaged(tmp_path: Path, change: Callable[[bytes], bytes], why: str) -> None:
    assert why in refused(workbook(tmp_path / "a.xlsx", change))


def test_a_sheet_is_read_as_pandas_reads_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(50, 6))).round(3).astype(object)
    table.iloc[4:6, 2], table.iloc[7], table.iloc[9, 3], table.iloc[10, 0] = None, None, True, "words"
    table.iloc[11, 1] = pd.Timestamp("2024-09-02")
    table.to_excel(tmp_path / "a.xlsx", index=False)
    found = first_sheet((tmp_path / "a.xlsx").read_bytes(), "a.xlsx")
    wanted = pd.read_excel(tmp_path / "a.xlsx", header=None, dtype=object, keep_default_na=False)
    wanted = wanted[~wanted.eq("").all(axis=1)]
    pd.testing.assert_frame_equal(found, wanted, check_index_type=False, check_column_type=False)


def test_a_parquet_of_many_equal_rows_is_refused_before_it_is_read(tmp_path: Path) -> None:
    n = 30_000_000
    zeros = pa.array(np.zeros(n, dtype="i4"))
    words = {name: pa.DictionaryArray.from_arrays(zeros, [name]) for name in ("sample", "drug")}
    pq.write_table(pa.table({**words, "ic50": pa.array(np.zeros(n))}), tmp_path / "a.parquet")
    start = time.monotonic()
    assert "above 200 times its size" in refused(tmp_path / "a.parquet")
    assert time.monotonic() - start < 5


def test_a_parquet_that_is_damaged_is_one_sentence(tmp_path: Path) -> None:
    pd.DataFrame({"sample": ["a", "b"], "x": [1.0, 2.0]}).to_parquet(tmp_path / "a.parquet")
    raw = (tmp_path / "a.parquet").read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(len(raw) - 200, len(raw), 60):
        (tmp_path / "a.parquet").write_bytes(raw[:place] + bytes(8) + raw[place + 8 :])
        with suppress(ReadError):  # and nothing else
            read_table(tmp_path / "a.parquet")
    (tmp_path / "a.parquet").write_bytes(raw[:-40])
    assert "is not a Parquet file" in refused(tmp_path / "a.parquet")


def test_long_smiles_are_refused_and_the_limit_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    drugs = pd.Series({"a": "CCO", "long": "C" * 100_000})
    for read in (morgan_fingerprints, molecule_graphs, tokenize_smiles):
        with pytest.raises(InvalidValues, match="drug 'long' has 100,000 characters, and the limit is 2,000"):
            read(drugs)
    monkeypatch.setenv("CELLIXIR_MAX_SMILES", "2500")
    assert molecule_graphs(pd.Series({"long": "C" * 2400})).node_features.shape[0] == 2400


def test_a_wide_table_is_read_in_seconds_and_right(tmp_path: Path) -> None:
    n = 100_000
    names = [f"G{i}" for i in range(n)]
    values = np.arange(2 * n).reshape(2, n) / 8
    rows = [",".join(["007", *map(str, values[0])]), ",".join(["008", *map(str, values[1])])]
    (tmp_path / "wide.csv").write_text("\n".join([",".join(["sample", *names]), *rows]) + "\n")
    start = time.monotonic()
    found = read_table(tmp_path / "wide.csv")
    assert time.monotonic() - start < 60  # 3 s where nobody else works
    assert found["sample"].tolist() == ["007", "008"]
    np.testing.assert_array_equal(found.iloc[:, 1:].to_numpy(dtype=float), values)


def test_text_of_a_wide_table_is_that_of_a_narrow_one(tmp_path: Path) -> None:
    cells = {"a": ["1.0", "2.0", "NA"], "b": ["1.5", "2.0", ""], "c": [" x", "nan", "None"], "d": ["007", "8", "9"]}
    narrow = pd.DataFrame({"id": ["1", "2", "3"], **cells})
    narrow.to_csv(tmp_path / "narrow.csv", index=False)
    wide = pd.concat([narrow, pd.DataFrame("1", index=range(3), columns=[f"x{i}" for i in range(WIDE)])], axis=1)
    wide.to_csv(tmp_path / "wide.csv", index=False)
    few = read_table(tmp_path / "narrow.csv", dtype_text="all")
    many = read_table(tmp_path / "wide.csv", dtype_text="all")
    for name in few:
        assert few[name].fillna("-").tolist() == many[name].fillna("-").tolist()
    assert as_text(pd.Series(["1.0", "2.0"])).tolist() == ["1", "2"]


def test_drugs_may_have_names_that_are_formulas(tmp_path: Path) -> None:
    pd.DataFrame({"drug_id": [1], "name": ['=HYPERLINK("http://x","y")']}).to_csv(tmp_path / "a.csv", index=False)
    assert read_drugs(tmp_path / "a.csv")["name"].tolist() == ['=HYPERLINK("http://x","y")']
