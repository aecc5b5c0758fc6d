"""Rows of two tables that are the same thing, matched key by key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from cellixir.data.tables import as_text
from cellixir.exceptions import examples

Keys = Sequence[frozenset[str]]
TwoKeys = tuple[Keys, Keys]
Same = Callable[[int, int], bool]
NONE: frozenset[str] = frozenset()


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
class Matching:
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


def disagreeing(ids: TwoKeys, names: TwoKeys, differ: Same) -> list[tuple[int, int]]:
    """Rows with one id whose names are known, have nothing in common, and that ``differ``."""
    return [(i, j) for i, j in _named(ids, names) if not names[0][i] & names[1][j] and differ(i, j)]


def _named(ids: TwoKeys, names: TwoKeys) -> list[tuple[int, int]]:
    """Rows with one id whose names are known on both sides."""
    pairs = [(i, j) for j, found in enumerate(_sharing(ids[1], ids[0])) for i in found]
    return [(i, j) for i, j in pairs if names[0][i] and names[1][j]]


def believed(matching: Matching, ids: TwoKeys, names: TwoKeys, apart: list[tuple[int, int]], kind: str) -> bool:
    """Whether the ids are of one system: not if most of those in common stand beside different names."""
    named = len(_named(ids, names))
    if 2 * len(apart) <= named:
        return True
    shown = examples(str(matching.left[i]) for i, _ in apart)
    text = f"{kind} ids were not used: {len(apart):,} of {named:,} that both studies have stand beside other names"
    matching.notes.append(f"{text} ({shown}), so they are of two systems")
    return False


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


def column(table: pd.DataFrame, name: str) -> list[str]:
    """Values of a column as text, empty where missing or where there is no such column."""
    if name not in table:
        return [""] * len(table)
    return [str(x) for x in as_text(table[name]).fillna("")]
