"""GDSC release v17 (Iorio et al., Cell 2016, 166, 740) as one `ResponseData`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from cellixir.data.drugs import attach_smiles, read_drugs
from cellixir.data.omics import read_view
from cellixir.data.response_data import ResponseData
from cellixir.data.responses import read_responses
from cellixir.data.tables import id_index, read_table
from cellixir.exceptions import ConfigurationError
from cellixir.sources.registry import fetch

_LINE_COLUMNS = {
    "SAMPLE_NAME": "cell_line_name",
    "TCGA": "tcga",
    "GDSC2": "tissue_subtype",
    "SCREEN_MEDIUM": "medium",
    "GROWTH_PROPERTIES": "growth",
}
_DRUG_COLUMNS = ["name", "targets", "pathway", "smiles", "synonyms", "pubchem"]


def load_gdsc_v17(*, progress: bool = True) -> ResponseData:
    """GDSC v17: 213,787 natural-log IC50 (ln µM) of 988 cell lines and 265 drugs, with genomic features.

    ``samples`` (COSMIC ids) has ``cell_line_name``, ``tcga``, ``tissue_subtype``, ``medium``, ``growth``, ``tissue``,
    ``msi``; ``drugs`` (GDSC ids) has ``name``, ``targets``, ``pathway``, ``smiles``, ``synonyms``, ``pubchem``. What
    the published lists do not know is missing; a drug without a name is called by its id. The view
    ``genomic`` has 678 binary features: mutations, copy-number segments, and ``MSI_FACTOR``.

    The data keep their own terms: no commercial use.

    Parameters
    ----------
    progress
        Draw a progress bar while files are downloaded.

    Returns
    -------
    ResponseData
        Natural-log IC50 in ln µM, with the view ``genomic``.

    Raises
    ------
    DownloadFailed, HashMismatch
        If a file cannot be had; see :func:`cellixir.sources.registry.fetch`.

    Examples
    --------
    >>> load_gdsc_v17()  # doctest: +SKIP
    ResponseData(213,787 x LN_IC50, 988 samples, 265 drugs, views: genomic 678)
    """
    table = read_responses(fetch("gdsc-v17-ic50", progress=progress), layout="gdsc-wide")
    genomic = read_view(fetch("gdsc-v17-features", progress=progress), name="genomic")
    return ResponseData.join(
        table.pairs,
        views={"genomic": genomic},
        samples=_cell_lines(fetch("gdsc-cosmic-info", progress=progress), genomic.obs_names),
        drugs=_drugs(
            fetch("gdsc-drug-list", progress=progress),
            fetch("gdsc-drug-smiles", progress=progress),
            table.drugs.index,
        ),
        measure=table.measure,
        unit=table.unit,
        source="GDSC release v17 (Iorio et al., Cell 2016)",
    )


def datasets() -> dict[str, Callable[[], ResponseData]]:
    """Loader of each data set that ``--dataset`` accepts, by name."""
    return {"gdsc-v17": load_gdsc_v17}


def load_dataset(name: str) -> ResponseData:
    """A public data set by name.

    Raises
    ------
    ConfigurationError
        If there is none of that name.
    """
    known = datasets()
    if name not in known:
        message = f"there is no data set '{name}'; choose one of {', '.join(known)}"
        raise ConfigurationError(message)
    return known[name]()


def _cell_lines(path: Path, ids: pd.Index) -> pd.DataFrame:
    """Annotation of the lines by COSMIC id, shape ``(n_ids, 5)``; missing where an id is not listed."""
    table = read_table(path, dtype_text="all")
    table = table.set_index(id_index(table["COSMIC_ID"], source=str(path), what="sample"))
    return table[list(_LINE_COLUMNS)].rename(columns=_LINE_COLUMNS).reindex(ids)


def _drugs(listed: Path, smiles: Path, ids: pd.Index) -> pd.DataFrame:
    """Annotation of the drugs by GDSC id, shape ``(n_ids, 6)``; one that is not listed has its id as name."""
    drugs = attach_smiles(read_drugs(listed), read_table(smiles, dtype_text="all"))
    drugs = drugs.reindex(ids)[_DRUG_COLUMNS]
    return drugs.assign(name=drugs["name"].fillna(drugs.index.to_series()))
