"""What a drug does to a cell: honest models from expression and genomic data to a served prediction."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cellixir.data.audit.table import audit_table
    from cellixir.data.response_data import ResponseData
    from cellixir.embedding.vae import VAE
    from cellixir.estimator import load
    from cellixir.response.anova import anova
    from cellixir.response.benchmark.run import run_benchmark
    from cellixir.response.cross_study.run import cross_study
    from cellixir.response.network.predictor import ResponsePredictor
    from cellixir.sources.gdsc import load_gdsc_v17
    from cellixir.tables.benchmark import benchmark_table

__version__ = _version("cellixir")

__all__ = [
    "VAE",
    "ResponseData",
    "ResponsePredictor",
    "__version__",
    "anova",
    "audit_table",
    "benchmark_table",
    "cross_study",
    "load",
    "load_gdsc_v17",
    "run_benchmark",
]

# Imported on first use: torch alone takes over a second, and `cellixir --help` should not.
_HOMES = {
    "VAE": "cellixir.embedding.vae",
    "ResponseData": "cellixir.data.response_data",
    "ResponsePredictor": "cellixir.response.network.predictor",
    "anova": "cellixir.response.anova",
    "audit_table": "cellixir.data.audit.table",
    "benchmark_table": "cellixir.tables.benchmark",
    "cross_study": "cellixir.response.cross_study.run",
    "load": "cellixir.estimator",
    "load_gdsc_v17": "cellixir.sources.gdsc",
    "run_benchmark": "cellixir.response.benchmark.run",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module 'cellixir' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
