"""Synthetic expression: generators that are fitted on samples and draw new ones, and what judges them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellixir.doors import doors

if TYPE_CHECKING:
    from cellixir.synthesis.benchmark_job import benchmark
    from cellixir.synthesis.evaluation import evaluate
    from cellixir.synthesis.generator import Generator
    from cellixir.synthesis.models import GENERATORS, load_generator, make_generator

__all__ = [
    "GENERATORS",
    "Generator",
    "benchmark",
    "evaluate",
    "load_generator",
    "make_generator",
]

_HOMES = {
    "GENERATORS": "cellixir.synthesis.models",
    "Generator": "cellixir.synthesis.generator",
    "benchmark": "cellixir.synthesis.benchmark_job",
    "evaluate": "cellixir.synthesis.evaluation",
    "load_generator": "cellixir.synthesis.models",
    "make_generator": "cellixir.synthesis.models",
}
__getattr__, __dir__ = doors(__name__, _HOMES)
