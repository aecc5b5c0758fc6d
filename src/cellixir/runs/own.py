"""Models of one's own, which join a benchmark by the name of their class."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def own_class(name: str, needs: Sequence[str] = ("fit", "predict")) -> type[Any]:
    """Class of ``module:Class``; the module may stand in the working folder.

    Parameters
    ----------
    name
        As Python imports it, ``package.module:Class``.
    needs
        Methods that the class must have.

    Raises
    ------
    ConfigurationError
        If the name is of another form, cannot be imported, is no class or lacks a method.

    Examples
    --------
    >>> own_class("sklearn.linear_model:Ridge").__name__
    'Ridge'
    """
    module, _, called = name.partition(":")
    if not module or not called.isidentifier():
        message = f"'{name}' names no class; write module:Class, such as my_models:MyRidge"
        raise ConfigurationError(message)
    here = str(Path.cwd())
    if here not in sys.path:  # a command is not started in the folder of its script; the end does not hide libraries
        sys.path.append(here)
    try:
        found = getattr(importlib.import_module(module), called)
    except Exception as error:  # a module of somebody else may raise anything while it is imported
        message = f"'{name}' cannot be imported ({type(error).__name__}: {error}); it is looked for on the import path "
        message += f"and in {here}"
        raise ConfigurationError(message) from error
    require_methods(found, name, needs)
    if not isinstance(found, type):
        message = f"'{name}' is a {type(found).__name__}, not a class; name the class itself"
        raise ConfigurationError(message)
    return found


def require_methods(model: object, name: str, needs: Sequence[str] = ("fit", "predict")) -> None:
    """Refuse a model that lacks a method.

    Raises
    ------
    ConfigurationError
        Names what is lacking.
    """
    lacking = [method for method in needs if not callable(getattr(model, method, None))]
    if lacking:
        message = f"'{name}' has no method {' and no method '.join(lacking)}; a model needs {', '.join(needs)}"
        raise ConfigurationError(message)


def accepted(function: Callable[..., Any], **options: Any) -> dict[str, Any]:
    """Those of the options that a function takes by name; all of them where it takes any.

    >>> accepted(lambda data, validation=None: data, validation=3, checkpoint="here")
    {'validation': 3}
    """
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return options
    named = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    return {name: value for name, value in options.items() if name in named}


def source_digest(model: type[Any]) -> str:
    """SHA-256 of the file that defines a class: a result found before an edit is not one of after it."""
    try:
        source = inspect.getsource(inspect.getmodule(model) or model)
    except (OSError, TypeError):  # typed in, or compiled
        source = repr(model)
    return hashlib.sha256(source.encode()).hexdigest()
