"""Queries of a reference: up and down genes, sets of a GMT file, whole signatures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.data.gene_sets import read_gene_sets
from cellixir.data.opening import content
from cellixir.data.tables import numeric_block, read_table
from cellixir.exceptions import (
    ConfigurationError,
    DuplicateIds,
    InvalidValues,
    ReadError,
    counted,
    examples,
    repeated,
)
from cellixir.perturbation.query_genes import ReferenceGenes

Places = NDArray[np.intp]
#: Fewest genes of a set that the reference must have.
MIN_GENES = 5
#: Genes that a whole signature gives for each side.
N_GENES = 50
_SIDES = {"_UP": "up", "_DOWN": "down", "_DN": "down"}


@dataclass(frozen=True, eq=False)
class Queries:
    """Queries by name, in places of genes of the reference.

    Attributes
    ----------
    names
        Of each query.
    up, down
        Places of the genes of each query; empty where it has no such set.
    vectors
        Values for cosine and rank correlation, shape ``(n_queries, n_genes)``: those of a signature, or 1 for genes up,
        -1 for genes down and 0.
    genes
        Places of the genes that are compared; all, or those that signatures have, too.
    notes
        What was left out.
    """

    names: list[str]
    up: list[Places]
    down: list[Places]
    vectors: NDArray[np.float32]
    genes: Places
    notes: list[str] = field(default_factory=list)


def gene_list(path: Path) -> list[str]:
    """Genes of a text file, one a line, or the first column of a table; lines that begin with # are left out.

    Raises
    ------
    ReadError
        If the file cannot be read or holds no gene.
    """
    try:
        lines = content(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8 text; write one gene a line"
        raise ReadError(message) from error
    cells = (line.replace(",", "\t").partition("\t")[0].strip().strip('"') for line in lines)
    genes = [cell for cell in cells if cell and not cell.startswith("#")]
    if not genes:
        message = f"{path} holds no gene; write one a line"
        raise ReadError(message)
    return genes


def of_sets(sets: Mapping[str, tuple[list[str], list[str]]], reference: ReferenceGenes) -> Queries:
    """Queries of pairs of sets by name: genes up and genes down; one of them may be empty.

    Raises
    ------
    GeneMismatch
        If the reference has too few of the genes of a set, or most of its genes are in it.
    InvalidValues
        If a gene is in both sets of a query.
    """
    up: list[Places] = []
    down: list[Places] = []
    notes: list[str] = []
    vectors = np.zeros((len(sets), reference.n), dtype=np.float32)
    absent = 0
    for row, (name, pair) in enumerate(sets.items()):
        places: list[Places] = []
        for side, genes in zip(("up", "down"), pair, strict=True):
            at, missing = reference.members(genes, f"{name!r} ({side})", MIN_GENES) if genes else (np.empty(0, int), 0)
            absent += missing
            places.append(at.astype(np.intp))
        both = places[0][np.isin(places[0], places[1])]
        if len(both):
            named = f"{counted(len(both), 'gene')} ({examples(reference.names[both])})"
            message = f"{name!r}: {named} stand both up and down; leave them out of one"
            raise InvalidValues(message)
        up.append(places[0])
        down.append(places[1])
        vectors[row, places[0]], vectors[row, places[1]] = 1, -1
    if absent:
        total = sum(len(genes) for pair in sets.values() for genes in pair)
        notes.append(f"{absent:,} of {total:,} genes of the queries are not in the reference, and were left out")
    return Queries(list(sets), up, down, vectors, np.arange(reference.n), notes)


def of_gmt(path: Path, reference: ReferenceGenes) -> Queries:
    """Queries of a GMT file: ``NAME_UP`` and ``NAME_DOWN`` (or ``NAME_DN``) are one; any other set is genes up.

    Raises
    ------
    ReadError, DuplicateIds, GeneMismatch, InvalidValues
        As of `cellixir.read_gene_sets` and `of_sets`.
    """
    pairs: dict[str, tuple[list[str], list[str]]] = {}
    for name, genes in read_gene_sets(path).items():
        end = next((end for end in _SIDES if name.upper().endswith(end)), "_UP")
        plain = name[: -len(end)] if name.upper().endswith(end) else name
        pair = pairs.setdefault(plain, ([], []))
        side = pair[0] if _SIDES[end] == "up" else pair[1]
        if side:
            message = f"{path}: two sets are the genes {_SIDES[end]} of {plain!r}; rename one of them"
            raise DuplicateIds(message)
        side += genes
    return of_sets(pairs, reference)


def of_signatures(
    table: pd.DataFrame, reference: ReferenceGenes, *, source: str, n_genes: int = N_GENES, least: int = 2 * MIN_GENES
) -> Queries:
    """Queries of whole signatures: genes that are highest and lowest are up and down, all shared ones are compared.

    Parameters
    ----------
    table
        Signatures x genes, changes against a control or z-scores.
    n_genes
        Genes up and genes down, at most a quarter of the shared ones.

    Raises
    ------
    GeneMismatch
        If fewer than ``least`` genes are shared.
    InvalidValues
        If a value is missing or not finite, or a signature is not above and below 0.
    """
    at, kind = reference.places(table.columns.to_numpy())
    shared = np.flatnonzero(at >= 0)
    if len(shared) < least:
        raise reference.mismatch(source, table.columns.tolist(), len(shared), least)
    twice = pd.Index(at[shared])
    if not twice.is_unique:
        repeats = table.columns[shared[twice.duplicated()]]
        message = f"{source}: {repeated(len(repeats), 'gene')} of the reference ({examples(repeats)}); keep one"
        raise DuplicateIds(message)
    values = numeric_block(table.iloc[:, shared], source=source).to_numpy(np.float32)
    _check_signatures(values, table, shared, source)
    n = max(1, min(n_genes, len(shared) // 4))
    order = np.argsort(-values, axis=1, kind="stable")
    rising, falling = (values > 0).sum(axis=1), (values < 0).sum(axis=1)
    up = [row[: min(n, k)] for row, k in zip(order, rising, strict=True)]
    down = [row[len(row) - min(n, k) :] for row, k in zip(order, falling, strict=True)]
    said = "" if kind == "its names" else f", matched by {kind}"
    note = f"{len(shared):,} of {table.shape[1]:,} genes of the queries are in the reference{said}; others are not used"
    names = [str(name) for name in table.index]
    return Queries(names, up, down, values, at[shared], [note])


def read_queries(
    path: Path, reference: ReferenceGenes, *, n_genes: int = N_GENES, column: str | None = None
) -> Queries:
    """Queries of a file: a GMT, a table of signatures (genes in rows or columns), or what `read_expression` reads.

    Parameters
    ----------
    column
        The one signature of a table with genes in rows.

    Raises
    ------
    DataError
        If the file cannot be read or used; see `of_gmt` and `of_signatures`.
    ConfigurationError
        If there is no such column.
    """
    name = path.name.lower()
    if name.endswith((".gmt", ".gmt.gz")):
        return of_gmt(path, reference)
    if name.endswith((".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet", ".xlsx")):
        table = _signature_table(path, reference, column)
    else:
        table = _cells(path)
    return of_signatures(table, reference, source=str(path), n_genes=n_genes)


def _cells(path: Path) -> pd.DataFrame:
    from cellixir.sources.expression import read_expression

    cells: ad.AnnData = read_expression(path, scale="unknown")
    table: pd.DataFrame = cells.to_df()
    return table


def _signature_table(path: Path, reference: ReferenceGenes, column: str | None) -> pd.DataFrame:
    """Signatures x genes of a table whose genes stand in its first column or in its header."""
    read = read_table(path)
    first = read.columns[0]
    table = read.set_index(first)
    in_rows = (reference.places(table.index.to_numpy())[0] >= 0).sum()
    in_columns = (reference.places(table.columns.to_numpy())[0] >= 0).sum()
    if column is not None and (column not in table or in_rows < in_columns):
        message = f"{path} has no column {column!r} beside genes in rows (it has {examples(table.columns, 5)})"
        raise ConfigurationError(message)
    if in_rows < in_columns:
        return table
    numbers = table[[column]] if column else table.select_dtypes("number")
    if numbers.empty:
        message = f"{path} has no column of numbers beside {first!r}; give genes and their change"
        raise InvalidValues(message)
    return numbers.T


def _check_signatures(values: NDArray[np.float32], table: pd.DataFrame, shared: Places, source: str) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        row, place = divmod(int(np.argmax(bad)), values.shape[1])
        gene, which = table.columns[shared[place]], table.index[row]
        message = f"{source}: gene {gene!r} of signature {which!r} has no finite value; fill it, or drop the gene"
        raise InvalidValues(message)
    one_sided = ~((values > 0).any(axis=1) & (values < 0).any(axis=1))
    if one_sided.any():
        which = f"{counted(int(one_sided.sum()), 'signature')} ({examples(table.index[np.flatnonzero(one_sided)])})"
        message = (
            f"{source}: the values of {which} are not above and below 0, so they are no changes; give log fold changes "
            "or z-scores against a control (--column names one of a table)"
        )
        raise InvalidValues(message)
