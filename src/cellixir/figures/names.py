"""Names on an axis: short, but never two that read alike; and in the order a reader expects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from cellixir.figures.style import shortened


def shortened_apart(names: Iterable[object], limit: int = 32) -> list[str]:
    """Names cut to ``limit`` letters so that names that differ still differ.

    Names whose beginnings are the same are cut in the middle; where that does not help, they are numbered.

    >>> shortened_apart(["Regulation of TP53 by acetylation", "Regulation of TP53 by methylation"], 23)
    ['Regulation … acetylation', 'Regulation … methylation']
    """
    texts = [str(name) for name in names]
    cut = {text: shortened(text, limit) for text in texts}
    for make in (_middle_cut, _numbered):
        shared = Counter(cut.values())
        alike = [text for text, short in cut.items() if shared[short] > 1]
        for i, text in enumerate(alike, 1):
            cut[text] = make(text, limit, i)
    return [cut[text] for text in texts]


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Key that sorts "2" before "10" and "T cell 2" before "T cell 10"."""
    parts = re.findall(r"\d+|\D+", text)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts]


def _middle_cut(text: str, limit: int, _: int) -> str:
    head, tail = (limit - 1) // 2, limit - 1 - (limit - 1) // 2
    return f"{text[:head]}…{text[-tail:]}" if len(text) > limit else text


def _numbered(text: str, limit: int, number: int) -> str:
    end = f"… [{number}]"
    return text[: max(limit - len(end), 0)] + end if len(text) > limit else text
