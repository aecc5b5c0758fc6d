"""Options that several commands share, and the data that they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from cellixir.data.response_data import ResponseData

Dataset = Annotated[str | None, typer.Option(help="A public data set: gdsc-v17. Instead of --response.")]
Response = Annotated[
    Path | None,
    typer.Option(help="Responses: samples x drugs, or columns sample, drug, response; csv, tsv, gz, xlsx, parquet."),
]
Omics = Annotated[
    list[str] | None, typer.Option(metavar="VIEW=FILE", help="Features of the samples; may be given more than once.")
]
Drugs = Annotated[Path | None, typer.Option(help="Drug list: id or name, and any of smiles, targets, pathway.")]
Samples = Annotated[Path | None, typer.Option(help="Sample annotation: id, tissue, ...")]
Split = Annotated[str, typer.Option(help="Who is new: LPO pairs, LCO cell lines, LDO drugs, LTO tissues.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same result.")]


def data_of(
    dataset: str | None, response: Path | None, omics: list[str] | None, drugs: Path | None, samples: Path | None
) -> ResponseData:
    """Data of the options; what was left out is said on standard error."""
    from cellixir.response.inputs import load_dataset, parse_views, read_inputs

    if (dataset is None) == (response is None):
        message = "give either --dataset NAME or --response FILE"
        raise ConfigurationError(message)
    if dataset is not None:
        if omics or drugs or samples:
            message = "--dataset brings its own omics, drugs and samples; give --response FILE to use your own"
            raise ConfigurationError(message)
        data = load_dataset(dataset)
    elif response is not None:
        data = read_inputs(response, omics=parse_views(omics or []), drugs=drugs, samples=samples)
    for note in data.notes:
        typer.echo(f"note: {note}", err=True)
    return data
