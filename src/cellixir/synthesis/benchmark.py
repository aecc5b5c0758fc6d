"""The benchmark: every generator on every data set, fitted on one part of it and judged by the other.

A piece is one generator on one data set and seed. It is written when it is done, so a run that was stopped goes on
where it was, and generators, data sets and seeds can be added later. A piece that fails is reported and loses no other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir import __version__
from cellixir.data.dealing import hold_out
from cellixir.data.expression.matrix import profile
from cellixir.exceptions import CellixirError, ConfigurationError, DataError, examples
from cellixir.files import claim, whole
from cellixir.synthesis.benchmark_pieces import AnyGenerator, Done, Piece, Sides, settings_of
from cellixir.synthesis.benchmark_report import write_pages
from cellixir.synthesis.benchmark_summary import MARKDOWN, markdown, result_rows, summarise
from cellixir.synthesis.conditions import Conditions, check_columns
from cellixir.synthesis.evaluation import MAX_SAMPLES, Judge
from cellixir.synthesis.models import GENERATORS, generator_class, make_generator
from cellixir.synthesis.yardstick import names_of
from cellixir.training import Bars

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

Source = Callable[[], "ad.AnnData"]
Makers = dict[str, Callable[[int], AnyGenerator]]
FAILURES = ["dataset", "seed", "model", "error"]


@dataclass(frozen=True)
class Benchmark:
    """What a benchmark found.

    Attributes
    ----------
    results
        One row a piece and metric: ``dataset, seed, model, metric, family, value, low, high, ceiling, floor, verdict``.
        Beside the metrics of an evaluation stand ``fit_seconds``, ``ms_per_gene`` (of the fit) and ``sample_seconds``.
    summary
        One row a generator and metric, and for both controls (``real held-out``, ``genes shuffled``): ``model, metric,
        mean, low, high, n``, the 95 % t-interval over ``n`` data sets (over seeds if there is one data set).
    failures
        Pieces that failed: ``dataset, seed, model, error``.
    folder
        ``results.csv``, ``summary.csv``, ``table.md``, ``report.html``, ``datasets/`` (a page each) and ``pieces/``.
    """

    results: pd.DataFrame
    summary: pd.DataFrame
    failures: pd.DataFrame
    folder: Path

    def markdown(self, metrics: Sequence[str] = MARKDOWN) -> str:
        """One Markdown table, a row a generator and control, a column a metric."""
        return markdown(self.summary, metrics)


@dataclass(frozen=True)
class _Rules:
    """How each data set is divided and judged."""

    condition: tuple[str, ...]
    keys: Mapping[str, str]
    holdout: float
    max_samples: int

    def key(self, samples: ad.AnnData) -> str:
        """Digest of all that a result depends on but the generator and the seed."""
        columns = {column: list(map(str, samples.obs[column])) for column in self.condition if column in samples.obs}
        planted = [np.asarray(samples.varm[n]).tolist() for n in ("log2_fold_change",) if n in samples.varm]
        return _digest([__version__, asdict(self), profile(samples).fingerprint, columns, planted])

    def sides(self, samples: ad.AnnData, seed: int) -> Sides:
        """Training part of one seed, and the judge."""
        train, holdout = held_out(samples, self.holdout, self.condition, seed)
        learn = samples[train].copy()
        keys: dict[str, Any] = {f"{role}_key": column for role, column in self.keys.items()}
        judge = Judge(learn, samples[holdout].copy(), seed=seed, max_samples=self.max_samples, **keys)
        return Sides(learn, judge)


def run_benchmark(
    datasets: Mapping[str, ad.AnnData | Source],
    out: Path | str,
    *,
    models: Sequence[str] = tuple(GENERATORS),
    condition: Sequence[str] = (),
    group_key: str | None = None,
    batch_key: str | None = None,
    label_key: str | None = None,
    holdout: float = 0.25,
    seeds: int = 1,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    others: Mapping[str, Callable[[int], AnyGenerator]] | None = None,
    max_samples: int = MAX_SAMPLES,
    command: str = "",
    quiet: bool = True,
) -> Benchmark:
    """Fit every generator on the training part of every data set, judge what it draws, and write tables and report.

    As many samples are drawn as there are for training. Where a data set brings the truth of a simulation, the recovery
    of differential expression is against it. No checkpoint is kept within a piece, so that the seconds are true.

    Parameters
    ----------
    datasets
        Samples by name, or functions that read them when their turn comes.
    out
        Folder; pieces that are finished there, of the same data and settings, are read.
    models
        Names of `cellixir.synthesis.GENERATORS`.
    condition
        Columns that the generators are given. Default: the three keys.
    group_key, batch_key, label_key
        See `cellixir.synthesis.evaluation.evaluate`; each is one of the conditions.
    holdout
        Share of the samples that no generator sees, of each combination of conditions in proportion.
    seeds
        Repetitions, each with another part held out.
    settings
        Parameters of generators, by name.
    others
        Generators of your own, by name: a function of the seed. Each has ``fit(samples)`` and ``sample(n)``, and may
        have ``settings`` (a dictionary), ``history_`` and ``fit_seconds_``.
    max_samples
        Most samples of each kind that are compared.

    Raises
    ------
    ConfigurationError
        If a generator, a setting or a share cannot be, or ``out`` holds other things.
    DataError
        If every piece failed; its message is that of the first.
    """
    rules = _rules(condition, {"group": group_key, "batch": batch_key, "label": label_key}, holdout, max_samples)
    makers = _makers(models, rules.condition, settings or {}, others or {})
    _check(datasets, makers, seeds)
    folder = Path(out)
    claim(folder / "benchmark.json", asdict(rules), "a benchmark with other columns, or another share held out")
    with Bars("benchmark", len(datasets) * len(makers) * seeds, quiet=quiet) as bars:
        run = _Run(folder, rules, makers, seeds, bars)
        for name, source in datasets.items():
            run.dataset(name, source)
    failures = pd.DataFrame(run.failures, columns=FAILURES)
    if not run.done:
        message = f"all {len(failures)} pieces failed; the first, {run.failures[0]['model']} on "
        raise DataError(message + f"{run.failures[0]['dataset']}: {run.failures[0]['error']}")
    results = result_rows(run.done)
    found = Benchmark(results, summarise(results), failures, folder)
    _write(found, run.done, command)
    return found


def held_out(
    samples: ad.AnnData, share: float, columns: Sequence[str], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and rows that are held out, of each combination of the columns in proportion."""
    n = samples.n_obs
    codes = Conditions.of(samples, columns).codes(samples)
    wanted = min(max(round(share * n), 1), n - 1)
    chosen = hold_out(n, wanted, np.random.default_rng([seed, 0]), strata=codes)
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


