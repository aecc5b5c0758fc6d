"""Readers of drug responses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellixir.data.missing_marks import MARKS
from cellixir.data.omics import read_view
from cellixir.data.responses import read_responses
from cellixir.exceptions import ConfigurationError, DuplicateIds, InvalidValues, ReadError

FITTED = pd.DataFrame(
    {
        "DATASET": ["GDSC1", "GDSC2", "GDSC2", "GDSC2"],
        "NLME_RESULT_ID": [282, 343, 343, 343],
        "COSMIC_ID": [683665, 683665, 684055, 684057],
        "CELL_LINE_NAME": ["MC-CAR", "MC-CAR", "ES3", None],
        "SANGER_MODEL_ID": ["SIDM00636", "SIDM00636", "SIDM00265", "SIDM00263"],
        "TCGA_DESC": ["MM", "MM", "UNCLASSIFIED", "UNCLASSIFIED"],
        "DRUG_ID": [1, 1, 1047, 1047],
        "DRUG_NAME": ["Erlotinib", "Erlotinib", "Nutlin-3a (-)", "Nutlin-3a (-)"],
        "PUTATIVE_TARGET": ["EGFR", "EGFR", "MDM2", "MDM2"],
        "PATHWAY_NAME": ["EGFR signaling", "EGFR signaling", "p53 pathway", "p53 pathway"],
        "LN_IC50": [2.5, 2.25, -1.75, None],
        "AUC": [0.98, 0.97, 0.5, 0.75],
    }
)


def write(folder: Path, text: str, name: str = "r.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def rows(table) -> list[tuple[object, ...]]:
    return list(table.pairs.itertuples(index=False, name=None))


def test_gdsc_wide(tmp_path):
    table = read_responses(write(tmp_path, "COSMIC_ID\tDrug_1_IC50\tDrug_1047_IC50\n7\t-1.5\t\n8\tNA\t2\n", "r.tsv"))
    assert rows(table) == [("7", "1", -1.5), ("8", "1047", 2.0)]
    assert (table.measure, table.unit, table.layout, table.n_missing) == ("LN_IC50", "ln µM", "gdsc-wide", 2)
    assert table.samples.index.tolist() == ["7", "8"]
    assert table.drugs.index.tolist() == ["1", "1047"]


def test_gdsc_wide_keeps_notes_and_leaves_features_out(tmp_path):
    header = "COSMIC ID,Sample Name,Tissue Factor Value,MS-instability Factor Value,TP53_mut,loss_cna1"
    table = read_responses(write(tmp_path, f"{header},Drug_1_IC50\n7,A375,skin,0,1,0,2.5\n"))
    assert rows(table) == [("7", "1", 2.5)]
    assert table.samples.loc["7"].to_dict() == {"cell_line_name": "A375", "tissue": "skin"}


def test_gdsc_wide_refuses_columns_it_does_not_know(tmp_path):
    with pytest.raises(ReadError, match="'Drug_1_AUC' are neither"):
        read_responses(write(tmp_path, "COSMIC_ID,Drug_1_IC50,Drug_1_AUC\n7,1,2\n"))
    with pytest.raises(ConfigurationError, match="it holds no AUC"):
        read_responses(write(tmp_path, "COSMIC_ID,Drug_1_IC50\n7,1\n"), measure="auc")


def test_generic_wide(tmp_path):
    table = read_responses(write(tmp_path, "line,tissue,Nutlin-3a,5-FU\nA,skin,0.5,\nB,lung,-1,3\n"))
    assert rows(table) == [("A", "Nutlin-3a", 0.5), ("B", "Nutlin-3a", -1.0), ("B", "5-FU", 3.0)]
    assert (table.measure, table.unit, table.layout, table.n_missing) == ("response", "", "wide", 1)
    assert table.samples["tissue"].to_dict() == {"A": "skin", "B": "lung"}


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_wide_and_long_hold_the_same(data, tmp_path_factory):
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    cell = st.one_of(st.none(), st.floats(-1e6, 1e6).filter(lambda x: x not in MARKS))
    values = data.draw(st.lists(cell, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    matrix = np.array(values, dtype=float).reshape(shape)
    if np.isnan(matrix).all():
        matrix[0, 0] = 0.0
    wide = pd.DataFrame(matrix, [f"s{i}" for i in range(shape[0])], [f"d{j}" for j in range(shape[1])])
    folder = tmp_path_factory.mktemp("wide")
    wide.to_csv(folder / "wide.csv", index_label="id")
    wide.rename_axis("sample").reset_index().melt("sample", var_name="drug", value_name="AUC").to_csv(
        folder / "long.csv", index=False
    )
    order = ["sample", "drug"]
    of_wide = read_responses(folder / "wide.csv", measure="AUC", layout="wide")
    of_long = read_responses(folder / "long.csv")
    pd.testing.assert_frame_equal(
        of_wide.pairs.sort_values(order, ignore_index=True),
        of_long.pairs.sort_values(order, ignore_index=True),
    )
    assert of_wide.n_missing == of_long.n_missing == np.isnan(matrix).sum()
    assert (of_wide.measure, of_wide.unit) == (of_long.measure, of_long.unit) == ("AUC", "")


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_fitted_curves_keep_both_screens_as_replicates(tmp_path, suffix):
    path = tmp_path / f"fitted{suffix}"
    FITTED.to_csv(path, index=False) if suffix == ".csv" else FITTED.to_excel(path, index=False)
    table = read_responses(path)
    assert rows(table) == [
        ("683665", "1", 2.5, "GDSC1"),
        ("683665", "1", 2.25, "GDSC2"),
        ("684055", "1047", -1.75, "GDSC2"),
    ]
    assert (table.measure, table.unit, table.layout, table.n_missing) == (
        "LN_IC50",
        "ln µM",
        "gdsc-fitted",
        1,
    )
    assert table.samples.loc["683665"].tolist() == ["MC-CAR", "MM", "SIDM00636"]
    assert table.samples.columns.tolist() == ["cell_line_name", "tissue", "sanger_model_id"]
    assert table.drugs.loc["1047"].to_dict() == {
        "name": "Nutlin-3a (-)",
        "targets": "MDM2",
        "pathway": "p53 pathway",
    }


def test_fitted_auc_and_other_sample_column(tmp_path):
    FITTED.iloc[1:].to_csv(tmp_path / "r.csv", index=False)
    table = read_responses(tmp_path / "r.csv", measure="auc", sample_column="SANGER_MODEL_ID")
    assert rows(table) == [("SIDM00636", "1", 0.97), ("SIDM00265", "1047", 0.5), ("SIDM00263", "1047", 0.75)]
    assert (table.measure, table.unit) == ("AUC", "")


def test_fitted_repeats_within_a_screen_are_numbered(tmp_path):
    FITTED.assign(DATASET="GDSC2").to_csv(tmp_path / "r.csv", index=False)
    assert read_responses(tmp_path / "r.csv").pairs["replicate"].tolist() == ["1", "2", "1"]


@pytest.mark.parametrize(
    ("header", "measure", "unit"),
    [
        ("sample,drug,response", "response", ""),
        ("Cell_Line,Compound,AUC", "AUC", ""),
        ("COSMIC ID,Drug Name,LN_IC50", "LN_IC50", "ln µM"),
        ("cell_line_name,drug_id,value", "response", ""),
    ],
)
def test_long_names_of_columns(tmp_path, header, measure, unit):
    table = read_responses(write(tmp_path, f"{header}\n007,12,-0.5\n007,13,\n8,12,1e-3\n"))
    assert rows(table) == [("007", "12", -0.5), ("8", "12", 0.001)]
    assert (table.measure, table.unit, table.layout, table.n_missing) == (measure, unit, "long", 1)


def test_long_with_named_columns_in_any_order(tmp_path):
    path = write(tmp_path, "y,who,what,note\n1.5,a,x,u\n2.5,b,x,v\n")
    table = read_responses(path, sample_column="Who", drug_column="what", response_column="y", measure="EC50")
    assert rows(table) == [("a", "x", 1.5), ("b", "x", 2.5)]
    assert table.measure == "EC50"


def test_long_takes_the_measure_that_is_asked_for(tmp_path):
    path = write(tmp_path, "sample,drug,LN_IC50,AUC,tissue,targets\na,x,1,0.5,skin,BRAF\n")
    assert rows(read_responses(path)) == [("a", "x", 1.0)]
    table = read_responses(path, measure="AUC")
    assert rows(table) == [("a", "x", 0.5)]
    assert table.samples.loc["a", "tissue"] == "skin"
    assert table.drugs.loc["x", "targets"] == "BRAF"
    with pytest.raises(ReadError, match="no response column"):
        read_responses(write(tmp_path, "sample,drug,LN_IC50\na,x,1\n"), measure="AUC")


def test_long_repeats_need_a_replicate_column(tmp_path):
    body = "a,x,1,p\na,x,2,q\nb,x,3,p\n"
    with pytest.raises(DuplicateIds, match=r"1 pairs .*\(sample 'a', drug 'x': 2 times\).*`replicate`"):
        read_responses(write(tmp_path, "sample,drug,response,plate\n" + body))
    table = read_responses(write(tmp_path, "sample,drug,response,replicate\n" + body))
    assert rows(table)[:2] == [("a", "x", 1.0, "p"), ("a", "x", 2.0, "q")]
    with pytest.raises(DuplicateIds, match="replicate 'p': 2 times"):
        read_responses(write(tmp_path, "sample,drug,response,replicate\n" + body + "a,x,9,p\n"))


BAD = {
    "text": (
        "sample,drug,response\na,x,1\nb,x,high\n",
        InvalidValues,
        "'response', row 2: 'high' is not a number",
    ),
    "infinite": ("sample,drug,response\na,x,inf\n", InvalidValues, "row 1: inf is not finite"),
    "no drug id": ("sample,drug,response\na,,1\n", InvalidValues, "row 1 has no drug"),
    "no response": ("sample,drug,response\na,x,NA\n", InvalidValues, "holds no response value"),
    "no response column": (
        "sample,drug,dose\na,x,1\n",
        ReadError,
        "no response column .*it has 'sample', 'drug', 'dose'",
    ),
    "no sample column": ("drug,response\nx,1\n", ReadError, "no sample column"),
    "same sample twice": ("id,x,y\na,1,2\na,3,4\n", DuplicateIds, r"1 sample stands more than once \('a'\)"),
    "text in a matrix": ("id,x,y\na,1,2\nb,u,4\n", InvalidValues, "column 'x', row 'b': 'u' is not a number"),
    "words only": ("id,x,y\na,u,v\n", ReadError, "no known layout .*gdsc-wide.*gdsc-fitted.*wide.*long"),
    "same drug twice": ("COSMIC_ID,Drug_1_IC50,DRUG_1_IC50\n7,1,2\n", DuplicateIds, "1 drug stands"),
    "associations": (
        "Drug ID,Feature Name,ic50_effect_size\n1,TP53_mut,0.5\n",
        ReadError,
        "ANOVA associations",
    ),
}


@pytest.mark.parametrize(("text", "error", "says"), BAD.values(), ids=BAD)
def test_bad_tables_are_refused(tmp_path, text, error, says):
    with pytest.raises(error, match=says) as caught:
        read_responses(write(tmp_path, text))
    assert "r.csv" in str(caught.value)


def test_unknown_layout(tmp_path):
    with pytest.raises(ConfigurationError, match="layout 'broad' is not known"):
        read_responses(write(tmp_path, "id,x\na,1\n"), layout="broad")


@pytest.mark.real_data
def test_published_matrices(data_dir):
    table = read_responses(data_dir / "IC50_v17.csv.gz")
    assert (len(table.pairs), len(table.samples), len(table.drugs)) == (213_787, 988, 265)
    assert (table.measure, table.layout, table.n_missing) == ("LN_IC50", "gdsc-wide", 988 * 265 - 213_787)
    assert len(read_responses(data_dir / "IC50_10drugs.tsv").drugs) == 11
    melanoma = read_responses(data_dir / "anova_input_v17_skcm.txt")
    assert (len(melanoma.samples), len(melanoma.drugs)) == (55, 265)
    assert set(melanoma.samples["tissue"]) == {"skin"}
    both = melanoma.pairs.merge(table.pairs, on=["sample", "drug"])
    assert len(both) > 10_000
    np.testing.assert_allclose(both["response_x"], both["response_y"], rtol=1e-6)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("drug", "feature", "mutant", "wild_type"),
    [
        ("1047", "TP53_mut", 4.07, 2.50),  # Nutlin-3a
        ("1371", "BRAF_mut", 2.05, 4.18),  # PLX-4720
        ("1373", "BRAF_mut", -0.66, 3.62),  # dabrafenib
    ],
)
def test_known_biology(data_dir, drug, feature, mutant, wild_type):
    pairs = read_responses(data_dir / "IC50_v17.csv.gz").pairs
    response = pairs[pairs["drug"] == drug].set_index("sample")["response"]
    view = read_view(data_dir / "genomic_features_v17.csv.gz")
    mutated = view[response.index, feature].X.ravel() == 1
    assert response[mutated].mean() == pytest.approx(mutant, abs=0.005)
    assert response[~mutated].mean() == pytest.approx(wild_type, abs=0.005)
