"""Tables of drugs: names, targets, and fingerprints of their structure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdFingerprintGenerator

from cellixir.data.tables import as_text, id_index, read_table, refuse_duplicates
from cellixir.exceptions import ConfigurationError, DuplicateIds, InvalidValues, ReadError, examples
from cellixir.limits import limit

_ALIASES = {
    "id": ("drugid", "id", "compoundid", ""),  # pandas writes an index without a name
    "name": ("name", "drugname", "compoundname", "drug", "compound"),
    "synonyms": ("synonyms", "synonym"),
    "targets": ("targets", "target", "putativetarget"),
    "pathway": ("pathway", "targetpathway", "pathwayname"),
    "pubchem": ("pubchem", "pubchemid", "pubchemcid", "cid"),
}
_PLAIN_SMILES = ("smiles", "smile")
_SMILES = {
    "canonical": ("canonicalsmiles", *_PLAIN_SMILES, "isomericsmiles", "isosmiles"),
    "isomeric": ("isomericsmiles", "isosmiles", *_PLAIN_SMILES, "canonicalsmiles"),
}
# Commas inside brackets belong to one target: "PDK1 (PDPK1, form 2)".
_BETWEEN_ITEMS = re.compile(r"[,;](?![^()]*\))")


def read_drugs(path: str | Path) -> pd.DataFrame:
    """Drugs of a file by id: any of name, synonyms, targets, pathway, pubchem and smiles, as text.

    Without an id column the name is the id. Rows that agree in all these columns are one drug (GDSC lists
    a drug once for each screen); words in a PubChem column, such as ``none``, are missing values.

    Raises
    ------
    ReadError
        If there is neither an id nor a name column.
    DuplicateIds
        If two rows describe the same drug differently.
    """
    source = str(path)
    table = _recognised(read_table(path, dtype_text="all"), "canonical")
    if not {"id", "name"} & set(table.columns):
        message = f"{source} has no drug id or name column (drug_id, DRUG_ID, Name, DRUG_NAME); rename one"
        raise ReadError(message)
    key = "id" if "id" in table else "name"
    table = table.drop_duplicates()
    ids = id_index(table[key].reset_index(drop=True), source=source, what="drug")
    refuse_duplicates(ids, source=source, what="drug", way_out="keep one row of each")
    return table.drop(columns="id", errors="ignore").set_index(ids)


def attach_smiles(
    drugs: pd.DataFrame, table: pd.DataFrame, *, prefer: Literal["canonical", "isomeric"] = "canonical"
) -> pd.DataFrame:
    """Copy of the drugs with a ``smiles`` column, missing where the table knows none.

    A drug is looked up by PubChem id, then by name, then by its synonyms; names match in any case.
    SMILES that the drugs already have are kept.

    Parameters
    ----------
    drugs
        As of `read_drugs`.
    table
        SMILES with PubChem ids, names or both, under the column names of GDSC or PubChem.
    prefer
        Which SMILES to take when the table has both.

    Raises
    ------
    ReadError
        If the table has no SMILES, or nothing to find them by.
    DuplicateIds
        If the table gives one name or PubChem id two different SMILES.
    """
    if prefer not in _SMILES:
        message = f"prefer={prefer!r} is not known; use 'canonical' or 'isomeric'"
        raise ConfigurationError(message)
    book = _recognised(table.reset_index() if table.index.name else table, prefer)
    book = book.rename(columns={"id": "name"}) if "name" not in book else book
    if "smiles" not in book or not {"pubchem", "name"} & set(book.columns):
        message = f"the SMILES table needs a SMILES and a name or CID column; it has {examples(table.columns, 10)}"
        raise ReadError(message)
    by_pubchem, by_name = _lookup(book, "pubchem"), _lookup(book, "name")
    found = [
        by_pubchem.get(pubchem) or next((by_name[key] for key in names if key in by_name), None)
        for pubchem, names in zip(_keys(drugs, "pubchem"), _names(drugs), strict=True)
    ]
    smiles = pd.Series(found, index=drugs.index, dtype=object)
    known = as_text(drugs["smiles"]).fillna(smiles) if "smiles" in drugs else smiles
    return drugs.assign(smiles=known)


def morgan_fingerprints(smiles: pd.Series, *, radius: int = 2, n_bits: int = 1024) -> NDArray[np.uint8]:
    """Morgan bits, shape ``(n_drugs, n_bits)``; a drug without SMILES has none set.

    Rogers and Hahn, J. Chem. Inf. Model. 2010, 50, 742; radius 2 is the size of ECFP4.

    Raises
    ------
    InvalidValues
        If a SMILES does not parse.
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=n_bits)
    bits = np.zeros((len(smiles), n_bits), dtype=np.uint8)
    with rdBase.BlockLogs():
        for row, (drug, text) in enumerate(as_text(smiles).items()):
            if isinstance(text, str):
                bits[row] = generator.GetFingerprintAsNumPy(_molecule(drug, text))
    return bits


