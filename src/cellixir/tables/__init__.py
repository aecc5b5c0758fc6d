"""Any table of numbers and categories: models, benchmark and report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellixir.doors import doors

if TYPE_CHECKING:
    from cellixir.data.audit.table import audit_table
    from cellixir.tables.benchmark_job import benchmark

__all__ = [
    "audit_table",
    "benchmark",
]

_HOMES = {
    "audit_table": "cellixir.data.audit.table",
    "benchmark": "cellixir.tables.benchmark_job",
}
__getattr__, __dir__ = doors(__name__, _HOMES)
