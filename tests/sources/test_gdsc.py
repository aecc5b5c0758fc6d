"""GDSC v17: a small release made up for the test, and golden values of the published one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellixir.data.response_data import ResponseData
from cellixir.exceptions import HashMismatch
from cellixir.sources import gdsc
from cellixir.sources.gdsc import datasets, load_gdsc_v17
from cellixir.sources.registry import sources

SMALL = {
    "gdsc-v17-ic50": "COSMIC_ID,Drug_1_IC50,Drug_7_IC50,Drug_9_IC50\n11,0.5,,-1.25\n12,,3.5,2\n13,1,,\n",
    "gdsc-v17-features": (
        "COSMIC_ID,TISSUE_FACTOR,MSI_FACTOR,TP53_mut,gain_cnaPANCAN1\n12,skin,1,1,0\n11,lung,0,0,1\n13,blood,0,1,1\n"
    ),
    "gdsc-cosmic-info": (
        "SAMPLE_NAME,COSMIC_ID,GDSC2,TCGA,SCREEN_MEDIUM,GROWTH_PROPERTIES\n"
        "A-1,11,lung_a,LUAD,R,Adherent\n42,12,melanoma,NA,D/F12,Suspension\nZ-9,99,melanoma,SKCM,R,Adherent\n"
    ),
    "gdsc-drug-list": (
        "drug_id,Name,Synonyms,Targets,Target pathway,PubCHEM\n"
        '1,Onetinib,"ONE-1, uno","KIT, MET",RTK signaling,5\n9,Nineplatin,,DNA,Other,none\n33,Other,,,,\n'
    ),
    "gdsc-drug-smiles": "name,CID,CanonicalSMILES,IsomericSMILES\nuno,5,CCO,CCO\n",
}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResponseData:
    """Three lines and three drugs; line 13 and drug 7 stand in no annotation."""
    for key, text in SMALL.items():
        (tmp_path / f"{key}.csv").write_text(text)
    monkeypatch.setattr(gdsc, "fetch", lambda key, *, progress: tmp_path / f"{key}.csv")
    return load_gdsc_v17()


def test_small_release_responses(small: ResponseData) -> None:
    rows = {(r["sample"], r["drug"]): r["response"] for r in small.responses.to_dict("records")}
    assert rows == {
        ("11", "1"): 0.5,
        ("11", "9"): -1.25,
        ("12", "7"): 3.5,
        ("12", "9"): 2.0,
        ("13", "1"): 1.0,
    }
    assert (small.measure, small.unit) == ("LN_IC50", "ln µM")


def test_small_release_lines_are_joined_by_id(small: ResponseData) -> None:
    lines = small.samples
    assert list(lines.index) == ["12", "11", "13"]  # as in the feature file
    assert lines["tissue"].to_dict() == {"11": "lung", "12": "skin", "13": "blood"}
    assert list(lines.loc["11", ["cell_line_name", "tcga", "medium", "growth"]]) == [
        "A-1",
        "LUAD",
        "R",
        "Adherent",
    ]
    assert lines.loc["12", "cell_line_name"] == "42"
    assert np.isnan(lines.loc["12", "tcga"])
    assert lines.loc["13", ["cell_line_name", "tcga", "medium", "growth"]].isna().all()


def test_small_release_drugs(small: ResponseData) -> None:
    drugs = small.drugs
    assert drugs["name"].to_dict() == {"1": "Onetinib", "7": "7", "9": "Nineplatin"}
    assert drugs.loc["1", ["targets", "pathway", "smiles"]].to_list() == ["KIT, MET", "RTK signaling", "CCO"]
    assert drugs.loc["7", ["targets", "pathway", "smiles"]].isna().all()
    assert drugs["smiles"].notna().sum() == 1


def test_small_release_features(small: ResponseData) -> None:
    names = ["MSI_FACTOR", "TP53_mut", "gain_cnaPANCAN1"]
    assert list(small.views["genomic"].var_names) == names
    expected = {"11": [0, 0, 1], "12": [1, 1, 0], "13": [0, 1, 1]}
    rows = dict(zip(small.samples.index, small.feature_matrix("genomic", names).tolist(), strict=True))
    assert rows == expected


def test_datasets_are_loaders_by_name() -> None:
    assert datasets() == {"gdsc-v17": load_gdsc_v17}


@pytest.fixture(scope="module")
def v17(data_dir: Path) -> ResponseData:
    for key in SMALL:
        if not (data_dir / sources()[key].file).is_file():
            pytest.skip(f"{sources()[key].file} is not in CELLIXIR_DATA_DIR")
    return load_gdsc_v17(progress=False)


def _mean(data: ResponseData, drug: str, feature: str, state: int) -> float:
    has = data.feature_matrix("genomic", [feature])[data.sample_index, 0] == state
    return float(data.response[has & (data.responses["drug"] == drug).to_numpy()].mean())


@pytest.mark.real_data
def test_v17_counts(v17: ResponseData) -> None:
    assert len(v17) == 213_787
    assert (len(v17.samples), len(v17.drugs)) == (988, 265)
    assert v17.responses["sample"].nunique() == 988
    assert v17.responses["drug"].nunique() == 265
    assert v17.views["genomic"].shape == (988, 678)
    assert v17.notes == ()
    assert (v17.measure, v17.unit) == ("LN_IC50", "ln µM")


@pytest.mark.real_data
def test_v17_lines(v17: ResponseData) -> None:
    line = v17.samples.loc["683665"]
    assert list(line[["cell_line_name", "tissue", "tcga", "medium", "growth"]]) == [
        "MC-CAR",
        "myeloma",
        "MM",
        "D/F12",
        "Suspension",
    ]
    assert v17.tissue.nunique() == 27
    assert v17.samples["msi"].sum() == v17.views["genomic"].to_df()["MSI_FACTOR"].sum() == 60
    assert v17.samples["cell_line_name"].notna().all()


@pytest.mark.real_data
def test_v17_drugs(v17: ResponseData) -> None:
    drugs = v17.drugs
    assert drugs.index[drugs["targets"].isna()].to_list() == ["1003"]
    assert drugs.loc["1003", "name"] == "1003"
    assert drugs.loc["1373", "name"] == "Dabrafenib"
    assert drugs["smiles"].notna().sum() >= 234


@pytest.mark.real_data
def test_v17_features_are_binary_and_keep_awkward_names(v17: ResponseData) -> None:
    view = v17.views["genomic"]
    assert set(np.unique(view.X)) == {0.0, 1.0}
    assert "loss_cnaPANCAN422, loss_cnaPANCAN423" in view.var_names
    assert view.uns["scale"] == "binary"


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("drug", "feature", "wild_type", "mutant"),
    [
        ("1047", "TP53_mut", 2.50, 4.07),  # Nutlin-3a
        ("1373", "BRAF_mut", 3.62, -0.66),  # dabrafenib
    ],
)
def test_v17_known_associations(v17: ResponseData, drug: str, feature: str, wild_type: float, mutant: float) -> None:
    assert _mean(v17, drug, feature, 0) == pytest.approx(wild_type, abs=0.005)
    assert _mean(v17, drug, feature, 1) == pytest.approx(mutant, abs=0.005)


@pytest.mark.real_data
def test_v17_with_a_damaged_file_is_refused(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = sources()["gdsc-v17-ic50"].file
    (tmp_path / name).write_bytes((data_dir / name).read_bytes()[:100_000])
    monkeypatch.setenv("CELLIXIR_DATA_DIR", str(tmp_path))
    with pytest.raises(HashMismatch, match="delete or replace"):
        load_gdsc_v17()
