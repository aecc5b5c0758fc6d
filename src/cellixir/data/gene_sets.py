"""Gene sets as publishers keep them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cellixir.data.tables import _content, _plain_text
from cellixir.exceptions import DuplicateIds, ReadError


def read_gene_sets(path: str | Path) -> dict[str, list[str]]:
    """Genes of each set of a GMT file, in the order of the file, each gene once.

    A line is a set: its name, an id or address (which is not kept), its genes, all separated by tabs. Names and
    genes may hold spaces; empty cells and blank lines are passed over. The file may be gzipped.

    Raises
    ------
    ReadError
        If the file is missing, empty, cut off, not UTF-8 or not a GMT file; names the line.
    DuplicateIds
        If two sets have the same name.
    """
    source = str(path)
    sets: dict[str, list[str]] = {}
    for number, name, genes in _lines(_plain_text(_content(Path(path)), source).decode(), source):
        if name in sets:
            message = f"{source}: line {number}: the gene set {name!r} stands a second time; keep one of them"
            raise DuplicateIds(message)
        sets[name] = genes
    return sets


def _lines(text: str, source: str) -> Iterator[tuple[int, str, list[str]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        name, *rest = (cell.strip() for cell in line.split("\t"))
        genes = list(dict.fromkeys(gene for gene in rest[1:] if gene))
        if not name or not genes:
            what = f"the gene set {name[:60]!r} has no genes" if name else "the gene set has no name"
            message = (
                f"{source}: line {number}: {what}; a GMT line is a name, an id and the genes, separated by tabs, "
                "so the file is cut off there or of another kind"
            )
            raise ReadError(message)
        yield number, name, genes
