from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellixir.data.drugs import attach_smiles, read_drugs
from cellixir.data.matching import Matches, match_drugs, match_samples, shared_views
from cellixir.data.matching.drugs import bare_drug_key, drug_key
from cellixir.data.matching.samples import sample_key
from cellixir.data.tables import read_table
from cellixir.exceptions import ConfigurationError, GeneMismatch

IMATINIB = "CN1CCN(CC1)Cc1ccc(cc1)C(=O)Nc1ccc(C)c(c1)Nc1nccc(n1)-c1cccnc1"
MESYLATE = "CC1=C(C=C(C=C1)NC(=O)C2=CC=C(C=C2)CN3CCN(CC3)C)NC4=NC=CC(=N4)C5=CN=CC=C5.CS(=O)(=O)O"


def drugs(**columns: list[object]) -> pd.DataFrame:
    ids = columns.pop("id")
    return pd.DataFrame(columns, index=pd.Index(ids, dtype=object))


def lines(*names: str, prefix: str = "") -> pd.DataFrame:
    ids = [f"{1000 + i}{prefix}" for i in range(len(names))]
    return pd.DataFrame({"cell_line_name": list(names)}, index=ids)


def ways(found: Matches) -> list[tuple[str, str, str]]:
    return list(found.pairs.itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("name", "plain", "bare"),
    [
        ("PLX-4720", "plx4720", "plx4720"),
        ("Imatinib Mesylate", "imatinibmesylate", "imatinib"),
        ("erlotinib hydrochloride", "erlotinibhydrochloride", "erlotinib"),
        ("Nutlin-3a (-)", "nutlin3aminus", "nutlin3a"),
        ("(+)-JQ1", "plusjq1", "jq1"),
        ("(−)-JQ1", "minusjq1", "jq1"),
        ("α-tocopherol", "alphatocopherol", "alphatocopherol"),
        ("5-FU", "5fu", "5fu"),
        ("Sodium phosphate", "sodiumphosphate", "sodiumphosphate"),
        ("Sodium butyrate", "sodiumbutyrate", "butyrate"),
        ("", "", ""),
        (" -- ", "", ""),
    ],
)
def test_keys_of_drugs(name: str, plain: str, bare: str) -> None:
    assert (drug_key(name), bare_drug_key(name)) == (plain, bare)


@pytest.mark.parametrize("name", ["NCI-H23", "NCIH23", "H23", "nci-h23", "NCIH23_LUNG", " NCI H23 "])
def test_one_line_has_one_key(name: str) -> None:
    assert sample_key(name) == "h23"


def test_a_name_that_only_looks_like_ccle_is_not_cut() -> None:
    assert sample_key("SK_MEL_28") == "skmel28"
    assert sample_key("NCIH2052_PLEURA") == "h2052"
    assert sample_key("LS513_LARGE_INTESTINE") == "ls513"
    assert sample_key("NCI-ADR") == "nciadr"  # the prefix goes before H and a number only


def test_each_way_to_find_a_drug() -> None:
    left = drugs(
        id=["1", "2", "3", "4", "5", "6"],
        name=["Erlotinib", "PLX-4720", "Imatinib", "Rapamycin", "Sunitinib", "Alpha"],
        synonyms=[None, None, None, "AY-22989, Sirolimus", None, None],
        pubchem=[None, None, None, None, "5329102", None],
        smiles=[None, None, None, None, None, IMATINIB],
    )
    right = drugs(
        id=["1", "b", "c", "d", "e", "f"],
        name=["Erlotinib", "plx 4720", "Imatinib Mesylate", "sirolimus", "SU11248", "Beta"],
        pubchem=[None, None, None, None, "CID 5329102", None],
        smiles=[None, None, None, None, None, MESYLATE],
    )
    found = match_drugs(left, right)
    assert ways(found) == [
        ("1", "1", "id"),
        ("2", "b", "name"),
        ("3", "c", "name without salt"),
        ("4", "d", "synonym"),
        ("5", "e", "PubChem id"),
        ("6", "f", "structure"),
    ]
    assert found.by == dict.fromkeys(["id", "name", "name without salt", "synonym", "PubChem id", "structure"], 1)
    assert found.renamed["c"] == "3"
    assert found.undecided.empty


