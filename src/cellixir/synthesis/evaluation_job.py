"""An evaluation of synthetic data with its folder: numbers, page, manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellixir.data.expression.matrix import profile
from cellixir.runs import RunFolder
from cellixir.synthesis.evaluation import Evaluation, Judge
from cellixir.synthesis.report import evaluation_page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import anndata as ad

NUMBERS = ("value", "low", "high", "ceiling", "ceiling_low", "floor")


def run_evaluation(
    train: ad.AnnData | Callable[[], ad.AnnData],
    holdout: ad.AnnData | Callable[[], ad.AnnData],
    synthetic: ad.AnnData | Callable[[], ad.AnnData],
    out: Path | str,
    *,
    maps: bool = True,
    name: str = "Synthetic data",
    command: str = "",
    **settings: Any,
) -> Evaluation:
    """Judge synthetic data, and write ``metrics.json``, ``report.html`` and ``run.json`` into the folder.

    Parameters
    ----------
    train, holdout, synthetic
        Samples, or functions that read them.
    out
        Folder: new, or that of another evaluation, which is written over.
    maps
        Compute t-SNE, where openTSNE is installed.
    name
        What was evaluated, for the heading.
    command
        Shown on the page.
    settings
        Keys, truth, seed and most samples, as of `cellixir.synthesis.evaluation.evaluate`.

    Raises
    ------
    ConfigurationError
        If the folder holds other things.
    CellixirError
        If the data cannot be judged, as of `evaluate`; nothing is written then.
    """
    plain = {key: value for key, value in settings.items() if key != "truth"}
    run = RunFolder(out, "synthesize evaluate", {}, settings=plain, command=command, replaces=True)
    run.refuse_other_work()
    real, unseen, made = (given() if callable(given) else given for given in (train, holdout, synthetic))
    judge = Judge(real, unseen, **settings)
    side = judge.accepted(made)
    run.manifest["data"] = {
        what: profile(cells).fingerprint for what, cells in (("train", real), ("holdout", unseen), ("synthetic", made))
    }
    with run:
        found = judge.judge(side, maps=maps)
        write_evaluation(run, found, name)
    return found


def write_evaluation(run: RunFolder, found: Evaluation, name: str = "Synthetic data") -> None:
    """Write numbers and page of an evaluation into the folder of a run."""
    run.json("metrics.json", as_json(found))
    run.page(evaluation_page(found, name, run.command))
    run.says(
        headline=" ".join(f"{v.question}: {v.answer}." for v in found.verdicts),
        metrics=dict(zip(found.table["metric"], found.table["value"], strict=True)), notes=found.notes,
    )  # fmt: skip


def as_json(found: Evaluation) -> dict[str, Any]:
    """Verdicts, metrics, facts and notes; a missing number is null once it is written."""
    rows = found.table.set_index("metric")[["family", *NUMBERS, "best", "verdict"]]
    verdicts = {v.question.lower(): {"answer": v.answer, "sentence": v.sentence} for v in found.verdicts}
    metrics = {str(metric): row.to_dict() for metric, row in rows.iterrows()}
    return {"verdicts": verdicts, "metrics": metrics, "facts": dict(found.facts), "notes": list(found.notes)}
