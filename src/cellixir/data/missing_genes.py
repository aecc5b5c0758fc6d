"""What a fitted model does about genes, or other features, that new data lack: the same words everywhere."""

from __future__ import annotations

from typing import Literal, get_args

from cellixir.exceptions import ConfigurationError

#: ``refuse`` such data; or let ``zero``, or the ``mean`` of the training data, stand for what is not there.
Missing = Literal["refuse", "zero", "mean"]


def check_missing(missing: str, option: str = "missing") -> Missing:
    """Return the word, if it is one.

    Raises
    ------
    ConfigurationError
        With the words that there are.
    """
    for word in get_args(Missing):
        if missing == word:
            known: Missing = word
            return known
    message = f"{option} must be one of {', '.join(get_args(Missing))}, not {missing!r}"
    raise ConfigurationError(message)
