"""Settings by name, as options and files of experiments have them: refused where no model could take them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Shorter names, as on the command line.
ALIASES = {"layers": "n_layers", "epochs": "max_epochs"}
#: What a value may be, and how that is called in a sentence.
_KINDS: dict[type, tuple[tuple[type, ...], str]] = {
    int: ((int,), "a whole number"), float: ((int, float), "a number"), str: ((str,), "text"),
}  # fmt: skip


def whole_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings under the names of parameters; those that are None are left out.

    >>> whole_names({"layers": 2, "hidden": None})
    {'n_layers': 2}
    """
    return {ALIASES.get(name, name): value for name, value in settings.items() if value is not None}


def check_setting(name: str, value: Any, types: Mapping[str, Any]) -> None:
    """Refuse a setting that is not among ``types``, annotations by name, or whose value is of another kind.

    Raises
    ------
    ConfigurationError
        With the name that is meant, if one is close.
    """
    known = [*types, *(short for short, name in ALIASES.items() if name in types)]
    if name not in known:
        close = get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known) or 'none'}"
        message = f"there is no setting '{name}'; {hint}"
        raise ConfigurationError(message)
    annotation = types[ALIASES.get(name, name)]
    options = get_args(annotation) or (annotation,)
    kind = next((kind for kind in _KINDS if kind in options or isinstance(options[0], kind)), None)
    if kind is None:  # gene sets
        return
    possible, wanted = _KINDS[kind]
    if not isinstance(value, possible) or isinstance(value, bool):
        message = f"{name} must be {wanted}, not {value!r}"
        raise ConfigurationError(message)
