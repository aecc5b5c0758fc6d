"""Matching ids between files: never a wrong line, and what is ambiguous is named."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellixir.data.crosswalk import Crosswalk, plain_name, read_crosswalk
from cellixir.data.omics import read_view
from cellixir.data.tables import read_table
from cellixir.exceptions import ReadError, UnknownIds

TABLE = """COSMIC_ID,DepMap,how,NAME,CCLE
906794,ACH-000740,name,A253,A253_SALIVARY_GLAND
908121,ACH-000900,name,NCI-H23,NCIH23_LUNG
907059,ACH-000001,name,KM-H2,KMH2_HAEMATOPOIETIC_AND_LYMPHOID_TISSUE
907060,ACH-000002,name,KMH-2,KMH2_THYROID
930299,ACH-000003,name,TT,TT_THYROID
946359,,name,T.T,
"""


@pytest.fixture
def crosswalk(tmp_path: Path) -> Crosswalk:
    (tmp_path / "map.csv").write_text(TABLE)
    return read_crosswalk(tmp_path / "map.csv")


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("NCI-H23", "ncih23"),
        ("nci h23", "ncih23"),
        ("LS513_LARGE_INTESTINE", "ls513"),
        ("HS_294.T", "hs294t"),  # no tissue
        ("ss_MC1", "ssmc1"),
        ("ACH-000001", "ach000001"),
        ("Ωmega-1", "ωmega1"),
        ("--", ""),
    ],
)
def test_plain_names(name, plain):
    assert plain_name(name) == plain


def test_ids_are_matched_to_the_letter(crosswalk):
    found = crosswalk.translate(["ACH-000900", "ACH-000740", "ACH-999999"], [906794, 908121, 1])
    assert found.index.tolist() == ["ACH-000900", "ACH-000740", "ACH-999999"]
    assert found.tolist()[:2] == ["908121", "906794"]
    assert np.isnan(found.iloc[2])
    assert (found.index.name, found.name, found.attrs["notes"]) == ("DepMap", "COSMIC_ID", [])


def test_ids_stored_as_floats_and_repeated(crosswalk):
    found = crosswalk.translate([906794.0, 908121.0, 906794.0], ["ACH-000740", "ACH-000900"])
    assert found.to_dict() == {"906794": "ACH-000740", "908121": "ACH-000900"}


def test_a_line_that_is_not_wanted_is_missing(crosswalk):
    assert crosswalk.translate(["906794", "908121"], ["ACH-000900"]).tolist()[1:] == ["ACH-000900"]
    assert crosswalk.translate(["906794", "908121"], ["ACH-000900"]).isna().tolist() == [True, False]


def test_spellings_of_a_name_and_what_is_wanted_comes_back_as_it_was_written(crosswalk):
    assert crosswalk.translate(["908121", "906794"], ["Nci_H23", "a-253"]).to_dict() == {
        "908121": "Nci_H23",
        "906794": "a-253",
    }
    assert crosswalk.translate(["NCIH23", "a253"], ["908121", "906794"]).tolist() == ["908121", "906794"]


def test_ccle_names_are_told_from_plain_names(crosswalk):
    ids = ["A253_SALIVARY_GLAND", "KMH2_THYROID", "TT_THYROID", "TT_OESOPHAGUS"]
    found = crosswalk.translate(ids, ["906794", "907059", "907060", "930299"])
    assert found.index.name == "CCLE"
    assert found.dropna().to_dict() == {
        "A253_SALIVARY_GLAND": "906794",
        "KMH2_THYROID": "907060",
        "TT_THYROID": "930299",
    }
    assert found.attrs["notes"] == [
        f"ids that share a row of column 'CCLE' of {crosswalk.source} with another, not matched: 1 ('TT_OESOPHAGUS')"
    ]


def test_lines_that_differ_by_a_hyphen_are_not_confused(crosswalk):
    found = crosswalk.translate(["KM-H2", "kmh2", "TT", "A-253"], ["907059", "907060", "930299", "946359", "906794"])
    assert found.dropna().to_dict() == {"KM-H2": "907059", "TT": "930299", "A-253": "906794"}
    assert len(found.attrs["notes"]) == 1
    assert re.search("^ids that name two rows of column 'NAME' .*, not matched: 1 .'kmh2'.$", found.attrs["notes"][0])


def test_two_rows_with_one_id_are_ambiguous_on_both_sides():
    crosswalk = Crosswalk(pd.DataFrame({"a": ["1", "1", "2", "3"], "b": ["x", "y", "z", "z"]}), "map")
    found = crosswalk.translate(["1", "2", "3"], ["x", "y", "z"])
    assert found.isna().all()
    assert found.attrs["notes"] == [
        "ids that name two rows of column 'a' of map, not matched: 1 ('1')",
        "wanted ids that name two rows of column 'b' of map, not matched: 1 ('z')",
    ]


def test_two_spellings_of_one_line_are_ambiguous(crosswalk):
    found = crosswalk.translate(["NCI H23", "nci.h23", "A253"], ["908121", "906794"])
    assert found.dropna().to_dict() == {"A253": "906794"}
    assert found.attrs["notes"][0].endswith("not matched: 2 ('NCI H23', 'nci.h23')")


def test_a_word_that_stands_in_every_row_is_no_id(crosswalk):
    assert crosswalk.translate(["name", "A253", "NCI-H23"], ["906794"]).index.name == "NAME"


def test_the_same_kind_of_id_on_both_sides(crosswalk):
    assert crosswalk.translate(["906794", "1"], ["906794"]).tolist()[:1] == ["906794"]


@pytest.mark.parametrize(
    ("ids", "wanted", "says"),
    [
        (["U1"], ["906794"], "'DepMap', 'how', 'NAME', 'CCLE') holds any of the 1 ids ('U1'); use a table that has"),
        (["906794"], ["U1", "U2"], "any of the 2 wanted ids ('U1', 'U2')"),
        ([], ["906794"], "any of the 0 ids"),
        (["--"], ["906794"], "any of the 1 ids ('--')"),
        ([None, float("nan")], ["906794"], "any of the 0 ids"),
    ],
)
def test_ids_of_no_column(crosswalk, ids, wanted, says):
    with pytest.raises(UnknownIds, match=re.escape(says)) as caught:
        crosswalk.translate(ids, wanted)
    assert "map.csv: none of its columns ('COSMIC_ID'," in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("id\nA\nB\n", "has one column, 'id'; a crosswalk needs one for each kind of id"),
        ("", "is empty"),
        ("a,b\n", "holds column names but no rows"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cells"),
    ],
)
def test_files_that_are_no_crosswalk(tmp_path, content, says):
    path = tmp_path / "map.csv"
    path.write_text(content)
    with pytest.raises(ReadError, match=says):
        read_crosswalk(path)
    with pytest.raises(ReadError, match="cannot be read"):
        read_crosswalk(tmp_path / "none.csv")


def test_a_gzip_that_is_cut_off(tmp_path):
    (tmp_path / "map.csv.gz").write_bytes(gzip.compress(TABLE.encode())[:-20])
    with pytest.raises(ReadError, match="cut off"):
        read_crosswalk(tmp_path / "map.csv.gz")


words = st.text("aB1-_. ", min_size=1, max_size=4).filter(str.strip)


@given(
    rows=st.lists(st.tuples(words, words), min_size=1, max_size=8),
    ids=st.lists(words, max_size=6),
    wanted=st.lists(words, max_size=6),
)
def test_no_wanted_id_is_given_twice_and_none_is_made_up(rows, ids, wanted):
    crosswalk = Crosswalk(pd.DataFrame([[a.strip(), b.strip()] for a, b in rows], columns=["a", "b"]))
    try:
        found = crosswalk.translate(ids, wanted)
    except UnknownIds:
        return
    assert found.index.tolist() == list(dict.fromkeys(i.strip() for i in ids))
    assert set(found.dropna()) <= {w.strip() for w in wanted}
    assert not found.dropna().duplicated().any()


@pytest.mark.real_data
def test_real_ids_of_expression_and_methylation(data_dir):
    crosswalk = read_crosswalk(data_dir / "derived/cellline_map_cosmic_depmap.csv")
    response = set(read_table(data_dir / "IC50_v17.csv.gz").iloc[:, 0])
    features = set(read_table(data_dir / "genomic_features_v17.csv.gz").iloc[:, 0])
    cosmic = sorted(response & features)
    expression = read_view(data_dir / "derived/ccle_expression_525x697.csv.gz").obs_names
    methylation = read_view(data_dir / "ccle_methylation_561x808.csv").obs_names
    with_expression = crosswalk.translate(expression, cosmic)
    with_methylation = crosswalk.translate(methylation, cosmic)
    assert (with_expression.index.name, with_expression.name) == ("depMapID", "COSMIC_ID")
    assert with_expression["ACH-000740"] == "906794"
    assert len(with_expression.dropna()) == 514
    assert len(with_methylation) == 561
    assert len(with_methylation.dropna()) == 549
    assert len(set(with_methylation.dropna()) & set(with_expression.dropna())) == 514
    assert with_expression.attrs["notes"] == with_methylation.attrs["notes"] == []


@pytest.mark.real_data
def test_real_ccle_names(data_dir):
    """T-T is not in this crosswalk, and one of two KMH2: what looks like them must not take their neighbours' row."""
    crosswalk = read_crosswalk(data_dir / "derived/cellline_map_cosmic_depmap.csv")
    annotation = read_table(data_dir / "ccle_cell_line_annotations_20181226.txt", dtype_text="all")
    found = crosswalk.translate(annotation["CCLE_ID"], crosswalk.table["COSMIC_ID"])
    both = annotation.dropna(subset="depMapID")
    by_depmap = crosswalk.translate(both["depMapID"], crosswalk.table["COSMIC_ID"])
    assert (found.reindex(both["CCLE_ID"]).dropna().to_numpy() == by_depmap.dropna().to_numpy()).all()
    assert "not matched: 2 ('TT_OESOPHAGUS', 'KMH2_HAEMATOPOIETIC_AND_LYMPHOID_TISSUE')" in found.attrs["notes"][0]
    assert found[["TT_OESOPHAGUS", "KMH2_HAEMATOPOIETIC_AND_LYMPHOID_TISSUE"]].isna().all()
