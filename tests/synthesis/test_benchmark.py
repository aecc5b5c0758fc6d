"""The benchmark: who is held out, what is done again, what a failed piece costs, and the means over data sets."""

from __future__ import annotations

import os
import re
import runpy
from functools import partial
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cellixir.data.simulate import simulate_bulk
from cellixir.exceptions import ConfigurationError, DataError, UnknownIds
from cellixir.runs import read_manifest
from cellixir.synthesis.benchmark_job import Benchmark, benchmark
from cellixir.synthesis.benchmark_pieces import held_out
from cellixir.synthesis.benchmark_summary import (
    METRICS,
    REAL,
    RESULTS,
    SHUFFLED,
    markdown,
    number,
    paired,
    summarise,
    t_interval,
)

pytestmark = pytest.mark.usefixtures("small_numbers")
KEYS = {"contrast_key": "group", "batch_key": "batch"}
ONE = {"models": ["gaussian"], **KEYS}


def bulk(seed: int = 0) -> ad.AnnData:
    return simulate_bulk(n_samples=80, n_genes=60, seed=seed)


def bulk_of_few_draws(seed: int, conftest: str, parent: int) -> ad.AnnData:
    """Samples; a process of its own has `few_draws` from then on, as the parent has by ``small_numbers``."""
    if os.getpid() != parent:
        runpy.run_path(conftest)["few_draws"](setattr)
    return bulk(seed)


class Copier:
    """Draws the samples that it was fitted on; counts how often it is fitted."""

    fitted = 0
    broken = False

    def __init__(self, seed: int, settings: dict[str, Any] | None = None) -> None:
        self.seed, self.settings = seed, settings or {}

    def fit(self, samples: ad.AnnData) -> Copier:
        type(self).fitted += 1
        if self.broken:
            message = "out of\nluck"
            raise RuntimeError(message)
        self.samples, self.fit_seconds_ = samples, 30.0
        return self

    def sample(self, n: int) -> ad.AnnData:
        return self.samples[np.arange(n) % self.samples.n_obs].copy()


@pytest.fixture
def copier() -> type[Copier]:
    return type("OwnCopier", (Copier,), {"fitted": 0, "broken": False})


