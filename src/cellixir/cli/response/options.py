"""Options that several commands share, and the data that they name."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import click
import typer
from click.core import ParameterSource

from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cellixir.data.inputs import Reading
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
Ids = Annotated[
    Path | None,
    typer.Option(help="Table with one cell line a row and its ids as columns, where views name samples otherwise."),
]
Require = Annotated[
    str | None,
    typer.Option(metavar="VIEW,...", help="Leave out samples without these views. Default: one view is enough."),
]
Views = Annotated[str | None, typer.Option(metavar="VIEW,...", help="Use these views only. Default: all.")]
Encoder = Annotated[
    str,
    typer.Option(
        metavar="NAME|VIEW=NAME,...",
        help="Encoder of each view: dense, conv1d, conv2d, recurrent, transformer; views left out are dense.",
    ),
]
DrugEncoder = Annotated[
    str,
    typer.Option(metavar="NAME", help="fingerprint, smiles-conv, smiles-transformer, gin, gat or target-graph."),
]
Preprocess = Annotated[
    str,
    typer.Option(
        metavar="STEPS",
        help="Steps for all views, 'impute=median,variance=500,standard', or for some, 'VIEW:STEPS;VIEW:STEPS'; "
        "learned within the fold. Default: standardise, fill gaps with the mean.",
    ),
]
GeneSets = Annotated[Path | None, typer.Option(help="GMT file: a transformer's tokens are its pathways.")]
Allow = Annotated[
    list[str] | None,
    typer.Option(metavar="KIND[:ID]", help="A finding of the leakage audit that does not stop; may be given again."),
]
Split = Annotated[
    str,
    typer.Option(
        callback=lambda text: text.upper(), help="Who is new: LPO pairs, LCO cell lines, LDO drugs, LTO tissues."
    ),
]
SampleColumn = Annotated[str | None, typer.Option(metavar="NAME", help="Column of samples in a long --response.")]
DrugColumn = Annotated[str | None, typer.Option(metavar="NAME", help="Column of drugs in it.")]
ResponseColumn = Annotated[str | None, typer.Option(metavar="NAME", help="Column of responses in it.")]
Measure = Annotated[
    str | None, typer.Option(metavar="NAME", help="Which of several measures to take (AUC), or what the only one is.")
]
Unit = Annotated[
    str | None,
    typer.Option(help="Of concentrations: uM, nM, M, 'ln uM', 'log10 nM', '-log10 M'. They become ln µM."),
]
RestoreGenes = Annotated[
    bool,
    typer.Option("--restore-genes", help="Map genes that a spreadsheet made dates (2-Sep) back, where that is clear."),
]
#: Options on how a response table is read, by the name of their parameter.
READING = {
    "sample_column": SampleColumn,
    "drug_column": DrugColumn,
    "response_column": ResponseColumn,
    "measure": Measure,
    "unit": Unit,
    "restore_genes": RestoreGenes,
}


def with_reading(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options on how a response table is read; ``reading_of`` gives what they say."""
    signature, hints = inspect.signature(command), get_type_hints(command, include_extras=True) | READING
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False if name == "restore_genes" else None)
        for name in READING
    ]

    @functools.wraps(command)
    def reads(**given: Any) -> None:
        click.get_current_context().meta[__name__] = {name: given.pop(name) for name in READING}
        command(**given)

    parameters = [p.replace(annotation=hints[p.name]) for p in (*signature.parameters.values(), *more)]
    reads.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    reads.__annotations__ = hints
    return reads


def reading_of() -> Reading:
    """What the options of the command say of its response table; nothing outside of such a command."""
    from cellixir.data.inputs import Reading

    context = click.get_current_context(silent=True)
    return Reading(**(context.meta.get(__name__, {}) if context else {}))


Seed = Annotated[int, typer.Option(min=0, help="Same seed, same result.")]


def data_of(
    dataset: str | None,
    response: Path | None,
    omics: list[str] | None,
    drugs: Path | None,
    samples: Path | None,
    *,
    ids: Path | None = None,
    require: str | None = None,
    views: str | None = None,
    reading: Reading | None = None,
) -> ResponseData:
    """Data of the options; what was left out is said on standard error.

    Parameters
    ----------
    reading
        How the response table is read; None: as the options of the command say.
    """
    from cellixir.data.inputs import add_views, parse_views, read_inputs
    from cellixir.sources.gdsc import load_dataset

    files, required, reading = parse_views(omics or []), names_of(require) or [], reading or reading_of()
    if (dataset is None) == (response is None):
        message = "give either --dataset NAME or --response FILE"
        raise ConfigurationError(message)
    if dataset is not None:
        refuse_given([name for name in READING if name != "restore_genes"], "is for --response FILE")
        if drugs or samples:
            message = "--dataset brings its own drugs and samples; give --response FILE to use your own"
            raise ConfigurationError(message)
        data = load_dataset(dataset)
        if files or required:
            data = add_views(data, files, ids=ids, require=required, restore_genes=reading.restore_genes)
    elif response is not None:
        data = read_inputs(
            response, omics=files, drugs=drugs, samples=samples, ids=ids, require=required, reading=reading
        )
    if views is not None:
        data = data.only_views(names_of(views) or [])
    for note in data.notes:
        typer.echo(f"note: {note}", err=True)
    return data


def names_of(text: str | None) -> list[str] | None:
    """Names that a comma parts; None where nothing was given.

    >>> names_of("ridge, network")
    ['ridge', 'network']

    Raises
    ------
    ConfigurationError
        If there is no name between the commas.
    """
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        message = f"'{text}' holds no name; write names with commas between them, or leave the option out"
        raise ConfigurationError(message)
    return names


def refuse_given(names: Sequence[str], why: str) -> None:
    """Refuse options that the command line gives and that would change nothing.

    Raises
    ------
    ConfigurationError
        If one of the parameters ``names`` was given; ``why`` says where it belongs.
    """
    context = click.get_current_context(silent=True)
    given = [n for n in names if context and context.get_parameter_source(n) is ParameterSource.COMMANDLINE]
    if given:
        message = f"--{given[0].replace('_', '-')} {why}; leave it out"
        raise ConfigurationError(message)
