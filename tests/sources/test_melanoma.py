"""GSE72056 and GSE115978 in the layouts in which they are published, quirks included."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from cellixir.exceptions import DuplicateIds, ReadError, UnknownIds
from cellixir.sources.expression import read_expression

CELLS = ["Cy72_CD45_H02_S758_comb", "CY58_1_CD45_B02_S974_comb", "Cy71_CD45_D08_S524_comb", "c4", "c5", "c6"]
TUMOURS = ["72", "58", "71", "79", "79", "81"]
MALIGNANT = ["1", "1", "2", "2", "0", "1"]
# the third is malignant and carries the code of a T cell; the fifth is unresolved and carries one too
TYPES = ["1", "2", "1", "0", "6", "0"]
ROWS = [
    ("C9orf152", "0 0 0 0 0 2.5"),
    ("MARCH1", "1 0 0 0 0 0"),
    ("RPS11", "9.2 8.1 9 7 8 3.25"),
    ("MARCH1", "0 3 0 0 0 0"),
]
HEAD = {
    "tumor": TUMOURS,
    "malignant(1=no,2=yes,0=unresolved)": MALIGNANT,
    "non-malignant cell type (1=T,2=B,3=Macro.4=Endo.,5=CAF;6=NK)": TYPES,
}


def write_gse72056(folder: Path, name: str = "GSE72056_melanoma_single_cell_revised_v2.txt.gz", **change) -> Path:
    head = HEAD | change
    lines = [
        ["Cell", *CELLS],
        *([key, *row] for key, row in head.items()),
        *([gene, *row.split()] for gene, row in ROWS),
    ]
    path = folder / name
    path.write_bytes(gzip.compress("\n".join("\t".join(line) for line in lines).encode()))
    return path


@pytest.mark.parametrize("layout", [None, "gse72056"])
def test_gse72056(tmp_path, layout) -> None:
    cells = read_expression(write_gse72056(tmp_path), layout=layout)
    assert cells.obs_names.tolist() == CELLS
    assert cells.obs["patient"].tolist() == ["Mel72", "Mel58", "Mel71", "Mel79", "Mel79", "Mel81"]
    no, yes = "non-malignant", "malignant"
    assert cells.obs["malignant"].tolist() == [no, no, yes, yes, "unresolved", no]
    types = cells.obs["cell_type"]
    assert types.isna().tolist() == [False, False, False, False, True, True]
    assert types.dropna().tolist() == ["T", "B", "Malignant", "Malignant"]
    assert (cells.uns["scale"], cells.uns["scale_guessed"]) == ("log2_tpm", False)
    # of the two columns of MARCH1 the second has the higher mean
    assert cells.var_names.tolist() == ["C9orf152", "RPS11", "MARCH1"]
    x = cells.X.toarray() if sp.issparse(cells.X) else cells.X
    np.testing.assert_array_equal(x[1], np.array([0, 8.1, 3], dtype=np.float32))
    np.testing.assert_array_equal(x[5], np.array([2.5, 3.25, 0], dtype=np.float32))
    assert cells.uns["notes"] == [
        "values are log2(TPM / 10 + 1), as the authors give them",
        "1 malignant cells carry the code of a non-malignant type too; they are 'Malignant'",
        "2 cells have no cell type; of 1 it is unresolved whether they are malignant",
        "genes that stood more than once: 1 ('MARCH1'); the column with the highest mean was kept",
    ]


def test_gse72056_can_be_written_and_read(tmp_path) -> None:
    cells = read_expression(write_gse72056(tmp_path))
    cells.write_h5ad(tmp_path / "x.h5ad")
    again = read_expression(tmp_path / "x.h5ad")
    assert again.obs.equals(cells.obs)
    assert again.uns["notes"] == cells.uns["notes"]
    assert again.uns["scale"] == "log2_tpm"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"malignant(1=no,2=yes,0=unresolved)": ["1", "1", "3", "2", "0", "1"]},
            "cell 'Cy71.*' has malignant '3'; the codes",
        ),
        (
            {"non-malignant cell type (1=T,2=B,3=Macro.4=Endo.,5=CAF;6=NK)": ["1", "2", "1", "9", "6", "0"]},
            "cell 'c4' has cell type '9'; the codes are 0, 1, 2, 3, 4, 5, 6",
        ),
        ({"tumor": ["72", "58"]}, "line 2 has 3 cells where the header has 7"),
    ],
)
def test_gse72056_with_strange_codes(tmp_path, change, message) -> None:
    with pytest.raises(ReadError, match=message):
        read_expression(write_gse72056(tmp_path, **change))


def test_other_tables_are_not_in_the_layout(tmp_path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("gene\tc1\nACTB\t1\n")
    with pytest.raises(ReadError, match=r"not in the layout of GSE72056: a line that begins with 'tumor'.* not 'ACTB'"):
        read_expression(path, layout="gse72056")
    path.write_text("Cell\tc1\ntumor\t72\n")
    with pytest.raises(ReadError, match=r"ends where another line was expected"):
        read_expression(path)
    with pytest.raises(
        ReadError, match=r"needs the annotation of its cells; put 'x.txt_cell.annotations.csv.gz' beside"
    ):
        read_expression(path, layout="gse115978")


ABOUT = """cells,samples,cell.types,treatment.group,Cohort,no.of.genes,no.of.reads
cy78_CD45_neg_1,Mel78,Mal,post.treatment,Tirosh,8258,357919
cy79_p4_CD45_2,Mel79,T.CD8,treatment.naive,New,4000,180000
cy79_p4_CD45_3,Mel79,?,treatment.naive,New,3000,90000
other,Mel80,NK,treatment.naive,New,1000,2000
"""
COUNTS = ",cy79_p4_CD45_2,cy78_CD45_neg_1,cy79_p4_CD45_3\nC9orf152,0,1,0\nRPS11,20,30,4\nELMO2,0,0,7\n"


def write_gse115978(folder: Path, about: str | None = ABOUT, counts: str = COUNTS, end: str = ".gz") -> Path:
    def put(name: str, text: str) -> Path:
        path = folder / f"{name}{end}"
        path.write_bytes(gzip.compress(text.encode()) if end else text.encode())
        return path

    if about is not None:
        put("GSE115978_cell.annotations.csv", about)
    return put("GSE115978_counts.csv", counts)


@pytest.mark.parametrize("layout", [None, "gse115978"])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_gse115978(tmp_path, layout, end) -> None:
    cells = read_expression(write_gse115978(tmp_path, end=end), layout=layout)
    assert cells.obs_names.tolist() == ["cy79_p4_CD45_2", "cy78_CD45_neg_1", "cy79_p4_CD45_3"]
    assert cells.obs["patient"].tolist() == ["Mel79", "Mel78", "Mel79"]
    assert cells.obs["cell_type"].isna().tolist() == [False, False, True]
    assert cells.obs["cell_type"].tolist()[:2] == ["T.CD8", "Mal"]
    assert cells.obs["treatment_group"].tolist() == ["treatment.naive", "post.treatment", "treatment.naive"]
    assert cells.obs["cohort"].tolist() == ["New", "Tirosh", "New"]
    assert cells.obs["n_reads"].tolist() == [180000, 357919, 90000]
    x = cells.X.toarray() if sp.issparse(cells.X) else cells.X
    np.testing.assert_array_equal(x, [[0, 20, 0], [1, 30, 0], [0, 4, 7]])
    assert cells.uns["scale"] == "counts"
    assert cells.uns["notes"] == ["1 cells have no cell type ('?')"]


def test_gse115978_with_cells_that_are_not_annotated(tmp_path) -> None:
    about = "".join(line for line in ABOUT.splitlines(keepends=True) if not line.startswith("cy78"))
    cells = read_expression(write_gse115978(tmp_path, about))
    assert cells.obs["patient"].isna().tolist() == [False, True, False]
    assert "1 cells are not in GSE115978_cell.annotations.csv.gz ('cy78_CD45_neg_1')" in cells.uns["notes"]


def test_gse115978_without_annotation_is_a_table_like_any(tmp_path) -> None:
    path = write_gse115978(tmp_path, about=None)
    cells = read_expression(path)
    assert cells.shape == (3, 3)
    assert cells.obs.shape[1] == 0
    with pytest.raises(ReadError, match=r"put 'GSE115978_cell.annotations.csv.gz' beside it"):
        read_expression(path, layout="gse115978")


@pytest.mark.parametrize(
    ("about", "error", "message"),
    [
        (ABOUT.replace("cell.types", "types"), ReadError, r"lacks the columns 'cell.types'; it has 'cells', 'samples'"),
        (ABOUT.replace("cy79_p4_CD45_3", "cy79_p4_CD45_2"), DuplicateIds, r"1 cell stands more than once \('cy79_p4"),
        (ABOUT.replace("cy7", "x"), UnknownIds, r"names none of the cells \('x8_CD45_neg_1', .* there, 'cy79"),
    ],
)
def test_gse115978_with_wrong_annotation(tmp_path, about, error, message) -> None:
    with pytest.raises(error, match=message):
        read_expression(write_gse115978(tmp_path, about))
