"""Names under which publishers write ids, annotation and bookkeeping of samples: never drugs, never features."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Columns that name a sample, the usual first. Each kind of id is one system.
SAMPLE_IDS = tuple(
    "sample sample_id cosmic_id cosmic_sample_id cosmic_identifier sanger_model_id depmap_id depmapid model_id modelid "
    "ach_id broad_cell_line_id ccle_cell_line_name ccle_name ccle_id cell_line cell_line_id cell_line_name ccl_name "
    "cellid cell_id sampleid cellosaurus_id rrid improve_sample_id model_name sample_name line line_id patient "
    "patient_id master_ccl_id".split()
)
#: Ids of one measurement of a sample (a library, a profile); a column of the sample itself is better.
RUN_IDS = frozenset(
    "profileid profile_id sequencingid sequencing_id modelconditionid model_condition_id row_name experiment_id".split()
)
#: Marks of the row that stands for a sample that was measured more than once.
DEFAULT_ENTRY = ("is_default_entry", "isdefaultentryformodel", "is_default_entry_for_model")
DRUG_IDS = tuple(
    "drug drug_id drug_name compound compound_id compound_name pubchem_id treatment treatmentid drugid cpd_name "
    "broad_id improve_drug_id improve_chem_id master_cpd_id inhibitor".split()
)
REPLICATES = ("replicate", "rep", "replicate_id")

SAMPLE_NOTES = {
    "cell_line_name": ("cell_line_name", "sample_name", "ccl_name"),
    "tissue": ("tcga_desc", "tissue", "tissue_factor", "tissue_factor_value"),
    "sanger_model_id": ("sanger_model_id",),
}
DRUG_NOTES = {
    "name": ("drug_name", "compound_name", "cpd_name"),
    "targets": ("putative_target", "targets", "target", "drug_target"),
    "pathway": ("pathway_name", "target_pathway", "pathway"),
}

_WORDS = frozenset(
    "tissue cancer_type cancer primary_site site_primary primary_tissue secondary_tissue primary_disease disease "
    "lineage histology subtype tcga tcga_desc tcga_code oncotree_code medium media screen_medium growth_properties "
    "growth_pattern doubling_time ploidy stage grade sex gender age age_at_diagnosis age_at_sampling ethnicity race "
    "batch plate source study dataset screen screen_id culture_type stripped_cell_line_name cell_line_aliases "
    "passed_str_profiling is_default_entry_for_mc isdefaultentryformc synonyms sanger_id".split()
)
_NOTES = frozenset(alias for names in SAMPLE_NOTES.values() for alias in names)
ANNOTATIONS = _WORDS | _NOTES | frozenset(SAMPLE_IDS) | RUN_IDS | frozenset(DEFAULT_ENTRY)


def plain(name: object) -> str:
    """Name of a column in small letters and digits, words parted by an underscore.

    >>> plain("Cell line name"), plain("IC50 (µM)")
    ('cell_line_name', 'ic50_um')
    """
    letters = re.sub("[µμ]", "u", str(name)).casefold()
    return re.sub(r"[^a-z0-9]+", "_", letters).strip("_")


def first_match(columns: Iterable[object], wanted: Iterable[str]) -> str | None:
    """First of the wanted names that a column has, to the letter or in plain letters."""
    by_name = {str(column): str(column) for column in columns}
    by_plain_name = {plain(column): column for column in reversed(by_name.values())}
    found = (by_name.get(name) or by_plain_name.get(plain(name)) for name in wanted)
    return next((column for column in found if column is not None), None)
