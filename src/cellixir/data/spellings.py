"""One id in several spellings: 905900 and 905900.0, LINE-1 and LINE1, Imatinib and IMATINIB, 007 and Excel's 7."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from cellixir.data.crosswalk import plain_name
from cellixir.exceptions import InvalidValues, examples

Key = Callable[[str], str]

#: Names that two different lines share once punctuation is gone: TT (thyroid) and T-T (oesophagus), KM-H2 (Hodgkin
#: lymphoma) and KMH-2 (thyroid).
TWINS = frozenset({"tt", "kmh2"})
_WHOLE = re.compile(r"(\d+)(\.0+)?")
_ROUNDED = re.compile(r"\d(\.\d+)?E\+\d+", re.IGNORECASE)
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[\W_]+(?=\d)")
_STRUCTURE = re.compile(r"[=#\[\]@\\]|\)[A-Za-z(]")  # SMILES, in which case and brackets count


def sample_spelling(name: str) -> str:
    """What the spellings of a sample share; punctuation between digits counts, as P1-2 is not P12.

    >>> {sample_spelling(name) for name in ("NCI-H23", "NCIH23_LUNG", "H23")}
    {'h23'}
    >>> sample_spelling("905900.0"), sample_spelling("007"), sample_spelling("P1-2")
    ('905900', '7', 'p1=2')
    """
    number = _WHOLE.fullmatch(name)
    if number:
        return number[1].lstrip("0") or "0"
    parts = _BETWEEN_DIGITS.sub("=", name).split("=")
    return re.sub(r"^nci(?=h\d)", "", "=".join(map(plain_name, parts)))


def drug_spelling(name: str) -> str:
    """What the spellings of a drug share: blanks, hyphens and case do not count, brackets and signs do.

    >>> drug_spelling("IMATINIB"), drug_spelling("PLX 4720"), drug_spelling("Nutlin-3a (-)")
    ('imatinib', 'plx4720', 'nutlin3a(-)')
    """
    number = _WHOLE.fullmatch(name)
    if number:
        return number[1].lstrip("0") or "0"
    if _STRUCTURE.search(name):
        return name
    marked = _BETWEEN_DIGITS.sub("=", name)
    return re.sub(r"(?<!\()[\s_'’-]+(?!\))", "", marked).casefold()


def joined_spellings(ids: pd.Index, key: Key, *, source: str, what: str) -> tuple[pd.Index, list[str]]:
    """Ids in one spelling each, the most frequent one, and the note that says which were joined.

    Raises
    ------
    InvalidValues
        If a spreadsheet has rounded an id (``9.06E+05``).
    """
    counts = pd.Series(ids, dtype=object).value_counts(sort=False)
    rounded = [i for i in counts.index if _ROUNDED.fullmatch(str(i))]
    if rounded:
        message = f"{source}: a spreadsheet has rounded the {what} {examples(rounded)}; write the whole id, as text"
        raise InvalidValues(message)
    groups: dict[str, list[str]] = defaultdict(list)
    for name in counts.index:
        groups[key(name)].append(name)
    renamed: dict[str, str] = {}
    for shared, names in groups.items():
        if shared and shared not in TWINS and len(names) > 1:
            kept = max(names, key=lambda name: int(counts[name]))
            renamed |= {name: kept for name in names if name != kept}
    if not renamed:
        return ids, []
    return ids.map(lambda name: renamed.get(name, name)), [f"{source}: {said(renamed, what)}"]


def spelled_as(ids: Iterable[object], wanted: Iterable[object], key: Key) -> dict[str, str]:
    """Id among ``wanted`` that each of ``ids`` is another spelling of, without those that stand there to the letter.

    A spelling that two ids share, on either side, is matched to neither.
    """
    here, there = [str(i) for i in ids], {str(i) for i in wanted}
    exact = there.intersection(here)
    free = [name for name in here if name not in there]
    if not free or len(exact) == len(there):
        return {}
    left = _single(free, key)
    right = _single((name for name in there if name not in exact), key)
    return {left[k]: right[k] for k in left.keys() & right.keys() if k and k not in TWINS}


def _single(names: Iterable[str], key: Key) -> dict[str, str]:
    """Name by spelling, of those that alone have it."""
    groups: dict[str, set[str]] = defaultdict(set)
    for name in names:
        groups[key(name)].add(name)
    return {shared: next(iter(found)) for shared, found in groups.items() if len(found) == 1}


def said(renamed: Mapping[str, str], what: str) -> str:
    """Sentence that counts ids that were joined and shows some.

    >>> said({"LINE-1": "LINE1"}, "sample")
    "1 sample is spelled in several ways and was joined: 'LINE-1' is 'LINE1'"
    """
    shown = [f"{old!r} is {new!r}" for old, new in sorted(renamed.items())[:3]]
    many = len(renamed) > 1
    verbs = "are spelled in several ways and were" if many else "is spelled in several ways and was"
    rest = ", ..." if len(renamed) > 3 else ""
    return f"{len(renamed):,} {what}{'s' if many else ''} {verbs} joined: {', '.join(shown)}{rest}"
