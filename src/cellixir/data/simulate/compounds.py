"""Drugs of simulations: real simple molecules, and their systematic derivatives."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

#: A hydroxyl or an amine of each molecule stands first, so that what is written before it is bound to it.
SCAFFOLDS = {
    "paracetamol": "Oc1ccc(NC(C)=O)cc1",
    "amantadine": "NC12CC3CC(CC(C3)C1)C2",
    "8-hydroxyquinoline": "Oc1cccc2cccnc12",
    "tryptamine": "NCCc1c[nH]c2ccccc12",
    "sulfanilamide": "Nc1ccc(cc1)S(N)(=O)=O",
    "menthol": "OC1CC(C)CCC1C(C)C",
    "isoniazid": "NNC(=O)c1ccncc1",
    "umbelliferone": "Oc1ccc2ccc(=O)oc2c1",
    "benzocaine": "Nc1ccc(cc1)C(=O)OCC",
    "resveratrol": "Oc1ccc(cc1)C=Cc1cc(O)cc(O)c1",
    "tyramine": "NCCc1ccc(O)cc1",
    "vanillin": "Oc1ccc(C=O)cc1OC",
    "4-aminopyrimidine": "Nc1ccncn1",
    "salicylic acid": "Oc1ccccc1C(=O)O",
    "3-hydroxypyridine": "Oc1cccnc1",
    "2-naphthol": "Oc1ccc2ccccc2c1",
}
_ENDS = ("", "O", "N", "F", "Cl", "N#C", "c1ccccc1", "C1CC1")


def compounds(scaffolds: Sequence[int], ids: Sequence[str]) -> pd.DataFrame:
    """Drugs by id, with ``name`` and ``smiles``; those of one scaffold are derivatives of one molecule.

    No two drugs are the same molecule. The first of a scaffold is the molecule itself, the next are its ethyl,
    hydroxyethyl, ... derivatives.

    Parameters
    ----------
    scaffolds
        Number of each drug's scaffold; more than there are begin again at the first.
    ids
        Of the drugs.

    Examples
    --------
    >>> compounds([0, 0, 1], ["D1", "D2", "D3"])["smiles"].to_list()
    ['Oc1ccc(NC(C)=O)cc1', 'CCOc1ccc(NC(C)=O)cc1', 'NC12CC3CC(CC(C3)C1)C2']
    """
    parents = pd.Series([int(s) % len(SCAFFOLDS) for s in scaffolds], index=list(ids), dtype=int)
    numbers = parents.groupby(parents).cumcount()
    names = list(SCAFFOLDS)
    return pd.DataFrame(
        {
            "name": [f"{names[p]} {n + 1}" if n else names[p] for p, n in zip(parents, numbers, strict=True)],
            "smiles": [_substituent(n) + SCAFFOLDS[names[p]] for p, n in zip(parents, numbers, strict=True)],
        },
        index=pd.Index(list(ids), dtype=object, name="drug"),
    )


def _substituent(number: int) -> str:
    """What is bound to a scaffold: nothing, then each end on a chain of two carbons, then of three, ..."""
    length, end = divmod(number - 1, len(_ENDS))
    return _ENDS[end] + "C" * (length + 2) if number else ""
