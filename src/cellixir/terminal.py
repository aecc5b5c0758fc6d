"""Text of strangers in a terminal: names from data move no cursor and change no colour."""

from __future__ import annotations

import re

# Control characters but the tab and the end of a line, and those that turn the direction of text.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: object) -> str:
    r"""Text with control characters written out.

    >>> printable("drug \x1b[31mred")
    'drug \\x1b[31mred'
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), str(text))
