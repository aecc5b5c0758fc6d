"""Samples of two studies that are the same."""

from __future__ import annotations

import re
from collections import defaultdict

import pandas as pd

from cellixir.data.crosswalk import plain_name
from cellixir.data.matching.stages import Keys, Matches, Matching, believed, column, disagreeing
from cellixir.data.spellings import TWINS
from cellixir.exceptions import examples

_SAMPLE_NAMES = (
    "celllinename", "samplename", "name", "cellline", "ccleid", "cclename", "strippedcelllinename", "modelname",
)  # fmt: skip
_SAMPLE_IDS = ("cosmicid", "depmapid", "modelid", "sangermodelid", "cellosaurusid", "rrid")
_IDENTIFIER = re.compile(r"\d+|ACH-\d+|SIDM\d+|CVCL_\w+", re.IGNORECASE)


def match_samples(left: pd.DataFrame, right: pd.DataFrame) -> Matches:
    """Samples of two studies that are the same, by id (also in a column such as ``cosmic_id``), then by name.

    Names are those of ``cell_line_name`` and columns like it, and ids that are names; see `sample_key`. Lines of one
    table whose names differ by punctuation alone, and the `TWINS`, are matched only where both tables spell them in
    the same ways.
    """
    ids = (_sample_ids(left), _sample_ids(right))
    given = (_given_names(left), _given_names(right))
    names = (_own_names(left, given[0]), _own_names(right, given[1]))
    keys = (_sample_keys(names[0]), _sample_keys(names[1]))
    told = (_sample_keys(given[0]), _sample_keys(given[1]))
    spelled = [_spellings(table) for table in names]

    def same(i: int, j: int) -> bool:
        mine, other = names[0][i][0], names[1][j][0]
        groups = [book.get(sample_key(mine), []) for book in spelled]
        told_apart = len(set(groups[0])) == len(groups[0]) > 1
        return mine.casefold() == other.casefold() and groups[0] == groups[1] and told_apart

    matching = Matching(left.index, right.index)
    apart = disagreeing(ids, told, lambda i, j: True)
    if believed(matching, ids, told, apart, "sample"):
        matching.stage("id", ids)
        if apart:
            pairs = examples(f"{names[0][i][0]} and {names[1][j][0]}" for i, j in apart)
            matching.notes.append(f"samples with one id, but other names in each study: {len(apart):,} ({pairs})")

    def doubt(i: int, j: int) -> bool:
        return bool(keys[0][i] & keys[1][j] & TWINS)

    matching.stage("cell-line name", keys, same, decider="spelling", doubt=doubt)
    return matching.result()


def sample_key(name: object) -> str:
    """Name of a cell line without case, punctuation, CCLE's site and the prefix NCI.

    >>> sample_key("NCI-H23"), sample_key("NCIH23_LUNG"), sample_key("SK_MEL_28")
    ('h23', 'h23', 'skmel28')
    """
    return re.sub(r"^nci(?=h\d)", "", plain_name(str(name).strip()))


def _plain_columns(table: pd.DataFrame) -> dict[str, str]:
    return {re.sub(r"[^a-z0-9]", "", str(c).casefold()): str(c) for c in reversed(table.columns)}


def _sample_ids(table: pd.DataFrame) -> list[frozenset[str]]:
    plain = _plain_columns(table)
    columns = [column(table, plain[name]) for name in _SAMPLE_IDS if name in plain]
    return [frozenset({str(i), *more} - {""}) for i, *more in zip(table.index, *columns, strict=True)]


def _given_names(table: pd.DataFrame) -> list[list[str]]:
    """Names of each sample in columns, the first known one first."""
    plain = _plain_columns(table)
    columns = [column(table, plain[name]) for name in _SAMPLE_NAMES if name in plain]
    return [[name for name in found if sample_key(name)] for _, *found in zip(table.index, *columns, strict=True)]


def _own_names(table: pd.DataFrame, given: list[list[str]]) -> list[list[str]]:
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
