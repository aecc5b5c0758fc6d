"""Readers of plain tables."""

from __future__ import annotations

import gzip
import math
import os
import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellixir.data.tables import as_text, id_index, numeric_block, read_table
from cellixir.exceptions import DuplicateIds, InvalidValues, ReadError

FRAME = pd.DataFrame({"id": ["a", "b", "c"], "x": [1.5, math.nan, -3.0], "word": ["u", "v", "w"]})


def write(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ".csv.gz", ".txt.gz", ".xlsx", ".parquet"])
def test_every_format_gives_the_same_table(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    if suffix == ".xlsx":
        FRAME.to_excel(path, index=False)
    elif suffix == ".parquet":
        FRAME.to_parquet(path)
    else:
        FRAME.to_csv(path, index=False, sep="\t" if "txt" in suffix else ",", na_rep="NA")
    pd.testing.assert_frame_equal(read_table(path), FRAME)


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
def test_separator_is_found_in_the_header_whatever_the_suffix(tmp_path, separator):
    text = f'id{separator}"loss1, loss2; loss3\t"{separator}x\n7{separator}1{separator}2\n'
    assert list(read_table(write(tmp_path, text)).columns) == ["id", "loss1, loss2; loss3", "x"]


def test_gzip_is_known_by_its_first_bytes(tmp_path):
    path = write(tmp_path, gzip.compress(b"id,x\na,1\n"))
    assert read_table(path)["x"].tolist() == [1]


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    values=st.lists(st.tuples(finite, finite), min_size=1, max_size=8),
    separator=st.sampled_from([",", ";", "\t"]),
    newline=st.sampled_from(["\n", "\r\n"]),
    zipped=st.booleans(),
)
def test_numbers_come_back_exactly(values, separator, newline, zipped):
    frame = pd.DataFrame(values, columns=["x", "y"], index=pd.Index([f"s{i}" for i in range(len(values))], name="id"))
    raw = frame.to_csv(sep=separator, lineterminator=newline).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), gzip.compress(raw) if zipped else raw)
        read = numeric_block(read_table(path).set_index("id"), source="t.csv")
    np.testing.assert_array_equal(read.to_numpy(), frame.to_numpy())


def test_ids_stay_text_and_missing_values_are_those_listed(tmp_path):
    text = " id ,drug,x\n 007 ,None,1\n1e5,NA,NaN\n12,x,nan\n13,nan,N/A\n14,null,null\n15,y, \n"
    table = read_table(write(tmp_path, text), dtype_text={"DRUG"})
    assert table.columns.tolist() == ["id", "drug", "x"]
    assert table["id"].tolist() == ["007", "1e5", "12", "13", "14", "15"]
    assert table["drug"].fillna("-").tolist() == ["None", "-", "x", "-", "-", "y"]
    assert table["x"].notna().tolist() == [True] + [False] * 5


def test_all_columns_as_text(tmp_path):
    table = read_table(write(tmp_path, "id,a,b\n1,01,2.50\n"), dtype_text="all")
    assert table.iloc[0].tolist() == ["1", "01", "2.50"]


def test_byte_order_mark_old_line_ends_blank_rows_and_blank_columns(tmp_path):
    assert read_table(write(tmp_path, "\ufeffid,x\na,1\n")).columns.tolist() == ["id", "x"]
    assert read_table(write(tmp_path, "id,x\ra,1\r"))["x"].tolist() == [1]
    assert read_table(write(tmp_path, "\nid,x,,\na,1,,\n\n,,,\nb,2,,\n")).shape == (2, 2)


def test_decimal_comma_of_semicolon_tables(tmp_path):
    table = read_table(write(tmp_path, "id;x;words\na;1,5;u,v\nb;-2;w\n"))
    assert table["x"].tolist() == [1.5, -2.0]
    mixed = read_table(write(tmp_path, "id;x;y\na;1,5;1.5\n"))
    assert mixed.loc[0, ["x", "y"]].tolist() == ["1,5", 1.5]


def test_row_names_of_r_have_no_header_cell(tmp_path):
    table = read_table(write(tmp_path, '"x"\t"y"\n"a"\t1\t2\n"b"\t3\t4\n', "t.txt"))
    assert table.iloc[:, 0].tolist() == ["a", "b"]
    assert table["y"].tolist() == [2, 4]


def test_parquet_with_an_index_has_it_as_first_column(tmp_path):
    FRAME.set_index("id").to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), FRAME)


