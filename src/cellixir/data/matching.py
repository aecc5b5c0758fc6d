"""Which drugs, samples and features of two studies are the same.

Ids are tried first, then names, then structures. A key counts where one row of each table has it and no other row
does. What a key leaves open is decided by structure (drugs) or by spelling (samples), else it is not matched and is
counted: a wrong match would rename one drug to another, or hide that a test line was trained on.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdinchi

from cellixir.data.crosswalk import plain_name
from cellixir.data.omics import align_features
from cellixir.data.spellings import TWINS
from cellixir.data.tables import as_text
from cellixir.exceptions import ConfigurationError, GeneMismatch, examples

Keys = Sequence[frozenset[str]]
TwoKeys = tuple[Keys, Keys]
Same = Callable[[int, int], bool]
Structure = tuple[str, str] | None  # skeleton and stereo block of an InChIKey
_NONE: frozenset[str] = frozenset()
MIN_SHARED = 0.8  # of the training features, where those that are missing are to be filled

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
_SAMPLE_NAMES = (
    "celllinename", "samplename", "name", "cellline", "ccleid", "cclename", "strippedcelllinename", "modelname",
)  # fmt: skip
_SAMPLE_IDS = ("cosmicid", "depmapid", "modelid", "sangermodelid", "cellosaurusid", "rrid")
_IDENTIFIER = re.compile(r"\d+|ACH-\d+|SIDM\d+|CVCL_\w+", re.IGNORECASE)
_FLAT = "UHFFFAOYSA"  # the stereo block of an InChIKey without stereo

_TO_GET = {
    "counts": "take the table of raw counts",
    "log2_tpm": "scale each sample's length-normalised counts to one million (TPM), add 1, take log2",
    "log1p_cpm": "scale each sample's counts to one million (CPM), add 1, take the natural logarithm",
    "zscore": "subtract each feature's mean and divide by its standard deviation",
    "binary": "write 1 where the feature is altered and 0 where it is not",
    "fraction": "divide percentages by 100",
}


@dataclass(frozen=True)
class Matches:
    """Rows of two tables that are the same thing, and rows that might be.

    Attributes
    ----------
    pairs
        ``left``, ``right`` (ids), ``by`` (what they were matched by), in the order of the left ids. An id stands once.
    undecided
        ``right``, ``candidates`` (tuple of left ids), ``by``: what shares a key with several rows, or with one that
        another row was matched to.
    n_left, n_right
        Rows of the tables.
    notes
        What the reader has to know, in words.
    """

    pairs: pd.DataFrame
    undecided: pd.DataFrame
    n_left: int
    n_right: int
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def renamed(self) -> dict[str, str]:
        """Left id by right id."""
        return dict(zip(self.pairs["right"], self.pairs["left"], strict=True))

    @property
    def by(self) -> dict[str, int]:
        """How many were matched by what, the first way first."""
        return {str(k): int(n) for k, n in self.pairs["by"].value_counts(sort=False).items()}

    @property
    def candidates(self) -> set[str]:
        """Left ids that might be one of the undecided right ones."""
        return {left for found in self.undecided["candidates"] for left in found}


@dataclass
class _Matching:
    """Matches so far; each ``stage`` adds those that its keys decide."""

    left: pd.Index
    right: pd.Index
    notes: list[str] = field(default_factory=list)
    found: dict[int, tuple[int, str]] = field(default_factory=dict)  # right row: left row, by what
    open: dict[int, tuple[list[int], str]] = field(default_factory=dict)

    def stage(
        self, by: str, keys: TwoKeys, same: Same | None = None, *, decider: str = "", doubt: Same | None = None
    ) -> None:
        """Match rows that share a key with each other and with no third row, or that ``same`` singles out.

        Two rows alone with a key that are in ``doubt`` have to be singled out, too.
        """
        left, right = keys
        forward, back = _sharing(right, left), _sharing(left, right)
        taken = {row for row, _ in self.found.values()}
        for row in [r for r in range(len(self.right)) if r not in self.found and forward[r]]:
            only, way = _alone(row, forward, back), by
            if only is None or (doubt and doubt(only, row)):
                only, way = _singled_out(row, forward, back, same), f"{by}, {decider}" if decider else by
            if only is None or only in taken:
                self.open.setdefault(row, (forward[row], by))
            else:
                self.found[row] = (only, way)

    def result(self) -> Matches:
        """Matches with ids in place of rows."""
        pairs = [(self.left[row], self.right[r], by) for r, (row, by) in self.found.items()]
        undecided = [
            (self.right[r], tuple(sorted(str(self.left[row]) for row in rows)), by)
            for r, (rows, by) in self.open.items()
            if r not in self.found
        ]
        matched = pd.DataFrame(pairs, columns=["left", "right", "by"], dtype=object)
        left_open = pd.DataFrame(undecided, columns=["right", "candidates", "by"], dtype=object)
        return Matches(
            matched.sort_values("left", ignore_index=True),
            left_open.sort_values("right", ignore_index=True),
            len(self.left),
            len(self.right),
            tuple(self.notes),
        )


def _sharing(rows: Keys, others: Keys) -> list[list[int]]:
    """For each of ``rows``, the rows of ``others`` that have one of its keys."""
    book: dict[str, list[int]] = defaultdict(list)
    for at, keys in enumerate(others):
        for key in keys:
            book[key].append(at)
    return [sorted({at for key in keys for at in book.get(key, ())}) for keys in rows]


def _alone(row: int, forward: list[list[int]], back: list[list[int]]) -> int | None:
    return forward[row][0] if len(forward[row]) == 1 and back[forward[row][0]] == [row] else None


def _singled_out(row: int, forward: list[list[int]], back: list[list[int]], same: Same | None) -> int | None:
    if same is None:
        return None
    agreeing = [left for left in forward[row] if same(left, row)]
    if len(agreeing) != 1 or [r for r in back[agreeing[0]] if same(agreeing[0], r)] != [row]:
        return None
    return agreeing[0]


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

    matching = _Matching(left.index, right.index, [*a.notes, *b.notes])
    apart = _disagreeing((a.ids, b.ids), (a.given_names, b.given_names), lambda i, j: not same(i, j))
    if _believed(matching, (a.ids, b.ids), (a.given_names, b.given_names), apart, "drug"):
        wrong = {j for i, j in apart if a.shapes[i] and b.shapes[j]}
        matching.stage("id", (a.ids, [_NONE if j in wrong else keys for j, keys in enumerate(b.ids)]))
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


def match_samples(left: pd.DataFrame, right: pd.DataFrame) -> Matches:
    """Samples of two studies that are the same, by id (also in a column such as ``cosmic_id``), then by name.

    Names are those of ``cell_line_name`` and columns like it, and ids that are names; see `sample_key`. Lines of one
    table whose names differ by punctuation alone, and the `TWINS`, are matched only where both tables spell them in
    the same ways.
    """
    ids = (_sample_ids(left), _sample_ids(right))
    given = (_given_names(left), _given_names(right))
    names = (_called(left, given[0]), _called(right, given[1]))
    keys = (_sample_keys(names[0]), _sample_keys(names[1]))
    told = (_sample_keys(given[0]), _sample_keys(given[1]))
    spelled = [_spellings(table) for table in names]

    def same(i: int, j: int) -> bool:
        mine, other = names[0][i][0], names[1][j][0]
        groups = [book.get(sample_key(mine), []) for book in spelled]
        told_apart = len(set(groups[0])) == len(groups[0]) > 1
        return mine.casefold() == other.casefold() and groups[0] == groups[1] and told_apart

    matching = _Matching(left.index, right.index)
    apart = _disagreeing(ids, told, lambda i, j: True)
    if _believed(matching, ids, told, apart, "sample"):
        matching.stage("id", ids)
        if apart:
            pairs = examples(f"{names[0][i][0]} and {names[1][j][0]}" for i, j in apart)
            matching.notes.append(f"samples with one id, but other names in each study: {len(apart):,} ({pairs})")

    def doubt(i: int, j: int) -> bool:
        return bool(keys[0][i] & keys[1][j] & TWINS)

    matching.stage("cell-line name", keys, same, decider="spelling", doubt=doubt)
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
        own, also = _drug_names(table), [_BETWEEN.split(text) for text in _column(table, "synonyms")]
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
            pubchem=[frozenset(re.findall(r"\d+", text)) for text in _column(table, "pubchem")],
            shapes=shapes,
            notes=notes,
        )

    @property
    def skeletons(self) -> Keys:
        return [frozenset({shape[0]}) if shape else _NONE for shape in self.shapes]


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


def sample_key(name: object) -> str:
    """Name of a cell line without case, punctuation, CCLE's site and the prefix NCI.

    >>> sample_key("NCI-H23"), sample_key("NCIH23_LUNG"), sample_key("SK_MEL_28")
    ('h23', 'h23', 'skmel28')
    """
    return re.sub(r"^nci(?=h\d)", "", plain_name(str(name).strip()))


def _words(name: object) -> list[str]:
    text = unicodedata.normalize("NFKC", str(name)).casefold()
    for symbol, word in (_SIGNS | _GREEK).items():
        text = text.replace(symbol, word)
    return re.findall(r"[^\W_]+", text)


def _column(table: pd.DataFrame, name: str) -> list[str]:
    if name not in table:
        return [""] * len(table)
    return [str(x) for x in as_text(table[name]).fillna("")]


def _drug_names(table: pd.DataFrame) -> list[list[str]]:
    """Name of each drug; one without is called by its id, unless that is a number."""
    names = zip(map(str, table.index), _column(table, "name"), strict=True)
    called = [(drug, name if drug_key(name) else drug) for drug, name in names]
    return [[name] if drug_key(name) and not (name == drug and drug.isdigit()) else [] for drug, name in called]


def _structures(table: pd.DataFrame) -> tuple[list[Structure], list[str]]:
    """Skeleton and stereo block of each drug's InChIKey, and a note on SMILES that could not be read."""
    smiles = _column(table, "smiles")
    with rdBase.BlockLogs():
        found = [_structure(text) if text else None for text in smiles]
    unread = [str(i) for i, text, shape in zip(table.index, smiles, found, strict=True) if text and shape is None]
    return found, [f"drugs whose SMILES do not parse: {len(unread):,} ({examples(unread)})"] if unread else []


