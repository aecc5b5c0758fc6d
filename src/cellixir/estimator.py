"""What every model of cellixir can do: keep its parameters, be saved, be loaded.

A bundle is a directory: ``weights.safetensors`` holds every array, ``model.json`` everything else, ``card.md`` says
in words what the model is. No pickle is written or read, so a bundle from a stranger runs no code.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from abc import ABC, abstractmethod
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from cellixir.exceptions import BundleError
from cellixir.files import require_writable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FORMAT = 1
FILES = ("weights.safetensors", "model.json", "card.md")
Arrays = dict[str, "NDArray[Any]"]


def under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Arrays of one part of a model: those named ``prefix/...``, by the rest of their names."""
    start = f"{prefix}/"
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


class Estimator(ABC):
    """A model with a bundle."""

    @abstractmethod
    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """All arrays, and all that JSON holds, of the fitted model."""

    @classmethod
    @abstractmethod
    def from_state(cls, arrays: Arrays, facts: dict[str, Any]) -> Self:
        """Rebuild the fitted model."""

    @abstractmethod
    def card(self) -> str:
        """Return the model card, in Markdown."""

    def save(self, path: Path | str) -> Path:
        """Write the bundle and return its directory; an older bundle there is replaced.

        Raises
        ------
        BundleError
            If something else than a bundle stands at ``path``.
        """
        target = Path(path)
        self.check_target(target)
        arrays, facts = self.state()
        require_writable(target / "model.json")
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        partial.mkdir()
        try:
            save_file({n: np.asarray(a, order="C") for n, a in arrays.items()}, partial / "weights.safetensors")
            text = json.dumps(self._header() | facts, indent=1, ensure_ascii=False)
            (partial / "model.json").write_text(text, encoding="utf-8")
            (partial / "card.md").write_text(self.card(), encoding="utf-8")
            (partial / "weights.safetensors").chmod((partial / "model.json").stat().st_mode)  # colleagues read it too
            _replace(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return target

    @staticmethod
    def check_target(path: Path) -> None:
        """Refuse a place where something else than a bundle stands: worth asking before a long fit."""
        if path.is_file() or (path.is_dir() and not {p.name for p in path.iterdir()} <= set(FILES)):
            message = f"{path} holds other things than a bundle; choose another place for the model"
            raise BundleError(message)
        require_writable(path.with_name(f".{path.name}"))

    def _header(self) -> dict[str, Any]:
        packages = ("cellixir", "torch", "numpy", "scikit-learn")
        versions = {"python": ".".join(map(str, sys.version_info[:3]))} | {p: version(p) for p in packages}
        return {"format": FORMAT, "class": type(self).__name__, "versions": versions}

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a bundle.

        Raises
        ------
        BundleError
            If a file of it is missing or cut off, or the bundle is of another class or a later format.
        """
        folder = Path(path)
        if not folder.is_dir():
            message = f"there is no bundle at {folder}; give the folder that 'fit' or save() wrote"
            raise BundleError(message)
        try:
            facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
            arrays = load_file(folder / "weights.safetensors")
        except (OSError, json.JSONDecodeError, UnicodeDecodeError, SafetensorError) as error:
            message = f"{folder} is not a whole bundle of cellixir ({error}); save the model again"
            raise BundleError(message) from error
        if not isinstance(facts, dict):
            message = f"{folder}/model.json is not that of a bundle; save the model again"
            raise BundleError(message)
        if facts.get("class") != cls.__name__ or facts.get("format") != FORMAT:
            message = (
                f"{folder} holds a '{facts.get('class')}' in format {facts.get('format')}; "
                f"this version reads a '{cls.__name__}' in format {FORMAT}"
            )
            raise BundleError(message)
        try:
            return cls.from_state(arrays, facts)
        except (KeyError, TypeError, RuntimeError, ValueError, AttributeError, IndexError) as error:
            message = f"{folder}: weights and model.json do not belong together ({error}); save the model again"
            raise BundleError(message) from error


def _replace(partial: Path, target: Path) -> None:
    """Put ``partial`` where ``target`` is. The old directory is moved aside, not removed, until the new one stands."""
    old = target.with_name(f".{target.name}.old.{os.getpid()}")
    if target.exists():
        target.replace(old)
    partial.replace(target)
    shutil.rmtree(old, ignore_errors=True)
