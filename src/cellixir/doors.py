"""Names of a package that are imported when they are asked for: torch alone takes over a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module


def doors(
    package: str, homes: Mapping[str, str], others: Iterable[str] = ()
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package whose public names stand in other modules.

    Parameters
    ----------
    homes
        Module of each name; a name that is the end of its module is that module.
    others
        Public names that the package defines itself.
    """

    def find(name: str) -> object:
        if name not in homes:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        module = import_module(homes[name])
        return module if homes[name] == f"{package}.{name}" else getattr(module, name)

    return find, lambda: sorted([*homes, *others])
