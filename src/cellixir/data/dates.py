"""Names that a spreadsheet has turned to dates: 2-Sep was the gene SEPT2 (Zeeberg et al., BMC Bioinformatics 2004)."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence

from cellixir.exceptions import ReadError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY_FIRST = re.compile(r"(\d{1,2})[-./ ]([a-z]{3})(?:[-./ ]\d{2,4})?", re.IGNORECASE)
_MONTH_FIRST = re.compile(r"([A-Z][a-z]{2})-(\d{2})")  # oct-1 is a gene of the worm
_CELL = re.compile(r"\d{4}-(\d{2})-(\d{2})(?:[ T]00:00:00(?:\.0+)?)?")
#: Genes by month, and the days that each has.
_GENES: dict[str, tuple[tuple[str, range], ...]] = {
    "mar": (("MARCH", range(1, 12)), ("MARC", range(1, 3))),
    "sep": (("SEPT", range(1, 15)), ("SEP", range(15, 16))),
    "dec": (("DEC", range(1, 3)),),
    "oct": (("OCT", range(1, 12)),),
    "nov": (("NOV", range(1, 2)),),
    "apr": (("APR", range(1, 4)),),
    "feb": (("FEB", range(1, 3)),),
}


def is_date(name: object) -> bool:
    """Whether a name is what a spreadsheet makes of a gene, or a date cell.

    >>> [is_date(name) for name in ("2-Sep", "Mar-01", "2026-09-02 00:00:00", "SEPT2", "A-375")]
    [True, True, True, False, False]
    """
    return isinstance(name, datetime.date) or _day(str(name)) is not None


def spelled_date(cell: datetime.date) -> str:
    """Day and month, as a spreadsheet shows them.

    >>> spelled_date(datetime.date(2026, 9, 2))
    '2-Sep'
    """
    return f"{cell.day}-{_MONTHS[cell.month - 1].capitalize()}"


def genes_of(name: object) -> list[str]:
    """Genes that a date may have been.

    >>> genes_of("2-Sep"), genes_of("1-Mar"), genes_of("30-Jan")
    (['SEPT2'], ['MARCH1', 'MARC1'], [])
    """
    if isinstance(name, datetime.date):
        name = spelled_date(name)
    day, month = _day(str(name)) or (0, "")
    return [f"{gene}{day}" for gene, days in _GENES.get(month, ()) if day in days]


def without_dates(names: Sequence[str], *, source: str, what: str, restore: bool) -> tuple[list[str], list[str]]:
    """Names without dates, and a note on those that were mapped back to genes.

    Parameters
    ----------
    what
        What the names are, in the plural.
    restore
        Map a date back where one gene alone can have been it: of two, the one that has no column of its own.

    Raises
    ------
    ReadError
        If a name is a date, and is not to be mapped back or may have been several genes.
    """
    dates = [name for name in names if is_date(name)]
    if not dates or (what != "genes" and 2 * len(dates) > len(names)):  # samples may well be called by their dates
        return list(names), []
    others = set(names)
    might = {name: _left(genes_of(name), others) for name in dates}
    unclear = [name for name, genes in might.items() if len(genes) != 1]
    if not restore or unclear or len(set(map(str, might.values()))) < len(might):
        raise ReadError(_refusal(unclear if restore and unclear else dates, might, source, what, restore))
    shown = ", ".join(f"{name!r} is {genes[0]}" for name, genes in might.items())
    return [might[name][0] if name in might else name for name in names], [
        f"{source}: dates among its {what} were mapped back ({len(dates)}): {shown}"
    ]


def _left(genes: list[str], others: set[str]) -> list[str]:
    free = [gene for gene in genes if gene not in others]
    return free if len(free) == 1 else genes


def _refusal(dates: Sequence[str], might: dict[str, list[str]], source: str, what: str, restore: bool) -> str:
    shown = ", ".join(f"{name!r}{_perhaps(might[name])}" for name in dates[:3])
    more = ", ..." if len(dates) > 3 else ""
    way_out = "write the names as text"
    if not restore and any(might.values()):
        way_out += ", or map back what can be told with --restore-genes (restore_genes=True)"
    return f"{source}: dates, made by a spreadsheet, are among its {what} ({len(dates)}): {shown}{more}; {way_out}"


def _perhaps(genes: Iterable[str]) -> str:
    said = " or ".join(genes)
    return f" ({said})" if said else ""


def _day(name: str) -> tuple[int, str] | None:
    """Day and month of a date, None if the name is none."""
    if cell := _CELL.fullmatch(name):
        return int(cell[2]), _MONTHS[int(cell[1]) - 1] if 1 <= int(cell[1]) <= 12 else ""
    found = _DAY_FIRST.fullmatch(name)
    day, month = (found[1], found[2]) if found else ("", "")
    if not found and (turned := _MONTH_FIRST.fullmatch(name)):
        day, month = turned[2], turned[1]
    known = month.casefold() in _MONTHS and 1 <= int(day) <= 31
    return (int(day), month.casefold()) if known else None