class _Run:
    """Piece after piece; what was found and what failed gathers here."""

    def __init__(self, folder: Path, rules: _Rules, makers: Makers, seeds: int, bars: Bars) -> None:
        self.folder, self.rules, self.makers, self.seeds, self.bars = folder, rules, makers, seeds, bars
        self.done: list[Done] = []
        self.failures: list[dict[str, Any]] = []

    def dataset(self, name: str, source: ad.AnnData | Source) -> None:
        """All pieces of one data set, which is read once."""
        self.bars.starts(f"reading {name}")
        try:
            samples = source() if callable(source) else source
            key = self.rules.key(samples)
        except Exception as error:
            for seed in range(self.seeds):
                for model in self.makers:
                    self._failed(name, seed, model, error)
            return
        for seed in range(self.seeds):
            self._seed(name, samples, key, seed)

    def _seed(self, name: str, samples: ad.AnnData, key: str, seed: int) -> None:
        sides = cache(lambda: self.rules.sides(samples, seed))  # not made where all pieces are read
        for model, make in self.makers.items():
            self.bars.starts(f"{name}, {model}")
            place = self.folder / "pieces" / name / model / f"seed{seed}"
            try:
                generator = make(seed)
                piece = Piece(place, name, seed, model, _digest([key, settings_of(generator)]))
                self.done.append(piece.read() or piece.run(generator, sides(), self.bars))
            except Exception as error:
                self._failed(name, seed, model, error)
            else:
                self.bars.done()

    def _failed(self, name: str, seed: int, model: str, error: Exception) -> None:
        kind = "" if isinstance(error, CellixirError) else f"{type(error).__name__}: "
        text = " ".join(f"{kind}{error} {' '.join(getattr(error, '__notes__', []))}".split())
        self.failures.append(dict(zip(FAILURES, (name, seed, model, text), strict=True)))
        self.bars.done()


def _rules(condition: Sequence[str], roles: Mapping[str, str | None], holdout: float, max_samples: int) -> _Rules:
    keys = names_of(roles)
    columns = check_columns(condition) or tuple(dict.fromkeys(keys.values()))
    strange = [(role, key) for role, key in keys.items() if key not in columns]
    if strange:
        role, key = strange[0]
        message = (
            f"the {role} column {key!r} is not among the conditions ({examples(columns, 8)}), so synthetic samples "
            "would not have it; add it to the conditions, or leave these out: they are the columns then"
        )
        raise ConfigurationError(message)
    if not 0 < holdout < 1:
        message = f"holdout={holdout} is no share of the samples; give one above 0 and below 1, such as 0.25"
        raise ConfigurationError(message)
    return _Rules(columns, keys, holdout, max_samples)


def _makers(
    models: Sequence[str],
    condition: tuple[str, ...],
    settings: Mapping[str, Mapping[str, Any]],
    others: Mapping[str, Callable[[int], AnyGenerator]],
) -> Makers:
    """A function of the seed for each generator, which has been tried once."""

    def maker(name: str) -> Callable[[int], AnyGenerator]:
        generator_class(name)
        make_generator(name, condition=condition, **settings.get(name, {}))
        return lambda seed: make_generator(name, condition=condition, seed=seed, **settings.get(name, {}))

    taken = [name for name in others if name in GENERATORS]
    strange = [name for name in settings if name not in models]
    if taken or strange:
        what = f"{taken[0]!r} is a generator of cellixir" if taken else f"settings of {strange[0]!r}, which is not run"
        message = f"{what}; give a generator of your own another name, and settings to generators that are run"
        raise ConfigurationError(message)
    return {name: maker(name) for name in dict.fromkeys(models)} | dict(others)


def _check(datasets: Mapping[str, Any], makers: Makers, seeds: int) -> None:
    if not datasets or not makers or seeds < 1:
        message = f"{len(datasets)} data sets, {len(makers)} generators, seeds={seeds}; give one or more of each"
        raise ConfigurationError(message)
    for name in (*datasets, *makers):
        if not name or name in (".", "..") or Path(name).name != name:
            message = f"{name!r} cannot be a folder; name data sets and generators without slashes"
            raise ConfigurationError(message)


def _digest(facts: Any) -> str:
    return sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _write(found: Benchmark, done: Sequence[Done], command: str) -> None:
    for name, table in (("results", found.results), ("summary", found.summary), ("failures", found.failures)):
        with whole(found.folder / f"{name}.csv") as partial:
            table.to_csv(partial, index=False)
    with whole(found.folder / "table.md") as partial:
        partial.write_text(found.markdown() + "\n", encoding="utf-8")
    write_pages(found.folder, done, found.results, found.summary, found.failures, command)


__all__ = ["Benchmark", "held_out", "run_benchmark"]
