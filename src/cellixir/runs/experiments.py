"""The file that names the experiments of a comparison."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cellixir.exceptions import ConfigurationError, ReadError

Experiments = dict[str, dict[str, Any]]
#: Takes a table of settings and its place in the file, refuses what cannot work, and returns the settings.
Check = Callable[[dict[str, Any], str], dict[str, Any]]


def read_experiments(path: str | Path, check: Check) -> Experiments:
    """Settings of each experiment of a TOML file by its name, the defaults filled in.

    The file has one table ``[experiment.NAME]`` an experiment and may have one ``[defaults]`` for all.

    Raises
    ------
    ReadError
        If the file is missing or not TOML.
    ConfigurationError
        If there is no experiment, or a key or value cannot work; names the experiment and the key.
    """
    file = Path(path)
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = f"{file} cannot be read as TOML ({getattr(error, 'strerror', None) or error})"
        raise ReadError(message) from error
    others = set(found) - {"defaults", "experiment"}
    if others or not isinstance(found.get("defaults", {}), dict):
        what = f"'{sorted(others)[0]}' stands beside them" if others else "'defaults' is no table"
        message = f"{file}: write [defaults] and one table [experiment.NAME] an experiment; {what}"
        raise ConfigurationError(message)
    tables = found.get("experiment", {})
    if isinstance(tables, list):
        message = f"{file}: [[experiment]] has no name; write [experiment.NAME] for each, for example [experiment.wide]"
        raise ConfigurationError(message)
    if not isinstance(tables, dict) or not tables or not all(isinstance(t, dict) for t in tables.values()):
        message = f"{file} names no experiment; write one table each, for example [experiment.wide] and hidden = 256"
        raise ConfigurationError(message)
    defaults = check(found.get("defaults", {}), f"{file}, [defaults]")
    return {
        _name(name, file): defaults | check(table, f"{file}, experiment '{name}'") for name, table in tables.items()
    }


def _name(name: str, file: Path) -> str:
    if not re.fullmatch(r"[\w][\w .+=-]*", name):
        message = f"{file}: '{name}' cannot name an experiment, for it names a folder; use letters, digits, - and _"
        raise ConfigurationError(message)
    return name
