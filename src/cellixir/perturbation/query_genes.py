"""Genes of queries among those of a reference: by name, symbol, Entrez or Ensembl id, whichever both have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.exceptions import GeneMismatch, counted, examples

#: Columns that may name the genes of a reference.
_NAMES = (
    "pr_gene_symbol", "gene_symbol", "symbol", "gene_name", "Description", "pr_gene_id", "gene_id", "gene_ids",
    "entrez", "entrez_id", "ensembl_id", "pr_id",
)  # fmt: skip
#: A second kind of names that fits this well, and says otherwise, makes the genes of a query ambiguous.
_AS_WELL = 0.5


class ReferenceGenes:
    """Genes of a reference under all names that it has for them.

    Parameters
    ----------
    var
        Its genes; the index and the columns of names and ids count.
    table
        A table of genes (symbol, Entrez and Ensembl id) by which names of another kind are translated.
    """

    def __init__(self, var: pd.DataFrame, table: pd.DataFrame | None = None) -> None:
        self.n = len(var)
        own = {"its names": _text(var.index), **{c: _text(var[c]) for c in _NAMES if c in var.columns}}
        self.kinds = {kind: _unique(names) for kind, names in own.items()}
        self.names = own["its names"]
        if table is not None:
            self.kinds |= self._translated(table)

    def _translated(self, table: pd.DataFrame) -> dict[str, pd.Series]:
        """Names of a table for the genes that one of its columns names, where the reference has no such names."""
        columns = {c: _text(table[c]) for c in _NAMES if c in table.columns}
        found = {}
        for column, names in columns.items():
            at, _ = self.places(names)
            if (at >= 0).sum() >= 0.5 * min(self.n, len(names)):
                other = {c: values for c, values in columns.items() if c != column}
                for name, values in other.items():
                    key = f"{name} of the table of genes"
                    found[key] = pd.Series(at[at >= 0], index=values[at >= 0])
                break
        return {key: known[~known.index.duplicated(keep=False)] for key, known in found.items()}

    def places(self, genes: Any) -> tuple[NDArray[np.intp], str]:
        """Place of each of some names, -1 where the reference does not have it, and the kind of names that fits best.

        Raises
        ------
        GeneMismatch
            If two kinds of names fit and name different genes.
        """
        wanted = _text(pd.Index(genes))
        fits = {kind: known.reindex(wanted).fillna(-1).to_numpy(np.intp) for kind, known in self.kinds.items()}
        best = max(fits, key=lambda kind: int((fits[kind] >= 0).sum()))
        at = fits[best]
        for kind, others in fits.items():
            both = (at >= 0) & (others >= 0)
            differ = both & (at != others)
            if (others >= 0).sum() > _AS_WELL * (at >= 0).sum() > 0 and differ.sum() > 0.5 * both.sum():
                message = (
                    f"genes {examples(wanted[differ])} of the query are other genes of the reference by {best} than by "
                    f"{kind}; name them by symbol"
                )
                raise GeneMismatch(message)
        return at, best

    def members(self, genes: Iterable[object], what: str, least: int) -> tuple[NDArray[np.intp], int]:
        """Places of the genes of a set that the reference has, each once, and how many it does not have.

        Raises
        ------
        GeneMismatch
            If there are fewer than ``least``, or most of the reference.
        """
        wanted = pd.unique(_text(pd.Index(list(genes))))
        at, _ = self.places(wanted)
        found = np.unique(at[at >= 0])
        if len(found) < least:
            raise self.mismatch(what, wanted, len(found), least)
        if 2 * len(found) > self.n:
            message = f"{what} has {len(found):,} of the {self.n:,} genes of the reference; give the most changed ones"
            raise GeneMismatch(message)
        return found, int((at < 0).sum())

    def mismatch(self, what: str, wanted: Any, n_found: int, least: int) -> GeneMismatch:
        """What is said of genes of another kind."""
        kinds = ", ".join(f"{kind} such as {str(names.index[0])!r}" for kind, names in self.kinds.items() if len(names))
        return GeneMismatch(
            f"{n_found} of {counted(len(wanted), 'gene')} of {what} are in the reference, and {least} is the least: it "
            f"has {examples(wanted)}, the reference {kinds}; use one of these kinds of names, add a column of them to "
            "var, or, for L1000, get the table that translates: cellixir data get l1000-landmarks"
        )


def _text(names: Any) -> pd.Index:
    """Names as text without version or ``.0``; missing ones are empty."""
    values = pd.Series(np.asarray(names, dtype=object)).map(str, na_action="ignore").fillna("").str.strip()
    if values.str.fullmatch(r"(\d+\.0+)?").all():
        values = values.str.partition(".")[0]
    ensembl = values.str.fullmatch(r"ENS[A-Z]*G\d+\.\d+")
    return pd.Index(values.where(~ensembl, values.str.partition(".")[0]), dtype=object)


def _unique(names: pd.Index) -> pd.Series:
    """Place by name, for names that one gene alone has."""
    places = pd.Series(np.arange(len(names)), index=names)
    return places[~names.duplicated(keep=False) & (names != "")]