@lru_cache(maxsize=8192)
def _structure(text: str) -> Structure:
    molecule = Chem.MolFromSmiles(text)
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


def _plain_columns(table: pd.DataFrame) -> dict[str, str]:
    return {re.sub(r"[^a-z0-9]", "", str(c).casefold()): str(c) for c in reversed(table.columns)}


def _sample_ids(table: pd.DataFrame) -> list[frozenset[str]]:
    plain = _plain_columns(table)
    columns = [_column(table, plain[name]) for name in _SAMPLE_IDS if name in plain]
    return [frozenset({str(i), *more} - {""}) for i, *more in zip(table.index, *columns, strict=True)]


def _given_names(table: pd.DataFrame) -> list[list[str]]:
    """Names of each sample in columns, the first known one first."""
    plain = _plain_columns(table)
    columns = [_column(table, plain[name]) for name in _SAMPLE_NAMES if name in plain]
    return [[name for name in found if sample_key(name)] for _, *found in zip(table.index, *columns, strict=True)]


def _called(table: pd.DataFrame, given: list[list[str]]) -> list[list[str]]:
    """Names of each sample; one without is called by its id, unless a registry gave it."""
    ids = ["" if _IDENTIFIER.fullmatch(i) or not sample_key(i) else i for i in map(str, table.index)]
    return [names or ([i] if i else []) for i, names in zip(ids, given, strict=True)]


