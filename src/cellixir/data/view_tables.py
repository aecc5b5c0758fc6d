"""Tables of omics as publishers write them, turned to samples x features: who is in rows, and what is annotation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from cellixir.data.dates import without_dates
from cellixir.data.known_columns import DEFAULT_ENTRY, RUN_IDS, SAMPLE_IDS, plain
from cellixir.data.missing_marks import refuse_marks
from cellixir.data.spellings import sample_spelling
from cellixir.data.tables import as_text, id_index, numeric_block
from cellixir.exceptions import UnknownIds, counted, examples

_OBS_NAMES = {
    "tissue_factor": "tissue",
    "tissue_factor_value": "tissue",
    "media_factor": "medium",
    "sample_name": "cell_line_name",
}
# Words, identifiers and bookkeeping of samples: never features, even where they are written as numbers.
_ANNOTATIONS = frozenset(
    "tissue cancer_type cancer primary_site site_primary primary_disease disease lineage histology subtype tcga_desc "
    "tcga_code ccle_name stripped_cell_line_name medium growth_properties sex gender batch isdefaultentryformc "
    "is_default_entry_for_mc".split()
).union(SAMPLE_IDS, RUN_IDS, DEFAULT_ENTRY, _OBS_NAMES)
_MSI = ("msi_factor", "ms_instability_factor_value")
_GDSC_DRUG = re.compile(r"drug_\w+_ic50", re.IGNORECASE)
#: Columns of a table with genes in rows that are about the gene; those that name it by its symbol come first.
_SYMBOLS = ("gene_symbols", "gene_symbol", "symbol", "hgnc_symbol", "hugo_symbol", "gene_name", "description")
_GENE_NOTES = frozenset(
    "gene_title gene_id gene_ids ensembl_id ensembl_gene_id entrez_id entrez_gene_id transcript_id transcript_ids name "
    "genename gene_description gene_biotype gene_type chromosome chr locus strand start end length accession".split()
).union(_SYMBOLS)
#: GDSC's expression calls a line DATA.<COSMIC id>, and one that was measured again DATA.<COSMIC id>.1.
_PREFIXED = re.compile(r"DATA\.(\d+)(\.\d+)?")


@dataclass(frozen=True)
class Known:
    """What is known of the names in a table before it is read: ids of samples, features of a model; None: nothing."""

    samples: frozenset[str] | None = None
    features: frozenset[str] | None = None
    _spelled: dict[str, frozenset[str]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, samples: Iterable[object] | None, features: Iterable[object] | None) -> Known:
        """Names as text."""
        named = [None if names is None else frozenset(map(str, names)) for names in (samples, features)]
        return cls(named[0], named[1])

    def count(self, names: Iterable[object]) -> int:
        """How many of the names are samples, in any spelling where none is to the letter."""
        wanted, given = self.samples or frozenset(), [str(name) for name in names]
        exact = sum(name in wanted for name in given)
        if exact or not wanted:
            return exact
        if "keys" not in self._spelled:
            self._spelled["keys"] = frozenset(map(sample_spelling, wanted)) - {""}
        return sum(sample_spelling(name) in self._spelled["keys"] for name in given)

    def columns_are_samples(self, rows: int, columns: Iterable[str], names: Iterable[str], source: str) -> bool:
        """Whether samples are the columns; ``rows`` of the samples were found among the rows ``names``."""
        columns, names = list(columns), list(names)
        if self.samples is None:
            known = self.features or frozenset()
            return sum(n in known for n in names) > sum(c in known for c in columns)
        found = self.count(columns)
        if not rows and not found:
            message = (
                f"{source}: none of its {len(names)} rows ({examples(names)}) or {len(columns)} columns "
                f"({examples(columns)}) is one of the {len(self.samples)} sample ids known "
                f"({examples(sorted(self.samples))}); use the same kind of sample ids in both"
            )
            raise UnknownIds(message)
        return found > rows


@dataclass(frozen=True)
class ViewTable:
    """A table, samples x features: numbers, annotation of the samples, and what a reader has to know."""

    values: pd.DataFrame
    obs: pd.DataFrame
    notes: list[str]


def view_table(frame: pd.DataFrame, source: str, known: Known, *, restore: bool = False) -> ViewTable:
    """The table with samples in rows, whichever way it was written.

    Parameters
    ----------
    restore
        Map genes that a spreadsheet turned to dates back, where one gene alone can have been it.

    Raises
    ------
    UnknownIds
        If neither rows nor columns are samples that are known.
    ReadError
        If a name is a date.
    InvalidValues
        If a feature holds text or a mark for missing values, or a row has no id.
    """
    notes: list[str] = []
    frame = _unprefixed(frame, notes, source)
    sample = _sample_column(frame, known)
    names, others = as_text(frame[sample]).dropna(), [c for c in frame.columns if c != sample]
    genes = as_text(frame[frame.columns[0]]).dropna()
    if known.columns_are_samples(known.count(names), others, genes if known.samples is None else names, source):
        return _genes_in_rows(frame, source, known, restore, notes)
    return _samples_in_rows(frame, sample, source, restore, notes)


def _unprefixed(frame: pd.DataFrame, notes: list[str], source: str) -> pd.DataFrame:
    found = {str(c): m for c in frame.columns if (m := _PREFIXED.fullmatch(str(c)))}
    if not found:
        return frame
    first: dict[str, str] = {}
    for column, match in found.items():
        first.setdefault(match[1], column)
    again = [column for column, match in found.items() if first[match[1]] != column]
    if again:
        notes.append(f"{source}: a line that is measured again is left out: {examples(again)}")
    return frame.drop(columns=again).rename(columns={column: name for name, column in first.items()})


def _sample_column(frame: pd.DataFrame, known: Known) -> str:
    """Column of the sample ids: the one that holds most known ids, else the first that is not about a single run."""
    first = str(frame.columns[0])
    candidates = [first, *(str(c) for c in frame.columns[1:] if plain(c) in SAMPLE_IDS)]
    if known.samples is not None:
        return max(candidates, key=lambda c: known.count(as_text(frame[c]).dropna().unique()))
    numbered = first == "" and list(as_text(frame[first])) == [str(row) for row in range(len(frame))]
    better = len(candidates) > 1 and (plain(first) in RUN_IDS or numbered)
    return candidates[1] if better else first


def _samples_in_rows(frame: pd.DataFrame, sample: str, source: str, restore: bool, notes: list[str]) -> ViewTable:
    frame = _default_entries(frame, sample, source, notes)
    rows = id_index(frame[sample], source=source, what="sample")
    without_dates(list(rows), source=source, what="samples", restore=False)
    others = [c for c in frame.columns if c != sample]
    numbered = [c for c in others[:1] if c == "" or (frame.columns[0] == c != sample and plain(c) in RUN_IDS)]
    block = frame[others].set_index(rows).drop(columns=numbered)
    names = {column: plain(column) for column in block.columns}
    words = {column: _OBS_NAMES.get(p, p) for column, p in names.items() if p in _ANNOTATIONS}
    drugs = [column for column in block.columns if _GDSC_DRUG.fullmatch(column)]
    features = block.drop(columns=[*words, *drugs])
    features = features.rename(columns={column: "MSI_FACTOR" for column, p in names.items() if p in _MSI})
    obs = block[list(words)].rename(columns=words)
    obs = obs.loc[:, ~obs.columns.duplicated()]
    features.columns, said = without_dates(list(features.columns), source=source, what="genes", restore=restore)
    values = numeric_block(features, source=source)
    refuse_marks(values, source=source)
    if "MSI_FACTOR" in values:
        obs["msi"] = values["MSI_FACTOR"]
    return ViewTable(values, obs, [*notes, *said])


def _default_entries(frame: pd.DataFrame, sample: str, source: str, notes: list[str]) -> pd.DataFrame:
    """One row a sample, where a column marks the one that stands for it."""
    marks = [c for c in frame.columns if plain(c) in DEFAULT_ENTRY]
    if not marks or not frame[sample].duplicated().any():
        return frame
    kept = frame[marks[0]].astype(str).str.casefold().isin({"yes", "true", "1", "1.0"})
    notes.append(f"{source}: {counted(int((~kept).sum()), 'row')} not marked by '{marks[0]}': left out")
    return frame[kept].reset_index(drop=True)


def _genes_in_rows(frame: pd.DataFrame, source: str, known: Known, restore: bool, notes: list[str]) -> ViewTable:
    about = [c for c in frame.columns[1:] if plain(c) in _GENE_NOTES and not known.count([c])]
    genes = _gene_names(frame, [str(frame.columns[0]), *about])
    nameless = genes.isna()
    if nameless.any():
        first = int(nameless.to_numpy().argmax()) + 1
        notes.append(
            f"{source}: {counted(int(nameless.sum()), 'row')} without a gene name (empty, NA or nan; the first is row "
            f"{first}): left out"
        )
    block = frame.drop(columns=[frame.columns[0], *about])[~nameless.to_numpy()]
    names, said = without_dates(list(genes[~nameless]), source=source, what="genes", restore=restore)
    without_dates(list(block.columns), source=source, what="samples", restore=False)
    values = numeric_block(block.set_axis(pd.Index(names, dtype=object)), source=source)
    refuse_marks(values, source=source)
    if known.samples is None:
        notes.append(f"{source}: genes were taken to be the rows, as more of them are features that are known")
    return ViewTable(values.T, pd.DataFrame(index=values.columns), [*notes, *said])


def _gene_names(frame: pd.DataFrame, columns: list[str]) -> pd.Series:
    """Symbol of each gene where one stands once; else what the first column says, if it is another one."""
    symbols = next((c for s in _SYMBOLS for c in columns if plain(c) == s), columns[0])
    names = as_text(frame[symbols])
    if symbols == columns[0]:
        return names
    unclear = names.isna() | names.duplicated(keep=False)
    return names.mask(unclear, as_text(frame[columns[0]]))