def test_one_name_of_two_drugs_is_decided_by_structure() -> None:
    left = drugs(id=["10", "11"], name=["AKT inhibitor", "AKT-inhibitor"], smiles=["CCO", IMATINIB])
    found = match_drugs(left, drugs(id=["x"], name=["akt inhibitor"], smiles=[MESYLATE]))
    assert ways(found) == [("11", "x", "name, structure")]


@pytest.mark.parametrize("smiles", [None, "CCN", IMATINIB])
def test_one_name_of_two_drugs_is_not_matched_where_structure_says_nothing(smiles: str | None) -> None:
    left = drugs(id=["10", "11"], name=["Olaparib", "Olaparib"], smiles=[IMATINIB, IMATINIB])
    found = match_drugs(left, drugs(id=["x"], name=["olaparib"], smiles=[smiles]))
    assert len(found) == 0
    assert found.undecided.to_dict("records") == [{"right": "x", "candidates": ("10", "11"), "by": "name"}]
    assert found.candidates == {"10", "11"}


def test_a_drug_is_matched_once() -> None:
    left = drugs(id=["1"], name=["Olaparib"])
    found = match_drugs(left, drugs(id=["1", "x"], name=["Olaparib", "olaparib"]))
    assert ways(found) == [("1", "1", "id")]
    assert list(found.undecided["right"]) == ["x"]


def test_numbers_of_two_systems_are_not_taken_for_ids() -> None:
    left = drugs(id=["1", "2", "3"], name=["Erlotinib", "Sunitinib", "Rapamycin"])
    found = match_drugs(left, drugs(id=["1", "2", "3"], name=["Sunitinib", "Rapamycin", "Axitinib"]))
    assert ways(found) == [("2", "1", "name"), ("3", "2", "name")]
    assert "3 of 3 that both studies have stand beside other names" in found.notes[0]


def test_an_id_whose_name_and_structure_differ_is_another_drug() -> None:
    names = ["Erlotinib", "Sunitinib", "Rapamycin"]
    left = drugs(id=["1", "2", "3"], name=names, smiles=[None, None, "CCO"])
    right = drugs(id=["1", "2", "3"], name=[*names[:2], "Axitinib"], smiles=[None, None, "CCCN"])
    found = match_drugs(left, right)
    assert [row[0] for row in ways(found)] == ["1", "2"]
    assert "names and structures differ: 1 ('3')" in found.notes[0]
    without = match_drugs(left, right.drop(columns="smiles"))  # a new name alone is a renamed drug
    assert len(without) == 3


def test_enantiomers_are_two_drugs_and_flat_structures_are_either() -> None:
    left = drugs(id=["a"], smiles=["C[C@H](N)C(=O)O"])
    assert len(match_drugs(left, drugs(id=["x"], smiles=["C[C@@H](N)C(=O)O"]))) == 0
    assert len(match_drugs(left, drugs(id=["x"], smiles=["OC(=O)C(C)N"]))) == 1
    assert len(match_drugs(left, drugs(id=["x"], smiles=["N[C@@H](C)C(O)=O"]))) == 1


def test_smiles_that_do_not_parse_are_named_and_do_no_harm() -> None:
    found = match_drugs(drugs(id=["a"], name=["A1"], smiles=["C1CC"]), drugs(id=["x"], name=["a1"]))
    assert len(found) == 1
    assert found.notes == ("drugs whose SMILES do not parse: 1 ('a')",)


def test_a_number_in_place_of_a_name_is_no_name() -> None:
    left = drugs(id=["1003", "5"], name=["1003", "Axitinib"])
    assert len(match_drugs(left, drugs(id=["x"], name=["1003"]))) == 0


def test_tables_without_columns_or_rows() -> None:
    empty = pd.DataFrame(index=pd.Index([], dtype=object))
    for match in (match_drugs, match_samples):
        assert len(match(empty, empty)) == 0
        assert len(match(pd.DataFrame(index=["a"]), empty)) == 0
        assert ways(match(pd.DataFrame(index=["a"]), pd.DataFrame(index=["a"]))) == [("a", "a", "id")]
        assert match(pd.DataFrame(index=["a"]), empty).n_left == 1