def _sample_keys(names: list[list[str]]) -> Keys:
    return [frozenset(map(sample_key, found)) for found in names]


def _spellings(names: list[list[str]]) -> dict[str, list[str]]:
    book: dict[str, list[str]] = defaultdict(list)
    for first in sorted((found[0] for found in names if found), key=str.casefold):
        book[sample_key(first)].append(first.casefold())
    return book


def _disagreeing(ids: TwoKeys, names: TwoKeys, differ: Same) -> list[tuple[int, int]]:
    """Rows with one id whose names are known, have nothing in common, and that ``differ``."""
    return [(i, j) for i, j in _named(ids, names) if not names[0][i] & names[1][j] and differ(i, j)]


def _named(ids: TwoKeys, names: TwoKeys) -> list[tuple[int, int]]:
    """Rows with one id whose names are known on both sides."""
    pairs = [(i, j) for j, found in enumerate(_sharing(ids[1], ids[0])) for i in found]
    return [(i, j) for i, j in pairs if names[0][i] and names[1][j]]


def _believed(matching: _Matching, ids: TwoKeys, names: TwoKeys, apart: list[tuple[int, int]], kind: str) -> bool:
    """Whether the ids are of one system: not if most of those in common stand beside different names."""
    named = len(_named(ids, names))
    if 2 * len(apart) <= named:
        return True
    shown = examples(str(matching.left[i]) for i, _ in apart)
    text = f"{kind} ids were not used: {len(apart):,} of {named:,} that both studies have stand beside other names"
    matching.notes.append(f"{text} ({shown}), so they are of two systems")
    return False


