"""Queries against a reference of signatures, read in blocks: which compounds mimic a change, and which reverse it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from cellixir.data.expression import blocks
from cellixir.exceptions import ConfigurationError, InvalidValues, examples
from cellixir.metrics.fdr import benjamini_hochberg
from cellixir.perturbation.connectivity import (
    Floats,
    Ranked,
    Sets,
    cosine,
    max_quantile,
    normalised,
    ranked,
    spearman,
    weighted_connectivity,
)
from cellixir.perturbation.queries import Queries
from cellixir.perturbation.query_null import RandomSets, standardised

#: Columns that are looked for where none is named.
KEYS = {
    "perturbation": ("pert_iname", "cmap_name", "drug", "compound", "perturbation", "condition", "pert_id"),
    "cell line": ("cell_id", "cell_iname", "cell_line", "cell_line_name", "cell"),
    "type": ("pert_type",),
}
_SHOWN = ("pert_type", "pert_idose", "pert_dose", "dose", "dose_um", "pert_itime", "pert_time", "time")
#: Rows of the reference that are ranked at a time, bytes for scores of a batch of queries, and fewest random scores.
_BLOCK, _SCORES, _FEWEST = 512, 2.5e8, 10_000


@dataclass(frozen=True, eq=False)
class Connections:
    """What a query finds.

    Attributes
    ----------
    signatures
        One row a signature of the reference at either end: ``query``, ``direction`` (``mimics`` or ``reverses``),
        ``rank``, ``signature``, ``perturbation``, ``cell_line``, what is known of dose, time and type, ``ncs``,
        ``wtcs``, ``cosine``, ``spearman``, ``p``, ``fdr``.
    compounds
        One row a compound at either end: ``query``, ``direction``, ``rank``, ``perturbation``, ``score``,
        ``n_cell_lines``, ``n_signatures``.
    notes
        Sentences on what was done.
    """

    signatures: pd.DataFrame
    compounds: pd.DataFrame
    notes: list[str]


def query(
    reference: ad.AnnData,
    queries: Queries,
    *,
    perturbation_key: str | None = None,
    cell_line_key: str | None = None,
    top: int = 50,
    n_permutations: int = 100,
    seed: int = 0,
) -> Connections:
    """Signatures and compounds of a reference that mimic each query, and those that reverse it.

    Every signature gets the weighted connectivity score of the query's genes (``wtcs``; Subramanian et al., Cell
    171:1437, 2017), the same over the mean of its sign in its cell line and type of perturbagen (``ncs``), cosine and
    Spearman correlation over all genes, and p of random genes of the same numbers (`RandomSets`), with the
    false discovery rate of Benjamini and Hochberg over the signatures of the reference. A compound is summarised in
    each cell line by quantile .67 or .33 of the ``ncs`` of its signatures, whichever is farther from 0, and these over
    cell lines in the same way.

    Parameters
    ----------
    reference
        Signatures x genes: z-scores or changes against controls, in memory or on disk; read block by block, once for
        each batch of queries.
    queries
        As of `read_queries` or `of_sets`, in places of the genes of this reference.
    perturbation_key, cell_line_key
        Columns of ``obs``; None: the usual names (``pert_iname``, ``cell_id``, ...), if any is there.
    top
        Signatures, and compounds, at each end; 0: all.
    n_permutations
        Random sets a signature; more where the reference has fewer than 10,000 of them in all.
    seed
        Of the random sets.

    Returns
    -------
    Connections
        Signatures and compounds at both ends.

    Raises
    ------
    InvalidValues
        If a value is missing or infinite, or none is below 0: expression, not signatures.
    ConfigurationError
        If there is no such column.

    Examples
    --------
    >>> query(read_gctx("level5.gctx", backed=True), queries).compounds  # doctest: +SKIP
    """
    labels, notes = _labels(reference.obs, perturbation_key, cell_line_key)
    groups = _codes(labels["cell_line"], labels["type"])
    batch = max(1, int(_SCORES // (16 * reference.n_obs)))
    compounds = _Compounds.of(labels)
    tables = [
        (_signatures(*found, labels, top), _of_compounds(*found, compounds, top))
        for start in range(0, len(queries.names), batch)
        for found in _scored(reference, queries, slice(start, start + batch), groups, n_permutations, seed)
    ]
    signatures, by_compound = (pd.concat(parts, ignore_index=True) for parts in zip(*tables, strict=True))
    return Connections(signatures, by_compound, [*queries.notes, *notes])


def _scored(
    reference: ad.AnnData, queries: Queries, part: slice, groups: NDArray[np.intp], n_permutations: int, seed: int
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and scores of each query of a batch, one row a signature."""
    names, up, down = queries.names[part], queries.up[part], queries.down[part]
    n_genes, n = len(queries.genes), max(n_permutations, -(-_FEWEST // reference.n_obs))
    sizes = np.array([[len(a), len(b)] for a, b in zip(up, down, strict=True)])
    random = RandomSets(sizes, n_genes, n, seed)
    sets = Sets([*up, *down], n_genes)
    scores = np.empty((4, len(names), reference.n_obs), dtype=np.float32)  # wtcs, standardised, cosine, spearman
    below = False
    for start, values in _blocks(reference, queries.genes):
        signatures, rows = ranked(values), slice(start, start + len(values))
        below = below or bool((values < 0).any())
        scores[:2, :, rows] = _connectivity(signatures, sets, random, sizes)
        scores[2, :, rows] = cosine(values, queries.vectors[part]).T
        scores[3, :, rows] = spearman(signatures, values, queries.vectors[part]).T
    if not below:
        message = (
            "no value of the reference is below 0, so these are levels of expression, not changes; give z-scores or "
            "differences against controls (level 4 or 5 of L1000, or 'cellixir.perturbation.effects_of')"
        )
        raise InvalidValues(message)
    for i, name in enumerate(names):
        p = random.p_values(scores[1, i], int(random.pair_of[i]))
        ncs = normalised(scores[0, i], groups)
        columns = {"ncs": ncs, "wtcs": scores[0, i], "cosine": scores[2, i], "spearman": scores[3, i]}
        yield name, pd.DataFrame({**columns, "p": p, "fdr": benjamini_hochberg(p)})


def _connectivity(signatures: Ranked, sets: Sets, random: RandomSets, sizes: NDArray[np.intp]) -> Floats:
    """WTCS and standardised WTCS, shape ``(2, n_queries, n_signatures)``."""
    n, n_queries = len(signatures.packed), len(sizes)
    enrichment, scales = sets.enrichment(signatures), random.scales(signatures)
    found = np.empty((2, n_queries, n), dtype=np.float32)
    for i, (n_up, n_down) in enumerate(sizes):
        up, down = enrichment[:, i], enrichment[:, n_queries + i]
        found[0, i] = weighted_connectivity(up if n_up else None, down if n_down else None)
        found[1, i] = standardised(found[0, i][:, None], scales[:, random.pair_of[i]])[:, 0]
    return found


def _blocks(reference: ad.AnnData, genes: NDArray[np.intp]) -> Iterator[tuple[int, Floats]]:
    every = len(genes) == reference.n_vars and bool((genes == np.arange(len(genes))).all())
    for start, block in blocks(reference.X, _BLOCK):
        rows: Any = block.toarray() if isinstance(block, sp.csr_matrix) else block
        values = np.ascontiguousarray(rows if every else rows[:, genes], dtype=np.float32)
        bad = ~np.isfinite(values)
        if bad.any():
            row, place = divmod(int(np.argmax(bad)), values.shape[1])
            gene, signature = reference.var_names[genes[place]], reference.obs_names[start + row]
            message = f"gene {gene!r} of signature {signature!r} of the reference has no finite value; drop or fill it"
            raise InvalidValues(message)
        yield start, values


def _labels(
    obs: pd.DataFrame, perturbation_key: str | None, cell_line_key: str | None
) -> tuple[pd.DataFrame, list[str]]:
    """Perturbation, cell line, type and what else is shown of each signature, as text."""
    signature = pd.Series(obs.index.astype(str), index=obs.index)
    unknown = pd.Series("unknown", index=obs.index)
    perturbation = _column(obs, "perturbation", perturbation_key)
    line, kind = _column(obs, "cell line", cell_line_key), _column(obs, "type", None)
    notes = [f"scores are normalised within {line or 'the whole reference: it has no column of cell lines'}"]
    if perturbation is None:
        notes.append("the reference has no column of perturbations, so each signature is one (perturbation_key)")
    named = {
        "signature": signature,
        "perturbation": signature if perturbation is None else obs[perturbation],
        "cell_line": unknown if line is None else obs[line],
        "type": unknown if kind is None else obs[kind],
    }
    texts = {what: values.astype(object).where(values.notna(), "unknown").astype(str) for what, values in named.items()}
    shown = {name: obs[name] for name in _SHOWN if name in obs}
    return pd.DataFrame(texts | shown).reset_index(drop=True), notes


def _column(obs: pd.DataFrame, what: str, key: str | None) -> str | None:
    if key is not None and key not in obs:
        message = f"the reference has no column {key!r} ({what}); it has {examples(obs.columns, 8)}"
        raise ConfigurationError(message)
    return key or next((name for name in KEYS[what] if name in obs), None)


def _codes(*columns: pd.Series) -> NDArray[np.intp]:
    return np.asarray(pd.MultiIndex.from_arrays(list(columns)).factorize()[0], dtype=np.intp)


def _signatures(name: str, scores: pd.DataFrame, labels: pd.DataFrame, top: int) -> pd.DataFrame:
    """Both ends of the ranking of signatures by ncs; of equal ones the Spearman correlation decides."""
    order = np.lexsort((scores["spearman"], scores["ncs"]))[::-1]
    parts = _ends(order, scores["ncs"].to_numpy()[order], top)
    about = labels.columns.drop("type")
    ends = [pd.concat([labels[about].iloc[rows], scores.iloc[rows]], axis=1) for rows in parts]
    return _stacked(name, ends)


class _Compounds(NamedTuple):
    """Which compound and cell line each signature is of."""

    pairs: NDArray[np.intp]
    codes: NDArray[np.intp]
    names: pd.Index

    @classmethod
    def of(cls, labels: pd.DataFrame) -> _Compounds:
        """Of each signature its pair of compound and line; of each pair its compound."""
        pairs = _codes(labels["perturbation"], labels["cell_line"])
        first = np.unique(pairs, return_index=True)[1]
        codes, names = labels["perturbation"].iloc[first].factorize()
        return cls(pairs, codes, pd.Index(names))


def _of_compounds(name: str, scores: pd.DataFrame, of: _Compounds, top: int) -> pd.DataFrame:
    score = max_quantile(max_quantile(scores["ncs"].to_numpy(), of.pairs), of.codes)
    table = pd.DataFrame({"perturbation": of.names, "score": score, "n_cell_lines": np.bincount(of.codes)})
    table["n_signatures"] = np.bincount(of.codes[of.pairs])
    order = np.argsort(-score, kind="stable")
    return _stacked(name, [table.iloc[rows] for rows in _ends(order, score[order], top)])


def _ends(order: NDArray[np.intp], along: Floats, top: int) -> list[NDArray[np.intp]]:
    """Rows above 0 from the highest, rows below 0 from the lowest, ``top`` of each; 0: all."""
    most = top or len(order)
    return [order[along > 0][:most], order[::-1][along[::-1] < 0][:most]]


def _stacked(name: str, ends: list[pd.DataFrame]) -> pd.DataFrame:
    tables = []
    for direction, rows in zip(("mimics", "reverses"), ends, strict=True):
        lead: dict[str, Any] = {"query": name, "direction": direction, "rank": np.arange(1, len(rows) + 1)}
        tables.append(pd.concat([pd.DataFrame(lead, index=rows.index), rows], axis=1))
    return pd.concat(tables, ignore_index=True)
