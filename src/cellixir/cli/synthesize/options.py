"""What options of ``cellixir synthesize`` mean."""

from __future__ import annotations

from cellixir.exceptions import ConfigurationError


def values_of(given: list[str] | None) -> dict[str, str]:
    """Values by column, of texts such as ``group=old``.

    Raises
    ------
    ConfigurationError
        If a text has no ``=``, or a column is named twice.
    """
    found: dict[str, str] = {}
    for text in given or []:
        column, sign, value = text.partition("=")
        if not (column and sign and value):
            message = f"--given {text!r} names no value; write COLUMN=VALUE, such as group=group1"
            raise ConfigurationError(message)
        if column in found:
            message = f"--given names {column!r} twice; give the command once for each of its values"
            raise ConfigurationError(message)
        found[column] = value
    return found


def epochs_of(models: list[str], epochs: int | None) -> dict[str, dict[str, int]]:
    """Settings of the generators that train a network.

    Raises
    ------
    ConfigurationError
        If a generator does not exist, or none trains a network and epochs were given.
    """
    from cellixir.synthesis.models import generator_class

    trained = [name for name in models if takes_epochs(generator_class(name))]
    if epochs is not None and not trained:
        names = " and ".join(map(repr, models))
        message = f"--epochs {epochs} is for networks, and {names} trains none; leave it out"
        raise ConfigurationError(message)
    return {} if epochs is None else {name: {"max_epochs": epochs} for name in trained}


def takes_epochs(kind: type) -> bool:
    """Whether a generator is trained in epochs."""
    import inspect

    return "max_epochs" in inspect.signature(kind).parameters