def test_each_way_to_find_a_sample() -> None:
    left = pd.DataFrame({"cell_line_name": ["NCI-H23", "A253", "PFSK-1", None]}, index=["722066", "906794", "3", "4"])
    right = pd.DataFrame({"cosmic_id": [None, "906794", None, None]}, index=["NCIH23_LUNG", "ACH-000740", "PFSK1", "4"])
    found = match_samples(left, right)
    assert sorted(ways(found)) == [
        ("3", "PFSK1", "cell-line name"),
        ("4", "4", "id"),
        ("722066", "NCIH23_LUNG", "cell-line name"),
        ("906794", "ACH-000740", "id"),
    ]


def test_two_lines_of_one_table_with_one_name_are_not_merged() -> None:
    found = match_samples(lines("SK-X1", "SKX-1", "A253"), lines("SKX1", "A253", prefix="r"))
    assert [row[:2] for row in ways(found)] == [("1002", "1001r")]
    assert found.undecided.to_dict("records") == [
        {"right": "1000r", "candidates": ("1000", "1001"), "by": "cell-line name"}
    ]


def test_lines_that_both_tables_tell_apart_are_matched_by_spelling() -> None:
    found = match_samples(lines("TT", "T-T"), lines("T-T", "TT", prefix="r"))
    assert ways(found) == [
        ("1000", "1001r", "cell-line name, spelling"),
        ("1001", "1000r", "cell-line name, spelling"),
    ]


@pytest.mark.parametrize("pair", [("TT", "T-T"), ("TT", "TT_OESOPHAGUS"), ("KM-H2", "KMH2_THYROID"), ("TT", "TT")])
def test_known_twins_are_not_matched_by_name_alone(pair: tuple[str, str]) -> None:
    found = match_samples(lines(pair[0]), lines(pair[1], prefix="r"))
    assert len(found) == 0
    assert found.candidates == {"1000"}


def test_twins_with_one_id_are_one_line() -> None:
    assert ways(match_samples(lines("TT"), lines("TT"))) == [("1000", "1000", "id")]


def test_sample_numbers_of_two_systems_are_not_ids() -> None:
    left, right = lines("A253", "PFSK-1", "ES3"), lines("PFSK-1", "ES3", "MC-CAR")
    found = match_samples(left, right)
    assert [row[:2] for row in ways(found)] == [("1001", "1000"), ("1002", "1001")]
    assert "two systems" in found.notes[0]


def test_an_id_stands_where_one_study_knows_no_names() -> None:
    named = lines("A253", "PFSK-1").set_axis(["S1", "S2"])
    assert match_samples(named, pd.DataFrame(index=["S1", "S2"])).by == {"id": 2}
    assert match_samples(pd.DataFrame(index=["S1", "S2"]), named).by == {"id": 2}
    listed = drugs(id=["D1", "D2"], name=["Erlotinib", "Sunitinib"])
    assert match_drugs(listed, pd.DataFrame(index=["D1", "D2"])).by == {"id": 2}
    assert match_drugs(pd.DataFrame(index=["D1", "D2"]), listed).by == {"id": 2}


def test_ids_that_were_not_believed_are_not_taken_for_names() -> None:
    left = lines("A253", "PFSK-1").set_axis(["S1", "S2"])
    assert len(match_samples(left, lines("ES3", "MC-CAR").set_axis(["S1", "S2"]))) == 0


def test_an_alias_beside_a_trusted_id_is_said() -> None:
    found = match_samples(lines("A253", "PFSK-1", "ES3"), lines("A253", "PFSK-1", "Ewing 3"))
    assert len(found) == 3
    assert found.notes == ("samples with one id, but other names in each study: 1 ('ES3 and Ewing 3')",)


NAMES = st.lists(
    st.from_regex(r"[A-Z]{1,3}-?[0-9]{1,3}", fullmatch=True), min_size=1, max_size=12, unique_by=sample_key
)


