"""Ids that mean one thing: a molecule under two drug ids, a cell line under two names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cellixir.limits import limit

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REMARK = re.compile(r"\s*\((\d+|re-?screen\w*|[\d.]+\s*[mnuµμ]m)\)\s*$", re.IGNORECASE)
_CCLE_TISSUE = re.compile(r"_[A-Z]{4,}[A-Z_]*$")
NO_NAME = {"", "unknown", "none", "nan", "na", "missing", "notavailable", "drug", "compound", "untreated"}


def molecule_groups(drugs: pd.DataFrame) -> NDArray[np.int64]:
    """Code of each drug's molecule, shape ``(n_drugs,)``, counted from 0 in the order of the drugs.

    Drugs are one molecule if their structures have the same atoms and bonds (first block of the InChIKey of the
    largest fragment: salt, charge and stereochemistry do not count), the same PubChem id, or the same name but for
    case, punctuation and remarks such as ``(rescreen)``; also where one's name is a synonym of the other.

    Parameters
    ----------
    drugs
        Any of ``smiles``, ``name``, ``synonyms``, ``pubchem``; the id stands in for a name.

    Examples
    --------
    >>> molecule_groups(pd.DataFrame({"name": ["PLX-4720", "Olaparib", "PLX4720 (rescreen)"]})).tolist()
    [0, 1, 0]
    """
    names = [folded_name(name) for name in column_texts(drugs, "name", drugs.index)]
    known = set(names) - NO_NAME
    keys = [_name_keys([name], known) for name in names]
    for own, text in zip(keys, column_texts(drugs, "synonyms"), strict=True):
        own |= _name_keys(map(folded_name, re.split("[,;]", text)), known)
    for own, text in zip(keys, column_texts(drugs, "pubchem"), strict=True):
        own |= {f"pubchem {text}"} if text.isdigit() else set()
    for own, text in zip(keys, column_texts(drugs, "smiles"), strict=True):
        own |= {f"structure {structure_key(text)}"} if structure_key(text) else set()
    return joined(keys)


@lru_cache(maxsize=8192)
def structure_key(smiles: str) -> str:
    """First block of the InChIKey of the largest fragment; empty where the SMILES does not parse."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles) if len(smiles) <= limit("CELLIXIR_MAX_SMILES") else None
        fragments = Chem.GetMolFrags(molecule, asMols=True, sanitizeFrags=False) if molecule is not None else ()
        largest = max(fragments, key=lambda fragment: fragment.GetNumHeavyAtoms(), default=None)
        return str(Chem.MolToInchiKey(largest))[:14] if largest is not None else ""  # type: ignore[no-untyped-call]


@lru_cache(maxsize=8192)
def scaffold(smiles: str) -> str | None:
    """Bemis-Murcko scaffold (J. Med. Chem. 1996, 39, 2887); None without a ring."""
    from rdkit import Chem, rdBase
    from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles) if len(smiles) <= limit("CELLIXIR_MAX_SMILES") else None
        return (MurckoScaffoldSmiles(mol=molecule) or None) if molecule is not None else None  # type: ignore[no-untyped-call]


def folded_name(name: str) -> str:
    """Name without case, punctuation, and a remark such as ``(rescreen)``.

    >>> folded_name("PLX-4720 (rescreen)"), folded_name("Bleomycin (50 uM)"), folded_name("(5Z)-7-Oxozeaenol")
    ('plx4720', 'bleomycin', '5z7oxozeaenol')
    """
    return "".join(letter for letter in _REMARK.sub("", name).casefold() if letter.isalnum())


def folded_line(name: str) -> str:
    """Name of a cell line without case, punctuation, CCLE's tissue, and NCI's prefix.

    >>> {folded_line(name) for name in ("NCI-H23", "NCIH23", "H23", "NCIH23_LUNG")}
    {'h23'}
    """
    return re.sub(r"^nci(?=h\d)", "", folded_name(_CCLE_TISSUE.sub("", name)))


def _name_keys(names: Iterable[str], known: Collection[str]) -> set[str]:
    return {f"name {name}" for name in names if name in known}


def column_texts(table: pd.DataFrame, column: str, default: pd.Index | None = None) -> list[str]:
    """Column as text; the default, or nothing, where a value or the column is missing."""
    other = [""] * len(table) if default is None else list(default)
    values = table[column] if column in table else [None] * len(table)
    return [str(e if pd.isna(value) else value).strip() for value, e in zip(values, other, strict=True)]


def joined(keys: Sequence[Collection[str]]) -> NDArray[np.int64]:
    """Code of each item; items that share a key, also through others, have the same."""
    rows = np.repeat(np.arange(len(keys)), [len(own) for own in keys])
    columns, book = pd.factorize(np.array([key for own in keys for key in own], dtype=object))
    size = len(keys) + len(book)
    edges = coo_array((np.ones(len(rows)), (rows, columns + len(keys))), shape=(size, size))
    labels = connected_components(edges, directed=False)[1][: len(keys)]
    return np.asarray(pd.factorize(labels)[0], dtype=np.int64)
