"""SMILES tokens and molecule graphs of drugs, as networks read them.

Both start from RDKit's canonical SMILES, so that a drug gives the same numbers however its SMILES was written
(PubChem writes benzene ``C1=CC=CC=C1``, others ``c1ccccc1``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from cellixir.data.drugs import _molecule, check_length
from cellixir.data.tables import as_text
from cellixir.exceptions import ConfigurationError

PADDING, UNKNOWN = 0, 1  # the first word of a vocabulary is token 2
MAX_TOKENS = 200  # the longest of 223 GDSC drugs has 173
CACHED_DRUGS = 8192  # about 10 kB each

# A bracket atom is one token, as are two-letter atoms, two-digit ring bonds and dative bonds. The final dot
# leaves no character of a SMILES out.
_TOKEN = re.compile(r"\[[^\]]+\]|Br|Cl|%\d\d|%\(\d+\)|->|<-|.")

_ELEMENTS = ("B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Se", "Br", "I", "Pt")
_HYBRIDS = ("SP", "SP2", "SP3", "SP3D", "SP3D2")
_BONDS = ("SINGLE", "DOUBLE", "TRIPLE", "AROMATIC")
_STEREO = {"STEREOE": "E", "STEREOTRANS": "E", "STEREOZ": "Z", "STEREOCIS": "Z"}
_MOST_NEIGHBOURS, _MOST_HYDROGENS = 6, 4

ATOM_FEATURES: tuple[str, ...] = (
    *(f"element={element}" for element in _ELEMENTS),
    "element=other",
    *(f"degree={n}" for n in range(_MOST_NEIGHBOURS + 1)),
    *(f"hydrogens={n}" for n in range(_MOST_HYDROGENS + 1)),
    *(f"hybridisation={name}" for name in _HYBRIDS),
    "hybridisation=other",
    "chirality=R",
    "chirality=S",
    "aromatic",
    "ring",
    "charge",
)
BOND_FEATURES: tuple[str, ...] = (
    *(f"bond={name}" for name in _BONDS),
    "bond=other",
    "conjugated",
    "ring",
    "stereo=E",
    "stereo=Z",
)
_ATOM_COLUMN = {name: column for column, name in enumerate(ATOM_FEATURES)}
_BOND_COLUMN = {name: column for column, name in enumerate(BOND_FEATURES)}


class SmilesTokens(NamedTuple):
    """Token numbers of drugs, what the numbers mean, and which drugs did not fit."""

    tokens: NDArray[np.int16]  # (n_drugs, max_length), 0 padding, 1 unknown
    vocabulary: tuple[str, ...]  # token k + 2 is vocabulary[k]
    cut: tuple[str, ...]  # ids of drugs with more tokens than max_length


@dataclass(frozen=True)
class MoleculeGraphs:
    """Molecules as one graph of many parts: atoms are nodes, each bond is an edge in both directions.

    Nodes stand in order of their molecule, edges in order of their molecule and, within it, of the atom they lead to.

    Parameters
    ----------
    node_features
        Float32, shape ``(n_atoms, len(ATOM_FEATURES))``.
    edge_index
        Int64, shape ``(2, n_edges)``: from which node, to which node.
    edge_features
        Float32, shape ``(n_edges, len(BOND_FEATURES))``.
    graph
        Int64, shape ``(n_atoms,)``: which molecule an atom belongs to.
    n_graphs
        Number of drugs; one without SMILES is a graph without nodes.
    """

    node_features: NDArray[np.float32]
    edge_index: NDArray[np.int64]
    edge_features: NDArray[np.float32]
    graph: NDArray[np.int64]
    n_graphs: int


def tokenize_smiles(
    smiles: pd.Series, vocabulary: Sequence[str] | None = None, *, max_length: int = MAX_TOKENS
) -> SmilesTokens:
    """Tokens of the canonical SMILES, their vocabulary, and the drugs that were cut.

    Parameters
    ----------
    smiles
        By drug id; a drug without SMILES is a row of zeros.
    vocabulary
        As of the training drugs; a token it lacks becomes 1. Without it, the tokens of ``smiles`` in sorted order.
    max_length
        Width of the result; what is longer loses its end and is named in ``cut``.

    Raises
    ------
    InvalidValues
        If a SMILES does not parse.
    ConfigurationError
        If ``max_length`` is below 1 or a word stands twice in the vocabulary.

    Examples
    --------
    >>> drugs = pd.Series({"chloroethane": "CCCl", "nothing": None})
    >>> tokenize_smiles(drugs, max_length=4).tokens.tolist()
    [[2, 2, 3, 0], [0, 0, 0, 0]]
    """
    if max_length < 1:
        message = f"max_length is {max_length}; a row needs at least 1 token"
        raise ConfigurationError(message)
    rows = [_TOKEN.findall(text) for text in _canonical_smiles(smiles)]
    words = tuple(sorted({token for row in rows for token in row}) if vocabulary is None else vocabulary)
    number = {word: k for k, word in enumerate(words, start=UNKNOWN + 1)}
    if len(number) < len(words):
        message = f"{len(words) - len(number)} of {len(words)} words stand twice in the vocabulary; keep one of each"
        raise ConfigurationError(message)
    tokens = np.full((len(rows), max_length), PADDING, dtype=np.int16)
    for out, row in zip(tokens, rows, strict=True):
        out[: len(row)] = [number.get(token, UNKNOWN) for token in row[:max_length]]
    cut = tuple(str(drug) for drug, row in zip(smiles.index, rows, strict=True) if len(row) > max_length)
    return SmilesTokens(tokens, words, cut)


def molecule_graphs(smiles: pd.Series) -> MoleculeGraphs:
    """Graphs of the drugs, in their order; each structure is worked out once and remembered.

    Hydrogens are counted on the atom that carries them. Salts and mixtures are one graph of several pieces.

    Raises
    ------
    InvalidValues
        If a SMILES does not parse.

    Examples
    --------
    >>> graphs = molecule_graphs(pd.Series({"ethanol": "OCC", "nothing": None}))
    >>> graphs.edge_index.tolist(), graphs.graph.tolist(), graphs.n_graphs
    ([[1, 0, 2, 1], [0, 1, 1, 2]], [0, 0, 0], 2)
    """
    parts = [_graph(text) for text in _canonical_smiles(smiles)]
    n_atoms = np.array([len(part.atoms) for part in parts], dtype=np.int64)
    first = np.cumsum(n_atoms) - n_atoms
    empty = _graph("")  # so that no drugs at all still give arrays of the right shapes
    return MoleculeGraphs(
        node_features=np.concatenate([empty.atoms, *(part.atoms for part in parts)]),
        edge_index=np.hstack([empty.edges, *(part.edges + start for part, start in zip(parts, first, strict=True))]),
        edge_features=np.concatenate([empty.bonds, *(part.bonds for part in parts)]),
        graph=np.repeat(np.arange(len(parts), dtype=np.int64), n_atoms),
        n_graphs=len(parts),
    )


class _Graph(NamedTuple):
    atoms: NDArray[np.float32]
    edges: NDArray[np.int64]
    bonds: NDArray[np.float32]


def _canonical_smiles(smiles: pd.Series) -> list[str]:
    """Canonical SMILES of each drug, empty where there is none."""
    found = []
    texts = as_text(smiles.reset_index(drop=True))  # an id may stand twice
    with rdBase.BlockLogs():
        for drug, text in zip(smiles.index, texts, strict=True):
            if isinstance(text, str):
                check_length(drug, text)
            canonical = _canonical(text) if isinstance(text, str) else ""
            if canonical is None:
                _molecule(drug, str(text))  # raises, and names the drug
            found.append(canonical or "")
    return found


@lru_cache(maxsize=CACHED_DRUGS)
def _canonical(text: str) -> str | None:
    molecule: Chem.Mol | None = Chem.MolFromSmiles(text)
    if molecule is None:
        return None
    canonical = str(Chem.MolToSmiles(molecule))
    # RDKit cannot read back every exotic SMILES that it writes.
    return text if Chem.MolFromSmiles(canonical) is None else canonical


@lru_cache(maxsize=CACHED_DRUGS)
def _graph(canonical: str) -> _Graph:
    molecule = Chem.MolFromSmiles(canonical)
    atoms = np.zeros((molecule.GetNumAtoms(), len(ATOM_FEATURES)), dtype=np.float32)
    for row, atom in zip(atoms, molecule.GetAtoms(), strict=True):
        row[[_ATOM_COLUMN[name] for name in _atom_names(atom)]] = 1.0
        row[_ATOM_COLUMN["charge"]] = atom.GetFormalCharge()
    ends = np.array([(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()], dtype=np.int64)
    bonds = np.zeros((len(ends), len(BOND_FEATURES)), dtype=np.float32)
    for row, bond in zip(bonds, molecule.GetBonds(), strict=True):
        row[[_BOND_COLUMN[name] for name in _bond_names(bond)]] = 1.0
    edges = np.hstack([ends.reshape(-1, 2).T, ends.reshape(-1, 2)[:, ::-1].T])  # (2, 2 * n_bonds)
    order = np.lexsort(edges)  # by the atom an edge leads to, then by where it starts
    return _Graph(atoms, edges[:, order], np.tile(bonds, (2, 1))[order])


def _atom_names(atom: Chem.Atom) -> list[str]:
    element, hybrid = atom.GetSymbol(), str(atom.GetHybridization())
    names = [
        f"element={element if element in _ELEMENTS else 'other'}",
        f"degree={min(atom.GetDegree(), _MOST_NEIGHBOURS)}",
        f"hydrogens={min(atom.GetTotalNumHs(), _MOST_HYDROGENS)}",
        f"hybridisation={hybrid if hybrid in _HYBRIDS else 'other'}",
    ]
    # Clockwise or not depends on the order of the neighbours; R and S do not.
    handedness = atom.GetProp("_CIPCode") if atom.HasProp("_CIPCode") else ""
    names += [f"chirality={handedness}"] if handedness in ("R", "S") else []
    names += ["aromatic"] if atom.GetIsAromatic() else []
    return names + (["ring"] if atom.IsInRing() else [])


def _bond_names(bond: Chem.Bond) -> list[str]:
    kind, stereo = str(bond.GetBondType()), _STEREO.get(str(bond.GetStereo()))
    names = [f"bond={kind if kind in _BONDS else 'other'}"]
    names += ["conjugated"] if bond.GetIsConjugated() else []
    names += ["ring"] if bond.IsInRing() else []
    return names + ([f"stereo={stereo}"] if stereo else [])
