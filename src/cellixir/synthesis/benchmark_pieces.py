"""Pieces of a benchmark: one generator on one data set and seed, written once it is done."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pandas as pd

from cellixir.files import whole
from cellixir.synthesis.evaluation import COLUMNS, Evaluation
from cellixir.synthesis.generator import Generator
from cellixir.synthesis.verdicts import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    import anndata as ad

    from cellixir.synthesis.evaluation import Judge
    from cellixir.training import Bars

#: What figures are drawn from; the rest of a piece is JSON.
TABLES = ("fold_changes", "points")


class AnyGenerator(Protocol):
    """What a generator must be able to do here, ours or not."""

    def fit(self, samples: ad.AnnData, /) -> object:
        """Learn from samples."""

    def sample(self, n: int, /) -> ad.AnnData:
        """New samples of the same genes and scale, with the condition columns."""


class Sides(NamedTuple):
    """What a piece learns from, and who judges it."""

    train: ad.AnnData
    judge: Judge


@dataclass(frozen=True, eq=False)
class Done:
    """What a piece found; the genes of its evaluation are not kept."""

    dataset: str
    seed: int
    model: str
    fit_seconds: float
    sample_seconds: float
    history: pd.DataFrame
    evaluation: Evaluation


@dataclass(frozen=True)
class Piece:
    """One generator on one data set and seed.

    Attributes
    ----------
    place
        Folder of the result: ``piece.json`` and the tables that figures need.
    key
        Digest of all that the result depends on: a result with another one is done again.
    """

    place: Path
    dataset: str
    seed: int
    model: str
    key: str

    def read(self) -> Done | None:
        """What was found; None if the piece is still to be done."""
        try:
            facts = json.loads((self.place / "piece.json").read_text(encoding="utf-8"))
            if facts["key"] != self.key:
                return None
            tables = {name: pd.read_parquet(self.place / f"{name}.parquet") for name in TABLES}
            return self._done(facts, tables)
        except (OSError, ValueError, KeyError, TypeError):  # not there, or damaged: to be done
            return None

    def run(self, generator: AnyGenerator, sides: Sides, bars: Bars) -> Done:
        """Fit, draw as many samples as there were, judge, write; ``piece.json`` is last."""
        start = time.perf_counter()
        if isinstance(generator, Generator):
            generator.fit(sides.train, on_epoch=bars.epoch)
        else:
            generator.fit(sides.train)
        fit_seconds = float(getattr(generator, "fit_seconds_", time.perf_counter() - start))
        start = time.perf_counter()
        made = generator.sample(sides.train.n_obs)
        sample_seconds = time.perf_counter() - start
        evaluation = sides.judge.judge(made, maps=False)
        facts = {
            "key": self.key, "dataset": self.dataset, "seed": self.seed, "model": self.model,
            "fit_seconds": fit_seconds, "sample_seconds": sample_seconds, "settings": settings_of(generator),
            "notes": [*getattr(generator, "notes_", []), *evaluation.notes], "facts": dict(evaluation.facts),
            "verdicts": [asdict(verdict) for verdict in evaluation.verdicts],
            "table": evaluation.table.to_dict("list"),
            "history": getattr(generator, "history_", pd.DataFrame()).to_dict("list"),
        }  # fmt: skip
        for name in TABLES:
            with whole(self.place / f"{name}.parquet") as partial:
                getattr(evaluation, name).to_parquet(partial, index=False)
        with whole(self.place / "piece.json") as partial:
            partial.write_text(json.dumps(facts, indent=1, default=_plain), encoding="utf-8")
        return self._done(facts, {name: getattr(evaluation, name) for name in TABLES})

    def _done(self, facts: dict[str, Any], tables: dict[str, pd.DataFrame]) -> Done:
        verdicts = tuple(Verdict(**v | {"held_back_by": tuple(v["held_back_by"])}) for v in facts["verdicts"])
        evaluation = Evaluation(
            table=pd.DataFrame(facts["table"], columns=COLUMNS), verdicts=verdicts, genes=pd.DataFrame(),
            facts=facts["facts"], notes=tuple(facts["notes"]), **tables,
        )  # fmt: skip
        seconds = float(facts["fit_seconds"]), float(facts["sample_seconds"])
        return Done(self.dataset, self.seed, self.model, *seconds, pd.DataFrame(facts["history"]), evaluation)


def settings_of(generator: AnyGenerator) -> dict[str, Any]:
    """Parameters of a generator of ours; of another what it calls its settings."""
    if isinstance(generator, Generator):
        return generator.parameters() | {"class": type(generator).__name__}
    return dict(getattr(generator, "settings", {}))


def _plain(value: Any) -> Any:
    """Numbers of NumPy as those of Python."""
    return value.item()
