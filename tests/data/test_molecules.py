"""Tokens and graphs against structures that are known by heart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellixir.data import molecules
from cellixir.data.molecules import ATOM_FEATURES, BOND_FEATURES, MoleculeGraphs, molecule_graphs, tokenize_smiles
from cellixir.exceptions import ConfigurationError, InvalidValues

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
C60 = (
    "c12c3c4c5c1c1c6c7c2c2c8c3c3c9c4c4c%10c5c5c1c1c6c6c%11c7c2c2c7c8c3c3c8c9c4c4c9c%10c5c5c1c1c6c6c%11c2c2c7c3c3c8"
    "c4c4c9c5c1c1c6c2c3c41"
)
KNOWN = ["C", "CCO", ASPIRIN, "C1=CC=CC=C1", "[Na+].[Cl-]", "C[C@H](N)C(=O)O", "N.N.Cl[Pt]Cl", None, "", "F/C=C\\F"]


def one(smiles: str | None) -> MoleculeGraphs:
    return molecule_graphs(pd.Series({"drug": smiles}, dtype=object))


def total(graphs: MoleculeGraphs, *names: str) -> list[float]:
    """Sums of the named columns over the atoms."""
    return [float(graphs.node_features[:, ATOM_FEATURES.index(name)].sum()) for name in names]


def bonds(graphs: MoleculeGraphs, *names: str) -> list[float]:
    """Number of bonds with each property; every bond stands twice."""
    return [float(graphs.edge_features[:, BOND_FEATURES.index(name)].sum()) / 2 for name in names]


def test_aspirin() -> None:
    graphs = one(ASPIRIN)
    assert graphs.node_features.shape == (13, len(ATOM_FEATURES))
    assert graphs.edge_index.shape == (2, 26)
    assert total(graphs, "element=C", "element=O", "element=N", "aromatic", "ring") == [9, 4, 0, 6, 6]
    assert total(graphs, "hydrogens=0", "hydrogens=1", "hydrogens=3") == [7, 5, 1]  # C9H8O4
    assert total(graphs, "degree=1", "degree=2", "degree=3") == [4, 5, 4]
    assert total(graphs, "hybridisation=SP2", "hybridisation=SP3") == [12, 1]
    assert bonds(graphs, "bond=SINGLE", "bond=DOUBLE", "bond=AROMATIC", "ring") == [5, 2, 6, 6]


@pytest.mark.parametrize(
    ("smiles", "name", "expected"),
    [
        ("C[N+](C)(C)C", "charge", 1),
        ("CC(=O)[O-]", "charge", -1),
        ("C[C@H](N)C(=O)O", "chirality=S", 1),  # L-alanine
        ("OC(=O)[C@H](C)N", "chirality=S", 1),  # the same, written from the other end
        ("C[C@@H](N)C(=O)O", "chirality=R", 1),
        ("N.N.Cl[Pt]Cl", "element=Pt", 1),
        ("[Gd+3]", "element=other", 1),
        ("C#N", "hybridisation=SP", 2),
        ("FS(F)(F)(F)(F)F", "degree=6", 1),
        ("F[W](F)(F)(F)(F)(F)F", "degree=6", 1),  # seven neighbours are counted as six
    ],
)
def test_atoms(smiles: str, name: str, expected: float) -> None:
    assert total(one(smiles), name) == [expected]


@pytest.mark.parametrize(
    ("smiles", "name"),
    [("F/C=C/F", "stereo=E"), ("F/C=C\\F", "stereo=Z"), ("C#N", "bond=TRIPLE"), ("N->[Pt]", "bond=other")],
)
def test_bonds(smiles: str, name: str) -> None:
    assert bonds(one(smiles), name) == [1]


def test_each_atom_has_one_element_degree_and_hybridisation() -> None:
    graphs = molecule_graphs(pd.Series([ASPIRIN, "[Gd+3]", C60, "*C", "[H][H]"]))
    for kind in ("element", "degree", "hydrogens", "hybridisation"):
        columns = [name.startswith(f"{kind}=") for name in ATOM_FEATURES]
        assert (graphs.node_features[:, columns].sum(axis=1) == 1).all()
    kinds = [name.startswith("bond=") for name in BOND_FEATURES]
    assert (graphs.edge_features[:, kinds].sum(axis=1) == 1).all()


def test_a_bond_leads_both_ways_in_order_of_where_it_leads() -> None:
    graphs = molecule_graphs(pd.Series([ASPIRIN, None, C60]))
    start, end = graphs.edge_index
    assert np.array_equal(np.sort(end), end)
    assert np.array_equal(graphs.graph[start], graphs.graph[end])
    there = {(int(a), int(b)): tuple(f) for a, b, f in zip(start, end, graphs.edge_features, strict=True)}
    assert all(there[b, a] == features for (a, b), features in there.items())
    degree = graphs.node_features[:, [ATOM_FEATURES.index(f"degree={n}") for n in range(7)]].argmax(axis=1)
    assert np.array_equal(np.bincount(end, minlength=len(degree)), degree)


@pytest.mark.parametrize(
    "others", [("c1ccccc1", "C1=CC=CC=C1"), ("OCC", "CCO", "C(O)C"), ("[Na+].[Cl-]", "[Cl-].[Na+]")]
)
def test_how_a_smiles_was_written_does_not_matter(others: tuple[str, ...]) -> None:
    first, *rest = [one(smiles) for smiles in others]
    for graphs in rest:
        assert all(np.array_equal(getattr(first, name), getattr(graphs, name)) for name in vars(first))
    rows = tokenize_smiles(pd.Series(others)).tokens
    assert (rows == rows[0]).all()


@given(st.lists(st.sampled_from(KNOWN), max_size=8))
def test_graphs_of_many_are_those_of_each(chosen: list[str | None]) -> None:
    together = molecule_graphs(pd.Series(chosen, dtype=object))
    assert together.n_graphs == len(chosen)
    first = 0
    for number, smiles in enumerate(chosen):
        alone, here = one(smiles), together.graph == number
        assert np.array_equal(together.node_features[here], alone.node_features)
        leads_here = here[together.edge_index[1]] if len(here) else np.zeros(0, dtype=bool)
        assert np.array_equal(together.edge_index[:, leads_here] - first, alone.edge_index)
        assert np.array_equal(together.edge_features[leads_here], alone.edge_features)
        first += len(alone.graph)
    assert len(together.graph) == first


def test_no_drugs_and_no_structures() -> None:
    for smiles in (pd.Series([], dtype=object), pd.Series([None, np.nan, " ", "NA"])):
        graphs = molecule_graphs(smiles)
        assert graphs.node_features.shape == (0, len(ATOM_FEATURES))
        assert graphs.edge_features.shape == (0, len(BOND_FEATURES))
        assert graphs.edge_index.shape == (2, 0)
        assert graphs.n_graphs == len(smiles)
        found = tokenize_smiles(smiles, max_length=7)
        assert found.tokens.shape == (len(smiles), 7)
        assert not found.tokens.any()
        assert found.vocabulary == found.cut == ()


def test_a_structure_is_worked_out_once_and_cannot_be_spoilt() -> None:
    first = one("CCCCBr")
    missed = molecules._graph.cache_info().misses
    kept = first.node_features.copy()
    first.node_features[:] = -1.0
    first.edge_index[:] = -1
    again = one("BrCCCC")
    assert molecules._graph.cache_info().misses == missed
    assert np.array_equal(again.node_features, kept)
    assert again.edge_index.min() == 0
    assert molecules._graph.cache_info().maxsize is not None


@pytest.mark.parametrize("read", [molecule_graphs, tokenize_smiles])
@pytest.mark.parametrize("smiles", ["not a smiles", "C1CC", "C(C)(C)(C)(C)C"])
def test_a_smiles_that_does_not_parse(read, smiles: str) -> None:
    with pytest.raises(InvalidValues, match="does not parse; correct it or leave it empty") as caught:
        read(pd.Series({"1": "CCO", "AZD-0": smiles}))
    assert "'AZD-0'" in str(caught.value)
    assert repr(smiles) in str(caught.value)


def test_tokens_are_atoms_bonds_and_rings() -> None:
    found = tokenize_smiles(pd.Series({"a": "C[C@H](N)CCl", "b": "BrC#[N+][O-]"}), max_length=12)
    words = ["", "?", *found.vocabulary]
    assert [[words[k] for k in row if k] for row in found.tokens] == [
        ["C", "[C@H]", "(", "N", ")", "C", "Cl"],
        ["[O-]", "[N+]", "#", "C", "Br"],
    ]
    assert list(found.vocabulary) == sorted(found.vocabulary)
    assert found.tokens.dtype == np.int16


def test_tokens_in_a_row_are_the_smiles() -> None:
    found = tokenize_smiles(pd.Series([C60, ASPIRIN, "F/C=C\\F.[Na+].N->[Pt]"]))
    text = ["".join(("", "?", *found.vocabulary)[k] for k in row) for row in found.tokens]
    assert text == molecules._canonical_smiles(pd.Series([C60, ASPIRIN, "F/C=C\\F.[Na+].N->[Pt]"]))
    assert any(word.startswith("%1") for word in found.vocabulary)
    assert {"->", "/", "\\", "."} <= set(found.vocabulary)


def test_a_vocabulary_of_training_drugs_is_kept() -> None:
    train = tokenize_smiles(pd.Series(["CCO", "CCN"]))
    assert train.vocabulary == ("C", "N", "O")
    new = tokenize_smiles(pd.Series(["CCBr", "NCC"]), train.vocabulary, max_length=4)
    assert new.vocabulary == train.vocabulary
    assert new.tokens.tolist() == [[2, 2, 1, 0], [2, 2, 3, 0]]


def test_what_is_too_long_is_cut_and_named() -> None:
    found = tokenize_smiles(pd.Series({"short": "CC", "just": "CCC", "long": "CCCC", "none": None}), max_length=3)
    assert found.cut == ("long",)
    assert found.tokens.tolist() == [[2, 2, 0], [2, 2, 2], [2, 2, 2], [0, 0, 0]]


def test_settings_that_cannot_work() -> None:
    with pytest.raises(ConfigurationError, match="max_length is 0"):
        tokenize_smiles(pd.Series(["C"]), max_length=0)
    with pytest.raises(ConfigurationError, match="1 of 3 words stand twice"):
        tokenize_smiles(pd.Series(["C"]), ["C", "N", "C"])


def test_a_drug_may_stand_twice() -> None:
    twice = pd.Series(["CCO", None, "CCO"], index=["1", "1", "2"])
    assert molecule_graphs(twice).graph.tolist() == [0, 0, 0, 2, 2, 2]
    assert tokenize_smiles(twice, max_length=3).tokens.tolist() == [[2, 2, 3], [0, 0, 0], [2, 2, 3]]


@pytest.mark.real_data
def test_the_drugs_of_gdsc(data_dir) -> None:
    table = pd.read_csv(data_dir / "gdsc_drug_smiles.csv").set_index("name")
    flat, isomeric = (molecule_graphs(table[column]) for column in ("CanonicalSMILES", "IsomericSMILES"))
    assert (flat.n_graphs, len(flat.graph), flat.edge_index.shape[1]) == (223, 7132, 15604)
    assert np.unique(flat.graph).size == 223
    assert total(flat, "chirality=R", "chirality=S") == [0, 0]
    assert min(total(isomeric, "chirality=R", "chirality=S")) > 50
    found = tokenize_smiles(table["CanonicalSMILES"])
    assert (found.tokens > 0).sum(axis=1).max() == 173
    assert (found.cut, len(found.vocabulary)) == ((), 32)
    assert len(tokenize_smiles(table["CanonicalSMILES"], max_length=120).cut) == 2
