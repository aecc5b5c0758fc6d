"""Layouts of published response tables: one entry a layout. docs/response.md shows them to users."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cellixir.data.known_columns import first_match
from cellixir.data.tables import as_text, read_table
from cellixir.exceptions import ReadError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


@dataclass(frozen=True)
class Beside:
    """A table that a publisher keeps in a file of its own: ``file`` has the column ``key`` and adds ``columns``."""

    file: str
    key: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """How a published table is recognised and what its columns are, by their plain names.

    Attributes
    ----------
    marks
        Columns that stand together in this table alone.
    any_of
        Sets of which one column each must be there.
    sample, drug
        Ids, the first that is there.
    measures
        Responses, the preferred first, each with what it is (see `cellixir.data.responses.measures.measure_of`).
    repeats
        Column that tells apart pairs that stand twice; they are numbered where it does not.
    drug_notes
        Columns of a drug beside the usual ones.
    beside
        Files of the same folder that are joined first.
    stacked
        Column of the kind of measure, where one column holds all of them.
    """

    marks: frozenset[str]
    sample: tuple[str, ...]
    drug: tuple[str, ...]
    measures: Mapping[str, str]
    any_of: tuple[frozenset[str], ...] = ()
    repeats: str = ""
    drug_notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    beside: tuple[Beside, ...] = ()
    stacked: str = ""

    def recognises(self, names: set[str]) -> bool:
        """Whether a table with these columns, in plain letters, has the layout."""
        return self.marks <= names and all(names & known for known in self.any_of)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CURATED = {"ln_ic50_curvecurator": "LN_IC50", "ln_ic50": "LN_IC50", "auc_curvecurator": "AUC", "auc": "AUC"}
_CURATED |= {"ic50_curvecurator": "IC50_uM", "pec50_curvecurator": "pEC50", "ec50_curvecurator": "EC50_uM"}
_CODERDATA = {"fit_auc": "AUC", "auc": "AUC", "aac": "AAC", "dss": "DSS", "fit_ic50": "response"}

LAYOUTS: dict[str, Published] = {
    "gdsc-fitted": Published(
        marks=_words("cosmic_id drug_id"),
        any_of=(_words("ln_ic50 auc"), _words("nlme_result_id nlme_curve_id dataset sanger_model_id")),
        sample=("cosmic_id",),
        drug=("drug_id",),
        measures={"ln_ic50": "LN_IC50", "auc": "AUC"},
        repeats="dataset",
    ),
    "prism-secondary": Published(
        marks=_words("broad_id depmap_id screen_id auc ic50"),
        sample=("depmap_id",),
        drug=("broad_id",),
        measures={"ic50": "IC50_uM", "auc": "AUC", "ec50": "EC50_uM"},
        repeats="screen_id",
        drug_notes={"name": ("name",), "pathway": ("moa",), "smiles": ("smiles",)},
    ),
    "drevalpy": Published(
        marks=_words("cell_line_name pubchem_id"),
        any_of=(_words("cellosaurus_id drug_name"), frozenset(_CURATED)),
        sample=("cell_line_name",),
        drug=("pubchem_id",),
        measures=_CURATED,
        drug_notes={"pubchem": ("pubchem_id",)},
    ),
    "ccle-2015": Published(
        marks=_words("ccle_cell_line_name compound actarea"),
        sample=("ccle_cell_line_name",),
        drug=("compound",),
        measures={"ic50_um": "IC50_uM", "ec50_um": "EC50_uM", "actarea": "ActArea"},
    ),
    "ctrp-v2": Published(
        marks=_words("experiment_id master_cpd_id area_under_curve"),
        sample=("ccl_name",),
        drug=("master_cpd_id",),
        measures={"area_under_curve": "AUC", "apparent_ec50_umol": "EC50_uM"},
        drug_notes={"smiles": ("cpd_smiles",), "targets": ("gene_symbol_of_protein_target",)},
        beside=(
            Beside("v20.meta.per_experiment.txt", "experiment_id", ("master_ccl_id",)),
            Beside("v20.meta.per_cell_line.txt", "master_ccl_id", ("ccl_name", "ccle_primary_site")),
            Beside(
                "v20.meta.per_compound.txt",
                "master_cpd_id",
                ("cpd_name", "gene_symbol_of_protein_target", "cpd_smiles"),
            ),
        ),
    ),
    "coderdata": Published(
        marks=_words("improve_sample_id improve_drug_id dose_response_metric dose_response_value"),
        sample=("improve_sample_id",),
        drug=("improve_drug_id",),
        measures=_CODERDATA,
        repeats="study",
        stacked="dose_response_metric",
    ),
    "improve": Published(
        marks=_words("improve_sample_id improve_chem_id auc"),
        sample=("improve_sample_id",),
        drug=("improve_chem_id",),
        measures={"auc": "AUC", "auc1": "AUC", "aac1": "AAC", "dss1": "DSS"},
        repeats="source",
    ),
}


def layout_of(names: set[str]) -> str | None:
    """Published layout that has these columns, in plain letters."""
    return next((name for name, known in LAYOUTS.items() if known.recognises(names)), None)


def with_files_beside(frame: pd.DataFrame, layout: Published, source: str) -> pd.DataFrame:
    """The table with the columns that stand in other files of the folder.

    Raises
    ------
    ReadError
        If such a file is not there, and the table lacks what it would add.
    """
    for beside in layout.beside:
        if first_match(frame.columns, beside.columns[:1]) is None:
            frame = _joined(frame, beside, source)
    return frame


def _joined(frame: pd.DataFrame, beside: Beside, source: str) -> pd.DataFrame:
    file = Path(source).with_name(beside.file)
    if not file.is_file():
        message = (
            f"{source} names no {beside.columns[0]}; the publisher keeps it in {beside.file}: put that file beside it"
        )
        raise ReadError(message)
    more = read_table(file, dtype_text="all")
    keys = as_text(more[beside.key])
    known = more.set_index(keys)[[c for c in beside.columns if c in more]]
    known = known[~known.index.duplicated() & known.index.notna()]
    own = as_text(frame[str(first_match(frame.columns, (beside.key,)))])
    return frame.assign(**{str(column): own.map(known[column]) for column in known})
