"""The benchmark: every generator on every data set, fitted on one part of it and judged by the other.

A piece is one generator on one data set and seed: generators, data sets and seeds can be added later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cellixir.exceptions import ConfigurationError, examples
from cellixir.files import whole
from cellixir.runs import RunFolder
from cellixir.synthesis.benchmark_pieces import Done, Makers, Rules, Source, pieces_of
from cellixir.synthesis.benchmark_report import pages
from cellixir.synthesis.benchmark_summary import MARKDOWN, headline, key_numbers, markdown, result_rows, summarise
from cellixir.synthesis.conditions import check_columns
from cellixir.synthesis.evaluation import MAX_SAMPLES
from cellixir.synthesis.models import GENERATORS, generator_class, make_generator
from cellixir.synthesis.yardstick import names_of

if TYPE_CHECKING:
    import anndata as ad


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
        Pieces that failed: ``dataset, model, seed, error``.
    folder
        ``results.csv``, ``summary.csv``, ``table.md``, ``report.html``, ``datasets/`` (a page each) and ``pieces/``.
    headline
        How often each generator was found faithful, useful and private.
    """

    results: pd.DataFrame
    summary: pd.DataFrame
    failures: pd.DataFrame
    folder: Path
    headline: str = ""

    def markdown(self, metrics: Sequence[str] = MARKDOWN) -> str:
        """One Markdown table, a row a generator and control, a column a metric."""
        return markdown(self.summary, metrics)


def benchmark(
    datasets: Mapping[str, ad.AnnData | Source],
    out: Path | str,
    *,
    models: Sequence[str] = tuple(GENERATORS),
    condition: Sequence[str] = (),
    contrast_key: str | None = None,
    batch_key: str | None = None,
    label_key: str | None = None,
    holdout: float = 0.25,
    seeds: int = 1,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    others: Mapping[str, Callable[[int], Any]] | None = None,
    max_samples: int = MAX_SAMPLES,
    jobs: int = 1,
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
    contrast_key, batch_key, label_key
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
    jobs
        Processes that fit and judge at a time.

    Returns
    -------
    Benchmark
        Every metric of every piece, their summary, failures and where they were written.

    Raises
    ------
    ConfigurationError
        If a generator, a setting or a share cannot be, or ``out`` holds other things.
    DataError
        If every piece failed; its message is that of the first.

    Examples
    --------
    >>> benchmark({"tumours": samples}, "my-benchmark", models=["gaussian", "copula"]).summary  # doctest: +SKIP
    """
    rules = _rules(condition, {"group": contrast_key, "batch": batch_key, "label": label_key}, holdout, max_samples)
    makers = _makers(models, rules.condition, settings or {}, others or {})
    _check(datasets, makers, seeds)
    run = RunFolder(
        out, "synthesize benchmark", asdict(rules), what="a benchmark with other columns, or another share held out",
        settings=asdict(rules) | {"models": list(makers), "seeds": seeds}, command=command,
    )  # fmt: skip
    with run:
        pieces, data = pieces_of(datasets, makers, seeds, rules)
        outcomes = run.pieces(pieces, jobs=jobs, quiet=quiet)
        done = [Done.of(piece, found) for piece, found in outcomes.found]
        results = result_rows(done)
        found = Benchmark(results, summarise(results), outcomes.failures, run.path, headline(done))
        _write(run, found, done, command)
        run.says(headline=found.headline, metrics=key_numbers(found.summary), notes=outcomes.notes, data=data)
    return found


def _rules(condition: Sequence[str], roles: Mapping[str, str | None], holdout: float, max_samples: int) -> Rules:
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
    return Rules(columns, keys, holdout, max_samples)


def _makers(
    models: Sequence[str],
    condition: tuple[str, ...],
    settings: Mapping[str, Mapping[str, Any]],
    others: Mapping[str, Callable[[int], Any]],
) -> Makers:
    """A function of the seed for each generator, which has been tried once."""

    def maker(name: str) -> Callable[[int], Any]:
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


def _write(run: RunFolder, found: Benchmark, done: Sequence[Done], command: str) -> None:
    run.table("results", found.results)
    run.table("summary", found.summary)
    with whole(run.path / "table.md") as partial:
        partial.write_text(found.markdown() + "\n", encoding="utf-8")
    run.wrote("tables", run.path / "table.md")
    for name, page in pages(done, found.results, found.summary, found.failures, found.headline, command):
        run.page(page, name)
