"""Readers of drugs, SMILES and fingerprints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellixir.data.drugs import attach_smiles, morgan_fingerprints, read_drugs, target_sets
from cellixir.data.responses import read_responses
from cellixir.data.tables import read_table
from cellixir.exceptions import ConfigurationError, DuplicateIds, InvalidValues, ReadError


def write(folder: Path, text: str) -> Path:
    path = folder / "d.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "header",
    [
        "drug_id,Name,Synonyms,Targets,Target pathway,PubCHEM,SMILES",
        "DRUG_ID,DRUG_NAME,Synonyms,PUTATIVE_TARGET,PATHWAY_NAME,PubChem CID,isosmiles",
        "Drug Id,drug name,synonyms,TARGET,pathway,CID,CanonicalSMILES",
    ],
)
def test_columns_are_known_in_every_spelling(tmp_path, header):
    drugs = read_drugs(write(tmp_path, f'{header}\n1047,None,"a, b",MDM2,p53,216345,CCO\n'))
    assert drugs.loc["1047"].to_dict() == {
        "name": "None",
        "synonyms": "a, b",
        "targets": "MDM2",
        "pathway": "p53",
        "pubchem": "216345",
        "smiles": "CCO",
    }


def test_name_is_the_id_where_there_is_no_other(tmp_path):
    drugs = read_drugs(write(tmp_path, "Name,SMILE,extra\n5-FU,CC,1\n"))
    assert drugs.index.tolist() == ["5-FU"]
    assert drugs.columns.tolist() == ["name", "smiles"]


def test_words_instead_of_pubchem_ids_are_missing(tmp_path):
    drugs = read_drugs(write(tmp_path, "drug_id,PubCHEM\n1,none\n2,several\n3,12\n4,\n"))
    assert drugs["pubchem"].fillna("-").tolist() == ["-", "-", "12", "-"]


def test_the_same_drug_twice_is_merged_another_one_is_refused(tmp_path):
    drugs = read_drugs(write(tmp_path, "drug_id,Name,Sample Size,Count\n1,x,945,266\n1,x,12,3\n2,y,1,1\n"))
    assert drugs.index.tolist() == ["1", "2"]
    with pytest.raises(DuplicateIds, match=r"d\.csv: 1 drug stands more than once \('1'\)"):
        read_drugs(write(tmp_path, "drug_id,Name\n1,x\n1,y\n"))


def test_table_without_drugs(tmp_path):
    with pytest.raises(ReadError, match="no drug id or name column"):
        read_drugs(write(tmp_path, "gene,x\nTP53,1\n"))
    with pytest.raises(InvalidValues, match="row 2 has no drug"):
        read_drugs(write(tmp_path, "drug_id,Name\n1,x\n,y\n"))


DRUGS = pd.DataFrame(
    {
        "name": ["Alpha", "BETA ", "Gamma", "Delta", None],
        "synonyms": [None, None, "g-1, G 2", "x", None],
        "pubchem": ["11", None, None, "99", None],
    },
    index=["1", "2", "3", "4", "5"],
)
SMILES = pd.DataFrame(
    {
        "Name": ["other", "alpha", "beta", "g 2"],
        "CID": [11, 12, 13, 14],
        "CanonicalSMILES": ["C", "CC", "CCC", "CCCC"],
        "IsomericSMILES": ["N", "NN", "NNN", "NNNN"],
    }
)


def test_smiles_come_by_pubchem_then_name_then_synonym():
    found = attach_smiles(DRUGS, SMILES)
    assert found["smiles"].fillna("-").tolist() == ["C", "CCC", "CCCC", "-", "-"]
    assert "smiles" not in DRUGS
    isomeric = attach_smiles(DRUGS, SMILES, prefer="isomeric")
    assert isomeric["smiles"].fillna("-").tolist() == ["N", "NNN", "NNNN", "-", "-"]


def test_smiles_that_are_known_are_kept_and_ids_serve_as_names():
    drugs = pd.DataFrame({"smiles": ["O", None]}, index=["alpha", "Beta"])
    assert attach_smiles(drugs, SMILES)["smiles"].tolist() == ["O", "CCC"]


def test_smiles_table_must_be_one_and_agree_with_itself():
    with pytest.raises(ReadError, match="needs a SMILES"):
        attach_smiles(DRUGS, SMILES[["Name", "CID"]])
    with pytest.raises(ReadError, match="needs a SMILES"):
        attach_smiles(DRUGS, SMILES[["CanonicalSMILES"]])
    with pytest.raises(DuplicateIds, match=r"gives 'beta' \(name\) different SMILES"):
        attach_smiles(DRUGS, SMILES.assign(Name=["other", "alpha", "beta", "Beta"]))
    with pytest.raises(ConfigurationError, match="prefer='any'"):
        attach_smiles(DRUGS, SMILES, prefer="any")


def test_fingerprints_do_not_depend_on_how_the_smiles_is_written():
    smiles = pd.Series(["CCO", "OCC", "c1ccccc1", None, ""], index=list("abcde"))
    bits = morgan_fingerprints(smiles, n_bits=256)
    assert bits.shape == (5, 256)
    assert bits.dtype == np.uint8
    assert set(np.unique(bits)) == {0, 1}
    np.testing.assert_array_equal(bits[0], bits[1])
    # Ethanol: three atoms and three larger neighbourhoods; benzene: its atom at radius 0, 1 and 2.
    assert bits.sum(axis=1).tolist() == [6, 6, 3, 0, 0]
    assert morgan_fingerprints(smiles, radius=0).sum(axis=1).tolist() == [3, 3, 1, 0, 0]


def test_bad_smiles_is_named_and_rdkit_is_silent(capfd):
    with pytest.raises(InvalidValues, match=r"SMILES 'C1CC\(' of drug '7'"):
        morgan_fingerprints(pd.Series(["CC", "C1CC("], index=["1", "7"]))
    assert capfd.readouterr() == ("", "")


def test_target_sets_split_outside_brackets():
    drugs = pd.DataFrame({"targets": ["AKT1, AKT2", "PDK1 (PDPK1, x); IKK", None]}, index=[1, 2, 3])
    assert target_sets(drugs) == {
        "1": frozenset({"AKT1", "AKT2"}),
        "2": frozenset({"PDK1 (PDPK1, x)", "IKK"}),
        "3": frozenset(),
    }
    assert target_sets(pd.DataFrame(index=["1"])) == {"1": frozenset()}


@pytest.mark.real_data
def test_published_drugs(data_dir):
    drugs = read_drugs(data_dir / "gdsc_drug_list_2019.csv")
    assert len(drugs) == 266
    screened = read_responses(data_dir / "IC50_v17.csv.gz").drugs.index
    listed = drugs.loc[drugs.index.intersection(screened)]
    assert len(listed) == 264
    table = read_table(data_dir / "gdsc_drug_smiles.csv")
    counts = {
        "name": attach_smiles(listed[["name"]], table)["smiles"].notna().sum(),
        "pubchem": attach_smiles(listed[["pubchem"]], table)["smiles"].notna().sum(),
        "all": attach_smiles(listed, table)["smiles"].notna().sum(),
    }
    assert counts == {"name": 235, "pubchem": 207, "all": 237}
    smiles = attach_smiles(listed, table)["smiles"]
    bits = morgan_fingerprints(smiles)
    assert ((bits.sum(axis=1) == 0) == smiles.isna()).all()
    assert target_sets(listed)["86"] == {"AKT1", "AKT2", "AKT3"}
