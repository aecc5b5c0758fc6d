"""Options that several commands share, and the data that they name."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import click
import typer

from cellixir.cli.shared import names_of, refuse_given, say
from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cellixir.data.inputs import Reading
    from cellixir.data.response_data import ResponseData
    from cellixir.response.cross_validation.models import Options

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
Task = Annotated[str, typer.Option(help="regression or classification.")]
Label = Annotated[
    str, typer.Option(metavar="RULE", help="Sensitive below the drug's median, zscore=-1, or threshold=VALUE.")
]
Sensitive = Annotated[str, typer.Option(help="Side of the label's threshold that is sensitive: below, above.")]
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
Split = Annotated[
    str,
    typer.Option(
        callback=lambda text: text.upper(), help="Who is new: LPO pairs, LCO cell lines, LDO drugs, LTO tissues."
    ),
]
Interval = Annotated[
    float | None, typer.Option(help="Intervals of the network that hold so much, 0.9 say, and their coverage.")
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
        say(note)
    return data


def check_task(task: str) -> bool:
    """Whether sensitive and resistant are to be told apart; options of labels are refused where they are not.

    Raises
    ------
    ConfigurationError
        If there is no such task, or a label is asked for without classes.
    """
    if task not in ("regression", "classification"):
        message = f"there is no task '{task}'; choose one of regression, classification"
        raise ConfigurationError(message)
    if task == "regression":
        refuse_given(("label", "sensitive"), "is for --task classification")
    return task == "classification"


def options_of(
    preprocess: str, encoder: str, drug_encoder: str, gene_sets: Path | None, interval: float | None
) -> Options:
    """What is asked of all models, or of the network."""
    from cellixir.data.gene_sets import read_gene_sets
    from cellixir.response.cross_validation.models import Options

    return Options(preprocess, encoder, drug_encoder, read_gene_sets(gene_sets) if gene_sets else None, interval)


def models_of(models: str | None, own: list[str] | None, split: str) -> list[str] | None:
    """Names of the models to run, those of one's own last; None for all of the list.

    Raises
    ------
    ConfigurationError
        If one does not exist, or cannot predict under the split.
    """
    from cellixir.response.cross_validation.models import chosen_models

    names = [*(names_of(models) or []), *(own or [])] or None
    chosen_models(names, split)
    return names