def test_excel_ids_are_text_without_decimals(tmp_path):
    pd.DataFrame({"id": [683665, 683667], "drug": [1.0, 1047.0]}).to_excel(tmp_path / "t.xlsx", index=False)
    table = read_table(tmp_path / "t.xlsx", dtype_text=["drug"])
    assert table["id"].tolist() == ["683665", "683667"]
    assert table["drug"].tolist() == ["1", "1047"]


BAD = {
    "zero bytes": ("t.csv", b"", "0 bytes"),
    "blanks only": ("t.csv", b" \n \n", "only blanks"),
    "header only": ("t.csv", b"id,x\n", "no rows"),
    "not UTF-8": ("t.csv", "id,x\nJos\xe9,1\n".encode("latin-1"), "UTF-8"),
    "UTF-16": ("t.csv", "id,x\na,1\n".encode("utf-16-le"), "UTF-8"),
    "long row": ("t.csv", b"id,x\na,1\nb,2,3\n", "line 3 has 3 cells where the header has 2"),
    "short row": ("t.csv", b"id,x,y\na,1,2\nb,2\n", "line 3 has 2 cells where the header has 3"),
    "short row, quotes": ("t.csv", b'id,x,y\n"a,b",1,2\nb,2\n', "line 3 has 2 cells"),
    "trailing separator": ("t.csv", b"id,x\na,1,\nb,2,\n", "line 2 has 3 cells"),
    "web page": ("t.csv", b"<!DOCTYPE html><html>410 Gone\nx</html>\n", "web page"),
    "not gzip": ("t.csv.gz", b"id,x\na,1\n", "not gzip"),
    "gzip cut off": ("t.csv.gz", gzip.compress(os.urandom(4000))[:2000], "cut off"),
    "gzip damaged": ("t.csv.gz", gzip.compress(b"id,x\na,1\n")[:-8] + b"\0" * 8, "damaged"),
    "not xlsx": ("t.xlsx", b"id,x\na,1\n", "not an Excel workbook"),
    "not parquet": ("t.parquet", b"id,x\na,1\n", "not a Parquet file"),
    "unknown suffix": ("t.rds", b"id,x\na,1\n", "'.rds' is not known"),
    "gzipped xlsx": ("t.xlsx.gz", gzip.compress(b"x"), "'.xlsx.gz' is not known"),
}


@pytest.mark.parametrize(("name", "content", "says"), BAD.values(), ids=BAD)
def test_bad_files_are_refused_by_name(tmp_path, name, content, says):
    path = write(tmp_path, content, name)
    with pytest.raises(ReadError, match=says) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ReadError, match=r"none\.csv cannot be read"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(ReadError, match="is a folder"):
        read_table(tmp_path)


