"""The bundle of a model.

A bundle is a directory: ``weights.safetensors`` holds every array, ``model.json`` everything else, ``card.md`` says
in words what the model is. No pickle is written or read, so a bundle from a stranger runs no code.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from cellixir.exceptions import BundleError, reason
from cellixir.files import beside, cannot_write, digest_of, read_json, remove, require_ordinary, require_writable

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
    partial = beside(target)
    try:
        partial.mkdir()
        held = {n: np.asarray(a, order="C") for n, a in arrays.items()}
        save_file(held, partial / "weights.safetensors")
        odd = [name for name, array in held.items() if not _finite(array)]
        if re.search(r"\b(NaN|Infinity)\b", json.dumps(facts)):  # or words of the user's, which does no harm
            odd.append("model.json")
        about = {"weights": digest_of(partial / "weights.safetensors"), "not_finite": odd}
        text = json.dumps(_header(kind) | about | facts, indent=1, ensure_ascii=False)
        (partial / "model.json").write_text(text, encoding="utf-8")
        (partial / "card.md").write_text(card(), encoding="utf-8")
        (partial / "weights.safetensors").chmod((partial / "model.json").stat().st_mode)  # colleagues read it too
        _replace(partial, target)
    except (OSError, SafetensorError) as error:
        raise cannot_write(target, getattr(error, "strerror", None) or str(error)) from error
    finally:
        remove(partial)


def read_facts(folder: Path) -> dict[str, Any]:
    """What JSON holds of a bundle.

    Raises
    ------
    BundleError
        If there is no bundle, or the file is missing or cut off.
    """
    strange: list[str] = []

    def noted(word: str) -> float:
        strange.append(word)
        return float(word)

    if not folder.is_dir():
        message = f"there is no bundle at {folder}; give the folder that 'fit' or save() wrote"
        raise BundleError(message)
    try:
        require_ordinary(folder / "model.json")
        facts = read_json(folder / "model.json", odd=noted)
    except (OSError, ValueError) as error:
        raise _not_whole(folder, error) from error
    if not isinstance(facts, dict):
        raise _not_whole(folder, "model.json holds no object")
    if strange and "model.json" not in _odd(facts):
        raise _not_whole(folder, f"model.json holds {strange[0]}")
    return facts


def read_arrays(folder: Path, facts: Mapping[str, Any]) -> Arrays:
    """All arrays of a bundle, whose facts say which of them held NaN or infinity when they were saved, and may.

    Raises
    ------
    BundleError
        If the file is missing or cut off, or holds a number that is not finite.
    """
    try:
        require_ordinary(folder / "weights.safetensors")
        if facts.get("weights", "") not in ("", digest_of(folder / "weights.safetensors")):
            raise _not_whole(folder, "weights.safetensors is not the file that was saved with model.json")
        found: Arrays = load_file(folder / "weights.safetensors")
    except BundleError:
        raise
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _not_whole(folder, error) from error
    bad = [name for name, array in found.items() if name not in _odd(facts) and not _finite(array)]
    if bad:
        raise _not_whole(folder, f"{bad[0]} holds a number that is not finite")
    return found


def _odd(facts: Mapping[str, Any]) -> set[str]:
    """What held NaN or infinity when it was saved: arrays, or ``model.json``."""
    stored = facts.get("not_finite")
    return {str(name) for name in stored} if isinstance(stored, list) else set()


def _finite(array: NDArray[Any]) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _not_whole(folder: Path, why: Exception | str) -> BundleError:
    why = reason(why) if isinstance(why, Exception) else why
    return BundleError(f"{folder} is not a whole bundle of cellixir ({why}); save the model again")


def _header(kind: str) -> dict[str, Any]:
    packages = ("cellixir", "torch", "numpy", "scikit-learn")
    versions = {"python": ".".join(map(str, sys.version_info[:3]))} | {p: version(p) for p in packages}
    return {"format": FORMAT, "class": kind, "versions": versions}


def _replace(partial: Path, target: Path) -> None:
    """Put ``partial`` where ``target`` is. The old directory is moved aside, not removed, until the new one stands."""
    old = beside(target, "old")
    if target.exists():
        target.replace(old)
    partial.replace(target)
    remove(old)