def target_sets(drugs: pd.DataFrame) -> dict[str, frozenset[str]]:
    """Targets of each drug; empty where none is known.

    >>> target_sets(pd.DataFrame({"targets": ["AKT1, AKT2", None]}, index=["86", "1"]))["1"]
    frozenset()
    """
    texts = drugs["targets"] if "targets" in drugs else pd.Series(None, index=drugs.index, dtype=object)
    return {str(drug): frozenset(_items(text)) for drug, text in texts.items()}


def _molecule(drug: object, text: str) -> Chem.Mol:
    check_length(drug, text)
    molecule: Chem.Mol | None = Chem.MolFromSmiles(text)
    if molecule is None:
        message = f"the SMILES {text[:200]!r} of drug {drug!r} does not parse; correct it or leave it empty"
        raise InvalidValues(message)
    return molecule


def check_length(drug: object, text: str) -> None:
    """Refuse a SMILES that is no drug's: canonical order takes the square of its length.

    Raises
    ------
    InvalidValues
        With the drug and the variable to set.
    """
    most = limit("CELLIXIR_MAX_SMILES")
    if len(text) > most:
        message = (
            f"the SMILES of drug {drug!r} has {len(text):,} characters, and the limit is {most:,}; leave it empty, or "
            "set CELLIXIR_MAX_SMILES"
        )
        raise InvalidValues(message)


def _recognised(frame: pd.DataFrame, prefer: str) -> pd.DataFrame:
    plain: dict[str, object] = {}
    for column in frame.columns:
        plain.setdefault(re.sub(r"[^a-z0-9]", "", str(column).casefold()), column)
    aliases = {**_ALIASES, "smiles": _SMILES[prefer]}
    found = {name: next((plain[a] for a in known if a in plain), None) for name, known in aliases.items()}
    table = pd.DataFrame({name: as_text(frame[column]) for name, column in found.items() if column is not None})
    if "pubchem" in table:
        table["pubchem"] = table["pubchem"].where(table["pubchem"].str.contains(r"\d", na=False))
    return table


def _lookup(book: pd.DataFrame, key: str) -> dict[str, str]:
    known = pd.DataFrame({"key": _keys(book, key), "smiles": book["smiles"]}).dropna().drop_duplicates()
    repeated = known["key"][known["key"].duplicated()]
    if len(repeated):
        message = f"the SMILES table gives {examples(repeated)} ({key}) different SMILES; keep one of each"
        raise DuplicateIds(message)
    return dict(zip(known["key"], known["smiles"], strict=True))


def _keys(frame: pd.DataFrame, column: str) -> pd.Series:
    if column not in frame:
        return pd.Series(None, index=frame.index, dtype=object)
    return as_text(frame[column]).str.casefold()


def _names(drugs: pd.DataFrame) -> Iterable[list[str]]:
    names = _keys(drugs, "name") if "name" in drugs else drugs.index.astype(str).str.casefold()
    for name, synonyms in zip(names, _keys(drugs, "synonyms"), strict=True):
        yield [*([name] if isinstance(name, str) else []), *_items(synonyms)]


def _items(text: object) -> list[str]:
    parts = _BETWEEN_ITEMS.split(text) if isinstance(text, str) else []
    return [part.strip() for part in parts if part.strip()]
