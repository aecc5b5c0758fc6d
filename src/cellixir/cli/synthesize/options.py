"""Options that several commands of ``cellixir synthesize`` share, and what they mean."""

from __future__ import annotations

from typing import Annotated

import typer

from cellixir.exceptions import ConfigurationError

FILES = "h5ad, zarr, 10x .h5, a 10x folder, loom; csv or tsv (also .gz)"
Layer = Annotated[str | None, typer.Option(metavar="NAME", help="Layer of the file instead of X; raw is its raw.")]
Condition = Annotated[
    str | None, typer.Option(metavar="COLUMN,...", help="Columns of obs that samples depend on: batch,group, say.")
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Most epochs of a network. Default: the generator's own.")]
GroupKey = Annotated[str | None, typer.Option(metavar="COLUMN", help="Groups that differential expression is between.")]
BatchKey = Annotated[str | None, typer.Option(metavar="COLUMN", help="Batches: a covariate of that.")]
LabelKey = Annotated[str | None, typer.Option(metavar="COLUMN", help="What classifiers learn. Default: the groups.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same result.")]


def columns_of(condition: str | None) -> tuple[str, ...]:
    """Names of a list such as ``batch,group``.

    >>> columns_of("batch, group"), columns_of(None)
    (('batch', 'group'), ())
    """
    return tuple(name.strip() for name in condition.split(",") if name.strip()) if condition else ()


def values_of(conditions: list[str] | None) -> dict[str, str]:
    """Values by column, of texts such as ``group=old``.

    Raises
    ------
    ConfigurationError
        If a text has no ``=``, or a column is named twice.
    """
    found: dict[str, str] = {}
    for text in conditions or []:
        column, sign, value = text.partition("=")
        if not (column and sign and value):
            message = f"--condition {text!r} names no value; write COLUMN=VALUE, such as group=group1"
            raise ConfigurationError(message)
        if column in found:
            message = f"--condition names {column!r} twice; give the command once for each of its values"
            raise ConfigurationError(message)
        found[column] = value
    return found


def epochs_of(model: str, epochs: int | None) -> dict[str, int]:
    """Setting of a generator that trains a network.

    Raises
    ------
    ConfigurationError
        If the generator does not exist, or trains none and epochs were given.
    """
    from cellixir.synthesis.models import generator_class

    trained = takes_epochs(generator_class(model))
    if epochs is not None and not trained:
        message = f"--epochs {epochs} is for networks, and {model!r} trains none; leave it out"
        raise ConfigurationError(message)
    return {} if epochs is None else {"max_epochs": epochs}


def takes_epochs(kind: type) -> bool:
    """Whether a generator is trained in epochs."""
    import inspect

    return "max_epochs" in inspect.signature(kind).parameters
