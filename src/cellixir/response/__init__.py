"""Response of samples to drugs: benchmark, evaluation on another study, associations, ranking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellixir.doors import doors

if TYPE_CHECKING:
    from cellixir.data.audit.response import audit_response
    from cellixir.data.splits import make_folds
    from cellixir.response.association import anova
    from cellixir.response.cross_validation.run import benchmark
    from cellixir.response.ranking.rank import rank
    from cellixir.response.studies.run import cross_study

__all__ = [
    "anova",
    "audit_response",
    "benchmark",
    "cross_study",
    "make_folds",
    "rank",
]

_HOMES = {
    "anova": "cellixir.response.association",
    "audit_response": "cellixir.data.audit.response",
    "benchmark": "cellixir.response.cross_validation.run",
    "cross_study": "cellixir.response.studies.run",
    "make_folds": "cellixir.data.splits",
    "rank": "cellixir.response.ranking.rank",
}
__getattr__, __dir__ = doors(__name__, _HOMES)