@pytest.fixture
def no_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figures: they take longer than the pieces."""
    monkeypatch.setattr("cellixir.synthesis.benchmark_job.pages", lambda *_: iter(()))


# -- who is held out ---------------------------------------------------------------------------------------------------


def test_each_combination_is_held_out_in_proportion() -> None:
    samples = bulk()
    train, holdout = held_out(samples, 0.25, ["batch", "group"], 3)
    assert (len(train), len(holdout)) == (60, 20)
    assert sorted([*train, *holdout]) == list(range(80))
    counts = samples.obs.iloc[holdout].value_counts(["batch", "group"])
    assert counts.tolist() == [5, 5, 5, 5]


def test_the_same_rows_for_a_seed_and_others_for_another() -> None:
    one, again, other = (held_out(bulk(), 0.25, ["group"], seed)[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert set(one) != set(other)


@pytest.mark.parametrize(("share", "n"), [(0.001, 1), (0.999, 79), (0.5, 40)])
def test_somebody_is_always_on_both_sides(share: float, n: int) -> None:
    train, holdout = held_out(bulk(), share, [], 0)
    assert (len(train), len(holdout)) == (80 - n, n)


# -- means and intervals -----------------------------------------------------------------------------------------------


def rows(values: dict[tuple[str, int, str], float], metric: str = "recall") -> pd.DataFrame:
    """Results with a ceiling of .9 and a floor of .1."""
    found = [
        {"dataset": d, "seed": s, "model": m, "metric": metric, "family": "fidelity", "value": value, "ceiling": 0.9,
         "floor": 0.1}
        for (d, s, m), value in values.items()
    ]  # fmt: skip
    return pd.DataFrame(found).reindex(columns=RESULTS)


def test_the_interval_is_students() -> None:
    x = [0.2, 0.5, 0.9, 0.4]
    low, high = stats.t.interval(0.95, 3, np.mean(x), stats.sem(x))
    assert t_interval(x) == pytest.approx((0.5, low, high))
    assert np.isnan(t_interval([0.3])[1:]).all()


def test_seeds_are_averaged_before_data_sets() -> None:
    table = summarise(rows({("a", 0, "m"): 0.2, ("a", 1, "m"): 0.4, ("b", 0, "m"): 0.7, ("b", 1, "m"): 0.9}))
    found = table.set_index("model").loc["m"]
    assert (found["mean"], found["n"]) == (pytest.approx(0.55), 2)
    assert found["high"] == pytest.approx(t_interval([0.3, 0.8]).high)
    controls = table.set_index("model")["mean"]
    assert controls[REAL] == pytest.approx(0.9)
    assert controls[SHUFFLED] == pytest.approx(0.1)


def test_one_data_set_has_an_interval_over_its_seeds() -> None:
    table = summarise(rows({("a", 0, "m"): 0.2, ("a", 1, "m"): 0.4})).set_index("model")
    assert table.loc["m", ["mean", "n"]].tolist() == [pytest.approx(0.3), 2]
    assert table.loc["m", "low"] == pytest.approx(t_interval([0.2, 0.4]).low)


def test_numbers_that_are_not_known_do_not_count() -> None:
    table = summarise(rows({("a", 0, "m"): 0.2, ("b", 0, "m"): np.nan})).set_index("model")
    assert table.loc["m", ["mean", "n"]].tolist() == [0.2, 1]


def test_differences_are_of_the_same_data_sets() -> None:
    values = {("a", 0, "m"): 0.5, ("b", 0, "m"): 0.9, ("c", 0, "m"): 0.0, ("a", 0, "o"): 0.4, ("b", 0, "o"): 0.7}
    assert paired(rows(values), "m", "o", "recall") == pytest.approx(t_interval([0.1, 0.2]))
    with pytest.raises(ConfigurationError, match="'m' and 'p'; there is 'm', 'o'"):
        paired(rows(values), "m", "p", "recall")


def test_the_markdown_table_is_this_one() -> None:
    results = pd.concat([
        rows({("a", 0, "m"): 0.2, ("b", 0, "m"): 0.4, ("a", 0, "o"): 0.5}),
        rows({("a", 0, "m"): 12.345}, "fit_seconds").assign(ceiling=np.nan, floor=np.nan),
    ])  # fmt: skip
    assert markdown(summarise(results), ["recall", "de_f1", "fit_seconds"]).splitlines() == [
        "| generator | n | Recall ↑ | Fit, s ↓ |",
        "| --- | ---: | ---: | ---: |",
        "| m | 2 | 0.300 ± 1.271 | 12.3 |",
        "| o | 1 | 0.500 | – |",
        f"| {REAL} | 2 | 0.900 ± 0.000 | – |",
        f"| {SHUFFLED} | 2 | 0.100 ± 0.000 | – |",
    ]


def test_numbers_have_the_decimals_they_need() -> None:
    assert [number("mmd2", -0.00123), number("recall", 0.5), number("fit_seconds", 1234.5)] == [
        "−0.0012", "0.500", "1,234",
    ]  # fmt: skip
    assert (METRICS["mmd2"].heading, METRICS["composition"].heading) == ("MMD² → 0", "Composition (JS) ↓")


# -- running -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """Two data sets, two generators of ours and one that copies."""
    out = tmp_path_factory.mktemp("two") / "run"
    given = {"one": bulk(0), "other": partial(bulk, 1)}
    return benchmark(given, out, models=["gaussian", "copula"], others={"copier": Copier}, **KEYS)


def test_every_piece_has_every_metric_and_its_costs(two: Benchmark) -> None:
    counts = two.results.groupby(["dataset", "model"])["metric"].nunique()
    assert len(counts) == 6
    assert counts.nunique() == 1
    assert list(two.results) == RESULTS
    costs = two.results[two.results["model"] == "copier"].set_index("metric")["value"]
    assert set(costs["fit_seconds"]) == {30.0}
    assert set(costs["ms_per_gene"]) == {500.0}
    assert two.failures.empty


def test_the_truth_of_the_simulation_is_what_is_recovered(two: Benchmark) -> None:
    means = two.summary.set_index(["model", "metric"])["mean"]
    assert "lfc_slope_real" in set(two.results["metric"])  # only where there is a planted truth beside
    assert 0.8 < means["gaussian", "lfc_slope"] < 1.2
    assert means[REAL, "de_f1"] > 0.7 > 0.4 > means[SHUFFLED, "de_f1"]


def test_who_copies_is_told(two: Benchmark) -> None:
    means = two.summary.set_index(["model", "metric"])["mean"]
    assert (means["copier", "copies"], means["copier", "authenticity"]) == (1.0, 0.0)
    assert means["gaussian", "copies"] == 0.0
    page = (two.folder / "report.html").read_text(encoding="utf-8")
    assert "2 no" in page  # private: both data sets


def test_the_folder_holds_tables_and_pages(two: Benchmark) -> None:
    names = {"results.csv", "summary.csv", "table.md", "report.html", "datasets", "pieces", "run.json"}
    assert names == {file.name for file in two.folder.iterdir()}
    assert {file.name for file in (two.folder / "datasets").iterdir()} == {"one.html", "other.html"}
    written = pd.read_csv(two.folder / "results.csv", keep_default_na=True)
    np.testing.assert_allclose(written["value"], two.results["value"])
    assert (two.folder / "table.md").read_text(encoding="utf-8") == two.markdown() + "\n"
    assert len(two.markdown().splitlines()) == 7
    manifest = read_manifest(two.folder)
    assert (manifest["job"], manifest["state"], manifest["failures"]) == ("synthesize benchmark", "done", 0)
    assert manifest["tables"] == ["results.csv", "summary.csv", "table.md"]
    assert manifest["pages"] == ["datasets/one.html", "datasets/other.html", "report.html"]
    assert len(set(manifest["data"].values())) == 2
    assert manifest["metrics"]["copier"]["authenticity"] == 0.0
    assert manifest["headline"] == two.headline
    assert two.headline.startswith("Of 3 generators, most verdicts are yes for ")
    assert re.search(r"\(faithful \d of 2, useful \d of 2, private \d of 2\)", two.headline)


@pytest.mark.usefixtures("no_pages")
def test_what_is_finished_is_read_and_says_the_same(tmp_path: Path, copier: type[Copier]) -> None:
    run = partial(benchmark, {"one": bulk()}, tmp_path / "run", others={"copier": copier})
    first, second = run(**ONE), run(**ONE)
    assert copier.fitted == 1
    pd.testing.assert_frame_equal(first.results, second.results)
    for wanted, n in ((ONE | {"models": ["gaussian", "copula"]}, 1), (ONE | {"seeds": 2}, 2)):
        run(**wanted)
        assert copier.fitted == n


@pytest.mark.usefixtures("no_pages")
def test_another_version_does_every_piece_anew(
    tmp_path: Path, copier: type[Copier], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = partial(benchmark, {"one": bulk()}, tmp_path / "run", others={"copier": copier}, models=[], **KEYS)
    before = run().results
    monkeypatch.setattr("cellixir.runs.piece.__version__", "99.0")
    pd.testing.assert_frame_equal(run().results.query("family != 'cost'"), before.query("family != 'cost'"))
    assert copier.fitted == 2


@pytest.mark.usefixtures("no_pages")
def test_two_processes_give_the_same_numbers(tmp_path: Path) -> None:
    conftest = str(Path(__file__).parents[1] / "conftest.py")
    given = {
        name: partial(bulk_of_few_draws, seed, conftest, os.getpid()) for seed, name in enumerate(("one", "other"))
    }
    found = [benchmark(given, tmp_path / str(jobs), models=["gaussian"], jobs=jobs, **KEYS).results for jobs in (1, 2)]
    one, two = (table.query("family != 'cost'").reset_index(drop=True) for table in found)
    pd.testing.assert_frame_equal(*(table.drop(columns="seed") for table in (one, two)), check_exact=True)


@pytest.mark.usefixtures("no_pages")
def test_other_data_settings_or_damage_are_done_again(tmp_path: Path, copier: type[Copier]) -> None:
    def run(seed: int = 0, **settings: int) -> None:
        others = {"copier": lambda seed: copier(seed, settings)}
        benchmark({"one": bulk(seed)}, tmp_path / "run", models=[], others=others, **KEYS)

    run()
    run(seed=1)
    run(seed=1, depth=3)
    assert copier.fitted == 3
    place = tmp_path / "run" / "pieces" / "one" / "copier" / "seed-0"
    for file, n in (("piece.json", 4), ("points.parquet", 5)):
        (place / file).write_bytes((place / file).read_bytes()[:40])
        run(seed=1, depth=3)
        assert copier.fitted == n
    run(seed=1, depth=3)
    assert copier.fitted == 5


def test_a_failed_piece_loses_no_other_and_is_tried_again(tmp_path: Path, copier: type[Copier]) -> None:
    run = partial(benchmark, {"one": bulk()}, tmp_path / "run", others={"copier": copier}, **ONE)
    copier.broken = True
    found = run()
    assert found.failures.values.tolist() == [["one", "copier", 0, "RuntimeError: out of luck"]]
    assert set(found.results["model"]) == {"gaussian"}
    assert "out of luck" in (found.folder / "report.html").read_text(encoding="utf-8")
    copier.broken = False
    again = run()
    assert again.failures.empty
    assert not (again.folder / "failures.csv").exists()
    assert set(again.results["model"]) == {"gaussian", "copier"}


@pytest.mark.usefixtures("no_pages")
def test_a_data_set_that_cannot_be_read_loses_no_other(tmp_path: Path) -> None:
    def unreadable() -> ad.AnnData:
        message = "no such samples"
        raise DataError(message)

    few = bulk()[:24].copy()
    found = benchmark({"bad": unreadable, "few": few, "one": bulk()}, tmp_path / "run", **ONE)
    errors = found.failures.set_index("dataset")["error"]
    assert errors["bad"] == "no such samples"
    assert "too few" in errors["few"]
    assert set(found.results["dataset"]) == {"one"}


def test_where_all_fails_the_first_error_is_told(tmp_path: Path) -> None:
    lacking = bulk()
    del lacking.obs["batch"]
    with pytest.raises(UnknownIds, match="there is no column 'batch'"):
        benchmark({"one": lacking}, tmp_path / "run", **ONE)
    with pytest.raises(DataError, match="all 2 pieces failed; the first, one, gaussian: there is no column 'batch'"):
        benchmark({"one": lacking}, tmp_path / "run", seeds=2, **ONE)
    with pytest.raises(UnknownIds):
        held_out(lacking, 0.25, ["batch"], 0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"models": ["gausian"]}, r"no generator 'gausian' \(did you mean 'gaussian'"),
        ({"settings": {"gaussian": {"ranks": 3}}}, r"no setting 'ranks' \(did you mean 'rank'"),
        ({"settings": {"copula": {"rank": 3}}}, "settings of 'copula', which is not run"),
        ({"condition": ["batch"]}, "the group column 'group' is not among the conditions"),
        ({"holdout": 1.0}, "holdout=1.0 is no share"),
        ({"seeds": 0}, "seeds=0"),
        ({"others": {"gan": Copier}}, "'gan' is a generator of cellixir"),
        ({"others": {"a/b": Copier}}, "'a/b' cannot be a folder"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        benchmark({"one": bulk}, tmp_path / "run", **(ONE | given))
    assert not (tmp_path / "run").exists()


def test_a_folder_of_something_else_stays_as_it_is(tmp_path: Path, two: Benchmark) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(ConfigurationError, match="holds other things"):
        benchmark({"one": bulk}, tmp_path, **ONE)
    with pytest.raises(ConfigurationError, match="other columns, or another share held out"):
        benchmark({"one": bulk}, two.folder, holdout=0.5, **ONE)
    assert [file.name for file in tmp_path.iterdir()] == ["precious.txt"]
