"""Pieces of a benchmark of generators: one generator on one data set and seed, fitted, drawn from and judged."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import product
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from cellixir.data.dealing import hold_out
from cellixir.data.expression.matrix import profile
from cellixir.runs import Found, Piece
from cellixir.runs.own import accepted, source_digest
from cellixir.synthesis.conditions import Conditions
from cellixir.synthesis.evaluation import COLUMNS, Evaluation, Judge
from cellixir.synthesis.generator import Generator
from cellixir.synthesis.verdicts import Verdict
from cellixir.synthesis.yardstick import KEYS

if TYPE_CHECKING:
    from pathlib import Path

    import anndata as ad
    from numpy.typing import NDArray

    from cellixir.runs.piece import OnEpoch

#: What figures are drawn from; the rest of what a piece found is JSON.
TABLES = ("fold_changes", "points")
SECONDS = ("fit_seconds", "sample_seconds")


Source = Callable[[], "ad.AnnData"]
#: What makes each generator, ours or not, for a seed: it has ``fit(samples)`` and ``sample(n)``.
Makers = Mapping[str, Callable[[int], Any]]


@dataclass(frozen=True)
class Rules:
    """How each data set is divided and judged; ``keys`` are columns by role."""

    condition: tuple[str, ...]
    keys: Mapping[str, str]
    holdout: float
    max_samples: int

    def fingerprint(self, samples: ad.AnnData) -> str:
        """Digest of what the samples, their conditions and the truth in them are."""
        columns = {column: list(map(str, samples.obs[column])) for column in self.condition if column in samples.obs}
        planted = [np.asarray(samples.varm[n]).tolist() for n in ("log2_fold_change",) if n in samples.varm]
        text = json.dumps([profile(samples).fingerprint, columns, planted], sort_keys=True, default=str)
        return sha256(text.encode()).hexdigest()

    def divided(self, samples: ad.AnnData, seed: int) -> tuple[ad.AnnData, Judge]:
        """Samples to learn from, and the judge, who holds the others."""
        train, holdout = held_out(samples, self.holdout, self.condition, seed)
        learn = samples[train].copy()
        keys: dict[str, Any] = {KEYS[role]: column for role, column in self.keys.items()}
        return learn, Judge(learn, samples[holdout].copy(), seed=seed, max_samples=self.max_samples, **keys)


def held_out(
    samples: ad.AnnData, share: float, columns: Sequence[str], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and rows that are held out, of each combination of the columns in proportion."""
    n = samples.n_obs
    codes = Conditions.of(samples, columns).codes(samples)
    wanted = min(max(round(share * n), 1), n - 1)
    chosen = hold_out(n, wanted, np.random.default_rng([seed, 0]), strata=codes)
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


class Kept:
    """The last data set that was read and its last division, for the next generator; each process has its own.

    Ceilings and floors are most of the work of a judge, and the same for all generators of a seed.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[Any, Any]] = {}

    def __reduce__(self) -> tuple[type[Kept], tuple[()]]:
        return Kept, ()

    def of(self, kind: str, key: Any, make: Callable[[], Any]) -> Any:
        """What was made last of this kind, or what ``make`` gives if that was for another key."""
        if kind not in self._last or self._last[kind][0] != key:
            self._last.pop(kind, None)  # two large data sets need not fit
            self._last[kind] = key, make()
        return self._last[kind][1]


@dataclass(frozen=True)
class Trial:
    """One generator on one data set and seed: the work of a piece."""

    kept: Kept
    rules: Rules
    dataset: str
    source: ad.AnnData | Source
    seed: int
    make: Callable[[int], Any]

    def samples(self) -> ad.AnnData:
        """All samples of the data set."""
        given = self.source
        found: ad.AnnData = self.kept.of("samples", self.dataset, given) if callable(given) else given
        return found

    def fingerprint(self) -> str:
        """Digest of the data; none where they cannot be read, which the work then says."""
        with suppress(Exception):
            return self.rules.fingerprint(self.samples())
        return ""

    def settings(self) -> dict[str, Any]:
        """Parameters of the generator; none where it cannot be made, which the work then says."""
        with suppress(Exception):
            return settings_of(self.make(self.seed))
        return {}

    def __call__(self, place: Path, on_epoch: OnEpoch) -> Found:
        """Fit, draw as many samples as there were, judge."""
        generator = self.make(self.seed)
        train, judge = self.kept.of(
            "divided", (self.dataset, self.seed), lambda: self.rules.divided(self.samples(), self.seed)
        )
        start = time.perf_counter()
        # no checkpoint, so that the seconds are true
        generator.fit(train, **accepted(generator.fit, on_epoch=on_epoch))
        fit_seconds = float(getattr(generator, "fit_seconds_", time.perf_counter() - start))
        start = time.perf_counter()
        made = generator.sample(train.n_obs)
        sample_seconds = time.perf_counter() - start
        found = judge.judge(made, maps=False)
        facts = {
            "fit_seconds": fit_seconds, "sample_seconds": sample_seconds,
            "notes": [*getattr(generator, "notes_", []), *found.notes], "facts": dict(found.facts),
            "verdicts": [asdict(verdict) for verdict in found.verdicts], "table": found.table.to_dict("list"),
            "history": getattr(generator, "history_", pd.DataFrame()).to_dict("list"),
        }  # fmt: skip
        return Found(tables={name: getattr(found, name) for name in TABLES}, facts=facts)


def pieces_of(
    datasets: Mapping[str, ad.AnnData | Source], makers: Makers, seeds: int, rules: Rules
) -> tuple[list[Piece], dict[str, str]]:
    """Every generator on every data set and seed, and the fingerprints of the data sets."""
    pieces, data, kept = [], dict[str, str](), Kept()
    for (name, source), seed, (model, make) in product(datasets.items(), range(seeds), makers.items()):
        work = Trial(kept, rules, name, source, seed, make)
        if name not in data:
            data[name] = work.fingerprint()
        settings = {"rules": asdict(rules), "data": data[name], "generator": work.settings()}
        pieces.append(Piece({"dataset": name, "model": model, "seed": seed}, settings, work, f"{name}, {model}"))
    return pieces, data


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

    @classmethod
    def of(cls, piece: Piece, found: Found) -> Self:
        """Result of a piece, done now or read."""
        facts = found.facts
        verdicts = tuple(Verdict(**v | {"held_back_by": tuple(v["held_back_by"])}) for v in facts["verdicts"])
        evaluation = Evaluation(
            table=pd.DataFrame(facts["table"], columns=COLUMNS), verdicts=verdicts, genes=pd.DataFrame(),
            facts=facts["facts"], notes=tuple(facts["notes"]), **found.tables,
        )  # fmt: skip
        known: dict[str, Any] = {**piece.labels, **{name: float(facts[name]) for name in SECONDS}}
        return cls(**known, evaluation=evaluation, history=pd.DataFrame(facts["history"]))


def settings_of(generator: Any) -> dict[str, Any]:
    """Parameters of a generator of ours; of another its source, and what it calls its settings."""
    if isinstance(generator, Generator):
        return generator.parameters() | {"class": type(generator).__name__}
    return {"source": source_digest(type(generator))} | dict(getattr(generator, "settings", {}))