def shared_views(
    left: Mapping[str, ad.AnnData],
    right: Mapping[str, ad.AnnData],
    *,
    genes: Literal["shared", "filled"] = "shared",
    places: tuple[str, str] = ("the training study", "the external study"),
) -> tuple[dict[str, ad.AnnData], dict[str, ad.AnnData], pd.DataFrame]:
    """Views of both studies with the same features in the same order, and a table of what was shared.

    Parameters
    ----------
    left, right
        Views by name. One that only one study has is left out.
    genes
        ``shared``: features that both have. ``filled``: all of the left; those that the right lacks get the mean of
        the left.
    places
        What the studies are called in messages.

    Returns
    -------
    left, right, table
        Views with sorted features and without annotation; the table has ``view``, ``n_left``, ``n_right``, ``n_both``,
        ``scale``, and ``scale_checked``, False where one study does not say what its numbers are.

    Raises
    ------
    ConfigurationError
        If both studies have views but none in common, or a view is in two scales.
    GeneMismatch
        If a view shares no feature, or fewer than 80 % of the left ones are there to be filled up.
    """
    names = [name for name in left if name in right]
    if left and not names:
        message = (
            f"the studies have no view in common: {places[0]} has {examples(left)}, {places[1]} "
            f"{examples(right) or 'none'}; call what was measured in the same way by the same name (--omics VIEW=FILE)"
        )
        raise ConfigurationError(message)
    rows, ours, theirs = [], {}, {}
    for name in names:
        a, b = left[name], right[name]
        scale, checked = _common_scale(name, a, b, places)
        both = a.var_names.intersection(b.var_names)
        _require_features(name, a.var_names, b.var_names, both, genes, places)
        wanted = sorted(map(str, both if genes == "shared" else a.var_names))
        values = align_features(a, wanted, source=name)[0]
        other, absent = align_features(b, wanted, missing="zero", source=name)
        if absent:
            at = np.isin(wanted, absent)
            other[:, at] = _means(values[:, at])
        ours[name], theirs[name] = (_view(x, v, wanted, scale) for x, v in ((values, a), (other, b)))
        rows.append((name, a.n_vars, b.n_vars, len(both), scale, checked))
    columns = ["view", "n_left", "n_right", "n_both", "scale", "scale_checked"]
    return ours, theirs, pd.DataFrame(rows, columns=columns)


def _means(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of each column without its gaps; NaN for a column of gaps."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=0, dtype=np.float64)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def _view(values: NDArray[np.float32], like: ad.AnnData, names: list[str], scale: str) -> ad.AnnData:
    view = ad.AnnData(values, pd.DataFrame(index=like.obs_names.astype(str)), pd.DataFrame(index=names))
    view.uns.update({"name": like.uns.get("name", ""), "scale": scale, "scale_guessed": False})
    return view


def _common_scale(name: str, left: ad.AnnData, right: ad.AnnData, places: tuple[str, str]) -> tuple[str, bool]:
    """Scale of both, and whether both say so; ``unknown`` on one side is taken for that of the other."""
    a, b = (str(view.uns.get("scale", "unknown")) for view in (left, right))
    if a == b or "unknown" in (a, b):
        return (b if a == "unknown" else a), "unknown" not in (a, b)
    guessed = any(view.uns.get("scale_guessed", False) for view in (left, right))
    doubt = "; or, where the scale was guessed wrongly, write the right one into uns['scale']" if guessed else ""
    message = (
        f"the view '{name}' is {a} in {places[0]} and {b} in {places[1]}; convert the second to {a} "
        f"({_TO_GET.get(a, 'see its source')}){doubt}"
    )
    raise ConfigurationError(message)


def _require_features(
    name: str, left: pd.Index, right: pd.Index, both: pd.Index, genes: str, places: tuple[str, str]
) -> None:
    if not len(both):
        message = (
            f"no feature of the view '{name}' is in both studies: {places[0]} has {examples(left)}, {places[1]} "
            f"{examples(right)}; use the same kind of names in both"
        )
        raise GeneMismatch(message)
    if genes == "filled" and len(both) < MIN_SHARED * len(left):
        message = (
            f"{places[1]} has {len(both):,} of the {len(left):,} features of the view '{name}' "
            f"({len(both) / len(left):.0%}, fewer than {MIN_SHARED:.0%}); train on the shared ones (genes='shared')"
        )
        raise GeneMismatch(message)
