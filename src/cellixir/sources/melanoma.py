"""The two melanoma studies, as the Gene Expression Omnibus holds them."""

from __future__ import annotations

import re
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from cellixir.data.expression.delimited import TextMatrix, stacked
from cellixir.data.tables import read_table, refuse_duplicates
from cellixir.exceptions import ReadError, UnknownIds, examples

_MALIGNANT = {"0": "unresolved", "1": "non-malignant", "2": "malignant"}
_TYPES = {"1": "T", "2": "B", "3": "Macrophage", "4": "Endothelial", "5": "CAF", "6": "NK"}
#: First words of the three lines above the genes of GSE72056.
_HEAD = ("tumor", "malignant", "non-malignant cell type")
_COUNTS = re.compile(r"_(counts|tpm)\.csv(\.gz)?$", re.IGNORECASE)
_KEPT = {"treatment.group": "treatment_group", "Cohort": "cohort", "no.of.genes": "n_genes", "no.of.reads": "n_reads"}


def is_gse72056(table: TextMatrix, path: Path) -> bool:
    """Whether a table begins as that of GSE72056 does."""
    del path
    return table.corner == "Cell" and table.peek()[:5] == b"tumor"


def is_gse115978(table: TextMatrix, path: Path) -> bool:
    """Whether a table is named as those of GSE115978 are, with the annotation of its cells beside it."""
    del table
    return bool(_COUNTS.search(path.name)) and _annotation_file(path) is not None


def read_gse72056(table: TextMatrix, path: Path) -> ad.AnnData:
    """Cells x genes of Tirosh et al. (Science 2016), with patient, malignancy and cell type of each cell.

    ``obs["patient"]`` is ``Mel79`` for tumour 79; ``obs["cell_type"]`` is missing where the authors resolved none. Some
    malignant cells carry the code of a type too: they are ``Malignant``, and counted in the notes. The values are
    log2(TPM / 10 + 1).

    Raises
    ------
    ReadError
        If the three lines above the genes are not there, or hold an unknown code.
    """
    del path
    tumour, malignant, kind = (_annotation(table, start) for start in _HEAD)
    state = _decoded(table, malignant, _MALIGNANT, "malignant")
    types = _decoded(table, kind, {"0": None, **_TYPES}, "cell type")
    sick, resolved = state == "malignant", state == "non-malignant"
    cell_type = types.mask(~resolved).mask(sick, "Malignant")
    obs = pd.DataFrame(
        {
            "patient": [f"Mel{number}" for number in tumour],
            "malignant": state.to_numpy(),
            "cell_type": cell_type.to_numpy(),
        },
        index=pd.Index(table.columns, dtype=object),
    ).astype("category")
    genes, parts = table.read()
    contradictory = int((sick & types.notna()).sum())
    notes = [
        "values are log2(TPM / 10 + 1), as the authors give them",
        f"{contradictory:,} malignant cells carry the code of a non-malignant type too; they are 'Malignant'",
        f"{int(cell_type.isna().sum()):,} cells have no cell type; of {int((state == 'unresolved').sum()):,} it is "
        "unresolved whether they are malignant",
    ]
    uns = {"scale": "log2_tpm", "scale_guessed": False, "notes": notes}
    return ad.AnnData(stacked(parts, turned=True), obs=obs, var=pd.DataFrame(index=genes), uns=uns)


def _annotation(table: TextMatrix, start: str) -> list[str]:
    name, cells = table.words()
    if not name.strip().startswith(start):
        message = (
            f"{table.source} is not in the layout of GSE72056: a line that begins with {start!r} was expected, not "
            f"{name[:40]!r}"
        )
        raise ReadError(message)
    return [re.sub(r"\.0+$", "", cell) for cell in cells]


def _decoded(
    table: TextMatrix, cells: list[str], words: dict[str, str] | dict[str, str | None], what: str
) -> pd.Series:
    codes = pd.Series(cells, dtype=object)
    strange = codes[~codes.isin(list(words))]
    if len(strange):
        message = (
            f"{table.source}: cell {table.columns[strange.index[0]]!r} has {what} {strange.iloc[0]!r}; the codes are "
            f"{', '.join(words)}"
        )
        raise ReadError(message)
    return codes.map(words.get).astype(object)


def read_gse115978(table: TextMatrix, path: Path) -> ad.AnnData:
    """Cells x genes of Jerby-Arnon et al. (Cell 2018), with what the annotation file beside it says of the cells.

    ``obs`` has ``patient``, ``cell_type`` (missing for ``?``), ``treatment_group``, ``cohort``, ``n_genes`` and
    ``n_reads``, as far as they are there.

    Raises
    ------
    ReadError
        If there is no annotation beside it, or it lacks a column.
    DuplicateIds
        If the annotation names a cell twice.
    UnknownIds
        If it names none of the cells.
    """
    file = _annotation_file(path)
    if file is None:
        wanted = _COUNTS.sub("", path.name) + "_cell.annotations.csv.gz"
        message = f"{path}: the layout of GSE115978 needs the annotation of its cells; put {wanted!r} beside it"
        raise ReadError(message)
    obs, notes = _about(table.columns, file)
    genes, parts = table.read()
    return ad.AnnData(stacked(parts, turned=True), obs=obs, var=pd.DataFrame(index=genes), uns={"notes": notes})


def _annotation_file(path: Path) -> Path | None:
    prefix = _COUNTS.sub("", path.name)
    places = [path.with_name(f"{prefix}_cell.annotations.csv{end}") for end in (".gz", "")]
    return next((place for place in places if place.is_file()), None)


def _about(cells: list[str], file: Path) -> tuple[pd.DataFrame, list[str]]:
    table = read_table(file, dtype_text=["cells", "samples", "cell.types", "treatment.group", "Cohort"])
    lacking = [name for name in ("cells", "samples", "cell.types") if name not in table]
    if lacking:
        message = f"{file} lacks the columns {examples(lacking)}; it has {examples(table.columns, 9)}"
        raise ReadError(message)
    ids = pd.Index(table["cells"])
    refuse_duplicates(ids, source=str(file), what="cell", way_out="keep one line a cell")
    known = np.isin(cells, ids)
    if not known.any():
        message = f"{file} names none of the cells ({examples(ids)} there, {examples(cells)} here); it is of other data"
        raise UnknownIds(message)
    table = table.set_index(ids).reindex(cells)
    types = table["cell.types"]
    obs = pd.DataFrame({"patient": table["samples"], "cell_type": types.mask(types == "?")}).astype("category")
    for name, kept in _KEPT.items():
        if name in table:
            obs[kept] = table[name].astype("category") if table[name].dtype == object else table[name]
    obs.index.name = None
    notes = [f"{int((types == '?').sum()):,} cells have no cell type ('?')"] if (types == "?").any() else []
    if not known.all():
        notes.append(
            f"{int((~known).sum()):,} cells are not in {file.name} ({examples(np.array(cells)[~known].tolist())})"
        )
    return obs, notes
