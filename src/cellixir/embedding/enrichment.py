"""Which gene sets the genes of a latent, or of any list or ranking, belong to.

Two tests. Over-representation asks whether a list of genes holds more of a set than a list drawn at random from the
genes of the data would (hypergeometric upper tail, which is the one-sided exact test of Fisher). Ranked enrichment
needs no list: it asks whether a set gathers at one end of a ranking of all genes (preranked GSEA: Subramanian et al.,
PNAS 102:15545, 2005), against genes drawn at random.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import hypergeom

from cellixir.data.gene_sets import MAX_GENES, MIN_GENES, Case, pathway_mask
from cellixir.data.tables import numeric_block
from cellixir.embedding.running_sum import enrichment
from cellixir.exceptions import ConfigurationError, DuplicateIds, GeneMismatch, InvalidValues, examples
from cellixir.metrics.fdr import method_named

Floats = NDArray[np.float64]

#: Names of the two tests in the table of `enrich_latents`, and of the two ends of a latent.
OVER_REPRESENTATION, RANKED = "over_representation", "ranked"
POSITIVE, NEGATIVE = "positive", "negative"
N_PERMUTATIONS = 1000
#: Columns of the table of `enrich_latents`.
COLUMNS = ["latent", "test", "direction", "pathway", "id", "size", "overlap", "expected", "odds_ratio", "es", "nes"]
COLUMNS += ["p", "fdr", "genes"]


def over_representation(
    genes: Iterable[str],
    sets: Mapping[str, Sequence[str]],
    background: Iterable[str],
    *,
    min_genes: int = MIN_GENES,
    max_genes: int = MAX_GENES,
    case: Case = "exact",
    method: str = "bh",
) -> pd.DataFrame:
    """Gene sets that hold more of the genes than chance would give, the least p-value first.

    Parameters
    ----------
    genes
        Genes of interest, all of them in the background; one that stands twice counts once.
    sets
        Genes of each set, as of `read_gene_sets`; only those in the background count.
    background
        The genes of the data: those that could have come into the list. Never all genes there are: a tissue, a panel
        or a choice of variable genes is itself enriched for some sets, and every list from it would seem to be.
    min_genes, max_genes, case
        Of `pathway_mask`: sets with fewer or more genes in the background are not tested.
    method
        False discovery rate over the sets: ``bh`` or ``storey``.

    Returns
    -------
    DataFrame
        Columns ``pathway``, ``id``, ``size`` (genes of the background in the set), ``overlap``, ``expected`` (overlap
        by chance), ``odds_ratio`` (of the sample; infinite where the list or the set lies wholly in the other, NaN
        where either is the whole background), ``p``, ``fdr``, ``genes`` (the overlap, joined by ``;``, in the order
        given).

    Raises
    ------
    GeneMismatch
        If a gene is not in the background, or no set is of such a size.
    ConfigurationError
        If there are no genes, no sets or no background, or an option is not known.
    """
    correct = method_named(method)
    tested = _Tested.of(sets, background, min_genes, max_genes, case)
    table = tested.over_representation(tested.rows(genes))
    table = table.assign(fdr=correct(table["p"]), genes=table.pop("genes"))
    return table.sort_values("p", kind="stable", ignore_index=True)


def enrich_latents(
    loadings: pd.DataFrame,
    sets: Mapping[str, Sequence[str]],
    *,
    top: int = 50,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
    min_genes: int = MIN_GENES,
    max_genes: int = MAX_GENES,
    case: Case = "exact",
    method: str = "bh",
) -> pd.DataFrame:
    """Both tests of every gene set at both ends of every latent; false discovery rates over all latents together.

    Parameters
    ----------
    loadings
        Genes x latents; its genes are the background.
    top
        Most genes at each end that over-representation takes: those of `top_genes`.
    sets, min_genes, max_genes, case, method
        Of `over_representation`.
    n_permutations
        Draws of genes at random, shared by all sets of a size. No p-value falls below one in the draws whose
        enrichment score has the same sign, about ``2 / n_permutations``.
    seed
        Of the draws.

    Returns
    -------
    DataFrame
        Columns ``latent``, ``test`` (``over_representation`` or ``ranked``), ``direction`` (``positive`` or
        ``negative``; of a ranked test, the end at which the set gathers), then those of `over_representation` and
        ``es`` (from -1 to 1) and ``nes``, NaN where a test has no such column; ``genes`` of a ranked test are the
        leading edge, the most extreme first. In the order of the latents and, for each test, the least false
        discovery rate first. An end without a gene (all loadings of one sign) has no over-representation.

    Raises
    ------
    InvalidValues
        If a loading is missing, infinite or text.
    GeneMismatch
        If no set is of such a size.
    DuplicateIds
        If a gene or a latent stands twice.
    ConfigurationError
        If there are no sets or no loadings, or an option is not possible.

    Notes
    -----
    The running sum rises at each gene of the set by its share of the set's ``|loading|`` and falls at each other gene
    by the same step; ``es`` is its farthest point from zero. Tied genes are taken in one stride, so their order does
    not matter, and where all loadings of a set are zero its genes weigh the same. ``nes`` is ``es`` over the mean of
    the draws of that size and sign. ``p`` is the share of these that go as far, the set itself counted among them.
    ``fdr`` is of p-values from the ``nes`` of the draws of every size together, which are as many times finer, so it
    may be below ``p``. Genes are drawn as if independent; those of a pathway are not: a screen.

    A ranking in which most loadings are zero, as of a masked decoder, orders few genes; over-representation is then
    the better test, as one gene of many makes the whole of a set's weight.
    """
    correct = method_named(method)
    ends: Any = top_genes(loadings, top).groupby(["latent", "direction"], sort=False)["gene"]
    tested = _Tested.of(sets, loadings.index, min_genes, max_genes, case)
    ranked = _ranked(loadings, tested, n_permutations, seed, method)
    parts = [
        tested.over_representation(tested.rows(genes)).assign(latent=latent, direction=direction)
        for (latent, direction), genes in ends
    ]
    lists = pd.concat(parts or [ranked.iloc[:0]], ignore_index=True)
    lists = lists.assign(fdr=correct(lists["p"]), test=OVER_REPRESENTATION)
    table = pd.concat([lists, ranked.assign(test=RANKED)], ignore_index=True).reindex(columns=COLUMNS)
    order = pd.Categorical(table["latent"], categories=loadings.columns)
    return _in_order(table.assign(_latent=order.codes), ["_latent", "test", "fdr", "p"])[COLUMNS]


def top_genes(loadings: pd.DataFrame, n: int = 20) -> pd.DataFrame:
    """The ``n`` genes with the largest loadings above zero and the ``n`` with the lowest below, for each latent.

    Parameters
    ----------
    loadings
        Genes x latents.
    n
        Most genes at each end; fewer where fewer have a loading of that sign.

    Returns
    -------
    DataFrame
        Columns ``latent``, ``direction`` (``positive``, ``negative``), ``rank`` (from 1), ``gene``, ``loading``.

    Raises
    ------
    ConfigurationError
        If ``n`` is below 1.
    InvalidValues
        If a loading is missing, infinite or text.
    """
    if n < 1:
        message = f"the top {n} genes are none; give at least 1"
        raise ConfigurationError(message)
    values, genes = _finite(loadings), loadings.index.to_numpy()
    parts = []
    for latent, column in zip(loadings.columns, values.T, strict=True):
        for direction, signed in ((POSITIVE, column), (NEGATIVE, -column)):
            order = np.argsort(-signed, kind="stable")[: min(n, int((signed > 0).sum()))]
            rows = {"latent": latent, "direction": direction, "rank": np.arange(1, len(order) + 1)}
            parts.append(pd.DataFrame({**rows, "gene": genes[order], "loading": column[order]}))
    empty = pd.DataFrame(columns=["latent", "direction", "rank", "gene", "loading"])
    return pd.concat([part for part in parts if len(part)] or [empty], ignore_index=True)


@dataclass(frozen=True, eq=False)
class _Tested:
    """Gene sets of a size that is tested; ``mask`` has shape ``(n_genes, n_sets)``."""

    facts: pd.DataFrame  # pathway, id, size
    mask: NDArray[np.bool_]
    genes: pd.Index

    @classmethod
    def of(
        cls, sets: Mapping[str, Sequence[str]], genes: Iterable[str], min_genes: int, max_genes: int, case: Case
    ) -> _Tested:
        index = pd.Index([str(gene) for gene in genes], dtype=object)
        mask, _, report = pathway_mask(
            sets, index, min_genes=min_genes, max_genes=max_genes, case=case, merge_identical=False
        )
        kept = report.loc[report["kept"], ["name", "id", "found"]].reset_index(drop=True)
        return cls(kept.rename(columns={"name": "pathway", "found": "size"}), mask, index)

    def rows(self, genes: Iterable[str]) -> NDArray[np.intp]:
        """Place of each gene in the background, each once."""
        wanted = pd.Index([str(gene) for gene in genes], dtype=object).unique()
        if not len(wanted):
            message = "no genes are given, so nothing can be over-represented; give at least one"
            raise ConfigurationError(message)
        places: NDArray[np.intp] = self.genes.get_indexer(wanted)
        lost = wanted[places < 0]
        if len(lost):
            message = (
                f"{len(lost)} of {len(wanted)} genes are not in the background ({examples(lost)}), which holds "
                f"{len(self.genes):,} genes such as {examples(self.genes)}; the background is the genes that could "
                "have come into the list: take the list from these, or leave the others out"
            )
            raise GeneMismatch(message)
        return places

    def over_representation(self, rows: NDArray[np.intp]) -> pd.DataFrame:
        """Test of each set, in the order of the sets, without a false discovery rate."""
        held, size = self.mask[rows], self.facts["size"].to_numpy()
        n_genes, n = len(self.genes), len(rows)
        overlap = held.sum(axis=0)
        neither = n_genes - size - n + overlap
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = overlap * neither / ((size - overlap) * (n - overlap))
        columns = {"overlap": overlap, "expected": n * size / n_genes, "odds_ratio": odds}
        p = np.clip(hypergeom.sf(overlap - 1, n_genes, size, n), 0, 1)
        return self.facts.assign(**columns, p=p, genes=_joined(self.genes.to_numpy()[rows], held))


def _joined(genes: NDArray[Any], held: NDArray[np.bool_]) -> list[str]:
    """Genes in each column of ``held``, in their order."""
    found: list[list[str]] = [[] for _ in range(held.shape[1])]
    for gene, column in zip(*np.nonzero(held), strict=True):
        found[column].append(genes[gene])
    return [";".join(names) for names in found]


def _ranked(loadings: pd.DataFrame, tested: _Tested, n_permutations: int, seed: int, method: str) -> pd.DataFrame:
    """Ranked test of every set in every column, in their order."""
    correct = method_named(method)
    if n_permutations < 1:
        message = f"n_permutations={n_permutations} leaves no draws to compare with; give 1000, or at least 1"
        raise ConfigurationError(message)
    found = enrichment(_finite(loadings), tested.mask, n_permutations=n_permutations, seed=seed, correct=correct)
    genes = tested.genes.to_numpy()
    parts = []
    for row, latent in enumerate(loadings.columns):
        edges = [";".join(genes[leading]) for leading in found.leading[row]]
        columns = {name: getattr(found, name)[row] for name in ("es", "nes", "p", "fdr")}
        direction = np.where(found.es[row] >= 0, POSITIVE, NEGATIVE)
        parts.append(tested.facts.assign(latent=latent, direction=direction, **columns, genes=edges))
    return pd.concat(parts, ignore_index=True)


def _in_order(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Rows by these columns, equal ones by how strong they are."""
    strength = -table["nes"].abs()
    ordered = table.assign(_strength=strength).sort_values([*by, "_strength"], kind="stable", ignore_index=True)
    return ordered.drop(columns="_strength")


def _finite(loadings: pd.DataFrame) -> Floats:
    """Numbers of a table with at least one gene and one column, each column once."""
    columns = loadings.columns
    repeated = columns[columns.duplicated()].unique()
    if len(repeated):
        message = f"{len(repeated)} latents stand more than once ({examples(repeated)}); give each a name of its own"
        raise DuplicateIds(message)
    if 0 in loadings.shape:
        message = f"{loadings.shape[0]} genes x {loadings.shape[1]} columns of scores; give at least one of each"
        raise ConfigurationError(message)
    values = numeric_block(loadings, source="scores").to_numpy()
    missing = np.argwhere(np.isnan(values))
    if len(missing):
        gene, column = loadings.index[missing[0, 0]], columns[missing[0, 1]]
        message = (
            f"gene {gene!r} has no score in {column!r} ({len(missing)} scores are missing in all); leave such genes out"
        )
        raise InvalidValues(message)
    return values
