"""Every room of the house imports only from the floors below it, and no module imports itself through others."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "cellixir"
FLOORS: dict[float, tuple[str, ...]] = {
    0: ("exceptions", "doors"),
    0.5: ("files", "limits", "terminal"),
    1: ("data", "nn", "training", "metrics", "figures", "compute"),
    2: ("estimator", "runs", "sources"),
    2.5: ("report",),  # draws what runs hold
    3: ("response", "embedding", "synthesis", "perturbation", "tables"),
    4: ("aging", "search", "explain", "federated"),
    5: ("serving",),
    6: ("cli",),
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
# What the root itself defines; its other names are doors into rooms, for users only.
ROOT_NAMES = {"__version__"}
# A library that one place alone may know: the others reach it through that place, or do without.
KEPT_OUT = {"data": {"torch"}}
ONLY_IN = {"dask": "compute", "distributed": "compute"}


def imported(source: str, module: str) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that a module imports, at its top or inside, for types or for use.

    ``module`` is the dotted name; a package's is that of its ``__init__``, such as ``cellixir.nn.__init__``.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            here = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*here, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def violations(source: str, module: str) -> list[str]:
    """What a module imports against the floors, one sentence each."""
    room = module.split(".")[1]
    if room not in FLOOR_OF:
        return [f"{module}: the room '{room}' has no floor; give it one in FLOORS"]
    faults = ((line, name, _fault(room, name.split("."))) for line, name in imported(source, module))
    return [f"{module}, line {line}: {name}: {fault}" for line, name, fault in faults if fault]


def _fault(room: str, name: list[str]) -> str | None:
    if name[0] != "cellixir":
        kept_out = name[0] in KEPT_OUT.get(room, ()) or ONLY_IN.get(name[0], room) != room
        return f"{room} may not know {name[0]}" if kept_out else None
    other = name[1] if len(name) > 1 else "__version__"
    if other == room or other in ROOT_NAMES:
        return None
    if other not in FLOOR_OF:
        return "not a room of the house; import from the module that defines it"
    here, there = FLOOR_OF[room], FLOOR_OF[other]
    return None if there < here else f"{room} stands on floor {here}, {other} on floor {there}"


def modules() -> dict[str, Path]:
    """Every module but the root, by dotted name."""
    names = {file: file.relative_to(PACKAGE.parent).with_suffix("").parts for file in PACKAGE.rglob("*.py")}
    return {".".join(parts): file for file, parts in names.items() if parts != ("cellixir", "__init__")}


def graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Modules that each module imports, in functions and for types too; packages are left out, they only gather."""
    plain = {name for name in sources if not name.endswith(".__init__")}
    found = {}
    for module in plain:
        names = {name for _, name in imported(sources[module], module)}
        found[module] = {other for name in names for other in (name, name.rpartition(".")[0]) if other in plain}
    return {module: others - {module} for module, others in found.items()}


def circles(imports: dict[str, set[str]]) -> set[frozenset[str]]:
    """Sets of two or more modules of which each imports every other, directly or through the rest."""
    seen: dict[str, set[str]] = {}
    for module in imports:
        reached, waiting = set[str](), [module]
        while waiting:
            new = imports[waiting.pop()] - reached
            reached |= new
            waiting += new
        seen[module] = reached
    together = {module: frozenset(m for m in seen[module] if module in seen[m]) for module in imports}
    return {group for group in together.values() if len(group) > 1}


def test_no_module_imports_itself_through_others() -> None:
    sources = {module: file.read_text(encoding="utf-8") for module, file in modules().items()}
    assert circles(graph(sources)) == set()


def test_a_planted_circle_is_found() -> None:
    sources = {
        "cellixir.data.one": "from cellixir.data.two import x",
        "cellixir.data.two": "def late():\n    from . import three",
        "cellixir.data.three": "if TYPE_CHECKING:\n    from cellixir.data.one import y",
        "cellixir.data.four": "from cellixir.data import one",
        "cellixir.data.__init__": "from cellixir.data.four import z",
    }
    assert circles(graph(sources)) == {frozenset({f"cellixir.data.{name}" for name in ("one", "two", "three")})}
    assert circles(graph(sources | {"cellixir.data.three": ""})) == set()


def test_the_package_is_found() -> None:
    assert {"cellixir.exceptions", "cellixir.nn.__init__", "cellixir.response.network.predictor"} <= set(modules())


@pytest.mark.parametrize("module", sorted(modules()))
def test_imports_come_from_floors_below(module: str) -> None:
    assert violations(modules()[module].read_text(encoding="utf-8"), module) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("cellixir.data.omics", "from cellixir.response.network.predictor import ResponsePredictor"),
        ("cellixir.data.omics", "import cellixir.response.network.predictor"),
        ("cellixir.data.omics", "from cellixir import response"),
        ("cellixir.data.omics", "from cellixir import ResponsePredictor"),
        ("cellixir.data.omics", "from ..response import predictor"),
        ("cellixir.data.__init__", "from ..nn.dense import DenseEncoder"),
        ("cellixir.data.omics", "from .. import nn"),
        ("cellixir.data.omics", "import torch.nn as nn"),
        ("cellixir.data.omics", "from torch import Tensor"),
        ("cellixir.metrics.regression", "from cellixir.data.splits import Fold"),
        ("cellixir.sources.gdsc", "from cellixir.estimator import Estimator"),
        ("cellixir.estimator", "from cellixir import sources"),
        ("cellixir.response.models.model", "from cellixir.embedding import umap"),
        ("cellixir.exceptions", "from cellixir.files import whole"),
        ("cellixir.serving.api", "from cellixir.cli.app import main"),
        ("cellixir.response.cross_validation.run", "import dask.array"),
        ("cellixir.response.cross_validation.run", "from distributed import Client"),
    ],
)
def test_a_planted_violation_is_found(module: str, line: str) -> None:
    assert len(violations(f'"""A room."""\n{line}\n', module)) == 1


def test_imports_inside_functions_and_for_types_count() -> None:
    source = textwrap.dedent("""
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from cellixir.cli import app
        def late():
            from cellixir.serving import api
    """)
    assert [text.split(":")[0] for text in violations(source, "cellixir.figures.style")] == [
        "cellixir.figures.style, line 4",
        "cellixir.figures.style, line 6",
    ]


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("cellixir.response.cross_validation.run", "import cellixir"),
        ("cellixir.response.cross_validation.run", "from cellixir import __version__"),
        ("cellixir.response.cross_validation.run", "from cellixir import metrics"),
        ("cellixir.response.cross_validation.run", "from . import evaluation"),
        ("cellixir.response.cross_validation.run", "from .evaluation import overall"),
        ("cellixir.response.network.predictor", "import torch"),
        ("cellixir.nn.__init__", "from .dense import DenseEncoder"),
        ("cellixir.data.omics", "from cellixir.data.tables import read_table"),
        ("cellixir.compute", "from dask import delayed"),
        ("cellixir.cli.app", "from cellixir.serving import api"),
    ],
)
def test_what_the_house_allows_passes(module: str, line: str) -> None:
    assert violations(line, module) == []


def test_a_room_without_a_floor_is_found() -> None:
    assert "has no floor" in violations("", "cellixir.helpers.text")[0]
