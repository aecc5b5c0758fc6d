"""Intervals of the network hold what they claim, of samples that the fit has not seen."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cellixir.data.response_data import ResponseData
from cellixir.data.splits import make_folds, split_off
from cellixir.exceptions import ConfigurationError
from cellixir.response.cross_validation import models
from cellixir.response.cross_validation.models import BASELINES, ModelSpec, Options
from cellixir.response.cross_validation.output import BenchmarkResult
from cellixir.response.cross_validation.pieces import fold_pieces, with_earlier
from cellixir.response.cross_validation.run import JOB, benchmark
from cellixir.response.network.architecture import Architecture
from cellixir.response.network.predictor import ResponsePredictor
from cellixir.response.ranking.rank import rank
from cellixir.runs import RunFolder
from cellixir.training import TrainingConfig

SMALL = Architecture(latent=8, encoder=16, head=0, dropout=0.1, input_dropout=0.1)
FEW_EPOCHS = TrainingConfig(max_epochs=3, batch_size=1024)


def predictor(split: str = "LCO", members: int = 2, seed: int = 0) -> ResponsePredictor:
    return ResponsePredictor(split, architecture=SMALL, training=FEW_EPOCHS, members=members, seed=seed, device="cpu")


@pytest.fixture(scope="module")
def simulated(simulate_screen: Callable[..., Any]) -> Callable[..., ResponseData]:
    """Ten drugs against five targets."""
    return lambda seed, n=100: simulate_screen(n_samples=n, n_drugs=10, n_features=25, n_targets=5, seed=seed)[0]


@pytest.fixture(scope="module")
def data(simulated: Callable[..., ResponseData]) -> ResponseData:
    return simulated(1, 60)


@pytest.fixture(scope="module")
def fitted(data: ResponseData) -> ResponsePredictor:
    return predictor().fit(data)


# --- of a fit ----------------------------------------------------------------------------------------------------


def test_nine_in_ten_responses_of_new_samples_are_inside(simulated: Callable[..., ResponseData]) -> None:
    """Averaged over screens: within one, thirty new samples say little."""
    held, half = [], []
    for seed in range(5):
        data = simulated(seed)
        train, new = split_off(data, "LCO", fraction=0.3, seed=seed)
        model = predictor(members=3, seed=seed).fit(data.take(train))
        question = data.take(new)
        error = np.abs(question.response - model.predict(question.as_question()))
        held.append([(error <= model.half_width(question, level)).mean() for level in (0.5, 0.9)])
        half.append(model.half_width(question, 0.9).mean() / np.abs(error).mean())
    covered = np.mean(held, axis=0)
    assert 0.82 <= covered[1] <= 0.97, held
    assert 0.38 <= covered[0] <= 0.65, held
    assert np.mean(half) < 4  # and they are no wider than they have to be: 2.06 times for a normal error


def test_new_drugs_have_intervals_too(simulate_screen: Callable[..., Any]) -> None:
    """Averaged over screens: eighteen new drugs say little."""
    covered = []
    for seed in range(3):
        data = simulate_screen(n_samples=25, n_drugs=60, n_features=25, n_targets=5, seed=seed)[0]
        train, new = split_off(data, "LDO", fraction=0.3, seed=0)
        model = predictor("LDO", members=4).fit(data.take(train))
        question = data.take(new)
        half = model.half_width(question, 0.8)
        assert np.isfinite(half).all()
        covered.append((np.abs(question.response - model.predict(question)) <= half).mean())
    assert np.mean(covered) > 0.6, covered
    # each sample, not each drug, has a width of its own
    widths = pd.Series(half).groupby([question.responses["sample"]]).nunique()
    assert (widths == 1).all()


def test_wider_for_more_and_never_narrower(fitted: ResponsePredictor, data: ResponseData) -> None:
    widths = np.stack([fitted.half_width(data, level) for level in (0.3, 0.5, 0.8, 0.9)])
    assert (np.diff(widths, axis=0) >= 0).all()
    assert (widths[-1] > widths[0]).all()
    assert np.isinf(fitted.half_width(data, 0.999)).all()  # a dozen held-out samples cannot tell
    for level in (0.0, 1.0, 0.9999):
        with pytest.raises(ConfigurationError, match="level"):
            fitted.half_width(data, level)


def test_a_drug_that_was_never_measured_has_the_width_of_all(fitted: ResponsePredictor, data: ResponseData) -> None:
    unseen = data.drugs.rename(index={"D001": "new"})
    question = ResponseData.question(data.views, unseen, data.samples)
    half = pd.Series(fitted.half_width(question, 0.8)).groupby(question.responses["drug"]).first()
    assert half["new"] == pytest.approx(fitted.conformal_.by_group(0.8)["half_width"].iloc[-1])
    assert half.nunique() > 2


def test_ranking_holds_the_same_intervals_from_a_bundle(
    fitted: ResponsePredictor, data: ResponseData, tmp_path: Path
) -> None:
    again = ResponsePredictor.load(fitted.save(tmp_path / "bundle"))
    table = rank(again, data.views, samples=data.samples, interval=0.5).set_index(["sample", "drug"])
    np.testing.assert_allclose((table["high"] + table["low"]) / 2, table["predicted"])
    half = pd.Series(fitted.half_width(data, 0.5), index=pd.MultiIndex.from_frame(data.responses[["sample", "drug"]]))
    np.testing.assert_allclose(((table["high"] - table["low"]) / 2).loc[half.index], half)


# --- of a benchmark ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """The network of the benchmark, small and fitted in a hurry."""

    def build(split: str, seed: int, options: Options) -> ResponsePredictor:
        return predictor(split, seed=seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.MODELS, "network", ModelSpec("network", "network", build))
        yield


@pytest.fixture(scope="module")
def result(data: ResponseData, quick: None, tmp_path_factory: pytest.TempPathFactory) -> BenchmarkResult:
    folder, options = tmp_path_factory.mktemp("intervals") / "run", Options(interval=0.8)
    return benchmark(data, "LCO", folder, models=["network", "ridge"], n_folds=2, options=options)


def test_a_benchmark_says_what_its_intervals_held(data: ResponseData, result: BenchmarkResult) -> None:
    table = pd.read_csv(result.folder / "coverage.csv")
    assert result.coverage is not None
    pd.testing.assert_frame_equal(table, result.coverage, check_dtype=False)
    assert set(table["model"]) == {"network"}  # a ridge has none
    assert list(table["drug"]) == ["(all)", *data.drugs.index]

    long = pd.read_parquet(result.folder / "predictions.parquet")
    ours = long[long["model"] == "network"]
    assert ours[["low", "high"]].notna().all(axis=None)
    assert long.loc[long["model"] != "network", ["low", "high"]].isna().all(axis=None)
    inside = (ours["low"] <= ours["observed"]) & (ours["observed"] <= ours["high"])
    assert table.loc[0, "covered"] == pytest.approx(inside.mean())
    assert table.loc[0, "n"] == len(data)
    assert table.loc[0, "n_units"] == len(data.samples)
    # of six held-out lines the largest error bounds 80 %: 6 in 7 are expected, by the draw of 60 lines give or take .05
    assert abs(inside.mean() - 6 / 7) < 0.15
    drug = table.set_index("drug").loc["D004", "covered"]
    assert drug == pytest.approx(inside[ours["drug"] == "D004"].mean())
    assert "80" in (result.folder / "report.html").read_text()


@pytest.mark.usefixtures("quick")
def test_it_goes_on_where_it_was(
    data: ResponseData, result: BenchmarkResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(result.folder, tmp_path / "run")
    folds = make_folds(data, "LCO", n_folds=2)
    (folder / "pieces" / "network" / "fold-1" / "half_width.npy").write_bytes(b"cut off")
    fits: list[int] = []
    fit = ResponsePredictor.fit
    monkeypatch.setattr(ResponsePredictor, "fit", lambda self, *a, **k: (fits.append(1), fit(self, *a, **k))[1])
    again = benchmark(data, "LCO", folder, models=["network"], folds=folds, options=Options(interval=0.8))
    assert len(fits) == 1
    pd.testing.assert_frame_equal(again.coverage, result.coverage)

    def kept(options: Options) -> set[str]:
        run = RunFolder(folder, JOB, {}, data={"responses": data.fingerprint})
        of = fold_pieces(data, folds, "LCO", 0, options)
        return {str(p.labels["model"]) for p in with_earlier(run, [models.MODELS["ridge"]], of)} - set(BASELINES)

    assert kept(Options(interval=0.8)) == {"ridge", "network"}
    for interval in (0.5, None):  # another level is another question
        assert kept(Options(interval=interval)) == {"ridge"}


@pytest.mark.parametrize("interval", [0.0, 1.0, 90.0, -0.1, 0.9999, float("nan")])
def test_what_is_no_level_is_refused_at_once(interval: float) -> None:
    with pytest.raises(ConfigurationError):
        replace(Options(), interval=interval)
