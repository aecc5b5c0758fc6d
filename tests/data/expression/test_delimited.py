"""Expression in delimited text: orientation, separators, sparse or dense, and every way such a file goes wrong."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cellixir.data.expression import delimited, read_expression
from cellixir.data.expression.gene_names import known_genes, side_of_cells
from cellixir.exceptions import ConfigurationError, DataError, DuplicateIds, InvalidValues, ReadError

GENES = ["ACTB", "TP53", "MT-ND1"]


def write(folder: Path, text: str | bytes, name: str = "x.csv") -> Path:
    path, raw = folder / name, text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


def dense(cells) -> np.ndarray:
    return cells.X.toarray() if sp.issparse(cells.X) else cells.X


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.tsv", "X.TXT", "x.txt.gz"])
def test_genes_in_rows_are_turned(tmp_path, name) -> None:
    cells = read_expression(write(tmp_path, "gene,c1,c2\nACTB,1,2\nTP53,0,5\nMT-ND1,3,0\n", name))
    assert (cells.obs_names.tolist(), cells.var_names.tolist()) == (["c1", "c2"], GENES)
    np.testing.assert_array_equal(dense(cells), [[1, 0, 3], [2, 5, 0]])
    assert cells.X.dtype == np.float32
    assert cells.uns["scale"] == "counts"
    assert cells.uns["scale_guessed"]
    assert cells.uns["notes"] == ["cells were taken to be columns: 3 of 3 rows are known genes"]


def test_cells_in_rows_stay(tmp_path) -> None:
    cells = read_expression(write(tmp_path, "\tActb\tTrp53\tmt-Nd1\n7\t1\t0\t3\n8\t2\t5\t0\n", "x.tsv"))
    assert cells.obs_names.tolist() == ["7", "8"]
    assert cells.var_names.tolist() == ["Actb", "Trp53", "mt-Nd1"]
    assert cells.uns["notes"] == ["cells were taken to be rows: 2 of 3 columns are known genes"]


def test_what_cannot_be_told_is_refused_and_can_be_said(tmp_path) -> None:
    path = write(tmp_path, "id,a,b\nx,1,2\ny,3,4\nz,5,6\n")
    with pytest.raises(
        ConfigurationError, match=r"rows \('x', 'y', 'z'\) or its columns \('a', 'b'\).*cells_are=\"rows"
    ):
        read_expression(path)
    assert read_expression(path, cells_are="rows").shape == (3, 2)
    turned = read_expression(path, cells_are="columns")
    np.testing.assert_array_equal(dense(turned), [[1, 3, 5], [2, 4, 6]])
    assert turned.uns["notes"] == []


def test_barcodes_tell_the_cells_where_genes_are_numbers() -> None:
    barcodes = ["AAACCTGAGATAGGAG-1", "s2_TTACCTGAGATAGGAG", "ACCCCTGAGATAGGAGTT"]
    assert side_of_cells(barcodes, ["1017", "7157"], source="x")[0] == "rows"
    assert side_of_cells(["1017", "7157"], barcodes, source="x")[0] == "columns"
    with pytest.raises(ConfigurationError):
        side_of_cells(barcodes, barcodes, source="x")


def test_genes_on_both_sides_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be told"):
        side_of_cells(["ACTB", "TP53"], ["ACTB", "TP53"], source="x")


def test_known_genes() -> None:
    genes = ["ACTB", "Gapdh", "RPL13A", "Rps6", "mt-Co1", "ENSMUSG00000000001", "ENSG00000141510.17", "FBgn0000008"]
    assert known_genes(genes) == len(genes)
    assert (
        known_genes(
            ["cell_1", "AAACCTGAGATAGGAG-1", "s1", "Cy80_II_CD45_B07", "7", "A1", "sample 3", "RPL", "C3", "actb"]
        )
        == 0
    )


@pytest.mark.parametrize(
    "text",
    [
        '"","c1","c2"\n"ACTB",1,2.5\n"TP53",0,5\n',
        "c1\tc2\nACTB\t1\t2.5\nTP53\t0\t5\n",  # R's write.table
        '"c1"\t"c2"\n"ACTB"\t1\t2.5\n"TP53"\t0\t5\n',
        "gene;c1;c2\nACTB;1;2,5\nTP53;0;5\n",
        "\ufeffgene,c1,c2\r\nACTB,1,2.5\r\nTP53,0,5\r\n",
        "gene,c1,c2\n\nACTB, 1 ,2.5\n  \nTP53,0,5",
        'gene,c1,c2\nACTB,"1","2.5"\nTP53,0,5e0\n',
    ],
)
def test_dialects(tmp_path, text) -> None:
    cells = read_expression(write(tmp_path, text))
    assert (cells.obs_names.tolist(), cells.var_names.tolist()) == (["c1", "c2"], ["ACTB", "TP53"])
    np.testing.assert_array_equal(dense(cells), np.array([[1, 0], [2.5, 5]]))


def test_names_that_hold_the_separator(tmp_path) -> None:
    cells = read_expression(write(tmp_path, 'gene,"c,1",c2\nACTB,1,2\n"TP53, wild",3,4\n'))
    assert cells.obs_names.tolist() == ["c,1", "c2"]
    assert cells.var_names.tolist() == ["ACTB", "TP53, wild"]


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=7),
        elements=st.one_of(st.just(0.0), st.floats(2**-20, 2.0**80, width=32), st.integers(-9, 999).map(float)),
    ),
    st.sampled_from([",", "\t", ";"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["rows", "columns"]),
    st.sampled_from([1, 5, 2**21]),
)
def test_what_is_written_is_read(tmp_path_factory, values, separator, quoting, side, at_once) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator="\n")
    writer.writerow(["", *(f"c{i}" for i in range(values.shape[1]))])
    writer.writerows([f"r{i}", *(repr(float(v)) for v in row)] for i, row in enumerate(values))
    path = write(tmp_path_factory.mktemp("t"), text.getvalue(), "x.csv.gz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "AT_ONCE", at_once)
        names, parts = delimited.open_text(path).read()
    assert names == [f"r{i}" for i in range(len(values))]
    found = delimited.stacked(parts, turned=side == "columns")
    assert sp.issparse(found) == (np.count_nonzero(values) < delimited.SPARSE * values.size)
    expected = values.T if side == "columns" else values
    np.testing.assert_array_equal(found.toarray() if sp.issparse(found) else found, expected)


def test_parts_are_put_together_in_order(tmp_path, monkeypatch) -> None:
    rng = np.random.default_rng(0)
    sparse, full = rng.poisson(0.05, (40, 9)), rng.poisson(5, (40, 9)) + 1
    monkeypatch.setattr(delimited, "AT_ONCE", 27)
    for values in (sparse, full, np.vstack([sparse, full]), np.vstack([full, sparse, sparse, sparse])):
        rows = "\n".join(f"r{i}," + ",".join(map(str, row)) for i, row in enumerate(values))
        path = write(tmp_path, ",".join(["", *GENES, *"abcdef"]) + "\n" + rows)
        for turned in (False, True):
            found = delimited.stacked(delimited.open_text(path).read()[1], turned=turned)
            np.testing.assert_array_equal(
                found.toarray() if sp.issparse(found) else found, values.T if turned else values
            )


def test_a_thin_table_is_held_sparse_and_a_full_one_is_not(tmp_path) -> None:
    thin = "gene," + ",".join(f"c{i}" for i in range(10)) + "".join(f"\n{gene},2" + ",0" * 8 + ",1" for gene in GENES)
    assert sp.isspmatrix_csr(read_expression(write(tmp_path, thin)).X)
    full = "gene,c1,c2,c3" + "".join(f"\n{gene},2,0,1" for gene in GENES)
    assert isinstance(read_expression(write(tmp_path, full)).X, np.ndarray)


def table(*lines: str) -> str:
    return "\n".join(["gene,c1,c2,c3", *lines]) + "\n"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (table("ACTB,1,2,3", "TP53,1,2"), ReadError, "line 3 has 3 cells where the header has 4"),
        (table("ACTB,1,2,3", "TP53,1,2,3,4"), ReadError, "line 3 has 5 cells where the header has 4"),
        (table("ACTB,1,2,3", "", "TP53,1,,3"), InvalidValues, r"line 4 \('TP53'\), column 'c2': the value is missing"),
        (table("ACTB,1,2,NA"), InvalidValues, r"line 2 \('ACTB'\), column 'c3': the value is missing \('NA'\); fill"),
        (table("ACTB,1,2,3", "TP53,1,inf,3"), InvalidValues, r"line 3 .'TP53'., column 'c2': 'inf' is not a finite"),
        (table("ACTB,1,2,3", "TP53,1,2,1e99"), InvalidValues, r"column 'c3': '1e99' is not a finite"),
        (table("ACTB,1,2,3", "TP53,NA,high,3"), InvalidValues, r"line 3 \('TP53'\), column 'c2': 'high' is not"),
        (table("ACTB,1,2,3", 'TP53,1,"1,234",3'), InvalidValues, r"column 'c2': '1,234' is not a finite number"),
        (table("ACTB,1,2,3", "TP53,1,2\t2,3"), InvalidValues, r"column 'c2': '2\\t2' is not a finite number"),
        (table("ACTB,1,2,3", ",1,2,3"), InvalidValues, "line 3 has no name in its first cell"),
        ("gene,c1,,c3\nACTB,1,2,3\n", ReadError, r"column 3 has no name \(1 such columns\)"),
        ("gene,c1,c1\nACTB,1,2\n", DuplicateIds, r"1 cell stands more than once \('c1'\); make them unique"),
        ("gene,c1,c2\n", ReadError, "column names but no rows"),
        ("ACTB\n1\n2\n", ReadError, "one column only"),
        ("a b c\nACTB 1 2\n", ReadError, "one column only"),
        (" \n\r\n ", ReadError, "holds only blanks"),
        ("<!DOCTYPE html>\n<p>404", ReadError, "is a web page"),
        ("\n<html><body>404", ReadError, "is a web page"),
        ("gene,c1\rACTB,1\r", ReadError, "carriage return alone"),
        (b"gene,c1\n\xffACTB,1\n", ReadError, "line 2 is not UTF-8"),
        (b"g\xe9ne,c1\nACTB,1\n", ReadError, "is not UTF-8 text"),
        ("gene,c1\nACTB,1\n".encode("utf-16"), ReadError, "is not UTF-8 text"),
        (table("ACTB,0,0,0", "TP53,0,0,0"), DataError, r"none of the 3 cells has any count \('c1', 'c2', 'c3'\)"),
    ],
)
@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_wrong_tables(tmp_path, text, error, message, name) -> None:
    path = write(tmp_path, text, name)
    with pytest.raises(error, match=message) as caught:
        read_expression(path)
    assert str(path) in str(caught.value)


def test_the_place_is_right_beyond_the_first_part(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(delimited, "AT_ONCE", 4)
    path = write(tmp_path, table("ACTB,1,2,3", "TP53,1,2,3", "KRAS,1,2,3", "", "EGFR,4,x,6", "MYC,y,2,3"))
    with pytest.raises(InvalidValues, match=r"line 6 \('EGFR'\), column 'c2': 'x' is not"):
        read_expression(path)


def test_packed_files_that_are_cut_off(tmp_path) -> None:
    rows = table(*(f"RPL{i},{i},{i * i},1" for i in range(1, 2000)))
    raw = gzip.compress(rows.encode())
    cut = tmp_path / "x.csv.gz"
    for broken in (raw[: len(raw) // 2], raw[:-4], raw[:200] + b"\0" * 50 + raw[250:]):
        cut.write_bytes(broken)
        with pytest.raises(ReadError, match=r"cut off or damaged"):
            read_expression(cut)
    cut.write_text(rows)
    with pytest.raises(ReadError, match=r"is named .gz but is not gzip"):
        read_expression(cut)
    plain = tmp_path / "x.csv"
    plain.write_bytes(raw)
    assert read_expression(plain).n_vars == 1999  # packed after all


def test_repeated_genes_are_added_up_if_they_are_counts(tmp_path) -> None:
    for zeros in (0, 30):  # dense, and sparse
        head = "gene,c1,c2" + "".join(f",z{i}" for i in range(zeros)) + "\n"
        rows = [["ACTB", "1", "2"], ["TP53", "0", "5"], ["ACTB", "3", "4"], ["RPL3", "1", "1"], ["TP53", "1", "1"]]
        text = head + "\n".join(",".join(row + ["0"] * (zeros - 1) + ["7"] * bool(zeros)) for row in rows)
        cells = read_expression(write(tmp_path, text))
        assert cells.var_names.tolist() == ["ACTB", "TP53", "RPL3"]
        np.testing.assert_array_equal(dense(cells)[:2], [[4, 1, 1], [6, 6, 1]])
        assert sp.issparse(cells.X) == bool(zeros)
        assert "genes that stood more than once: 2 ('ACTB', 'TP53'); their counts were added up" in cells.uns["notes"]


def test_of_repeated_genes_in_log_values_the_higher_is_kept(tmp_path) -> None:
    text = "gene,c1,c2\nACTB,1.5,2\nTP53,0,5\nACTB,1,4\nRPL3,1,1\nTP53,1,1\n"
    cells = read_expression(write(tmp_path, text))
    assert cells.var_names.tolist() == ["TP53", "ACTB", "RPL3"]
    np.testing.assert_array_equal(dense(cells), [[0, 1, 1], [5, 4, 1]])
    assert any("2 ('ACTB', 'TP53'); the column with the highest mean was kept" in n for n in cells.uns["notes"])


def test_cells_without_counts_are_left_out_and_told(tmp_path) -> None:
    cells = read_expression(write(tmp_path, table("ACTB,0,2,0", "TP53,0,0,1")))
    assert cells.obs_names.tolist() == ["c2", "c3"]
    assert cells.uns["notes"][-1] == "left out, as they have no count: 1 of 3 cells ('c1')"


def test_a_sample_without_any_mutation_is_kept(tmp_path) -> None:
    cells = read_expression(write(tmp_path, table("ACTB,0,1,0", "TP53,0,0,1")))
    assert (cells.n_obs, cells.uns["scale"]) == (3, "binary")


def test_claimed_counts_are_checked(tmp_path) -> None:
    for value, shown in (("-1", "-1"), ("1.25", "1.25")):
        path = write(tmp_path, table("ACTB,1,2,3", f"TP53,1,2,{value}"))
        message = f"scale='counts' was given, but gene 'TP53' of cell 'c3' is {shown}; counts are whole"
        with pytest.raises(InvalidValues, match=message):
            read_expression(path, scale="counts")
        assert read_expression(path, scale="zscore").uns["scale"] == "zscore"


def test_the_scale_that_is_given_is_believed(tmp_path) -> None:
    cells = read_expression(write(tmp_path, table("ACTB,1,2,3", "TP53,1,2,0")), scale="log2_tpm")
    assert (cells.uns["scale"], cells.uns["scale_guessed"]) == ("log2_tpm", False)


def test_counts_that_float32_rounds_are_told(tmp_path) -> None:
    cells = read_expression(write(tmp_path, table("ACTB,1,20000001,3", "TP53,1,2,0")))
    assert "counts above 16,777,216 are not exact in float32 (up to 20,000,000)" in cells.uns["notes"]


@pytest.mark.real_data
def test_a_published_table_of_bulk_counts(data_dir) -> None:
    cells = read_expression(data_dir / "GSE134080_500FG_RNASeq_counts.txt.gz")
    assert cells.shape == (100, 42991)
    assert cells.uns["scale"] == "counts"
    assert cells["s1", "ENSG00000000419"].X[0, 0] == 288


@pytest.mark.real_data
def test_a_published_table_of_cell_lines(data_dir) -> None:
    cells = read_expression(data_dir / "derived" / "ccle_expression_525x697.csv.gz")
    assert cells.shape == (525, 697)
    assert cells.uns["scale"] == "log2_tpm"
    assert cells["ACH-000001", "EXT1"].X[0, 0] == np.float32(4.808385051)
