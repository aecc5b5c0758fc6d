"""Orders, maps and groups of features, for networks that look at neighbours.

What is learned is learned from training samples; nothing is drawn at random.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.linalg import eigh
from scipy.spatial.distance import squareform

from cellixir.exceptions import ConfigurationError, GeneMismatch, InvalidValues, examples

EMPTY = -1
# Linkage is quadratic in memory: 3,000 features take 0.1 GB, 20,000 would take 5 GB.
MAX_CLUSTERED = 3000
# The best turn of every branch is cubic in time: 0.1 s for 700 features.
MAX_TURNED = 1000
MIN_LOCATED = 0.5
_LOCATED = re.compile(r".+_(?:chr)?(\d{1,2}|X|Y|MT?)_(\d+)_\d+")
_BRACKETS = re.compile(r"\(([^()]*)\)")
_CHROMOSOMES = {**{str(n): n for n in range(1, 100)}, "X": 100, "Y": 101, "M": 102, "MT": 102}


def correlation_order(x: NDArray[np.floating]) -> NDArray[np.int64]:
    """Order in which correlated features are neighbours, whatever the sign; constant ones stand together.

    Up to 3,000 features it is the order of the leaves of an average-linkage tree on ``1 - |r|``. More are first cut
    in halves along their leading principal component, again and again, and each piece gets a tree of its own.

    Parameters
    ----------
    x
        Samples x features, without missing values.

    Raises
    ------
    InvalidValues
        If ``x`` is no table of finite numbers.
    """
    z = _unit_columns(x)
    pieces = _pieces(z, np.arange(z.shape[1], dtype=np.int64))
    return np.concatenate([piece[_leaves(z[:, piece])] for piece in pieces])


def genomic_order(names: Sequence[str], positions: pd.DataFrame | None = None) -> NDArray[np.int64] | None:
    """Order along the genome: chromosomes 1 to 22, X, Y, M, then the rest, each by start.

    Features without a position come last, in the order they have. None if fewer than half have one.

    Parameters
    ----------
    names
        Features; without ``positions``, those such as ``SKI_1_2159133_2160133`` (gene, chromosome, start, end)
        carry their own.
    positions
        Columns ``chromosome`` and ``start``, indexed by feature.

    Raises
    ------
    InvalidValues
        If ``positions`` lacks a column, names a feature twice, or has a start that is not a number.

    >>> genomic_order(["SRY_Y_2654895_2655895", "SKI_1_2159133_2160133", "TP53"]).tolist()
    [1, 0, 2]
    """
    keys = _own_positions(names) if positions is None else _known_positions(names, positions)
    located = [i for i, key in enumerate(keys) if key is not None]
    if not located or len(located) < MIN_LOCATED * len(names):
        return None
    order = sorted(located, key=lambda i: (*(keys[i] or ()), i))
    lost = [i for i, key in enumerate(keys) if key is None]
    return np.array(order + lost, dtype=np.int64)


def gene_grid(x: NDArray[np.floating]) -> NDArray[np.int64]:
    """Square map of feature numbers on which similar features are near each other, -1 where empty.

    Features are points whose squared distance is ``2 (1 - r)``. Their two leading principal axes (classical scaling)
    deal them to columns by the first and, within a column, to rows by the second, so few places stay empty.

    Parameters
    ----------
    x
        Samples x features, without missing values.

    Raises
    ------
    InvalidValues
        If ``x`` is no table of finite numbers.
    """
    z = _unit_columns(x)
    n_features = z.shape[1]
    side = int(np.ceil(np.sqrt(n_features)))
    first, second = _loadings(z, 2).T
    grid = np.full((side, side), EMPTY, dtype=np.int64)
    for column, members in enumerate(np.array_split(np.argsort(first, kind="stable"), side)):
        grid[: len(members), column] = members[np.argsort(second[members], kind="stable")]
    return grid


def tokens(order: NDArray[np.int64], width: int = 16) -> NDArray[np.int64]:
    """Consecutive groups of an order, shape ``(n_tokens, width)``; the last one is filled up with -1.

    >>> tokens(np.array([4, 2, 0, 1, 3]), width=3).tolist()
    [[4, 2, 0], [1, 3, -1]]
    """
    if width < 1:
        message = f"width={width} genes a token is not possible; give at least 1"
        raise ConfigurationError(message)
    n_tokens = -(-len(order) // width)
    padded = np.full(n_tokens * width, EMPTY, dtype=np.int64)
    padded[: len(order)] = order
    return padded.reshape(n_tokens, width)


@dataclass(frozen=True, eq=False)
class PathwayTokens:
    """Groups of features after gene sets.

    Attributes
    ----------
    layout
        Feature numbers, shape ``(n_tokens, size)``, -1 where empty.
    labels
        Gene set of each token; ``block 1``, ``block 2``, ... for features that stand in none.
    n_covered, n_features
        Features in a token that is a gene set, and all features.
    """

    layout: NDArray[np.int64]
    labels: tuple[str, ...]
    n_covered: int
    n_features: int

    @property
    def coverage(self) -> float:
        """Share of the features that stand in a gene set of the layout."""
        return self.n_covered / self.n_features

    def __str__(self) -> str:
        n_blocks = sum(label.startswith("block ") for label in self.labels)
        return (
            f"{self.n_covered} of {self.n_features} features ({self.coverage:.0%}) in {len(self.labels) - n_blocks} "
            f"gene sets, {self.n_features - self.n_covered} in {n_blocks} blocks"
        )


def pathway_tokens(
    names: Sequence[str],
    gene_sets: Mapping[str, Sequence[str]],
    *,
    order: NDArray[np.int64] | None = None,
    max_genes: int = 32,
    min_genes: int = 3,
    max_tokens: int = 40,
) -> PathwayTokens:
    """Gene sets that together hold as many of the features as they can, and blocks for the rest.

    Sets are taken one by one, always the one with most features that are not yet in a token (the smaller set where
    two are equal), until none adds ``min_genes`` more. A feature may stand in several sets; none is lost.

    Parameters
    ----------
    names
        Features named by gene: ``TP53``, ``TP53_mut``, ``SKI_1_2159133_2160133`` or with genes in brackets, as
        ``loss_cnaPANCAN7_(SMARCA4)``; case does not matter.
    gene_sets
        Genes of each set, as of `read_gene_sets`.
    order
        Order in which features that stand in no set are cut into blocks; that of ``names`` by default.
    max_genes, min_genes
        Sets with more or fewer of the features are passed over: a large one says little.
    max_tokens
        Most sets that are taken.

    Raises
    ------
    GeneMismatch
        If no feature is in any gene set, or no set is of such a size.
    ConfigurationError
        If there are no features, or the sizes leave no room.
    """
    if not names or not 1 <= min_genes <= max_genes or max_tokens < 1:
        message = (
            f"{len(names)} features, min_genes={min_genes}, max_genes={max_genes}, max_tokens={max_tokens} "
            "leave no pathway tokens; give features and 1 <= min_genes <= max_genes"
        )
        raise ConfigurationError(message)
    members = _members(names, gene_sets)
    usable = {label: found for label, found in members.items() if min_genes <= len(found) <= max_genes}
    if not usable:
        raise _no_pathway(names, gene_sets, members, (min_genes, max_genes))
    chosen = _cover(usable, min_genes, max_tokens)
    covered = set().union(*(usable[label] for label in chosen))
    in_order = range(len(names)) if order is None else order.tolist()
    groups = [[i for i in in_order if i in usable[label]] for label in chosen]
    rest = [i for i in in_order if i not in covered]
    blocks = [rest[start : start + max_genes] for start in range(0, len(rest), max_genes)]
    labels = (*chosen, *(f"block {n}" for n in range(1, len(blocks) + 1)))
    return PathwayTokens(_table([*groups, *blocks]), labels, len(covered), len(names))


def _unit_columns(x: NDArray[np.floating]) -> NDArray[np.float64]:
    """Centred columns of length 1, so that ``z.T @ z`` is the correlation; constant ones are zero."""
    if x.ndim != 2 or 0 in x.shape:
        message = f"a layout needs a table of samples x features with at least one of each, not shape {x.shape}"
        raise InvalidValues(message)
    z = np.asarray(x, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(z).all(axis=0))
    if bad.size:
        message = (
            f"{bad.size} features hold missing or infinite values (columns {examples(bad.tolist())}); "
            "impute them before their layout is learned"
        )
        raise InvalidValues(message)
    spread = np.ptp(z, axis=0)
    constant = spread == 0
    z = np.where(constant, 0.0, (z - z.mean(axis=0)) / np.where(constant, 1.0, spread))
    unit: NDArray[np.float64] = z / np.where(constant, 1.0, np.linalg.norm(z, axis=0))
    return unit


def _leaves(z: NDArray[np.float64]) -> NDArray[np.int64]:
    if z.shape[1] < 3:
        return np.arange(z.shape[1], dtype=np.int64)
    distance = 1 - np.abs(z.T @ z).clip(max=1)
    condensed = squareform(distance, checks=False)
    tree = hierarchy.average(condensed)
    if len(distance) <= MAX_TURNED:
        tree = hierarchy.optimal_leaf_ordering(tree, condensed)
    return np.asarray(hierarchy.leaves_list(tree), dtype=np.int64)


def _pieces(z: NDArray[np.float64], members: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    if len(members) <= MAX_CLUSTERED:
        return [members]
    by_axis = members[np.argsort(_loadings(z[:, members], 1)[:, 0], kind="stable")]
    half = len(members) // 2
    return [*_pieces(z, by_axis[:half]), *_pieces(z, by_axis[half:])]


def _loadings(z: NDArray[np.float64], n_axes: int) -> NDArray[np.float64]:
    """Features on the leading principal axes, shape ``(n_features, n_axes)``; the largest of each is positive.

    Features are points whose squared distance is ``2 (1 - r)``, centred: what all share is no axis.
    """
    z = z - z.mean(axis=1, keepdims=True)
    n_samples, n_features = z.shape
    if n_features <= n_samples:
        loadings = _leading(z.T @ z, n_axes)
    else:
        loadings = z.T @ _leading(z @ z.T, n_axes)
    largest = np.abs(loadings).argmax(axis=0)
    signs = np.where(loadings[largest, np.arange(loadings.shape[1])] < 0, -1.0, 1.0)
    out = np.zeros((n_features, n_axes))
    out[:, : loadings.shape[1]] = loadings * signs
    return out


def _leading(gram: NDArray[np.float64], n_axes: int) -> NDArray[np.float64]:
    size = len(gram)
    vectors: NDArray[np.float64] = eigh(gram, subset_by_index=[max(size - n_axes, 0), size - 1])[1]
    return vectors[:, ::-1]


def _members(names: Sequence[str], gene_sets: Mapping[str, Sequence[str]]) -> dict[str, frozenset[int]]:
    features: dict[str, set[int]] = {}
    for feature, name in enumerate(names):
        for gene in _genes(name):
            features.setdefault(gene, set()).add(feature)
    nothing: set[int] = set()
    return {
        label: frozenset().union(*(features.get(gene.upper(), nothing) for gene in genes))
        for label, genes in gene_sets.items()
    }


def _genes(name: str) -> list[str]:
    """Genes that a feature is named after, in capitals.

    >>> _genes("loss_cnaPANCAN210_(FAT1, IRF2)")
    ['FAT1', 'IRF2', 'LOSS']
    """
    bracketed = [gene for inside in _BRACKETS.findall(name) for gene in re.split(r"[,;\s]+", inside)]
    return [gene.upper() for gene in [*bracketed, re.split(r"[_\s(]", name)[0]] if gene]


def _cover(usable: dict[str, frozenset[int]], min_genes: int, max_tokens: int) -> list[str]:
    left = set().union(*usable.values())
    chosen: list[str] = []
    while len(chosen) < max_tokens:
        best = min(usable, key=lambda label: (-len(usable[label] & left), len(usable[label]), label))
        if len(usable[best] & left) < min_genes:
            break
        chosen.append(best)
        left -= usable[best]
    return chosen


def _no_pathway(
    names: Sequence[str],
    gene_sets: Mapping[str, Sequence[str]],
    members: dict[str, frozenset[int]],
    sizes: tuple[int, int],
) -> GeneMismatch:
    if not any(members.values()):
        genes = [gene for some in gene_sets.values() for gene in some]
        return GeneMismatch(
            f"none of the {len(names)} features ({examples(names)}) is in one of the {len(gene_sets)} gene sets "
            f"({examples(genes)}); name both by gene symbol"
        )
    seen = sorted(len(found) for found in members.values())
    return GeneMismatch(
        f"no gene set holds {sizes[0]} to {sizes[1]} of the {len(names)} features (they hold {seen[0]} to {seen[-1]}); "
        "change min_genes or max_genes"
    )


def _table(groups: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    table = np.full((len(groups), max(map(len, groups))), EMPTY, dtype=np.int64)
    for row, group in zip(table, groups, strict=True):
        row[: len(group)] = group
    return table


def _own_positions(names: Sequence[str]) -> list[tuple[int, str, float] | None]:
    matches = [_LOCATED.fullmatch(name) for name in names]
    return [_key(match[1], float(match[2])) if match else None for match in matches]


def _known_positions(names: Sequence[str], positions: pd.DataFrame) -> list[tuple[int, str, float] | None]:
    lacking = [column for column in ("chromosome", "start") if column not in positions]
    repeated = positions.index[positions.index.duplicated()].unique()
    if lacking or len(repeated):
        fault = f"lack the column {examples(lacking)}" if lacking else f"name features twice ({examples(repeated)})"
        message = f"the gene positions {fault}; give one row a feature, with its chromosome and start"
        raise InvalidValues(message)
    start = pd.to_numeric(positions["start"], errors="coerce")
    wrong = positions.index[start.isna() & positions["start"].notna()]
    if len(wrong):
        message = f"the start of {examples(wrong)} is not a number; correct it or leave it empty"
        raise InvalidValues(message)
    rows = zip(positions.index, positions["chromosome"], start, strict=True)
    known = {name: _key(str(chromosome), s) for name, chromosome, s in rows if pd.notna(chromosome) and pd.notna(s)}
    return [known.get(name) for name in names]


def _key(chromosome: str, start: float) -> tuple[int, str, float]:
    bare = chromosome.removeprefix("chr").removesuffix(".0").upper()
    return _CHROMOSOMES.get(bare, 1000), bare, start