@given(NAMES, st.randoms(use_true_random=False))
def test_matches_are_one_to_one_and_order_says_nothing(names: list[str], random: object) -> None:
    left, right = lines(*names), lines(*[n.replace("-", " ").lower() for n in names], prefix="r")
    found = match_samples(left, right)
    shuffled = match_samples(left.sample(frac=1, random_state=1), right.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(found.pairs, shuffled.pairs)
    pd.testing.assert_frame_equal(found.undecided, shuffled.undecided)
    assert found.pairs["left"].is_unique
    assert found.pairs["right"].is_unique
    assert all(right == f"{left}r" for left, right, _ in ways(found))
    assert len(found) + len(found.undecided) == len(names)


DRUG_NAMES = st.lists(st.sampled_from(["AZ1", "az-1", "az1 mesylate", "B2", "b-2 HCl", "C3", "c 3"]), max_size=8)


@given(DRUG_NAMES, DRUG_NAMES)
def test_no_drug_is_matched_twice_whatever_the_names(a: list[str], b: list[str]) -> None:
    left = drugs(id=[f"l{i}" for i in range(len(a))], name=list(a))
    right = drugs(id=[f"r{i}" for i in range(len(b))], name=list(b))
    found = match_drugs(left, right)
    assert found.pairs["left"].is_unique
    assert found.pairs["right"].is_unique
    assert not set(found.undecided["right"]) & set(found.pairs["right"])
    for i, j, _ in ways(found):
        assert bare_drug_key(left.loc[i, "name"]) == bare_drug_key(right.loc[j, "name"])
    again = match_drugs(left[::-1], right[::-1])
    pd.testing.assert_frame_equal(found.pairs, again.pairs)


def view(genes: list[str], values: object = None, *, scale: str = "log2_tpm", guessed: bool = False) -> ad.AnnData:
    x = np.asarray(np.arange(2 * len(genes)).reshape(2, -1) if values is None else values, dtype=np.float32)
    made = ad.AnnData(x, pd.DataFrame(index=["s1", "s2"]), pd.DataFrame(index=genes))
    made.uns.update(scale=scale, scale_guessed=guessed, name="expression")
    return made


def test_views_are_cut_to_shared_genes_in_one_order() -> None:
    left, right = view(["C", "A", "B"]), view(["B", "X", "A"])
    ours, theirs, table = shared_views({"e": left, "only": left}, {"e": right})
    assert list(ours) == ["e"]
    assert list(ours["e"].var_names) == list(theirs["e"].var_names) == ["A", "B"]
    np.testing.assert_array_equal(ours["e"].X, [[1, 2], [4, 5]])
    np.testing.assert_array_equal(theirs["e"].X, [[2, 0], [5, 3]])
    assert table.to_dict("records") == [
        {"view": "e", "n_left": 3, "n_right": 3, "n_both": 2, "scale": "log2_tpm", "scale_checked": True}
    ]


def test_genes_that_are_missing_are_filled_with_the_training_mean() -> None:
    genes = [f"G{i}" for i in range(10)]
    left = view(genes)
    left.X[0, 9] = np.nan
    _, theirs, table = shared_views({"e": left}, {"e": view(genes[:8])}, genes="filled")
    assert list(theirs["e"].var_names) == genes
    np.testing.assert_allclose(theirs["e"][:, "G8"].X, [[13.0], [13.0]])  # mean of 8 and 18
    np.testing.assert_allclose(theirs["e"][:, "G9"].X, [[19.0], [19.0]])  # the gap is left out
    assert int(table["n_both"].iloc[0]) == 8


def test_too_few_genes_to_fill_are_counted() -> None:
    genes = [f"G{i}" for i in range(10)]
    with pytest.raises(GeneMismatch, match=r"has 7 of the 10 features of the view 'e' \(70%, fewer than 80%\)"):
        shared_views({"e": view(genes)}, {"e": view(genes[:7])}, genes="filled")


def test_no_gene_in_common_names_examples_of_both() -> None:
    with pytest.raises(GeneMismatch, match=r"training study has 'TP53'.*external study 'ENSG1'"):
        shared_views({"e": view(["TP53"])}, {"e": view(["ENSG1"])})


def test_no_view_in_common_names_examples_of_both() -> None:
    with pytest.raises(ConfigurationError, match=r"has 'expression', the external study 'rna'"):
        shared_views({"expression": view(["A"])}, {"rna": view(["A"])})
    with pytest.raises(ConfigurationError, match="the external study none"):
        shared_views({"expression": view(["A"])}, {})


def test_views_that_training_lacks_are_left_out() -> None:
    ours, theirs, table = shared_views({}, {"rna": view(["A"])})
    assert (ours, theirs, len(table)) == ({}, {}, 0)


def test_two_scales_are_an_error_that_says_how_to_convert() -> None:
    with pytest.raises(
        ConfigurationError, match=r"is log2_tpm in .* and counts in .*one million \(TPM\), add 1, take log2"
    ):
        shared_views({"e": view(["A"])}, {"e": view(["A"], scale="counts")})
    with pytest.raises(ConfigurationError, match=r"guessed wrongly.*uns\['scale'\]"):
        shared_views({"e": view(["A"])}, {"e": view(["A"], scale="counts", guessed=True)})


def test_a_scale_that_one_study_does_not_know_is_not_checked() -> None:
    ours, _, table = shared_views({"e": view(["A"], scale="unknown")}, {"e": view(["A"])})
    assert ours["e"].uns["scale"] == "log2_tpm"
    assert not table["scale_checked"].iloc[0]


@pytest.mark.real_data
def test_v17_lines_and_ccle_names(data_dir: Path) -> None:
    info = read_table(data_dir / "cosmic_info.csv.gz", dtype_text="all").set_index("COSMIC_ID")
    known = read_table(data_dir / "derived" / "cellline_map_cosmic_depmap.csv", dtype_text="all")
    known = known[known["COSMIC_ID"].isin(info.index)]
    found = match_samples(info, pd.DataFrame(index=pd.Index(known["CCLE_ID"])))
    truth = dict(zip(known["CCLE_ID"], known["COSMIC_ID"], strict=True))
    assert {right: left for right, left in found.renamed.items() if truth[right] != left} == {}
    assert len(found) == len(known) - 2
    assert set(found.undecided["right"]) == {"TT_THYROID", "KMH2_THYROID"}


@pytest.mark.real_data
def test_gdsc_drugs_by_id_and_by_name(data_dir: Path) -> None:
    listed = attach_smiles(
        read_drugs(data_dir / "gdsc_drug_list_2019.csv"), read_table(data_dir / "gdsc_drug_smiles.csv")
    )
    assert match_drugs(listed, listed).by == {"id": len(listed)}
    named = match_drugs(listed, listed.set_axis([f"G{i}" for i in listed.index]))
    assert all(right == f"G{left}" for left, right, _ in ways(named))
    twice = listed.index[listed["name"].str.casefold().duplicated(keep=False)]
    assert (
        len(twice) == 32
    )  # one compound under two ids: nothing can decide, but for the one bleomycin with a PubChem id
    assert set(named.undecided["right"]) == {f"G{i}" for i in twice} - {"G1378"}


@pytest.mark.real_data
def test_gdsc_drugs_and_another_laboratory(data_dir: Path) -> None:
    listed = attach_smiles(
        read_drugs(data_dir / "gdsc_drug_list_2019.csv"), read_table(data_dir / "gdsc_drug_smiles.csv")
    )
    table = read_table(data_dir / "oneil_smiles.csv", dtype_text="all")
    other = drugs(id=list(table.iloc[:, 0]), smiles=list(table.iloc[:, 1]))
    found = match_drugs(listed, other)
    called = {right: (listed.loc[left, "name"], by) for left, right, by in ways(found)}
    assert called["ZOLINZA"] == ("Vorinostat", "synonym")
    assert called["MITOMYCINE"] == ("Mitomycin-C", "structure")
    assert called["PACLITAXEL"] == ("Paclitaxel", "name")
    assert len(found) >= 22
