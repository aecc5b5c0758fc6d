"""What a drug, a dose or a pair of drugs does to the transcriptome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellixir.doors import doors

if TYPE_CHECKING:
    from cellixir.perturbation.benchmark_job import benchmark
    from cellixir.perturbation.connections import query
    from cellixir.perturbation.controls import consensus, effects_of
    from cellixir.perturbation.evaluation import evaluate
    from cellixir.perturbation.fitting import fit
    from cellixir.perturbation.questions import question_of
    from cellixir.perturbation.wells import Keys

__all__ = ["Keys", "benchmark", "consensus", "effects_of", "evaluate", "fit", "query", "question_of"]
_HOMES = {
    "Keys": "cellixir.perturbation.wells",
    "benchmark": "cellixir.perturbation.benchmark_job",
    "consensus": "cellixir.perturbation.controls",
    "effects_of": "cellixir.perturbation.controls",
    "evaluate": "cellixir.perturbation.evaluation",
    "fit": "cellixir.perturbation.fitting",
    "question_of": "cellixir.perturbation.questions",
    "query": "cellixir.perturbation.connections",
}
__getattr__, __dir__ = doors(__name__, _HOMES)
