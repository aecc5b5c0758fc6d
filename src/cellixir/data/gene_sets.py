"""Gene sets as publishers keep them, and how they fit the genes of the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from cellixir.data.opening import content
from cellixir.data.tables import _plain_text
from cellixir.exceptions import ConfigurationError, DuplicateIds, GeneMismatch, ReadError, examples, repeated

#: How names of genes are compared: as they stand, or with case left out.
Case: TypeAlias = Literal["exact", "fold"]
MIN_GENES, MAX_GENES = 5, 500
#: Characters after which some tools cut the name of a set; here none is cut.
CUT = 30
_ENSEMBL = r"ENS[A-Z]{0,4}G\d{6,}(?:\.\d+)?"


class GeneSets(dict[str, list[str]]):
    """Genes of each set by name, and the id of each set in `ids` (empty where its file gives none)."""

    def __init__(self, sets: Mapping[str, list[str]] | None = None, ids: Mapping[str, str] | None = None) -> None:
        super().__init__(sets or {})
        self.ids = dict(ids or {})


def read_gene_sets(path: str | Path) -> GeneSets:
    """Genes of each set of a GMT file, in the order of the file, each gene once.

    A line is a set: its name, its id (Reactome) or address (MSigDB), its genes, all separated by tabs. Names and
    genes may hold spaces and are never cut; empty cells and blank lines are passed over. The file may be gzipped.

    Parameters
    ----------
    path
        GMT file, plain or gzipped.

    Returns
    -------
    GeneSets
        A dictionary from the name of each set to its genes; ``ids`` has the id of each, empty where there is none.

    Raises
    ------
    ReadError
        If the file is missing, empty, cut off, not UTF-8 or not a GMT file; names the line.
    DuplicateIds
        If two sets have the same name.

    Examples
    --------
    >>> read_gene_sets("reactome_pathways.gmt")["Autophagy"]  # doctest: +SKIP
    """
    source = str(path)
    sets = GeneSets()
    for number, name, set_id, genes in _lines(_plain_text(content(Path(path)), source).decode(), source):
        if name in sets:
            message = f"{source}: line {number}: the gene set {name!r} stands a second time; keep one of them"
            raise DuplicateIds(message)
        sets[name], sets.ids[name] = genes, set_id
    return sets


def coverage_report(
    sets: Mapping[str, Sequence[str]],
    genes: Iterable[str],
    *,
    min_genes: int = MIN_GENES,
    max_genes: int = MAX_GENES,
    case: Case = "exact",
    merge_identical: bool = True,
) -> pd.DataFrame:
    """One row a set: name, id, size, genes found in the data, coverage, whether it is kept, and if not, why.

    Parameters
    ----------
    sets
        Genes of each set, as of `read_gene_sets`.
    genes
        Genes of the data.
    min_genes, max_genes
        Sets with fewer or more genes among those of the data are not kept.
    case
        ``fold`` matches 'Actb' with 'ACTB'. Between species this takes equal names for orthologs: most are, but not
        all, and those that are named otherwise are missed.
    merge_identical
        Of sets that hold the same genes of the data, only the one that is best covered is kept.

    Returns
    -------
    DataFrame
        Columns ``name``, ``id``, ``size`` (genes of the set), ``found`` (genes of the data in the set), ``coverage``
        (share of the set's genes that are in the data), ``kept`` and ``why_not`` (empty where kept).

    Raises
    ------
    ConfigurationError
        If there are no sets or no genes, or the options leave no room.
    DuplicateIds
        If a gene stands twice in the data.
    """
    return _fit(_match(sets, genes, case), min_genes, max_genes, merge_identical)


def pathway_mask(
    sets: Mapping[str, Sequence[str]],
    genes: Iterable[str],
    *,
    min_genes: int = MIN_GENES,
    max_genes: int = MAX_GENES,
    case: Case = "exact",
    merge_identical: bool = True,
) -> tuple[NDArray[np.bool_], list[str], pd.DataFrame]:
    """Which gene is in which set, shape ``(n_genes, n_pathways)``, the names of these sets, and the coverage report.

    Genes stand in the order of the data, sets in that of ``sets``; parameters and errors are those of
    `coverage_report`, and:

    Raises
    ------
    GeneMismatch
        If no set is left; says what the names look like on both sides, and the way out.
    """
    match = _match(sets, genes, case)
    report = _fit(match, min_genes, max_genes, merge_identical)
    kept = report["kept"].to_numpy()
    if not kept.any():
        raise _nothing_left(match, report, min_genes, max_genes)
    mask: NDArray[np.bool_] = np.ascontiguousarray(match.members[kept].toarray().T)
    return mask, report.loc[kept, "name"].tolist(), report


def coverage_notes(
    sets: Mapping[str, Sequence[str]],
    genes: Iterable[str],
    *,
    min_genes: int = MIN_GENES,
    max_genes: int = MAX_GENES,
    case: Case = "exact",
    merge_identical: bool = True,
) -> list[str]:
    """Sentences about the fit of the sets to the data: genes covered, sets kept and dropped, collisions, case.

    Parameters and errors are those of `coverage_report`.
    """
    match = _match(sets, genes, case)
    report = _fit(match, min_genes, max_genes, merge_identical)
    covered = np.asarray(match.members.sum(axis=0)).ravel() > 0
    notes = [
        f"{len(report):,} gene sets with {match.n_set_genes:,} genes; {covered.sum():,} of the {len(covered):,} genes "
        f"of the data ({covered.mean():.0%}) stand in at least one",
        _kept_note(match, report, min_genes, max_genes),
        _identical_note(report),
        *_name_notes(report["name"]),
        _case_note(match),
    ]
    return [note for note in notes if note]


@dataclass(frozen=True, eq=False)
class _Match:
    """Sets against genes; ``members`` has shape ``(n_sets, n_genes)``, ``found`` counts the set's own genes."""

    table: pd.DataFrame  # name, id, size
    found: NDArray[np.int64]
    members: sp.csr_matrix
    genes: list[str]
    set_genes: list[str]
    n_set_genes: int
    case: Case


def _match(sets: Mapping[str, Sequence[str]], genes: Iterable[str], case: Case) -> _Match:
    names, data = list(sets), [str(gene) for gene in genes]
    _check(names, data, case)
    all_genes = [str(gene) for gene in chain.from_iterable(sets.values())]
    # numbers for genes: those of the sets are looked up among those of the data, which may be equal once folded
    column, data_keys = pd.factorize(_keys(data, case))
    code, set_keys = pd.factorize(_keys(all_genes, case))
    row = np.repeat(np.arange(len(names)), [len(sets[name]) for name in names])
    row, code = np.divmod(np.unique(row * max(len(set_keys), 1) + code), max(len(set_keys), 1))
    at = pd.Index(data_keys).get_indexer(pd.Index(set_keys))[code]
    hit = at >= 0
    shape = (len(names), len(data_keys))
    members = sp.csr_matrix((np.ones(hit.sum(), dtype=bool), (row[hit], at[hit])), shape=shape)[:, column]
    members.sort_indices()
    ids = sets.ids if isinstance(sets, GeneSets) else {}
    table = pd.DataFrame({"name": names, "id": [ids.get(name, "") for name in names]}, dtype=object)
    table["size"] = np.bincount(row, minlength=len(names))
    found = np.bincount(row[hit], minlength=len(names))
    return _Match(table, found, members, data, all_genes, len(set_keys), case)


def _fit(match: _Match, min_genes: int, max_genes: int, merge_identical: bool) -> pd.DataFrame:
    if not 1 <= min_genes <= max_genes:
        message = f"min_genes={min_genes} and max_genes={max_genes} leave no gene set; give 1 <= min_genes <= max_genes"
        raise ConfigurationError(message)
    report = match.table.copy()
    report["found"] = found = np.diff(match.members.indptr).astype(np.int64)
    report["coverage"] = match.found / report["size"].clip(lower=1)
    few, many = found < min_genes, found > max_genes
    report["kept"] = ~(few | many)
    counted = [f"{n:,} gene{'' if n == 1 else 's'} found" for n in found]
    limit = np.select([few, many], [f", fewer than {min_genes}", f", more than {max_genes}"], "")
    report["why_not"] = [count + over if over else "" for count, over in zip(counted, limit.tolist(), strict=True)]
    for row, twin in _identical(match.members, report) if merge_identical else ():
        report.loc[row, ["kept", "why_not"]] = False, f"the same {found[row]} genes found as in {twin!r}"
    return report


def _identical(members: sp.csr_matrix, report: pd.DataFrame) -> Iterator[tuple[int, str]]:
    """Rows of kept sets that hold the same genes of the data as a better covered one, or an earlier, and its name."""
    first: dict[bytes, str] = {}
    kept = report[report["kept"]].sort_values("coverage", ascending=False, kind="stable")
    for row, name in zip(kept.index, kept["name"], strict=True):
        held = members.indices[members.indptr[row] : members.indptr[row + 1]].tobytes()
        twin = first.setdefault(held, name)
        if twin != name:
            yield row, twin


def _check(names: list[str], genes: list[str], case: Case) -> None:
    if case not in ("exact", "fold"):
        message = f"case={case!r} is not known; use 'exact' or 'fold'"
        raise ConfigurationError(message)
    if not names or not genes:
        message = f"{len(names)} gene sets and {len(genes)} genes of the data: give at least one of each"
        raise ConfigurationError(message)
    index = pd.Index(genes)
    if not index.is_unique:
        twice = index[index.duplicated()].unique()
        message = f"{repeated(len(twice), 'gene')} in the data ({examples(twice)}); sum or rename them, each gene once"
        raise DuplicateIds(message)


def _keys(genes: list[str], case: Case) -> NDArray[np.object_]:
    return np.array([gene.casefold() for gene in genes] if case == "fold" else genes, dtype=object)


def _kept_note(match: _Match, report: pd.DataFrame, min_genes: int, max_genes: int) -> str:
    kept = report["kept"].to_numpy()
    n_genes = int((np.asarray(match.members[kept].sum(axis=0)).ravel() > 0).sum())
    few, many = int((report["found"] < min_genes).sum()), int((report["found"] > max_genes).sum())
    dropped = [f"{few:,} with fewer than {min_genes} of these genes"] if few else []
    dropped += [f"{many:,} with more than {max_genes}"] if many else []
    sizes = f"dropped for their size: {', '.join(dropped)}" if dropped else "none is dropped for its size"
    return f"{kept.sum():,} sets are kept, with {n_genes:,} genes of the data; {sizes}"


def _identical_note(report: pd.DataFrame) -> str:
    twins = report[report["why_not"].str.startswith("the same")]
    if twins.empty:
        return ""
    pairs = [f"{name!r} ({why})" for name, why in zip(twins["name"], twins["why_not"], strict=True)]
    return (
        f"{len(twins):,} more sets are dropped because another holds the same genes of the data: "
        f"{'; '.join(pairs[:3])}{'; ...' if len(pairs) > 3 else ''}"
    )


def _name_notes(names: pd.Series) -> Iterator[str]:
    plain = names.str.casefold().str.split().str.join(" ")
    alike = names[plain.duplicated(keep=False)]
    if len(alike):
        yield f"{len(alike):,} names differ from another only in case or white space: {examples(alike)}"
    cut = names[names.str[:CUT].duplicated(keep=False)]
    if len(cut):
        yield (
            f"{len(cut):,} names are the same as another in their first {CUT} characters: whole here, but not to be "
            "told apart by tools that cut them"
        )


def _case_note(match: _Match) -> str:
    """How many more genes would match without case, and what to do; empty if none would."""
    if match.case == "fold":
        return ""
    data, theirs = set(match.genes), dict.fromkeys(match.set_genes)
    spelled = {gene.casefold(): gene for gene in match.genes if gene not in theirs}
    pairs = [(spelled[key], gene) for gene in theirs if gene not in data and (key := gene.casefold()) in spelled]
    if not pairs:
        return ""
    return (
        f"{len(pairs):,} more genes of the sets would match but for case ({pairs[0][0]!r} in the data, {pairs[0][1]!r} "
        f"in the sets; {len(data & theirs.keys()):,} match as they are): if it is another species, map its genes to "
        "orthologs before, or take equal names for orthologs with case='fold'"
    )


def _nothing_left(match: _Match, report: pd.DataFrame, min_genes: int, max_genes: int) -> GeneMismatch:
    largest = int(report["found"].max())
    fault = (
        f"of {len(report):,} gene sets none holds {min_genes} to {max_genes} of the {len(match.genes):,} genes of the "
        f"data: the data hold {examples(match.genes)}, the sets {examples(match.set_genes)}, "
        f"and the most that one set holds of the data is {largest:,}"
    )
    hint = _case_note(match)
    data, theirs = (pd.Series(genes).str.fullmatch(_ENSEMBL).mean() for genes in (match.genes, match.set_genes))
    if data > 0.5 > theirs:
        hint = f"{data:.0%} of the genes of the data are named by Ensembl id: name them as the sets do, by symbol"
    elif not hint and largest:
        hint = "set min_genes and max_genes to fit, or keep more genes in the data"
    elif not hint:
        hint = "name the genes as the sets do"
    return GeneMismatch(f"{fault}; {hint}")


def _lines(text: str, source: str) -> Iterator[tuple[int, str, str, list[str]]]:
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
        yield number, name, rest[0], genes
