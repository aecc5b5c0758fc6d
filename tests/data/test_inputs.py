"""From files as users and publishers write them to the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellixir.data.inputs import Reading, add_views, read_inputs, read_views
from cellixir.data.response_data import ResponseData
from cellixir.exceptions import DuplicateIds, InvalidValues, ReadError, UnknownIds

GENES = ["TP53", "BRAF", "KRAS", "EGFR", "SEPT2", "MARCH1", "MARC1", "DEC1"]
DRUGS = ["Imatinib", "Erlotinib", "Olaparib", "5-Fluorouracil"]
IDS = [str(905900 + i) for i in range(12)]
RANDOM = np.random.default_rng(0)
EXPRESSION = pd.DataFrame(RANDOM.normal(5, 1, (12, 8)).round(3), IDS, GENES)
RESPONSE = pd.DataFrame(RANDOM.normal(2, 2, (12, 4)).round(4), IDS, DRUGS)


def long(response: pd.DataFrame = RESPONSE, sample: str = "COSMIC_ID", value: str = "LN_IC50") -> pd.DataFrame:
    table = response.rename_axis(index=sample).reset_index().melt(sample, var_name="DRUG_NAME", value_name=value)
    return table.sort_values([sample, "DRUG_NAME"], kind="stable", ignore_index=True)


def read(
    folder: Path, response: pd.DataFrame, view: pd.DataFrame, reading: Reading | None = None, **inputs: object
) -> ResponseData:
    response.to_csv(folder / "ic50.csv", index=False)
    view.to_csv(folder / "expr.csv", index=False)
    return read_inputs(folder / "ic50.csv", omics={"expression": folder / "expr.csv"}, reading=reading, **inputs)  # type: ignore[arg-type]


def table_of(data: ResponseData) -> pd.DataFrame:
    return data.responses.pivot(index="sample", columns="drug", values="response")


def same(data: ResponseData, ids: list[str] = IDS, drugs: list[str] = DRUGS) -> None:
    """The data hold the numbers of RESPONSE and EXPRESSION, under these ids."""
    found = table_of(data)
    assert sorted(found.index) == sorted(ids)
    np.testing.assert_allclose(found.loc[ids, drugs], RESPONSE, rtol=1e-12)
    np.testing.assert_array_equal(data.views["expression"].to_df().loc[ids, GENES], EXPRESSION.astype(np.float32))


VIEW = EXPRESSION.rename_axis("COSMIC_ID").reset_index()


def test_ids_and_annotation_in_a_wide_table_are_no_drugs(tmp_path):
    names = [f"LINE-{i}" for i in range(12)]
    wide = RESPONSE.reset_index(names="COSMIC_ID").assign(Age=np.arange(12) + 40, depmap_id="x", TCGA_DESC="LUAD")
    wide.insert(0, "Cell line name", names)
    data = read(tmp_path, wide, EXPRESSION.set_axis(names).rename_axis("line").reset_index())
    same(data, names)
    assert data.drugs.index.tolist() == DRUGS
    assert any("no drugs: 'COSMIC_ID', 'Age', 'depmap_id'" in note for note in data.notes)


def test_a_column_of_another_kind_and_scale_is_questioned(tmp_path):
    wide = RESPONSE.assign(Passages=np.arange(12) * 7 + 100).reset_index(names="id")
    with pytest.raises(InvalidValues, match="'Passages' is no drug like the others: whole numbers 100 to 177"):
        read(tmp_path, wide, VIEW)
    data = read(tmp_path, wide.assign(Passages=wide["Passages"] + 0.25), VIEW)
    assert any("is this a drug? The values of 'Passages' (100.2 to 177.2" in note for note in data.notes)


def test_drugs_in_rows_are_turned_by_their_names(tmp_path):
    swapped = RESPONSE.T.set_axis([f"GDSC:{1000 + i}" for i in range(4)]).rename_axis("").reset_index()
    swapped.to_csv(tmp_path / "ic50.csv", index=False)
    data = read_inputs(tmp_path / "ic50.csv")
    assert (len(data.samples), len(data.drugs)) == (12, 4)
    np.testing.assert_array_equal(table_of(data).loc[IDS], RESPONSE)
    assert any("samples were taken to be the columns" in note for note in data.notes)


def test_drugs_in_rows_are_turned_by_the_samples_of_a_view(tmp_path):
    drugs, lines = ["dA", "dB", "dC", "dD"], [f"P{i}x" for i in range(12)]
    swapped = RESPONSE.T.set_axis(drugs).set_axis(lines, axis=1).rename_axis("id").reset_index()
    data = read(tmp_path, swapped, EXPRESSION.set_axis(lines).rename_axis("id").reset_index())
    same(data, lines, drugs)
    with pytest.raises(UnknownIds, match="none of its 12 rows"):
        read(tmp_path, swapped, EXPRESSION.set_axis([f"q{i}" for i in range(12)]).rename_axis("id").reset_index())


def half(ids: pd.Series, other: list[str]) -> list[str]:
    return [i if row % 2 else o for row, (i, o) in enumerate(zip(ids, other, strict=True))]


@pytest.mark.parametrize(
    ("name", "other", "listed"),
    [
        ("{}", "{}.0", "{}"),
        ("LINE{}", "LINE-{}", "LINE-{}"),
        ("LINE-{}", "line {}", "LINE-{}"),
        ("NCIH{}", "NCI-H{}", "NCIH{}_LUNG"),
        ("00{}", "00{}", "{}"),
    ],
    ids=["float", "hyphen", "case", "ccle", "lost zeros"],
)
def test_one_sample_in_several_spellings_is_joined(tmp_path, name, other, listed):
    response = long()
    response["COSMIC_ID"] = half(
        response["COSMIC_ID"].map(name.format), [other.format(i) for i in response["COSMIC_ID"]]
    )
    view = VIEW.assign(COSMIC_ID=[listed.format(i) for i in IDS])
    data = read(tmp_path, response, view)
    assert len(data) == 48
    same(data, sorted(data.samples.index, key=lambda i: int("".join(c for c in i.removesuffix(".0") if c.isdigit()))))
    assert any("joined" in note for note in data.notes)


def test_one_drug_in_several_spellings_is_joined(tmp_path):
    response = long()
    response["DRUG_NAME"] = half(response["DRUG_NAME"], [name.upper() for name in response["DRUG_NAME"]])
    response["DRUG_NAME"] = [
        d if i else d.upper() for i, d in zip(response.index % 5, response["DRUG_NAME"], strict=True)
    ]
    pd.DataFrame({"drug": ["imatinib", "erlotinib", "OLAPARIB"], "smiles": ["C", "CC", "CCC"]}).to_csv(
        tmp_path / "drugs.csv", index=False
    )
    data = read(tmp_path, response, VIEW, drugs=tmp_path / "drugs.csv")
    assert len(data.drugs) == 4
    smiles = {name.casefold(): smiles for name, smiles in data.drugs["smiles"].dropna().items()}
    assert smiles == {"imatinib": "C", "erlotinib": "CC", "olaparib": "CCC"}


def test_spellings_that_were_both_measured_stop(tmp_path):
    response = pd.concat([long(), long().assign(DRUG_NAME=long()["DRUG_NAME"].str.upper())])
    with pytest.raises(DuplicateIds, match=r"stand more than once once spellings are joined \(\d drugs? .*'IMATINIB'"):
        read(tmp_path, response, VIEW)


def test_twins_are_not_joined(tmp_path):
    ids = ["TT", "T-T", "KM-H2", "KMH-2", *IDS[4:]]
    view = EXPRESSION.set_axis(ids).rename_axis("line").reset_index()
    same(read(tmp_path, long(RESPONSE.set_axis(ids)), view), ids)


def test_most_data_lost_stops(tmp_path):
    strangers = VIEW.assign(COSMIC_ID=[*IDS[:3], *(f"X{i}" for i in range(9))])
    with pytest.raises(UnknownIds, match=r"only 3 of 12 samples .* 36 of 48 measurements would be lost"):
        read(tmp_path, long(), strangers)
    assert len(read(tmp_path, long(), VIEW[:3]).samples) == 3  # a small view that is used whole is no mistake


def test_a_second_id_of_the_response_file_joins_the_view(tmp_path):
    response = long()
    response.insert(1, "SANGER_MODEL_ID", response["COSMIC_ID"].map(lambda i: f"SIDM{int(i) - 905900:05d}"))
    view = EXPRESSION.set_axis([f"SIDM{i:05d}" for i in range(12)]).rename_axis("model_id").reset_index()
    data = read(tmp_path, response, view)
    same(data)
    assert any("by the column 'SANGER_MODEL_ID' of ic50.csv" in note for note in data.notes)


def test_depmap_headers(tmp_path):
    ach = [f"ACH-{i:06d}" for i in range(12)]
    view = EXPRESSION.set_axis(ach).set_axis([f"{g} ({7000 + i})" for i, g in enumerate(GENES)], axis=1)
    data = read(tmp_path, long(RESPONSE.set_axis(ach), "ModelID"), view.rename_axis("ModelID").reset_index())
    same(data, ach)
    assert data.views["expression"].var.loc["TP53", "entrez"] == "7000"


@pytest.mark.parametrize(
    ("first", "default"),
    [("ProfileID", "is_default_entry"), ("", "IsDefaultEntryForModel")],
    ids=["profiles", "25Q2"],
)
def test_depmap_profiles(tmp_path, first, default):
    ach = [f"ACH-{i:06d}" for i in range(12)]
    view = EXPRESSION.set_axis([f"{g} ({7000 + i})" for i, g in enumerate(GENES)], axis=1).reset_index(drop=True)
    view.insert(0, "ModelID", ach)
    view.insert(0, default, "Yes" if first == "" else True)
    again = view[:3].assign(**{default: "No" if first == "" else False, "TP53 (7000)": 99.0})
    view = pd.concat([again, view], ignore_index=True)
    view.insert(0, first, [f"PR-{i}" for i in range(15)] if first else range(15))
    response = long(RESPONSE.set_axis(ach), "depmap_id")
    data = read(tmp_path, response, view)
    same(data, ach)
    assert data.views["expression"].var_names.tolist() == GENES
    alone = read_views({"expression": tmp_path / "expr.csv"})["expression"]
    assert sorted(alone.obs_names) == ach


def test_gdsc_rma_file(tmp_path):
    rma = EXPRESSION.T.set_axis([f"DATA.{i}" for i in IDS], axis=1)
    rma.insert(0, "GENE_title", [f"gene {i} [Source:HGNC]" for i in range(8)])
    rma["DATA.905900.1"] = 1.0
    rma = pd.concat([rma, rma[:1].set_axis([""]).assign(GENE_title="no symbol")]).rename_axis("GENE_SYMBOLS")
    rma.to_csv(tmp_path / "Cell_line_RMA_proc_basalExp.txt", sep="\t")
    long().to_csv(tmp_path / "ic50.csv", index=False)
    omics = {"expression": tmp_path / "Cell_line_RMA_proc_basalExp.txt"}
    data = read_inputs(tmp_path / "ic50.csv", omics=omics)
    same(data)
    assert any("1 row without a gene name" in note for note in data.notes)
    assert any("a line that is measured again is left out: 'DATA.905900.1'" in note for note in data.notes)


def test_ccle_gct(tmp_path):
    names = [f"LINE{i}_LUNG" for i in range(12)]
    gct = EXPRESSION.T.set_axis(names, axis=1)
    gct.insert(0, "Description", [*GENES[:6], "DUP", "DUP"])
    gct.index = [f"ENSG0000000000{i}.1" for i in range(8)]
    text = gct.rename_axis("Name").to_csv(sep="\t")
    (tmp_path / "e.gct").write_text(f"#1.2\n8\t12\n{text}")
    long(RESPONSE.set_axis([f"LINE-{i}" for i in range(12)]), "CELL_LINE_NAME").to_csv(
        tmp_path / "ic50.csv", index=False
    )
    data = read_inputs(tmp_path / "ic50.csv", omics={"expression": tmp_path / "e.gct"})
    view = data.views["expression"].to_df()
    assert view.columns.tolist() == [*GENES[:6], "ENSG00000000006.1", "ENSG00000000007.1"]
    np.testing.assert_array_equal(view.loc[[f"LINE-{i}" for i in range(12)]], EXPRESSION.astype(np.float32))
    (tmp_path / "e.gct").write_text(text)
    with pytest.raises(ReadError, match=r"does not begin with #1\.2"):
        read_inputs(tmp_path / "ic50.csv", omics={"expression": tmp_path / "e.gct"})


def test_a_gene_called_nan_is_left_out_and_said(tmp_path):
    genes = EXPRESSION.T.assign(order=range(8)).rename(index={"DEC1": "nan"}).drop(columns="order")
    data = read(tmp_path, long(), genes.rename_axis("gene").reset_index())
    assert data.views["expression"].var_names.tolist() == GENES[:-1]
    assert any("1 row without a gene name (empty, NA or nan; the first is row 8)" in note for note in data.notes)


DATES = {"SEPT2": "2-Sep", "MARCH1": "1-Mar", "DEC1": "1-Dec"}


@pytest.mark.parametrize("side", ["columns", "rows"])
@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_dates_of_a_spreadsheet_are_named_and_mapped_back_on_request(tmp_path, side, suffix):
    changed = EXPRESSION.rename(columns=DATES)
    if suffix == "xlsx":
        cells = {
            "2-Sep": pd.Timestamp("2026-09-02"),
            "1-Mar": pd.Timestamp("2026-03-01"),
            "1-Dec": pd.Timestamp("2026-12-01"),
        }
        changed = changed.rename(columns=cells)
    changed = changed if side == "columns" else changed.T
    file = tmp_path / f"expr.{suffix}"
    changed.to_csv(file, index_label="id") if suffix == "csv" else changed.to_excel(file, index_label="id")
    long().to_csv(tmp_path / "ic50.csv", index=False)
    says = r"dates, made by a spreadsheet, are among its genes \(3\).*\(SEPT2\).*\(MARCH1\).*\(DEC1\).*--restore-genes"
    with pytest.raises(ReadError, match=says):
        read_inputs(tmp_path / "ic50.csv", omics={"expression": file})
    data = read_inputs(tmp_path / "ic50.csv", omics={"expression": file}, reading=Reading(restore_genes=True))
    same(data)
    assert any("dates among its genes were mapped back (3)" in note for note in data.notes)


def test_a_date_that_may_be_two_genes_is_not_mapped_back(tmp_path):
    view = VIEW.rename(columns=DATES).drop(columns="MARC1")
    with pytest.raises(ReadError, match=r"'1-Mar' \(MARCH1 or MARC1\); write the names as text$"):
        read(tmp_path, long(), view, Reading(restore_genes=True))


def test_samples_and_drugs_that_are_dates_are_refused(tmp_path):
    with pytest.raises(ReadError, match=r"are among its samples \(1\): \'5-Oct\'"):
        read(tmp_path, long(RESPONSE.rename(index={IDS[3]: "5-Oct"})), VIEW)
    with pytest.raises(ReadError, match=r"are among its drugs \(1\)"):
        read(tmp_path, long(RESPONSE.rename(columns={"Olaparib": "Mar-01"})), VIEW)
    with pytest.raises(ReadError, match=r"are among its drugs \(1\)"):
        read(tmp_path, RESPONSE.rename(columns={"Olaparib": "2-Sep"}).reset_index(names="id"), VIEW)
    with pytest.raises(ReadError, match=r"are among its samples \(1\)"):
        read(tmp_path, long(), VIEW.replace({"COSMIC_ID": {IDS[3]: "3-Mar"}}))


def test_marks_for_missing_values_are_refused(tmp_path):
    with pytest.raises(InvalidValues, match=r"column 'LN_IC50', row 2: -999 looks like a mark .* \(1 such\)"):
        read(tmp_path, long().assign(LN_IC50=[*long()["LN_IC50"][:1], -999, *long()["LN_IC50"][2:]]), VIEW)
    with pytest.raises(InvalidValues, match=r"column 'KRAS', row '905900': -999 looks like a mark .* \(12 such\)"):
        read(tmp_path, long(), VIEW.assign(KRAS=-999.0))


def test_decimal_comma_and_utf16(tmp_path):
    VIEW.to_csv(tmp_path / "expr.csv", index=False)
    long().to_csv(tmp_path / "ic50.tsv", index=False, sep="\t", decimal=",")
    same(read_inputs(tmp_path / "ic50.tsv", omics={"expression": tmp_path / "expr.csv"}))
    long().to_csv(tmp_path / "ic50.txt", index=False, sep="\t", decimal=",", encoding="utf-16")
    same(read_inputs(tmp_path / "ic50.txt", omics={"expression": tmp_path / "expr.csv"}))


def test_genes_in_rows_are_seen_by_the_features_of_a_model(tmp_path):
    EXPRESSION.T.to_csv(tmp_path / "new.csv", index_label="gene")
    view = read_views({"expression": tmp_path / "new.csv"}, features={"expression": GENES})["expression"]
    assert (view.obs_names.tolist(), view.var_names.tolist()) == (IDS, GENES)
    assert "genes were taken to be the rows" in view.uns["notes"][0]


def test_ids_without_a_header_stay_the_ids(tmp_path):
    EXPRESSION.assign(patient="x").to_csv(tmp_path / "new.csv")
    assert read_views({"expression": tmp_path / "new.csv"})["expression"].obs_names.tolist() == IDS


def test_views_that_are_added_are_joined_too(tmp_path):
    data = read(tmp_path, long(), VIEW)
    VIEW.assign(COSMIC_ID=[f"{i}.0" for i in IDS[:6]] + [f"{i}" for i in IDS[6:]]).to_csv(
        tmp_path / "more.csv", index=False
    )
    more = add_views(data, {"more": tmp_path / "more.csv"})
    assert more.views["more"].n_obs == 12
    assert any("view 'more': 6 samples are spelled in several ways" in note for note in more.notes)
