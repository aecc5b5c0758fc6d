"""Drugs of two studies that are the same."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem import rdinchi

from cellixir.data.matching.stages import NONE, Keys, Matches, Matching, believed, column, disagreeing
from cellixir.exceptions import examples
from cellixir.limits import limit

Structure = tuple[str, str] | None  # skeleton and stereo block of an InChIKey
_SIGNS = {"(+)": " plus ", "(-)": " minus ", "(−)": " minus ", "(±)": " plusminus ", "(+/-)": " plusminus "}
_GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "κ": "kappa", "ω": "omega"}
_SALTS = frozenset(
    "hydrochloride dihydrochloride monohydrochloride hcl 2hcl hydrobromide hbr mesylate dimesylate methanesulfonate "
    "tosylate ditosylate besylate maleate dimaleate malate fumarate hemifumarate succinate citrate tartrate bitartrate "
    "sulfate sulphate bisulfate hemisulfate phosphate diphosphate acetate lactate nitrate oxalate pamoate tfa "
    "trifluoroacetate sodium disodium potassium dipotassium calcium magnesium meglumine hydrate monohydrate dihydrate "
    "hemihydrate anhydrous salt free base plus minus plusminus".split()
)
_BETWEEN = re.compile(r"[,;|](?![^()]*\))")
_FLAT = "UHFFFAOYSA"  # the stereo block of an InChIKey without stereo


def match_drugs(left: pd.DataFrame, right: pd.DataFrame) -> Matches:
    """Drugs of two studies that are the same, by id, name, synonym, PubChem id or structure.

    Ids are believed unless most of those in common stand beside different names; one whose names and structures both
    differ is not. A name is compared in small letters without punctuation, then without salts
    (hydrochloride, mesylate, ...) and signs. Of several drugs with one name the one of the same structure is taken.

    Parameters
    ----------
    left, right
        By drug id; any of ``name``, ``synonyms``, ``pubchem``, ``smiles``.
    """
    a, b = _Drugs.of(left), _Drugs.of(right)

    def same(i: int, j: int) -> bool:
        return _same_structure(a.shapes[i], b.shapes[j])

    matching = Matching(left.index, right.index, [*a.notes, *b.notes])
    apart = disagreeing((a.ids, b.ids), (a.given_names, b.given_names), lambda i, j: not same(i, j))
    if believed(matching, (a.ids, b.ids), (a.given_names, b.given_names), apart, "drug"):
        wrong = {j for i, j in apart if a.shapes[i] and b.shapes[j]}
        matching.stage("id", (a.ids, [NONE if j in wrong else keys for j, keys in enumerate(b.ids)]))
        if wrong:
            named = examples(right.index[sorted(wrong)])
            matching.notes.append(f"drug ids not used, as names and structures differ: {len(wrong):,} ({named})")
    stages = {
        "name": (a.names, b.names),
        "name without salt": (a.bare_names, b.bare_names),
        "synonym": (a.all_names, b.all_names),
        "PubChem id": (a.pubchem, b.pubchem),
    }
    for by, keys in stages.items():
        matching.stage(by, keys, same, decider="structure")
    matching.stage("structure", (a.skeletons, b.skeletons), same, doubt=lambda i, j: not same(i, j))
    return matching.result()


@dataclass(frozen=True)
class _Drugs:
    """Keys of each drug of a table, in its order."""

    ids: Keys
    names: Keys
    bare_names: Keys
    all_names: Keys
    given_names: Keys  # not the id of a drug without a name
    pubchem: Keys
    shapes: list[Structure]
    notes: list[str]

    @classmethod
    def of(cls, table: pd.DataFrame) -> _Drugs:
        own, also = _drug_names(table), [_BETWEEN.split(text) for text in column(table, "synonyms")]
        names = [frozenset(drug_key(name) for name in found) for found in own]
        more = [frozenset(key for name in found if len(key := drug_key(name)) > 2) for found in also]
        shapes, notes = _structures(table)
        return cls(
            ids=[frozenset({str(i)}) for i in table.index],
            names=names,
            bare_names=[frozenset(bare_drug_key(name) for name in found) for found in own],
            all_names=[a | b for a, b in zip(names, more, strict=True)],
            given_names=[
                frozenset(k for k in a | b if k != drug_key(i))
                for i, a, b in zip(table.index, names, more, strict=True)
            ],
            pubchem=[frozenset(re.findall(r"\d+", text)) for text in column(table, "pubchem")],
            shapes=shapes,
            notes=notes,
        )

    @property
    def skeletons(self) -> Keys:
        return [frozenset({shape[0]}) if shape else NONE for shape in self.shapes]


def drug_key(name: object) -> str:
    """Name of a drug without case and punctuation; Greek letters and signs of rotation as words.

    >>> drug_key("Nutlin-3a (-)"), drug_key("PLX-4720")
    ('nutlin3aminus', 'plx4720')
    """
    return "".join(_words(name))


def bare_drug_key(name: object) -> str:
    """``drug_key`` without salts, hydrates and signs; a name of nothing else keeps them.

    >>> bare_drug_key("Imatinib Mesylate"), bare_drug_key("Sodium phosphate")
    ('imatinib', 'sodiumphosphate')
    """
    words = _words(name)
    return "".join([word for word in words if word not in _SALTS] or words)


def _words(name: object) -> list[str]:
    text = unicodedata.normalize("NFKC", str(name)).casefold()
    for symbol, word in (_SIGNS | _GREEK).items():
        text = text.replace(symbol, word)
    return re.findall(r"[^\W_]+", text)


def _drug_names(table: pd.DataFrame) -> list[list[str]]:
    """Name of each drug; one without is called by its id, unless that is a number."""
    names = zip(map(str, table.index), column(table, "name"), strict=True)
    called = [(drug, name if drug_key(name) else drug) for drug, name in names]
    return [[name] if drug_key(name) and not (name == drug and drug.isdigit()) else [] for drug, name in called]


def _structures(table: pd.DataFrame) -> tuple[list[Structure], list[str]]:
    """Skeleton and stereo block of each drug's InChIKey, and a note on SMILES that could not be read."""
    smiles = column(table, "smiles")
    with rdBase.BlockLogs():
        found = [_structure(text) if text else None for text in smiles]
    unread = [str(i) for i, text, shape in zip(table.index, smiles, found, strict=True) if text and shape is None]
    return found, [f"drugs whose SMILES do not parse: {len(unread):,} ({examples(unread)})"] if unread else []


@lru_cache(maxsize=8192)
def _structure(text: str) -> Structure:
    molecule = Chem.MolFromSmiles(text) if len(text) <= limit("CELLIXIR_MAX_SMILES") else None
    if molecule is None or not molecule.GetNumAtoms():
        return None
    parts = Chem.GetMolFrags(molecule, asMols=True)
    largest = max(parts, key=lambda part: (part.GetNumHeavyAtoms(), Chem.MolToSmiles(part)))
    key = str(rdinchi.MolToInchiKey(largest))  # empty where InChI cannot describe it
    if key:
        return key.split("-")[0], key.split("-")[1]
    return str(Chem.MolToSmiles(largest, isomericSmiles=False)), _FLAT


def _same_structure(left: Structure, right: Structure) -> bool:
    """Whether skeletons agree and stereo blocks do not contradict each other; one without stereo agrees with any."""
    if left is None or right is None or left[0] != right[0]:
        return False
    return left[1] == right[1] or any(block.startswith(_FLAT) for block in (left[1], right[1]))
