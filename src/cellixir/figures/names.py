"""Names on an axis: short, but never two that read alike; and in the order a reader expects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import count

from cellixir.figures.style import shortened


def shortened_apart(names: Iterable[object], limit: int = 32) -> list[str]:
    """Names cut to ``limit`` letters so that names that differ still differ.

    Names whose beginnings are the same are cut in the middle; where that does not help, they are numbered.

    >>> shortened_apart(["Regulation of TP53 by acetylation", "Regulation of TP53 by methylation"], 22)
    ['Regulation…acetylation', 'Regulation…methylation']
    """
    texts = [str(name) for name in names]
    cut = {text: shortened(text, limit) for text in texts}
    for text in _alike(cut):
        cut[text] = _middle_cut(text, limit)
    taken = set(cut.values())
    for text in _alike(cut):
        cut[text] = next(name for i in count(1) if (name := _numbered(text, limit, i)) not in taken or name == text)
        taken.add(cut[text])
    return [cut[text] for text in texts]


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Key that sorts "2" before "10" and "T cell 2" before "T cell 10"."""
    parts = re.findall(r"\d+|\D+", text)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts]


def _alike(cut: dict[str, str]) -> list[str]:
    shared = Counter(cut.values())
    return [text for text, short in cut.items() if shared[short] > 1]


def _middle_cut(text: str, limit: int) -> str:
    head, tail = (limit - 1) // 2, limit - 1 - (limit - 1) // 2
    return f"{text[:head]}…{text[-tail:]}" if len(text) > limit else text


def _numbered(text: str, limit: int, number: int) -> str:
    end = f"… [{number}]"
    return text[: max(limit - len(end), 0)] + end if len(text) > limit else text
