"""Values of a model as JSON and arrays hold them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd

from cellixir.exceptions import BundleError

if TYPE_CHECKING:
    from cellixir.estimator.bundle import Arrays

#: Bytes of a word in an array of words.
_LONGEST = 2**16
PACKAGE = __name__.split(".", maxsplit=1)[0]


def plain(value: Any) -> Any:
    """What JSON holds of a parameter: dataclasses and mappings as objects, sequences as lists.

    >>> plain({"sizes": (2, np.int64(3))})
    {'sizes': [2, 3]}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray | pd.Index):
        return [plain(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value


def restored(value: Any, annotation: Any) -> Any:
    """Parameter of this type from what `plain` made of it: dataclasses are built again.

    Sequences stay lists: a constructor takes any sequence.
    """
    kinds = [kind for kind in (annotation, *get_args(annotation)) if is_dataclass(kind)]
    if not isinstance(value, Mapping) or not kinds or not isinstance(kinds[0], type):
        return value
    return kinds[0](**value)


def packed(value: Any, name: str, arrays: Arrays) -> Any:
    """What JSON holds of a learned value; its arrays go to ``arrays`` under ``name``, bit by bit.

    Takes numbers, text, lists, tuples, mappings, arrays, tables of pandas, and objects of this package's classes that
    are made of these.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [packed(part, f"{name}/{i}", arrays) for i, part in enumerate(value)]
    kind, parts = _taken_apart(value)
    if kind == "array":
        arrays[name] = parts
        return {"array": name}
    return {kind: packed(parts, name, arrays)}


def unpacked(stored: Any, arrays: Arrays) -> Any:
    """Value that `packed` took apart."""
    if isinstance(stored, list):
        return [unpacked(part, arrays) for part in stored]
    if not isinstance(stored, dict):
        return stored
    ((kind, parts),) = stored.items()
    if kind == "array":
        array = arrays[parts]
        return array if array.ndim else array[()]
    return _put_together(kind, unpacked(parts, arrays))


def _taken_apart(value: Any) -> tuple[str, Any]:
    """Kind of a value that is made of others, and those."""
    if isinstance(value, np.generic | np.ndarray):
        found = np.asarray(value)
        return ("array", found) if found.dtype.kind in "biuf" else ("words", [found.dtype.str, found.tolist()])
    if isinstance(value, tuple):
        return "tuple", list(value)
    if isinstance(value, Mapping):
        return "mapping", [[key, part] for key, part in value.items()]
    if isinstance(value, pd.Index):
        return "index", [_column(value), list(value.names)]
    if isinstance(value, pd.Series):
        return "series", [_column(value), value.index, value.name]
    if isinstance(value, pd.DataFrame):
        return "table", [[_column(value[name]) for name in value], value.index, value.columns]
    kind = type(value)
    if kind.__module__.split(".")[0] == PACKAGE:
        return "object", [f"{kind.__module__}:{kind.__qualname__}", list(vars(value).items())]
    message = f"a {kind.__module__}.{kind.__qualname__} cannot be kept in a bundle; write state() and restore() for it"
    raise BundleError(message)


def _column(values: pd.Series | pd.Index) -> Any:
    """Values of a column: numbers as an array, everything else one by one."""
    numbers = isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf"
    return values.to_numpy() if numbers else [None if part is pd.NA else part for part in values]


def _put_together(kind: str, parts: Any) -> Any:
    if kind == "words":
        words = np.dtype(parts[0])
        if words.itemsize > _LONGEST:
            message = f"words of {words.itemsize:,} bytes"
            raise ValueError(message)
        return np.array(parts[1], dtype=words)
    if kind == "tuple":
        return tuple(parts)
    if kind == "mapping":
        return dict(parts)
    if kind == "index":
        values, names = parts
        return pd.Index(values, name=names[0]) if len(names) == 1 else pd.MultiIndex.from_tuples(values, names=names)
    if kind == "series":
        return pd.Series(parts[0], index=parts[1], name=parts[2])
    if kind == "table":
        columns, index, names = parts
        found = pd.DataFrame(dict(enumerate(columns)), index=index)
        return found.set_axis(names, axis=1)
    return _object(*parts)


def _object(path: str, attributes: list[tuple[str, Any]]) -> Any:
    """Object of one of this package's classes: no other code can be named in a bundle."""
    module, _, name = path.partition(":")
    kind = getattr(import_module(module), name) if module.split(".")[0] == PACKAGE else None
    if not isinstance(kind, type) or kind.__module__ != module:
        message = f"'{path}' is no class of this package"
        raise TypeError(message)
    _check_fields(kind, dict(attributes))
    found: Any = object.__new__(kind)
    vars(found).update(dict(attributes))
    getattr(found, "check_sizes", bool)()
    return found


def _check_fields(kind: type, values: Mapping[str, Any]) -> None:
    """Refuse an object that lacks a field, or has one of another kind: it would fail in the middle of a prediction."""
    for field in fields(kind) if is_dataclass(kind) else ():
        wanted, value = str(field.type), values.get(field.name, _NOTHING)
        fits = value is not _NOTHING and any(_is(value, part.strip()) for part in wanted.split(" | "))
        if not fits:
            message = f"{kind.__name__}.{field.name} is no {wanted}"
            raise TypeError(message)


def _is(value: Any, annotation: str) -> bool:
    """Whether a value may be what an annotation says; True for those that are not known here."""
    if value is None:
        return annotation in {"None", "Any"}
    known = next((types for start, types in _KINDS.items() if annotation.startswith(start)), (object,))
    if annotation == "pd.Index" and isinstance(value, pd.Index):
        return all(isinstance(part, Hashable) for part in value)
    parts: Any = {"dict[str, float]": float, "list[str]": str}.get(annotation)
    if not isinstance(value, known) or parts is None:
        return isinstance(value, known)
    held: Any = value
    return all(isinstance(part, parts) for part in (held.values() if isinstance(held, dict) else held))


_NOTHING = object()
#: What the annotations of learned objects begin with, and what their values are.
_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int, np.integer), "float": (int, float, np.integer, np.floating), "str": (str,), "bool": (bool, np.bool_),
    "list": (list,), "tuple": (tuple, list), "dict": (dict,), "NDArray": (np.ndarray,), "pd.Index": (pd.Index,),
    "pd.Series": (pd.Series,), "pd.DataFrame": (pd.DataFrame,),
}  # fmt: skip
