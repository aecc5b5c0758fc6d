"""The bundle of a model.

A bundle is a directory: ``weights.safetensors`` holds every array, ``model.json`` everything else, ``card.md`` says
in words what the model is. No pickle is written or read, so a bundle from a stranger runs no code.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from cellixir.exceptions import BundleError
from cellixir.files import require_writable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

FORMAT = 1
FILES = ("weights.safetensors", "model.json", "card.md")
Arrays = dict[str, "NDArray[Any]"]


def under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Arrays of one part of a model: those named ``prefix/...``, by the rest of their names."""
    start = f"{prefix}/"
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


def check_target(path: Path) -> None:
    """Refuse a place where something else than a bundle stands: worth asking before a long fit.

    Raises
    ------
    BundleError
        With the place.
    """
    if path.is_file() or (path.is_dir() and not {p.name for p in path.iterdir()} <= set(FILES)):
        message = f"{path} holds other things than a bundle; choose another place for the model"
        raise BundleError(message)
    require_writable(path.with_name(f".{path.name}"))


def write_bundle(target: Path, kind: str, arrays: Arrays, facts: dict[str, Any], card: Callable[[], str]) -> None:
    """Write a bundle whole or not at all; an older one there is replaced."""
    check_target(target)
    require_writable(target / "model.json")
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.mkdir()
    try:
        save_file({n: np.asarray(a, order="C") for n, a in arrays.items()}, partial / "weights.safetensors")
        text = json.dumps(_header(kind) | facts, indent=1, ensure_ascii=False)
        (partial / "model.json").write_text(text, encoding="utf-8")
        (partial / "card.md").write_text(card(), encoding="utf-8")
        (partial / "weights.safetensors").chmod((partial / "model.json").stat().st_mode)  # colleagues read it too
        _replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_facts(folder: Path) -> dict[str, Any]:
    """What JSON holds of a bundle.

    Raises
    ------
    BundleError
        If there is no bundle, or the file is missing or cut off.
    """
    if not folder.is_dir():
        message = f"there is no bundle at {folder}; give the folder that 'fit' or save() wrote"
        raise BundleError(message)
    try:
        facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _not_whole(folder, error) from error
    if not isinstance(facts, dict):
        raise _not_whole(folder, "model.json holds no object")
    return facts


def read_arrays(folder: Path) -> Arrays:
    """All arrays of a bundle.

    Raises
    ------
    BundleError
        If the file is missing or cut off.
    """
    try:
        found: Arrays = load_file(folder / "weights.safetensors")
    except (OSError, SafetensorError) as error:
        raise _not_whole(folder, error) from error
    return found


def _not_whole(folder: Path, why: object) -> BundleError:
    return BundleError(f"{folder} is not a whole bundle of cellixir ({why}); save the model again")


def _header(kind: str) -> dict[str, Any]:
    packages = ("cellixir", "torch", "numpy", "scikit-learn")
    versions = {"python": ".".join(map(str, sys.version_info[:3]))} | {p: version(p) for p in packages}
    return {"format": FORMAT, "class": kind, "versions": versions}


def _replace(partial: Path, target: Path) -> None:
    """Put ``partial`` where ``target`` is. The old directory is moved aside, not removed, until the new one stands."""
    old = target.with_name(f".{target.name}.old.{os.getpid()}")
    if target.exists():
        target.replace(old)
    partial.replace(target)
    shutil.rmtree(old, ignore_errors=True)
