"""Options that the commands of perturbation share, and the wells that they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.cli.shared import cells_of, say

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

    from cellixir.perturbation.wells import Keys

Wells = Annotated[
    Path, typer.Argument(help="Wells or cells x genes: GCTX, GCT, h5ad, csv and what read_expression reads.")
]
PerturbationKey = Annotated[
    str, typer.Option(metavar="COLUMN", help="Column of the drug, or of a pair of drugs written A+B.")
]
Control = Annotated[
    list[str] | None,
    typer.Option(metavar="VALUE", help="Its value for controls (DMSO); more than once for several. None: differences."),
]
PlateKey = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column(s) of plates: controls are of the same one.")
]
DoseKey = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of doses: numbers (µM), '500 nM', of a pair '1.1+10'.")
]
TimeKey = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of times: hours, or '30 min'.")]
CellLineKey = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of cell lines.")]
SmilesKey = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of structures.")]
Drugs = Annotated[Path | None, typer.Option(help="Table of drugs with structures: name and smiles.")]
Values = Annotated[
    str, typer.Option(help="log2, counts (summed by condition and plate), delta (differences, z-scores), or auto.")
]
Split = Annotated[str, typer.Option(help="What is new when it is predicted: drug, scaffold, cell-line, pair or plate.")]
Parameter = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="Parameter of the model, such as hidden=800; repeatable.")
]


def keys_of(
    perturbation_key: str,
    control: list[str] | None,
    plate_key: str | None,
    dose_key: str | None,
    time_key: str | None,
    cell_line_key: str | None,
    smiles_key: str | None,
) -> Keys:
    """Columns of the options."""
    from cellixir.perturbation.wells import Keys

    return Keys(
        perturbation_key, tuple(control or ()), plate_key, dose_key, time_key, cell_line_key, smiles_key
    )  # fmt: skip


def wells_of(path: Path, layer: str | None, drugs: Path | None) -> tuple[ad.AnnData, pd.Series | None]:
    """Wells of a file, and structures by drug of a table."""
    wells = cells_of(path, layer, scale="unknown")  # what the values are is told from them and the controls
    wells.uns.pop("notes", None)  # they have been said
    return wells, structures_of(drugs)


def structures_of(drugs: Path | None) -> pd.Series | None:
    """Structures by drug of a table."""
    if drugs is None:
        return None
    from cellixir.data.drugs import read_drugs
    from cellixir.exceptions import ReadError

    table = read_drugs(drugs)
    if "smiles" not in table:
        message = f"{drugs} has no column of SMILES; name one 'smiles'"
        raise ReadError(message)
    names = table["name"].fillna(table.index.to_series()) if "name" in table else table.index.to_series()
    known = table["smiles"].set_axis(names.astype(str)).dropna()
    say(f"{len(known):,} structures of {drugs.name}")
    return known[~known.index.duplicated()]


def parameters_of(given: list[str] | None) -> dict[str, object]:
    """Parameters of ``--parameter``; numbers are numbers."""
    import json

    from cellixir.exceptions import ConfigurationError

    found: dict[str, object] = {}
    for text in given or []:
        name, equal, value = text.partition("=")
        if not (equal and name.strip() and value.strip()):
            message = f"--parameter {text}: write NAME=VALUE, such as hidden=800"
            raise ConfigurationError(message)
        try:
            found[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            found[name.strip()] = value.strip()
    return found