@pytest.mark.parametrize("suffix", [".xlsx", ".parquet", ".csv.gz"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_binary_formats_cut_off(tmp_path, suffix, kept):
    whole = tmp_path / f"whole{suffix}"
    getattr(FRAME, {".xlsx": "to_excel", ".parquet": "to_parquet"}.get(suffix, "to_csv"))(whole)
    raw = whole.read_bytes()
    path = write(tmp_path, raw[: int(len(raw) * kept)], f"cut{suffix}")
    with pytest.raises(ReadError, match="cut"):
        read_table(path)


def test_zip_that_is_no_workbook(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        archive.writestr("a.csv", "id,x\n")
    with pytest.raises(ReadError, match="not an Excel workbook"):
        read_table(tmp_path / "t.xlsx")


def test_gene_name_that_a_spreadsheet_made_a_date(tmp_path):
    pd.DataFrame([["a", 1.0]], columns=["id", pd.Timestamp("2024-09-02")]).to_excel(tmp_path / "t.xlsx", index=False)
    with pytest.raises(ReadError, match="gene name"):
        read_table(tmp_path / "t.xlsx")


def test_duplicated_columns_are_named(tmp_path):
    with pytest.raises(DuplicateIds, match=r"1 column name stands more than once \('TP53'\)"):
        read_table(write(tmp_path, "id,TP53,BRAF, TP53\na,1,2,3\n"))


def test_numeric_block_names_the_first_bad_cell():
    frame = pd.DataFrame({"KRAS": [1, 2], "TP53": ["abc", "2"], "BRAF": ["x", "y"]}, index=["683665", "2"])
    with pytest.raises(
        InvalidValues, match=r"f\.csv: column 'TP53', row '683665': 'abc' is not a number \(3 such values"
    ):
        numeric_block(frame, source="f.csv")


def test_numeric_block_refuses_infinity():
    frame = pd.DataFrame({"KRAS": [1.0, 2.0, 3.0], "TP53": [0.5, 0.5, -np.inf]}, index=["a", "b", "c"])
    with pytest.raises(InvalidValues, match="column 'TP53', row 'c': -inf is not finite"):
        numeric_block(frame, source="f.csv")


def test_numeric_block_converts_what_is_a_number():
    frame = pd.DataFrame({"i": [1, 2], "b": [True, False], "t": ["0.1", None], "n": pd.array([1, None], "Int64")})
    block = numeric_block(frame, source="f.csv")
    assert (block.dtypes == np.float64).all()
    np.testing.assert_array_equal(block.to_numpy(), [[1, 1, 0.1, 1], [2, 0, np.nan, np.nan]])


@pytest.mark.parametrize("values", [pd.to_datetime(["2024-01-01"]), pd.Categorical(["u"]), ["1_000"]])
def test_numeric_block_refuses_what_only_looks_like_numbers(values):
    with pytest.raises(InvalidValues, match="is not a number"):
        numeric_block(pd.DataFrame({"x": values}), source="f.csv")


def test_as_text_takes_decimals_off_only_where_all_have_them():
    assert as_text(pd.Series(["12.0", None, "13.0"])).fillna("-").tolist() == ["12", "-", "13"]
    assert as_text(pd.Series(["12.0", "v2"])).tolist() == ["12.0", "v2"]


def test_row_without_id_is_named():
    with pytest.raises(InvalidValues, match=r"row 2 has no sample in column 'id' \(1 such"):
        id_index(pd.Series(["a", " "], name="id"), source="f.csv", what="sample")


def workbook(path: Path, cells: dict[str, object]) -> Path:
    import openpyxl

    book = openpyxl.Workbook()
    for place, value in {"A1": "id", "B1": "x", "A2": "a", "A3": "b", "B2": 1.5, **cells}.items():
        book.active[place] = value
    book.save(path)
    return path


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("=1+1", "cell B3 is a formula without a value"),
        ("#DIV/0!", "cell B3 holds the error #DIV/0!"),
        ("#N/A", "cell B3 holds the error #N/A"),
    ],
)
def test_cells_of_a_workbook_without_a_value_are_refused(tmp_path, value, says):
    with pytest.raises(ReadError, match=re.escape(says)):
        read_table(workbook(tmp_path / "t.xlsx", {"B3": value}))
    assert read_table(workbook(tmp_path / "t.xlsx", {"B3": 2.5}))["x"].tolist() == [1.5, 2.5]


def test_an_empty_cell_with_a_style_does_not_hide_the_next_one(tmp_path):
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["id", "x", "y"], ["a", 1.5, 2.5], ["b", None, "#DIV/0!"]):
        book.active.append(row)
    book.active["B3"].font = openpyxl.styles.Font(bold=True)
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(ReadError, match="cell C3 holds the error"):
        read_table(tmp_path / "t.xlsx")


def test_truth_among_numbers_is_refused(tmp_path):
    table = read_table(workbook(tmp_path / "t.xlsx", {"B3": True}))
    with pytest.raises(InvalidValues, match="column 'x', row 1: True is not a number"):
        numeric_block(table[["x"]], source="t")
    alone = read_table(workbook(tmp_path / "t.xlsx", {"B2": False, "B3": True}))
    assert numeric_block(alone[["x"]], source="t")["x"].tolist() == [0.0, 1.0]


def test_utf16_is_read_and_damaged_utf16_is_not(tmp_path):
    (tmp_path / "t.txt").write_bytes("id\tx\nµ\t1\n".encode("utf-16"))
    assert read_table(tmp_path / "t.txt")["id"].tolist() == ["µ"]
    (tmp_path / "t.txt").write_bytes("id\tx\nµ\t1\n".encode("utf-16")[:-1])
    with pytest.raises(ReadError, match="not UTF-8 text"):
        read_table(tmp_path / "t.txt")


def test_decimal_comma_between_tabs_but_not_thousands(tmp_path):
    (tmp_path / "t.tsv").write_text("id\tx\na\t0,391\nb\t12,5\n")
    assert read_table(tmp_path / "t.tsv")["x"].tolist() == [0.391, 12.5]
    (tmp_path / "t.tsv").write_text("id\tx\na\t1,234\nb\t12,500\n")
    with pytest.raises(InvalidValues, match="'1,234' is not a number"):
        numeric_block(read_table(tmp_path / "t.tsv")[["x"]], source="t")
